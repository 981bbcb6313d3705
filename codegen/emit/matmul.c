/* matmul.c - G_MATMUL: the small dense contractions of attention, kernel mixing and linear heads.
 *
 *   matmul  y[m,r] = sum over k of a[m,k] b[k,r]     lanes along r, a tile of rows m in registers, k in order
 *   inner   y[m,k] = sum over r of a[m,r] b[k,r]     lanes along r, a tile of k, lanes added as a fixed tree
 * at the end
 *
 * r stands for every axis but the first. Where the first axis lies outermost in memory and the others in the
 * same order in both tensors, r is one flat axis; otherwise the plain loops at the end of this file run over
 * coordinates. */
#include <string.h>
#include "codegen/emit/core/box.h"
#include "codegen/util/ints.h"

enum { ROWS = 6, TILE_K = 4, RANGE = 4096 };

/* Is the first axis outermost in memory? */
static bool rows_flat(const Node *n) { return n->type.rank == 0 || n->order[0] == 0; }

/* Do all axes but the first follow each other alike? */
static bool same_tail(const Node *a, const Node *b) {
  if (a->type.rank != b->type.rank || !rows_flat(a) || !rows_flat(b)) return false;
  for (int i = 1; i < a->type.rank; i++)
    if (a->order[i] != b->order[i]) return false;
  return true;
}

static int64_t tail_count(const Node *n) { return type_count(n->type) / n->type.dim[0]; }

/* ---- matmul ---- */

typedef struct {
  int64_t m, kk, r; /* extents */
  int64_t as[2];    /* strides of a: along m, along k */
  int64_t range;    /* of r, of a task */
  KV a, b, y;
} Mat;

/* `rows` rows from m0 on, one vector of r. */
static void mat_tile(KFn *k, const Mat *t, KV m0, int rows, KV r, KV mask) {
  KV acc[ROWS];
  for (int i = 0; i < rows; i++) {
    acc[i] = k_local(k, K_F32, true, "acc");
    k_set(k, acc[i], k_f32(k, 0));
  }
  KV kk = k_for(k, k_i64(k, 0), k_i64(k, t->kk), 1);
  KV b = load_lanes(k, t->b, k_add(k, k_mul(k, kk, k_i64(k, t->r)), r), 1, true, mask);
  for (int i = 0; i < rows; i++) {
    KV at =
        k_add(k, k_mul(k, k_add(k, m0, k_i64(k, i)), k_i64(k, t->as[0])), k_mul(k, kk, k_i64(k, t->as[1])));
    k_set(k, acc[i], k_fma(k, k_splat(k, k_load(k, t->a, at, false)), b, k_get(k, acc[i])));
  }
  k_end(k);
  for (int i = 0; i < rows; i++) {
    KV at = k_add(k, k_mul(k, k_add(k, m0, k_i64(k, i)), k_i64(k, t->r)), r);
    store_lanes(k, t->y, at, 1, k_get(k, acc[i]), true, mask);
  }
}

static void mat_range(KFn *k, const Mat *t, KV m0, int rows, KV lo, KV hi) {
  int64_t full = t->r / k->lanes * k->lanes;
  if (full) {
    KV r = k_for(k, lo, k_min(k, hi, k_i64(k, full)), k->lanes);
    mat_tile(k, t, m0, rows, r, K_NONE);
    k_end(k);
  }
  if (full == t->r) return;
  k_if(k, k_eq(k, hi, k_i64(k, t->r)));
  mat_tile(k, t, m0, rows, k_i64(k, full), k_first_lanes(k, k_i64(k, t->r - full)));
  k_end(k);
}

/* Tasks: tiles of rows times ranges of r; ranges are multiples of the lanes of every instruction set. */
static int64_t mat_range_size(const Machine *m, int64_t kk) {
  int64_t range = m->task_macs / 4 / (kk * ROWS), step = m->isa[m->isas - 1].lanes;
  return range < step ? step : range > RANGE ? RANGE : range / step * step;
}

static void mat_kernel(KFn *k, const Mat *t) {
  int64_t full = t->m / ROWS, range = t->range, ranges = ceil_div(t->r, range);
  KV lo = k_mul(k, k_rem(k, k_task(k), k_i64(k, ranges)), k_i64(k, range));
  KV hi = k_min(k, k_add(k, lo, k_i64(k, range)), k_i64(k, t->r));
  KV tile = k_div(k, k_task(k), k_i64(k, ranges));
  if (full) {
    k_if(k, k_lt(k, tile, k_i64(k, full)));
    mat_range(k, t, k_mul(k, tile, k_i64(k, ROWS)), ROWS, lo, hi);
    k_end(k);
  }
  if (t->m % ROWS == 0) return;
  k_if(k, k_eq(k, tile, k_i64(k, full)));
  mat_range(k, t, k_i64(k, full * ROWS), (int)(t->m % ROWS), lo, hi);
  k_end(k);
}

/* ---- inner ---- */

typedef struct {
  int64_t m, kk, r;
  int64_t ys[2];
  KV a, b, y;
} Inner;

/* y[m, k0 .. k0+tile-1]: two chains of sums for each, so that the latency of one hides behind the other. */
static void inner_tile(KFn *k, const Inner *t, KV m, KV k0, int tile) {
  enum { CHAINS = 2 };
  int64_t step = k->lanes * CHAINS, full = t->r / step * step;
  KV acc[TILE_K][CHAINS];
  for (int i = 0; i < tile; i++)
    for (int c = 0; c < CHAINS; c++) {
      acc[i][c] = k_local(k, K_F32, true, "acc");
      k_set(k, acc[i][c], k_f32(k, 0));
    }
  KV arow = k_mul(k, m, k_i64(k, t->r)), brow = k_mul(k, k0, k_i64(k, t->r));
  for (int64_t at = full ? -1 : 0; at < t->r; at = at < 0 ? full : at + k->lanes) {
    bool loop = at < 0;
    int64_t left = t->r - at;
    KV mask = !loop && left < k->lanes ? k_first_lanes(k, k_i64(k, left)) : K_NONE;
    KV r = loop ? k_for(k, k_i64(k, 0), k_i64(k, full), step) : k_i64(k, at);
    for (int c = 0; c < (loop ? CHAINS : 1); c++) {
      KV here = k_add(k, r, k_i64(k, (int64_t)c * k->lanes));
      KV a = load_lanes(k, t->a, k_add(k, arow, here), 1, true, mask);
      for (int i = 0; i < tile; i++) {
        KV b = load_lanes(k, t->b, k_add(k, k_add(k, brow, here), k_i64(k, i * t->r)), 1, true, mask);
        k_set(k, acc[i][c], k_fma(k, a, b, k_get(k, acc[i][c])));
      }
    }
    if (loop) k_end(k);
  }
  for (int i = 0; i < tile; i++) {
    KV sum = k_un(k, K_hsum, k_add(k, k_get(k, acc[i][0]), k_get(k, acc[i][1])));
    KV at =
        k_add(k, k_mul(k, m, k_i64(k, t->ys[0])), k_mul(k, k_add(k, k0, k_i64(k, i)), k_i64(k, t->ys[1])));
    k_store(k, t->y, at, sum);
  }
}

static void inner_kernel(KFn *k, const Inner *t) {
  int64_t tiles = ceil_div(t->kk, TILE_K), full = t->kk / TILE_K;
  KV m = k_div(k, k_task(k), k_i64(k, tiles)), tile = k_rem(k, k_task(k), k_i64(k, tiles));
  if (full) {
    k_if(k, k_lt(k, tile, k_i64(k, full)));
    inner_tile(k, t, m, k_mul(k, tile, k_i64(k, TILE_K)), TILE_K);
    k_end(k);
  }
  if (t->kk % TILE_K == 0) return;
  k_if(k, k_eq(k, tile, k_i64(k, full)));
  inner_tile(k, t, m, k_i64(k, full * TILE_K), (int)(t->kk % TILE_K));
  k_end(k);
}

/* ---- any order ---- */

typedef struct {
  const Node *y, *a, *b;
  bool inner, trans;
  int64_t ys[MAX_RANK], as[MAX_RANK], bs[MAX_RANK];
  KV ya, aa, ba;
} Plain;

static void plain_body(void *ctx, KFn *k, const Spot *s) {
  const Plain *p = ctx;
  KV at[MAX_RANK];
  node_coords(p->y, s, at);
  KV acc = k_local(k, K_F32, false, "acc");
  k_set(k, acc, k_f32(k, 0));
  KV a, b;
  int loops = 1;
  if (p->inner) {
    a = k_mul(k, at[0], k_i64(k, p->as[0]));
    b = k_mul(k, at[1], k_i64(k, p->bs[0]));
    loops = p->a->type.rank - 1;
    for (int i = 1; i <= loops; i++) {
      KV r = k_for(k, k_i64(k, 0), k_i64(k, p->a->type.dim[i]), 1);
      a = k_add(k, a, k_mul(k, r, k_i64(k, p->as[i])));
      b = k_add(k, b, k_mul(k, r, k_i64(k, p->bs[i])));
    }
  } else {
    KV kk = k_for(k, k_i64(k, 0), k_i64(k, p->b->type.dim[0]), 1);
    a = k_add(k, k_mul(k, at[0], k_i64(k, p->as[p->trans])), k_mul(k, kk, k_i64(k, p->as[!p->trans])));
    b = k_mul(k, kk, k_i64(k, p->bs[0]));
    for (int i = 1; i < p->y->type.rank; i++) b = k_add(k, b, k_mul(k, at[i], k_i64(k, p->bs[i])));
  }
  k_set(k, acc, k_fma(k, k_load(k, p->aa, a, false), k_load(k, p->ba, b, false), k_get(k, acc)));
  for (int i = 0; i < loops; i++) k_end(k);
  k_store(k, p->ya, offset_of(k, p->y->type.rank, at, p->ys), k_get(k, acc));
}

bool emit_matmul(Emit *e, const GroupInfo *g) {
  const Node *y = &e->fn->node[g->anchor], *a = &e->fn->node[y->in[0]], *b = &e->fn->node[y->in[1]];
  bool inner = y->op == OP_inner, trans = y->at.mode == 1;
  int64_t m = y->type.dim[0], kk = b->type.dim[0], r = tail_count(b);
  bool flat = inner ? same_tail(a, b) : same_tail(y, b);
  int64_t ys[MAX_RANK], as[MAX_RANK], bs[MAX_RANK];
  node_strides(y, ys), node_strides(a, as), node_strides(b, bs);
  Build bd = build_begin(e, g, "matmul", "%s:m%lld_k%lld_r%lld:f32%s", op_info[y->op].name, (long long)m,
                         (long long)kk, (long long)r, trans ? ":ta" : "");
  args_of_group(&bd);
  KV aa = arg_of(&bd, y->in[0]), ba = arg_of(&bd, y->in[1]), ya = arg_of(&bd, g->anchor);
  Mat mat = {m, kk, r, {as[trans], as[!trans]}, mat_range_size(e->machine, kk), aa, ba, ya};
  Inner in = {m, kk, r, {ys[0], ys[1]}, aa, ba, ya};
  Plain plain = {.y = y, .a = a, .b = b, .inner = inner, .trans = trans, .ya = ya, .aa = aa, .ba = ba};
  memcpy(plain.ys, ys, sizeof ys), memcpy(plain.as, as, sizeof as), memcpy(plain.bs, bs, sizeof bs);
  Box box = node_box(e, y);
  int64_t tasks = visit_tasks(&box);
  if (flat) tasks = inner ? m * ceil_div(kk, TILE_K) : ceil_div(m, ROWS) * ceil_div(r, mat.range);
  EACH_ISA (isa, &bd) {
    KFn *k = build_kernel(&bd, isa);
    if (!flat) visit(k, &box, k_task(k), false, plain_body, &plain);
    else if (inner) inner_kernel(k, &in);
    else mat_kernel(k, &mat);
  }
  bd.kernel.flops = 2 * m * kk * r;
  bd.kernel.bytes = group_bytes(e, g);
  build_end(&bd, tasks);
  return !e->err[0];
}
