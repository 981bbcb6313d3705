/* take.c - taking samples row by row. A row of whole places is a copy, at some stride; of any other row first
 * all places are computed, and then every channel and the label go by them.
 *
 * Every product and every sum of a place is rounded one by one and in the order of codegen/abi.h, so that a
 * device, which computes the same places, has the same bits. */
#include <stdlib.h>
#include "runtime/batch/take.h"

/* Per element of a row. */
struct Rows {
  int64_t *label;   /* number of the nearest element; -1: beyond the image */
  int64_t *corner;  /* number of the element before the place, along every axis */
  int64_t *step[3]; /* from there to the next along the axis, 0 where there is none */
  double *part[3];  /* the way to it, from 0 to 1 */
  double *at[3];    /* the place */
};

Rows *rows_new(int64_t width) {
  Rows *r = calloc(1, sizeof *r);
  bool ok = r;
  size_t n = (size_t)width;
  if (ok) r->label = malloc(n * sizeof *r->label), r->corner = malloc(n * sizeof *r->corner);
  for (int a = 0; ok && a < 3; a++) {
    r->step[a] = malloc(n * sizeof *r->step[a]), r->part[a] = malloc(n * sizeof *r->part[a]);
    r->at[a] = malloc(n * sizeof *r->at[a]);
    ok = r->step[a] && r->part[a] && r->at[a];
  }
  if (ok && r->label && r->corner) return r;
  rows_free(r);
  return NULL;
}

void rows_free(Rows *r) {
  if (!r) return;
  for (int a = 0; a < 3; a++) free(r->step[a]), free(r->part[a]), free(r->at[a]);
  free(r->label), free(r->corner), free(r);
}

static int64_t whole_below(double x) { /* floor, which is a call on machines before SSE 4.1 */
  int64_t i = (int64_t)x;
  return i - (x < (double)i);
}

/* ---- whole places ---- */

/* Elements lo to hi - 1 of a row lie in the image, the one at x at number begin + x step. */
typedef struct {
  int64_t lo, hi, begin, step;
} Run;

static Run run_of(const View *v, int64_t o0, int64_t o1) {
  Run r = {.hi = v->size[2]};
  int64_t stride = 1;
  for (int a = 2; a >= 0; a--, stride *= v->dim[a + 1]) {
    double from = v->of.axis[a].from;
    from += v->of.axis[a].by[0] * (double)o0;
    from += v->of.axis[a].by[1] * (double)o1;
    int64_t at = (int64_t)(v->of.axis[a].start + v->of.axis[a].scale * from);
    int64_t by = (int64_t)v->of.axis[a].by[2], dim = v->dim[a];
    int64_t lo = by > 0 ? -at : by < 0 ? at - dim + 1 : at < 0 || at >= dim ? r.hi : 0;
    int64_t hi = by > 0 ? dim - at : by < 0 ? at + 1 : r.hi;
    r.lo = lo > r.lo ? lo : r.lo, r.hi = hi < r.hi ? hi : r.hi;
    r.begin += at * stride, r.step += by * stride;
  }
  if (r.lo >= r.hi) r.lo = r.hi = v->size[2];
  return r;
}

static void copy_row(const Run *r, int64_t width, const float *from, float *to) {
  int64_t x = 0;
  for (; x < r->lo; x++) to[x] = 0;
  if (r->step == 1)
    for (; x < r->hi; x++) to[x] = from[r->begin + x] + 0.0f; /* no -0, as between elements */
  for (; x < r->hi; x++) to[x] = from[r->begin + x * r->step] + 0.0f;
  for (; x < width; x++) to[x] = 0;
}

static void copy_labels(const Run *r, int64_t width, const uint8_t *from, uint8_t *to) {
  int64_t x = 0;
  for (; x < r->lo; x++) to[x] = 0;
  for (; x < r->hi; x++) to[x] = from[r->begin + x * r->step];
  for (; x < width; x++) to[x] = 0;
}

/* ---- places between elements ---- */

static void row_places(const View *v, Elastic *e, int64_t o0, int64_t o1, Rows *r) {
  const double *u[3] = {NULL, NULL, NULL};
  int64_t width = v->size[2];
  if (e) elastic_row(e, o0, o1, u);
  for (int a = v->first; a < 3; a++) {
    double start = v->of.axis[a].start, scale = v->of.axis[a].scale, from = v->of.axis[a].from;
    const double *by = v->of.axis[a].by;
    double *at = r->at[a];
    from += by[0] * (double)o0;
    from += by[1] * (double)o1;
    for (int64_t x = 0; x < width; x++) at[x] = from + by[2] * (double)x;
    for (int b = v->first; e && b < 3; b++)
      for (int64_t x = 0; x < width; x++) at[x] += by[b] * u[b][x];
    for (int64_t x = 0; x < width; x++) at[x] = start + scale * at[x];
  }
}

/* What lies where: an element's place, clamped to the image, and whether it is the image's at all. */
static void row_elements(const View *v, Rows *r) {
  int64_t width = v->size[2], stride = 1;
  for (int64_t x = 0; x < width; x++) r->label[x] = r->corner[x] = 0;
  for (int a = 2; a >= v->first; stride *= v->dim[a], a--) {
    const double *at = r->at[a];
    int64_t last = v->dim[a] - 1;
    double edge = (double)v->dim[a];
    for (int64_t x = 0; x < width; x++) {
      double near = at[x] + 0.5;
      bool inside = near >= 0 && near < edge && r->label[x] >= 0;
      int64_t p = inside ? whole_below(at[x]) : 0;
      bool beyond = p < 0 || p >= last;
      r->label[x] = inside ? r->label[x] + whole_below(near) * stride : -1;
      r->part[a][x] = beyond || !inside ? 0 : at[x] - (double)p;
      r->step[a][x] = beyond || !inside ? 0 : stride;
      r->corner[x] += (p < 0 ? 0 : p > last ? last : p) * stride;
    }
  }
}

static float between_8(const float *p, const Rows *r, int64_t x) {
  int64_t s0 = r->step[0][x], s1 = r->step[1][x], s2 = r->step[2][x];
  double f0 = r->part[0][x], f1 = r->part[1][x], f2 = r->part[2][x];
  double g0 = 1 - f0, g1 = 1 - f1, g2 = 1 - f2;
  double sum = g0 * g1 * g2 * (double)p[0];
  sum += f0 * g1 * g2 * (double)p[s0];
  sum += g0 * f1 * g2 * (double)p[s1];
  sum += f0 * f1 * g2 * (double)p[s0 + s1];
  sum += g0 * g1 * f2 * (double)p[s2];
  sum += f0 * g1 * f2 * (double)p[s0 + s2];
  sum += g0 * f1 * f2 * (double)p[s1 + s2];
  sum += f0 * f1 * f2 * (double)p[s0 + s1 + s2];
  return (float)(sum + 0);
}

static float between_4(const float *p, const Rows *r, int64_t x) {
  int64_t s1 = r->step[1][x], s2 = r->step[2][x];
  double f1 = r->part[1][x], f2 = r->part[2][x], g1 = 1 - f1, g2 = 1 - f2;
  double sum = g1 * g2 * (double)p[0];
  sum += f1 * g2 * (double)p[s1];
  sum += g1 * f2 * (double)p[s2];
  sum += f1 * f2 * (double)p[s1 + s2];
  return (float)(sum + 0); /* no -0 */
}

static void blend_row(const View *v, const Rows *r, const float *from, float *to) {
  if (v->first == 0)
    for (int64_t x = 0; x < v->size[2]; x++)
      to[x] = r->label[x] < 0 ? 0 : between_8(from + r->corner[x], r, x);
  else
    for (int64_t x = 0; x < v->size[2]; x++)
      to[x] = r->label[x] < 0 ? 0 : between_4(from + r->corner[x], r, x);
}

static void nearest_labels(const Rows *r, int64_t width, const uint8_t *from, uint8_t *to) {
  for (int64_t x = 0; x < width; x++) to[x] = r->label[x] < 0 ? 0 : from[r->label[x]];
}

/* ---- samples ---- */

void take_sample(const View *v, Elastic *e, Rows *r, const float *image, int channels, float *planes,
                 const uint8_t *label, uint8_t *labels) {
  int64_t width = v->size[2], rows = v->size[0] * v->size[1], plane = v->dim[0] * v->dim[1] * v->dim[2];
  bool whole = v->whole && !e;
  for (int64_t row = 0; row < rows; row++) {
    int64_t o0 = row / v->size[1], o1 = row % v->size[1];
    Run run = {0};
    if (whole) run = run_of(v, o0, o1);
    else row_places(v, e, o0, o1, r), row_elements(v, r);
    for (int c = 0; image && c < channels; c++) {
      const float *from = image + c * plane;
      float *to = planes + (c * rows + row) * width;
      if (whole) copy_row(&run, width, from, to);
      else blend_row(v, r, from, to);
    }
    if (label && whole) copy_labels(&run, width, label, labels + row * width);
    else if (label) nearest_labels(r, width, label, labels + row * width);
  }
}
