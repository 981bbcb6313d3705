/* pairs.c - operands of weight gradients in panels whose entries are pairs of pixels, for K_dot2: a step of
 * the micro-kernel takes the pixels q and q + 1 of a row of dy, and of x what a tap meets there.
 *
 * dy's entries are the pairs of a row one after the other. So are x's where a convolution is 1x1 of stride 1.
 * Elsewhere a tap moves x against dy by single pixels, so x has an entry for every pixel i: the pair (i, i +
 * s), s the stride, is what the tap that meets pixel i at q meets at q and q + 1. Entries along a row reach
 * over the ends of the image, where they hold zeros: every tap has the same loop. The last pair of an odd row
 * has a zero in both. */
#include "codegen/emit/wgrad/wgrad.h"

/* What an entry is made of: pixels from and from + apart. */
typedef struct {
  KFn *k;
  const Panels *p;
  KV x;
  KV from, other, to; /* elements of x, of the panels */
  KV valid[2];        /* may the pixels be read? K_NONE: both */
} Entry;

/* A vector of one of the pixels. Lanes beyond the channels are not read and become zero, and so does all of a
 * pixel outside. */
static KV half(const Entry *e, int which, KV at, int64_t left) {
  KFn *k = e->k;
  if (e->valid[0] == K_NONE && left >= k->lanes) return k_load(k, e->x, at, true);
  KV n = k_i64(k, left < 0 ? 0 : left);
  if (e->valid[0] != K_NONE) n = k_select(k, e->valid[which], n, k_i64(k, 0));
  return k_load_masked(k, e->x, at, k_first_lanes(k, n));
}

static void fill_vector(const Entry *e, KV channel, int64_t left, KV to) {
  KFn *k = e->k;
  KV low = half(e, 0, k_add(k, e->from, channel), left), high = half(e, 1, k_add(k, e->other, channel), left);
  k_store(k, e->p->z, to, k_pair(k, low, high));
}

/* All channels of an entry: whole vectors, of which the next entry overwrites what is beyond the panel. */
static void fill_entry(const Entry *e) {
  const Panels *p = e->p;
  KFn *k = e->k;
  int64_t vectors = (p->width + k->lanes - 1) / k->lanes, reach = vectors * k->lanes, whole = 0;
  while (whole < p->panels && whole * p->width + reach <= p->channels) whole++;
  if (whole) {
    KV t = k_for(k, k_i64(k, 0), k_i64(k, whole), 1);
    KV channel = k_mul(k, t, k_i64(k, p->width)), to = k_add(k, e->to, k_mul(k, t, k_i64(k, p->size)));
    for (int64_t v = 0; v < vectors; v++) {
      KV off = k_i64(k, v * k->lanes);
      fill_vector(e, k_add(k, channel, off), k->lanes, k_add(k, to, off));
    }
    k_end(k);
  }
  for (int64_t t = whole; t < p->panels; t++)
    for (int64_t v = 0; v < vectors; v++) {
      int64_t channel = t * p->width + v * k->lanes;
      fill_vector(e, k_i64(k, channel), p->channels - channel,
                  k_add(k, e->to, k_i64(k, t * p->size + v * k->lanes)));
    }
}

/* Entries i0 <= i < i1 of a row. */
static void fill_entries(KFn *k, const Panels *p, KV x, const WgradPairs *r, const WgradView *v, KV row,
                         KV to_row, KV first, KV end, KV i0, KV i1, bool inside) {
  int64_t step = v->step[v->naxes - 1];
  KV i = k_for(k, i0, i1, 1);
  KV pixel = k_add(k, r->start, k_mul(k, i, k_i64(k, r->step))), other = k_add(k, pixel, k_i64(k, r->apart));
  Panels of_run = panels_of_run(p, v);
  Entry e = {.k = k, .p = &of_run, .x = x, .valid = {K_NONE, K_NONE}};
  KV from = k_add(k, row, k_mul(k, pixel, k_i64(k, step)));
  KV to = k_mul(k, k_add(k, to_row, i), k_i64(k, p->width));
  if (!inside) {
    e.valid[0] = k_and(k, k_le(k, first, pixel), k_lt(k, pixel, end));
    e.valid[1] = k_and(k, k_le(k, first, other), k_lt(k, other, end));
  }
  for (int64_t n = 0; n < view_runs(v, p->channels); n++) {
    e.from = k_add(k, from, k_i64(k, view_run_at(v, n)));
    e.other = k_add(k, e.from, k_i64(k, r->apart * step));
    e.to = k_add(k, to, k_i64(k, n * of_run.width));
    fill_entry(&e);
  }
  k_end(k);
}

void panels_fill_pairs(KFn *k, const Panels *p, KV x, const WgradView *v, KV channel0, const KV *first,
                       const KV *end, const WgradPairs *r, bool merged) {
  int last = p->naxes - 1;
  KV from = view_channel(k, v, channel0), to = k_i64(k, 0), zero = k_i64(k, 0);
  for (int a = 0; a < last; a++) {
    KV i = k_for(k, first[a], end[a], 1);
    from = k_add(k, from, k_mul(k, i, k_i64(k, v->step[a])));
    KV places = merged ? k_sub(k, end[a], first[a]) : k_i64(k, p->extent[a]);
    to = k_add(k, k_mul(k, to, places), k_sub(k, i, first[a]));
  }
  to = k_mul(k, to, merged ? r->entries : k_i64(k, p->extent[last]));
  /* The entries both of whose pixels lie in the row: from the first one that does to where the second leaves
   * it. */
  KV begin = k_div(k, k_add(k, k_sub(k, first[last], r->start), k_i64(k, r->step - 1)), k_i64(k, r->step));
  begin = k_min(k, begin, r->entries);
  KV reach = k_sub(k, k_sub(k, end[last], k_i64(k, r->apart)), r->start);
  KV stop = k_div(k, k_add(k, k_max(k, reach, zero), k_i64(k, r->step - 1)), k_i64(k, r->step));
  stop = k_max(k, k_min(k, stop, r->entries), begin);
  fill_entries(k, p, x, r, v, from, to, first[last], end[last], zero, begin, false);
  fill_entries(k, p, x, r, v, from, to, first[last], end[last], begin, stop, true);
  fill_entries(k, p, x, r, v, from, to, first[last], end[last], stop, r->entries, false);
  for (int a = 0; a < last; a++) k_end(k);
}
