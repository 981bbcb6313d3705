/* test_metrics.c - metrics, distance transforms and mask clean-up against the golden values of the
 * specification and brute force. */
#include <math.h>
#include <string.h>
#include "tests/test.h"
#include "tests/text.h"
#include "runtime/data/data.h"
#include "runtime/image/edt.h"
#include "runtime/eval/metrics.h"
#include "runtime/image/image.h"
#include "ir/philox.h"

static const double unit[3] = {1, 1, 1};

static void near(double got, double want, double tol) {
  if (!(fabs(got - want) <= tol)) fail_msg("got %.9g, expected %.9g", got, want);
}

/* 8x8: A = rows and columns 1-4, B = rows 2-6, columns 2-5. */
static void golden_masks(uint8_t a[64], uint8_t b[64]) {
  for (int y = 0; y < 8; y++)
    for (int x = 0; x < 8; x++) {
      a[y * 8 + x] = y >= 1 && y <= 4 && x >= 1 && x <= 4;
      b[y * 8 + x] = y >= 2 && y <= 6 && x >= 2 && x <= 5;
    }
}

TEST(metrics_have_the_golden_values) {
  uint8_t a[64], b[64];
  int64_t dim[2] = {8, 8};
  Metrics m;
  golden_masks(a, b);
  assert_true(metrics_of(a, b, 2, dim, unit, &m));
  near(m.value[METRIC_di], 0.5, 1e-9), near(m.value[METRIC_ja], 1 / 3., 1e-9),
      near(m.value[METRIC_voe], 2 / 3., 1e-9);
  near(m.value[METRIC_hd95], 2.0, 1e-9), near(m.value[METRIC_asd], 0.867851, 1e-6),
      near(m.value[METRIC_assd], 1.040942, 1e-6);
  near(m.value[METRIC_se], 9 / 20., 1e-9), near(m.value[METRIC_sp], 37 / 44., 1e-9),
      near(m.value[METRIC_ac], 46 / 64., 1e-9);
  assert_true(metrics_of(b, a, 2, dim, unit, &m));
  near(m.value[METRIC_asd], 1.189306, 1e-6), near(m.value[METRIC_assd], 1.040942, 1e-6);
}

TEST(empty_masks_have_the_agreed_values) {
  uint8_t a[64] = {0}, b[64];
  int64_t dim[2] = {8, 8};
  Metrics m;
  golden_masks(b, a);
  memset(a, 0, sizeof a);
  assert_true(metrics_of(a, a, 2, dim, unit, &m));
  near(m.value[METRIC_di], 1, 0);
  assert_true(isnan(m.value[METRIC_asd]) && isnan(m.value[METRIC_hd95]));
  assert_true(metrics_of(a, b, 2, dim, unit, &m));
  assert_true(m.value[METRIC_di] < 1e-9 && isnan(m.value[METRIC_assd]));
}

/* Random masks, anisotropic spacing, 2-D and 3-D: every distance against the nearest of all. */
TEST(distances_are_to_the_nearest_of_all) {
  for (int c = 0; c < 40; c++) {
    int spatial = 1 + c % 3;
    int64_t dim[3] = {3 + c % 5, 2 + c % 7, 1 + c % 4}, d3[3] = {1, 1, 1}, n = 1;
    double spacing[3] = {0.7, 1.5, 2.25}, out[512], s3[3] = {1, 1, 1};
    uint8_t mask[512];
    for (int i = 0; i < spatial; i++)
      n *= dim[i], d3[3 - spatial + i] = dim[i], s3[3 - spatial + i] = spacing[i];
    for (int64_t i = 0; i < n; i++) mask[i] = philox_uniform(7, (uint64_t)c, 1, (uint64_t)i) < 0.12f;
    assert_true(edt_squared(mask, spatial, dim, spacing, out));
    for (int64_t i = 0; i < n; i++) {
      double best = INFINITY;
      for (int64_t j = 0; j < n; j++) {
        if (!mask[j]) continue;
        double dz = (double)(i / (d3[1] * d3[2]) - j / (d3[1] * d3[2])) * s3[0];
        double dy = (double)(i / d3[2] % d3[1] - j / d3[2] % d3[1]) * s3[1],
               dx = (double)(i % d3[2] - j % d3[2]) * s3[2];
        best = fmin(best, dz * dz + dy * dy + dx * dx);
      }
      if (isinf(best)) assert_true(isinf(out[i]));
      else near(out[i], best, 1e-9);
    }
  }
}

TEST(a_signed_distance_map_is_normalised_on_both_sides) {
  uint8_t mask[49] = {0};
  float g[49];
  int64_t dim[2] = {7, 7};
  for (int y = 2; y < 5; y++)
    for (int x = 2; x < 5; x++) mask[y * 7 + x] = 1;
  assert_true(sdf_map(mask, 2, dim, g));
  const double row[7] = {0.70711, 0.35355, 0, -1, 0, 0.35355, 0.70711};
  near(g[0], 1, 1e-6);
  for (int x = 0; x < 7; x++) near(g[3 * 7 + x], row[x], 1e-5);
  memset(mask, 1, sizeof mask);
  assert_true(sdf_map(mask, 2, dim, g));
  for (int i = 0; i < 49; i++) assert_true(isfinite(g[i]));
  memset(mask, 0, sizeof mask);
  assert_true(sdf_map(mask, 2, dim, g));
  for (int i = 0; i < 49; i++) near(g[i], 0, 0);
}

TEST(holes_are_filled_and_the_largest_component_kept) {
  static const char *const in[7] = {"#######", "#.....#", "#.###.#", "#.#.#.#",
                                    "#.###.#", "#.....#", "###.###"};
  uint8_t mask[49], ring[49];
  int64_t dim[2] = {7, 7};
  for (int i = 0; i < 49; i++) mask[i] = ring[i] = in[i / 7][i % 7] == '#';
  assert_true(fill_holes(mask, 2, dim));
  for (int i = 0; i < 49; i++)
    assert_int_equal(mask[i], i == 24 ? 1 : ring[i]); /* the corridor is open below */
  assert_true(largest_component(mask, 2, dim));
  assert_int_equal(mask[0], 1), assert_int_equal(mask[24], 0);
  uint8_t cube[27] = {0};
  int64_t d3[3] = {3, 3, 3};
  cube[0] = cube[13] = cube[26] = 1; /* a diagonal is one component */
  assert_true(largest_component(cube, 3, d3));
  assert_int_equal(cube[0] + cube[13] + cube[26], 3);
}

/* docs/cli.md has a row for every metric, as the table says. */
TEST(every_metric_is_described) {
  char *text = read_text("docs/cli.md"), row[256];
  assert_non_null(text);
  for (int i = 0; i < METRIC_COUNT; i++) {
    const MetricInfo *m = &metric_info[i];
    snprintf(row, sizeof row, "| %s | %s | %s | %s |\n", m->column, m->meaning,
             m->better == HIGHER ? "higher" : "lower", m->undefined == EMPTY ? "a mask is empty" : "never");
    if (!strstr(text, row)) fail_msg("docs/cli.md lacks the row %s", row);
  }
  free(text);
}

RUN_TESTS(NULL, NULL)
