/* optimiser.c - the optimisers of optimiser.def: their arguments, and their steps in the graph. */
#include "frontend/eval/optimiser.h"
#include <math.h>
#include <string.h>

/* ---- arguments ---- */

static bool arg_rate(Eval *c, const Ast *at, Value v, Value *lr) {
  char buf[96];
  *lr = v;
  if (v.kind == V_NUM && v.u.num < 0)
    return eval_error(c, at, "lr must be at least 0, it is %g: minimize goes downhill by itself", v.u.num);
  if (v.kind == V_NUM) return true;
  if (v.kind != V_TENSOR)
    return eval_error(c, at, "lr must be a number or a tensor of rank 0, it is %s", kind_str(v));
  if (value_type(c, v).rank == 0) return true;
  return eval_error(c, at, "lr must have rank 0, it is %s", type_str(value_type(c, v), buf));
}

/* A number of the range [0,1) or [0,inf), left as it is where none is given: what is outside diverges or
 * climbs. */
static bool arg_factor(Eval *c, const Ast *at, const char *what, Value v, double below, double *out) {
  if (!arg_given(v)) return true;
  if (!arg_num(c, at, what, v, out)) return false;
  if (*out >= 0 && *out < below) return true;
  return eval_error(c, at, "%s must be %s, it is %g", what,
                    below == 1 ? "at least 0 and less than 1" : "at least 0", *out);
}

Value make_optimiser(Eval *c, const Ast *at, Value *arg) {
  const OptimiserKind *kind = optimiser_table;
  while (strcmp(kind->name, c->who)) kind++;
  Optimiser o = {.kind = kind};
  if (!arg_rate(c, at, arg[0], &o.lr) || !kind->args(c, at, arg, &o)) return v_poison();
  Optimiser *p = arena_alloc(c->arena, sizeof *p);
  *p = o;
  return (Value){V_OPT, {.opt = p}};
}

/* ---- what steps are made of ---- */

int clock_input(Eval *c, const char *name) { return ir_input(c->fn, name, type_scalar()); }

/* The variable of state i of the parameter; a network's second update in one iteration has its own. */
static int state(Eval *c, const OptimStep *s, int i) {
  const Var *of = &c->prog->var[s->var];
  const char *what = s->o->kind->state[i];
  const char *name = s->nth ? arena_printf(c->arena, "%s.%s%d", of->name, what, s->nth + 1)
                            : arena_printf(c->arena, "%s.%s", of->name, what);
  for (int k; (k = prog_find_var(c->prog, name)) >= 0;) {
    if (c->prog->var[k].role == ROLE_OPTIM) return k;
    name = arena_printf(c->arena, "%s_", name); /* a parameter of the network has this very name */
  }
  return prog_var(c->prog, (Var){.name = name, .type = of->type, .role = ROLE_OPTIM, .net = of->net});
}

/* The gradient with weight decay added to it (L2 regularisation). */
static int decayed(Fn *f, const OptimStep *s) {
  return s->o->decay != 0 ? ir_add(f, s->grad, ir_scale(f, s->weight, s->o->decay)) : s->grad;
}

/* ---- SGD: g += wd w; m = mu m + g; w -= lr m, or with Nesterov w -= lr (g + mu m) (PyTorch's form) ---- */

static bool sgd_args(Eval *c, const Ast *at, Value *arg, Optimiser *o) {
  return arg_factor(c, at, "momentum", arg[1], 1, &o->momentum) &&
         arg_factor(c, at, "weight_decay", arg[2], INFINITY, &o->decay) &&
         (!arg_given(arg[3]) || arg_bool(c, at, "nesterov", arg[3], &o->nesterov));
}

static void sgd_begin(Eval *c, const Optimiser *o, int lr, int shared[MAX_OPTIM_SHARED]) {
  (void)c, (void)o;
  shared[0] = lr;
}

static void sgd_step(Eval *c, const OptimStep *s) {
  Fn *f = c->fn;
  int g = decayed(f, s);
  if (s->o->momentum != 0) {
    int v = state(c, s, 0), m = ir_add(f, ir_scale(f, var_read(c, v), s->o->momentum), g);
    var_write(c, v, m);
    g = s->o->nesterov ? ir_add(f, g, ir_scale(f, m, s->o->momentum)) : m;
  }
  var_write(c, s->var, ir_sub(f, s->weight, ir_mul(f, s->shared[0], g)));
}

/* ---- Adam (Kingma and Ba, 2015): m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; w -= lr/(1-b1^t) m /
 * (sqrt(v)/sqrt(1-b2^t) + eps), t = iteration + 1 ---- */

static bool adam_args(Eval *c, const Ast *at, Value *arg, Optimiser *o) {
  o->beta1 = 0.9, o->beta2 = 0.999, o->eps = 1e-8;
  if (arg_given(arg[1])) {
    if (arg[1].kind != V_LIST || arg[1].u.list->n != 2)
      return eval_error(c, at, "adam: betas must be a list of two numbers");
    if (!arg_factor(c, at, "beta 1", arg[1].u.list->v[0], 1, &o->beta1) ||
        !arg_factor(c, at, "beta 2", arg[1].u.list->v[1], 1, &o->beta2))
      return false;
  }
  return (!arg_given(arg[2]) || arg_num(c, at, "eps", arg[2], &o->eps)) &&
         arg_factor(c, at, "weight_decay", arg[3], INFINITY, &o->decay);
}

/* 1 - beta^t without the cancellation that takes 4 of float's 7 digits from 1 - 0.9999: with
 * h = tanh(-t log(beta) / 2), beta^t is (1 - h) / (1 + h), and so the rest 2 h / (1 + h). */
static int one_less_power(Fn *f, double beta, int t) {
  int one = ir_const(f, 1);
  if (beta == 0) return one;
  int h = ir_unary(f, OP_tanh, ir_scale(f, t, -0.5 * log(beta)));
  return ir_div(f, ir_scale(f, h, 2), ir_add(f, one, h));
}

/* The bias corrections: lr / (1 - b1^t) and 1 / sqrt(1 - b2^t). */
static void adam_begin(Eval *c, const Optimiser *o, int lr, int shared[MAX_OPTIM_SHARED]) {
  Fn *f = c->fn;
  int t = ir_add(f, clock_input(c, "iteration"), ir_const(f, 1));
  int norm = ir_unary(f, OP_sqrt, one_less_power(f, o->beta2, t));
  shared[0] = ir_div(f, lr, one_less_power(f, o->beta1, t));
  shared[1] = ir_div(f, ir_const(f, 1), norm);
}

static void adam_step(Eval *c, const OptimStep *s) {
  const Optimiser *o = s->o;
  Fn *f = c->fn;
  int g = decayed(f, s), sm = state(c, s, 0), sv = state(c, s, 1);
  int m = ir_add(f, ir_scale(f, var_read(c, sm), o->beta1), ir_scale(f, g, 1 - o->beta1));
  int q = ir_add(f, ir_scale(f, var_read(c, sv), o->beta2), ir_scale(f, ir_mul(f, g, g), 1 - o->beta2));
  int den = ir_add(f, ir_mul(f, ir_unary(f, OP_sqrt, q), s->shared[1]), ir_const(f, o->eps));
  var_write(c, sm, m);
  var_write(c, sv, q);
  var_write(c, s->var, ir_sub(f, s->weight, ir_mul(f, s->shared[0], ir_div(f, m, den))));
}

/* ---- the table ---- */

const OptimiserKind optimiser_table[] = {
#define OPTIMISER(name, params, ...) {#name, params, {__VA_ARGS__}, name##_args, name##_begin, name##_step},
#include "frontend/eval/optimiser.def"
#undef OPTIMISER
    {0}};

void optimiser_run(Eval *c, const Optimiser *o, int n, const int *var, const int *grad, const int *nth) {
  int shared[MAX_OPTIM_SHARED];
  int lr = o->lr.kind == V_NUM ? ir_const(c->fn, o->lr.u.num) : o->lr.u.node;
  o->kind->begin(c, o, lr, shared);
  for (int i = 0; i < n; i++) {
    OptimStep s = {.o = o,
                   .var = var[i],
                   .nth = nth[i],
                   .weight = var_read(c, var[i]),
                   .grad = grad[i],
                   .shared = shared};
    o->kind->step(c, &s);
  }
}
