/* filter.c - blur and low resolution of a plane: along one axis after the other. */
#include <math.h>
#include <string.h>
#include "runtime/base/clones.h"
#include "runtime/batch/change.h"

enum { RADIUS = 40 }; /* 4 sigma of the largest deviation, ir/augment.def */

/* A plane as it looks along an axis: `blocks` blocks of n rows, each of `inner` elements that lie together.
 * */
typedef struct {
  int64_t blocks, n, inner;
} Along;

static Along along(const int64_t size[3], int axis) {
  Along l = {1, size[axis], 1};
  for (int a = 0; a < axis; a++) l.blocks *= size[a];
  for (int a = axis + 1; a < 3; a++) l.inner *= size[a];
  return l;
}

/* 0..n-1, there and back: .. 1 0 0 1 .. n-1 n-1 n-2 .. */
static int64_t mirrored(int64_t i, int64_t n) {
  int64_t k = i % (2 * n);
  if (k < 0) k += 2 * n;
  return k < n ? k : 2 * n - 1 - k;
}

static int gaussian(double sigma, float weight[2 * RADIUS + 1]) {
  int r = (int)ceil(4 * sigma);
  double w[2 * RADIUS + 1], sum = 0;
  if (r > RADIUS) r = RADIUS;
  for (int i = -r; i <= r; i++) sum += w[r + i] = exp(-0.5 * i * i / (sigma * sigma));
  for (int i = 0; i <= 2 * r; i++) weight[i] = (float)(w[i] / sum);
  return r;
}

enum { MANY = 16 };
typedef float Many __attribute__((vector_size(MANY * sizeof(float)), aligned(sizeof(float)), may_alias));

/* to = the sum of weight[j] x row j, which begins at from + at[j]. A few elements at a time stay in registers
 * while all rows are added to them; the last few of a row overlap those before. */
CLONED static void weighted_rows(float *restrict to, const float *restrict from, const int64_t *at,
                                 const float *weight, int rows, int64_t width) {
  for (int64_t begin = 0; width >= MANY && begin < width; begin += MANY) {
    begin = begin + MANY > width ? width - MANY : begin;
    Many sum = weight[0] * *(const Many *)(from + at[0] + begin);
    for (int j = 1; j < rows; j++) sum += weight[j] * *(const Many *)(from + at[j] + begin);
    *(Many *)(to + begin) = sum;
  }
  for (int64_t x = 0; width < MANY && x < width; x++) {
    float sum = weight[0] * from[at[0] + x];
    for (int j = 1; j < rows; j++) sum += weight[j] * from[at[j] + x];
    to[x] = sum;
  }
}

static void blur_rows(float *block, const Along *l, const float *weight, int r, float *scratch) {
  int64_t at[2 * RADIUS + 1];
  memcpy(scratch, block, (size_t)(l->n * l->inner) * sizeof *block);
  for (int64_t i = 0; i < l->n; i++) {
    for (int j = -r; j <= r; j++) at[r + j] = mirrored(i + j, l->n) * l->inner;
    weighted_rows(block + i * l->inner, scratch, at, weight, 2 * r + 1, l->inner);
  }
}

/* Along the last axis: neighbours lie beside each other once the row has its rim. */
static void blur_line(float *line, int64_t n, const float *weight, int r, float *scratch) {
  int64_t at[2 * RADIUS + 1];
  memcpy(scratch + r, line, (size_t)n * sizeof *line);
  for (int64_t x = 0; x < r; x++)
    scratch[x] = line[mirrored(x - r, n)], scratch[r + n + x] = line[mirrored(n + x, n)];
  for (int j = 0; j <= 2 * r; j++) at[j] = j;
  weighted_rows(line, scratch, at, weight, 2 * r + 1, n);
}

void plane_blur(float *plane, const int64_t size[3], const double sigma[3], float *scratch) {
  float weight[2 * RADIUS + 1];
  for (int a = 0; a < 3; a++) {
    Along l = along(size, a);
    if (l.n == 1 || sigma[a] <= 0) continue;
    int r = gaussian(sigma[a], weight);
    for (int64_t b = 0; b < l.blocks; b++)
      if (l.inner > 1) blur_rows(plane + b * l.n * l.inner, &l, weight, r, scratch);
      else blur_line(plane + b * l.n, l.n, weight, r, scratch);
  }
}

/* A row between two others. */
typedef struct {
  int64_t at[2];
  float weight[2];
} Pair;

/* Row i of n as linear between the rows that `coarse` rows, the nearest to their centres, stand for. */
static Pair coarse_pair(int64_t i, int64_t n, int64_t coarse, int64_t inner) {
  double place = ((double)i + 0.5) * (double)coarse / (double)n - 0.5, last = (double)(coarse - 1);
  place = place < 0 ? 0 : place > last ? last : place;
  int64_t p = (int64_t)place, q = p + 1 < coarse ? p + 1 : p;
  float part = (float)(place - (double)p);
  int64_t lo = (2 * p + 1) * n / (2 * coarse), hi = (2 * q + 1) * n / (2 * coarse);
  return (Pair){{lo * inner, hi * inner}, {1 - part, part}};
}

static void coarsen_axis(float *plane, const Along *l, int64_t coarse, const float *copy) {
  enum { TOGETHER = 64 };
  Pair pair[TOGETHER];
  for (int64_t begin = 0; begin < l->n; begin += TOGETHER) {
    int64_t many = l->n - begin < TOGETHER ? l->n - begin : TOGETHER;
    for (int64_t i = 0; i < many; i++) pair[i] = coarse_pair(begin + i, l->n, coarse, l->inner);
    for (int64_t b = 0; b < l->blocks; b++) {
      const float *from = copy + b * l->n * l->inner;
      float *to = plane + (b * l->n + begin) * l->inner;
      for (int64_t i = 0; i < many; i++)
        if (l->inner > 1) weighted_rows(to + i * l->inner, from, pair[i].at, pair[i].weight, 2, l->inner);
        else to[i] = pair[i].weight[0] * from[pair[i].at[0]] + pair[i].weight[1] * from[pair[i].at[1]];
    }
  }
}

void plane_coarsen(float *plane, const int64_t size[3], double factor, float *scratch) {
  for (int a = 0; a < 3; a++) {
    Along l = along(size, a);
    int64_t coarse = (int64_t)(factor * (double)l.n + 0.5);
    if (coarse < 1) coarse = 1;
    if (coarse >= l.n) continue;
    memcpy(scratch, plane, (size_t)(l.blocks * l.n * l.inner) * sizeof *plane);
    coarsen_axis(plane, &l, coarse, scratch);
  }
}
