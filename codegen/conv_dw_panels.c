/* conv_dw_panels.c - operands of weight gradients, packed. */
#include "conv_dw.h"

Panels panels_of(int naxes, const int64_t *extent, int64_t channels, int64_t width, int lanes) {
  int64_t line = lanes > 16 ? lanes : 16; /* of the cache, or a vector */
  Panels p = {.naxes = naxes, .channels = channels, .width = width, .z = K_NONE};
  int64_t pixels = 1;
  for (int a = 0; a < naxes; a++) pixels *= p.extent[a] = extent[a];
  p.panels = (channels + width - 1) / width;
  /* A line more than the pixels: the last vector written to a panel reaches beyond its width. */
  p.size = (pixels * width + line - 1) / line + 1;
  p.size = (p.size + (p.size % 2 == 0)) * line;
  return p;
}

int64_t panels_elements(const Panels *p) { return p->panels * p->size; }

KV box_pixels(KFn *k, const DwBox *box) {
  KV n = k_i64(k, 1);
  for (int a = 0; a < box->naxes; a++) n = k_mul(k, n, k_sub(k, box->hi[a], box->lo[a]));
  return n;
}

/* The channels of one pixel: whole vectors, of which the next pixel overwrites what is beyond the panel. Lanes beyond
 * the channels are not read (the tensor may end there) and become zero. */
static void fill_pixel(KFn *k, const Panels *p, KV x, KV from, KV to, const KV *mask, int64_t unmasked) {
  int64_t vectors = (p->width + k->lanes - 1) / k->lanes;
  if (unmasked) {
    KV t = k_for(k, k_i64(k, 0), k_i64(k, unmasked), 1);
    KV src = k_add(k, from, k_mul(k, t, k_i64(k, p->width))),
       dst = k_add(k, to, k_mul(k, t, k_i64(k, p->size)));
    for (int64_t v = 0; v < vectors; v++)
      k_store(k, p->z, k_add(k, dst, k_i64(k, v * k->lanes)),
              k_load(k, x, k_add(k, src, k_i64(k, v * k->lanes)), true));
    k_end(k);
  }
  for (int64_t t = unmasked; t < p->panels; t++)
    for (int64_t v = 0; v < vectors; v++) {
      KV src = k_add(k, from, k_i64(k, t * p->width + v * k->lanes));
      KV c = k_load_masked(k, x, src, mask[(t - unmasked) * vectors + v]);
      k_store(k, p->z, k_add(k, to, k_i64(k, t * p->size + v * k->lanes)), c);
    }
}

void panels_fill(KFn *k, const Panels *p, KV x, const int64_t *extent, int64_t stride, KV channel0,
                 const KV *first, const KV *end, bool merged) {
  int64_t vectors = (p->width + k->lanes - 1) / k->lanes, reach = vectors * k->lanes, unmasked = 0;
  while (unmasked < p->panels && unmasked * p->width + reach <= p->channels) unmasked++;
  KV *mask = arena_alloc(k->arena, (size_t)((p->panels - unmasked) * vectors + 1) * sizeof *mask);
  for (int64_t t = unmasked, i = 0; t < p->panels; t++)
    for (int64_t v = 0; v < vectors; v++) {
      int64_t left = p->channels - t * p->width - v * k->lanes;
      mask[i++] = k_first_lanes(k, k_i64(k, left < 0 ? 0 : left));
    }
  KV from = k_i64(k, 0), to = k_i64(k, 0);
  for (int a = 0; a < p->naxes; a++) {
    KV i = k_for(k, first[a], end[a], 1);
    from = k_add(k, k_mul(k, from, k_i64(k, extent[a])), i);
    KV places = merged ? k_sub(k, end[a], first[a]) : k_i64(k, p->extent[a]);
    to = k_add(k, k_mul(k, to, places), k_sub(k, i, first[a]));
  }
  from = k_add(k, k_mul(k, from, k_i64(k, stride)), channel0);
  fill_pixel(k, p, x, from, k_mul(k, to, k_i64(k, p->width)), mask, unmasked);
  for (int a = 0; a < p->naxes; a++) k_end(k);
}
