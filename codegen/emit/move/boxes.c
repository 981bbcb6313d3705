/* boxes.c - movement that is affine on boxes: reshape, concat, slice, pad, upsample.
 *
 * Such a result is a few boxes, in each of which the memory offsets of source and result are linear in the
 * box's coordinates: the operands of a concat, the zeros and the middle of a pad; in an upsample every
 * spatial axis becomes two, the second with source stride 0. Axes that follow each other in both memories are
 * merged, so that a copy of rows becomes one long run. Operands of a concat that lie in the result, and slices that
 * lie in their operand (passes/memory/storage.h), are not copied.
 */
#include "codegen/emit/move/move.h"

typedef struct {
  int rank;
  int64_t extent[VISIT_RANK], to[VISIT_RANK], from[VISIT_RANK]; /* strides */
  int64_t to0, from0;                                           /* where the box starts */
  KV src, dst;                                                  /* src K_NONE: zeros */
} Copy;

static void add_axis(Copy *c, int64_t extent, int64_t to, int64_t from) {
  if (extent == 1) return;
  c->extent[c->rank] = extent;
  c->to[c->rank] = to;
  c->from[c->rank] = from;
  c->rank++;
}

/* Outermost axis of the result first; then merge. */
static void normalise(Copy *c) {
  for (int i = 1; i < c->rank; i++)
    for (int j = i; j > 0 && c->to[j - 1] < c->to[j]; j--) {
      int64_t e = c->extent[j], t = c->to[j], f = c->from[j];
      c->extent[j] = c->extent[j - 1], c->to[j] = c->to[j - 1], c->from[j] = c->from[j - 1];
      c->extent[j - 1] = e, c->to[j - 1] = t, c->from[j - 1] = f;
    }
  int n = 0;
  for (int i = 0; i < c->rank; i++) {
    bool joins = n && c->to[n - 1] == c->to[i] * c->extent[i] && c->from[n - 1] == c->from[i] * c->extent[i];
    if (joins) n--;
    c->extent[n] = joins ? c->extent[n] * c->extent[i] : c->extent[i];
    c->to[n] = c->to[i];
    c->from[n] = c->from[i];
    n++;
  }
  if (n == 0) { /* a single element */
    c->extent[0] = 1, c->to[0] = c->from[0] = 1;
    n = 1;
  }
  c->rank = n;
}

static void copy_body(void *ctx, KFn *k, const Spot *s) {
  const Copy *c = ctx;
  int last = c->rank - 1;
  KV to = k_add(k, k_i64(k, c->to0), offset_of(k, c->rank, s->at, c->to));
  KV v = K_NONE;
  if (c->src != K_NONE) {
    KV from = k_add(k, k_i64(k, c->from0), offset_of(k, c->rank, s->at, c->from));
    v = load_lanes(k, c->src, from, c->from[last], s->vec, s->mask);
  } else {
    bool i32 = k->ins[c->dst].type.base == K_I32;
    v = i32 ? k_i32(k, 0) : k_f32(k, 0);
    if (s->vec) v = k_splat(k, v);
  }
  store_lanes(k, c->dst, to, c->to[last], v, s->vec, s->mask);
}

static Box copy_box(const Emit *e, const Copy *c) {
  Box b = {.rank = c->rank, .chunk = e->machine->task_visits};
  for (int i = 0; i < c->rank; i++) b.extent[i] = c->extent[i];
  return b;
}

/* All copies in one launch: each has its own range of tasks. */
static bool emit_copies(const Move *m, Build *b, Copy *copy, int n) {
  int64_t tasks = 0;
  for (int i = 0; i < n; i++) normalise(&copy[i]);
  EACH_ISA (isa, b) {
    KFn *k = build_kernel(b, isa);
    tasks = 0;
    for (int i = 0; i < n; i++) {
      Box box = copy_box(m->e, &copy[i]);
      KV task = k_sub(k, k_task(k), k_i64(k, tasks));
      tasks += visit_tasks(&box);
      if (i < n - 1) k_if(k, k_lt(k, k_task(k), k_i64(k, tasks)));
      /* Runs of a couple of elements are not worth a vector. */
      visit(k, &box, task, copy[i].extent[copy[i].rank - 1] > 2, copy_body, &copy[i]);
      if (i < n - 1) k_else(k);
    }
    for (int i = 0; i < n - 1; i++) k_end(k);
  }
  build_end(b, tasks);
  return !m->e->err[0];
}

/* The box of the result that starts at `lo` along `axis` and has the extents t, from value x with the same axes (-1:
 * zeros). */
static Copy part(const Move *m, Type t, int axis, int64_t lo, int x) {
  Copy c = {.src = K_NONE};
  int64_t ys[MAX_RANK], xs[MAX_RANK] = {0};
  c.to0 = value_strides(m->e, m->g->anchor, ys) + lo * ys[axis];
  if (x >= 0) c.from0 = value_strides(m->e, x, xs);
  for (int a = 0; a < t.rank; a++) add_axis(&c, t.dim[a], ys[a], x >= 0 ? xs[a] : ys[a]);
  return c;
}

/* Of the operands that do not lie in the result already. */
static int concat_copies(const Move *m, const Build *b, Copy *copy) {
  int n = 0;
  int64_t lo = 0;
  for (int i = 0; i < m->y->nin; i++) {
    const Node *x = &m->e->fn->node[m->y->in[i]];
    if (!storage_in_place(m->e->fn, m->e->storage, m->g->anchor, i)) {
      copy[n] = part(m, x->type, m->y->at.axis, lo, m->y->in[i]);
      copy[n++].src = arg_of(b, m->y->in[i]);
    }
    lo += x->type.dim[m->y->at.axis];
  }
  return n;
}

static int pad_copies(const Move *m, const Build *b, Copy *copy) {
  const Attrs *at = &m->y->at;
  int64_t n = m->x->type.dim[at->axis];
  int c = 0;
  Type edge = m->x->type;
  copy[c] = part(m, m->x->type, at->axis, at->lo, m->y->in[0]);
  copy[c++].src = arg_of(b, m->y->in[0]);
  edge.dim[at->axis] = at->lo;
  if (at->lo) copy[c++] = part(m, edge, at->axis, 0, -1);
  edge.dim[at->axis] = at->hi;
  if (at->hi) copy[c++] = part(m, edge, at->axis, at->lo + n, -1);
  return c;
}

static Copy slice_copy(const Move *m) {
  int64_t xs[MAX_RANK];
  Copy c = part(m, m->y->type, 0, 0, m->y->in[0]);
  value_strides(m->e, m->y->in[0], xs);
  c.from0 += m->y->at.lo * xs[m->y->at.axis];
  return c;
}

static Copy upsample_copy(const Move *m) {
  Copy c = {0};
  int64_t xs[MAX_RANK], ys[MAX_RANK];
  c.from0 = value_strides(m->e, m->y->in[0], xs);
  c.to0 = value_strides(m->e, m->g->anchor, ys);
  for (int a = 0; a < m->x->type.rank; a++) {
    int64_t f = a < 2 ? 1 : m->y->at.geom.stride[a - 2];
    add_axis(&c, m->x->type.dim[a], ys[a] * f, xs[a]);
    add_axis(&c, f, ys[a], 0);
  }
  return c;
}

/* A reshape is a box when the row-major extents of both sides are products of common factors: cut both from
 * the inside, each time by the smaller extent. */
static bool reshape_copy(const Move *m, Copy *c) {
  int64_t xs[MAX_RANK], ys[MAX_RANK], i = m->x->type.rank - 1, j = m->y->type.rank - 1;
  node_strides(m->x, xs), node_strides(m->y, ys);
  int64_t p = 1, q = 1, from = 0, to = 0; /* what is left of the axes in hand, and their strides */
  for (;;) {
    while (p == 1 && i >= 0) p = m->x->type.dim[i], from = xs[i], i--;
    while (q == 1 && j >= 0) q = m->y->type.dim[j], to = ys[j], j--;
    if (p == 1 && q == 1) return true;
    int64_t cut = p < q ? p : q;
    if (p % cut || q % cut || c->rank == VISIT_RANK) return false;
    add_axis(c, cut, to, from);
    p /= cut, q /= cut, from *= cut, to *= cut;
  }
}

typedef struct {
  const Move *m;
  int64_t xs[MAX_RANK], ys[MAX_RANK];
  KV src, dst;
} Plain;

/* Any other reshape: element by element, through the row-major number. */
static void reshape_body(void *ctx, KFn *k, const Spot *s) {
  const Plain *p = ctx;
  const Node *x = p->m->x, *y = p->m->y;
  KV at[MAX_RANK], number = k_i64(k, 0), from = k_i64(k, 0);
  node_coords(y, s, at);
  for (int a = 0; a < y->type.rank; a++) number = k_add(k, k_mul(k, number, k_i64(k, y->type.dim[a])), at[a]);
  for (int a = x->type.rank - 1; a >= 0; a--) {
    from = k_add(k, from, k_mul(k, k_rem(k, number, k_i64(k, x->type.dim[a])), k_i64(k, p->xs[a])));
    number = k_div(k, number, k_i64(k, x->type.dim[a]));
  }
  k_store(k, p->dst, offset_of(k, y->type.rank, at, p->ys), k_load(k, p->src, from, false));
}

static bool nothing_moves(const Move *m) {
  bool in_place = m->y->op == OP_concat || m->y->op == OP_slice;
  for (int k = 0; k < m->y->nin && in_place; k++)
    in_place = storage_in_place(m->e->fn, m->e->storage, m->g->anchor, k);
  return in_place;
}

bool move_boxes(const Move *m) {
  Copy copy[MAX_IN] = {{0}};
  int n = 1;
  if (nothing_moves(m)) return true;
  Build b = move_begin(m, "");
  KV dst = arg_of(&b, m->g->anchor);
  if (m->y->op == OP_reshape && !reshape_copy(m, &copy[0])) {
    Plain p = {.m = m, .src = arg_of(&b, m->y->in[0]), .dst = dst};
    node_strides(m->x, p.xs), node_strides(m->y, p.ys);
    return move_end(m, &b, m->y, false, reshape_body, &p, 0);
  }
  if (m->y->op == OP_concat) n = concat_copies(m, &b, copy);
  else if (m->y->op == OP_pad) n = pad_copies(m, &b, copy);
  else {
    if (m->y->op == OP_slice) copy[0] = slice_copy(m);
    else if (m->y->op == OP_upsample) copy[0] = upsample_copy(m);
    copy[0].src = arg_of(&b, m->y->in[0]);
  }
  for (int i = 0; i < n; i++) copy[i].dst = dst;
  return emit_copies(m, &b, copy, n);
}
