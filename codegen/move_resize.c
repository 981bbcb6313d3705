/* move_resize.c - linear interpolation and its adjoint.
 *
 * Along one axis, result pixel o lies at src(o) of the source: mode 1 src = o*(in-1)/(out-1), 0 where out =
 * 1; mode 0 src = max(0, (o+.5)*in/out - .5). It is (1-f)*x[i0] + f*x[i1], i0 = floor(src), i1 = min(i0+1,
 * in-1), f = src - i0. Coordinates are computed in double by the kernel. The adjoint gathers: source pixel u
 * asks the few o whose i0 or i1 may be u. */
#include "move.h"

typedef struct {
  const Move *m;
  int ns;
  bool corners;                       /* mode 1 */
  const int64_t *in, *out;            /* extents of the coarse (interpolated from) and the resized tensor */
  int64_t xs[MAX_RANK], ys[MAX_RANK]; /* strides of operand and result */
  int64_t x0, y0;                     /* and the elements they start at */
  KV x, y;
} Resize;

typedef struct {
  KV i0, i1; /* i64 */
  KV w0, w1; /* f32 */
} Linear;

static Linear linear(KFn *k, const Resize *r, int axis, KV o) {
  int64_t in = r->in[axis], out = r->out[axis];
  KV src = k_f64(k, 0), dst = k_cast(k, K_F64, o);
  if (r->corners && out > 1)
    src = k_div(k, k_mul(k, dst, k_f64(k, (double)(in - 1))), k_f64(k, (double)(out - 1)));
  if (!r->corners) {
    KV scaled = k_div(k, k_mul(k, k_add(k, dst, k_f64(k, 0.5)), k_f64(k, (double)in)), k_f64(k, (double)out));
    src = k_max(k, k_sub(k, scaled, k_f64(k, 0.5)), k_f64(k, 0));
  }
  KV i0 = k_min(k, k_cast(k, K_I64, src), k_i64(k, in - 1));
  KV f = k_sub(k, src, k_cast(k, K_F64, i0));
  return (Linear){i0, k_min(k, k_add(k, i0, k_i64(k, 1)), k_i64(k, in - 1)),
                  k_cast(k, K_F32, k_sub(k, k_f64(k, 1), f)), k_cast(k, K_F32, f)};
}

/* Value at `off` plus the axes from `a` on: the innermost axis is interpolated first. */
static KV corner(KFn *k, const Resize *r, const Linear *l, int a, KV off, const Spot *s) {
  if (a == r->ns) return load_lanes(k, r->x, off, 1, s->vec, s->mask);
  KV stride = k_i64(k, r->xs[2 + a]);
  KV v0 = corner(k, r, l, a + 1, k_add(k, off, k_mul(k, l[a].i0, stride)), s);
  KV v1 = corner(k, r, l, a + 1, k_add(k, off, k_mul(k, l[a].i1, stride)), s);
  return k_add(k, k_mul(k, v0, l[a].w0), k_mul(k, v1, l[a].w1));
}

static void resize_body(void *ctx, KFn *k, const Spot *s) {
  const Resize *r = ctx;
  const Node *y = r->m->y;
  KV at[MAX_RANK];
  Linear l[MAX_SPATIAL];
  node_coords(y, s, at);
  for (int a = 0; a < r->ns; a++) l[a] = linear(k, r, a, at[2 + a]);
  KV v = corner(k, r, l, 0, k_add(k, k_i64(k, r->x0), offset_of(k, 2, at, r->xs)), s);
  KV to = k_add(k, k_i64(k, r->y0), offset_of(k, y->type.rank, at, r->ys));
  store_lanes(k, r->y, to, 1, v, s->vec, s->mask);
}

/* Resized pixels lo..hi-1 contain all that read coarse pixel u: src(o) in (u-1, u+1), in integers and rounded
 * outwards. */
static void readers(KFn *k, const Resize *r, int axis, KV u, KV *lo, KV *hi) {
  int64_t in = r->in[axis], out = r->out[axis];
  KV zero = k_i64(k, 0), one = k_i64(k, 1), all = k_i64(k, out);
  *lo = zero;
  *hi = all;
  if (in == 1 || out == 1) return;
  KV below, above, by;
  if (r->corners) { /* o < (u+1)*(out-1)/(in-1), o > (u-1)*(out-1)/(in-1) */
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
  const Node *y = r->m->y;
  KV u[MAX_RANK], acc = k_local(k, K_F32, s->vec, "acc"), weight = K_NONE;
  node_coords(y, s, u);
  k_set(k, acc, k_f32(k, 0));
  KV off = k_add(k, k_i64(k, r->x0), offset_of(k, 2, u, r->xs)), none = k_f32(k, 0);
  for (int a = 0; a < r->ns; a++) {
    KV lo, hi;
    readers(k, r, a, u[2 + a], &lo, &hi);
    KV o = k_for(k, lo, hi, 1);
    Linear l = linear(k, r, a, o);
    KV w = k_add(k, k_select(k, k_eq(k, l.i0, u[2 + a]), l.w0, none),
                 k_select(k, k_eq(k, l.i1, u[2 + a]), l.w1, none));
    weight = a ? k_mul(k, weight, w) : w;
    off = k_add(k, off, k_mul(k, o, k_i64(k, r->xs[2 + a])));
  }
  KV v = load_lanes(k, r->x, off, 1, s->vec, s->mask);
  k_set(k, acc, k_add(k, k_get(k, acc), k_mul(k, v, weight)));
  for (int a = 0; a < r->ns; a++) k_end(k);
  KV to = k_add(k, k_i64(k, r->y0), offset_of(k, y->type.rank, u, r->ys));
  store_lanes(k, r->y, to, 1, k_get(k, acc), s->vec, s->mask);
}

bool move_resize(const Move *m) {
  bool dx = m->y->op == OP_resize_dx;
  const Node *coarse = dx ? m->y : m->x, *resized = dx ? m->x : m->y;
  Resize r = {.m = m,
              .ns = m->y->type.rank - 2,
              .corners = m->y->at.mode == 1,
              .in = coarse->type.dim + 2,
              .out = resized->type.dim + 2};
  char size[96];
  r.x0 = value_strides(m->e, m->y->in[0], r.xs);
  r.y0 = value_strides(m->e, m->g->anchor, r.ys);
  Build b = move_begin(m, window_text(r.ns, m->y->at.size, NULL, NULL, size));
  r.x = arg_of(&b, m->y->in[0]);
  r.y = arg_of(&b, m->g->anchor);
  bool vec = channels_inner(m->x) && channels_inner(m->y);
  return move_end(m, &b, m->y, vec, dx ? resize_dx_body : resize_body, &r, 3 << r.ns);
}
