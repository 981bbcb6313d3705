/* pool.c - sumpool, maxpool and maxpool_dx. */
#include <math.h>
#include "codegen/emit/move/move.h"

enum { UNROLL = 8, MAX_BLOCK = 64 };

typedef struct {
  const Move *m;
  int ns;
  int64_t size[MAX_SPATIAL];
  ConvGeom geom;
  const int64_t *in, *out;                          /* spatial extents of x and of the pooled tensor */
  int64_t xs[MAX_RANK], ps[MAX_RANK], ys[MAX_RANK]; /* strides of x, the pooled tensor, the result */
  int64_t x0, p0, y0;                               /* and the elements they start at */
  int64_t step,
      ystep; /* elements of x, of the result, between what neighbouring lanes of the pooled tensor meet */
  KV x, dy, y;
} Pool;

/* Nested loops over lo[a] <= at[a] < hi[a]; short ones with constant bounds are written out. */
typedef void TapBody(void *ctx, KFn *k, const KV *at);
static void each_tap(KFn *k, int ns, int a, const KV *lo, const KV *hi, KV *at, TapBody *body, void *ctx) {
  int64_t first, end;
  if (a == ns) {
    body(ctx, k, at);
    return;
  }
  if (k_is_const(k, lo[a], &first) && k_is_const(k, hi[a], &end) && end - first <= UNROLL) {
    for (int64_t i = first; i < end; i++) {
      at[a] = k_i64(k, i);
      each_tap(k, ns, a + 1, lo, hi, at, body, ctx);
    }
    return;
  }
  at[a] = k_for(k, lo[a], hi[a], 1);
  each_tap(k, ns, a + 1, lo, hi, at, body, ctx);
  k_end(k);
}

/* ---- sumpool, maxpool: y[o] = sum or maximum over taps i of x[stride*o + i - pad] ---- */

typedef struct {
  const Pool *p;
  KV acc, from; /* element of tap 0 */
  const Spot *s;
} Window;

static void window_tap(void *ctx, KFn *k, const KV *at) {
  const Window *w = ctx;
  KV v = load_lanes(k, w->p->x, k_add(k, w->from, offset_of(k, w->p->ns, at, w->p->xs + 2)), w->p->step,
                    w->s->vec, w->s->mask);
  KV acc = k_get(k, w->acc);
  k_set(k, w->acc, w->p->m->y->op == OP_sumpool ? k_add(k, acc, v) : k_max(k, v, acc));
}

static void window_body(void *ctx, KFn *k, const Spot *s) {
  const Pool *p = ctx;
  const Node *y = p->m->y;
  KV at[MAX_RANK], tap[MAX_SPATIAL], lo[MAX_SPATIAL], hi[MAX_SPATIAL];
  node_coords(y, s, at);
  Window w = {.p = p, .acc = k_local(k, K_F32, s->vec, "acc"), .s = s};
  k_set(k, w.acc, k_f32(k, y->op == OP_sumpool ? 0 : -INFINITY));
  w.from = k_add(k, k_i64(k, p->x0), offset_of(k, 2, at, p->xs));
  for (int a = 0; a < p->ns; a++) {
    KV first = k_sub(k, k_mul(k, at[2 + a], k_i64(k, p->geom.stride[a])), k_i64(k, p->geom.pad[a]));
    w.from = k_add(k, w.from, k_mul(k, first, k_i64(k, p->xs[2 + a])));
    lo[a] = k_i64(k, 0);
    hi[a] = k_i64(k, p->size[a]);
    if (!p->geom.pad[a]) continue;
    lo[a] = k_max(k, lo[a], k_sub(k, lo[a], first));
    hi[a] = k_min(k, hi[a], k_sub(k, k_i64(k, p->in[a]), first));
  }
  each_tap(k, p->ns, 0, lo, hi, tap, window_tap, &w);
  KV to = k_add(k, k_i64(k, p->y0), offset_of(k, y->type.rank, at, p->ys));
  store_lanes(k, p->y, to, 1, k_get(k, w.acc), s->vec, s->mask);
}

/* ---- maxpool_dx, windows that tile x: per window, the first element that is not less than the maximum takes
 * dy; with a NaN no comparison holds, and it is the window's first ---- */

static void block_body(void *ctx, KFn *k, const Spot *s) {
  const Pool *p = ctx;
  const Node *dy = &p->m->e->fn->node[p->m->y->in[1]];
  KV at[MAX_RANK], v[MAX_BLOCK];
  node_coords(dy, s, at);
  KV from = k_add(k, k_i64(k, p->x0), offset_of(k, 2, at, p->xs)), rel[MAX_BLOCK][2];
  KV to = k_add(k, k_i64(k, p->y0), offset_of(k, 2, at, p->ys));
  int64_t taps = 1;
  for (int a = 0; a < p->ns; a++) {
    from = k_add(k, from, k_mul(k, at[2 + a], k_i64(k, p->geom.stride[a] * p->xs[2 + a])));
    to = k_add(k, to, k_mul(k, at[2 + a], k_i64(k, p->geom.stride[a] * p->ys[2 + a])));
    taps *= p->size[a];
  }
  KV best = K_NONE;
  for (int64_t t = 0; t < taps; t++) {
    int64_t xoff = 0, yoff = 0, rest = t;
    for (int a = p->ns - 1; a >= 0; rest /= p->size[a], a--) {
      xoff += rest % p->size[a] * p->xs[2 + a];
      yoff += rest % p->size[a] * p->ys[2 + a];
    }
    rel[t][0] = k_add(k, from, k_i64(k, xoff));
    rel[t][1] = k_add(k, to, k_i64(k, yoff));
    v[t] = load_lanes(k, p->x, rel[t][0], p->step, s->vec, s->mask);
    best = t ? k_max(k, v[t], best) : v[t];
  }
  KV zero = s->vec ? k_splat(k, k_f32(k, 0)) : k_f32(k, 0);
  KV dy_at = k_add(k, k_i64(k, p->p0), offset_of(k, dy->type.rank, at, p->ps));
  KV left = load_lanes(k, p->dy, dy_at, 1, s->vec, s->mask);
  for (int64_t t = 0; t < taps; t++) {
    KV less = k_lt(k, v[t], best);
    store_lanes(k, p->y, rel[t][1], p->ystep, k_select(k, less, zero, left), s->vec, s->mask);
    left = k_select(k, less, left, zero);
  }
}

/* ---- maxpool_dx, any windows: an element gathers dy of the windows whose first maximum it is ---- */

typedef struct {
  const Pool *p;
  const Spot *s;
  const KV *u; /* the element: coordinates by logical axis */
  KV sum;
  const KV *o;   /* the window */
  KV best, mine; /* while one window is scanned: the maximum so far, 1 where it is this element */
} Gather;

static void scan_tap(void *ctx, KFn *k, const KV *v) {
  const Gather *g = ctx;
  const Pool *p = g->p;
  KV same = K_NONE;
  for (int a = 0; a < p->ns; a++) {
    KV eq = k_eq(k, v[a], g->u[2 + a]);
    same = same == K_NONE ? eq : k_and(k, same, eq);
  }
  KV from = k_add(k, offset_of(k, 2, g->u, p->xs), offset_of(k, p->ns, v, p->xs + 2));
  KV x = load_lanes(k, p->x, k_add(k, k_i64(k, p->x0), from), 1, g->s->vec, g->s->mask);
  KV best = k_get(k, g->best), better = k_lt(k, best, x);
  k_set(k, g->best, k_max(k, best, x));
  k_set(k, g->mine, k_select(k, better, k_cast(k, K_F32, same), k_get(k, g->mine)));
}

static void window_of(void *ctx, KFn *k, const KV *o) {
  Gather g = *(const Gather *)ctx;
  const Pool *p = g.p;
  KV lo[MAX_SPATIAL], hi[MAX_SPATIAL], at[MAX_SPATIAL], zero = k_f32(k, 0), is_first = K_NONE;
  for (int a = 0; a < p->ns; a++) {
    KV first = k_sub(k, k_mul(k, o[a], k_i64(k, p->geom.stride[a])), k_i64(k, p->geom.pad[a]));
    lo[a] = k_max(k, k_i64(k, 0), first);
    hi[a] = k_min(k, k_i64(k, p->in[a]), k_add(k, first, k_i64(k, p->size[a])));
    KV eq = k_eq(k, lo[a], g.u[2 + a]);
    is_first = is_first == K_NONE ? eq : k_and(k, is_first, eq);
  }
  is_first = k_cast(k, K_F32, is_first);
  g.best = k_local(k, K_F32, g.s->vec, "best");
  g.mine = k_local(k, K_F32, g.s->vec, "mine");
  k_set(k, g.best, k_f32(k, -INFINITY));
  k_set(k, g.mine, is_first);
  each_tap(k, p->ns, 0, lo, hi, at, scan_tap, &g);
  KV off = k_add(k, offset_of(k, 2, g.u, p->ps), offset_of(k, p->ns, o, p->ps + 2));
  KV dy = load_lanes(k, p->dy, k_add(k, k_i64(k, p->p0), off), 1, g.s->vec, g.s->mask);
  KV best = k_get(k, g.best), mine = k_select(k, k_eq(k, best, best), k_get(k, g.mine), is_first);
  KV add = k_select(k, k_lt(k, zero, mine), dy, zero);
  k_set(k, g.sum, k_add(k, k_get(k, g.sum), add));
}

static void gather_body(void *ctx, KFn *k, const Spot *s) {
  const Pool *p = ctx;
  const Node *y = p->m->y;
  KV u[MAX_RANK], lo[MAX_SPATIAL], hi[MAX_SPATIAL], at[MAX_SPATIAL];
  node_coords(y, s, u);
  Gather g = {.p = p, .s = s, .u = u, .sum = k_local(k, K_F32, s->vec, "sum")};
  k_set(k, g.sum, k_f32(k, 0));
  for (int a = 0; a < p->ns; a++) { /* windows o with stride*o - pad <= u < stride*o - pad + size */
    KV q = k_add(k, u[2 + a], k_i64(k, p->geom.pad[a])), step = k_i64(k, p->geom.stride[a]);
    KV first = k_max(k, k_i64(k, 0), k_sub(k, q, k_i64(k, p->size[a] - 1)));
    lo[a] = k_div(k, k_add(k, first, k_i64(k, p->geom.stride[a] - 1)), step);
    hi[a] = k_min(k, k_i64(k, p->out[a]), k_add(k, k_div(k, q, step), k_i64(k, 1)));
  }
  each_tap(k, p->ns, 0, lo, hi, at, window_of, &g);
  KV to = k_add(k, k_i64(k, p->y0), offset_of(k, y->type.rank, u, p->ys));
  store_lanes(k, p->y, to, 1, k_get(k, g.sum), s->vec, s->mask);
}

/* ---- the three ops ---- */

static bool blocks_tile(const Pool *p) {
  int64_t taps = 1;
  for (int a = 0; a < p->ns; a++) {
    if (p->size[a] != p->geom.stride[a] || p->geom.pad[a] || p->in[a] % p->geom.stride[a]) return false;
    taps *= p->size[a];
  }
  return taps <= MAX_BLOCK;
}

/* Elements between what neighbouring lanes of `over` meet in a tensor with strides t, whose spatial axes are
 * `scale` finer. */
static int64_t lane_step(const Emit *e, const Node *over, const int64_t *t, const int64_t *scale) {
  Box b = node_box(e, over);
  int axis = over->type.rank ? over->order[visit_lane_axis(&b)] : 0;
  return t[axis] * (axis >= 2 ? scale[axis - 2] : 1);
}

bool move_pool(const Move *m) {
  int pooled_id = m->y->op == OP_maxpool_dx ? m->y->in[1] : m->g->anchor;
  const Node *y = m->y, *pooled = &m->e->fn->node[pooled_id];
  Pool p = {.m = m, .ns = y->type.rank - 2, .in = m->x->type.dim + 2, .out = pooled->type.dim + 2};
  p.geom = y->at.geom;
  bool padded = false, sum = y->op == OP_sumpool;
  for (int a = 0; a < p.ns; a++) {
    p.size[a] = sum ? y->at.geom.stride[a] : y->at.size[a];
    padded = padded || p.geom.pad[a];
  }
  p.x0 = value_strides(m->e, y->in[0], p.xs);
  p.p0 = value_strides(m->e, pooled_id, p.ps);
  p.y0 = value_strides(m->e, m->g->anchor, p.ys);
  p.step = lane_step(m->e, pooled, p.xs, p.geom.stride);
  p.ystep = lane_step(m->e, pooled, p.ys, p.geom.stride);
  char win[96];
  Build b = move_begin(m, window_text(p.ns, p.size, &p.geom, win));
  p.x = arg_of(&b, y->in[0]);
  p.dy = y->op == OP_maxpool_dx ? arg_of(&b, y->in[1]) : K_NONE;
  p.y = arg_of(&b, m->g->anchor);
  int64_t taps = 1;
  for (int a = 0; a < p.ns; a++) taps *= p.size[a];
  bool channels = channels_inner(m->x) && channels_inner(pooled) && channels_inner(y);
  if (y->op != OP_maxpool_dx) return move_end(m, &b, y, channels || !padded, window_body, &p, taps);
  if (!blocks_tile(&p)) return move_end(m, &b, y, channels, gather_body, &p, taps);
  return move_end(m, &b, pooled, true, block_body, &p, taps);
}
