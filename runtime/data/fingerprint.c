/* fingerprint.c - medians and percentiles of the training set. */
#include "runtime/data/fingerprint.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/data/internal.h"

enum { VOXELS_OF_A_CASE = 10000 };

typedef struct {
  float *value; /* per channel: room for all cases */
  int64_t n, room;
  int channels;
} Voxels;

static int by_double(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int by_float(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* Is item i the first of its file among those that train or validate? Slices share one. */
static bool is_case(const Dataset *d, int i) {
  const Item *it = &d->item[i], *before = it - 1;
  if (it->split != SPLIT_TRAIN && it->split != SPLIT_VAL) return false;
  return it->volume < 0 || i == 0 || before->volume != it->volume || before->split == SPLIT_TEST;
}

static bool header_of(const Dataset *d, int item, Image *header, char err[ERR_MAX]) {
  const DataImpl *m = d->impl;
  Files f = files_of(&m->source[item]);
  const Wish wish = {.header = true, .set = "image", .axes = d->shape.recipe->axes};
  return image_read(f.image[0], &wish, header, err);
}

static double median_of(double *v, int n) {
  qsort(v, (size_t)n, sizeof *v, by_double);
  return n == 0 ? 1 : n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* The plane that the slices of all volumes lie in, for a 2-D module. */
static bool choose_plane(const Dataset *d, const int count[NETC_PLANE_STORED + 1], Fingerprint *out,
                         char err[ERR_MAX]) {
  int best = NETC_PLANE_THICK, n = 0;
  for (int p = NETC_PLANE_AXIAL; p <= NETC_PLANE_STORED; p++) {
    n += count[p];
    if (count[p] > (best ? count[best] : 0)) best = p;
  }
  out->plane = best;
  return !best || count[best] == n ||
         err_set(err,
                 "%s: the thick slices of %d of its %d volumes lie in another plane than those of the "
                 "others; say "
                 "which plane is wanted: prepare { plane = \"axial\" } (or coronal, sagittal, stored)",
                 d->name, n - count[best], n);
}

static bool spacings(const Dataset *d, Fingerprint *out, char err[ERR_MAX]) {
  int n = 0, plane[NETC_PLANE_STORED + 1] = {0};
  double *mm = malloc((size_t)(3 * d->nitem + 3) * sizeof *mm);
  bool ok = mm || err_memory(err, "spacings", 0);
  Recipe stored = *d->shape.recipe;
  stored.resample = false;
  for (int i = 0; ok && i < d->nitem; i++) {
    Image header;
    if (!is_case(d, i)) continue;
    if (!(ok = header_of(d, i, &header, err))) break;
    Grid g = prepared_grid(&header.grid, &stored, d->shape.spatial);
    for (int a = 0; a < 3; a++) mm[a * d->nitem + n] = grid_spacing(&g, a);
    if (d->item[i].volume >= 0) plane[plane_of(&header.grid, &stored)]++;
    n++;
  }
  for (int a = 0; ok && a < 3; a++) out->spacing[a] = median_of(mm + a * d->nitem, n);
  ok = ok && choose_plane(d, plane, out, err);
  free(mm);
  return ok;
}

/* Foreground voxels of one case are appended, every step-th of them. */
static void take_voxels(const float *image, const uint8_t *label, int64_t n, Voxels *p) {
  int64_t all = 0, k = 0;
  for (int64_t i = 0; i < n; i++) all += label[i] && label[i] != CLASS_IGNORE;
  int64_t step = all / VOXELS_OF_A_CASE + 1;
  for (int64_t i = 0; i < n && p->n < p->room; i++) {
    if (!label[i] || label[i] == CLASS_IGNORE || k++ % step) continue;
    for (int c = 0; c < p->channels; c++) p->value[c * p->room + p->n] = image[c * n + i];
    p->n++;
  }
}

static bool take_case(const Dataset *d, int item, Voxels *p, char err[ERR_MAX]) {
  const DataImpl *m = d->impl;
  Files f = files_of(&m->source[item]);
  Recipe raw = *d->shape.recipe;
  raw.resample = raw.crop = false;
  Ask ask = ask_of(&d->shape, false);
  ask.recipe = &raw;
  int spatial = image_spatial(f.image[0], err);
  if (!spatial) return false;
  if (spatial == 2) {
    PreparedPicture x;
    if (!prepare_picture(&f, &ask, &x, err)) return false;
    take_voxels(x.image.value, x.label, grid_count(&x.image.grid), p);
    image_free(&x.image), free(x.label);
    return true;
  }
  Prepared x;
  if (!prepare_volume(&f, &ask, &x, err)) return false;
  take_voxels(x.image, x.label, x.place.dim[0] * x.place.dim[1] * x.place.dim[2], p);
  prepared_free(&x);
  return true;
}

static void summarise(Voxels *p, Fingerprint *out) {
  for (int c = 0; c < p->channels; c++) {
    float *v = p->value + c * p->room;
    double sum = 0, square = 0, last = (double)(p->n - 1);
    for (int64_t i = 0; i < p->n; i++) sum += (double)v[i];
    double mean = sum / (double)p->n;
    for (int64_t i = 0; i < p->n; i++) square += ((double)v[i] - mean) * ((double)v[i] - mean);
    qsort(v, (size_t)p->n, sizeof *v, by_float);
    out->foreground[c].mean = mean, out->foreground[c].deviation = sqrt(square / (double)p->n);
    out->foreground[c].lo = (double)v[(int64_t)(0.005 * last + 0.5)];
    out->foreground[c].hi = (double)v[(int64_t)(0.995 * last + 0.5)];
  }
}

static bool foregrounds(const Dataset *d, Fingerprint *out, char err[ERR_MAX]) {
  const DataImpl *m = d->impl;
  int cases = 0;
  for (int i = 0; i < d->nitem; i++) cases += is_case(d, i) && d->item[i].labeled && m->source[i].mask;
  Voxels p = {.room = (int64_t)cases * VOXELS_OF_A_CASE, .channels = d->shape.channels};
  p.value = malloc((size_t)(p.room * p.channels) * sizeof *p.value + 1);
  bool ok = p.value || err_memory(err, "intensities of the foreground", p.room * p.channels * 4);
  for (int i = 0; ok && i < d->nitem; i++)
    if (is_case(d, i) && d->item[i].labeled && m->source[i].mask) ok = take_case(d, i, &p, err);
  if (ok && !p.n)
    ok = err_set(err,
                 "%s: none of its %d labelled training cases has foreground, whose intensities the module's "
                 "`foreground()` needs",
                 d->name, cases);
  if (ok) summarise(&p, out);
  free(p.value);
  return ok;
}

bool fingerprint_measure(const Dataset *d, bool foreground, Fingerprint *out, char err[ERR_MAX]) {
  *out = (Fingerprint){.channels = d->shape.channels, .spacing = {1, 1, 1}};
  if (!d->root) return !foreground || err_set(err, "the phantom's intensities have no foreground statistics");
  return spacings(d, out, err) && (!foreground || foregrounds(d, out, err));
}
