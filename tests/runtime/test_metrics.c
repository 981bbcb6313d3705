/* test_metrics.c - metrics, distance transforms and mask clean-up against the golden values of the
 * specification and brute force. */
#include <math.h>
#include <string.h>
#include "tests/metrics/pairs.h"
#include "tests/test.h"
#include "tests/text.h"
#include "runtime/data/data.h"
#include "runtime/image/edt.h"
#include "runtime/metrics/area.h"
#include "runtime/metrics/metrics.h"
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

/* All metrics of class 1 in 2-D. */
static Metrics of_plane(const uint8_t *pred, const uint8_t *truth, int64_t h, int64_t w, EmptyRule empty) {
  const int64_t dim[2] = {h, w};
  MaskPair pair = {pred, truth, 2, dim, unit};
  MetricOptions o = {.metrics = (1u << METRIC_COUNT) - 1, .tolerance = 1, .empty = empty};
  Metrics m;
  assert_true(metrics_of(&pair, 1, &o, &m));
  return m;
}

TEST(metrics_have_the_golden_values) {
  uint8_t a[64], b[64];
  golden_masks(a, b);
  Metrics m = of_plane(a, b, 8, 8, EMPTY_ONE);
  near(m.value[METRIC_di], 0.5, 1e-9), near(m.value[METRIC_ja], 1 / 3., 1e-9),
      near(m.value[METRIC_voe], 2 / 3., 1e-9);
  near(m.value[METRIC_hd95], 2.0, 1e-9), near(m.value[METRIC_asd], 0.867851, 1e-6),
      near(m.value[METRIC_assd], 1.040942, 1e-6);
  near(m.value[METRIC_se], 9 / 20., 1e-9), near(m.value[METRIC_sp], 37 / 44., 1e-9),
      near(m.value[METRIC_ac], 46 / 64., 1e-9);
  near(m.value[METRIC_rve], -4 / 20., 1e-9);
  m = of_plane(b, a, 8, 8, EMPTY_ONE);
  near(m.value[METRIC_asd], 1.189306, 1e-6), near(m.value[METRIC_assd], 1.040942, 1e-6);
  near(m.value[METRIC_rve], 4 / 16., 1e-9);
}

/* Squares of 4 x 4, one a step to the right: contours of four corners cut off (half a diagonal each) and
 * twelve straight pieces. Within no distance agree what lies on the common lines above and below: three
 * straight pieces each, and of either square a corner at which the other's contour is straight, above and
 * below. Within a step all agree. */
TEST(surface_dice_counts_lengths_within_the_tolerance) {
  uint8_t a[64] = {0}, b[64] = {0};
  const int64_t dim[2] = {8, 8};
  for (int i = 0; i < 16; i++) a[(2 + i / 4) * 8 + 2 + i % 4] = 1, b[(2 + i / 4) * 8 + 3 + i % 4] = 1;
  MaskPair pair = {a, b, 2, dim, unit};
  MetricOptions o = {.metrics = 1u << METRIC_nsd};
  Metrics m;
  assert_true(metrics_of(&pair, 1, &o, &m));
  near(m.value[METRIC_nsd], (6 + 2 * sqrt(0.5)) / (12 + 4 * sqrt(0.5)), 1e-12);
  assert_true(isnan(m.value[METRIC_di])); /* it was not asked for */
  o.tolerance = 1;
  assert_true(metrics_of(&pair, 1, &o, &m));
  near(m.value[METRIC_nsd], 1, 0);
}

/* A cuboid of a x b x c elements with spacing s. */
static double cuboid_area(const int64_t size[3], const double s[3]) {
  double area[AREA_CODES], sum = 0;
  surface_area_table(3, s, area);
  for (int64_t i = 0; i <= size[0]; i++)
    for (int64_t j = 0; j <= size[1]; j++)
      for (int64_t k = 0; k <= size[2]; k++) {
        unsigned code = 0;
        for (unsigned e = 0; e < 8; e++) {
          int64_t x = i + (e >> 2) - 1, y = j + (e >> 1 & 1) - 1, z = k + (e & 1) - 1;
          code |= (unsigned)(x >= 0 && x < size[0] && y >= 0 && y < size[1] && z >= 0 && z < size[2]) << e;
        }
        sum += area[code];
      }
  return sum;
}

/* Faces lose the rim of half an element to bevels, which cut off edges; bevels end at corners cut off. */
TEST(the_area_of_a_cuboid_is_that_of_its_faces_bevels_and_corners) {
  const int64_t size[3] = {3, 4, 6};
  const double s[3] = {0.7, 1.5, 2.25};
  double face = 0, bevel = 0;
  for (int a = 0; a < 3; a++) {
    int b = (a + 1) % 3, c = (a + 2) % 3;
    face += 2 * (double)(size[b] - 1) * s[b] * (double)(size[c] - 1) * s[c];
    bevel += 4 * (double)(size[a] - 1) * s[a] * sqrt(s[b] * s[b] + s[c] * s[c]) / 2;
  }
  double x = s[1] * s[2], y = s[0] * s[2], z = s[0] * s[1], corner = sqrt(x * x + y * y + z * z) / 8;
  near(cuboid_area(size, s), face + bevel + 8 * corner, 1e-9);
}

TEST(empty_masks_have_the_agreed_values) {
  uint8_t none[64] = {0}, some[64];
  golden_masks(some, none);
  memset(none, 0, sizeof none);
  Metrics m = of_plane(none, none, 8, 8, EMPTY_ONE);
  near(m.value[METRIC_di], 1, 0), near(m.value[METRIC_ja], 1, 0), near(m.value[METRIC_voe], 0, 0);
  near(m.value[METRIC_se], 1, 0), near(m.value[METRIC_nsd], 1, 0), near(m.value[METRIC_rve], 0, 0);
  assert_true(isnan(m.value[METRIC_asd]) && isnan(m.value[METRIC_hd95]));
  m = of_plane(none, some, 8, 8, EMPTY_ONE);
  near(m.value[METRIC_di], 0, 0), near(m.value[METRIC_se], 0, 0), near(m.value[METRIC_nsd], 0, 0);
  near(m.value[METRIC_rve], -1, 0);
  assert_true(isnan(m.value[METRIC_assd]));
  m = of_plane(some, none, 8, 8, EMPTY_ONE);
  near(m.value[METRIC_di], 0, 0), near(m.value[METRIC_se], 1, 0), near(m.value[METRIC_nsd], 0, 0);
  assert_true(isnan(m.value[METRIC_rve])); /* infinitely more */
}

TEST(a_class_that_the_truth_does_not_hold_can_be_left_out) {
  uint8_t none[64] = {0}, some[64], other[64];
  golden_masks(some, other);
  Metrics m = of_plane(some, none, 8, 8, EMPTY_SKIP);
  for (int k = 0; k < METRIC_COUNT; k++) assert_true(isnan(m.value[k]));
  assert_int_equal(m.pred, 16), assert_int_equal(m.truth, 0);
  Metrics usual = of_plane(none, some, 8, 8, EMPTY_ONE);
  m = of_plane(none, some, 8, 8, EMPTY_SKIP);
  near(m.value[METRIC_di], usual.value[METRIC_di], 0), near(m.value[METRIC_nsd], 0, 0);
}

/* Without agreed values a metric is NaN just where the table says that it is undefined. */
TEST(the_table_says_where_metrics_are_undefined) {
  enum { N = 4 };
  for (int p = 0; p < 3; p++)
    for (int t = 0; t < 4; t++) { /* none, one, all elements; t = 3: all ignored */
      static const int count[4] = {0, 1, N, 0};
      uint8_t pred[N] = {0}, truth[N] = {0};
      memset(pred, 1, (size_t)count[p]), memset(truth, t == 3 ? CLASS_IGNORE : 1, t == 3 ? N : count[t]);
      Metrics m = of_plane(pred, truth, 2, 2, EMPTY_NAN);
      bool no_pred = p == 0 || t == 3, no_truth = t == 0 || t == 3;
      for (int k = 0; k < METRIC_COUNT; k++) {
        bool undefined[] = {[ALL_IGNORED] = t == 3,
                            [BOTH_EMPTY] = no_pred && no_truth,
                            [TRUTH_EMPTY] = no_truth,
                            [TRUTH_EVERYWHERE] = t >= 2,
                            [ANY_EMPTY] = no_pred || no_truth};
        if (isnan(m.value[k]) != undefined[metric_info[k].undefined])
          fail_msg("%s is %g with masks %d, %d", metric_info[k].column, m.value[k], p, t);
      }
    }
}

/* What the truth ignores may be predicted or not; elements that are left over are counted alone, and surfaces
 * are those of the masks without it. */
TEST(ignored_elements_take_no_part) {
  uint8_t a[64], b[64], holes[64];
  golden_masks(a, b);
  for (int i = 0; i < 64; i++) holes[i] = i % 8 == 3 ? CLASS_IGNORE : b[i];
  Metrics m = of_plane(a, holes, 8, 8, EMPTY_ONE);
  for (int i = 3; i < 64; i += 8) a[i] ^= 1;
  Metrics flipped = of_plane(a, holes, 8, 8, EMPTY_ONE);
  assert_memory_equal(&m, &flipped, sizeof m);
  for (int i = 3; i < 64; i += 8) a[i] = b[i] = 0;
  Metrics zeroed = of_plane(a, b, 8, 8, EMPTY_ONE);
  near(m.value[METRIC_ac], 1 - 15 / 56., 1e-12); /* 12 and 15, 6 in common, among 56 */
  near(m.value[METRIC_sp], (56 - 15 - 6) / (56 - 15.), 1e-12);
  for (int k = 0; k < METRIC_COUNT; k++)
    if (k != METRIC_ac && k != METRIC_sp) near(m.value[k], zeroed.value[k], 0);
}

/* tests/metrics/pairs.csv: numbers of MedPy and surface-distance for random pairs, written by
 * tests/metrics/compare.py. */
TEST(metrics_are_those_of_other_programs) {
  FILE *f = fopen("tests/metrics/pairs.csv", "r");
  char line[512];
  int pairs = 0;
  assert_non_null(f);
  assert_non_null(fgets(line, sizeof line, f));
  for (; fgets(line, sizeof line, f); pairs++) {
    static RandomPair p;
    char *at = line;
    pair_make(&p, (uint32_t)strtoul(at, &at, 10));
    MaskPair pair = {p.mask[0], p.mask[1], p.spatial, p.dim, p.spacing};
    MetricOptions o = {.metrics = (1u << METRIC_COUNT) - 1, .tolerance = p.tolerance, .empty = EMPTY_NAN};
    Metrics m;
    assert_true(metrics_of(&pair, 1, &o, &m));
    for (int k = 0; k < METRIC_COUNT; k++) {
      assert_int_equal(*at, ',');
      double want = strtod(at + 1, &at);
      if (isnan(want) ? !isnan(m.value[k]) : !(fabs(m.value[k] - want) < 1e-9))
        fail_msg("pair %d: %s is %.12g, expected %.12g", pairs, metric_info[k].column, m.value[k], want);
    }
  }
  assert_int_equal(pairs, 60);
  fclose(f);
}

TEST(metrics_are_asked_for_by_name_or_column) {
  char err[ERR_MAX];
  uint32_t set;
  assert_true(metrics_named("di,95HD,Nsd", &set, err));
  assert_int_equal(set, 1u << METRIC_di | 1u << METRIC_hd95 | 1u << METRIC_nsd);
  assert_true(metrics_want(&(MetricOptions){.metrics = set}, AREAS));
  assert_true(metrics_named("all", &set, err));
  assert_int_equal(set, (1u << METRIC_COUNT) - 1);
  assert_false(metrics_named("di,,ja", &set, err) || metrics_named("", &set, err));
  assert_false(metrics_named("di,dice", &set, err));
  assert_non_null(strstr(err, "no metric `dice`; there are di, ja,"));
  assert_int_equal(metrics_wanted(&(MetricOptions){0}), (1u << 9) - 1);
  assert_false(metrics_want(&(MetricOptions){0}, AREAS));
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
  static const char *const better[] = {[HIGHER] = "higher", [LOWER] = "lower", [NEARER] = "nearer 0"};
  static const char *const undefined[] = {[ALL_IGNORED] = "all is ignored",
                                          [BOTH_EMPTY] = "both masks are empty",
                                          [TRUTH_EMPTY] = "the truth is empty",
                                          [TRUTH_EVERYWHERE] = "the truth is everywhere",
                                          [ANY_EMPTY] = "a mask is empty"};
  char *text = read_text("docs/cli.md"), row[256];
  assert_non_null(text);
  for (int i = 0; i < METRIC_COUNT; i++) {
    const MetricInfo *m = &metric_info[i];
    snprintf(row, sizeof row, "| %s | %s | %s | %s | %g |\n", m->column, m->meaning, better[m->better],
             undefined[m->undefined], m->agreed);
    if (!strstr(text, row)) fail_msg("docs/cli.md lacks the row %s", row);
  }
  free(text);
}

RUN_TESTS(NULL, NULL)
