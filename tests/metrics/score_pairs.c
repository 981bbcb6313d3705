/* score_pairs.c - netrun's metrics of pairs of masks on stdin, for tests/metrics/compare.py: for each pair a
 * line `SPATIAL TOLERANCE DIM.. SPACING..`, the prediction and the truth, a byte per element; on stdout a
 * line of all metrics of class 1 in the order of the table, NaN where one is not defined. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "runtime/metrics/metrics.h"

static void fail(const char *why) {
  fprintf(stderr, "score_pairs: %s\n", why);
  exit(1);
}

static bool read_head(MaskPair *m, int64_t dim[3], double spacing[3], MetricOptions *o, int64_t *n) {
  int got = scanf("%d %lf", &m->spatial, &o->tolerance);
  if (got == EOF) return false;
  if (got != 2 || (m->spatial != 2 && m->spatial != 3)) fail("a line of numbers is expected");
  *n = 1;
  for (int a = 0; a < m->spatial; a++) {
    if (scanf("%" SCNd64, &dim[a]) != 1 || dim[a] < 1 || dim[a] > 4096) fail("a size is expected");
    *n *= dim[a];
  }
  for (int a = 0; a < m->spatial; a++)
    if (scanf("%lf", &spacing[a]) != 1) fail("a spacing is expected");
  if (getchar() != '\n') fail("the end of a line is expected");
  return true;
}

int main(void) {
  int64_t dim[3], n;
  double spacing[3];
  MaskPair m = {.dim = dim, .spacing = spacing};
  MetricOptions o = {.metrics = (1u << METRIC_COUNT) - 1, .empty = EMPTY_NAN};
  while (read_head(&m, dim, spacing, &o, &n)) {
    Metrics out;
    uint8_t *both = malloc((size_t)n * 2);
    if (!both || fread(both, 1, (size_t)n * 2, stdin) != (size_t)n * 2) fail("masks are missing");
    m.pred = both, m.truth = both + n;
    if (!metrics_of(&m, 1, &o, &out)) fail("no memory");
    for (int k = 0; k < METRIC_COUNT; k++) printf("%s%.17g", k ? " " : "", out.value[k]);
    putchar('\n');
    free(both);
  }
  return 0;
}
