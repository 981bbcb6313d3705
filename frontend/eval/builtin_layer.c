/* builtin_layer.c - layers that own parameters, and those that behave differently when training. */
#include "frontend/eval/eval.h"
#include <math.h>
#include <string.h>

/* ---- initialisers ---- */

static Value make_init(Eval *c, InitKind kind, double a, double b) {
  Init *i = arena_alloc(c->arena, sizeof *i);
  *i = (Init){.kind = kind, .a = a, .b = b};
  return (Value){V_INIT, {.init = i}};
}

static Value bi_init_uniform(Eval *c, const Ast *at, Value *arg) {
  double a;
  return arg_num(c, at, "bound", arg[0], &a) ? make_init(c, INIT_UNIFORM, -a, a) : v_poison();
}

static Value bi_init_normal(Eval *c, const Ast *at, Value *arg) {
  double std, mean = 0;
  if (!arg_num(c, at, "std", arg[0], &std) || (arg_given(arg[1]) && !arg_num(c, at, "mean", arg[1], &mean)))
    return v_poison();
  return make_init(c, INIT_NORMAL, mean, std);
}

static Value bi_init_const(Eval *c, const Ast *at, Value *arg) {
  double v;
  return arg_num(c, at, "value", arg[0], &v) ? make_init(c, INIT_CONST, v, 0) : v_poison();
}

static Init default_init(double fan_in) {
  double bound = 1 / sqrt(fan_in);
  return (Init){.kind = INIT_UNIFORM, .a = -bound, .b = bound};
}

/* "default", "kin", "kout" or an initialiser. */
static bool arg_init(Eval *c, const Ast *at, Value v, double fan_in, double fan_out, Init *out) {
  *out = default_init(fan_in);
  if (!arg_given(v)) return true;
  if (v.kind == V_INIT) return *out = *v.u.init, true;
  if (v.kind != V_STR)
    return eval_fail(c, at, "init must be a string or an initialiser, it is %s", kind_str(v)), false;
  if (!strcmp(v.u.str, "default")) return true;
  bool in = !strcmp(v.u.str, "kin");
  if (!in && strcmp(v.u.str, "kout"))
    return eval_fail(c, at,
                     "init \"%.40s\" is unknown; there are \"default\", \"kin\", \"kout\", init_uniform, "
                     "init_normal, init_const",
                     v.u.str),
           false;
  *out = (Init){.kind = INIT_NORMAL, .b = sqrt(2 / (in ? fan_in : fan_out))};
  return true;
}

/* ---- convolutions and linear maps ---- */

/* v (C) as (1,C,1..) of x's rank. */
static int per_channel(Eval *c, int v, int x) {
  if (v < 0 || x < 0) return -1;
  Type t = {.dt = F32, .rank = c->fn->node[x].type.rank};
  for (int i = 0; i < t.rank; i++) t.dim[i] = i == 1 ? c->fn->node[v].type.dim[0] : 1;
  return ir_reshape(c->fn, v, t);
}

static Type vector_type(int64_t n) { return (Type){.dt = F32, .rank = 1, .dim = {n}}; }

static Value add_bias(Eval *c, const Ast *at, Value y, bool on, int64_t n, Init init) {
  if (!on || y.kind == V_POISON) return y;
  int b = net_parameter(c, at, c->frame->place, "bias", vector_type(n), init, ROLE_PARAM);
  return b < 0 ? v_poison() : eval_node(c, at, ir_add(c->fn, y.u.node, per_channel(c, b, y.u.node)));
}

typedef struct {
  int x, n; /* operand, spatial axes */
  Type t;
  int64_t out, k[MAX_SPATIAL], stride[MAX_SPATIAL], pad[MAX_SPATIAL], cells;
  bool bias;
} ConvArgs;

enum { MAX_CHANNELS = 1 << 20 };

/* The input of a layer. Labels are refused: converted silently they would pass for images. */
static bool layer_input(Eval *c, const Ast *at, Value v, int *x) {
  return not_labels(c, at, v, "onehot(x, classes) or float(x) makes it an input") &&
         arg_tensor(c, at, "x", v, x);
}

static bool conv_args(Eval *c, const Ast *at, const char *who, Value *arg, ConvArgs *a) {
  char buf[96];
  if (!layer_input(c, at, arg[0], &a->x)) return false;
  a->t = c->fn->node[a->x].type;
  a->n = a->t.rank - 2;
  if (a->n < 2 || a->n > MAX_SPATIAL)
    return eval_fail(c, at, "%s: x must be (N,C,S) with two or three spatial axes, it is %s", who,
                     type_str(a->t, buf)),
           false;
  a->bias = true;
  if (!arg_int(c, at, "out", arg[1], 1, MAX_CHANNELS, &a->out) ||
      !arg_spatial(c, at, "k", arg[2], a->n, 1, a->k) ||
      !arg_spatial(c, at, "stride", arg_given(arg[3]) ? arg[3] : v_num(1), a->n, 1, a->stride) ||
      !arg_spatial(c, at, "pad", arg_given(arg[4]) ? arg[4] : v_num(0), a->n, 0, a->pad) ||
      (arg_given(arg[5]) && !arg_bool(c, at, "bias", arg[5], &a->bias)))
    return false;
  double cells = 1;
  for (int i = 0; i < a->n; i++) cells *= (double)a->k[i];
  if (cells * (double)a->out * (double)a->t.dim[1] > 1e10)
    return eval_fail(c, at, "%s: the weight would be too large", who), false;
  a->cells = (int64_t)cells;
  return true;
}

static Type weight_type(const ConvArgs *a, int64_t first, int64_t second) {
  Type w = {.dt = F32, .rank = a->n + 2, .dim = {first, second}};
  for (int i = 0; i < a->n; i++) w.dim[2 + i] = a->k[i];
  return w;
}

static Value bi_conv(Eval *c, const Ast *at, Value *arg) {
  ConvArgs a = {0};
  Init init;
  if (!conv_args(c, at, "conv", arg, &a)) return v_poison();
  double fan_in = (double)(a.t.dim[1] * a.cells);
  if (!arg_init(c, at, arg[6], fan_in, (double)(a.out * a.cells), &init)) return v_poison();
  int w =
      net_parameter(c, at, c->frame->place, "weight", weight_type(&a, a.out, a.t.dim[1]), init, ROLE_PARAM);
  if (w < 0) return v_poison();
  return add_bias(c, at, eval_node(c, at, ir_conv(c->fn, a.x, w, a.stride, a.pad)), a.bias, a.out,
                  default_init(fan_in));
}

/* The adjoint of a convolution from `out` to C channels: weight (C,out,K). */
static Value bi_convt(Eval *c, const Ast *at, Value *arg) {
  ConvArgs a = {0};
  Init init;
  int64_t size[MAX_SPATIAL];
  if (!conv_args(c, at, "convt", arg, &a)) return v_poison();
  double fan_in = (double)(a.out * a.cells);
  if (!arg_init(c, at, arg[6], fan_in, (double)(a.t.dim[1] * a.cells), &init)) return v_poison();
  for (int i = 0; i < a.n; i++) {
    size[i] = (a.t.dim[2 + i] - 1) * a.stride[i] - 2 * a.pad[i] + a.k[i];
    if (size[i] < 1) return eval_fail(c, at, "convt: the padding leaves nothing of spatial axis %d", i);
  }
  int w =
      net_parameter(c, at, c->frame->place, "weight", weight_type(&a, a.t.dim[1], a.out), init, ROLE_PARAM);
  if (w < 0) return v_poison();
  Value y = eval_node(c, at, ir_conv_grad(c->fn, OP_conv_dx, a.x, w, a.stride, a.pad, size));
  return add_bias(c, at, y, a.bias, a.out, default_init(fan_in));
}

/* x (N,C) -> (N,out). */
static Value bi_linear(Eval *c, const Ast *at, Value *arg) {
  int x;
  int64_t out;
  bool bias = true;
  Init init;
  char buf[96];
  if (!layer_input(c, at, arg[0], &x) || !arg_int(c, at, "out", arg[1], 1, MAX_CHANNELS, &out) ||
      (arg_given(arg[2]) && !arg_bool(c, at, "bias", arg[2], &bias)))
    return v_poison();
  Type t = c->fn->node[x].type;
  if (t.rank != 2)
    return eval_fail(c, at, "linear: x must be (N,C), it is %s; use flatten", type_str(t, buf));
  if ((double)out * (double)t.dim[1] > 1e10) return eval_fail(c, at, "linear: the weight would be too large");
  if (!arg_init(c, at, arg[3], (double)t.dim[1], (double)out, &init)) return v_poison();
  Type wt = {.dt = F32, .rank = 2, .dim = {out, t.dim[1]}};
  int w = net_parameter(c, at, c->frame->place, "weight", wt, init, ROLE_PARAM);
  if (w < 0) return v_poison();
  return add_bias(c, at, eval_node(c, at, ir_inner(c->fn, x, w)), bias, out, default_init((double)t.dim[1]));
}

static Value bi_param(Eval *c, const Ast *at, Value *arg) {
  Type t;
  Init init;
  if (!arg_shape(c, at, "shape", arg[0], F32, &t)) return v_poison();
  if (arg[1].kind != V_INIT)
    return eval_fail(c, at, "param: init must be init_uniform(..), init_normal(..) or init_const(..)");
  init = *arg[1].u.init;
  int w = net_parameter(c, at, c->frame->place, NULL, t, init, ROLE_PARAM);
  return w < 0 ? v_poison() : (Value){V_TENSOR, {.node = w}};
}

/* ---- normalisation ---- */

typedef struct {
  int x, gamma, beta, mean, var;
  Type t;
  double momentum, eps;
} Norm;

/* Running values move by `momentum` towards the batch's; the variance kept is the unbiased one. */
static void track(Eval *c, const Norm *b, int mean, int var) {
  Fn *f = c->fn;
  double m = (double)(type_count(b->t) / b->t.dim[1]), unbias = m > 1 ? m / (m - 1) : 1;
  Type v = vector_type(b->t.dim[1]);
  int new_mean = ir_scale(f, ir_reshape(f, mean, v), b->momentum);
  int new_var = ir_scale(f, ir_reshape(f, var, v), b->momentum * unbias);
  buffer_set(c, c->frame->place, "running_mean", ir_add(f, ir_scale(f, b->mean, 1 - b->momentum), new_mean));
  buffer_set(c, c->frame->place, "running_var", ir_add(f, ir_scale(f, b->var, 1 - b->momentum), new_var));
}

static Value norm_train(Eval *c, const Ast *at, const Norm *b) {
  Fn *f = c->fn;
  unsigned axes = all_axes(b->t) & ~2u;
  int mean = ir_mean(f, b->x, axes);
  int d = ir_sub(f, b->x, mean);
  int var = ir_mean(f, ir_mul(f, d, d), axes);
  Value y = eval_node(c, at, ir_batchnorm(f, b->x, b->gamma, b->beta, mean, var, b->eps));
  if (y.kind != V_POISON && f->kind == FN_TRAIN) track(c, b, mean, var);
  return y;
}

/* x*scale + shift with scale = gamma/sqrt(var+eps), shift = beta - mean*scale: vectors of C once, then two
 * operations per element. */
static Value norm_eval(Eval *c, const Ast *at, const Norm *b) {
  Fn *f = c->fn;
  int scale = ir_mul(f, b->gamma, ir_unary(f, OP_rsqrt, ir_add(f, b->var, ir_const(f, b->eps))));
  int shift = ir_sub(f, b->beta, ir_mul(f, b->mean, scale));
  int y = ir_mul(f, b->x, per_channel(c, scale, b->x));
  return eval_node(c, at, ir_add(f, y, per_channel(c, shift, b->x)));
}

static Value bi_batchnorm(Eval *c, const Ast *at, Value *arg) {
  Norm b = {.momentum = 0.1, .eps = 1e-5};
  double spread = 0;
  char buf[96];
  if (!layer_input(c, at, arg[0], &b.x) ||
      (arg_given(arg[1]) && !arg_num(c, at, "momentum", arg[1], &b.momentum)) ||
      (arg_given(arg[2]) && !arg_num(c, at, "eps", arg[2], &b.eps)) ||
      (arg_given(arg[3]) && !arg_num(c, at, "gamma_std", arg[3], &spread)))
    return v_poison();
  b.t = c->fn->node[b.x].type;
  if (b.t.rank < 2) return eval_fail(c, at, "batchnorm: x must be (N,C,..), it is %s", type_str(b.t, buf));
  const ParamScope *p = c->frame->place;
  Type v = vector_type(b.t.dim[1]);
  Init one = {.kind = INIT_CONST, .a = 1}, zero = {.kind = INIT_CONST};
  Init gamma = spread > 0 ? (Init){.kind = INIT_NORMAL, .a = 1, .b = spread} : one;
  b.gamma = net_parameter(c, at, p, "weight", v, gamma, ROLE_PARAM);
  b.beta = net_parameter(c, at, p, "bias", v, zero, ROLE_PARAM);
  b.mean = net_parameter(c, at, p, "running_mean", v, zero, ROLE_BUFFER);
  b.var = net_parameter(c, at, p, "running_var", v, one, ROLE_BUFFER);
  if (b.gamma < 0 || b.beta < 0 || b.mean < 0 || b.var < 0) return v_poison();
  return inst_training(c, p->inst) ? norm_train(c, at, &b) : norm_eval(c, at, &b);
}

/* ---- dropout ---- */

static Value bi_dropout(Eval *c, const Ast *at, Value *arg) {
  int x;
  double p;
  bool channels = false;
  if (!arg_tensor(c, at, "x", arg[0], &x) || !arg_num(c, at, "p", arg[1], &p) ||
      (arg_given(arg[2]) && !arg_bool(c, at, "channels", arg[2], &channels)))
    return v_poison();
  if (p < 0 || p >= 1) return eval_fail(c, at, "dropout: p must lie in [0,1), it is %g", p);
  if (!c->frame->place) return eval_fail(c, at, "dropout follows the mode of a network; use it inside a net");
  if (p == 0 || !inst_training(c, c->frame->place->inst)) return (Value){V_TENSOR, {.node = x}};
  Type t = c->fn->node[x].type;
  for (int i = 2; channels && i < t.rank; i++) t.dim[i] = 1;
  int u = ir_rand(c->fn, 0, c->prog->sites++, t);
  int keep = ir_binary(c->fn, OP_le, ir_const(c->fn, p), u);
  return eval_node(c, at, ir_mul(c->fn, x, ir_scale(c->fn, keep, 1 / (1 - p))));
}

/* v (C) or (N,C) as a factor for images of x's rank: (1,C,1..) or (N,C,1..). */
static Value bi_per_channel(Eval *c, const Ast *at, Value *arg) {
  int v, x;
  char buf[96];
  if (!arg_tensor(c, at, "v", arg[0], &v) || !arg_tensor(c, at, "x", arg[1], &x)) return v_poison();
  Type t = c->fn->node[v].type, shape = {.dt = F32, .rank = c->fn->node[x].type.rank};
  if (t.rank < 1 || t.rank > 2 || shape.rank < 2)
    return eval_fail(c, at, "per_channel: v must be (C) or (N,C), it is %s", type_str(t, buf));
  for (int i = 0; i < shape.rank; i++) shape.dim[i] = 1;
  shape.dim[1] = t.dim[t.rank - 1];
  if (t.rank == 2) shape.dim[0] = t.dim[0];
  return eval_node(c, at, ir_reshape(c->fn, v, shape));
}

const Builtin builtins_layer[] = {
    {"conv", "x out k stride? pad? bias? init?", true, bi_conv},
    {"convt", "x out k stride? pad? bias? init?", true, bi_convt},
    {"linear", "x out bias? init?", true, bi_linear},
    {"batchnorm", "x momentum? eps? gamma_std?", true, bi_batchnorm},
    {"param", "shape init", true, bi_param},
    {"dropout", "x p channels?", false, bi_dropout},
    {"per_channel", "v x", false, bi_per_channel},
    {"init_uniform", "bound", false, bi_init_uniform},
    {"init_normal", "std mean?", false, bi_init_normal},
    {"init_const", "value", false, bi_init_const},
    {NULL, NULL, false, NULL},
};
