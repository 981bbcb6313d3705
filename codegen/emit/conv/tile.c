/* tile.c - the micro-kernel of convolutions: a tile of results in registers, fed by one broadcast
 * operand and one operand of whole vectors. Each step of the loop loads `vectors` vectors and one scalar per
 * pixel and makes pixels * vectors multiply-adds; with pixels * vectors + vectors + 1 registers nothing is
 * spilled. */
#include "codegen/emit/conv/geometry.h"

KV *tile_locals(Arena *a, KFn *k, int n) {
  KV *acc = arena_alloc(a, (size_t)n * sizeof *acc);
  for (int i = 0; i < n; i++) acc[i] = k_local(k, K_F32, true, "acc");
  return acc;
}

void tile_zero(KFn *k, const KV *acc, int n) {
  KV zero = k_splat(k, k_f32(k, 0));
  for (int i = 0; i < n; i++) k_set(k, acc[i], zero);
}

/* The scalar operand: an element, or a pair. */
static KV scalar(const MicroTile *t, KV at) {
  KFn *k = t->k;
  if (t->pairs && k->ins[t->a].type.base == K_BF16) return k_load_pair(k, t->a, at);
  KV a = k_load(k, t->a, at, false);
  return t->pairs ? k_bitcast(k, K_I32, a) : a;
}

/* One step: element a_at of the first pixel, b_at of the first lane. */
static void step(const MicroTile *t, int p0, int p1, KV a_at, KV b_at) {
  KFn *k = t->k;
  KV b[8];
  for (int v = 0; v < t->vectors; v++) {
    KV at = k_add(k, b_at, k_i64(k, (int64_t)v * k->lanes));
    bool masked = t->mask != K_NONE && v == t->vectors - 1;
    b[v] = masked ? k_load_masked(k, t->b, at, t->mask) : k_load(k, t->b, at, true);
    if (t->pairs) b[v] = k_bitcast(k, K_I32, b[v]);
  }
  for (int p = p0; p < p1; p++) {
    KV a = k_splat(k, scalar(t, k_add(k, a_at, k_i64(k, t->a_row ? t->a_row[p] : p * t->ap))));
    for (int v = 0; v < t->vectors; v++) {
      KV acc = t->acc[p * t->vectors + v];
      k_set(k, acc, t->pairs ? k_dot2(k, a, b[v], k_get(k, acc)) : k_fma(k, a, b[v], k_get(k, acc)));
    }
  }
}

static void steps(const MicroTile *t, int p0, int p1, KV a_at, KV b_at, KV m, int64_t count) {
  KFn *k = t->k;
  for (int64_t i = 0; i < count; i++) {
    KV q = k_add(k, m, k_i64(k, i));
    step(t, p0, p1, k_add(k, a_at, k_mul(k, q, k_i64(k, t->am))),
         k_add(k, b_at, k_mul(k, q, k_i64(k, t->bm))));
  }
}

/* m: the first step of the turn. */
static void prefetch_source(const MicroTile *t, KV m, int64_t turn) {
  KFn *k = t->k;
  KV at = t->prefetch_step
              ? k_add(k, t->prefetch_at, k_mul(k, k_div(k, m, k_i64(k, turn)), k_i64(k, t->prefetch_step)))
              : K_NONE;
  for (int64_t i = 0; i < t->prefetch_step; i += TILE_LINE) k_prefetch(k, t->a, k_add(k, at, k_i64(k, i)));
}

/* A turn of a loop costs three instructions; where a core is shared by two threads, that is felt, as only half
 * of its six instructions a cycle remain for 2 multiply-adds and 1.3 loads. */
void tile_fma(const MicroTile *t, int p0, int p1, KV a_at, KV b_at, KV len) {
  KFn *k = t->k;
  int64_t n, turn = t->unroll > 1 ? t->unroll : 1;
  KV zero = k_i64(k, 0);
  bool known = k_is_const(k, len, &n);
  if (known && n <= turn) {
    steps(t, p0, p1, a_at, b_at, zero, n);
    return;
  }
  KV full = k_sub(k, len, k_rem(k, len, k_i64(k, turn)));
  KV m = k_for(k, zero, full, turn);
  prefetch_source(t, m, turn);
  if (t->prefetch) t->prefetch(t->prefetch_ctx, k, k_div(k, m, k_i64(k, turn)));
  steps(t, p0, p1, a_at, b_at, m, turn);
  k_end(k);
  if (known) {
    steps(t, p0, p1, a_at, b_at, k_i64(k, n - n % turn), n % turn);
  } else if (turn > 1) {
    m = k_for(k, full, len, 1);
    steps(t, p0, p1, a_at, b_at, m, 1);
    k_end(k);
  }
}
