/* gen.h - random graphs for tests: gen_fn() fills a function with nodes of every op (META aside) over small
 * 2-D or 3-D shapes with odd channel counts. The same seed gives the same graph.
 *
 *   Gen g = gen_new(prog, seed, GEN_ALL);
 *   Fn *f = gen_fn(&g, "random", 40);      // about 40 nodes; every value nobody reads is an output
 *
 * Values stay tame: operands of log, sqrt, div and their like are first made positive, exp sees values of at
 * most 1, so results are finite. Inputs are named i0, i1, ..; codes of orient are i32 inputs named code0, ...
 */
#ifndef TESTS_GEN_H
#define TESTS_GEN_H
#include "ir/ir.h"
#include "ir/philox.h"

enum { GEN_CON = 1, GEN_MOVE = 2, GEN_RED = 4, GEN_COMP = 8, GEN_RAND = 16, GEN_INT = 32, GEN_ALL = 63 };

typedef struct {
  Program *prog;
  uint64_t seed, drawn;
  unsigned what; /* GEN_*: kinds of node besides elementwise ones */
  Fn *f;
  int nsp;     /* spatial axes: 2 or 3 */
  int ninputs; /* names given out so far */
} Gen;

static inline Gen gen_new(Program *prog, uint64_t seed, unsigned what) {
  return (Gen){.prog = prog, .seed = seed, .what = what};
}

/* 0 .. n-1 */
static inline int gen_int(Gen *g, int n) {
  uint32_t x[4];
  philox_at(x, g->seed, 0, 0, g->drawn++);
  return (int)(x[0] % (uint32_t)n);
}

static inline Type gen_shape(Gen *g, int n, int c, const int64_t *s) {
  Type t = type_f32(2, n, c);
  t.rank = 2 + g->nsp;
  for (int i = 0; i < g->nsp; i++) t.dim[2 + i] = s[i];
  return t;
}

static inline int gen_input(Gen *g, Type t) {
  return ir_input(g->f, arena_printf(g->prog->arena, "i%d", g->ninputs++), t);
}

/* Any image-like f32 value made so far; a new input when there is none. */
static inline int gen_image(Gen *g) {
  for (int tries = 0; tries < 20 && g->f->n; tries++) {
    int x = gen_int(g, g->f->n);
    Type t = g->f->node[x].type;
    if (t.dt == F32 && t.rank == 2 + g->nsp && type_count(t) <= 4096) return x;
  }
  int64_t s[MAX_SPATIAL];
  for (int i = 0; i < g->nsp; i++) s[i] = 3 + gen_int(g, g->nsp == 3 ? 4 : 6);
  return gen_input(g, gen_shape(g, 1 + gen_int(g, 3), 1 + 2 * gen_int(g, 3), s));
}

/* Something that broadcasts against x: a value of its shape, an input with some extents 1, a scalar. */
static inline int gen_partner(Gen *g, int x) {
  Type t = g->f->node[x].type;
  if (!gen_int(g, 4)) return ir_const(g->f, (gen_int(g, 17) - 8) / 4.0);
  for (int i = 0; i < g->f->n; i++) {
    int y = gen_int(g, g->f->n);
    if (type_eq(g->f->node[y].type, t)) return y;
    if (i == 8) break;
  }
  for (int i = 0; i < t.rank; i++)
    if (!gen_int(g, 3)) t.dim[i] = 1;
  return gen_input(g, t);
}

static inline int gen_positive(Gen *g, int x) {
  return ir_add(g->f, ir_unary(g->f, OP_abs, x), ir_const(g->f, 0.5));
}

static inline int gen_unary(Gen *g, int x) {
  static const Op any[] = {OP_neg,     OP_abs,  OP_floor, OP_cos,  OP_sin,
                           OP_sigmoid, OP_tanh, OP_relu,  OP_stop, OP_leaky};
  static const Op positive[] = {OP_log, OP_sqrt, OP_rsqrt, OP_powc};
  Attrs at = {.value = 0.25 + gen_int(g, 3)};
  if (!gen_int(g, 6)) return ir_unary(g->f, OP_exp, ir_binary(g->f, OP_min, x, ir_const(g->f, 1)));
  if (gen_int(g, 4)) return ir_node(g->f, any[gen_int(g, 10)], 1, &x, &at, NULL);
  x = gen_positive(g, x);
  return ir_node(g->f, positive[gen_int(g, 4)], 1, &x, &at, NULL);
}

static inline int gen_binary(Gen *g, int x) {
  static const Op ops[] = {OP_add, OP_sub, OP_mul, OP_min, OP_max, OP_lt, OP_le, OP_eq, OP_div, OP_select};
  Op op = ops[gen_int(g, 10)];
  int y = gen_partner(g, x);
  if (op == OP_div) y = gen_positive(g, y);
  if (op == OP_select) return ir_select(g->f, ir_binary(g->f, OP_lt, y, ir_const(g->f, 0)), x, y);
  return gen_int(g, 2) || op == OP_div ? ir_binary(g->f, op, x, y) : ir_binary(g->f, op, y, x);
}

static inline int gen_reduction(Gen *g, int x) {
  static const Op ops[] = {OP_sum, OP_sum, OP_amax, OP_amin};
  Type t = g->f->node[x].type;
  if (g->what & GEN_INT && !gen_int(g, 4)) {
    int k = ir_argreduce(g->f, gen_int(g, 2) ? OP_argmax : OP_argmin, x, gen_int(g, t.rank));
    return ir_cast(g->f, k, F32);
  }
  unsigned axes = (unsigned)gen_int(g, 1 << t.rank);
  return ir_reduce(g->f, ops[gen_int(g, 4)], x, axes);
}

static inline int gen_composite(Gen *g, int x) {
  Type t = g->f->node[x].type;
  switch (gen_int(g, 3)) {
  case 0: return ir_softmax(g->f, OP_softmax, x, gen_int(g, t.rank));
  case 1: return ir_softmax(g->f, OP_log_softmax, x, 1);
  default: break;
  }
  /* batchnorm with the statistics of x itself, as its definition asks */
  unsigned axes = all_axes(t) & ~2u;
  int mean = ir_mean(g->f, x, axes), d = ir_sub(g->f, x, mean);
  int var = ir_mean(g->f, ir_mul(g->f, d, d), axes);
  Type c = type_f32(1, (int)t.dim[1]);
  int gamma = gen_input(g, c), beta = gen_input(g, c);
  return ir_batchnorm(g->f, x, gamma, beta, mean, var, 1e-5);
}

/* conv or dwconv of x, and at times one of its adjoints. */
static inline int gen_conv(Gen *g, int x) {
  Fn *f = g->f;
  Type t = f->node[x].type, w = t;
  bool dw = gen_int(g, 3) == 0;
  ConvGeom geom = {0};
  w.dim[0] = dw ? t.dim[0] : 1 + 2 * gen_int(g, 3);
  for (int i = 0; i < g->nsp; i++) {
    w.dim[2 + i] = 1 + gen_int(g, t.dim[2 + i] < 3 ? (int)t.dim[2 + i] : 3);
    geom.stride[i] = 1 + gen_int(g, 2);
    geom.pad[i] = gen_int(g, 2);
  }
  int k = gen_input(g, w);
  int y = dw ? ir_dwconv(f, x, k, &geom) : ir_conv(f, x, k, &geom);
  switch (gen_int(g, 3)) {
  case 0: return ir_conv_grad(f, dw ? OP_dwconv_dx : OP_conv_dx, y, k, &geom, t.dim + 2);
  case 1: return ir_conv_grad(f, dw ? OP_dwconv_dw : OP_conv_dw, x, y, &geom, w.dim + 2);
  default: return y;
  }
}

static inline int gen_matrix(Gen *g, int x) {
  Fn *f = g->f;
  Type t = f->node[x].type, a = type_f32(2, 1, 1);
  if (gen_int(g, 2)) { /* another first extent, the rest summed away */
    Type b = t;
    b.dim[0] = 1 + gen_int(g, 5);
    return ir_inner(f, x, gen_input(g, b));
  }
  bool trans = gen_int(g, 2);
  a.dim[trans ? 1 : 0] = 1 + gen_int(g, 5);
  a.dim[trans ? 0 : 1] = t.dim[0];
  return ir_matmul(f, gen_input(g, a), x, trans);
}

static inline int gen_pool(Gen *g, int x) {
  Fn *f = g->f;
  Type t = f->node[x].type;
  Attrs at = {0};
  for (int i = 0; i < g->nsp; i++) {
    at.size[i] = 1 + gen_int(g, t.dim[2 + i] < 3 ? (int)t.dim[2 + i] : 3);
    at.geom.stride[i] = 1 + gen_int(g, 2);
    at.geom.pad[i] = at.size[i] > 1 ? gen_int(g, 2) : 0;
  }
  int y = ir_maxpool(f, x, at.size, &at.geom);
  return gen_int(g, 2) ? y : ir_maxpool_dx(f, x, y, &at);
}

static inline int gen_movement(Gen *g, int x) {
  Fn *f = g->f;
  Type t = f->node[x].type, r = t;
  int axis = gen_int(g, t.rank);
  int64_t extent = t.dim[axis], lo = gen_int(g, (int)extent), hi = lo + 1 + gen_int(g, (int)(extent - lo));
  int64_t two[] = {2, 1, 2}, size[MAX_SPATIAL];
  for (int i = 0; i < g->nsp; i++) size[i] = 1 + gen_int(g, 7);
  switch (gen_int(g, 9)) {
  case 0: return ir_slice(f, x, axis, lo, hi);
  case 1: return ir_pad(f, x, axis, gen_int(g, 3), gen_int(g, 3));
  case 2: return ir_concat(f, 2, (int[]){x, ir_unary(f, OP_neg, ir_slice(f, x, axis, lo, hi))}, axis);
  case 3: return ir_sumpool(f, ir_upsample(f, x, two), two);
  case 4: return ir_upsample(f, x, two);
  case 5: return gen_pool(g, x);
  case 6: return ir_resize(f, gen_int(g, 2) ? OP_resize : OP_resize_dx, x, size, gen_int(g, 2));
  case 7: /* swap the first two extents, so that elements move */
    r.dim[0] = t.dim[1], r.dim[1] = t.dim[0];
    return ir_reshape(f, x, r);
  default: return ir_broadcast(f, ir_reduce(f, OP_amax, x, 1u << axis), t);
  }
}

/* A square image turned and turned back by other codes. */
static inline int gen_orient(Gen *g) {
  Fn *f = g->f;
  int n = 1 + gen_int(g, 3), e = 2 + gen_int(g, 4);
  int x = gen_input(g, gen_shape(g, n, 1 + gen_int(g, 3), (int64_t[]){e, e, 3}));
  int code = ir_input(f, arena_printf(g->prog->arena, "code%d", g->ninputs++), type_i32(1, n));
  return ir_orient(f, x, code, gen_int(g, 2));
}

static inline int gen_random(Gen *g, int x) {
  Type t = g->f->node[x].type;
  if (!gen_int(g, 3)) {
    int axis = gen_int(g, t.rank);
    for (int i = 0; i < t.rank; i++)
      if (i != axis) t.dim[i] = 1;
    return ir_mul(g->f, x, ir_iota(g->f, axis, t));
  }
  return ir_add(g->f, x, ir_rand(g->f, gen_int(g, 2), g->prog->sites++, t));
}

/* Squeeze values into [-1,1], so that chains of sums and products stay tame. */
static inline int gen_step(Gen *g) {
  int x = gen_image(g);
  unsigned pick = 1u << gen_int(g, 7);
  if (pick & g->what & GEN_CON)
    return ir_unary(g->f, OP_tanh, gen_int(g, 4) ? gen_conv(g, x) : gen_matrix(g, x));
  if (pick & g->what & GEN_MOVE) return gen_movement(g, x);
  if (pick & g->what & GEN_RED) return ir_unary(g->f, OP_tanh, gen_reduction(g, x));
  if (pick & g->what & GEN_COMP) return gen_composite(g, x);
  if (pick & g->what & GEN_RAND) return gen_random(g, x);
  if (pick & g->what & GEN_INT) return gen_orient(g);
  return gen_int(g, 2) ? gen_unary(g, x) : ir_unary(g->f, OP_sigmoid, gen_binary(g, x));
}

/* A function of at least `nodes` nodes; NULL if a builder failed (a defect: f->err says which). */
static inline Fn *gen_fn(Gen *g, const char *name, int nodes) {
  Fn *f = g->f = fn_new(g->prog, name, FN_FORWARD);
  g->nsp = 2 + gen_int(g, 2);
  while (f->n < nodes)
    if (gen_step(g) < 0) return NULL;
  bool *read = arena_alloc(g->prog->arena, (size_t)f->n);
  for (int i = 0; i < f->n; i++)
    for (int k = 0; k < f->node[i].nin; k++) read[f->node[i].in[k]] = true;
  for (int i = 0; i < f->n; i++)
    if (!read[i]) fn_output(f, arena_printf(g->prog->arena, "o%d", i), i);
  return f;
}
#endif
