/* bootstrap.c - the percentile bootstrap of a mean over cases. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include "ir/philox.h"
#include "runtime/eval/bootstrap.h"
#include "runtime/metrics/percentile.h"

static double resample(const CaseValues *of, int cases, uint64_t b) {
  double sum = 0;
  int64_t n = 0;
  uint32_t x[4];
  for (int j = 0; j < cases; j++) {
    if (j % 4 == 0) philox_at(x, 0, b, 0, (uint64_t)j / 4);
    const CaseValues *drawn = &of[(uint64_t)x[j % 4] * (uint64_t)cases >> 32];
    sum += drawn->sum, n += drawn->n;
  }
  return sum / (double)n;
}

bool bootstrap_mean(const CaseValues *of, int cases, double *low, double *high) {
  *low = *high = NAN;
  if (cases < 2) return true;
  double *mean = malloc(BOOTSTRAP_RESAMPLES * sizeof *mean), tail = (1 - BOOTSTRAP_PERCENT / 100.0) / 2;
  if (!mean) return false;
  for (int b = 0; b < BOOTSTRAP_RESAMPLES; b++) mean[b] = resample(of, cases, (uint64_t)b);
  qsort(mean, BOOTSTRAP_RESAMPLES, sizeof *mean, by_value);
  *low = percentile(mean, BOOTSTRAP_RESAMPLES, tail), *high = percentile(mean, BOOTSTRAP_RESAMPLES, 1 - tail);
  free(mean);
  return true;
}
