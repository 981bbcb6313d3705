/* resample.c - scaling of planes, and intensity normalisation. */
#include <math.h>
#include <stdlib.h>
#include "runtime/image/image.h"

/* How much element i of the input counts in element o of the result. Shrinking takes the part of i that o
 * covers, growing a linear weight between the centres. */
static double share(int64_t i, int64_t o, double step) {
  if (step <= 1) return fmax(0, 1 - fabs((double)i - ((double)o + 0.5) * step + 0.5));
  return fmax(0, fmin((double)(i + 1), (double)(o + 1) * step) - fmax((double)i, (double)o * step));
}

/* One axis: out[o * so + l * sl], o < on, from in[i * si + l * sl'], for `lines` lines. Weights are
 * normalised over the elements that exist; weight has room for n of them. */
static void scale_axis(const float *in, int64_t n, int64_t si, int64_t in_line, float *out, int64_t on,
                       int64_t so, int64_t out_line, int64_t lines, double *weight) {
  double step = (double)n / (double)on, reach = step > 1 ? step / 2 + 0.5 : 1;
  for (int64_t o = 0; o < on; o++) {
    double centre = ((double)o + 0.5) * step - 0.5;
    int64_t lo = (int64_t)ceil(centre - reach), hi = (int64_t)floor(centre + reach);
    lo = lo < 0 ? 0 : lo, hi = hi > n - 1 ? n - 1 : hi;
    double total = 0;
    for (int64_t i = lo; i <= hi; i++) total += weight[i] = share(i, o, step);
    for (int64_t l = 0; l < lines; l++) {
      double sum = 0;
      for (int64_t i = lo; i <= hi; i++) sum += weight[i] * (double)in[i * si + l * in_line];
      out[o * so + l * out_line] = (float)(sum / total);
    }
  }
}

bool resize_plane(const float *in, int64_t h, int64_t w, float *out, int64_t oh, int64_t ow) {
  if (h == oh && w == ow) {
    for (int64_t i = 0; i < h * w; i++) out[i] = in[i];
    return true;
  }
  float *rows = malloc((size_t)(h * ow) * sizeof *rows);
  double *weight = malloc((size_t)(h > w ? h : w) * sizeof *weight);
  bool ok = rows && weight;
  if (ok) {
    scale_axis(in, w, 1, w, rows, ow, 1, ow, h, weight);
    scale_axis(rows, h, ow, 1, out, oh, ow, 1, ow, weight);
  }
  free(rows), free(weight);
  return ok;
}

/* The element of n that element o of on is nearest to. */
static int64_t nearest(int64_t o, int64_t n, int64_t on) { return (2 * o + 1) * n / (2 * on); }

void resize_nearest(const uint8_t *in, int64_t h, int64_t w, uint8_t *out, int64_t oh, int64_t ow) {
  for (int64_t y = 0; y < oh; y++)
    for (int64_t x = 0; x < ow; x++) out[y * ow + x] = in[nearest(y, h, oh) * w + nearest(x, w, ow)];
}

void resize_nearest_values(const float *in, int64_t h, int64_t w, float *out, int64_t oh, int64_t ow) {
  for (int64_t y = 0; y < oh; y++)
    for (int64_t x = 0; x < ow; x++) out[y * ow + x] = in[nearest(y, h, oh) * w + nearest(x, w, ow)];
}

void standardise(float *v, int64_t n) {
  double sum = 0, square = 0;
  for (int64_t i = 0; i < n; i++) sum += (double)v[i];
  double mean = sum / (double)n;
  for (int64_t i = 0; i < n; i++) square += ((double)v[i] - mean) * ((double)v[i] - mean);
  double scale = square > 0 ? 1 / sqrt(square / (double)n) : 0;
  for (int64_t i = 0; i < n; i++) v[i] = (float)(((double)v[i] - mean) * scale);
}
