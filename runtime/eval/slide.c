/* slide.c - sliding-window inference: windows n = ceil((dim - patch) / stride) + 1 per axis, the last one
 * moved back to the border; arrays smaller than the patch are padded with zeros, the odd element after. */
#include <stdlib.h>
#include <string.h>
#include "runtime/eval/slide.h"

typedef struct {
  int spatial;
  int64_t dim[3], before[3], padded[3], patch[3], stride[3], count[3]; /* three axes, leading ones 1 */
} Windows;

static void windows_of(Windows *w, const DataShape *shape, const int64_t *dim, const int64_t *stride) {
  *w = (Windows){shape->spatial, {1, 1, 1}, {0}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}};
  for (int i = 0; i < shape->spatial; i++) {
    int a = 3 - shape->spatial + i;
    w->dim[a] = dim[i], w->patch[a] = shape->size[i];
    w->padded[a] = dim[i] > shape->size[i] ? dim[i] : shape->size[i];
    w->before[a] = (w->padded[a] - dim[i]) / 2;
    w->stride[a] = stride ? stride[i] : (shape->size[i] + 1) / 2;
    w->count[a] = (w->padded[a] - w->patch[a] + w->stride[a] - 1) / w->stride[a] + 1;
  }
}

static int64_t start(const Windows *w, int a, int64_t i) {
  int64_t s = w->stride[a] * i, last = w->padded[a] - w->patch[a];
  return s < last ? s : last;
}

/* Copies rows between a window at `at` (padded coordinates) and the array, for every row that lies in the
 * array. */
typedef void (*RowFn)(float *window, float *array, int64_t n);
static void row_read(float *window, float *array, int64_t n) {
  memcpy(window, array, (size_t)n * sizeof *window);
}
static void row_add(float *window, float *array, int64_t n) {
  for (int64_t i = 0; i < n; i++) array[i] += window[i];
}

static void window_rows(const Windows *w, const int64_t at[3], float *window, float *array, RowFn fn) {
  int64_t x0 = at[2] - w->before[2], lo = x0 < 0 ? -x0 : 0;
  int64_t hi = w->dim[2] - x0 < w->patch[2] ? w->dim[2] - x0 : w->patch[2];
  if (lo >= hi) return;
  for (int64_t z = 0; z < w->patch[0]; z++)
    for (int64_t y = 0; y < w->patch[1]; y++) {
      int64_t az = at[0] + z - w->before[0], ay = at[1] + y - w->before[1];
      if (az < 0 || az >= w->dim[0] || ay < 0 || ay >= w->dim[1]) continue;
      fn(window + (z * w->patch[1] + y) * w->patch[2] + lo,
         array + (az * w->dim[1] + ay) * w->dim[2] + x0 + lo, hi - lo);
    }
}

bool slide_predict(const float *image, const DataShape *shape, const int64_t *dim, const int64_t *stride,
                   WindowFn fn, void *user, uint8_t *mask, char err[ERR_MAX]) {
  Windows w;
  windows_of(&w, shape, dim, stride);
  int64_t total = w.dim[0] * w.dim[1] * w.dim[2], patch = w.patch[0] * w.patch[1] * w.patch[2];
  int64_t classes = shape->classes > 1 ? shape->classes : 2;
  float *in = malloc((size_t)(patch * shape->channels) * sizeof *in);
  float *prob = malloc((size_t)(patch * classes) * sizeof *prob);
  float *sum = calloc((size_t)(total * classes), sizeof *sum);
  bool ok = in && prob && sum;
  if (!ok)
    err_set(err, "not enough memory for sliding-window inference over %lld elements", (long long)total);
  for (int64_t n = 0; ok && n < w.count[0] * w.count[1] * w.count[2]; n++) {
    int64_t at[3] = {start(&w, 0, n / (w.count[1] * w.count[2])), start(&w, 1, n / w.count[2] % w.count[1]),
                     start(&w, 2, n % w.count[2])};
    memset(in, 0, (size_t)(patch * shape->channels) * sizeof *in);
    for (int c = 0; c < shape->channels; c++)
      window_rows(&w, at, in + c * patch, (float *)(uintptr_t)image + c * total, row_read);
    ok = fn(user, in, prob, err);
    for (int64_t c = 0; ok && c < classes; c++)
      window_rows(&w, at, prob + c * patch, sum + c * total, row_add);
  }
  /* Every element's sums have the same count, so the largest sum is the largest mean. */
  for (int64_t i = 0; ok && i < total; i++) {
    int64_t best = 0;
    for (int64_t c = 1; c < classes; c++)
      if (sum[c * total + i] > sum[best * total + i]) best = c;
    mask[i] = (uint8_t)best;
  }
  free(in), free(prob), free(sum);
  return ok;
}
