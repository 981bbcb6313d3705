/* test_eval.c - predictions of the toy module, their scores and the table of eval: with numbers done by
 * hand. */
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tests/test.h"
#include "runtime/device/open.h"
#include "runtime/eval/eval.h"
#include "runtime/eval/score.h"
#include "runtime/base/file.h"

#include "tests/scratch.h"

enum { SIDE = 16, PIXELS = SIDE * SIDE };
static char err[ERR_MAX];

typedef struct {
  Module *module;
  Session *session;
  Predictor predictor;
} Toy;

/* The toy module with weight w and bias b: class 1 where w x + b > 0. */
static Toy toy_new(int threads, float w, float b) {
  Toy t = {.module = module_open(TEST_MODULES "/toy.so", err)};
  t.session = t.module ? session_new(t.module, threads, err) : NULL;
  if (!t.session || !predictor_new(&t.predictor, t.session, err)) fail_msg("%s", err);
  session_init(t.session, 0);
  float *weight = session_at(t.session, &t.module->desc->vars[0].array);
  weight[0] = w, weight[1] = b;
  return t;
}

static void toy_free(Toy *t) {
  predictor_free(&t->predictor);
  session_free(t->session);
  module_close(t->module);
}

TEST(every_pixel_is_predicted_as_the_toy_says) {
  Toy t = toy_new(2, 4, -2);
  assert_int_equal(t.predictor.shape.spatial, 2);
  assert_int_equal(t.predictor.shape.channels, 1);
  assert_int_equal(t.predictor.shape.classes, 2);
  assert_int_equal(t.predictor.patch, PIXELS);
  float image[3 * PIXELS];
  uint8_t mask[3 * PIXELS];
  for (int i = 0; i < 3 * PIXELS; i++) image[i] = (float)(i * 37 % 101) / 101;
  assert_true(predictor_slices(&t.predictor, image, 3, mask, err));
  for (int i = 0; i < 3 * PIXELS; i++) assert_int_equal(mask[i], image[i] > 0.5f);
  toy_free(&t);
}

/* A module without predict, and one whose predict gives a single channel. */
TEST(a_module_that_cannot_predict_is_refused) {
  Module *m = module_open(TEST_MODULES "/toy.so", err);
  assert_non_null(m);
  NetcModule desc = *m->desc;
  NetcFn fns[3];
  NetcArray out = m->desc->fns[2].outputs[0];
  Module other = {.desc = &desc, .path = m->path, .isa = m->isa};
  DataShape shape;
  memcpy(fns, desc.fns, sizeof fns);
  desc.fns = fns, desc.nfns = 2;
  assert_false(predictor_shape(&other, &shape, err));
  assert_non_null(strstr(err, "no predict function"));
  desc.nfns = 3, fns[2].outputs = &out, out.dim[1] = 1;
  assert_false(predictor_shape(&other, &shape, err));
  assert_non_null(strstr(err, "two or more classes"));
  out.dim[1] = 2, out.dim[3] = 8;
  assert_false(predictor_shape(&other, &shape, err));
  module_close(m);
}

/* ---- scores ---- */

/* Class 1 agrees, class 2 is missed: Dice (1 + 0) / 2; distances are those of class 1 alone. */
TEST(scores_are_of_each_class_and_their_mean) {
  const int64_t dim[2] = {4, 4};
  const double spacing[2] = {1, 1};
  const uint8_t truth[16] = {1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2};
  uint8_t pred[16];
  const MetricOptions usual = {0};
  Metrics m[3];
  memcpy(pred, truth, 16);
  pred[14] = pred[15] = 0;
  MaskPair pair = {pred, truth, 2, dim, spacing}, same = {truth, truth, 2, dim, spacing};
  assert_true(score_masks(&pair, 3, &usual, m, err));
  assert_true(m[0].value[METRIC_di] == 0.5 && m[0].value[METRIC_se] == 0.5 && m[0].value[METRIC_hd95] == 0);
  assert_true(m[1].value[METRIC_di] == 1 && m[2].value[METRIC_di] == 0 && isnan(m[2].value[METRIC_hd95]));
  assert_int_equal(m[0].truth, 6), assert_int_equal(m[0].pred, 4), assert_int_equal(m[2].truth, 2);
  assert_true(isnan(m[1].value[METRIC_rve])); /* it was not asked for */
  assert_true(score_masks(&same, 3, &usual, m, err));
  assert_true(m[0].value[METRIC_di] == 1 && m[0].value[METRIC_assd] == 0);
  memset(pred, 0, 16);
  assert_true(score_masks(&pair, 3, &usual, m, err));
  assert_true(isnan(m[0].value[METRIC_assd]));
}

/* Class 3 is nowhere in the truth: left out, the mean is that of the others. */
TEST(a_class_left_out_is_left_out_of_the_mean) {
  const int64_t dim[2] = {2, 3};
  const double spacing[2] = {1, 1};
  const uint8_t truth[6] = {1, 1, 2, 2, 0, 0}, pred[6] = {1, 1, 2, 0, 3, 0};
  MaskPair pair = {pred, truth, 2, dim, spacing};
  Metrics m[4];
  assert_true(score_masks(&pair, 4, &(MetricOptions){.empty = EMPTY_SKIP}, m, err));
  assert_true(isnan(m[3].value[METRIC_di]) && isnan(m[3].value[METRIC_sp]));
  assert_true(fabs(m[0].value[METRIC_di] - (1 + 2 / 3.) / 2) < 1e-12);
  assert_true(score_masks(&pair, 4, &(MetricOptions){.empty = EMPTY_ONE}, m, err));
  assert_true(fabs(m[0].value[METRIC_di] - (1 + 2 / 3.) / 3) < 1e-12);
}

TEST(classes_that_could_not_be_told_from_what_is_ignored_are_refused) {
  const int64_t dim[2] = {1, 1};
  const double spacing[2] = {1, 1};
  const uint8_t one = 1;
  static Metrics m[256];
  MaskPair pair = {&one, &one, 2, dim, spacing};
  assert_true(score_masks(&pair, 255, &(MetricOptions){0}, m, err));
  assert_false(score_masks(&pair, 256, &(MetricOptions){0}, m, err));
  assert_non_null(strstr(err, "255 is the most"));
}

TEST(cleaning_fills_holes_and_drops_specks) {
  const Grid grid = grid_plain((int64_t[]){5, 6, 1}, (double[]){2, 1, 1});
  /* a ring of class 1 around a hole and around class 2, a speck of class 1 */
  const uint8_t mask[30] = {1, 1, 1, 1, 0, 0, 1, 0, 2, 1, 0, 1, 1, 1, 1,
                            1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0};
  const uint8_t largest[30] = {1, 1, 1, 1, 0, 0, 1, 0, 2, 1, 0, 0, 1, 1, 1, 1, 0, 0};
  const uint8_t filled[30] = {1, 1, 1, 1, 0, 0, 1, 1, 2, 1, 0, 1, 1, 1, 1,
                              1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0};
  uint8_t m[30];
  memcpy(m, mask, 30);
  assert_true(clean_mask(m, 3, 2, &grid, &(Cleaning){.drop = 0}, err));
  assert_memory_equal(m, mask, 30);
  assert_true(clean_mask(m, 3, 2, &grid, &(Cleaning){.largest = true}, err));
  assert_memory_equal(m, largest, 30);
  memcpy(m, mask, 30);
  assert_true(clean_mask(m, 3, 2, &grid, &(Cleaning){.fill = true}, err));
  assert_memory_equal(m, filled, 30);
  /* an element is 2 mm^2: specks of one go, of both classes */
  const uint8_t dropped[30] = {1, 1, 1, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 0, 0};
  memcpy(m, mask, 30);
  assert_true(clean_mask(m, 3, 2, &grid, &(Cleaning){.drop = 1.5}, err));
  assert_memory_equal(m, mask, 30);
  assert_true(clean_mask(m, 3, 2, &grid, &(Cleaning){.drop = 3}, err));
  assert_memory_equal(m, dropped, 30);
}

/* ---- eval ---- */

static char *text_of(const char *path) {
  Bytes b;
  if (!file_map(path, &b, err)) fail_msg("%s", err);
  char *s = calloc(1, b.size + 1);
  assert_non_null(s);
  memcpy(s, b.data, b.size);
  file_unmap(&b);
  return s;
}

/* The table of the phantom's test images; the weights decide by brightness. */
static char *table(const char *name, int threads, int overlays, Results *r) {
  Toy t = toy_new(threads, 4, -2);
  char dir[128], path[160];
  snprintf(dir, sizeof dir, "%s/%s", root, name);
  snprintf(path, sizeof path, "%s/eval.csv", dir);
  Dataset *d = data_open("phantom", &t.predictor.shape, err);
  assert_non_null(d);
  EvalOptions o = {.split = SPLIT_TEST, .out = dir, .overlays = overlays};
  if (!eval_run(&t.predictor, d, &o, r, err)) fail_msg("%s", err);
  data_close(d);
  toy_free(&t);
  return text_of(path);
}

/* Rows against the images themselves; the same table whatever the threads. */
TEST(the_table_is_the_same_for_any_number_of_threads) {
  Results a, b;
  char *one = table("one", 1, 2, &a), *three = table("three", 3, 0, &b);
  assert_string_equal(one, three);
  assert_int_equal(a.items, 16);
  for (int i = 0; i < 16; i++) assert_memory_equal(a.item[i].of, b.item[i].of, 2 * sizeof *a.item[i].of);
  Toy t = toy_new(1, 1, 0);
  Dataset *d = data_open("phantom", &t.predictor.shape, err);
  assert_non_null(d);
  char *row = strchr(one, '\n') + 1;
  double mean = 0;
  for (int i = 0; i < d->nitem; i++) {
    if (d->item[i].split != SPLIT_TEST) continue;
    Sample s;
    assert_true(data_load(d, i, &s, err));
    double tp = 0, np = 0, nt = 0, dice;
    for (int k = 0; k < PIXELS; k++) {
      bool p = s.image[k] > 0.5f;
      tp += p && s.own_label[k], np += p, nt += s.own_label[k] != 0;
    }
    sample_free(&s);
    assert_int_equal(strncmp(row, d->item[i].name, strlen(d->item[i].name)), 0);
    assert_int_equal(sscanf(row + strlen(d->item[i].name), ",%lf", &dice), 1);
    assert_true(fabs(dice - 2 * tp / (np + nt)) < 1e-6);
    mean += dice / 16;
    row = strchr(row, '\n') + 1;
  }
  assert_int_equal(*row, '\0');
  assert_true(fabs(mean - results_mean(&a, 0, METRIC_di)) < 1e-9);
  assert_true(mean > 0.01 && mean < 0.99);
  data_close(d);
  toy_free(&t);
  free(one), free(three);
  results_free(&a), results_free(&b);
  char path[128];
  snprintf(path, sizeof path, "%s/one/phantom071.png", root);
  assert_true(file_exists(path));
  snprintf(path, sizeof path, "%s/one/phantom079.png", root);
  assert_true(file_exists(path));
}

TEST(a_split_without_images_is_refused) {
  Toy t = toy_new(1, 1, 0);
  Dataset *d = data_open("phantom", &t.predictor.shape, err);
  assert_non_null(d);
  Results r;
  assert_false(eval_run(&t.predictor, d, &(EvalOptions){.split = SPLIT_VAL}, &r, err));
  results_free(&r);
  assert_non_null(strstr(err, "no images in its val split"));
  data_close(d);
  toy_free(&t);
}

RUN_TESTS(scratch_set_up, scratch_tear_down)
