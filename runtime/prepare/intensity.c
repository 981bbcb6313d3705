/* intensity.c - clipping and normalising. */
#include "runtime/prepare/intensity.h"
#include <math.h>
#include <stdlib.h>
#include "runtime/image/image.h"

static const double window_lo = -200, window_hi = 250, ct_below = -500; /* HU */
static const double rgb_mean[3] = {0.485, 0.456, 0.406}, rgb_deviation[3] = {0.229, 0.224, 0.225};

/* (v - mean) / deviation; a deviation of 0 gives zeros. */
static void shift(float *v, int64_t n, double mean, double deviation) {
  double scale = deviation > 0 ? 1 / deviation : 0;
  for (int64_t i = 0; i < n; i++) v[i] = (float)(((double)v[i] - mean) * scale);
}

static void clip(float *v, int64_t n, double lo, double hi) {
  float a = (float)lo, b = (float)hi;
  for (int64_t i = 0; i < n; i++) v[i] = v[i] < a ? a : v[i] > b ? b : v[i];
}

static void minmax(float *v, int64_t n) {
  float lo = INFINITY, hi = -INFINITY;
  for (int64_t i = 0; i < n; i++) lo = v[i] < lo ? v[i] : lo, hi = v[i] > hi ? v[i] : hi;
  shift(v, n, (double)lo, (double)hi - (double)lo);
}

static void nonzero(float *v, int64_t n) {
  double sum = 0, square = 0;
  int64_t m = 0;
  for (int64_t i = 0; i < n; i++)
    if (v[i] != 0) sum += (double)v[i], m++;
  double mean = m ? sum / (double)m : 0;
  for (int64_t i = 0; i < n; i++)
    if (v[i] != 0) square += ((double)v[i] - mean) * ((double)v[i] - mean);
  double scale = square > 0 ? 1 / sqrt(square / (double)m) : 0;
  for (int64_t i = 0; i < n; i++)
    if (v[i] != 0) v[i] = (float)(((double)v[i] - mean) * scale);
}

void intensity_apply(float *v, int64_t n, const NetcIntensity *how) {
  if (how->clip) clip(v, n, how->lo, how->hi);
  switch (how->kind) {
  case NETC_INTENSITY_AUTO:
  case NETC_INTENSITY_NONE: break;
  case NETC_INTENSITY_ZSCORE: standardise(v, n); break;
  case NETC_INTENSITY_NONZERO: nonzero(v, n); break;
  case NETC_INTENSITY_MINMAX: minmax(v, n); break;
  case NETC_INTENSITY_FOREGROUND:
  case NETC_INTENSITY_FIXED: shift(v, n, how->mean * how->scale, how->deviation * how->scale); break;
  }
}

static bool is_ct(const float *v, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if ((double)v[i] <= ct_below) return true;
  return false;
}

NetcIntensity intensity_of_volume(const float *v, int64_t n, bool prepared) {
  if (prepared) return (NetcIntensity){.kind = NETC_INTENSITY_NONE, .scale = 1};
  if (!is_ct(v, n)) return (NetcIntensity){.kind = NETC_INTENSITY_ZSCORE, .scale = 1};
  return (NetcIntensity){
      .kind = NETC_INTENSITY_ZSCORE, .clip = 1, .lo = window_lo, .hi = window_hi, .scale = 1};
}

NetcIntensity intensity_of_picture(int channel, int channels, double full) {
  if (channels != 3) return (NetcIntensity){.kind = NETC_INTENSITY_ZSCORE, .scale = 1};
  return (NetcIntensity){.kind = NETC_INTENSITY_FIXED,
                         .mean = rgb_mean[channel],
                         .deviation = rgb_deviation[channel],
                         .scale = full > 0 ? full : 255};
}

static int by_value(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* Percentiles 0.1 and 99.9 of about 200,000 of the values. */
static bool percentiles(const float *v, int64_t n, float *lo, float *hi) {
  int64_t step = n / 200000 + 1, k = 0;
  float *some = malloc((size_t)(n / step + 1) * sizeof *some);
  if (!some) return false;
  for (int64_t i = 0; i < n; i += step) some[k++] = v[i];
  qsort(some, (size_t)k, sizeof *some, by_value);
  *lo = some[k / 1000], *hi = some[k - 1 - k / 1000];
  free(some);
  return true;
}

bool intensity_range(const float *v, int64_t n, const NetcIntensity *how, float *lo, float *hi) {
  if (how->clip) return *lo = (float)how->lo, *hi = (float)how->hi, true;
  if (how->kind == NETC_INTENSITY_AUTO && is_ct(v, n))
    return *lo = (float)window_lo, *hi = (float)window_hi, true;
  if (how->kind == NETC_INTENSITY_AUTO) return percentiles(v, n, lo, hi);
  *lo = INFINITY, *hi = -INFINITY;
  for (int64_t i = 0; i < n; i++) *lo = v[i] < *lo ? v[i] : *lo, *hi = v[i] > *hi ? v[i] : *hi;
  return true;
}
