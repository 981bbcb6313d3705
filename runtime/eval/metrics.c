/* metrics.c - overlap and surface distances of two masks (spec 4.7). */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/image/edt.h"
#include "runtime/eval/metrics.h"

const char *const metric_name[METRIC_COUNT] = {"DI", "JA", "AC", "SE", "SP", "VOE", "ASD", "ASSD", "95HD"};

double metric_value(const Metrics *m, int i) {
  const double v[METRIC_COUNT] = {m->di, m->ja, m->ac, m->se, m->sp, m->voe, m->asd, m->assd, m->hd95};
  return v[i];
}

/* Ratios with the small constant of the 2-D protocol, which makes two empty masks agree perfectly. */
static void overlap(const uint8_t *pred, const uint8_t *truth, int64_t n, Metrics *m) {
  const double tiny = 1e-10;
  int64_t tp = 0, np = 0, nt = 0;
  for (int64_t i = 0; i < n; i++) tp += pred[i] && truth[i], np += pred[i] != 0, nt += truth[i] != 0;
  double fp = (double)(np - tp), tn = (double)(n - np - nt + tp), inter = (double)tp;
  m->di = (2 * inter + tiny) / ((double)(np + nt) + tiny);
  m->ja = (inter + tiny) / ((double)(np + nt - tp) + tiny);
  m->ac = (inter + tn) / (double)n;
  m->se = (inter + tiny) / ((double)nt + tiny);
  m->sp = (tn + tiny) / (tn + fp + tiny);
  m->voe = 1 - m->ja;
}

/* Surface of a mask: its elements with a face-neighbour that is background or beyond the array (mask minus
 * its erosion with border value 0). Returns their number. */
static int64_t surface(const uint8_t *mask, int spatial, const int64_t *dim, int64_t n, uint8_t *out) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) {
    bool edge = false;
    int64_t stride = 1;
    for (int a = spatial - 1; mask[i] && !edge && a >= 0; stride *= dim[a--]) {
      int64_t c = i / stride % dim[a];
      edge = c == 0 || c + 1 == dim[a] || !mask[i - stride] || !mask[i + stride];
    }
    count += out[i] = edge;
  }
  return count;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Percentile q (0..1) of n sorted values, linear between neighbours. */
static double percentile(const double *v, int64_t n, double q) {
  double at = q * (double)(n - 1);
  int64_t i = (int64_t)at;
  return i + 1 < n ? v[i] + (at - (double)i) * (v[i + 1] - v[i]) : v[n - 1];
}

/* Distances of the elements of surface `from` to surface `to` are appended to list; returns their number. */
static int64_t distances(const uint8_t *from, const double *to_squared, int64_t n, double *list) {
  int64_t k = 0;
  for (int64_t i = 0; i < n; i++)
    if (from[i]) list[k++] = sqrt(to_squared[i]);
  return k;
}

static double sum(const double *v, int64_t n) {
  double s = 0;
  for (int64_t i = 0; i < n; i++) s += v[i];
  return s;
}

static bool surface_distances(const uint8_t *pred, const uint8_t *truth, int spatial, const int64_t *dim,
                              const double *spacing, int64_t n, Metrics *m) {
  uint8_t *sp = malloc((size_t)n * 2), *st = sp ? sp + n : NULL;
  double *d = malloc((size_t)n * 2 * sizeof *d), *list = NULL;
  bool ok = false;
  m->asd = m->assd = m->hd95 = NAN;
  if (!sp || !d) goto out;
  int64_t np = surface(pred, spatial, dim, n, sp), nt = surface(truth, spatial, dim, n, st);
  if (!np || !nt) {
    ok = true; /* no surface, no distance: they stay NaN */
    goto out;
  }
  list = malloc((size_t)(np + nt) * sizeof *list);
  if (!list || !edt_squared(sp, spatial, dim, spacing, d) || !edt_squared(st, spatial, dim, spacing, d + n))
    goto out;
  distances(sp, d + n, n, list);
  distances(st, d, n, list + np);
  double to_truth = sum(list, np), to_pred = sum(list + np, nt);
  m->asd = to_truth / (double)np;
  m->assd = (to_truth + to_pred) / (double)(np + nt);
  qsort(list, (size_t)(np + nt), sizeof *list, by_value);
  m->hd95 = percentile(list, np + nt, 0.95);
  ok = true;
out:
  free(list), free(d), free(sp);
  return ok;
}

bool metrics_of(const uint8_t *pred, const uint8_t *truth, int spatial, const int64_t *dim,
                const double *spacing, Metrics *out) {
  int64_t n = 1;
  for (int a = 0; a < spatial; a++) n *= dim[a];
  overlap(pred, truth, n, out);
  return surface_distances(pred, truth, spatial, dim, spacing, n, out);
}
