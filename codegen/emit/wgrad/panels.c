/* panels.c - operands of weight gradients, packed. */
#include "codegen/emit/wgrad/wgrad.h"

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

KV box_pixels(KFn *k, const WgradBox *box) {
  KV n = k_i64(k, 1);
  for (int a = 0; a < box->naxes; a++) n = k_mul(k, n, k_sub(k, box->hi[a], box->lo[a]));
  return n;
}

/* How the channels of a pixel are copied: those of a run at a time, in whole vectors. */
typedef struct {
  KFn *k;
  const Panels *p; /* of a run: several panels, or a piece of the only one */
  KV x;
  int64_t vectors, unmasked; /* of a panel; panels that take whole vectors only */
  KV *mask;                  /* of the other panels' vectors */
} Copy;

/* Lanes beyond the channels are not read (the tensor may end there) and become zero. */
static Copy copy_of(KFn *k, const Panels *p, KV x) {
  Copy c = {.k = k, .p = p, .x = x, .vectors = (p->width + k->lanes - 1) / k->lanes};
  int64_t reach = c.vectors * k->lanes;
  while (c.unmasked < p->panels && c.unmasked * p->width + reach <= p->channels) c.unmasked++;
  c.mask = arena_alloc(k->arena, (size_t)((p->panels - c.unmasked) * c.vectors + 1) * sizeof *c.mask);
  for (int64_t t = c.unmasked, i = 0; t < p->panels; t++)
    for (int64_t v = 0; v < c.vectors; v++) {
      int64_t left = p->channels - t * p->width - v * k->lanes;
      c.mask[i++] = k_first_lanes(k, k_i64(k, left < 0 ? 0 : left));
    }
  return c;
}

/* The next run, or the next pixel, overwrites what is beyond the panel. */
static void copy_run(const Copy *c, KV from, KV to) {
  KFn *k = c->k;
  const Panels *p = c->p;
  if (c->unmasked) {
    KV t = k_for(k, k_i64(k, 0), k_i64(k, c->unmasked), 1);
    KV src = k_add(k, from, k_mul(k, t, k_i64(k, p->width))),
       dst = k_add(k, to, k_mul(k, t, k_i64(k, p->size)));
    for (int64_t v = 0; v < c->vectors; v++)
      k_store(k, p->z, k_add(k, dst, k_i64(k, v * k->lanes)),
              k_load(k, c->x, k_add(k, src, k_i64(k, v * k->lanes)), true));
    k_end(k);
  }
  for (int64_t t = c->unmasked; t < p->panels; t++)
    for (int64_t v = 0; v < c->vectors; v++) {
      KV src = k_add(k, from, k_i64(k, t * p->width + v * k->lanes));
      KV x = k_load_masked(k, c->x, src, c->mask[(t - c->unmasked) * c->vectors + v]);
      k_store(k, p->z, k_add(k, to, k_i64(k, t * p->size + v * k->lanes)), x);
    }
}

Panels panels_of_run(const Panels *p, const WgradView *v) {
  Panels run = *p;
  int64_t runs = view_runs(v, p->channels);
  if (runs > 1) run.width = run.channels = p->channels / runs;
  return run;
}

void panels_fill(KFn *k, const Panels *p, KV x, const WgradView *v, KV channel0, const KV *first,
                 const KV *end, bool merged) {
  Panels run = panels_of_run(p, v);
  Copy c = copy_of(k, &run, x);
  KV from = view_channel(k, v, channel0), to = k_i64(k, 0);
  for (int a = 0; a < p->naxes; a++) {
    KV i = k_for(k, first[a], end[a], 1);
    from = k_add(k, from, k_mul(k, i, k_i64(k, v->step[a])));
    KV places = merged ? k_sub(k, end[a], first[a]) : k_i64(k, p->extent[a]);
    to = k_add(k, k_mul(k, to, places), k_sub(k, i, first[a]));
  }
  to = k_mul(k, to, k_i64(k, p->width));
  for (int64_t r = 0; r < view_runs(v, p->channels); r++)
    copy_run(&c, k_add(k, from, k_i64(k, view_run_at(v, r))), k_add(k, to, k_i64(k, r * run.width)));
  for (int a = 0; a < p->naxes; a++) k_end(k);
}
