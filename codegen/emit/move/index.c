/* index.c - movement by computed places: orient, argmax, argmin. */
#include "codegen/emit/move/move.h"

typedef struct {
  const Move *m;
  int64_t xs[MAX_RANK], ys[MAX_RANK], step; /* strides; elements of x between lanes */
  KV x, code, y;
} Index;

/* ---- orient ----
 * Forward: y = rot90^r(flip(x)). One quarter turn is y[i,j] = x[j, S-1-i]; so y[i,j] = x[p,q] with (p,q)
 * below, and p mirrored where the flip was. The inverse undoes the flip on y's place first, then turns by
 * 4-r. */
static void orient_body(void *ctx, KFn *k, const Spot *s) {
  const Index *x = ctx;
  const Node *y = x->m->y;
  KV at[MAX_RANK], src[MAX_RANK];
  node_coords(y, s, at);
  for (int a = 0; a < y->type.rank; a++) src[a] = at[a];
  KV last = k_i64(k, y->type.dim[2] - 1), code = k_load(k, x->code, at[0], false);
  KV turns = k_and(k, code, k_i32(k, 3)), flip = k_eq(k, k_and(k, code, k_i32(k, 4)), k_i32(k, 4));
  KV i = at[2], j = at[3];
  if (y->at.mode) {
    i = k_select(k, flip, k_sub(k, last, i), i);
    turns = k_and(k, k_sub(k, k_i32(k, 4), turns), k_i32(k, 3));
  }
  KV mi = k_sub(k, last, i), mj = k_sub(k, last, j);
  KV one = k_eq(k, turns, k_i32(k, 1)), two = k_eq(k, turns, k_i32(k, 2)),
     three = k_eq(k, turns, k_i32(k, 3));
  KV p = k_select(k, one, j, k_select(k, two, mi, k_select(k, three, mj, i)));
  src[3] = k_select(k, one, mi, k_select(k, two, mj, k_select(k, three, i, j)));
  src[2] = y->at.mode ? p : k_select(k, flip, k_sub(k, last, p), p);
  KV v = load_lanes(k, x->x, offset_of(k, y->type.rank, src, x->xs), 1, s->vec, s->mask);
  store_lanes(k, x->y, offset_of(k, y->type.rank, at, x->ys), 1, v, s->vec, s->mask);
}

bool move_orient(const Move *m) {
  Index x = {.m = m};
  node_strides(m->x, x.xs), node_strides(m->y, x.ys);
  Build b = move_begin(m, m->y->at.mode ? "inverse" : "forward");
  x.x = arg_of(&b, m->y->in[0]);
  x.code = arg_of(&b, m->y->in[1]);
  x.y = arg_of(&b, m->g->anchor);
  return move_end(m, &b, m->y, channels_inner(m->x) && channels_inner(m->y), orient_body, &x, 0);
}

/* ---- argmax, argmin: lanes along the result, the first of equals wins ---- */

static void arg_body(void *ctx, KFn *k, const Spot *s) {
  const Index *x = ctx;
  const Node *y = x->m->y;
  int axis = y->at.axis;
  KV at[MAX_RANK];
  node_coords(y, s, at);
  KV from = offset_of(k, y->type.rank, at, x->xs);
  KV best = k_local(k, base_of(x->m->x->type), s->vec, "best"), index = k_local(k, K_I32, s->vec, "index");
  k_set(k, best, load_lanes(k, x->x, from, x->step, s->vec, s->mask));
  k_set(k, index, k_i32(k, 0));
  KV c = k_for(k, k_i64(k, 1), k_i64(k, x->m->x->type.dim[axis]), 1);
  KV v = load_lanes(k, x->x, k_add(k, from, k_mul(k, c, k_i64(k, x->xs[axis]))), x->step, s->vec, s->mask);
  KV old = k_get(k, best), better = y->op == OP_argmax ? k_lt(k, old, v) : k_lt(k, v, old);
  k_set(k, best, k_select(k, better, v, old));
  k_set(k, index, k_select(k, better, k_cast(k, K_I32, c), k_get(k, index)));
  k_end(k);
  store_lanes(k, x->y, offset_of(k, y->type.rank, at, x->ys), 1, k_get(k, index), s->vec, s->mask);
}

bool move_arg(const Move *m) {
  Index x = {.m = m};
  Box box = node_box(m->e, m->y);
  int lane = m->y->type.rank ? m->y->order[visit_lane_axis(&box)] : 0;
  node_strides(m->x, x.xs), node_strides(m->y, x.ys);
  x.step = x.xs[lane];
  char text[32];
  snprintf(text, sizeof text, "axis%d", m->y->at.axis);
  Build b = move_begin(m, text);
  x.x = arg_of(&b, m->y->in[0]);
  x.y = arg_of(&b, m->g->anchor);
  bool vec = m->y->type.dim[lane] > 1;
  return move_end(m, &b, m->y, vec, arg_body, &x, m->x->type.dim[m->y->at.axis]);
}
