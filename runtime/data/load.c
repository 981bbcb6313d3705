/* load.c - one item, or one file, as a module takes it. How it is prepared is runtime/prepare. */
#include <stdlib.h>
#include <string.h>
#include "runtime/data/internal.h"

Ask ask_of(const DataShape *shape, bool own_label) {
  return (Ask){.recipe = shape->recipe ? shape->recipe : &recipe_plain,
               .spatial = shape->spatial,
               .channels = shape->channels,
               .classes = shape->classes > 2 ? shape->classes : 2,
               .own_label = own_label,
               .notes = shape->notes};
}

Files files_of(const Source *s) { return (Files){s->file, s->nfile, s->mask, s->axes}; }

/* Every channel at the module's size. */
static bool resize_channels(const PreparedPicture *p, const DataShape *shape, const Recipe *r, float *out) {
  int64_t h = p->image.grid.dim[0], w = p->image.grid.dim[1], n = shape->size[0] * shape->size[1];
  for (int c = 0; c < shape->channels; c++) {
    if (!resize_plane(p->image.value + c * h * w, h, w, out + c * n, shape->size[0], shape->size[1]))
      return false;
    picture_intensities(out + c * n, n, c, shape->channels, p->full, r);
  }
  return true;
}

static bool load_picture(const Files *files, const DataShape *shape, Sample *out, char err[ERR_MAX]) {
  Ask ask = ask_of(shape, true);
  PreparedPicture p;
  if (!prepare_picture(files, &ask, &p, err)) return false;
  int64_t n = shape->size[0] * shape->size[1], h = p.image.grid.dim[0], w = p.image.grid.dim[1];
  out->own_spatial = 2, out->own = p.image.grid, out->own_label = p.label;
  out->image = malloc((size_t)(n * shape->channels) * sizeof *out->image);
  out->label = p.label ? malloc((size_t)n) : NULL;
  bool ok = out->image && (out->label || !p.label) && resize_channels(&p, shape, ask.recipe, out->image);
  if (ok && p.label) resize_nearest(p.label, h, w, out->label, shape->size[0], shape->size[1]);
  for (int a = 0; a < 2; a++) out->dim[a] = shape->size[a];
  image_free(&p.image);
  return ok || err_memory(err, files->image[0], n * shape->channels * 4);
}

static bool load_volume(const Files *files, const DataShape *shape, bool own, Sample *out,
                        char err[ERR_MAX]) {
  Ask ask = ask_of(shape, own);
  Prepared p;
  if (!prepare_volume(files, &ask, &p, err)) return false;
  prepare_intensities(&p, shape->channels, ask.recipe);
  *out = (Sample){.image = p.image,
                  .label = p.label,
                  .own_spatial = 3,
                  .own = p.own,
                  .own_label = p.own_label,
                  .place = p.place};
  memcpy(out->dim, p.place.dim, sizeof out->dim);
  return true;
}

static bool load_files(const Files *files, const DataShape *shape, bool own, Sample *out, char err[ERR_MAX]) {
  const Format *f = format_of(files->image[0]);
  /* A 3-D module takes nothing but volumes: of a file that may hold either no header is read for this. */
  bool told = shape->spatial == 3 && f && f->holds == HOLDS_EITHER;
  int spatial = told ? 3 : image_spatial(files->image[0], err);
  *out = (Sample){.image = NULL};
  if (!spatial) return false;
  char endings[ALL_ENDINGS];
  if (shape->spatial == 3 && spatial == 2)
    return err_set(err, "%s: a picture, but the module wants a volume (%s)", files->image[0],
                   format_endings_of(HOLDS_VOLUME, endings));
  bool ok = shape->spatial == 3 ? load_volume(files, shape, own, out, err)
            : spatial == 3      ? load_stack(files, shape, out, err)
                                : load_picture(files, shape, out, err);
  if (!ok) sample_free(out);
  return ok;
}

bool data_load_files(const Files *files, const DataShape *shape, Sample *out, char err[ERR_MAX]) {
  return load_files(files, shape, true, out, err);
}

bool data_load_part(const Dataset *d, int item, bool own, Sample *out, char err[ERR_MAX]) {
  const DataImpl *m = d->impl;
  if (!d->root) return phantom_load(d, item, out, err);
  const Source *s = &m->source[item];
  if (s->slice < 0) {
    Files files = files_of(s);
    return load_files(&files, &d->shape, own, out, err);
  }
  *out = (Sample){.image = NULL};
  bool ok = load_slice(d, s, own, out, err);
  if (!ok) sample_free(out);
  return ok;
}

bool data_load(const Dataset *d, int item, Sample *out, char err[ERR_MAX]) {
  return data_load_part(d, item, true, out, err);
}

bool data_load_whole(const Dataset *d, int item, Sample *out, char err[ERR_MAX]) {
  const DataImpl *m = d->impl;
  if (!d->root || m->source[item].slice < 0) return data_load(d, item, out, err);
  Files files = files_of(&m->source[item]);
  return data_load_files(&files, &d->shape, out, err);
}
