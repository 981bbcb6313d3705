/* edt.c - exact distance transforms, one axis at a time (Felzenszwalb and Huttenlocher, 2012), and the signed
 * distance map that DTC learns.
 *
 * Along one axis the squared distance is D(p) = min_q (s(p-q))^2 + f(q): the lower envelope of parabolas, one
 * rooted at each q. `root` holds the parabolas of the envelope, `from` where each begins to be the lowest. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/image/edt.h"

typedef struct {
  double *f, *from;
  int64_t *root;
} Line;

/* f[0..n) becomes its distance transform with spacing s. Distances are rounded as products of a number of
 * steps and the spacing, as in SciPy, so that a tolerance of three steps holds three steps. */
static void transform_line(Line *l, int64_t n, double s, double *out) {
  int64_t k = -1;
  double ss = s * s;
  for (int64_t q = 0; q < n; q++) {
    if (isinf(l->f[q])) continue; /* no parabola here */
    double start = -INFINITY;
    while (k >= 0) {
      int64_t r = l->root[k];
      start = ((l->f[q] - l->f[r]) / ss + (double)(q * q - r * r)) / (2.0 * (double)(q - r));
      if (start > l->from[k]) break;
      k--, start = -INFINITY;
    }
    l->root[++k] = q, l->from[k] = start;
  }
  if (k < 0) {
    for (int64_t p = 0; p < n; p++) out[p] = INFINITY;
    return;
  }
  for (int64_t p = 0, i = 0; p < n; p++) {
    while (i < k && l->from[i + 1] < (double)p) i++;
    double d = (double)(p - l->root[i]) * s;
    out[p] = d * d + l->f[l->root[i]];
  }
}

bool edt_squared(const uint8_t *mask, int spatial, const int64_t *dim, const double *spacing, double *out) {
  int64_t total = 1, longest = 1;
  for (int a = 0; a < spatial; a++) total *= dim[a], longest = dim[a] > longest ? dim[a] : longest;
  size_t n = (size_t)longest;
  double *room = malloc(n * (3 * sizeof(double) + sizeof(int64_t)));
  if (!room) return false;
  Line l = {.f = room, .from = room + n, .root = (int64_t *)(room + 3 * n)};
  double *result = room + 2 * n;
  for (int64_t i = 0; i < total; i++) out[i] = mask[i] ? 0 : INFINITY;
  int64_t stride = total;
  for (int a = 0; a < spatial; a++) {
    stride /= dim[a];
    for (int64_t line = 0; line < total / dim[a]; line++) {
      double *at = out + line / stride * stride * dim[a] + line % stride;
      for (int64_t i = 0; i < dim[a]; i++) l.f[i] = at[i * stride];
      transform_line(&l, dim[a], spacing[a], result);
      for (int64_t i = 0; i < dim[a]; i++) at[i * stride] = result[i];
    }
  }
  free(room);
  return true;
}

/* Is element i, non-zero itself, next to a zero element (by a face, inside the array)? */
static bool on_inner_boundary(const uint8_t *mask, int spatial, const int64_t *dim, int64_t i) {
  int64_t stride = 1;
  for (int a = spatial - 1; a >= 0; stride *= dim[a--]) {
    int64_t c = i / stride % dim[a];
    if ((c > 0 && !mask[i - stride]) || (c + 1 < dim[a] && !mask[i + stride])) return true;
  }
  return false;
}

/* Square roots of squared distances, scaled to [0,1] by least and greatest; all 0 when they do not differ. */
static void normalise(double *d, int64_t n) {
  double lo = INFINITY, hi = 0;
  for (int64_t i = 0; i < n; i++) {
    d[i] = isinf(d[i]) ? 0 : sqrt(d[i]);
    lo = d[i] < lo ? d[i] : lo, hi = d[i] > hi ? d[i] : hi;
  }
  for (int64_t i = 0; i < n; i++) d[i] = hi > lo ? (d[i] - lo) / (hi - lo) : 0;
}

/* g = Q/max Q - P/max P, P the distance inside to the background, Q the distance outside to the mask; 0 on
 * the inner boundary; all 0 for an empty mask, and the outside term alone is 0 when the mask fills the array.
 */
bool sdf_map(const uint8_t *mask, int spatial, const int64_t *dim, float *out) {
  static const double unit[3] = {1, 1, 1};
  int64_t n = 1, inside = 0;
  for (int a = 0; a < spatial; a++) n *= dim[a];
  for (int64_t i = 0; i < n; i++) inside += mask[i] != 0;
  memset(out, 0, (size_t)n * sizeof *out);
  if (!inside) return true;
  double *q = malloc((size_t)n * (2 * sizeof *q + 1)), *p = q ? q + n : NULL;
  uint8_t *outside = q ? (uint8_t *)(p + n) : NULL;
  if (q)
    for (int64_t i = 0; i < n; i++) outside[i] = !mask[i];
  bool ok = q && edt_squared(mask, spatial, dim, unit, q) && edt_squared(outside, spatial, dim, unit, p);
  if (ok) {
    normalise(q, n), normalise(p, n);
    for (int64_t i = 0; i < n; i++)
      out[i] = mask[i] && on_inner_boundary(mask, spatial, dim, i) ? 0 : (float)(q[i] - p[i]);
  }
  free(q);
  return ok;
}
