/* gen_maps.h - random graphs of maps for tests: elementwise values, reductions over any axes of one
 * another, and what is made of them (softmax along any axis, normalisations, losses of maps), over short
 * extents.
 *
 *   Gen g = gen_new(prog, seed, GEN_INT | GEN_RAND);
 *   Fn *f = gen_maps(&g, "maps", 12);           // at least 12 nodes
 *   gen_maps_loss(&g);                          // gradients of a loss in every input
 *
 * One whole shape is drawn; every value has its extents or 1 along some axes, so that any two can meet.
 * Steps mostly go on from the latest values, which makes chains, and values that have readers are outputs
 * at times, too: stored beside a kernel that computes them once more, or read back by another.
 *
 * With GEN_EXACT all values are small integers, of which compiled functions get every bit right, whatever
 * the order of sums. Else they are real numbers of about [-1, 1], and what jumps (comparisons, argmax) sees
 * only inputs: these hold no two equal numbers. */
#ifndef TESTS_GEN_MAPS_H
#define TESTS_GEN_MAPS_H
#include "tests/ir/gen.h"

enum { GEN_EXACT = 64, MAPS_MOST = 128 };

typedef struct {
  Gen *g;
  Fn *f;
  Type whole;
  bool exact;
  int n, value[MAPS_MOST]; /* f32, all of the whole shape's rank */
} Maps;

/* Extents 1..9, one of a few graphs' up to 70: more than a block of lanes, and more than a task. */
static inline Type maps_shape(Gen *g) {
  Type t = {.dt = F32, .rank = gen_int(g, 3) ? 4 + gen_int(g, 2) : 1 + gen_int(g, 5)};
  for (int a = 0; a < t.rank; a++) t.dim[a] = 1 + gen_int(g, 9);
  bool large = !gen_int(g, 6);
  if (large) t.dim[gen_int(g, t.rank)] = 10 + gen_int(g, 61);
  while (type_count(t) > (large ? 8192 : 1024)) {
    int a = gen_int(g, t.rank);
    t.dim[a] = (t.dim[a] + 1) / 2;
  }
  return t;
}

static inline Type maps_narrower(Gen *g, Type t) {
  for (int a = 0; a < t.rank; a++)
    if (!gen_int(g, 3)) t.dim[a] = 1;
  return t;
}

/* An axis of more than one element where there is one; channels, which a compiler treats apart, more
 * often. */
static inline int maps_axis(Gen *g, Type t) {
  int a = t.rank > 1 && !gen_int(g, 4) ? 1 : gen_int(g, t.rank);
  for (int tries = 0; tries < t.rank && t.dim[a] == 1; tries++) a = (a + 1) % t.rank;
  return a;
}

static inline unsigned maps_axes(Gen *g, Type t) {
  return gen_int(g, 3) ? 1u << maps_axis(g, t) : 1 + (unsigned)gen_int(g, (1 << t.rank) - 1);
}

static inline int maps_pick(Maps *m) {
  int latest = m->n < 3 ? m->n : 3;
  return m->value[gen_int(m->g, 4) ? m->n - 1 - gen_int(m->g, latest) : gen_int(m->g, m->n)];
}

/* Back to what values are like: integers of at most 8. */
static inline int maps_tame(Maps *m, int x) {
  if (!m->exact) return x;
  return ir_binary(m->f, OP_max, ir_binary(m->f, OP_min, x, ir_const(m->f, 8)), ir_const(m->f, -8));
}

/* ---- reductions ---- */

static inline int maps_reduce(Maps *m, int x, unsigned axes) {
  static const Op ops[] = {OP_sum, OP_sum, OP_sum, OP_amax, OP_amin};
  Op op = ops[gen_int(m->g, 5)];
  if (op == OP_sum && !m->exact) return ir_mean(m->f, x, axes);
  return maps_tame(m, ir_reduce(m->f, op, x, axes));
}

static inline int maps_argreduce(Maps *m, int x) {
  Type t = m->f->node[x].type;
  if (!m->exact) x = gen_input(m->g, t);
  int k = ir_argreduce(m->f, gen_int(m->g, 2) ? OP_argmax : OP_argmin, x, maps_axis(m->g, t));
  k = ir_cast(m->f, k, F32);
  return m->exact ? maps_tame(m, k) : ir_scale(m->f, k, 1.0 / 16);
}

/* ---- elementwise ---- */

static inline int maps_partner(Maps *m, int x) {
  Gen *g = m->g;
  Type t = m->f->node[x].type;
  switch (gen_int(g, 8)) {
  case 0: return ir_const(m->f, gen_int(g, 5) - 2);
  case 1: return gen_input(g, maps_narrower(g, m->whole));
  case 2: return ir_reshape(m->f, maps_reduce(m, x, all_axes(t)), type_scalar());
  case 3: { /* as parameters are: one number for each element of an axis */
    int a = gen_int(g, t.rank);
    Type row = type_f32(1, (int)m->whole.dim[a]), along = m->whole;
    for (int i = 0; i < t.rank; i++)
      if (i != a) along.dim[i] = 1;
    return ir_reshape(m->f, gen_input(g, row), along);
  }
  default: return maps_pick(m);
  }
}

static inline int maps_condition(Maps *m, int x, int y) {
  static const Op ops[] = {OP_lt, OP_le, OP_eq};
  if (m->exact) return ir_binary(m->f, ops[gen_int(m->g, 3)], x, y);
  return ir_binary(m->f, OP_lt, gen_input(m->g, maps_narrower(m->g, m->whole)), ir_const(m->f, 0.25));
}

static inline int maps_join(Maps *m, int x, int y) {
  Fn *f = m->f;
  switch (gen_int(m->g, m->exact ? 6 : 7)) {
  case 0: return m->exact ? maps_tame(m, ir_add(f, x, y)) : ir_scale(f, ir_add(f, x, y), 0.5);
  case 1: return m->exact ? maps_tame(m, ir_sub(f, x, y)) : ir_scale(f, ir_sub(f, x, y), 0.5);
  case 2: return maps_tame(m, ir_mul(f, x, y));
  case 3: return ir_binary(f, OP_min, x, y);
  case 4: return ir_binary(f, OP_max, x, y);
  case 5: return ir_select(f, maps_condition(m, x, y), x, y);
  default: return ir_scale(f, ir_div(f, x, gen_positive(m->g, y)), 0.5);
  }
}

static inline int maps_unary(Maps *m, int x) {
  static const Op exact[] = {OP_neg, OP_abs, OP_relu}, real[] = {OP_sigmoid, OP_tanh, OP_cos, OP_sin};
  Fn *f = m->f;
  if (m->exact || gen_int(m->g, 2)) return ir_unary(f, exact[gen_int(m->g, 3)], x);
  switch (gen_int(m->g, 8)) {
  case 0: return ir_scale(f, ir_unary(f, OP_exp, ir_binary(f, OP_min, x, ir_const(f, 1))), 0.25);
  case 1: return ir_unary(f, OP_log, gen_positive(m->g, x));
  case 2: return ir_scale(f, ir_unary(f, OP_rsqrt, gen_positive(m->g, x)), 0.5);
  case 3: return ir_powc(f, gen_positive(m->g, x), 0.5 + gen_int(m->g, 2));
  default: return ir_unary(f, real[gen_int(m->g, 4)], x);
  }
}

static inline int maps_leaf(Maps *m, int x) {
  Gen *g = m->g;
  Type t = m->whole, along = t;
  int a = gen_int(g, t.rank);
  if (!m->exact && g->what & GEN_RAND && gen_int(g, 2)) {
    int r = ir_rand(m->f, gen_int(g, 2), g->prog->sites++, maps_narrower(g, t));
    return ir_add(m->f, ir_scale(m->f, x, 0.5), ir_scale(m->f, r, 0.125));
  }
  for (int i = 0; i < t.rank; i++)
    if (i != a) along.dim[i] = 1;
  int i = ir_iota(m->f, a, along);
  return m->exact ? maps_tame(m, ir_mul(m->f, x, i)) : ir_mul(m->f, x, ir_scale(m->f, i, 1.0 / 8));
}

/* ---- what functions are made of ---- */

/* x beside its own reduction: shares of a sum, distances from a mean. */
static inline int maps_normalise(Maps *m, int x) {
  Type t = m->f->node[x].type;
  int r = maps_reduce(m, x, maps_axes(m->g, t));
  return gen_int(m->g, 2) ? maps_join(m, x, r) : maps_join(m, r, x);
}

static inline int maps_softmax(Maps *m, int x) {
  int axis = maps_axis(m->g, m->f->node[x].type);
  if (gen_int(m->g, 3)) return ir_softmax(m->f, OP_softmax, x, axis);
  return ir_scale(m->f, ir_softmax(m->f, OP_log_softmax, x, axis), 0.25);
}

/* Cross entropy or Dice of x against labels along one axis: one number, or one for each sample or row. */
static inline int maps_loss(Maps *m, int x) {
  Fn *f = m->f;
  Type t = f->node[x].type, labels = t, classes = t;
  int axis = maps_axis(m->g, t);
  for (int a = 0; a < t.rank; a++)
    if (a != axis) classes.dim[a] = 1;
  labels.dim[axis] = 1, labels.dt = classes.dt = I32;
  int label = ir_input(f, arena_printf(m->g->prog->arena, "code%d", m->g->ninputs++), labels);
  int hot = ir_binary(f, OP_eq, label, ir_iota(f, axis, classes));
  unsigned axes = gen_int(m->g, 2) ? all_axes(t) : maps_axes(m->g, t);
  if (gen_int(m->g, 2)) {
    int ce = ir_sum(f, ir_mul(f, hot, ir_softmax(f, OP_log_softmax, x, axis)), 1u << axis);
    return ir_scale(f, ir_mean(f, ce, axes & ~(1u << axis)), -0.25);
  }
  int p = ir_softmax(f, OP_softmax, x, axis), both = ir_mean(f, ir_mul(f, p, hot), axes);
  int sizes = ir_mean(f, ir_add(f, ir_mul(f, p, p), hot), axes);
  return ir_div(f, both, ir_add(f, sizes, ir_const(f, 0.5)));
}

static inline int maps_step(Maps *m) {
  int x = maps_pick(m);
  Type t = m->f->node[x].type;
  switch (gen_int(m->g, 16)) {
  case 0:
  case 1:
  case 2:
  case 3:
  case 4: return maps_reduce(m, x, maps_axes(m->g, t));
  case 5:
  case 6: return maps_normalise(m, x);
  case 7: return m->exact ? maps_normalise(m, x) : maps_softmax(m, x);
  case 8: return m->exact ? maps_join(m, x, maps_partner(m, x)) : maps_loss(m, x);
  case 9: return ir_broadcast(m->f, x, m->whole);
  case 10: return m->g->what & GEN_INT ? maps_argreduce(m, x) : maps_leaf(m, x);
  case 11: return maps_leaf(m, x);
  case 12: return maps_unary(m, x);
  default: return maps_join(m, x, maps_partner(m, x));
  }
}

/* A function of at least `nodes` nodes; NULL if a builder failed (a defect: f->err says which). */
static inline Fn *gen_maps(Gen *g, const char *name, int nodes) {
  Fn *f = g->f = fn_new(g->prog, name, FN_FORWARD);
  Maps m = {.g = g, .f = f, .whole = maps_shape(g), .exact = g->what & GEN_EXACT};
  m.value[m.n++] = gen_input(g, m.whole);
  if (gen_int(g, 2)) m.value[m.n++] = gen_input(g, maps_narrower(g, m.whole));
  while (f->n < nodes && m.n < MAPS_MOST)
    if ((m.value[m.n++] = maps_step(&m)) < 0) return NULL;
  bool *read = arena_alloc(g->prog->arena, (size_t)f->n);
  for (int i = 0; i < f->n; i++)
    for (int k = 0; k < f->node[i].nin; k++) read[f->node[i].in[k]] = true;
  for (int i = 0; i < f->n; i++)
    if (!read[i] || (op_info[f->node[i].op].cls != LEAF && !gen_int(g, 6)))
      fn_output(f, arena_printf(g->prog->arena, "o%d", i), i);
  return f;
}

/* The outputs, each element with a weight of its own, summed; and the gradient in every other real input. */
static inline void gen_maps_loss(Gen *g) {
  Fn *f = g->f;
  int loss = ir_const(f, 0), nout = f->nout, n = f->n;
  for (int o = 0; o < nout; o++) {
    int y = f->out[o].node;
    Type t = f->node[y].type;
    if (t.dt != F32) continue;
    if (t.rank) y = ir_mean(f, ir_mul(f, y, gen_input(g, t)), all_axes(t));
    loss = ir_add(f, loss, ir_reshape(f, y, type_scalar()));
  }
  fn_output(f, "loss", loss);
  for (int i = 0; i < n; i++)
    if (f->node[i].op == OP_input && f->node[i].type.dt == F32)
      fn_output(f, arena_printf(g->prog->arena, "d%s", f->node[i].at.sym), ir_grad(f, loss, i));
}
#endif
