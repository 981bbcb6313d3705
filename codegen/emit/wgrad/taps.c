/* taps.c - x of weight gradients of first layers: with one channel, or a few, a tile's rows are the taps times the
 * channels. What the taps of a box reach is copied once, zeros where it is outside of x; a row of the tile is then that copy,
 * read from a place of its own on.
 */
#include "codegen/emit/wgrad/wgrad.h"

WgradTaps wgrad_taps_of(const ConvShape *s, const int64_t *box, int lanes) {
  WgradTaps t = {.naxes = s->ns + 1, .cin = s->cin};
  t.elements = s->cin;
  for (int a = 0; a < t.naxes; a++) {
    t.extent[a] = a ? (box[a] - 1) * s->geom.stride[a - 1] + s->k[a - 1] : box[0];
    t.elements *= t.extent[a];
  }
  t.elements += lanes;
  return t;
}

int64_t wgrad_taps_row(const WgradTaps *t, const ConvShape *s, int64_t row) {
  int64_t tap = row / s->cin, at = row % s->cin, step = s->cin;
  for (int a = s->ns - 1; a >= 0; a--) {
    at += tap % s->k[a] * step;
    step *= t->extent[1 + a];
    tap /= s->k[a];
  }
  return at;
}

/* Elements lo <= i < hi of a row of the copy at `to`: zeros, or those of x from `from` on. */
static void fill_run(KFn *k, const WgradTaps *t, KV x, KV from, KV to, KV lo, KV hi) {
  KV i = k_for(k, lo, hi, k->lanes), mask = k_first_lanes(k, k_sub(k, hi, i));
  KV v = x == K_NONE ? k_splat(k, k_f32(k, 0)) : k_load_masked(k, x, k_add(k, from, i), mask);
  k_store_masked(k, t->z, k_add(k, to, i), v, mask);
  k_end(k);
}

void wgrad_taps_fill(KFn *k, const WgradTaps *t, KV x, const ConvShape *s, const WgradBox *box) {
  int last = t->naxes - 1;
  KV from = k_i64(k, 0), to = k_i64(k, 0), inside = K_NONE, zero = k_i64(k, 0), cin = k_i64(k, t->cin);
  for (int a = 0; a < last; a++) {
    KV i = k_for(k, zero, k_i64(k, t->extent[a]), 1), at = k_add(k, box->lo[a], i);
    if (a)
      at = k_sub(k, k_add(k, k_mul(k, box->lo[a], k_i64(k, s->geom.stride[a - 1])), i),
                 k_i64(k, s->geom.pad[a - 1]));
    KV in = k_i64(k, a ? s->in[a - 1] : s->n);
    KV ok = k_and(k, k_le(k, zero, at), k_lt(k, at, in));
    inside = inside == K_NONE ? ok : k_and(k, inside, ok);
    from = k_add(k, k_mul(k, from, in), at);
    to = k_add(k, k_mul(k, to, k_i64(k, t->extent[a])), i);
  }
  KV in = k_i64(k, s->in[last - 1]), whole = k_i64(k, t->extent[last] * t->cin);
  KV start =
      k_sub(k, k_mul(k, box->lo[last], k_i64(k, s->geom.stride[last - 1])), k_i64(k, s->geom.pad[last - 1]));
  /* Elements of the copy's row that x has. */
  KV lo = k_mul(k, k_max(k, zero, k_sub(k, zero, start)), cin);
  KV hi = k_max(k, k_min(k, whole, k_mul(k, k_sub(k, in, start), cin)), lo);
  lo = k_select(k, inside, k_min(k, lo, whole), whole);
  hi = k_select(k, inside, k_min(k, hi, whole), whole);
  from = k_mul(k, k_add(k, k_mul(k, from, in), start), cin);
  to = k_mul(k, to, whole);
  fill_run(k, t, K_NONE, from, to, zero, lo);
  fill_run(k, t, x, from, to, lo, hi);
  fill_run(k, t, K_NONE, from, to, hi, whole);
  for (int a = 0; a < last; a++) k_end(k);
}
