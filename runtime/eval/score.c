/* score.c - metrics of masks with several classes, and their means. */
#include <math.h>
#include <stdlib.h>
#include "runtime/eval/score.h"
#include "runtime/image/image.h"

static int64_t count_of(int spatial, const int64_t *dim) {
  int64_t n = 1;
  for (int a = 0; a < spatial; a++) n *= dim[a];
  return n;
}

static void pick_class(const uint8_t *mask, int64_t n, int64_t c, uint8_t *out) {
  for (int64_t i = 0; i < n; i++) out[i] = mask[i] == c;
}

bool score_masks(const uint8_t *pred, const uint8_t *truth, int64_t classes, int spatial, const int64_t *dim,
                 const double *spacing, Metrics *out, char err[ERR_MAX]) {
  int64_t n = count_of(spatial, dim);
  uint8_t *p = malloc((size_t)n * 2), *t = p ? p + n : NULL;
  double sum[METRIC_COUNT] = {0};
  int defined[METRIC_COUNT] = {0};
  bool ok = p != NULL;
  for (int64_t c = 1; ok && c < classes; c++) {
    Metrics one;
    pick_class(pred, n, c, p), pick_class(truth, n, c, t);
    ok = metrics_of(p, t, spatial, dim, spacing, &one);
    for (int i = 0; ok && i < METRIC_COUNT; i++) {
      double v = one.value[i];
      if (!isnan(v)) sum[i] += v, defined[i]++;
    }
  }
  for (int i = 0; i < METRIC_COUNT; i++) out->value[i] = defined[i] ? sum[i] / defined[i] : NAN;
  free(p);
  return ok || err_memory(err, "the metrics of a mask", n * 18);
}

bool clean_mask(uint8_t *mask, int64_t classes, int spatial, const int64_t *dim, bool fill, bool largest,
                char err[ERR_MAX]) {
  int64_t n = count_of(spatial, dim);
  uint8_t *one = malloc((size_t)n);
  bool ok = one != NULL;
  for (int64_t c = 1; ok && (fill || largest) && c < classes; c++) {
    pick_class(mask, n, c, one);
    ok = (!largest || largest_component(one, spatial, dim)) && (!fill || fill_holes(one, spatial, dim));
    for (int64_t i = 0; ok && i < n; i++) {
      if (mask[i] == c && !one[i]) mask[i] = 0;
      if (mask[i] == 0 && one[i]) mask[i] = (uint8_t)c; /* a hole that another class fills stays that class */
    }
  }
  free(one);
  return ok || err_memory(err, "cleaning a mask", n * 5);
}

void summary_add(Summary *s, const Metrics *m) {
  s->items++;
  for (int i = 0; i < METRIC_COUNT; i++) {
    double v = m->value[i], before = v - s->mean[i];
    if (isnan(v)) continue;
    s->mean[i] += before / ++s->n[i];
    s->squares[i] += before * (v - s->mean[i]);
  }
}

double summary_mean(const Summary *s, int metric) { return s->n[metric] ? s->mean[metric] : NAN; }

double summary_sd(const Summary *s, int metric) {
  return s->n[metric] > 1 ? sqrt(s->squares[metric] / (s->n[metric] - 1)) : NAN;
}
