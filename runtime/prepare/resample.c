/* resample.c - separable interpolation, one axis after the other. The array is seen as (outer, n, inner), so
 * that for all but the innermost axis whole rows are combined at once. */
#include "runtime/prepare/resample.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double pole = -0.26794919243112270647; /* sqrt(3) - 2 */

/* Of one element of the result: the elements it is made of, and their weights. */
typedef struct {
  int64_t at[4];
  double weight[4];
  int n;
} Tap;

/* Index mirrored about the first and the last element. */
static int64_t mirrored(int64_t i, int64_t n) {
  if (n == 1) return 0;
  int64_t period = 2 * (n - 1);
  i = i < 0 ? -i : i;
  i %= period;
  return i < n ? i : period - i;
}

static Tap tap_of(double x, int64_t n, NetcOrder order) {
  Tap t = {.n = 1, .weight = {1}};
  x = x < 0 ? 0 : x > (double)(n - 1) ? (double)(n - 1) : x;
  int64_t i = (int64_t)floor(x);
  double f = x - (double)i, g = 1 - f;
  if (order == NETC_ORDER_NEAREST) t.at[0] = (int64_t)floor(x + 0.5);
  else if (order == NETC_ORDER_LINEAR) {
    t.n = 2, t.at[0] = i, t.at[1] = i + 1 < n ? i + 1 : i;
    t.weight[0] = g, t.weight[1] = f;
  } else {
    t.n = 4;
    for (int k = 0; k < 4; k++) t.at[k] = mirrored(i - 1 + k, n);
    t.weight[0] = g * g * g / 6, t.weight[3] = f * f * f / 6;
    t.weight[1] = 2.0 / 3 - f * f * (2 - f) / 2, t.weight[2] = 2.0 / 3 - g * g * (2 - g) / 2;
  }
  return t;
}

/* Coefficients of the cubic B-spline through n rows of `inner` elements, in place (Unser, "Splines: a perfect
 * fit for signal and image processing", 1999): a causal and an anticausal recursion. */
static void spline_rows(float *row, int64_t n, int64_t inner, double *sum) {
  if (n == 1) return;
  int64_t reach = (int64_t)ceil(log(FLT_EPSILON * 1e-3) / log(fabs(pole)));
  memset(sum, 0, (size_t)inner * sizeof *sum);
  double power = 1;
  for (int64_t k = 0; k < (reach < 2 * n - 2 ? reach : 2 * n - 2); k++, power *= pole)
    for (int64_t i = 0; i < inner; i++) sum[i] += power * (double)row[mirrored(k, n) * inner + i];
  if (reach >= 2 * n - 2) /* the mirrored line is periodic: the rest of the sum is a geometric series */
    for (int64_t i = 0; i < inner; i++) sum[i] /= 1 - power;
  for (int64_t i = 0; i < inner; i++) row[i] = (float)(6 * sum[i]);
  for (int64_t k = 1; k < n; k++)
    for (int64_t i = 0; i < inner; i++)
      row[k * inner + i] = (float)(6 * (double)row[k * inner + i] + pole * (double)row[(k - 1) * inner + i]);
  float *last = row + (n - 1) * inner;
  for (int64_t i = 0; i < inner; i++)
    last[i] = (float)(pole / (pole * pole - 1) * ((double)last[i] + pole * (double)last[i - inner]));
  for (int64_t k = n - 2; k >= 0; k--)
    for (int64_t i = 0; i < inner; i++)
      row[k * inner + i] = (float)(pole * ((double)row[(k + 1) * inner + i] - (double)row[k * inner + i]));
}

/* in (outer, n, inner) to out (outer, axis.n, inner). in is overwritten with NETC_ORDER_CUBIC. */
static bool along(float *in, int64_t outer, int64_t n, int64_t inner, Axis axis, NetcOrder order,
                  float *out) {
  Tap *tap = malloc((size_t)axis.n * sizeof *tap);
  double *sum = malloc((size_t)inner * sizeof *sum);
  bool ok = tap && sum;
  for (int64_t m = 0; ok && m < axis.n; m++) tap[m] = tap_of(axis.from + axis.step * (double)m, n, order);
  for (int64_t o = 0; ok && o < outer; o++) {
    float *rows = in + o * n * inner;
    if (order == NETC_ORDER_CUBIC) spline_rows(rows, n, inner, sum);
    for (int64_t m = 0; m < axis.n; m++) {
      float *to = out + (o * axis.n + m) * inner;
      const Tap *t = &tap[m];
      for (int64_t i = 0; i < inner; i++) sum[i] = t->weight[0] * (double)rows[t->at[0] * inner + i];
      for (int k = 1; k < t->n; k++)
        for (int64_t i = 0; i < inner; i++) sum[i] += t->weight[k] * (double)rows[t->at[k] * inner + i];
      for (int64_t i = 0; i < inner; i++) to[i] = (float)sum[i];
    }
  }
  free(tap), free(sum);
  return ok;
}

static bool unchanged(Axis a, int64_t n) { return a.n == n && a.from == 0 && a.step == 1; }

bool resample_volume(const float *in, const int64_t dim[3], const Axis axis[3], NetcOrder order, float *out) {
  int64_t d[3] = {dim[0], dim[1], dim[2]}, n = d[0] * d[1] * d[2];
  float *now = malloc((size_t)n * sizeof *now);
  if (!now) return false;
  memcpy(now, in, (size_t)n * sizeof *now);
  bool ok = true;
  for (int a = 2; ok && a >= 0; a--) {
    if (unchanged(axis[a], d[a])) continue;
    int64_t outer = 1, inner = 1;
    for (int b = 0; b < a; b++) outer *= d[b];
    for (int b = a + 1; b < 3; b++) inner *= d[b];
    float *next = malloc((size_t)(outer * axis[a].n * inner) * sizeof *next);
    ok = next && along(now, outer, d[a], inner, axis[a], order, next);
    free(now);
    now = next, d[a] = axis[a].n;
  }
  if (ok) memcpy(out, now, (size_t)(d[0] * d[1] * d[2]) * sizeof *out);
  free(now);
  return ok;
}

int64_t resample_room(const int64_t dim[3], const Axis axis[3]) {
  int64_t d[3] = {dim[0], dim[1], dim[2]}, now = d[0] * d[1] * d[2], most = now;
  for (int a = 2; a >= 0; a--) {
    if (unchanged(axis[a], d[a])) continue;
    d[a] = axis[a].n;
    int64_t next = d[0] * d[1] * d[2];
    most = now + next > most ? now + next : most, now = next;
  }
  return most;
}

/* ---- classes ---- */

static uint8_t heaviest(const uint8_t *in, const int64_t dim[3], const Tap t[3], uint8_t nearest) {
  double weight[256] = {0};
  uint8_t seen[8];
  int n = 0;
  for (int c = 0; c < 8; c++) {
    int64_t at = 0;
    double w = 1;
    for (int a = 0; a < 3; a++) at = at * dim[a] + t[a].at[c >> a & 1], w *= t[a].weight[c >> a & 1];
    weight[in[at]] += w, seen[n++] = in[at];
  }
  uint8_t best = nearest;
  for (int i = 0; i < n; i++)
    if (weight[seen[i]] > weight[best] + 1e-9) best = seen[i];
  return best;
}

void resample_classes(const uint8_t *in, const int64_t dim[3], const Axis axis[3], NetcOrder order,
                      uint8_t *out) {
  for (int64_t i = 0; i < axis[0].n; i++)
    for (int64_t j = 0; j < axis[1].n; j++)
      for (int64_t k = 0; k < axis[2].n; k++) {
        const int64_t m[3] = {i, j, k};
        int64_t at = 0;
        Tap t[3];
        for (int a = 0; a < 3; a++) {
          double x = axis[a].from + axis[a].step * (double)m[a];
          at = at * dim[a] + tap_of(x, dim[a], NETC_ORDER_NEAREST).at[0];
          if (order == NETC_ORDER_LINEAR) t[a] = tap_of(x, dim[a], NETC_ORDER_LINEAR);
        }
        *out++ = order == NETC_ORDER_LINEAR ? heaviest(in, dim, t, in[at]) : in[at];
      }
}
