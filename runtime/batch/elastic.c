/* elastic.c - smooth displacements by B-splines. */
#include <stdlib.h>
#include <string.h>
#include "runtime/base/clones.h"
#include "runtime/batch/elastic.h"

enum { TAPS = 4, MANY = 8 };

struct Elastic {
  int first;
  int64_t size[3], points[3], count; /* control points along each axis, and in all */
  double spacing;
  double *weight[3]; /* [tap][element along the axis]: of its control points */
  int64_t *cell[3];  /* the first of these */
  double *control;   /* [axis][point], and MANY more */
  double *line;      /* [axis][point along the last axis]: of one row; and MANY more */
  double *row;       /* [axis][element] */
};

static int taps(const Elastic *e, int axis) { return axis < e->first ? 1 : TAPS; }

/* The four cubic B-splines that reach a place t of the way from its control point to the next. */
static void spline(double t, double w[TAPS]) {
  double s = 1 - t;
  w[0] = s * s * s / 6;
  w[1] = (3 * t * t * t - 6 * t * t + 4) / 6;
  w[2] = (3 * s * s * s - 6 * s * s + 4) / 6;
  w[3] = t * t * t / 6;
}

static bool weigh(Elastic *e, int a) {
  int64_t n = e->size[a];
  e->weight[a] = malloc(TAPS * (size_t)n * sizeof *e->weight[a]);
  e->cell[a] = malloc((size_t)n * sizeof *e->cell[a]);
  if (!e->weight[a] || !e->cell[a]) return false;
  for (int64_t o = 0; o < n; o++) {
    double place = (double)o / e->spacing, w[TAPS] = {1};
    int64_t cell = a < e->first ? 0 : (int64_t)place;
    e->cell[a][o] = cell;
    if (a >= e->first) spline(place - (double)cell, w);
    for (int k = 0; k < TAPS; k++) e->weight[a][k * n + o] = w[k];
  }
  e->points[a] = e->cell[a][n - 1] + taps(e, a);
  return true;
}

Elastic *elastic_new(int first, const int64_t size[3], double spacing) {
  Elastic *e = calloc(1, sizeof *e);
  if (!e) return NULL;
  e->first = first, e->spacing = spacing, e->count = 1;
  memcpy(e->size, size, sizeof e->size);
  bool ok = true;
  for (int a = 0; ok && a < 3; a++) ok = weigh(e, a), e->count *= ok ? e->points[a] : 1;
  if (ok) {
    e->control = calloc(3 * (size_t)e->count + MANY, sizeof *e->control);
    e->line = calloc(3 * (size_t)e->points[2] + MANY, sizeof *e->line);
    e->row = calloc(3 * (size_t)size[2], sizeof *e->row);
  }
  if (ok && e->control && e->line && e->row) return e;
  elastic_free(e);
  return NULL;
}

void elastic_free(Elastic *e) {
  if (!e) return;
  for (int a = 0; a < 3; a++) free(e->weight[a]), free(e->cell[a]);
  free(e->control), free(e->line), free(e->row), free(e);
}

void elastic_draw(Elastic *e, const Step *s, const Chance *d) {
  double most = s->a->value[0] * e->spacing * chance_step(d, s, DRAW_VALUE);
  uint64_t site = step_site(s) + 128, n = (uint64_t)(3 * e->count);
  for (uint64_t i = 0; i < n; i++)
    e->control[i] = between(-most, most, chance_at(d, site, d->sample * n + i));
}

/* Sums over the first two axes: what is left is a spline along the row. Beyond its last point, up to a
 * multiple of MANY, the line has numbers without a meaning. */
CLONED static void row_line(const Elastic *e, int axis, int64_t o0, int64_t o1, double *line) {
  int64_t n = e->points[2];
  const double *control[TAPS * TAPS];
  double w[TAPS * TAPS];
  int many = 0;
  for (int i = 0; i < taps(e, 0); i++)
    for (int j = 0; j < taps(e, 1); j++, many++) {
      w[many] = e->weight[0][i * e->size[0] + o0] * e->weight[1][j * e->size[1] + o1];
      int64_t at = (e->cell[0][o0] + i) * e->points[1] + e->cell[1][o1] + j;
      control[many] = e->control + axis * e->count + at * n;
    }
  for (int64_t begin = 0; begin < n; begin += MANY) {
    double sum[MANY] = {0};
    for (int t = 0; t < many; t++)
      for (int k = 0; k < MANY; k++) sum[k] += w[t] * control[t][begin + k];
    for (int k = 0; k < MANY; k++) line[begin + k] = sum[k];
  }
}

/* Elements of a row between the same control points, from number begin to end - 1: p are theirs. */
static inline void row_cell(const double *restrict w, int64_t n, const double p[TAPS], int64_t begin,
                            int64_t end, double *restrict row) {
  double p0 = p[0], p1 = p[1], p2 = p[2], p3 = p[3];
  for (int64_t x = begin; x < end; x++)
    row[x] = w[x] * p0 + w[n + x] * p1 + w[2 * n + x] * p2 + w[3 * n + x] * p3;
}

CLONED static void row_spline(const Elastic *e, const double *line, double *row) {
  int64_t n = e->size[2];
  const int64_t *cell = e->cell[2];
  for (int64_t begin = 0, end; begin < n; begin = end) {
    for (end = begin + 1; end < n && cell[end] == cell[begin];) end++;
    row_cell(e->weight[2], n, line + cell[begin], begin, end, row);
  }
}

void elastic_row(Elastic *e, int64_t o0, int64_t o1, const double *u[3]) {
  for (int a = 0; a < 3; a++) {
    double *row = e->row + a * e->size[2], *line = e->line + a * e->points[2];
    u[a] = row;
    if (a < e->first) continue;
    row_line(e, a, o0, o1, line);
    row_spline(e, line, row);
  }
}
