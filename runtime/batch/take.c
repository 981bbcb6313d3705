/* take.c - taking samples row by row. A row of whole places is a copy, at some stride; of any other row first
 * all places are computed, and then every channel and the label go by them, in loops that are vector code.
 *
 * Every product and every sum of a place is rounded one by one and in the order of codegen/abi.h, so that a
 * device, which computes the same places, has the same bits. */
#include <stdlib.h>
#include <string.h>
#include "runtime/base/clones.h"
#include "runtime/batch/take.h"

enum { EDGES = 4 }; /* of a cube along its last axis */

/* Per element of a row. Numbers of elements are doubles: whole and exact, and of the width of the places. */
struct Rows {
  double *label;      /* number of the nearest element */
  double *beyond;     /* not 0: that is none, the place lies beyond the image */
  double *corner;     /* number of the element before the place, along every axis */
  double *part[3];    /* the way from it to the next along the axis, from 0 to 1 */
  double *at[3];      /* the place */
  float *edge[EDGES]; /* the two ends of each edge of the cube from the corner to the next elements */
};

Rows *rows_new(int64_t width) {
  Rows *r = calloc(1, sizeof *r);
  bool ok = r;
  size_t n = (size_t)width;
  if (ok) r->label = malloc(n * sizeof *r->label), r->beyond = malloc(n * sizeof *r->beyond);
  if (ok) r->corner = malloc(n * sizeof *r->corner);
  for (int a = 0; ok && a < 3; a++) {
    r->part[a] = malloc(n * sizeof *r->part[a]), r->at[a] = malloc(n * sizeof *r->at[a]);
    ok = r->part[a] && r->at[a];
  }
  for (int k = 0; ok && k < EDGES; k++) ok = (r->edge[k] = malloc(2 * n * sizeof *r->edge[k])) != NULL;
  if (ok && r->label && r->beyond && r->corner) return r;
  rows_free(r);
  return NULL;
}

void rows_free(Rows *r) {
  if (!r) return;
  for (int a = 0; a < 3; a++) free(r->part[a]), free(r->at[a]);
  for (int k = 0; k < EDGES; k++) free(r->edge[k]);
  free(r->label), free(r->beyond), free(r->corner), free(r);
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
  else if (r->step == -1)
    for (; x < r->hi; x++) to[x] = from[r->begin - x] + 0.0f;
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

/* at = start + scale * (from + by[2] x + by . u) of axis a, for every x; u: displacements, or NULL. */
CLONED static void places(const View *v, int a, double from, const double *const u[3], double *restrict at) {
  double start = v->of.axis[a].start, scale = v->of.axis[a].scale, step = v->of.axis[a].by[2];
  int64_t width = v->size[2];
  for (int64_t x = 0; x < width; x++) at[x] = from + step * (double)(int32_t)x;
  for (int b = v->first; u[2] && b < 3; b++) {
    const double by = v->of.axis[a].by[b], *restrict moved = u[b];
    for (int64_t x = 0; x < width; x++) at[x] += by * moved[x];
  }
  for (int64_t x = 0; x < width; x++) at[x] = start + scale * at[x];
}

/* What lies at the places of one axis, added to what lies at those of the others. Before the first and behind
 * the last element the place is theirs, where it is the image's at all; at the last element the way to it is
 * whole, so that there always is a next one. */
CLONED static void elements(const View *v, int a, int64_t stride, const double *restrict at,
                            double *restrict part, double *restrict corner, double *restrict label,
                            double *restrict beyond) {
  double last = (double)(v->dim[a] - 1), edge = last + 1, most = last < 1 ? 0 : last - 1;
  double apart = (double)stride;
  int64_t width = v->size[2];
  for (int64_t x = 0; x < width; x++) {
    double place = at[x] < 0 ? 0 : at[x];
    place = place > last ? last : place;
    double before = (double)(int32_t)place; /* rounded down, as it is not negative */
    before = before > most ? most : before;
    part[x] = place - before;
    corner[x] += before * apart;
    double near = at[x] + 0.5 < 0 ? 0 : at[x] + 0.5;
    near = near > last ? last : near;
    label[x] += (double)(int32_t)near * apart;
  }
  for (int64_t x = 0; x < width; x++) {
    double near = at[x] + 0.5;
    beyond[x] += near < 0 ? 1 : near >= edge ? 1 : 0;
  }
}

static void row_elements(const View *v, Elastic *e, int64_t o0, int64_t o1, Rows *r) {
  const double *u[3] = {NULL, NULL, NULL};
  int64_t width = v->size[2], stride = 1;
  if (e) elastic_row(e, o0, o1, u);
  for (int64_t x = 0; x < width; x++) r->label[x] = r->beyond[x] = r->corner[x] = 0;
  for (int a = 2; a >= v->first; stride *= v->dim[a], a--) {
    double from = v->of.axis[a].from;
    from += v->of.axis[a].by[0] * (double)o0;
    from += v->of.axis[a].by[1] * (double)o1;
    places(v, a, from, u, r->at[a]);
    elements(v, a, stride, r->at[a], r->part[a], r->corner, r->label, r->beyond);
  }
}

/* The ends of `edges` edges of each element's cube, edge k `off[k]` behind its corner; they lie beside each
 * other, if the image has more than one element along the last axis. */
static inline void edge_ends(const Rows *r, const float *from, const int64_t *off, int edges, int64_t width) {
  const double *restrict number = r->corner;
  float *restrict edge[EDGES] = {r->edge[0], r->edge[1], r->edge[2], r->edge[3]};
  for (int64_t x = 0; x < width; x++) {
    const float *corner = from + (int64_t)number[x];
    for (int k = 0; k < edges; k++) memcpy(edge[k] + 2 * x, corner + off[k], 2 * sizeof *corner);
  }
}

static void flat_edge_ends(const Rows *r, const float *from, const int64_t *off, int edges, int64_t width) {
  for (int64_t x = 0; x < width; x++)
    for (int k = 0; k < edges; k++)
      r->edge[k][2 * x] = r->edge[k][2 * x + 1] = from[off[k] + (int64_t)r->corner[x]];
}

CLONED static void between_8(const Rows *r, int64_t width, float *restrict to) {
  const double *part0 = r->part[0], *part1 = r->part[1], *part2 = r->part[2], *beyond = r->beyond;
  const float *p00 = r->edge[0], *p10 = r->edge[1], *p01 = r->edge[2], *p11 = r->edge[3];
  for (int64_t x = 0; x < width; x++) {
    double f0 = part0[x], f1 = part1[x], f2 = part2[x], g0 = 1 - f0, g1 = 1 - f1, g2 = 1 - f2;
    double sum = g0 * g1 * g2 * (double)p00[2 * x];
    sum += f0 * g1 * g2 * (double)p10[2 * x];
    sum += g0 * f1 * g2 * (double)p01[2 * x];
    sum += f0 * f1 * g2 * (double)p11[2 * x];
    sum += g0 * g1 * f2 * (double)p00[2 * x + 1];
    sum += f0 * g1 * f2 * (double)p10[2 * x + 1];
    sum += g0 * f1 * f2 * (double)p01[2 * x + 1];
    sum += f0 * f1 * f2 * (double)p11[2 * x + 1];
    float value = (float)(sum + 0); /* no -0 */
    to[x] = beyond[x] > 0 ? 0 : value;
  }
}

CLONED static void between_4(const Rows *r, int64_t width, float *restrict to) {
  const double *part1 = r->part[1], *part2 = r->part[2], *beyond = r->beyond;
  const float *p0 = r->edge[0], *p1 = r->edge[1];
  for (int64_t x = 0; x < width; x++) {
    double f1 = part1[x], f2 = part2[x], g1 = 1 - f1, g2 = 1 - f2;
    double sum = g1 * g2 * (double)p0[2 * x];
    sum += f1 * g2 * (double)p1[2 * x];
    sum += g1 * f2 * (double)p0[2 * x + 1];
    sum += f1 * f2 * (double)p1[2 * x + 1];
    float value = (float)(sum + 0); /* no -0 */
    to[x] = beyond[x] > 0 ? 0 : value;
  }
}

/* Edges in the order of between_8: the first axis fastest. */
static void blend_row(const View *v, const Rows *r, const float *from, float *to) {
  int64_t width = v->size[2];
  int64_t step1 = v->dim[1] > 1 ? v->dim[2] : 0, step0 = v->dim[0] > 1 ? v->dim[1] * v->dim[2] : 0;
  int64_t solid[4] = {0, step0, step1, step0 + step1}, flat[2] = {0, step1};
  bool three = v->first == 0;
  if (v->dim[2] == 1) flat_edge_ends(r, from, three ? solid : flat, three ? 4 : 2, width);
  else if (three) edge_ends(r, from, solid, 4, width);
  else edge_ends(r, from, flat, 2, width);
  if (three) between_8(r, width, to);
  else between_4(r, width, to);
}

static void nearest_labels(const Rows *r, int64_t width, const uint8_t *from, uint8_t *restrict to) {
  const double *label = r->label, *beyond = r->beyond;
  for (int64_t x = 0; x < width; x++) to[x] = (uint8_t)(from[(int64_t)label[x]] * (beyond[x] <= 0));
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
    else row_elements(v, e, o0, o1, r);
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
