/* test_report.c - statistics of results, intervals, and the files they are written to. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cjson/cJSON.h>
#include "tests/scratch.h"
#include "tests/test.h"
#include "tests/text.h"
#include "runtime/eval/bootstrap.h"
#include "runtime/eval/report.h"

static char err[ERR_MAX];

static void near(double got, double want, double tol) {
  if (!(fabs(got - want) <= tol)) fail_msg("got %.17g, expected %.17g", got, want);
}

/* An item whose only metric is the Dice of classes 1.., and their mean. */
static void add(Results *r, const char *name, int patient, const double *dice) {
  Metrics m[4];
  double sum = 0;
  int n = 0;
  for (int64_t c = 0; c < r->classes; c++) {
    m[c] = (Metrics){.pred = 3, .truth = c && isnan(dice[c - 1]) ? 0 : 4};
    for (int k = 0; k < METRIC_COUNT; k++) m[c].value[k] = NAN;
    if (c && !isnan(dice[c - 1])) sum += m[c].value[METRIC_di] = dice[c - 1], n++;
  }
  m[0].value[METRIC_di] = n ? sum / n : NAN;
  if (!results_add(r, name, patient, m, err)) fail_msg("%s", err);
}

/* ---- statistics ---- */

static Statistics dice_of(Results *r, int64_t c) {
  if (!results_summarise(r, err)) fail_msg("%s", err);
  return *results_of(r, c, METRIC_di);
}

TEST(statistics_leave_out_what_is_not_a_number) {
  Results r = {.classes = 2, .cases = 4};
  Statistics s = dice_of(&r, 0);
  assert_true(s.n == 0 && isnan(s.mean) && isnan(s.sd) && isnan(s.low));
  add(&r, "a", 0, (double[]){0.5}), s = dice_of(&r, 0);
  assert_true(s.n == 1 && s.mean == 0.5 && isnan(s.sd) && isnan(s.low) && isnan(s.high));
  add(&r, "b", 1, (double[]){NAN}), add(&r, "c", 2, (double[]){0.8}), add(&r, "d", 3, (double[]){0.8});
  s = dice_of(&r, 1);
  assert_int_equal(s.n, 3), assert_int_equal(s.cases, 3);
  near(s.mean, 0.7, 1e-12), near(s.sd, sqrt(0.03), 1e-12);
  near(results_mean(&r, 1, METRIC_di), 0.7, 1e-12);
  assert_int_equal(results_without(&r, 1), 1);
  results_free(&r);
}

/* Expected: the definition of runtime/eval/bootstrap.h in NumPy, with its percentile. */
TEST(intervals_are_those_of_the_definition) {
  const double dice[7] = {0.5, 0.8, 0.9, 0.65, 0.7, 0.95, 0.3};
  CaseValues of[7];
  double low, high, again[2];
  for (int i = 0; i < 7; i++) of[i] = (CaseValues){dice[i], 1};
  assert_true(bootstrap_mean(of, 7, &low, &high));
  near(low, 0.5214285714285715, 1e-15), near(high, 0.8285714285714286, 1e-15);
  assert_true(bootstrap_mean(of, 7, &again[0], &again[1]));
  assert_true(again[0] == low && again[1] == high);
}

/* Patients with two, one and three slices are drawn whole. */
TEST(intervals_draw_whole_cases) {
  const double dice[6] = {0.5, 0.9, 0.7, 0.6, 0.2, 0.4};
  const int patient[6] = {0, 2, 5, 0, 5, 5};
  Results r = {.classes = 2, .cases = 6};
  for (int i = 0; i < 6; i++) add(&r, "slice", patient[i], &dice[i]);
  Statistics s = dice_of(&r, 0);
  assert_int_equal(s.n, 6), assert_int_equal(s.cases, 3);
  near(s.low, 0.43333333333333335, 1e-12), near(s.high, 0.9, 1e-12);
  results_free(&r);
}

/* Of many values the interval is nearly that of the normal distribution: 1.96 standard errors to each
 * side. */
TEST(intervals_of_many_values_are_nearly_normal) {
  enum { N = 400 };
  static CaseValues of[N];
  double sum = 0, squares = 0, low, high;
  for (int i = 0; i < N; i++) {
    of[i] = (CaseValues){(double)(i * 37 % N) / N, 1};
    sum += of[i].sum, squares += of[i].sum * of[i].sum;
  }
  assert_true(bootstrap_mean(of, N, &low, &high));
  double mean = sum / N, error = sqrt((squares / N - mean * mean) / N);
  near(low, mean - 1.96 * error, 0.1 * error), near(high, mean + 1.96 * error, 0.1 * error);
}

/* ---- files ---- */

static const ReportAbout about = {
    .module = "m.so", .data = "folder", .split = "test", .metrics = {.metrics = 1 << METRIC_di}};

static char *csv_of(const ReportAbout *a, const Results *r) {
  char *text = NULL;
  size_t size;
  FILE *f = open_memstream(&text, &size);
  report_csv(f, a, r);
  fclose(f);
  return text;
}

TEST(names_in_csv_are_quoted_as_rfc_4180_says) {
  Results r = {.classes = 2, .cases = 1};
  static const char *const names[] = {"pat 1", "pät.v1.2", "a,b", "q\"x", "two\nlines", "\"", "x_s1"};
  for (int i = 0; i < 7; i++) add(&r, names[i], 0, (double[]){i ? 0.5 : NAN});
  char *text = csv_of(&about, &r);
  assert_string_equal(text, "name,DI\npat 1,nan\npät.v1.2,0.5\n\"a,b\",0.5\n\"q\"\"x\",0.5\n"
                            "\"two\nlines\",0.5\n\"\"\"\",0.5\nx_s1,0.5\n");
  free(text);
  results_free(&r);
}

TEST(classes_have_columns_by_their_names) {
  Results r = {.classes = 4, .cases = 1};
  add(&r, "a", 0, (double[]){1, 0.5, NAN});
  char *text = csv_of(&about, &r);
  assert_string_equal(text, "name,DI,DI:1,DI:2,DI:3\na,0.75,1,0.5,nan\n");
  free(text);
  static const char *const organs[] = {"background", "liver", "kidney, left", "spleen"};
  ReportAbout named = about;
  named.class_name = organs, named.metrics.metrics = 0;
  text = csv_of(&named, &r);
  const char *want = "name,DI,JA,AC,SE,SP,VOE,ASD,ASSD,95HD,DI:liver,\"DI:kidney, left\",DI:spleen,JA:liver,";
  assert_int_equal(strncmp(text, want, strlen(want)), 0);
  free(text);
  results_free(&r);
}

/* The value at a path of names and indices, as in "items/0/name". */
static const cJSON *at(const cJSON *j, const char *path) {
  char word[32];
  for (int n; *path; path += n + (path[n] == '/')) {
    n = (int)strcspn(path, "/");
    snprintf(word, sizeof word, "%.*s", n, path);
    j = cJSON_IsArray(j) ? cJSON_GetArrayItem(j, atoi(word)) : cJSON_GetObjectItemCaseSensitive(j, word);
    if (!j) fail_msg("there is no %s", path);
  }
  return j;
}

TEST(json_holds_what_was_evaluated_and_every_item) {
  Results r = {.unit = "slice", .classes = 3, .cases = 2};
  ReportAbout a = about;
  a.metrics = (MetricOptions){1u << METRIC_di | 1u << METRIC_nsd, 1.5, EMPTY_SKIP};
  add(&r, "q\"\\\n\x01 pät", 1, (double[]){0.1 + 0.2, 1}),
      add(&r, "bad\xE4\xED\xA0\x80.", 0, (double[]){0.5, NAN});
  if (!report_write(root, &a, &r, err)) fail_msg("%s", err);
  char *text = read_text(in_root("eval.json")), *csv = read_text(in_root("eval.csv"));
  cJSON *j = cJSON_Parse(text);
  assert_non_null(j), assert_non_null(csv);
  assert_string_equal(at(j, "module")->valuestring, "m.so");
  assert_string_equal(at(j, "unit")->valuestring, "slice");
  assert_string_equal(at(j, "empty")->valuestring, "skip");
  assert_true(cJSON_IsNull(at(j, "weights")) && cJSON_IsNull(at(j, "mean/NSD/mean")));
  near(at(j, "tolerance")->valuedouble, 1.5, 0), near(at(j, "interval/resamples")->valuedouble, 10000, 0);
  assert_string_equal(at(j, "metrics/1")->valuestring, "NSD");
  assert_string_equal(at(j, "classes/1")->valuestring, "2");
  assert_string_equal(at(j, "items/0/name")->valuestring, "q\"\\\n\x01 pät");
  assert_string_equal(at(j, "items/1/name")->valuestring, "bad\uFFFD\uFFFD\uFFFD\uFFFD.");
  near(at(j, "items/0/classes/0/DI")->valuedouble, 0.1 + 0.2, 0);
  near(at(j, "items/0/case")->valuedouble, 1, 0), near(at(j, "items/1/classes/1/truth")->valuedouble, 0, 0);
  assert_true(cJSON_IsNull(at(j, "items/1/classes/1/DI")));
  near(at(j, "of_class/0/left_out")->valuedouble, 0, 0),
      near(at(j, "of_class/1/left_out")->valuedouble, 1, 0);
  near(at(j, "of_class/1/DI/n")->valuedouble, 1, 0), near(at(j, "mean/DI/n")->valuedouble, 2, 0);
  cJSON_Delete(j);
  free(text), free(csv);
  results_free(&r);
}

TEST(a_report_that_cannot_be_written_says_where) {
  Results r = {.classes = 2, .cases = 1};
  assert_false(report_write(in_root("missing"), &about, &r, err));
  assert_non_null(strstr(err, "missing/eval.csv"));
  results_free(&r);
}

RUN_TESTS(scratch_set_up, scratch_tear_down)
