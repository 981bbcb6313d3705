/* metrics.c - overlap and surface distances of two masks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/eval/metrics.h"
#include "runtime/image/edt.h"

/* What metrics are made of: elements counted, and the distances of either surface's elements to the other
 * surface. */
typedef struct {
  int64_t n, pred, truth, both;        /* elements; in the prediction, in the truth, in both */
  int64_t pred_surface, truth_surface; /* elements of the surfaces */
  double pred_to_truth, truth_to_pred; /* sums of distances */
  const double *distance;              /* all of them, ascending */
} Compared;

#define METRIC(name, column, better, undefined, meaning) static double metric_##name(const Compared *c);
#include "runtime/eval/metrics.def"
#undef METRIC

const MetricInfo metric_info[METRIC_COUNT] = {
#define METRIC(name, column, better, undefined, meaning) {column, meaning, better, undefined},
#include "runtime/eval/metrics.def"
#undef METRIC
};

/* ---- overlap ---- */

/* The small constant of the 2-D protocol (ASE-Net's released evaluation): two empty masks agree perfectly. */
static const double tiny = 1e-10;

static double metric_di(const Compared *c) {
  return (2 * (double)c->both + tiny) / ((double)(c->pred + c->truth) + tiny);
}

static double metric_ja(const Compared *c) {
  return ((double)c->both + tiny) / ((double)(c->pred + c->truth - c->both) + tiny);
}

static double true_negatives(const Compared *c) { return (double)(c->n - c->pred - c->truth + c->both); }

static double metric_ac(const Compared *c) { return ((double)c->both + true_negatives(c)) / (double)c->n; }

static double metric_se(const Compared *c) { return ((double)c->both + tiny) / ((double)c->truth + tiny); }

static double metric_sp(const Compared *c) {
  double tn = true_negatives(c), fp = (double)(c->pred - c->both);
  return (tn + tiny) / (tn + fp + tiny);
}

static double metric_voe(const Compared *c) { return 1 - metric_ja(c); }

/* ---- surface distances: called where both surfaces have elements ---- */

/* Percentile q (0..1) of n sorted values, linear between neighbours. */
static double percentile(const double *v, int64_t n, double q) {
  double at = q * (double)(n - 1);
  int64_t i = (int64_t)at;
  return i + 1 < n ? v[i] + (at - (double)i) * (v[i + 1] - v[i]) : v[n - 1];
}

static double metric_asd(const Compared *c) { return c->pred_to_truth / (double)c->pred_surface; }

static double metric_assd(const Compared *c) {
  return (c->pred_to_truth + c->truth_to_pred) / (double)(c->pred_surface + c->truth_surface);
}

static double metric_hd95(const Compared *c) {
  return percentile(c->distance, c->pred_surface + c->truth_surface, 0.95);
}

/* ---- comparing ---- */

static Compared count(const uint8_t *pred, const uint8_t *truth, int64_t n) {
  Compared c = {.n = n};
  for (int64_t i = 0; i < n; i++)
    c.both += pred[i] && truth[i], c.pred += pred[i] != 0, c.truth += truth[i] != 0;
  return c;
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

/* Distances of the elements of surface `from` to surface `to` are appended to list; returns their number. */
static int64_t distances(const uint8_t *from, const double *to_squared, int64_t n, double *list) {
  int64_t k = 0;
  for (int64_t i = 0; i < n; i++)
    if (from[i]) list[k++] = sqrt(to_squared[i]);
  return k;
}

static double sum_of(const double *v, int64_t n) {
  double s = 0;
  for (int64_t i = 0; i < n; i++) s += v[i];
  return s;
}

/* *list: all distances; the caller frees it, and NULL where a surface is empty. false when there is no
 * memory. */
static bool measure(const uint8_t *pred, const uint8_t *truth, int spatial, const int64_t *dim,
                    const double *spacing, Compared *c, double **list) {
  int64_t n = c->n;
  uint8_t *sp = malloc((size_t)n * 2), *st = sp ? sp + n : NULL;
  double *d = malloc((size_t)n * 2 * sizeof *d);
  bool ok = sp && d;
  int64_t np = c->pred_surface = ok ? surface(pred, spatial, dim, n, sp) : 0;
  int64_t nt = c->truth_surface = ok ? surface(truth, spatial, dim, n, st) : 0;
  if (ok && np && nt) {
    *list = malloc((size_t)(np + nt) * sizeof **list);
    ok = *list && edt_squared(sp, spatial, dim, spacing, d) && edt_squared(st, spatial, dim, spacing, d + n);
  }
  if (ok && *list) {
    distances(sp, d + n, n, *list);
    distances(st, d, n, *list + np);
    c->pred_to_truth = sum_of(*list, np), c->truth_to_pred = sum_of(*list + np, nt);
    qsort(*list, (size_t)(np + nt), sizeof **list, by_value);
    c->distance = *list;
  }
  free(d), free(sp);
  return ok;
}

bool metrics_of(const uint8_t *pred, const uint8_t *truth, int spatial, const int64_t *dim,
                const double *spacing, Metrics *out) {
  static double (*const of[METRIC_COUNT])(const Compared *) = {
#define METRIC(name, column, better, undefined, meaning) metric_##name,
#include "runtime/eval/metrics.def"
#undef METRIC
  };
  int64_t n = 1;
  for (int a = 0; a < spatial; a++) n *= dim[a];
  Compared c = count(pred, truth, n);
  double *list = NULL;
  bool ok = measure(pred, truth, spatial, dim, spacing, &c, &list);
  bool empty = !c.pred_surface || !c.truth_surface;
  for (int i = 0; ok && i < METRIC_COUNT; i++)
    out->value[i] = empty && metric_info[i].undefined == EMPTY ? NAN : of[i](&c);
  free(list);
  return ok;
}
