/* slide.c - the loop over windows: planes along the axis that keeps fewest of them waiting, rows in tiles. */
#include <stdlib.h>
#include <string.h>
#include "runtime/predict/slide.h"

/* The axis whose unfinished planes are fewest elements comes first; then the longer one of the others, which
 * is cut in tiles. A function of extents alone. */
static void choose_axes(const Windows *w, int axis[3]) {
  int best = 0;
  for (int a = 1; a < 3; a++)
    if ((w->patch[a] + 1) * w->dim[best] < (w->patch[best] + 1) * w->dim[a]) best = a;
  int b = (best + 1) % 3, c = (best + 2) % 3;
  bool swap = w->dim[c] > w->dim[b];
  axis[0] = best, axis[1] = swap ? c : b, axis[2] = swap ? b : c;
}

typedef struct {
  const Slide *s;
  const Windows *w;
  Slab slab;
  float *sum, *window, *score;
  int64_t patch;       /* elements of a window */
  int64_t (*place)[3]; /* of the windows that wait, in padded coordinates */
  int64_t waiting, adding;
} Run;

static int64_t rows_at_most(const Windows *w, const int axis[3], int64_t tiles) {
  int64_t n = w->dim[axis[1]], rows = (n + tiles - 1) / tiles + 1;
  return rows < n ? rows : n;
}

static int64_t ring_of(const Windows *w, const int axis[3]) {
  int64_t n = w->dim[axis[0]], ring = w->patch[axis[0]] + 1;
  return ring < n ? ring : n;
}

int64_t slide_tiles(const Windows *w) {
  int axis[3];
  choose_axes(w, axis);
  return w->dim[axis[1]];
}

int64_t slide_bytes(const Slide *s) {
  const Windows *w = s->windows;
  int axis[3];
  choose_axes(w, axis);
  int64_t patch = w->patch[0] * w->patch[1] * w->patch[2];
  int64_t sums = s->classes * ring_of(w, axis) * rows_at_most(w, axis, s->tiles) * w->dim[axis[2]];
  return 4 * (sums + patch * s->batch * (s->channels + s->classes));
}

/* ---- adding what windows say ---- */

/* Class `task` of window `adding`. Loops run in the order of the sums; the window is read with strides. */
static void add_class(void *ctx, int64_t task) {
  Run *r = ctx;
  const Windows *w = r->w;
  const Slab *b = &r->slab;
  const int64_t element[3] = {w->patch[1] * w->patch[2], w->patch[2], 1};
  const float *from = r->score + (r->adding * b->classes + task) * r->patch;
  int64_t first[3], lo[3], hi[3];
  for (int i = 0; i < 3; i++) {
    int a = b->axis[i];
    int64_t begin = i == 1 ? b->lo : 0, end = i == 1 ? b->lo + b->rows : w->dim[a];
    first[i] = r->place[r->adding][a] - w->before[a];
    lo[i] = first[i] < begin ? begin - first[i] : 0;
    hi[i] = end - first[i] < w->patch[a] ? end - first[i] : w->patch[a];
  }
  int64_t step = element[b->axis[2]];
  const float *last = w->weight[b->axis[2]];
  for (int64_t i = lo[0]; i < hi[0]; i++)
    for (int64_t j = lo[1]; j < hi[1]; j++) {
      const float *row = from + i * element[b->axis[0]] + j * element[b->axis[1]];
      float weight = w->weight[b->axis[0]][i] * w->weight[b->axis[1]][j];
      float *to =
          r->sum +
          ((task * b->ring + (first[0] + i) % b->ring) * b->rows + first[1] + j - b->lo) * b->columns +
          first[2];
      for (int64_t k = lo[2]; k < hi[2]; k++) to[k] += weight * last[k] * row[k * step];
    }
}

static bool run_waiting(Run *r, char err[ERR_MAX]) {
  if (!r->waiting) return true;
  if (!r->s->run(r->s->user, r->window, r->waiting, r->score, err)) return false;
  for (r->adding = 0; r->adding < r->waiting; r->adding++)
    pool_run(r->s->pool, add_class, r, r->slab.classes);
  r->waiting = 0;
  return true;
}

static bool add_window(Run *r, const int64_t at[3], char err[ERR_MAX]) {
  const Slide *s = r->s;
  memcpy(r->place[r->waiting], at, sizeof *r->place);
  window_read(r->w, at, s->image, s->channels, r->window + r->waiting * s->channels * r->patch);
  return ++r->waiting < s->batch || run_waiting(r, err);
}

/* All windows of a row of them along axis[0] that reach the tile, by every model. */
static bool add_row(Run *r, int64_t start, char err[ERR_MAX]) {
  const Windows *w = r->w;
  const int *axis = r->slab.axis;
  for (int m = 0; m < r->s->models; m++) {
    if (r->s->models > 1 && !r->s->choose(r->s->user, m, err)) return false;
    for (int64_t i = 0; i < w->count[axis[1]]; i++)
      for (int64_t j = 0; j < w->count[axis[2]]; j++) {
        int64_t at[3], y = window_start(w, axis[1], i), from = y - w->before[axis[1]];
        at[axis[0]] = start, at[axis[1]] = y, at[axis[2]] = window_start(w, axis[2], j);
        if (from >= r->slab.lo + r->slab.rows || from + w->patch[axis[1]] <= r->slab.lo) continue;
        if (!add_window(r, at, err)) return false;
      }
    if (!run_waiting(r, err)) return false;
  }
  return true;
}

/* ---- planes that are finished ---- */

/* Sums to means, of plane `task / classes` after the first finished one. */
static void divide(void *ctx, int64_t task) {
  Run *r = ctx;
  const Slab *b = &r->slab;
  const Windows *w = r->w;
  int64_t a = b->from + task / b->classes, k = task % b->classes;
  float *plane = r->sum + (k * b->ring + a % b->ring) * b->rows * b->columns;
  float scale = 1 / (w->total[b->axis[0]][a] * (float)r->s->models);
  for (int64_t i = 0; i < b->rows; i++) {
    float row = scale / w->total[b->axis[1]][b->lo + i];
    for (int64_t j = 0; j < b->columns; j++) plane[i * b->columns + j] *= row / w->total[b->axis[2]][j];
  }
}

/* Planes below `end` are finished; those that will be used again but for the last are emptied. */
static void finish(Run *r, int64_t end) {
  Slab *b = &r->slab;
  if (end <= b->from) return;
  b->to = end;
  pool_run(r->s->pool, divide, r, (b->to - b->from) * b->classes);
  r->s->planes(r->s->user, b);
  int64_t first = b->from > 0 ? b->from - 1 : 0, plane = b->rows * b->columns;
  for (int64_t a = first; a < b->to - 1; a++)
    for (int64_t k = 0; k < b->classes; k++)
      memset(r->sum + (k * b->ring + a % b->ring) * plane, 0, (size_t)plane * sizeof *r->sum);
  b->from = b->to;
}

static bool run_tile(Run *r, char err[ERR_MAX]) {
  const Windows *w = r->w;
  Slab *b = &r->slab;
  int a = b->axis[0];
  b->from = b->to = 0;
  memset(r->sum, 0, (size_t)(b->classes * b->ring * b->rows * b->columns) * sizeof *r->sum);
  for (int64_t i = 0; i < w->count[a]; i++) {
    int64_t start = window_start(w, a, i);
    finish(r, start - w->before[a]);
    if (!add_row(r, start, err)) return false;
  }
  finish(r, w->dim[a]);
  return true;
}

bool slide(const Slide *s, char err[ERR_MAX]) {
  const Windows *w = s->windows;
  Run r = {.s = s, .w = w, .patch = w->patch[0] * w->patch[1] * w->patch[2]};
  Slab *b = &r.slab;
  choose_axes(w, b->axis);
  int64_t n = w->dim[b->axis[1]], most = rows_at_most(w, b->axis, s->tiles);
  b->ring = ring_of(w, b->axis), b->columns = w->dim[b->axis[2]], b->classes = s->classes;
  r.sum = malloc((size_t)(b->classes * b->ring * most * b->columns) * sizeof *r.sum);
  r.window = malloc((size_t)(r.patch * s->batch * s->channels) * sizeof *r.window);
  r.score = malloc((size_t)(r.patch * s->batch * s->classes) * sizeof *r.score);
  r.place = malloc((size_t)s->batch * sizeof *r.place);
  bool ok = r.sum && r.window && r.score && r.place;
  if (!ok) err_memory(err, "the sums over windows", slide_bytes(s));
  b->value = r.sum;
  int64_t step = (n + s->tiles - 1) / s->tiles;
  for (b->lo = 0; ok && b->lo < n; b->lo = b->hi) {
    b->hi = b->lo + step < n ? b->lo + step : n;
    b->rows = (b->hi < n ? b->hi + 1 : n) - b->lo;
    ok = run_tile(&r, err);
  }
  free(r.sum), free(r.window), free(r.score), free(r.place);
  return ok;
}
