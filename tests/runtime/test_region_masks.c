/* test_region_masks.c - masks whose bytes are bits of regions that overlap: decided, cleaned, scored, made
 * classes; with numbers done by hand. */
#include <math.h>
#include <string.h>
#include "tests/test.h"
#include "runtime/predict/predictor.h"
#include "runtime/eval/regions.h"
#include "runtime/predict/restore.h"
#include "runtime/eval/score.h"

static char err[ERR_MAX];

/* Classes core 1, oedema 2, enhancing 3; the whole holds all of them, the core 1 and 3. */
enum { WHOLE = 1, CORE = 2, ENHANCING = 4 };
static const char *const classes[] = {"background", "core", "oedema", "enhancing"};
static const NetcRegion regions[] = {{"whole", 2, 0}, {"core", 1, 0}, {"enhancing", 3, 0}};
static const uint8_t members[] = {0, WHOLE | CORE, WHOLE, WHOLE | CORE | ENHANCING};
static const NetcPrepare nested = {
    .classes = classes, .regions = regions, .members = members, .nclasses = 4, .nregions = 3};

TEST(a_statement_without_regions_has_none) {
  assert_null(regions_of(NULL));
  assert_null(regions_of(&(NetcPrepare){.nclasses = 2}));
  assert_ptr_equal(regions_of(&nested), &nested);
}

/* ---- deciding ---- */

TEST(an_element_lies_in_every_region_above_one_half) {
  /* three elements of three regions; 0.5 and NaN are not above it */
  const float scores[9] = {0.9f, 0.5f, NAN, 0.2f, 0.7f, 0.51f, 0.8f, 0, 1};
  uint8_t out[3];
  decide_all(&(Decision){3, true}, scores, 3, out);
  assert_int_equal(out[0], WHOLE | ENHANCING);
  assert_int_equal(out[1], CORE);
  assert_int_equal(out[2], CORE | ENHANCING);
}

TEST(the_class_of_an_element_is_the_first_of_the_largest) {
  const float scores[9] = {0.2f, 0.4f, -3, 0.5f, 0.4f, -2, 0.3f, 0.2f, -1};
  uint8_t out[3];
  decide_all(&(Decision){3, false}, scores, 3, out);
  assert_int_equal(out[0], 1);
  assert_int_equal(out[1], 0);
  assert_int_equal(out[2], 2);
}

/* Two planes at twice the file's distance: between them probabilities are the mean, what is cropped away lies
 * in no region. */
TEST(probabilities_are_mixed_before_they_decide) {
  Pool *pool = pool_new(1, err);
  assert_non_null(pool);
  const float value[4] = {0.9f, 0.3f, 0.2f, 0.6f}; /* region 0 at both places, region 1 */
  Grid g = grid_plain((int64_t[]){1, 1, 4}, NULL);
  Place place = place_same(&g);
  place.dim[2] = 2, place.from[2] = 0, place.step[2] = 0.5;
  place.crop_from[2] = 0, place.crop_dim[2] = 3;
  uint8_t mask[4] = {9, 9, 9, 9};
  float prob[8];
  Restore r;
  if (!restore_new(&r, &place, (Decision){2, true}, pool, err)) fail_msg("%s", err);
  r.mask = mask, r.prob = prob;
  restore_planes(&r, &(Slab){.axis = {0, 1, 2},
                             .to = 1,
                             .hi = 1,
                             .ring = 1,
                             .rows = 1,
                             .columns = 2,
                             .classes = 2,
                             .value = value});
  restore_rest(&r);
  static const uint8_t want[4] = {1, 1, 2, 0};
  assert_memory_equal(mask, want, 4);
  assert_true(fabsf(prob[1] - 0.6f) < 1e-6f && fabsf(prob[5] - 0.4f) < 1e-6f);
  assert_true(prob[3] == 0 && prob[7] == 0);
  restore_free(&r), pool_free(pool);
}

/* ---- classes ---- */

TEST(the_last_region_that_an_element_lies_in_decides_its_class) {
  uint8_t mask[8];
  for (int bits = 0; bits < 8; bits++) mask[bits] = (uint8_t)bits;
  answer_classes(mask, &nested, 8);
  static const uint8_t want[8] = {0, 2, 1, 1, 3, 3, 3, 3};
  assert_memory_equal(mask, want, 8);
  for (int c = 0; c < 4; c++) mask[c] = members[c];
  answer_classes(mask, &nested, 4);
  for (int c = 0; c < 4; c++) assert_int_equal(mask[c], c);
  answer_classes(mask, NULL, 4); /* classes stay classes */
  for (int c = 0; c < 4; c++) assert_int_equal(mask[c], c);
}

TEST(a_mask_of_classes_says_which_regions_an_element_lies_in) {
  uint8_t mask[5] = {0, 1, 2, 3, CLASS_IGNORE}, same[2] = {0, 3};
  answer_bits(mask, &nested, 5);
  static const uint8_t want[5] = {0, WHOLE | CORE, WHOLE, WHOLE | CORE | ENHANCING, 0};
  assert_memory_equal(mask, want, 5);
  answer_bits(same, NULL, 2);
  assert_true(same[0] == 0 && same[1] == 3);
}

/* The whole is told by its parts: alone it is no class, and hides none. */
TEST(a_region_without_a_class_leaves_what_earlier_ones_say) {
  static const NetcRegion of[] = {{"left", 1, 0}, {"both", -1, 0}};
  const NetcPrepare p = {.regions = of, .members = (uint8_t[]){0, 1, 3}, .nclasses = 3, .nregions = 2};
  uint8_t mask[4] = {0, 1, 2, 3};
  answer_classes(mask, &p, 4);
  static const uint8_t want[4] = {0, 1, 0, 1};
  assert_memory_equal(mask, want, 4);
}

/* ---- cleaning ---- */

TEST(each_region_is_cleaned_by_itself) {
  const Grid grid = grid_plain((int64_t[]){3, 6, 1}, NULL);
  uint8_t mask[18] = {1, 1, 1, 0, 0, 0, 1, 2, 1, 0, 3, 0, 1, 1, 1, 0, 0, 0}, was[18];
  memcpy(was, mask, sizeof was);
  assert_true(clean_answer(mask, &nested, 4, 2, &grid, &(Cleaning){.drop = 0}, err));
  assert_memory_equal(mask, was, sizeof was);
  /* the ring of the whole is filled, its speck goes, and of the two specks of the core the first stays */
  assert_true(clean_answer(mask, &nested, 4, 2, &grid, &(Cleaning){.largest = true, .fill = true}, err));
  static const uint8_t want[18] = {1, 1, 1, 0, 0, 0, 1, 3, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0};
  assert_memory_equal(mask, want, sizeof want);
}

/* ---- scoring ---- */

TEST(scores_are_of_each_region_and_their_mean) {
  const int64_t dim[2] = {2, 4};
  const double spacing[2] = {1, 1};
  /* the last element is to be ignored, whatever is predicted */
  const uint8_t truth[8] = {2, 2, 1, 3, 0, 0, 0, CLASS_IGNORE};
  const uint8_t pred[8] = {WHOLE, WHOLE, WHOLE | CORE, WHOLE | CORE, CORE, 0, 0, WHOLE | CORE | ENHANCING};
  const MaskPair pair = {pred, truth, 2, dim, spacing};
  Metrics m[4];
  assert_int_equal(scored_parts(&nested, 4), 4);
  assert_int_equal(scored_parts(NULL, 5), 5);
  if (!score_answer(&pair, &nested, 4, &(MetricOptions){0}, m, err)) fail_msg("%s", err);
  assert_true(m[1].value[METRIC_di] == 1 && m[1].pred == 4 && m[1].truth == 4);
  assert_true(fabs(m[2].value[METRIC_di] - 0.8) < 1e-12 && m[2].pred == 3 && m[2].truth == 2);
  assert_true(m[3].value[METRIC_di] == 0 && m[3].truth == 1);
  assert_true(fabs(m[0].value[METRIC_di] - 0.6) < 1e-12 && m[0].truth == 7);
}

TEST(without_regions_scores_are_those_of_classes) {
  const int64_t dim[2] = {2, 2};
  const double spacing[2] = {1, 1};
  const uint8_t truth[4] = {2, 1, 1, 0}, pred[4] = {2, 1, 0, 0};
  const MaskPair pair = {pred, truth, 2, dim, spacing};
  Metrics a[3], b[3];
  assert_true(score_answer(&pair, NULL, 3, &(MetricOptions){0}, a, err));
  assert_true(score_masks(&pair, 3, &(MetricOptions){0}, b, err));
  for (int c = 0; c < 3; c++) assert_true(a[c].value[METRIC_di] == b[c].value[METRIC_di]);
  assert_true(a[2].value[METRIC_di] == 1);
}

RUN_TESTS(NULL, NULL)
