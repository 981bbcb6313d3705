/* builtin_tensor.c - functions of tensors without parameters of their own. Many also take numbers. */
#include "frontend/eval/eval.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- elementwise ---- */

static Value finite_number(Eval *c, const Ast *at, const char *who, double y) {
  return isfinite(y) ? v_num(y) : eval_fail(c, at, "%s: the result is no finite number", who);
}

static Value map(Eval *c, const Ast *at, Op op, double (*of_number)(double), Value x) {
  if (x.kind == V_NUM) return finite_number(c, at, op_info[op].name, of_number(x.u.num));
  int n;
  if (!arg_tensor(c, at, op_info[op].name, x, &n)) return v_poison();
  return eval_node(c, at, ir_unary(c->fn, op, n));
}

/* An op that maps tensors, and what it makes of a number x. The declaration at the end takes the semicolon of
 * the use. */
#define MAP(name, of_x)                                                                                      \
  static double number_##name(double x) { return of_x; }                                                     \
  static Value bi_##name(Eval *c, const Ast *at, Value *arg) {                                               \
    return map(c, at, OP_##name, number_##name, arg[0]);                                                     \
  }                                                                                                          \
  static Value bi_##name(Eval *c, const Ast *at, Value *arg)
MAP(abs, fabs(x));
MAP(exp, exp(x));
MAP(log, log(x));
MAP(sqrt, sqrt(x));
MAP(rsqrt, 1 / sqrt(x));
MAP(floor, floor(x));
MAP(cos, cos(x));
MAP(sin, sin(x));
MAP(sigmoid, 1 / (1 + exp(-x)));
MAP(tanh, tanh(x));
MAP(relu, x > 0 ? x : 0);
#undef MAP

static Value bi_leaky(Eval *c, const Ast *at, Value *arg) {
  double slope = 0.01;
  int x;
  if (arg_given(arg[1]) && !arg_num(c, at, "slope", arg[1], &slope)) return v_poison();
  return arg_tensor(c, at, "x", arg[0], &x) ? eval_node(c, at, ir_leaky(c->fn, x, slope)) : v_poison();
}

static Value bi_stop(Eval *c, const Ast *at, Value *arg) {
  if (arg[0].kind == V_TENSOR && value_type(c, arg[0]).dt == I32) return arg[0];
  int x;
  return arg_tensor(c, at, "x", arg[0], &x) ? eval_node(c, at, ir_unary(c->fn, OP_stop, x)) : v_poison();
}

static Value cast_to(Eval *c, const Ast *at, Value v, DType dt) {
  if (v.kind == V_NUM) return v_num(dt == I32 ? trunc(v.u.num) : v.u.num);
  if (v.kind != V_TENSOR)
    return eval_fail(c, at, "only tensors and numbers have an element type, this is %s", kind_str(v));
  return value_type(c, v).dt == dt ? v : eval_node(c, at, ir_cast(c->fn, v.u.node, dt));
}
static Value bi_int(Eval *c, const Ast *at, Value *arg) { return cast_to(c, at, arg[0], I32); }
static Value bi_float(Eval *c, const Ast *at, Value *arg) { return cast_to(c, at, arg[0], F32); }

static Value reduce(Eval *c, const Ast *at, Op op, Value x, Value axes);

/* max(a, b) of two, max(x, axes = ..) over axes, max(list) over a list. */
static Value extreme(Eval *c, const Ast *at, bool larger, Value *arg) {
  Op op = larger ? OP_max : OP_min;
  if (arg[0].kind == V_LIST && !arg_given(arg[1]) && !arg_given(arg[2])) {
    const List *l = arg[0].u.list;
    if (l->n == 0) return eval_fail(c, at, "the list is empty");
    Value best = l->v[0];
    for (int i = 1; i < l->n && best.kind != V_POISON; i++)
      best = extreme(c, at, larger, (Value[]){best, l->v[i], v_none()});
    return best;
  }
  if (!arg_given(arg[1])) return reduce(c, at, larger ? OP_amax : OP_amin, arg[0], arg[2]);
  if (arg_given(arg[2])) return eval_fail(c, at, "%s: either two values or axes", op_info[op].name);
  if (arg[0].kind == V_NUM && arg[1].kind == V_NUM)
    return v_num(larger ? fmax(arg[0].u.num, arg[1].u.num) : fmin(arg[0].u.num, arg[1].u.num));
  return eval_elementwise(c, at, op, arg[0], arg[1]);
}
static Value bi_max(Eval *c, const Ast *at, Value *arg) { return extreme(c, at, true, arg); }
static Value bi_min(Eval *c, const Ast *at, Value *arg) { return extreme(c, at, false, arg); }

static Value bi_clamp(Eval *c, const Ast *at, Value *arg) {
  if (arg[1].kind == V_NUM && arg[2].kind == V_NUM && arg[1].u.num > arg[2].u.num)
    return eval_fail(c, at, "clamp: lo, %g, is larger than hi, %g", arg[1].u.num, arg[2].u.num);
  Value low = extreme(c, at, true, (Value[]){arg[0], arg[1], v_none()});
  return low.kind == V_POISON ? low : extreme(c, at, false, (Value[]){low, arg[2], v_none()});
}

static Value bi_select(Eval *c, const Ast *at, Value *arg) {
  int m = value_f32(c, at, "the mask", arg[0]);
  int a = value_f32(c, at, "the first choice", arg[1]);
  int b = value_f32(c, at, "the second choice", arg[2]);
  return m < 0 || a < 0 || b < 0 ? v_poison() : eval_node(c, at, ir_select(c->fn, m, a, b));
}

/* ---- reductions ---- */

/* Over the axes given, which stay with extent 1; over all of them to rank 0 when none are given. */
static Value reduce(Eval *c, const Ast *at, Op op, Value v, Value over) {
  int x;
  unsigned axes;
  if (!arg_tensor(c, at, "x", v, &x)) return v_poison();
  Type t = c->fn->node[x].type;
  if (arg_given(over)) {
    if (!arg_axes(c, at, over, t, &axes)) return v_poison();
    return eval_node(c, at, ir_reduce(c->fn, op, x, axes));
  }
  if (t.rank == 0) return v;
  Value all = eval_node(c, at, ir_reduce(c->fn, op, x, all_axes(t)));
  return all.kind == V_POISON ? all : eval_node(c, at, ir_reshape(c->fn, all.u.node, type_scalar()));
}

static Value sum_list(Eval *c, const Ast *at, const List *l) {
  if (l->n == 0) return v_num(0);
  Value s = l->v[0];
  for (int i = 1; i < l->n && s.kind != V_POISON; i++) s = value_binary(c, at, B_ADD, s, l->v[i]);
  return s;
}

static Value bi_sum(Eval *c, const Ast *at, Value *arg) {
  if (arg[0].kind == V_LIST) return sum_list(c, at, arg[0].u.list);
  return reduce(c, at, OP_sum, arg[0], arg[1]);
}

static Value bi_mean(Eval *c, const Ast *at, Value *arg) {
  if (arg[0].kind == V_LIST) {
    if (arg[0].u.list->n == 0) return eval_fail(c, at, "mean of an empty list");
    return value_binary(c, at, B_MUL, sum_list(c, at, arg[0].u.list), v_num(1.0 / arg[0].u.list->n));
  }
  Value s = reduce(c, at, OP_sum, arg[0], arg[1]);
  if (s.kind == V_POISON) return s;
  double n = (double)type_count(value_type(c, arg[0])) / (double)type_count(value_type(c, s));
  return eval_node(c, at, ir_scale(c->fn, s.u.node, 1 / n));
}

/* Channels unless another axis is given. */
static bool channel_axis(Eval *c, const Ast *at, Value v, int x, int *axis) {
  return arg_axis(c, at, arg_given(v) ? v : v_num(1), c->fn->node[x].type, axis);
}

static Value arg_extreme(Eval *c, const Ast *at, Op op, Value *arg) {
  int x, axis;
  if (!arg_tensor(c, at, "x", arg[0], &x) || !channel_axis(c, at, arg[1], x, &axis)) return v_poison();
  return eval_node(c, at, ir_argreduce(c->fn, op, x, axis));
}
static Value bi_argmax(Eval *c, const Ast *at, Value *arg) { return arg_extreme(c, at, OP_argmax, arg); }
static Value bi_argmin(Eval *c, const Ast *at, Value *arg) { return arg_extreme(c, at, OP_argmin, arg); }

static Value soft(Eval *c, const Ast *at, Op op, Value *arg) {
  int x, axis;
  if (!arg_tensor(c, at, "x", arg[0], &x) || !channel_axis(c, at, arg[1], x, &axis)) return v_poison();
  return eval_node(c, at, ir_softmax(c->fn, op, x, axis));
}
static Value bi_softmax(Eval *c, const Ast *at, Value *arg) { return soft(c, at, OP_softmax, arg); }
static Value bi_log_softmax(Eval *c, const Ast *at, Value *arg) { return soft(c, at, OP_log_softmax, arg); }

/* 0, 1, 2, .. along one axis of x; other extents are 1: boxes and grids are arithmetic on it. */
static Value bi_position(Eval *c, const Ast *at, Value *arg) {
  int axis;
  if (arg[0].kind != V_TENSOR)
    return eval_fail(c, at, "position: x must be a tensor, it is %s", kind_str(arg[0]));
  Type x = value_type(c, arg[0]), t = {.dt = I32, .rank = x.rank};
  if (!arg_axis(c, at, arg[1], x, &axis)) return v_poison();
  for (int i = 0; i < t.rank; i++) t.dim[i] = i == axis ? x.dim[i] : 1;
  return eval_node(c, at, ir_cast(c->fn, ir_iota(c->fn, axis, t), F32));
}

/* label (N,1,S) -> f32 (N,classes,S), 1 where the channel is the label. */
static Value bi_onehot(Eval *c, const Ast *at, Value *arg) {
  int64_t classes;
  char buf[96];
  if (arg[0].kind != V_TENSOR)
    return eval_fail(c, at, "onehot: the label must be a tensor, it is %s", kind_str(arg[0]));
  if (!arg_int(c, at, "classes", arg[1], 1, 65536, &classes)) return v_poison();
  Type t = value_type(c, arg[0]);
  if (t.rank < 2 || t.dim[1] != 1)
    return eval_fail(c, at, "onehot: the label must be (N,1,..), it is %s", type_str(t, buf));
  Type channel = {.dt = t.dt, .rank = t.rank};
  for (int i = 0; i < t.rank; i++) channel.dim[i] = i == 1 ? classes : 1;
  int code = ir_iota(c->fn, 1, channel);
  return eval_node(c, at, ir_binary(c->fn, OP_eq, arg[0].u.node, code));
}

/* ---- movement ---- */

/* Skips that meet a map of another size: said here, where the remedy is known. */
static bool same_space(Eval *c, const Ast *at, const int *x, int n, int axis) {
  static const char rounding[] = "; pooling and strides round down: sizes should be multiples of 2 to the "
                                 "number of levels below";
  char a[96], b[96];
  Type first = c->fn->node[x[0]].type;
  for (int i = 1; i < n; i++) {
    Type t = c->fn->node[x[i]].type;
    for (int k = 2; k < t.rank && t.rank == first.rank; k++)
      if (k != axis && t.dim[k] != first.dim[k])
        return eval_error(c, at, "concat of %s and %s along axis %d: axis %d has %lld and %lld%s",
                          type_str(first, a), type_str(t, b), axis, k, (long long)first.dim[k],
                          (long long)t.dim[k], llabs(first.dim[k] - t.dim[k]) < 4 ? rounding : "");
  }
  return true;
}

static Value bi_concat(Eval *c, const Ast *at, Value *arg) {
  const List *l = arg[0].u.list;
  if (l->n == 1 && l->v[0].kind == V_LIST) l = l->v[0].u.list;
  if (l->n == 0) return eval_fail(c, at, "concat needs tensors");
  if (l->n > 64) return eval_fail(c, at, "concat: %d tensors, at most 64 are possible", l->n);
  int x[64], axis;
  for (int i = 0; i < l->n; i++) {
    if (l->v[i].kind != V_TENSOR)
      return eval_fail(c, at, "concat: operand %d must be a tensor, it is %s", i + 1, kind_str(l->v[i]));
    x[i] = l->v[i].u.node;
  }
  if (!channel_axis(c, at, arg[1], x[0], &axis) || !same_space(c, at, x, l->n, axis)) return v_poison();
  int n = l->n;
  while (n > 1) { /* in eights, the most one node takes */
    int groups = 0;
    for (int i = 0; i < n; i += MAX_IN) {
      int k = n - i < MAX_IN ? n - i : MAX_IN;
      Value v =
          k == 1 ? (Value){V_TENSOR, {.node = x[i]}} : eval_node(c, at, ir_concat(c->fn, k, x + i, axis));
      if (v.kind == V_POISON) return v;
      x[groups++] = v.u.node;
    }
    n = groups;
  }
  return (Value){V_TENSOR, {.node = x[0]}};
}

static Value bi_slice(Eval *c, const Ast *at, Value *arg) {
  int axis;
  int64_t lo, hi, far = 1 << 24;
  if (arg[0].kind != V_TENSOR)
    return eval_fail(c, at, "slice: x must be a tensor, it is %s", kind_str(arg[0]));
  if (!arg_axis(c, at, arg[1], value_type(c, arg[0]), &axis) || !arg_int(c, at, "lo", arg[2], 0, far, &lo) ||
      !arg_int(c, at, "hi", arg[3], 0, far, &hi))
    return v_poison();
  return eval_node(c, at, ir_slice(c->fn, arg[0].u.node, axis, lo, hi));
}

static Value bi_pad(Eval *c, const Ast *at, Value *arg) {
  int axis;
  int64_t lo, hi, far = 1 << 20;
  if (arg[0].kind != V_TENSOR) return eval_fail(c, at, "pad: x must be a tensor, it is %s", kind_str(arg[0]));
  if (!arg_axis(c, at, arg[1], value_type(c, arg[0]), &axis) || !arg_int(c, at, "lo", arg[2], 0, far, &lo) ||
      !arg_int(c, at, "hi", arg[3], 0, far, &hi))
    return v_poison();
  return eval_node(c, at, ir_pad(c->fn, arg[0].u.node, axis, lo, hi));
}

static Value shaped(Eval *c, const Ast *at, Value *arg, int (*build)(Fn *, int, Type)) {
  Type t;
  if (arg[0].kind != V_TENSOR) return eval_fail(c, at, "x must be a tensor, it is %s", kind_str(arg[0]));
  if (!arg_shape(c, at, "shape", arg[1], value_type(c, arg[0]).dt, &t)) return v_poison();
  return eval_node(c, at, build(c->fn, arg[0].u.node, t));
}
static Value bi_reshape(Eval *c, const Ast *at, Value *arg) { return shaped(c, at, arg, ir_reshape); }
static Value bi_broadcast(Eval *c, const Ast *at, Value *arg) { return shaped(c, at, arg, ir_broadcast); }

static Value bi_flatten(Eval *c, const Ast *at, Value *arg) {
  if (arg[0].kind != V_TENSOR)
    return eval_fail(c, at, "flatten: x must be a tensor, it is %s", kind_str(arg[0]));
  Type t = value_type(c, arg[0]);
  if (t.rank < 2) return eval_fail(c, at, "flatten: x must have rank 2 or more");
  Type flat = {.dt = t.dt, .rank = 2, .dim = {t.dim[0], type_count(t) / t.dim[0]}};
  return eval_node(c, at, ir_reshape(c->fn, arg[0].u.node, flat));
}

static int spatial_rank(Eval *c, int x) {
  int rank = c->fn->node[x].type.rank;
  return rank > 2 && rank <= 2 + MAX_SPATIAL ? rank - 2 : 0;
}

/* Tensor with spatial axes, f32 or as it is; their number goes to *n. */
static bool image_or_label(Eval *c, const Ast *at, const char *who, Value v, int *x, int *n) {
  char buf[96];
  if (v.kind == V_TENSOR) *x = v.u.node;
  else if (!arg_tensor(c, at, who, v, x)) return false;
  *n = spatial_rank(c, *x);
  if (*n) return true;
  return eval_error(c, at, "%s must be (N,C,S..) with 1 to 3 spatial axes, it is %s", who,
                    type_str(c->fn->node[*x].type, buf));
}

/* The same as f32. */
static bool image(Eval *c, const Ast *at, const char *who, Value v, int *x, int *n) {
  return image_or_label(c, at, who, v, x, n) && arg_tensor(c, at, who, v, x);
}

/* The same where neighbours are mixed, which makes nothing of class numbers. */
static bool mixed_image(Eval *c, const Ast *at, Value v, int *x, int *n) {
  return not_labels(c, at, v,
                    "class numbers do not mix: upsample(x, factor) repeats them, onehot(x, classes) or "
                    "float(x) may be mixed") &&
         image(c, at, "x", v, x, n);
}

static Value bi_upsample(Eval *c, const Ast *at, Value *arg) {
  int x, n;
  int64_t f[MAX_SPATIAL], size[MAX_SPATIAL];
  const char *mode = "nearest";
  bool align = true;
  if (!image_or_label(c, at, "x", arg[0], &x, &n) || !arg_spatial(c, at, "factor", arg[1], n, 1, f) ||
      (arg_given(arg[2]) && !arg_str(c, at, "mode", arg[2], &mode)) ||
      (arg_given(arg[3]) && !arg_bool(c, at, "align", arg[3], &align)))
    return v_poison();
  if (!strcmp(mode, "nearest")) return eval_node(c, at, ir_upsample(c->fn, x, f));
  if (strcmp(mode, "linear"))
    return eval_fail(c, at, "upsample: mode must be \"nearest\" or \"linear\", it is \"%.40s\"", mode);
  if (!mixed_image(c, at, arg[0], &x, &n)) return v_poison();
  for (int i = 0; i < n; i++) size[i] = c->fn->node[x].type.dim[2 + i] * f[i];
  return eval_node(c, at, ir_resize(c->fn, OP_resize, x, size, align));
}

static Value bi_resize(Eval *c, const Ast *at, Value *arg) {
  int x, n;
  int64_t size[MAX_SPATIAL];
  bool align = false;
  if (!mixed_image(c, at, arg[0], &x, &n) || !arg_spatial(c, at, "size", arg[1], n, 1, size) ||
      (arg_given(arg[2]) && !arg_bool(c, at, "align", arg[2], &align)))
    return v_poison();
  return eval_node(c, at, ir_resize(c->fn, OP_resize, x, size, align));
}

static Value bi_maxpool(Eval *c, const Ast *at, Value *arg) {
  int x, n;
  int64_t k[MAX_SPATIAL];
  ConvGeom geom;
  if (!image(c, at, "x", arg[0], &x, &n) || !arg_spatial(c, at, "k", arg[1], n, 1, k) ||
      !arg_geom(c, at, arg_given(arg[2]) ? arg[2] : arg[1], arg[3], n, &geom))
    return v_poison();
  return eval_node(c, at, ir_maxpool(c->fn, x, k, &geom));
}

static Value bi_avgpool(Eval *c, const Ast *at, Value *arg) {
  int x, n;
  int64_t k[MAX_SPATIAL];
  if (!mixed_image(c, at, arg[0], &x, &n) || !arg_spatial(c, at, "k", arg[1], n, 1, k)) return v_poison();
  double cells = 1;
  for (int i = 0; i < n; i++) cells *= (double)k[i];
  Value s = eval_node(c, at, ir_sumpool(c->fn, x, k));
  return s.kind == V_POISON ? s : eval_node(c, at, ir_scale(c->fn, s.u.node, 1 / cells));
}

static Value bi_dwconv(Eval *c, const Ast *at, Value *arg) {
  int x, w, n;
  ConvGeom geom;
  if (!mixed_image(c, at, arg[0], &x, &n) || !arg_tensor(c, at, "w", arg[1], &w) ||
      !arg_geom(c, at, arg_given(arg[2]) ? arg[2] : v_num(1), arg[3], n, &geom))
    return v_poison();
  return eval_node(c, at, ir_dwconv(c->fn, x, w, &geom));
}

static Value bi_matmul(Eval *c, const Ast *at, Value *arg) {
  int a, b;
  if (!arg_tensor(c, at, "a", arg[0], &a) || !arg_tensor(c, at, "b", arg[1], &b)) return v_poison();
  return eval_node(c, at, ir_matmul(c->fn, a, b, false));
}

/* ---- randomness ---- */

/* A shape: a tensor's, or a list of extents. */
static bool like(Eval *c, const Ast *at, Value v, Type *t) {
  if (!c->fn) return eval_error(c, at, "random tensors exist only inside train, predict and forward");
  if (v.kind == V_TENSOR) {
    *t = value_type(c, v);
    t->dt = F32;
    return true;
  }
  return arg_shape(c, at, "the shape", v, F32, t);
}

static Value noise(Eval *c, const Ast *at, Value of, int mode, double scale, double shift) {
  Type t;
  if (!like(c, at, of, &t)) return v_poison();
  int r = ir_rand(c->fn, mode, c->prog->sites++, t);
  if (scale != 1) r = ir_scale(c->fn, r, scale);
  if (shift != 0 && r >= 0) r = ir_add(c->fn, r, ir_const(c->fn, shift));
  return eval_node(c, at, r);
}

static Value bi_normal(Eval *c, const Ast *at, Value *arg) {
  double std = 1;
  if (arg_given(arg[1]) && !arg_num(c, at, "std", arg[1], &std)) return v_poison();
  return noise(c, at, arg[0], 1, std, 0);
}

static Value bi_uniform(Eval *c, const Ast *at, Value *arg) {
  double lo = 0, hi = 1;
  if ((arg_given(arg[1]) && !arg_num(c, at, "lo", arg[1], &lo)) ||
      (arg_given(arg[2]) && !arg_num(c, at, "hi", arg[2], &hi)))
    return v_poison();
  return noise(c, at, arg[0], 0, hi - lo, lo);
}

/* One code 0..7 per sample: a flip and quarter turns. */
static Value bi_random_orient(Eval *c, const Ast *at, Value *arg) {
  if (arg[0].kind != V_TENSOR || value_type(c, arg[0]).rank < 1)
    return eval_fail(c, at, "random_orient needs a tensor with a batch axis");
  Type t = {.dt = F32, .rank = 1, .dim = {value_type(c, arg[0]).dim[0]}};
  int u = ir_rand(c->fn, 0, c->prog->sites++, t);
  return eval_node(c, at, ir_cast(c->fn, ir_scale(c->fn, u, 8), I32));
}

static Value bi_orient(Eval *c, const Ast *at, Value *arg) {
  bool inverse = false;
  if (arg[0].kind != V_TENSOR || arg[1].kind != V_TENSOR)
    return eval_fail(c, at, "orient needs a tensor and the code of random_orient");
  if (arg_given(arg[2]) && !arg_bool(c, at, "inverse", arg[2], &inverse)) return v_poison();
  return eval_node(c, at, ir_orient(c->fn, arg[0].u.node, arg[1].u.node, inverse));
}

const Builtin builtins_tensor[] = {
    {"abs", "x", false, bi_abs},
    {"exp", "x", false, bi_exp},
    {"log", "x", false, bi_log},
    {"sqrt", "x", false, bi_sqrt},
    {"rsqrt", "x", false, bi_rsqrt},
    {"floor", "x", false, bi_floor},
    {"cos", "x", false, bi_cos},
    {"sin", "x", false, bi_sin},
    {"sigmoid", "x", false, bi_sigmoid},
    {"tanh", "x", false, bi_tanh},
    {"relu", "x", false, bi_relu},
    {"leaky", "x slope?", false, bi_leaky},
    {"clamp", "x lo hi", false, bi_clamp},
    {"max", "x y? axes?", false, bi_max},
    {"min", "x y? axes?", false, bi_min},
    {"select", "mask a b", false, bi_select},
    {"stop", "x", false, bi_stop},
    {"int", "x", false, bi_int},
    {"float", "x", false, bi_float},
    {"sum", "x axes?", false, bi_sum},
    {"mean", "x axes?", false, bi_mean},
    {"argmax", "x axis?", false, bi_argmax},
    {"argmin", "x axis?", false, bi_argmin},
    {"softmax", "x axis?", false, bi_softmax},
    {"log_softmax", "x axis?", false, bi_log_softmax},
    {"onehot", "label classes", false, bi_onehot},
    {"position", "x axis", false, bi_position},
    {"concat", "*tensors axis?", false, bi_concat},
    {"slice", "x axis lo hi", false, bi_slice},
    {"pad", "x axis lo hi", false, bi_pad},
    {"reshape", "x shape", false, bi_reshape},
    {"broadcast", "x shape", false, bi_broadcast},
    {"flatten", "x", false, bi_flatten},
    {"upsample", "x factor mode? align?", false, bi_upsample},
    {"resize", "x size align?", false, bi_resize},
    {"maxpool", "x k stride? pad?", false, bi_maxpool},
    {"avgpool", "x k", false, bi_avgpool},
    {"dwconv", "x w stride? pad?", false, bi_dwconv},
    {"matmul", "a b", false, bi_matmul},
    {"normal", "like std?", false, bi_normal},
    {"uniform", "like lo? hi?", false, bi_uniform},
    {"random_orient", "x", false, bi_random_orient},
    {"orient", "x code inverse?", false, bi_orient},
    {NULL, NULL, false, NULL},
};
