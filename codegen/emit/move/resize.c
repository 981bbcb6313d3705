/* resize.c - linear interpolation and its adjoint.
 *
 * Along one axis, result pixel o lies at src(o) of the source: mode 1 src = o*(in-1)/(out-1), 0 where out =
 * 1; mode 0 src = max(0, (o+.5)*in/out - .5). It is (1-f)*x[i0] + f*x[i1], i0 = floor(src), i1 = min(i0+1,
 * in-1), f = src - i0. Coordinates are computed in double by the kernel, as o times a constant: where src is whole a last
 * bit may be missing, but what is interpolated is continuous there. The adjoint gathers: source pixel u asks the few o whose
 * i0 or i1 may be u.
 *
 * Axes whose extent does not change are copied: they have an offset only, and those that follow each other in both memories are
 * merged, as in boxes.c, so that a kernel along one axis (pass `canon` and autodiff make such ones) has long rows for its
 * lanes however few channels there are.
 */
#include "codegen/emit/move/move.h"

/* An axis of the box of results, outermost first. */
typedef struct {
  int64_t extent, to, from; /* of the result; strides in result and operand */
  bool changes;
  int64_t in, out; /* then: extents of the coarse (interpolated from) and the resized tensor */
} Axis;

typedef struct {
  bool corners; /* mode 1 */
  int rank;
  Axis axis[MAX_RANK];
  int64_t x0, y0; /* the elements operand and result start at */
  KV x, y;
} Resize;

typedef struct {
  KV i0, i1; /* i64 */
  KV w0, w1; /* f32 */
} Linear;

static Linear linear(KFn *k, bool corners, const Axis *a, KV o) {
  KV src = k_f64(k, 0), dst = k_cast(k, K_F64, o), last = k_i64(k, a->in - 1);
  if (corners && a->out > 1) src = k_mul(k, dst, k_f64(k, (double)(a->in - 1) / (double)(a->out - 1)));
  if (!corners) {
    KV scaled = k_mul(k, k_add(k, dst, k_f64(k, 0.5)), k_f64(k, (double)a->in / (double)a->out));
    src = k_max(k, k_sub(k, scaled, k_f64(k, 0.5)), k_f64(k, 0));
  }
  KV i0 = k_min(k, k_cast(k, K_I64, src), last);
  KV f = k_sub(k, src, k_cast(k, K_F64, i0));
  return (Linear){i0, k_min(k, k_add(k, i0, k_i64(k, 1)), last), k_cast(k, K_F32, k_sub(k, k_f64(k, 1), f)),
                  k_cast(k, K_F32, f)};
}

/* Where the spot's result lies, and its operand but for the axes that change. */
static KV place(KFn *k, const Resize *r, const Spot *s, bool result) {
  KV off = k_i64(k, result ? r->y0 : r->x0);
  for (int a = 0; a < r->rank; a++)
    if (result || !r->axis[a].changes)
      off = k_add(k, off, k_mul(k, s->at[a], k_i64(k, result ? r->axis[a].to : r->axis[a].from)));
  return off;
}

/* Value at `off` plus the axes from `a` on: the innermost axis is interpolated first. */
static KV corner(KFn *k, const Resize *r, const Linear *l, int a, KV off, const Spot *s) {
  while (a < r->rank && !r->axis[a].changes) a++;
  if (a == r->rank) return load_lanes(k, r->x, off, 1, s->vec, s->mask);
  KV stride = k_i64(k, r->axis[a].from);
  KV v0 = corner(k, r, l, a + 1, k_add(k, off, k_mul(k, l[a].i0, stride)), s);
  KV v1 = corner(k, r, l, a + 1, k_add(k, off, k_mul(k, l[a].i1, stride)), s);
  return k_add(k, k_mul(k, v0, l[a].w0), k_mul(k, v1, l[a].w1));
}

static void resize_body(void *ctx, KFn *k, const Spot *s) {
  const Resize *r = ctx;
  Linear l[MAX_RANK];
  for (int a = 0; a < r->rank; a++)
    if (r->axis[a].changes) l[a] = linear(k, r->corners, &r->axis[a], s->at[a]);
  KV v = corner(k, r, l, 0, place(k, r, s, false), s);
  store_lanes(k, r->y, place(k, r, s, true), 1, v, s->vec, s->mask);
}

/* Resized pixels lo..hi-1 contain all that read coarse pixel u: src(o) in (u-1, u+1), in integers and rounded
 * outwards. */
static void readers(KFn *k, bool corners, const Axis *a, KV u, KV *lo, KV *hi) {
  int64_t in = a->in, out = a->out;
  KV zero = k_i64(k, 0), one = k_i64(k, 1), all = k_i64(k, out);
  *lo = zero;
  *hi = all;
  if (in == 1 || out == 1) return;
  KV below, above, by;
  if (corners) { /* o < (u+1)*(out-1)/(in-1), o > (u-1)*(out-1)/(in-1) */
    by = k_i64(k, in - 1);
    below = k_mul(k, k_sub(k, u, one), k_i64(k, out - 1));
    above = k_mul(k, k_add(k, u, one), k_i64(k, out - 1));
  } else { /* (u-1+.5)*out/in - .5 < o < (u+1+.5)*out/in - .5 */
    by = k_i64(k, 2 * in);
    KV twice = k_mul(k, u, k_i64(k, 2));
    below = k_sub(k, k_mul(k, k_sub(k, twice, one), k_i64(k, out)), k_i64(k, in));
    above = k_sub(k, k_mul(k, k_add(k, twice, k_i64(k, 3)), k_i64(k, out)), k_i64(k, in));
  }
  *lo = k_div(k, k_max(k, zero, below), by);
  *hi = k_min(k, all, k_add(k, k_div(k, k_max(k, zero, above), by), k_i64(k, 2)));
}

static void resize_dx_body(void *ctx, KFn *k, const Spot *s) {
  const Resize *r = ctx;
  KV acc = k_local(k, K_F32, s->vec, "acc"), weight = k_f32(k, 1), none = k_f32(k, 0);
  k_set(k, acc, none);
  KV off = place(k, r, s, false);
  for (int a = 0; a < r->rank; a++) {
    const Axis *axis = &r->axis[a];
    if (!axis->changes) continue;
    KV lo, hi, u = s->at[a];
    readers(k, r->corners, axis, u, &lo, &hi);
    KV o = k_for(k, lo, hi, 1);
    Linear l = linear(k, r->corners, axis, o);
    KV w = k_add(k, k_select(k, k_eq(k, l.i0, u), l.w0, none), k_select(k, k_eq(k, l.i1, u), l.w1, none));
    weight = k_mul(k, weight, w);
    off = k_add(k, off, k_mul(k, o, k_i64(k, axis->from)));
  }
  KV v = load_lanes(k, r->x, off, 1, s->vec, s->mask);
  k_set(k, acc, k_add(k, k_get(k, acc), k_mul(k, v, weight)));
  for (int a = 0; a < r->rank; a++)
    if (r->axis[a].changes) k_end(k);
  store_lanes(k, r->y, place(k, r, s, true), 1, k_get(k, acc), s->vec, s->mask);
}

static bool follow(const Axis *outer, const Axis *inner) {
  return !outer->changes && !inner->changes && outer->to == inner->to * inner->extent &&
         outer->from == inner->from * inner->extent;
}

/* The axes of result m->y in the order of its memory, merged where neighbours are copied alike. */
static void set_axes(Resize *r, const Move *m, const int64_t *xs, const int64_t *ys) {
  const Node *x = m->x, *y = m->y;
  bool dx = y->op == OP_resize_dx;
  for (int i = 0; i < y->type.rank; i++) {
    int a = y->order[i];
    Axis axis = {
        .extent = y->type.dim[a], .to = ys[a], .from = xs[a], .changes = x->type.dim[a] != y->type.dim[a]};
    axis.in = dx ? axis.extent : x->type.dim[a];
    axis.out = dx ? x->type.dim[a] : axis.extent;
    if (axis.extent == 1 && !axis.changes) continue;
    if (r->rank && follow(&r->axis[r->rank - 1], &axis)) axis.extent *= r->axis[--r->rank].extent;
    r->axis[r->rank++] = axis;
  }
}

bool move_resize(const Move *m) {
  bool dx = m->y->op == OP_resize_dx;
  int64_t xs[MAX_RANK], ys[MAX_RANK], flops = dx ? 2 : 0;
  Resize r = {.corners = m->y->at.mode == 1};
  r.x0 = value_strides(m->e, m->y->in[0], xs);
  r.y0 = value_strides(m->e, m->g->anchor, ys);
  set_axes(&r, m, xs, ys);
  char size[96];
  Build b = move_begin(m, window_text(m->y->type.rank - 2, m->y->at.size, NULL, size));
  r.x = arg_of(&b, m->y->in[0]);
  r.y = arg_of(&b, m->g->anchor);
  Box box = {.chunk = m->e->machine->task_visits, .rank = r.rank};
  for (int a = 0; a < r.rank; a++) {
    const Axis *axis = &r.axis[a];
    box.extent[a] = axis->extent;
    if (axis->changes && dx) flops *= axis->out < axis->in ? 1 : 2 * axis->out / axis->in;
    else if (axis->changes) flops = 2 * flops + 3;
  }
  const Axis *inner = r.rank ? &r.axis[r.rank - 1] : NULL;
  bool vec = inner && !inner->changes && inner->to == 1 && inner->from == 1;
  return move_end_box(m, &b, &box, vec, dx ? resize_dx_body : resize_body, &r, flops);
}
