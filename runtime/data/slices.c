/* slices.c - volumes for 2-D modules: slices at the module's size, in 16 bits over the volume's range, so
 * that training (which keeps them in a file) and prediction see the same numbers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/data/internal.h"
#include "runtime/prepare/intensity.h"

/* Room for one slice at the volume's resolution and at the module's. */
typedef struct {
  float *plane, *small;
  uint8_t *label;
} Scratch;

static bool scratch_new(Scratch *s, const Slices *cut, const DataShape *shape) {
  s->plane = malloc((size_t)(cut->h * cut->w) * sizeof *s->plane);
  s->small = malloc((size_t)(shape->size[0] * shape->size[1]) * sizeof *s->small);
  s->label = malloc((size_t)(cut->h * cut->w));
  return s->plane && s->small && s->label;
}

static void scratch_free(Scratch *s) { free(s->plane), free(s->small), free(s->label); }

/* Slice z of one channel at the module's size, 0..65535 over lo..hi. */
static bool cut_image(const float *image, const Slices *cut, int64_t z, const float range[2],
                      const DataShape *shape, Scratch *s, uint16_t *out) {
  const float *from = image + z * cut->slice_step;
  float lo = range[0], hi = range[1], scale = hi > lo ? 65535 / (hi - lo) : 0;
  for (int64_t y = 0; y < cut->h; y++)
    for (int64_t x = 0; x < cut->w; x++) {
      float v = from[y * cut->h_step + x * cut->w_step];
      s->plane[y * cut->w + x] = ((v < lo ? lo : v > hi ? hi : v) - lo) * scale;
    }
  if (!resize_plane(s->plane, cut->h, cut->w, s->small, shape->size[0], shape->size[1])) return false;
  for (int64_t i = 0; i < shape->size[0] * shape->size[1]; i++)
    out[i] = (uint16_t)lrintf(fminf(fmaxf(s->small[i], 0), 65535));
  return true;
}

static void cut_label(const uint8_t *label, const Slices *cut, int64_t z, uint8_t *plane) {
  const uint8_t *from = label + z * cut->slice_step;
  for (int64_t y = 0; y < cut->h; y++)
    for (int64_t x = 0; x < cut->w; x++) plane[y * cut->w + x] = from[y * cut->h_step + x * cut->w_step];
}

/* The slice's values as the network sees them. */
static void values_of(const uint16_t *stored, int64_t n, const float range[2], const NetcIntensity *how,
                      float *out) {
  float scale = (range[1] - range[0]) / 65535;
  for (int64_t i = 0; i < n; i++) out[i] = range[0] + scale * (float)stored[i];
  NetcIntensity slice = *how;
  if (slice.kind == NETC_INTENSITY_AUTO) slice = (NetcIntensity){.kind = NETC_INTENSITY_ZSCORE};
  intensity_apply(out, n, &slice);
}

static bool ranges_of(const Prepared *p, const DataShape *shape, const Recipe *r, float *range) {
  int64_t n = p->place.dim[0] * p->place.dim[1] * p->place.dim[2];
  for (int c = 0; c < shape->channels; c++)
    if (!intensity_range(p->image + c * n, n, &r->intensity[c], &range[2 * c], &range[2 * c + 1]))
      return false;
  return true;
}

/* All channels of slice z. */
static bool cut_channels(const Prepared *p, const Slices *cut, int64_t z, const float *range,
                         const DataShape *shape, Scratch *s, uint16_t *out) {
  int64_t n = p->place.dim[0] * p->place.dim[1] * p->place.dim[2], plane = shape->size[0] * shape->size[1];
  for (int c = 0; c < shape->channels; c++)
    if (!cut_image(p->image + c * n, cut, z, range + 2 * c, shape, s, out + c * plane)) return false;
  return true;
}

/* ---- the store ---- */

/* All slices of the volume of source s into the store. Called with the lock held. */
static bool store_volume(const Dataset *d, const Source *source, char err[ERR_MAX]) {
  DataImpl *m = d->impl;
  SliceStore *st = &m->store;
  const DataShape *shape = &d->shape;
  Ask ask = ask_of(shape, false);
  Files files = files_of(source);
  Prepared p;
  Scratch s = {NULL, NULL, NULL};
  float *range = st->range + (int64_t)source->volume * shape->channels * 2;
  if (!store_reserve(d, source->volume, err) || !prepare_volume(&files, &ask, &p, err)) return false;
  Slices cut = slices_of(&p.place);
  int64_t room = st->first[source->volume + 1] - st->first[source->volume];
  bool ok = scratch_new(&s, &cut, shape) && ranges_of(&p, shape, ask.recipe, range);
  for (int64_t z = 0; ok && z < cut.n && z < room; z++) {
    uint8_t *at = st->map + (st->first[source->volume] + z) * st->bytes;
    uint8_t *label = at + st->plane * 2 * shape->channels;
    ok = cut_channels(&p, &cut, z, range, shape, &s, (uint16_t *)(void *)at);
    if (!ok || !p.label) continue;
    cut_label(p.label, &cut, z, s.label);
    resize_nearest(s.label, cut.h, cut.w, label, shape->size[0], shape->size[1]);
  }
  st->ready[source->volume] = ok;
  scratch_free(&s), prepared_free(&p);
  return ok || err_memory(err, source->file[0], st->plane * 4);
}

/* The slice's mask at the volume's resolution; the volume last used stays in memory. With the lock held. */
static bool own_mask(const Dataset *d, const Source *s, Sample *out, char err[ERR_MAX]) {
  DataImpl *m = d->impl;
  if (m->own_volume != s->volume) {
    Ask ask = ask_of(&d->shape, false);
    Files files = files_of(s);
    prepared_free(&m->own);
    m->own_volume = -1;
    if (!prepare_volume(&files, &ask, &m->own, err)) return false;
    free(m->own.image);
    m->own.image = NULL;
    m->own_volume = s->volume;
  }
  Slices cut = slices_of(&m->own.place);
  const double mm[3] = {m->own.spacing[cut.h_axis], m->own.spacing[cut.w_axis], 1};
  out->own_spatial = 2, out->own = grid_plain((int64_t[]){cut.h, cut.w, 1}, mm);
  out->own_label = malloc((size_t)(cut.h * cut.w));
  if (!out->own_label) return err_memory(err, s->mask, cut.h * cut.w);
  cut_label(m->own.label, &cut, s->slice, out->own_label);
  return true;
}

bool load_slice(const Dataset *d, const Source *s, bool own, Sample *out, char err[ERR_MAX]) {
  DataImpl *m = d->impl;
  SliceStore *st = &m->store;
  int channels = d->shape.channels;
  const Recipe *r = d->shape.recipe;
  pthread_mutex_lock(&m->lock);
  bool ok = st->ready[s->volume] || store_volume(d, s, err);
  if (ok && own && s->mask) ok = own_mask(d, s, out, err);
  pthread_mutex_unlock(&m->lock);
  if (!ok) return false;
  const uint8_t *at = st->map + (st->first[s->volume] + s->slice) * st->bytes;
  const uint16_t *stored = (const uint16_t *)(const void *)at;
  out->image = malloc((size_t)(st->plane * channels) * sizeof *out->image);
  out->label = s->mask ? malloc((size_t)st->plane) : NULL;
  if (!out->image || (s->mask && !out->label)) return err_memory(err, s->file[0], st->plane * 4 * channels);
  for (int c = 0; c < channels; c++)
    values_of(stored + c * st->plane, st->plane, st->range + ((int64_t)s->volume * channels + c) * 2,
              &r->intensity[c], out->image + c * st->plane);
  if (s->mask) memcpy(out->label, at + st->plane * 2 * channels, (size_t)st->plane);
  for (int a = 0; a < 2; a++) out->dim[a] = d->shape.size[a];
  return true;
}

/* ---- whole volumes ---- */

static bool fill_stack(const Prepared *p, const DataShape *shape, const Recipe *r, Sample *out) {
  Slices cut = slices_of(&p->place);
  Scratch s = {NULL, NULL, NULL};
  int64_t plane = shape->size[0] * shape->size[1], channels = shape->channels;
  float range[2 * RECIPE_CHANNELS];
  if (p->label && !(out->label = malloc((size_t)(cut.n * plane)))) return false;
  uint16_t *stored = malloc((size_t)(plane * channels) * sizeof *stored);
  out->image = malloc((size_t)(cut.n * channels * plane) * sizeof *out->image);
  bool ok = stored && out->image && scratch_new(&s, &cut, shape) && ranges_of(p, shape, r, range);
  for (int64_t z = 0; ok && z < cut.n; z++) {
    ok = cut_channels(p, &cut, z, range, shape, &s, stored);
    for (int c = 0; ok && c < channels; c++)
      values_of(stored + c * plane, plane, range + 2 * c, &r->intensity[c],
                out->image + (z * channels + c) * plane);
    if (!ok || !p->label) continue;
    cut_label(p->label, &cut, z, s.label);
    resize_nearest(s.label, cut.h, cut.w, out->label + z * plane, shape->size[0], shape->size[1]);
  }
  scratch_free(&s), free(stored);
  return ok;
}

bool load_stack(const Files *files, const DataShape *shape, Sample *out, char err[ERR_MAX]) {
  Ask ask = ask_of(shape, true);
  Prepared p;
  if (!prepare_volume(files, &ask, &p, err)) return false;
  out->own_spatial = 3, out->own = p.own, out->place = p.place;
  out->own_label = p.own_label, p.own_label = NULL;
  out->slices = p.place.dim[p.place.slices];
  for (int a = 0; a < 2; a++) out->dim[a] = shape->size[a];
  bool ok = fill_stack(&p, shape, ask.recipe, out);
  prepared_free(&p);
  return ok || err_memory(err, files->image[0], out->slices * shape->size[0] * shape->size[1] * 4);
}
