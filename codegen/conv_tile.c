/* conv_tile.c - the micro-kernel of convolutions: a tile of results in registers, fed by one broadcast
 * operand and one operand of whole vectors. Each step of the loop loads `vectors` vectors and one scalar per
 * pixel and makes pixels * vectors multiply-adds; with pixels * vectors + vectors + 1 registers nothing is
 * spilled. */
#include "conv_geom.h"

KV *tile_locals(Arena *a, KFn *k, int n) {
  KV *acc = arena_alloc(a, (size_t)n * sizeof *acc);
  for (int i = 0; i < n; i++) acc[i] = k_local(k, K_F32, true, "acc");
  return acc;
}

void tile_zero(KFn *k, const KV *acc, int n) {
  KV zero = k_splat(k, k_f32(k, 0));
  for (int i = 0; i < n; i++) k_set(k, acc[i], zero);
}

/* One step: element a_at of the first pixel, b_at of the first lane. */
static void step(const MicroTile *t, int p0, int p1, KV a_at, KV b_at) {
  KFn *k = t->k;
  KV b[8];
  for (int v = 0; v < t->vectors; v++) {
    KV at = k_add(k, b_at, k_i64(k, (int64_t)v * k->lanes));
    bool masked = t->mask != K_NONE && v == t->vectors - 1;
    b[v] = masked ? k_load_masked(k, t->b, at, t->mask) : k_load(k, t->b, at, true);
  }
  for (int p = p0; p < p1; p++) {
    KV a = k_splat(k, k_load(k, t->a, k_add(k, a_at, k_i64(k, p * t->ap)), false));
    for (int v = 0; v < t->vectors; v++) {
      KV acc = t->acc[p * t->vectors + v];
      k_set(k, acc, k_fma(k, a, b[v], k_get(k, acc)));
    }
  }
}

/* The loop is not unrolled: loads of a second step, moved up by the scheduler, would need the registers of
 * the tile. */
void tile_fma(const MicroTile *t, int p0, int p1, KV a_at, KV b_at, KV len) {
  KFn *k = t->k;
  int64_t n;
  if (k_is_const(k, len, &n) && n == 1) {
    step(t, p0, p1, a_at, b_at);
    return;
  }
  KV m = k_for(k, k_i64(k, 0), len, 1);
  KV a = k_add(k, a_at, k_mul(k, m, k_i64(k, t->am))), b = k_add(k, b_at, k_mul(k, m, k_i64(k, t->bm)));
  step(t, p0, p1, a, b);
  k_end(k);
}
