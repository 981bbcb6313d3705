/* build.c - constructors: every node of a function is made by ir_node(), which infers its type. */
#include "ir/ir.h"
#include <string.h>

enum { PICTURE, MASK, REGIONS, BY_HOST = false, BY_DEVICE = true };
const FieldInfo field_info[FIELD_KINDS] = {
#define FIELD(name, word, type, element, content, maker, draw)                                               \
  {word, type, element, (content) != PICTURE, (content) == REGIONS, maker},
#include "ir/fields.def"
#undef FIELD
};

/* The attributes an op uses, the rest zero, so that equal nodes have equal attributes. */
static Attrs only_used(Op op, const Attrs *at, int nspatial) {
  Attrs a = {0};
  unsigned use = op_info[op].attrs;
  if (use & A_VALUE) a.value = at->value;
  if (use & A_SYM) a.sym = at->sym;
  if (use & A_AXIS) a.axis = at->axis;
  if (use & A_AXES) a.axes = at->axes;
  for (int i = 0; i < nspatial && i < MAX_SPATIAL; i++) {
    if (use & A_STRIDE) a.geom.stride[i] = at->geom.stride[i];
    if (use & A_PAD) a.geom.pad[i] = at->geom.pad[i];
    if (use & A_SIZE) a.size[i] = at->size[i];
  }
  if (use & A_RANGE) a.lo = at->lo, a.hi = at->hi;
  if (use & A_MODE) a.mode = at->mode;
  if (use & A_SITE) a.site = at->site;
  if (use & A_BF16) a.bf16 = at->bf16;
  return a;
}

static int push(Fn *f, const Node *n) {
  *ARENA_PUSH(f->prog->arena, f->node, f->n, f->cap) = *n;
  return f->n - 1;
}

int ir_node(Fn *f, Op op, int nin, const int *in, const Attrs *at, const Type *type) {
  static const Attrs none;
  Type types[MAX_IN];
  Node n = {.op = op, .nin = nin, .loc = f->loc, .group = -1};
  if (nin < 0 || nin > MAX_IN) {
    ir_error(f->err, "%s: %d operands, at most %d are possible", op_info[op].name, nin, MAX_IN);
    return -1;
  }
  for (int i = 0; i < nin; i++) {
    if (in[i] < 0) return -1; /* its own failure has been told */
    if (in[i] >= f->n) {
      ir_error(f->err, "%s: operand %%%d is not defined yet", op_info[op].name, in[i]);
      return -1;
    }
    n.in[i] = in[i];
    types[i] = f->node[in[i]].type;
  }
  n.at = only_used(op, at ? at : &none, nin ? types[0].rank - 2 : 0);
  for (int i = 0; i < MAX_RANK; i++) n.order[i] = (uint8_t)i;
  if (!infer_type(op, nin, types, &n.at, type, &n.type, f->err)) return -1;
  return push(f, &n);
}

int ir_clone(Fn *f, const Node *n, const int *in) {
  int id = ir_node(f, n->op, n->nin, in, &n->at, &n->type);
  if (id < 0) return id;
  f->node[id].loc = n->loc;
  if (n->type.dt == BF16) f->node[id].type.dt = BF16; /* not inferred: pass `precision` decides it */
  memcpy(f->node[id].order, n->order, sizeof n->order);
  return id;
}

/* ---- leaves ---- */

int ir_const(Fn *f, double v) { return ir_splat(f, v, type_scalar()); }

int ir_splat(Fn *f, double v, Type t) { return ir_node(f, OP_const, 0, NULL, &(Attrs){.value = v}, &t); }

int ir_var(Fn *f, int var) {
  if (var < 0 || var >= f->prog->nvar) {
    ir_error(f->err, "var: no variable has number %d", var);
    return -1;
  }
  const Var *v = &f->prog->var[var];
  int id = ir_node(f, OP_var, 0, NULL, &(Attrs){.sym = v->name}, &v->type);
  if (id >= 0) memcpy(f->node[id].order, v->order, sizeof v->order);
  return id;
}

int ir_input(Fn *f, const char *name, Type t) {
  for (int i = 0; i < f->n; i++) {
    const Node *n = &f->node[i];
    if (n->op != OP_input || strcmp(n->at.sym, name)) continue;
    if (type_eq(n->type, t)) return i;
    char was[96], now[96];
    ir_error(f->err, "input \"%s\" is %s, it was %s before", name, type_str(t, now), type_str(n->type, was));
    return -1;
  }
  return ir_node(f, OP_input, 0, NULL, &(Attrs){.sym = arena_strdup(f->prog->arena, name)}, &t);
}

int ir_iota(Fn *f, int axis, Type t) { return ir_node(f, OP_iota, 0, NULL, &(Attrs){.axis = axis}, &t); }

int ir_rand(Fn *f, int mode, int64_t site, Type t) {
  return ir_node(f, OP_rand, 0, NULL, &(Attrs){.mode = mode, .site = site}, &t);
}

/* ---- elementwise ---- */

static int unary_at(Fn *f, Op op, int x, Attrs at) { return ir_node(f, op, 1, &x, &at, NULL); }

static int binary_at(Fn *f, Op op, int a, int b, Attrs at) {
  return ir_node(f, op, 2, (int[]){a, b}, &at, NULL);
}

int ir_unary(Fn *f, Op op, int x) { return unary_at(f, op, x, (Attrs){0}); }
int ir_binary(Fn *f, Op op, int a, int b) { return binary_at(f, op, a, b, (Attrs){0}); }
int ir_add(Fn *f, int a, int b) { return ir_binary(f, OP_add, a, b); }
int ir_sub(Fn *f, int a, int b) { return ir_binary(f, OP_sub, a, b); }
int ir_mul(Fn *f, int a, int b) { return ir_binary(f, OP_mul, a, b); }
int ir_div(Fn *f, int a, int b) { return ir_binary(f, OP_div, a, b); }
int ir_scale(Fn *f, int x, double k) { return x < 0 ? -1 : ir_mul(f, x, ir_const(f, k)); }
int ir_select(Fn *f, int m, int a, int b) { return ir_node(f, OP_select, 3, (int[]){m, a, b}, NULL, NULL); }
int ir_leaky(Fn *f, int x, double slope) { return unary_at(f, OP_leaky, x, (Attrs){.value = slope}); }
int ir_powc(Fn *f, int x, double e) { return unary_at(f, OP_powc, x, (Attrs){.value = e}); }

int ir_cast(Fn *f, int x, DType dt) {
  if (x < 0) return -1;
  Type t = f->node[x].type;
  t.dt = dt;
  return ir_node(f, OP_cast, 1, &x, NULL, &t);
}

/* ---- reductions, composites ---- */

int ir_sum(Fn *f, int x, unsigned axes) { return ir_reduce(f, OP_sum, x, axes); }
int ir_reduce(Fn *f, Op op, int x, unsigned axes) { return unary_at(f, op, x, (Attrs){.axes = axes}); }
int ir_argreduce(Fn *f, Op op, int x, int axis) { return unary_at(f, op, x, (Attrs){.axis = axis}); }
int ir_softmax(Fn *f, Op op, int x, int axis) { return unary_at(f, op, x, (Attrs){.axis = axis}); }

int ir_batchnorm(Fn *f, int x, int gamma, int beta, int mean, int var, double eps) {
  return ir_node(f, OP_batchnorm, 5, (int[]){x, gamma, beta, mean, var}, &(Attrs){.value = eps}, NULL);
}

int ir_mean(Fn *f, int x, unsigned axes) {
  int s = ir_sum(f, x, axes);
  if (s < 0) return -1;
  return ir_scale(f, s, (double)type_count(f->node[s].type) / (double)type_count(f->node[x].type));
}

int ir_per_channel(Fn *f, int v, int x) {
  if (v < 0 || x < 0) return -1;
  Type from = f->node[v].type, t = {.dt = from.dt, .rank = f->node[x].type.rank};
  for (int i = 0; i < t.rank; i++) t.dim[i] = 1;
  if (from.rank == 2) t.dim[0] = from.dim[0];
  t.dim[1] = from.dim[from.rank - 1];
  return ir_reshape(f, v, t);
}

int ir_sum_to(Fn *f, int x, Type t) {
  if (x < 0) return -1;
  Type from = f->node[x].type;
  if (shape_eq(from, t)) return x;
  if (t.rank == 0) return ir_reshape(f, ir_sum(f, x, all_axes(from)), (Type){.dt = from.dt});
  unsigned axes = 0;
  bool ok = from.rank == t.rank;
  for (int i = 0; ok && i < t.rank; i++) {
    if (from.dim[i] == t.dim[i]) continue;
    ok = t.dim[i] == 1;
    axes |= 1u << i;
  }
  if (ok) return ir_sum(f, x, axes);
  char a[96], b[96];
  ir_error(f->err, "sum_to: %s does not broadcast to %s, so it has no adjoint", type_str(t, b),
           type_str(from, a));
  return -1;
}

/* ---- contractions ---- */

/* A list with one entry per spatial axis of the image-like operand x. */
static void spatial(const Fn *f, int x, int64_t to[MAX_SPATIAL], const int64_t *list) {
  if (x < 0 || x >= f->n) return;
  for (int i = 0; i < f->node[x].type.rank - 2 && i < MAX_SPATIAL; i++) to[i] = list[i];
}

int ir_conv(Fn *f, int x, int w, const ConvGeom *geom) {
  return binary_at(f, OP_conv, x, w, (Attrs){.geom = *geom});
}

int ir_conv_grad(Fn *f, Op op, int a, int b, const ConvGeom *geom, const int64_t *size) {
  Attrs at = {.geom = *geom};
  spatial(f, a, at.size, size);
  return binary_at(f, op, a, b, at);
}

int ir_dwconv(Fn *f, int x, int w, const ConvGeom *geom) {
  return binary_at(f, OP_dwconv, x, w, (Attrs){.geom = *geom});
}

int ir_matmul(Fn *f, int a, int b, bool trans_a) {
  return binary_at(f, OP_matmul, a, b, (Attrs){.mode = trans_a});
}

int ir_inner(Fn *f, int a, int b) { return ir_binary(f, OP_inner, a, b); }

/* ---- data movement ---- */

int ir_reshape(Fn *f, int x, Type t) { return ir_node(f, OP_reshape, 1, &x, NULL, &t); }
int ir_broadcast(Fn *f, int x, Type t) { return ir_node(f, OP_broadcast, 1, &x, NULL, &t); }

int ir_concat(Fn *f, int n, const int *x, int axis) {
  return ir_node(f, OP_concat, n, x, &(Attrs){.axis = axis}, NULL);
}

int ir_slice(Fn *f, int x, int axis, int64_t lo, int64_t hi) {
  return unary_at(f, OP_slice, x, (Attrs){.axis = axis, .lo = lo, .hi = hi});
}

int ir_pad(Fn *f, int x, int axis, int64_t lo, int64_t hi) {
  return unary_at(f, OP_pad, x, (Attrs){.axis = axis, .lo = lo, .hi = hi});
}

int ir_upsample(Fn *f, int x, const int64_t *factor) {
  Attrs at = {0};
  spatial(f, x, at.geom.stride, factor);
  return unary_at(f, OP_upsample, x, at);
}

int ir_sumpool(Fn *f, int x, const int64_t *factor) {
  Attrs at = {0};
  spatial(f, x, at.geom.stride, factor);
  return unary_at(f, OP_sumpool, x, at);
}

int ir_maxpool(Fn *f, int x, const int64_t *size, const ConvGeom *geom) {
  Attrs at = {.geom = *geom};
  spatial(f, x, at.size, size);
  return unary_at(f, OP_maxpool, x, at);
}

int ir_maxpool_dx(Fn *f, int x, int dy, const Attrs *at) { return binary_at(f, OP_maxpool_dx, x, dy, *at); }

int ir_resize(Fn *f, Op op, int x, const int64_t *size, int mode) {
  Attrs at = {.mode = mode};
  spatial(f, x, at.size, size);
  return unary_at(f, op, x, at);
}

int ir_orient(Fn *f, int x, int code, int mode) {
  return binary_at(f, OP_orient, x, code, (Attrs){.mode = mode});
}

int ir_grad(Fn *f, int loss, int w) { return ir_binary(f, OP_grad, loss, w); }
