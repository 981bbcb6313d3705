/* phantom.c - made-up abdominal CT: a body with fat, spine, kidneys and a liver-like organ with lesions in
 * it, in noise. The organ is the foreground. Item i is a pure function of i and of the size, in 2-D and 3-D.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "runtime/data/internal.h"
#include "ir/philox.h"

enum { PHANTOM_TRAIN = 64, PHANTOM_TEST = 16 };
static const uint64_t phantom_seed = 20220607;

typedef struct {
  uint64_t item, next;
} Dice;

static double draw(Dice *d, double lo, double hi) {
  return lo + (hi - lo) * (double)philox_uniform(phantom_seed, d->item, 1, d->next++);
}

/* An ellipsoid whose surface waves: inside where |scaled| < 1 + sum of three waves of the direction. */
typedef struct {
  double centre[3], radius[3], wave[3], phase[3];
} Blob;

static Blob blob(Dice *d, double x, double y, double spread, double radius, double wave) {
  Blob b;
  b.centre[0] = draw(d, -0.15, 0.15), b.centre[1] = y + draw(d, -spread, spread),
  b.centre[2] = x + draw(d, -spread, spread);
  for (int a = 0; a < 3; a++)
    b.radius[a] = radius * draw(d, 0.85, 1.15), b.wave[a] = wave * draw(d, 0.4, 1),
    b.phase[a] = draw(d, 0, 6.2831853);
  return b;
}

static bool inside(const Blob *b, const double at[3]) {
  double u[3], r2 = 0;
  for (int a = 0; a < 3; a++) u[a] = (at[a] - b->centre[a]) / b->radius[a], r2 += u[a] * u[a];
  if (r2 > 2.6) return false;
  double angle = atan2(u[1], u[2]), edge = 1 + 0.3 * u[0] * b->wave[0];
  for (int k = 0; k < 3; k++) edge += b->wave[k] * cos((k + 2) * angle + b->phase[k]);
  return r2 < edge * edge;
}

typedef struct {
  Blob body, organ, lesion[2], kidney[2], spine, stomach;
  double bias, noise;
} Anatomy;

static Anatomy anatomy_of(int item) {
  Dice d = {.item = (uint64_t)item};
  Anatomy a;
  a.body = blob(&d, 0, 0, 0.03, 0.84, 0.04);
  a.body.radius[0] = 3; /* the body goes on beyond the volume */
  a.organ = blob(&d, -0.32, -0.05, 0.08, 0.36, 0.16);
  a.organ.radius[0] = draw(&d, 0.6, 0.8);
  for (int i = 0; i < 2; i++) a.lesion[i] = blob(&d, a.organ.centre[2], a.organ.centre[1], 0.16, 0.07, 0.1);
  a.kidney[0] = blob(&d, -0.38, 0.45, 0.04, 0.13, 0.1), a.kidney[1] = blob(&d, 0.38, 0.45, 0.04, 0.13, 0.1);
  a.spine = blob(&d, 0, 0.52, 0.03, 0.12, 0.06);
  a.spine.radius[0] = 3;
  a.stomach = blob(&d, 0.35, -0.15, 0.06, 0.24, 0.1);
  a.bias = draw(&d, -0.1, 0.1), a.noise = draw(&d, 0.03, 0.06);
  return a;
}

/* Intensity of the tissue at a place, and its class: 0 background, 1 organ, 2 lesion. */
static double tissue(const Anatomy *a, const double at[3], int *klass) {
  *klass = 0;
  if (!inside(&a->body, at)) return 0;
  if (inside(&a->organ, at)) {
    *klass = inside(&a->lesion[0], at) || inside(&a->lesion[1], at) ? 2 : 1;
    return *klass == 2 ? 0.5 : 0.62;
  }
  if (inside(&a->spine, at)) return 0.95;
  if (inside(&a->kidney[0], at) || inside(&a->kidney[1], at)) return 0.7;
  if (inside(&a->stomach, at)) return 0.52;
  double rim = 0;
  for (int i = 1; i < 3; i++) rim += at[i] * at[i] / (a->body.radius[i] * a->body.radius[i]);
  return rim > 0.8 ? 0.25 : 0.45;
}

bool phantom_items(Dataset *d) {
  char name[32];
  for (int i = 0; i < PHANTOM_TRAIN + PHANTOM_TEST; i++) {
    snprintf(name, sizeof name, "phantom%03d", i);
    if (!data_add(d, name, name, &(Source){.slice = -1})) return false;
    d->item[i].split = i < PHANTOM_TRAIN ? SPLIT_TRAIN : SPLIT_TEST;
  }
  return true;
}

bool phantom_load(const Dataset *d, int item, Sample *out, char err[ERR_MAX]) {
  int s = d->shape.spatial;
  int64_t dim[3] = {1, 1, 1},
          n = 1; /* a 3-D phantom is a quarter larger than the patch, so that windows overlap */
  for (int a = 0; a < s; a++)
    dim[3 - s + a] = s == 3 ? d->shape.size[a] + d->shape.size[a] / 4 : d->shape.size[a];
  for (int a = 0; a < 3; a++) n *= dim[a];
  *out = (Sample){.own_spatial = s};
  out->image = malloc((size_t)n * (size_t)d->shape.channels * sizeof *out->image),
  out->label = malloc((size_t)n);
  out->own_label = malloc((size_t)n);
  if (!out->image || !out->label || !out->own_label)
    return sample_free(out), err_set(err, "phantom: not enough memory for %lld elements", (long long)n);
  for (int a = 0; a < s; a++) out->dim[a] = dim[3 - s + a];
  out->own = grid_plain((int64_t[]){out->dim[0], out->dim[1], s == 3 ? out->dim[2] : 1}, NULL);
  out->place = place_same(&out->own);
  Anatomy anatomy = anatomy_of(item);
  for (int64_t i = 0; i < n; i++) {
    int64_t c[3] = {i / (dim[1] * dim[2]), i / dim[2] % dim[1], i % dim[2]};
    double at[3];
    int klass;
    for (int a = 0; a < 3; a++) at[a] = dim[a] > 1 ? 2 * ((double)c[a] + 0.5) / (double)dim[a] - 1 : 0;
    double v = tissue(&anatomy, at, &klass), noise = 0;
    for (uint64_t k = 0; k < 4; k++) /* nearly normal, variance 1 */
      noise += 1.7320508 * ((double)philox_uniform(phantom_seed, (uint64_t)item, 2 + k, (uint64_t)i) - 0.5);
    out->image[i] = (float)(v + anatomy.bias * at[1] * v + anatomy.noise * noise);
    out->label[i] = (uint8_t)(d->shape.classes > 2 ? klass : klass > 0);
    out->own_label[i] = out->label[i];
  }
  standardise(out->image, n);
  for (int c = 1; c < d->shape.channels; c++)
    for (int64_t i = 0; i < n; i++) out->image[c * n + i] = out->image[i];
  return true;
}
