/* percentile.h - percentiles of sorted values. */
#ifndef NETRUN_PERCENTILE_H
#define NETRUN_PERCENTILE_H
#include <math.h>
#include <stdint.h>

/* Percentile q (0..1) of n ascending values, linear between neighbours (NumPy's default); NaN of none. */
static inline double percentile(const double *v, int64_t n, double q) {
  if (n == 0) return NAN;
  double at = q * (double)(n - 1);
  int64_t i = (int64_t)at;
  return i + 1 < n ? v[i] + (at - (double)i) * (v[i + 1] - v[i]) : v[n - 1];
}

/* For qsort. */
static inline int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}
#endif
