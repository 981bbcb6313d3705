/* test_partial.c - cases whose masks tell some of the classes only: partial.list, what training sees of them,
 * and what is scored. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "tests/test.h"
#include "tests/scratch.h"
#include "tests/runtime/streams.h"
#include "runtime/batch/sampler.h"
#include "runtime/eval/regions.h"
#include "runtime/eval/results.h"
#include "runtime/io/picture.h"

static char err[ERR_MAX];
enum { SIDE = 8, PIXELS = SIDE * SIDE };

static const char *const names[] = {"background", "liver", "spleen", "left kidney"};
static const NetcLabelRule rules[] = {{0, -1, 0}, {1, -1, 1}, {2, -1, 2}, {3, -1, 3}, {255, -1, -1}};
static const Recipe recipe = {
    .orientation = "RAS", .nlabel = 5, .label = rules, .nclass = 4, .class_name = names};
static const DataShape shape = {
    .spatial = 2, .channels = 1, .size = {SIDE, SIDE}, .classes = 4, .recipe = &recipe};

/* a: liver in its upper half; b: liver and spleen; c: all of them. */
static void write_images(void) {
  static const char *const name[3] = {"a", "b", "c"};
  uint8_t image[PIXELS], mask[PIXELS];
  char path[64];
  mkdir(in_root("images"), 0777), mkdir(in_root("masks"), 0777);
  for (int k = 0; k < 3; k++) {
    for (int i = 0; i < PIXELS; i++) image[i] = (uint8_t)(i * 3), mask[i] = (uint8_t)(i / SIDE < 4 ? 1 : 0);
    for (int i = 40; k > 0 && i < 48; i++) mask[i] = 2;
    for (int i = 48; k > 1 && i < 56; i++) mask[i] = 3;
    snprintf(path, sizeof path, "images/%s.png", name[k]);
    assert_true(png_write_gray(in_root(path), image, SIDE, SIDE, err));
    snprintf(path, sizeof path, "masks/%s.png", name[k]);
    assert_true(png_write_gray(in_root(path), mask, SIDE, SIDE, err));
  }
}

static void write_list(const char *name, const char *text) {
  FILE *f = fopen(in_root(name), "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

static Dataset *open_with(const char *list, const SplitPlan *plan) {
  char spec[600];
  write_list("partial.list", list);
  snprintf(spec, sizeof spec, "folder:%s", root);
  return data_open_split(spec, &shape, plan, err);
}

static void refused(const char *list, const char *words) {
  Dataset *d = open_with(list, NULL);
  if (d) fail_msg("taken: %s", list);
  if (!strstr(err, words)) fail_msg("expected `%s` in: %s", words, err);
}

static const Item *item_of(const Dataset *d, const char *name) {
  for (int i = 0; i < d->nitem; i++)
    if (!strcmp(d->item[i].name, name)) return &d->item[i];
  fail_msg("no item %s", name);
  return NULL;
}

TEST(the_list_names_cases_and_the_classes_their_masks_tell) {
  write_images(), write_list("train.list", "a\nb\nc\n");
  Dataset *d = open_with("# drawn by two\na liver\n\nb, liver, spleen;\"left kidney\"\n", NULL);
  if (!d) fail_msg("%s", err);
  assert_int_equal(data_partial(d), 2);
  const uint8_t *a = item_of(d, "a")->only, *b = item_of(d, "b")->only;
  assert_true(only_has(a, 1) && !only_has(a, 2) && !only_has(a, 3));
  assert_true(only_has(b, 1) && only_has(b, 2) && only_has(b, 3));
  assert_null(item_of(d, "c")->only);
  assert_true(only_has(NULL, 3));
  data_close(d);
}

TEST(lines_that_mean_nothing_are_refused) {
  refused("a liver stomach\n", "partial.list:1: 'stomach' is no class of the module's `labels`");
  refused("a\n", "partial.list:1: no class is named that the mask of 'a' tells");
  refused("a liver\nb liver spleen\na spleen\n", "partial.list:3: 'a' is in the list twice");
  refused("nobody liver\n", "'nobody liver' is neither a case nor an image");
  Dataset *d =
      open_with("a stomach\n", &(SplitPlan){.any_class = true}); /* as netrun check without a module */
  if (!d) fail_msg("%s", err);
  assert_int_equal(data_partial(d), 1);
  data_close(d);
}

/* A list of training cases leaves b out; the others keep what was said of them. */
TEST(items_that_are_left_out_take_theirs_with_them) {
  write_list("train.list", "a\nc\n");
  Dataset *d = open_with("b liver spleen\nc liver spleen\n", NULL);
  if (!d) fail_msg("%s", err);
  assert_int_equal(d->nitem, 2);
  assert_int_equal(data_partial(d), 1);
  assert_true(item_of(d, "c")->only && !item_of(d, "a")->only);
  data_close(d);
  write_list("train.list", "a\nb\nc\n");
}

/* ---- what training sees ---- */

TEST(background_of_a_partial_mask_is_ignored_in_batches) {
  Dataset *d = open_with("a liver\nb liver, spleen\n", NULL);
  if (!d) fail_msg("%s", err);
  NetcStream stream = {.name = "s", .source = NETC_SRC_LABELED};
  Sampler *s = sampler_new(d, &stream, 0, 3, err);
  if (!s) fail_msg("%s", err);
  int32_t label[3 * PIXELS];
  const BatchField field = {NETC_FIELD_LABEL, 3, label};
  if (!sampler_batch(s, 0, &field, 1, err)) fail_msg("%s", err);
  int seen[3] = {0}; /* images whose background is known; not; those among them with a spleen */
  for (int k = 0; k < 3; k++) {
    const int32_t *l = label + k * PIXELS;
    bool whole = l[60] == 0;
    for (int i = 0; i < PIXELS; i++) {
      int row = i / SIDE, drawn = row < 4 ? 1 : row == 5 && l[40] == 2 ? 2 : row == 6 && whole ? 3 : 0;
      assert_int_equal(l[i], drawn ? drawn : whole ? 0 : -1);
    }
    seen[0] += whole, seen[1] += !whole, seen[2] += !whole && l[40] == 2;
  }
  assert_int_equal(seen[0], 1);
  assert_int_equal(seen[1], 2);
  assert_int_equal(seen[2], 1);
  sampler_free(s);
  Sample x; /* scores see the mask as it is */
  if (!data_load(d, 0, &x, err)) fail_msg("%s", err);
  assert_true(x.own_label[63] == 0 && x.label[63] == 0);
  sample_free(&x), data_close(d);
}

TEST(a_mask_with_a_class_that_its_line_does_not_name_is_an_error) {
  Dataset *d = open_with("b liver\n", NULL);
  if (!d) fail_msg("%s", err);
  NetcStream stream = {.name = "s", .source = NETC_SRC_LABELED};
  Sampler *s = sampler_new(d, &stream, 0, 3, err);
  if (!s) fail_msg("%s", err);
  int32_t label[3 * PIXELS];
  const BatchField field = {NETC_FIELD_LABEL, 3, label};
  assert_false(sampler_batch(s, 0, &field, 1, err));
  assert_non_null(strstr(err, "b: its mask has spleen, which "));
  sampler_free(s), data_close(d);
}

/* ---- what is scored ---- */

TEST(classes_that_a_mask_does_not_tell_are_left_out_of_its_scores) {
  Metrics m[4] = {0};
  const uint8_t only[32] = {1 << 1 | 1 << 3};
  for (int c = 1; c < 4; c++) m[c].value[METRIC_di] = 0.25 * c, m[c].truth = 10, m[c].pred = 5;
  leave_out(m, NULL, 4, NULL); /* all are told */
  assert_true(m[2].truth == 10 && !m[2].left_out);
  leave_out(m, NULL, 4, only);
  assert_true(m[2].left_out && isnan(m[2].value[METRIC_di]) && m[2].truth == 0);
  assert_true(!m[1].left_out && m[1].value[METRIC_di] == 0.25 && m[3].truth == 10);
  assert_true(m[0].value[METRIC_di] == 0.5 && m[0].truth == 20);
  Results r = {.classes = 4, .cases = 1};
  assert_true(results_add(&r, "x", 0, m, err));
  assert_int_equal(results_untold(&r, 2), 1);
  assert_int_equal(results_untold(&r, 1), 0);
  assert_int_equal(results_without(&r, 2), 0);
  results_free(&r);
}

/* A region of which one class is not told is not told. */
TEST(regions_are_told_where_all_of_their_classes_are) {
  static const NetcRegion regions[] = {{"all", 2, 0}, {"first", 1, 0}};
  const NetcPrepare p = {.regions = regions, .members = (uint8_t[]){0, 3, 1}, .nclasses = 3, .nregions = 2};
  Metrics m[3] = {0};
  leave_out(m, &p, 3, (const uint8_t[32]){1 << 1});
  assert_true(m[1].left_out && !m[2].left_out);
}

RUN_TESTS(scratch_set_up, scratch_tear_down)
