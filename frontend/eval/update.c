/* update.c - training statements: what is minimized, gradients, averages, logged values. */
#include "frontend/eval/optimiser.h"
#include <string.h>

enum { MAX_NETS = 16 };

/* ---- update NETS with OPTIMISER ---- */

/* Does a gradient go through? */
static bool differentiable(const Node *n) {
  static const char *const rule[] = {
#define OP(name, least, most, attrs, cls, cost, shape, gradient, form, text) #gradient,
#include "ir/ops.def"
#undef OP
  };
  return n->type.dt == F32 && strcmp(rule[n->op], "zero");
}

/* Marks what the loss is computed from, as far as gradients flow. */
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

/* Parameters, and the nodes of their gradients. */
typedef struct {
  int n, *var, *grad;
} Gradients;

/* The name, or where an output has it already the first of NAME#2, NAME#3, .. that none has; # is the
 * mark. */
static const char *free_output_name(Eval *c, const char *name, char mark) {
  const char *free = name;
  for (int k = 2;; k++) {
    bool taken = false;
    for (int i = 0; i < c->fn->nout; i++) taken |= !strcmp(c->fn->out[i].name, free);
    if (!taken) return free;
    free = arena_printf(c->arena, "%s%c%d", name, mark, k);
  }
}

static void output_gradient(Eval *c, const Var *v, int grad) {
  fn_output(c->fn, free_output_name(c, arena_printf(c->arena, "grad:%s", v->name), '#'), grad);
}

/* Why an update cannot move a network. */
static void no_gradient(Eval *c, const Ast *n, const Instance *net) {
  bool any = false;
  for (int v = 0; v < c->prog->nvar; v++)
    any |= net->net >= 0 && c->prog->var[v].net == net->net && c->prog->var[v].role == ROLE_PARAM;
  if (net->net < 0)
    eval_fail(c, n, "nothing has called %s: what is minimized does not depend on it", net->name);
  else if (!any)
    eval_fail(c, n, "%s has no parameters to learn: its net uses neither conv, linear nor another layer",
              net->name);
  else
    eval_fail(
        c, n,
        "what is minimized does not depend on the parameters of %s; nograd, stop, argmax, onehot, floor and "
        "comparisons let no gradient through",
        net->name);
}

/* One gradient per parameter of the networks that the loss depends on. */
static Gradients gradients(Eval *c, const Ast *n, Instance *const *net, int nnet, int loss) {
  bool *reached = reached_from(c, loss);
  int marked = c->fn->n;
  size_t most = (size_t)c->prog->nvar * (size_t)nnet + 1;
  Gradients g = {.var = arena_alloc(c->arena, most * sizeof *g.var),
                 .grad = arena_alloc(c->arena, most * sizeof *g.grad)};
  for (int k = 0; k < nnet; k++) {
    int before = g.n;
    for (int v = 0; v < c->prog->nvar && v < c->ncur; v++) {
      const Var *var = &c->prog->var[v];
      int w = c->cur[v];
      if (var->role != ROLE_PARAM || net[k]->net < 0 || var->net != net[k]->net || w < 0 || w >= marked ||
          !reached[w])
        continue;
      g.var[g.n] = v, g.grad[g.n++] = ir_grad(c->fn, loss, w);
    }
    if (g.n == before) no_gradient(c, n, net[k]);
  }
  return g;
}

static const char *joined_names(Eval *c, Instance *const *net, int n) {
  const char *s = net[0]->name;
  for (int i = 1; i < n; i++) s = arena_printf(c->arena, "%s_%s", s, net[i]->name);
  return s;
}

/* The loss of an update is logged as loss_NETS; a second one of the same networks as loss_NETS_2. */
static void log_loss(Eval *c, Instance *const *net, int n, int loss) {
  fn_output(c->fn, free_output_name(c, arena_printf(c->arena, "loss_%s", joined_names(c, net, n)), '_'),
            loss);
}

/* How often the network of variable v was updated before in this iteration. */
static int updates_before(const Var *v, Instance *const *net, int nnet) {
  for (int k = 0; k < nnet; k++)
    if (net[k]->net == v->net) return net[k]->updates;
  return 0;
}

static void step(Eval *c, const Ast *n, Instance *const *net, int nnet, const Optimiser *o) {
  Gradients g = gradients(c, n, net, nnet, c->loss);
  if (g.n == 0) return;
  log_loss(c, net, nnet, c->loss);
  int *nth = arena_alloc(c->arena, (size_t)g.n * sizeof *nth);
  for (int i = 0; i < g.n; i++) {
    const Var *v = &c->prog->var[g.var[i]];
    nth[i] = updates_before(v, net, nnet);
    if (c->want_grads) output_gradient(c, v, g.grad[i]);
  }
  optimiser_run(c, o, g.n, g.var, g.grad, nth);
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
    eval_fail(c, n, "%s follows %s, which has not been called yet", inst->name, of->name);
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
  return eval_error(c, n, "%s stands only inside train", what);
}

static int updated_nets(Eval *c, const Ast *n, Instance **net) {
  int count = 0;
  for (const Ast *a = n->list; a; a = a->next) {
    Value v = eval_expr(c, a);
    if (v.kind == V_POISON) return -1;
    if (v.kind != V_INST) return eval_fail(c, a, "update takes networks, this is %s", kind_str(v)), -1;
    if (count == MAX_NETS) return eval_fail(c, a, "more than %d networks", MAX_NETS), -1;
    if (n->a && v.u.inst->average_of)
      return eval_fail(c, a, "%s is the average of %s: write `update %s` without an optimiser",
                       v.u.inst->name, v.u.inst->average_of->name, v.u.inst->name),
             -1;
    if (!n->a && !v.u.inst->average_of)
      return eval_fail(c, a, "%s is learnt: write `update %s with OPTIMISER { .. minimize LOSS }`",
                       v.u.inst->name, v.u.inst->name),
             -1;
    for (int i = 0; i < count; i++)
      if (net[i] == v.u.inst) return eval_fail(c, a, "%s is named twice", net[i]->name), -1;
    net[count++] = v.u.inst;
  }
  return count;
}

void exec_update(Eval *c, const Ast *n) {
  Instance *net[MAX_NETS];
  if (!in_train(c, n, "update")) return;
  if (!n->a && n->b) {
    eval_fail(c, n, "an update with a body names its optimiser: update %s with sgd(0.01) { .. }",
              n->list->name);
    return;
  }
  int nnet = updated_nets(c, n, net);
  if (!n->a) {
    c->fn->loc = eval_loc(c, n);
    for (int i = 0; i < nnet; i++) average(c, n->list, net[i]);
    return;
  }
  Value o = eval_expr(c, n->a);
  if (o.kind != V_OPT && o.kind != V_POISON)
    eval_fail(c, n->a, "update .. with needs an optimiser such as sgd(0.01) or adam(1e-3), this is %s",
              kind_str(o));
  if (c->in_update) {
    eval_fail(c, n, "updates do not stand inside each other");
    return;
  }
  int before = c->diag.errors;
  c->in_update = true;
  c->loss = LOSS_NONE;
  eval_exec(c, n->b);
  c->in_update = false;
  if (nnet < 0 || o.kind != V_OPT || c->stopped || c->diag.errors > before || c->loss == LOSS_FAILED) return;
  if (c->loss < 0) {
    eval_fail(c, n, "this update minimizes nothing: write `minimize LOSS` in it");
    return;
  }
  c->fn->loc = eval_loc(c, n);
  step(c, n, net, nnet, o.u.opt);
}

/* A value of rank 0; -1 after reporting. */
static int rank0(Eval *c, const Ast *n, const char *what, Value v) {
  char buf[96];
  int x = value_f32(c, n, what, v);
  if (x < 0 || c->fn->node[x].type.rank == 0) return x;
  eval_fail(c, n, "%s must be one number (rank 0), it is %s; take its mean() or sum()", what,
            type_str(c->fn->node[x].type, buf));
  return -1;
}

void exec_minimize(Eval *c, const Ast *n) {
  Value v = eval_expr(c, n->a);
  if (!c->in_update) {
    eval_fail(c, n, "minimize stands only inside update");
    return;
  }
  int x = rank0(c, n, "what is minimized", v);
  if (x < 0 || c->loss == LOSS_FAILED) {
    c->loss = LOSS_FAILED;
    return;
  }
  c->fn->loc = eval_loc(c, n);
  c->loss = c->loss < 0 ? x : ir_add(c->fn, c->loss, x);
}

void eval_log(Eval *c, const Ast *n, const char *name, Value v) {
  if (!in_train(c, n, "log")) return;
  int x = rank0(c, n, "a logged value", v);
  if (x < 0) return;
  for (int i = 0; i < c->fn->nout; i++)
    if (!strcmp(c->fn->out[i].name, name)) {
      eval_fail(c, n, "'%s' is logged already", name);
      return;
    }
  fn_output(c->fn, arena_strdup(c->arena, name), x);
}
