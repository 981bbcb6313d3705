/* update.c - training statements: what is minimized, gradients, optimiser steps, averages, logged values. */
#include "frontend/eval/eval.h"
#include <math.h>
#include <string.h>

enum { MAX_NETS = 16 };

/* ---- optimisers as values ---- */

static Value make_optimiser(Eval *c, Optimiser o) {
  Optimiser *p = arena_alloc(c->arena, sizeof *p);
  *p = o;
  return (Value){V_OPT, {.opt = p}};
}

static bool arg_rate(Eval *c, const Ast *at, Value v, Value *lr) {
  char buf[96];
  *lr = v;
  if (v.kind == V_NUM && v.u.num < 0)
    return fail(c, at, "lr must be at least 0, it is %g: minimize goes downhill by itself", v.u.num), false;
  if (v.kind == V_NUM) return true;
  if (v.kind != V_TENSOR)
    return fail(c, at, "lr must be a number or a tensor of rank 0, it is %s", kind_str(v)), false;
  if (type_of(c, v).rank == 0) return true;
  return fail(c, at, "lr must have rank 0, it is %s", type_str(type_of(c, v), buf)), false;
}

/* A number of the range [0,1) or [0,inf): what is outside diverges or climbs. */
static bool arg_factor(Eval *c, const Ast *at, const char *what, Value v, double below, double *out) {
  if (!has(v)) return true;
  if (!arg_num(c, at, what, v, out)) return false;
  if (*out >= 0 && *out < below) return true;
  return fail(c, at, "%s must be %s, it is %g", what,
              below == 1 ? "at least 0 and less than 1" : "at least 0", *out),
         false;
}

static Value bi_sgd(Eval *c, const Ast *at, Value *arg) {
  Optimiser o = {0};
  if (!arg_rate(c, at, arg[0], &o.lr) || !arg_factor(c, at, "momentum", arg[1], 1, &o.momentum) ||
      !arg_factor(c, at, "weight_decay", arg[2], INFINITY, &o.decay) ||
      (has(arg[3]) && !arg_bool(c, at, "nesterov", arg[3], &o.nesterov)))
    return v_poison();
  return make_optimiser(c, o);
}

static Value bi_adam(Eval *c, const Ast *at, Value *arg) {
  Optimiser o = {.adam = true, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
  if (!arg_rate(c, at, arg[0], &o.lr)) return v_poison();
  if (has(arg[1])) {
    if (arg[1].kind != V_LIST || arg[1].u.list->n != 2)
      return fail(c, at, "adam: betas must be a list of two numbers");
    if (!arg_factor(c, at, "beta 1", arg[1].u.list->v[0], 1, &o.beta1) ||
        !arg_factor(c, at, "beta 2", arg[1].u.list->v[1], 1, &o.beta2))
      return v_poison();
  }
  if ((has(arg[2]) && !arg_num(c, at, "eps", arg[2], &o.eps)) ||
      !arg_factor(c, at, "weight_decay", arg[3], INFINITY, &o.decay))
    return v_poison();
  return make_optimiser(c, o);
}

static Value bi_ema(Eval *c, const Ast *at, Value *arg) {
  double alpha;
  bool buffers = false;
  if (arg[0].kind != V_INST) return fail(c, at, "ema follows a network, this is %s", kind_str(arg[0]));
  Instance *of = arg[0].u.inst;
  if (!of->name) return fail(c, at, "ema: give the network a name first");
  if (of->average_of) return fail(c, at, "ema: %s is an average itself", of->name);
  if (c->frame) return fail(c, at, "networks are declared at the top level of the file, as NAME = ema(..)");
  if (!arg_num(c, at, "alpha", arg[1], &alpha) ||
      (has(arg[2]) && !arg_bool(c, at, "buffers", arg[2], &buffers)))
    return v_poison();
  if (alpha < 0 || alpha > 1) return fail(c, at, "ema: alpha must lie in [0,1], it is %g", alpha);
  Instance *inst = arena_alloc(c->arena, sizeof *inst);
  *inst = (Instance){.def = of->def,
                     .config = of->config,
                     .nconfig = of->nconfig,
                     .average_of = of,
                     .alpha = alpha,
                     .buffers = buffers,
                     .net = -1,
                     .next = c->instances};
  c->instances = inst;
  return (Value){V_INST, {.inst = inst}};
}

const Builtin builtins_train[] = {
    {"sgd", "lr momentum? weight_decay? nesterov?", false, bi_sgd},
    {"adam", "lr betas? eps? weight_decay?", false, bi_adam},
    {"ema", "network alpha buffers?", false, bi_ema},
    {NULL, NULL, false, NULL},
};

/* ---- one optimiser step on one variable ---- */

static int scalar(Eval *c, Value v) { return v.kind == V_NUM ? ir_const(c->fn, v.u.num) : v.u.node; }
static int clock_input(Eval *c, const char *name) { return ir_input(c->fn, name, type_scalar()); }

/* State of the optimiser for variable v; a network's second update in one iteration has its own. */
static int state(Eval *c, int v, const char *what, int nth) {
  const Var *of = &c->prog->var[v];
  const char *name = nth ? arena_printf(c->arena, "%s.%s%d", of->name, what, nth + 1)
                         : arena_printf(c->arena, "%s.%s", of->name, what);
  for (int i; (i = prog_find_var(c->prog, name)) >= 0;) {
    if (c->prog->var[i].role == ROLE_OPTIM) return i;
    name = arena_printf(c->arena, "%s_", name); /* a parameter of the network has this very name */
  }
  return prog_var(c->prog, (Var){.name = name, .type = of->type, .role = ROLE_OPTIM, .net = of->net});
}

/* g += wd w; m = mu m + g; w -= lr m, or with Nesterov w -= lr (g + mu m). */
static void step_sgd(Eval *c, const Optimiser *o, int v, int nth, int lr, int g) {
  Fn *f = c->fn;
  int w = var_read(c, v);
  if (o->decay != 0) g = ir_add(f, g, ir_scale(f, w, o->decay));
  if (o->momentum != 0) {
    int s = state(c, v, "momentum", nth), m = ir_add(f, ir_scale(f, var_read(c, s), o->momentum), g);
    var_write(c, s, m);
    g = o->nesterov ? ir_add(f, g, ir_scale(f, m, o->momentum)) : m;
  }
  var_write(c, v, ir_sub(f, w, ir_mul(f, lr, g)));
}

/* Scalars of Adam's bias correction at step t = iteration + 1: lr / (1 - b1^t) and 1 / sqrt(1 - b2^t). */
typedef struct {
  int rate, norm;
} Bias;

/* 1 - beta^t without the cancellation that takes 4 of float's 7 digits from 1 - 0.9999: with
 * h = tanh(-t log(beta) / 2), beta^t is (1 - h) / (1 + h), and so the rest 2 h / (1 + h). */
static int one_less_power(Fn *f, double beta, int t) {
  int one = ir_const(f, 1);
  if (beta == 0) return one;
  int h = ir_unary(f, OP_tanh, ir_scale(f, t, -0.5 * log(beta)));
  return ir_div(f, ir_scale(f, h, 2), ir_add(f, one, h));
}

static Bias adam_bias(Eval *c, const Optimiser *o, int lr) {
  Fn *f = c->fn;
  int t = ir_add(f, clock_input(c, "iteration"), ir_const(f, 1));
  int norm = ir_unary(f, OP_sqrt, one_less_power(f, o->beta2, t));
  return (Bias){ir_div(f, lr, one_less_power(f, o->beta1, t)), ir_div(f, ir_const(f, 1), norm)};
}

/* m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; w -= lr/(1-b1^t) m / (sqrt(v)/sqrt(1-b2^t) + eps). */
static void step_adam(Eval *c, const Optimiser *o, int v, int nth, Bias b, int g) {
  Fn *f = c->fn;
  int w = var_read(c, v);
  if (o->decay != 0) g = ir_add(f, g, ir_scale(f, w, o->decay));
  int sm = state(c, v, "adam_m", nth), sv = state(c, v, "adam_v", nth);
  int m = ir_add(f, ir_scale(f, var_read(c, sm), o->beta1), ir_scale(f, g, 1 - o->beta1));
  int q = ir_add(f, ir_scale(f, var_read(c, sv), o->beta2), ir_scale(f, ir_mul(f, g, g), 1 - o->beta2));
  int den = ir_add(f, ir_mul(f, ir_unary(f, OP_sqrt, q), b.norm), ir_const(f, o->eps));
  var_write(c, sm, m);
  var_write(c, sv, q);
  var_write(c, v, ir_sub(f, w, ir_mul(f, b.rate, ir_div(f, m, den))));
}

/* ---- update NETS with OPTIMISER ---- */

/* Marks what the loss is computed from, as far as gradients flow. */
/* Does a gradient go through? */
static bool differentiable(const Node *n) {
  static const char *const rule[] = {
#define OP(name, least, most, attrs, cls, shape, gradient, form, text) #gradient,
#include "ir/ops.def"
#undef OP
  };
  return n->type.dt == F32 && strcmp(rule[n->op], "zero");
}

static bool *reached_from(Eval *c, int loss) {
  bool *mark = arena_alloc(c->arena, (size_t)c->fn->n);
  mark[loss] = true;
  for (int i = loss; i >= 0; i--) {
    const Node *n = &c->fn->node[i];
    if (!mark[i] || !differentiable(n)) continue;
    for (int k = 0; k < n->nin; k++) mark[n->in[k]] = true;
  }
  return mark;
}

typedef struct {
  int var, grad;
} Pair;

static void output_gradient(Eval *c, const Var *v, int grad) {
  const char *name = arena_printf(c->arena, "grad:%s", v->name);
  for (int k = 2;; k++) {
    bool taken = false;
    for (int i = 0; i < c->fn->nout; i++) taken |= !strcmp(c->fn->out[i].name, name);
    if (!taken) break;
    name = arena_printf(c->arena, "grad:%s#%d", v->name, k);
  }
  fn_output(c->fn, name, grad);
}

/* Why an update cannot move a network. */
static void no_gradient(Eval *c, const Ast *n, const Instance *net) {
  bool any = false;
  for (int v = 0; v < c->prog->nvar; v++)
    any |= net->net >= 0 && c->prog->var[v].net == net->net && c->prog->var[v].role == ROLE_PARAM;
  if (net->net < 0) fail(c, n, "nothing has called %s: what is minimized does not depend on it", net->name);
  else if (!any)
    fail(c, n, "%s has no parameters to learn: its net uses neither conv, linear nor another layer",
         net->name);
  else
    fail(c, n,
         "what is minimized does not depend on the parameters of %s; nograd, stop, argmax, onehot, floor and "
         "comparisons let no gradient through",
         net->name);
}

/* One gradient per parameter of the networks that the loss depends on. */
static int gradients(Eval *c, const Ast *n, Instance *const *net, int nnet, int loss, Pair **out) {
  bool *reached = reached_from(c, loss);
  int marked = c->fn->n, npair = 0, cap = 0;
  Pair *pair = NULL;
  for (int k = 0; k < nnet; k++) {
    int before = npair;
    for (int v = 0; v < c->prog->nvar && v < c->ncur; v++) {
      const Var *var = &c->prog->var[v];
      int w = c->cur[v];
      if (var->role != ROLE_PARAM || net[k]->net < 0 || var->net != net[k]->net || w < 0 || w >= marked ||
          !reached[w])
        continue;
      *ARENA_PUSH(c->arena, pair, npair, cap) = (Pair){v, ir_grad(c->fn, loss, w)};
    }
    if (npair == before) no_gradient(c, n, net[k]);
  }
  *out = pair;
  return npair;
}

static const char *joined_names(Eval *c, Instance *const *net, int n) {
  const char *s = net[0]->name;
  for (int i = 1; i < n; i++) s = arena_printf(c->arena, "%s_%s", s, net[i]->name);
  return s;
}

/* The loss of an update is logged as loss_NETS; a second one of the same networks as loss_NETS_2. */
static void log_loss(Eval *c, Instance *const *net, int n, int loss) {
  const char *base = arena_printf(c->arena, "loss_%s", joined_names(c, net, n)), *name = base;
  for (int k = 2;; k++) {
    bool taken = false;
    for (int i = 0; i < c->fn->nout; i++) taken |= !strcmp(c->fn->out[i].name, name);
    if (!taken) break;
    name = arena_printf(c->arena, "%s_%d", base, k);
  }
  fn_output(c->fn, name, loss);
}

static void step(Eval *c, const Ast *n, Instance *const *net, int nnet, const Optimiser *o) {
  Pair *pair;
  int loss = c->loss, npair = gradients(c, n, net, nnet, loss, &pair);
  if (npair == 0) return;
  log_loss(c, net, nnet, loss);
  int lr = scalar(c, o->lr);
  Bias bias = o->adam ? adam_bias(c, o, lr) : (Bias){-1, -1};
  for (int i = 0; i < npair; i++) {
    const Var *v = &c->prog->var[pair[i].var];
    int nth = 0;
    for (int k = 0; k < nnet; k++)
      if (net[k]->net == v->net) nth = net[k]->updates;
    if (c->want_grads) output_gradient(c, v, pair[i].grad);
    if (o->adam) step_adam(c, o, pair[i].var, nth, bias, pair[i].grad);
    else step_sgd(c, o, pair[i].var, nth, lr, pair[i].grad);
  }
  for (int k = 0; k < nnet; k++) net[k]->updates++;
}

/* ---- update of an average ---- */

/* T <- a T + (1-a) S with a = min(1 - 1/(t+1), alpha): at t = 0 an exact copy. */
static void average(Eval *c, const Ast *n, Instance *inst) {
  Fn *f = c->fn;
  Instance *of = inst->average_of;
  int t = ir_add(f, clock_input(c, "iteration"), ir_const(f, 1)), one = ir_const(f, 1);
  int a = ir_binary(f, OP_min, ir_sub(f, one, ir_div(f, one, t)), ir_const(f, inst->alpha)),
      rest = ir_sub(f, one, a);
  if (of->net < 0) {
    fail(c, n, "%s follows %s, which has not been called yet", inst->name, of->name);
    return;
  }
  inst->net = prog_net(c->prog, inst->name);
  inst->updates++;
  for (int v = 0, nvar = c->prog->nvar; v < nvar; v++) {
    Var s = c->prog->var[v];
    if (s.net != of->net || !(s.role == ROLE_PARAM || (s.role == ROLE_BUFFER && inst->buffers))) continue;
    const char *path = arena_printf(c->arena, "%s%s", inst->name, s.name + strlen(of->name));
    Var mine = {.name = path,
                .type = s.type,
                .init = {.kind = INIT_COPY, .from = s.name},
                .role = ROLE_EMA,
                .net = inst->net};
    if (s.role == ROLE_BUFFER) mine.role = ROLE_BUFFER;
    int target = find_or_add_var(c, mine), source = var_read(c, v);
    if (target < 0) continue;
    if (s.role == ROLE_BUFFER) var_write(c, target, source);
    else var_write(c, target, ir_add(f, ir_mul(f, a, var_read(c, target)), ir_mul(f, rest, source)));
  }
}

/* ---- statements ---- */

static bool in_train(Eval *c, const Ast *n, const char *what) {
  if (c->fn && c->fn->kind == FN_TRAIN) return true;
  fail(c, n, "%s stands only inside train", what);
  return false;
}

static int updated_nets(Eval *c, const Ast *n, Instance **net) {
  int count = 0;
  for (const Ast *a = n->list; a; a = a->next) {
    Value v = eval_expr(c, a);
    if (v.kind == V_POISON) return -1;
    if (v.kind != V_INST) return fail(c, a, "update takes networks, this is %s", kind_str(v)), -1;
    if (count == MAX_NETS) return fail(c, a, "more than %d networks", MAX_NETS), -1;
    if (n->a && v.u.inst->average_of)
      return fail(c, a, "%s is the average of %s: write `update %s` without an optimiser", v.u.inst->name,
                  v.u.inst->average_of->name, v.u.inst->name),
             -1;
    if (!n->a && !v.u.inst->average_of)
      return fail(c, a, "%s is learnt: write `update %s with OPTIMISER { .. minimize LOSS }`", v.u.inst->name,
                  v.u.inst->name),
             -1;
    for (int i = 0; i < count; i++)
      if (net[i] == v.u.inst) return fail(c, a, "%s is named twice", net[i]->name), -1;
    net[count++] = v.u.inst;
  }
  return count;
}

void exec_update(Eval *c, const Ast *n) {
  Instance *net[MAX_NETS];
  if (!in_train(c, n, "update")) return;
  if (!n->a && n->b) {
    fail(c, n, "an update with a body names its optimiser: update %s with sgd(0.01) { .. }", n->list->name);
    return;
  }
  int nnet = updated_nets(c, n, net);
  if (!n->a) {
    c->fn->loc = place_of(c, n);
    for (int i = 0; i < nnet; i++) average(c, n->list, net[i]);
    return;
  }
  Value o = eval_expr(c, n->a);
  if (o.kind != V_OPT && o.kind != V_POISON)
    fail(c, n->a, "update .. with needs an optimiser such as sgd(0.01) or adam(1e-3), this is %s",
         kind_str(o));
  if (c->in_update) {
    fail(c, n, "updates do not stand inside each other");
    return;
  }
  int before = c->diag.errors;
  c->in_update = true;
  c->loss = LOSS_NONE;
  exec(c, n->b);
  c->in_update = false;
  if (nnet < 0 || o.kind != V_OPT || c->stopped || c->diag.errors > before || c->loss == LOSS_FAILED) return;
  if (c->loss < 0) {
    fail(c, n, "this update minimizes nothing: write `minimize LOSS` in it");
    return;
  }
  c->fn->loc = place_of(c, n);
  step(c, n, net, nnet, o.u.opt);
}

/* A value of rank 0; -1 after reporting. */
static int rank0(Eval *c, const Ast *n, const char *what, Value v) {
  char buf[96];
  int x = as_f32(c, n, what, v);
  if (x < 0 || c->fn->node[x].type.rank == 0) return x;
  fail(c, n, "%s must be one number (rank 0), it is %s; take its mean() or sum()", what,
       type_str(c->fn->node[x].type, buf));
  return -1;
}

void exec_minimize(Eval *c, const Ast *n) {
  Value v = eval_expr(c, n->a);
  if (!c->in_update) {
    fail(c, n, "minimize stands only inside update");
    return;
  }
  int x = rank0(c, n, "what is minimized", v);
  if (x < 0 || c->loss == LOSS_FAILED) {
    c->loss = LOSS_FAILED;
    return;
  }
  c->fn->loc = place_of(c, n);
  c->loss = c->loss < 0 ? x : ir_add(c->fn, c->loss, x);
}

void log_value(Eval *c, const Ast *n, const char *name, Value v) {
  if (!in_train(c, n, "log")) return;
  int x = rank0(c, n, "a logged value", v);
  if (x < 0) return;
  for (int i = 0; i < c->fn->nout; i++)
    if (!strcmp(c->fn->out[i].name, name)) {
      fail(c, n, "'%s' is logged already", name);
      return;
    }
  fn_output(c->fn, arena_strdup(c->arena, name), x);
}
