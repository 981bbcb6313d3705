/* windows.c - places and weights of windows. */
#include "runtime/predict/windows.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const WindowPlan window_plan_plain = {.overlap = 0.5};

void window_plan_of(const NetcPrepare *p, WindowPlan *out) {
  *out = window_plan_plain;
  if (!p) return;
  out->overlap = p->overlap, out->gaussian = p->weight == NETC_WEIGHT_GAUSSIAN;
  memcpy(out->stride, p->stride, sizeof out->stride);
}

int64_t window_start(const Windows *w, int a, int64_t i) {
  int64_t s = w->stride[a] * i, last = w->padded[a] - w->patch[a];
  return s < last ? s : last;
}

static void place(Windows *w, int a, int64_t dim, int64_t patch, int64_t stride) {
  w->dim[a] = dim, w->patch[a] = patch, w->stride[a] = stride;
  w->padded[a] = dim > patch ? dim : patch;
  w->before[a] = (w->padded[a] - dim) / 2;
  w->count[a] = (w->padded[a] - patch + stride - 1) / stride + 1;
}

static bool weigh(Windows *w, int a, bool gaussian) {
  w->weight[a] = malloc((size_t)w->patch[a] * sizeof(float));
  w->total[a] = calloc((size_t)w->dim[a], sizeof(float));
  if (!w->weight[a] || !w->total[a]) return false;
  for (int64_t i = 0; i < w->patch[a]; i++) {
    double at = ((double)i - (double)(w->patch[a] - 1) / 2) / ((double)w->patch[a] / 8);
    w->weight[a][i] = gaussian ? (float)fmax(exp(-0.5 * at * at), 1e-3) : 1;
  }
  for (int64_t k = 0; k < w->count[a]; k++)
    for (int64_t i = 0; i < w->patch[a]; i++) {
      int64_t e = window_start(w, a, k) + i - w->before[a];
      if (e >= 0 && e < w->dim[a]) w->total[a][e] += w->weight[a][i];
    }
  return true;
}

bool windows_new(Windows *w, const DataShape *shape, const int64_t *dim, const WindowPlan *plan) {
  *w = (Windows){.spatial = shape->spatial};
  bool ok = true;
  for (int a = 0; a < 3; a++) {
    int i = a - (3 - shape->spatial);
    if (i < 0) place(w, a, 1, 1, 1);
    else {
      int64_t patch = shape->size[i], step = plan->stride[i];
      if (step <= 0) step = (int64_t)ceil((double)patch * (1 - plan->overlap));
      place(w, a, dim[i], patch, step < 1 ? 1 : step > patch ? patch : step);
    }
    ok = ok && weigh(w, a, plan->gaussian && i >= 0);
  }
  if (!ok) windows_free(w);
  return ok;
}

void windows_free(Windows *w) {
  for (int a = 0; a < 3; a++) free(w->weight[a]), free(w->total[a]), w->weight[a] = w->total[a] = NULL;
}

/* Rows of the window that lie in the image. */
static void read_rows(const Windows *w, const int64_t at[3], const float *image, float *window) {
  int64_t x0 = at[2] - w->before[2], lo = x0 < 0 ? -x0 : 0;
  int64_t hi = w->dim[2] - x0 < w->patch[2] ? w->dim[2] - x0 : w->patch[2];
  for (int64_t z = 0; z < w->patch[0]; z++)
    for (int64_t y = 0; y < w->patch[1]; y++) {
      int64_t az = at[0] + z - w->before[0], ay = at[1] + y - w->before[1];
      if (lo >= hi || az < 0 || az >= w->dim[0] || ay < 0 || ay >= w->dim[1]) continue;
      memcpy(window + (z * w->patch[1] + y) * w->patch[2] + lo,
             image + (az * w->dim[1] + ay) * w->dim[2] + x0 + lo, (size_t)(hi - lo) * sizeof *window);
    }
}

void window_read(const Windows *w, const int64_t at[3], const float *image, int channels, float *window) {
  int64_t patch = w->patch[0] * w->patch[1] * w->patch[2], total = w->dim[0] * w->dim[1] * w->dim[2];
  memset(window, 0, (size_t)(patch * channels) * sizeof *window);
  for (int c = 0; c < channels; c++) read_rows(w, at, image + c * total, window + c * patch);
}
