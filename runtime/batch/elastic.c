/* elastic.c - smooth displacements by B-splines. */
#include <stdlib.h>
#include <string.h>
#include "runtime/batch/elastic.h"

enum { TAPS = 4 };

struct Elastic {
  int first;
  int64_t size[3], points[3], count; /* control points along each axis, and in all */
  double spacing;
  double (*weight[3])[TAPS]; /* per element along the axis: of its control points */
  int64_t *cell[3];          /* the first of these */
  double *control;           /* [axis][point] */
  double *line;              /* [axis][point along the last axis]: of one row */
  double *row;               /* [axis][element] */
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
  e->weight[a] = malloc((size_t)n * sizeof *e->weight[a]);
  e->cell[a] = malloc((size_t)n * sizeof *e->cell[a]);
  if (!e->weight[a] || !e->cell[a]) return false;
  for (int64_t o = 0; o < n; o++) {
    double place = (double)o / e->spacing;
    int64_t cell = a < e->first ? 0 : (int64_t)place;
    e->cell[a][o] = cell;
    if (a < e->first) e->weight[a][o][0] = 1;
    else spline(place - (double)cell, e->weight[a][o]);
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
    e->control = malloc(3 * (size_t)e->count * sizeof *e->control);
    e->line = malloc(3 * (size_t)e->points[2] * sizeof *e->line);
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

/* Sums over the first two axes: what is left is a spline along the row. */
static void row_line(const Elastic *e, int axis, int64_t o0, int64_t o1, double *line) {
  int64_t n = e->points[2];
  memset(line, 0, (size_t)n * sizeof *line);
  for (int i = 0; i < taps(e, 0); i++)
    for (int j = 0; j < taps(e, 1); j++) {
      double w = e->weight[0][o0][i] * e->weight[1][o1][j];
      int64_t at = (e->cell[0][o0] + i) * e->points[1] + e->cell[1][o1] + j;
      const double *control = e->control + axis * e->count + at * n;
      for (int64_t k = 0; k < n; k++) line[k] += w * control[k];
    }
}

void elastic_row(Elastic *e, int64_t o0, int64_t o1, const double *u[3]) {
  int64_t width = e->size[2];
  for (int a = 0; a < 3; a++) {
    double *row = e->row + a * width, *line = e->line + a * e->points[2];
    u[a] = row;
    if (a < e->first) continue;
    row_line(e, a, o0, o1, line);
    for (int64_t x = 0; x < width; x++) {
      const double *w = e->weight[2][x], *p = line + e->cell[2][x];
      row[x] = w[0] * p[0] + w[1] * p[1] + w[2] * p[2] + w[3] * p[3];
    }
  }
}
