/* load.c - one item: files to normalised arrays. docs/data.md states the normalisation:
 *
 *   colour pictures      / the value of white, then the ImageNet mean and deviation per channel
 *   gray pictures        zero mean, unit variance per image
 *   CT volumes           (least value <= -500) clipped to [-200, 250] HU, then as volumes
 *   slices of volumes    8 bits (CT: the window; else between the 0.1 and 99.9 percentiles), then as gray
 *                        pictures
 *   volumes              zero mean, unit variance per volume; those of a format whose files come normalised
 *                        (Format.prepared) are left as they are */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/data/internal.h"

static const float window_lo = -200, window_hi = 250, ct_below = -500;

static bool no_memory(const char *path, char err[ERR_MAX]) {
  return err_set(err, "%s: not enough memory", path);
}

static bool volume_read(const char *path, const char *set, Volume *v, char err[ERR_MAX]) {
  Image image;
  if (!image_read(path, &(Wish){.set = set}, &image, err)) return false;
  for (int a = 0; a < 3; a++) v->dim[a] = image.grid.dim[a], v->spacing[a] = grid_spacing(&image.grid, a);
  return v->value = image.value, true;
}

static void volume_free(Volume *v) {
  free(v->value);
  v->value = NULL;
}

static int64_t count_of(const Volume *v) { return v->dim[0] * v->dim[1] * v->dim[2]; }

/* Class of a mask's value: with two classes anything but 0 is foreground; else the value is the class. */
static bool label_of(double value, int64_t classes, const char *path, uint8_t *out, char err[ERR_MAX]) {
  int64_t v = (int64_t)value;
  if (classes <= 2) return *out = value != 0, true;
  if ((double)v != value || v < 0 || v >= classes)
    return err_set(err, "%s: mask value %g, but the module has classes 0..%lld (-D classes=N)", path, value,
                   (long long)classes - 1);
  return *out = (uint8_t)v, true;
}

/* ---- pictures ---- */

static const float rgb_mean[3] = {0.485f, 0.456f, 0.406f}, rgb_deviation[3] = {0.229f, 0.224f, 0.225f};

/* Channel c of a picture as the module's channel: colour to gray by luminance, gray repeated. */
static void channel_plane(const Image *r, int channels, int c, float *out) {
  int64_t n = grid_count(&r->grid);
  float full = r->full > 0 ? (float)r->full : 255;
  for (int64_t i = 0; i < n; i++) {
    const float *p = r->value + i;
    out[i] = (r->channels == 1 ? p[0]
              : channels == 1  ? 0.299f * p[0] + 0.587f * p[n] + 0.114f * p[2 * n]
                               : p[c * n]) /
             full;
  }
}

static bool picture_image(const char *path, const DataShape *shape, Sample *out, char err[ERR_MAX]) {
  Image r;
  int64_t n = shape->size[0] * shape->size[1];
  if (shape->channels != 1 && shape->channels != 3)
    return err_set(err, "%s: the module wants %d channels; pictures have 1 or 3", path, shape->channels);
  if (!image_read(path, &(Wish){.as = READ_IMAGE}, &r, err)) return false;
  int64_t h = r.grid.dim[0], w = r.grid.dim[1];
  float *plane = malloc((size_t)(h * w) * sizeof *plane);
  out->image = malloc((size_t)(n * shape->channels) * sizeof *out->image);
  bool ok = plane && out->image;
  for (int c = 0; ok && c < shape->channels; c++) {
    channel_plane(&r, shape->channels, c, plane);
    ok = resize_plane(plane, h, w, out->image + c * n, shape->size[0], shape->size[1]);
  }
  for (int c = 0; ok && c < shape->channels; c++)
    for (int64_t i = 0; i < n && shape->channels == 3; i++)
      out->image[c * n + i] = (out->image[c * n + i] - rgb_mean[c]) / rgb_deviation[c];
  if (ok && shape->channels == 1) standardise(out->image, n);
  out->own_dim[0] = h, out->own_dim[1] = w;
  for (int a = 0; a < 2; a++) out->dim[a] = shape->size[a];
  free(plane), image_free(&r);
  return ok ? true : no_memory(path, err);
}

static bool picture_mask(const char *path, const DataShape *shape, Sample *out, char err[ERR_MAX]) {
  Image r;
  if (!image_read(path, &(Wish){.as = READ_NUMBERS}, &r, err)) return false;
  int64_t h = r.grid.dim[0], w = r.grid.dim[1], n = h * w;
  double top = 0;
  bool ok = h == out->own_dim[0] && w == out->own_dim[1];
  if (!ok)
    err_set(err, "%s: the mask is %lld x %lld, its image %lld x %lld", path, (long long)h, (long long)w,
            (long long)out->own_dim[0], (long long)out->own_dim[1]);
  if (ok && (!(out->own_label = malloc((size_t)n)) ||
             !(out->label = malloc((size_t)(shape->size[0] * shape->size[1])))))
    ok = no_memory(path, err);
  for (int64_t i = 0; i < n; i++) top = (double)r.value[i] > top ? (double)r.value[i] : top;
  for (int64_t i = 0; ok && i < n;
       i++) { /* two classes: 0/1 masks as they are, 0..255 ones (JPEG edges) cut at the middle */
    double v = (double)r.value[i];
    ok = label_of(shape->classes <= 2 && top > 1 ? v >= 128 : v, shape->classes, path, &out->own_label[i],
                  err);
  }
  if (ok) resize_nearest(out->own_label, h, w, out->label, shape->size[0], shape->size[1]);
  image_free(&r);
  return ok;
}

/* ---- volumes ---- */

static bool is_ct(const Volume *v) {
  for (int64_t i = 0; i < count_of(v); i++)
    if (v->value[i] <= ct_below) return true;
  return false;
}

static int by_value(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* Intensities that become 0 and 255 when a volume is cut in slices. */
static bool byte_range(const Volume *v, float *lo, float *hi) {
  *lo = window_lo, *hi = window_hi;
  if (is_ct(v)) return true;
  int64_t n = count_of(v), step = n / 200000 + 1, k = 0;
  float *some = malloc((size_t)(n / step + 1) * sizeof *some);
  if (!some) return false;
  for (int64_t i = 0; i < n; i += step) some[k++] = v->value[i];
  qsort(some, (size_t)k, sizeof *some, by_value);
  *lo = some[k / 1000], *hi = some[k - 1 - k / 1000];
  free(some);
  return true;
}

static bool volume_masks(const Source *s, const Volume *image, Volume *mask, char err[ERR_MAX]) {
  if (!volume_read(s->mask, "label", mask, err)) return false;
  if (!memcmp(mask->dim, image->dim, sizeof mask->dim)) return true;
  err_set(err, "%s: the mask is %lld x %lld x %lld, its image %lld x %lld x %lld", s->mask,
          (long long)mask->dim[0], (long long)mask->dim[1], (long long)mask->dim[2], (long long)image->dim[0],
          (long long)image->dim[1], (long long)image->dim[2]);
  volume_free(mask);
  return false;
}

static bool whole_volume(const char *path, const Source *s, const DataShape *shape, Sample *out,
                         char err[ERR_MAX]) {
  Volume v, mask = {.value = NULL};
  if (shape->channels != 1)
    return err_set(err, "%s: the module wants %d channels; volumes have 1", path, shape->channels);
  if (!volume_read(path, "image", &v, err)) return false;
  int64_t n = count_of(&v);
  bool ok = check_finite(v.value, n, path, err) && (!s || !s->mask || volume_masks(s, &v, &mask, err));
  if (ok && !format_of(path)->prepared) {
    bool ct = is_ct(&v);
    for (int64_t i = 0; ct && i < n; i++) v.value[i] = fminf(fmaxf(v.value[i], window_lo), window_hi);
    standardise(v.value, n);
  }
  if (ok && mask.value && !(out->label = malloc((size_t)n))) ok = no_memory(path, err);
  for (int64_t i = 0; ok && mask.value && i < n; i++)
    ok = label_of((double)mask.value[i], shape->classes, s->mask, &out->label[i], err);
  for (int a = 0; a < 3; a++) out->dim[a] = out->own_dim[a] = v.dim[a], out->spacing[a] = v.spacing[a];
  volume_free(&mask);
  if (ok) out->image = v.value;
  else volume_free(&v);
  return ok;
}

/* Slice z of a volume as an (H,W) = (y,x) plane. */
static void plane_of(const Volume *v, int64_t z, float *out) {
  for (int64_t y = 0; y < v->dim[1]; y++)
    for (int64_t x = 0; x < v->dim[0]; x++)
      out[y * v->dim[0] + x] = v->value[(x * v->dim[1] + y) * v->dim[2] + z];
}

/* Slice z at the module's size in 8 bits. plane: room for the slice at its own size. */
static bool slice_bytes(const Volume *v, int64_t z, float lo, float hi, const DataShape *shape, float *plane,
                        float *small, uint8_t *out) {
  plane_of(v, z, plane);
  for (int64_t i = 0; i < v->dim[0] * v->dim[1]; i++)
    plane[i] = fminf(fmaxf((plane[i] - lo) / (hi > lo ? hi - lo : 1), 0), 1) * 255;
  if (!resize_plane(plane, v->dim[1], v->dim[0], small, shape->size[0], shape->size[1])) return false;
  for (int64_t i = 0; i < shape->size[0] * shape->size[1]; i++) out[i] = (uint8_t)lrintf(small[i]);
  return true;
}

static bool mask_plane(const Volume *mask, int64_t z, int64_t classes, const char *path, uint8_t *out,
                       char err[ERR_MAX]) {
  bool ok = true;
  for (int64_t y = 0; ok && y < mask->dim[1]; y++)
    for (int64_t x = 0; ok && x < mask->dim[0]; x++)
      ok = label_of((double)mask->value[(x * mask->dim[1] + y) * mask->dim[2] + z], classes, path,
                    &out[y * mask->dim[0] + x], err);
  return ok;
}

/* All slices of the volume of source s into the store. Called with the lock held. */
static bool store_volume(const Dataset *d, const Source *s, char err[ERR_MAX]) {
  DataImpl *m = d->impl;
  SliceStore *st = &m->store;
  Volume v, mask = {.value = NULL};
  float lo, hi;
  if (!volume_read(s->image, "image", &v, err)) return false;
  int64_t own = v.dim[0] * v.dim[1], n = st->first[s->volume + 1] - st->first[s->volume];
  float *plane = malloc((size_t)own * sizeof *plane), *small = malloc((size_t)st->plane * sizeof *small);
  uint8_t *bytes = malloc((size_t)own);
  bool ok = plane && small && bytes && byte_range(&v, &lo, &hi);
  if (!ok) no_memory(s->image, err);
  ok = ok && check_finite(v.value, count_of(&v), s->image, err) &&
       (!s->mask || volume_masks(s, &v, &mask, err));
  for (int64_t z = 0; ok && z < n && z < v.dim[2]; z++) {
    uint8_t *at = st->map + (st->first[s->volume] + z) * 2 * st->plane;
    if (!slice_bytes(&v, z, lo, hi, &d->shape, plane, small, at)) ok = no_memory(s->image, err);
    if (ok && mask.value) ok = mask_plane(&mask, z, d->shape.classes, s->mask, bytes, err);
    if (ok && mask.value)
      resize_nearest(bytes, v.dim[1], v.dim[0], at + st->plane, d->shape.size[0], d->shape.size[1]);
  }
  st->ready[s->volume] = ok;
  free(plane), free(small), free(bytes), volume_free(&v), volume_free(&mask);
  return ok;
}

/* The slice's mask at its own size; the volume of masks last used stays in memory. Called with the lock
 * held. */
static bool own_mask(const Dataset *d, const Source *s, Sample *out, char err[ERR_MAX]) {
  DataImpl *m = d->impl;
  if (m->own_volume != s->volume) {
    volume_free(&m->own);
    m->own_volume = -1;
    if (!volume_read(s->mask, "label", &m->own, err)) return false;
    m->own_volume = s->volume;
  }
  out->own_dim[0] = m->own.dim[1], out->own_dim[1] = m->own.dim[0];
  out->spacing[0] = m->own.spacing[1], out->spacing[1] = m->own.spacing[0];
  out->own_label = malloc((size_t)(m->own.dim[0] * m->own.dim[1]));
  return out->own_label ? mask_plane(&m->own, s->slice, d->shape.classes, s->mask, out->own_label, err)
                        : no_memory(s->mask, err);
}

static bool load_slice(const Dataset *d, const Source *s, bool own, Sample *out, char err[ERR_MAX]) {
  DataImpl *m = d->impl;
  SliceStore *st = &m->store;
  if (d->shape.channels != 1 && d->shape.channels != 3)
    return err_set(err, "%s: the module wants %d channels; slices have 1 (or 3, repeated)", s->image,
                   d->shape.channels);
  pthread_mutex_lock(&m->lock);
  bool ok = st->ready[s->volume] || store_volume(d, s, err);
  if (ok && own && s->mask) ok = own_mask(d, s, out, err);
  pthread_mutex_unlock(&m->lock);
  if (!ok) return false;
  const uint8_t *at = st->map + (st->first[s->volume] + s->slice) * 2 * st->plane;
  out->image = malloc((size_t)(st->plane * d->shape.channels) * sizeof *out->image);
  out->label = s->mask ? malloc((size_t)st->plane) : NULL;
  if (!out->image || (s->mask && !out->label)) return no_memory(s->image, err);
  for (int64_t i = 0; i < st->plane; i++) out->image[i] = at[i];
  standardise(out->image, st->plane);
  for (int c = 1; c < d->shape.channels; c++)
    memcpy(out->image + c * st->plane, out->image, (size_t)st->plane * sizeof *out->image);
  if (s->mask) memcpy(out->label, at + st->plane, (size_t)st->plane);
  for (int a = 0; a < 2; a++) out->dim[a] = d->shape.size[a];
  return true;
}

bool data_load_part(const Dataset *d, int item, bool own, Sample *out, char err[ERR_MAX]) {
  const DataImpl *m = d->impl;
  if (!d->root) return phantom_load(d, item, out, err);
  const Source *s = &m->source[item];
  *out = (Sample){.spacing = {1, 1, 1}};
  bool ok;
  if (s->slice >= 0) ok = load_slice(d, s, own, out, err);
  else if (is_volume(s->image)) ok = whole_volume(s->image, s, &d->shape, out, err);
  else
    ok = picture_image(s->image, &d->shape, out, err) &&
         (!s->mask || picture_mask(s->mask, &d->shape, out, err));
  if (!ok) sample_free(out);
  return ok;
}

/* Every slice of a volume for a 2-D module. */
static bool file_slices(const char *path, const DataShape *shape, Sample *out, char err[ERR_MAX]) {
  Volume v;
  float lo, hi;
  if (!volume_read(path, "image", &v, err)) return false;
  int64_t n = shape->size[0] * shape->size[1], c = shape->channels;
  float *plane = malloc((size_t)(v.dim[0] * v.dim[1]) * sizeof *plane),
        *small = malloc((size_t)n * sizeof *small);
  uint8_t *bytes = malloc((size_t)n);
  out->image = malloc((size_t)(v.dim[2] * c * n) * sizeof *out->image);
  bool ok = plane && small && bytes && out->image && byte_range(&v, &lo, &hi);
  if (!ok) no_memory(path, err);
  ok = ok && check_finite(v.value, count_of(&v), path, err);
  for (int64_t z = 0; ok && z < v.dim[2]; z++) {
    float *at = out->image + z * c * n;
    if (!slice_bytes(&v, z, lo, hi, shape, plane, small, bytes)) ok = no_memory(path, err);
    for (int64_t i = 0; i < n; i++) at[i] = bytes[i];
    standardise(at, n);
    for (int64_t k = 1; k < c; k++) memcpy(at + k * n, at, (size_t)n * sizeof *at);
  }
  out->dim[0] = v.dim[2], out->dim[1] = shape->size[0], out->dim[2] = shape->size[1];
  out->own_dim[0] = v.dim[2], out->own_dim[1] = v.dim[1], out->own_dim[2] = v.dim[0];
  out->spacing[0] = v.spacing[2], out->spacing[1] = v.spacing[1], out->spacing[2] = v.spacing[0];
  free(plane), free(small), free(bytes), volume_free(&v);
  return ok;
}

bool data_load_file(const char *path, const DataShape *shape, Sample *out, char err[ERR_MAX]) {
  *out = (Sample){.spacing = {1, 1, 1}};
  char endings[ALL_ENDINGS];
  bool ok;
  if (shape->spatial == 3 && !is_volume(path))
    ok = err_set(err, "%s: the module wants a volume (%s)", path, format_endings_of(HOLDS_VOLUME, endings));
  else if (shape->spatial == 3) ok = whole_volume(path, NULL, shape, out, err);
  else if (is_volume(path)) ok = file_slices(path, shape, out, err);
  else ok = picture_image(path, shape, out, err);
  if (!ok) sample_free(out);
  return ok;
}
