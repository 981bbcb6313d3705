/* test_bench.c - what netrun bench says, on the toy module: parts add up to wholes, whatever the clock
 * showed. */
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tests/test.h"
#include "runtime/device/host.h"
#include "runtime/device/open.h"
#include "runtime/bench/report.h"
#include "runtime/bench/scaling.h"

static Session *toy(int threads) {
  char err[ERR_MAX];
  Module *m = module_open(TEST_MODULES "/toy.so", err);
  if (!m) fail_msg("%s", err);
  Session *s = session_new(m, threads, err);
  if (!s) fail_msg("%s", err);
  session_init(s, 0);
  return s;
}

static void drop(Session *s) {
  Module *m = (Module *)(uintptr_t)s->module;
  session_free(s);
  module_close(m);
}

static Bench measured(const Session *s) {
  char err[ERR_MAX];
  Bench b;
  if (!bench_run(s, module_fn_of_kind(s->module, NETC_FN_TRAIN), 4, &b, err)) fail_msg("%s", err);
  return b;
}

static const Rates machine = {.flops = 1e9, .bandwidth = 1e8, .launch = 1e-6};

static void near(double a, double b) { assert_true(fabs(a - b) <= 1e-9 * (fabs(a) + fabs(b)) + 1e-12); }

TEST(the_median_lies_in_the_middle_of_the_runs) {
  Session *s = toy(2);
  Bench b = measured(s);
  for (int i = 0; i < 4; i++) assert_true(b.all[i] > 0);
  int below = 0, at_most = 0; /* two times may be the same */
  for (int i = 0; i < 4; i++) below += b.all[i] < b.median, at_most += b.all[i] <= b.median;
  assert_true(below <= 2 && at_most >= 2);
  assert_true(b.seconds <= b.median);
  for (int i = 0; i < 3; i++) assert_true(b.launch[i].wall > 0 && b.launch[i].busy > 0);
  const NetcVar *count = &s->module->desc->vars[4];
  assert_int_equal(*(int32_t *)session_at(s, &count->array), 5); /* one to warm up */
  bench_free(&b);
  drop(s);
}

/* A rate is positive and finite; two threads write no more than the arrays they were given (valgrind,
 * sanitizers). */
TEST(rates_of_the_machine_are_positive_and_finite) {
  char err[ERR_MAX];
  Session *s = toy(2);
  Rates m;
  assert_true(host_rates(s->pool, s->module->isa, &m, err));
  assert_true(m.flops > 0 && isfinite(m.flops));
  assert_true(m.pair_flops == 0); /* the toy has no code for avx512_bf16 */
  if (__builtin_cpu_supports("avx512bf16")) {
    assert_true(host_rates(s->pool, NETC_ISA_AVX512_BF16, &m, err));
    assert_true(m.pair_flops > 0 && isfinite(m.pair_flops));
  }
  assert_true(m.bandwidth > 0 && isfinite(m.bandwidth));
  assert_true(m.launch > 0 && m.launch < 1);
  drop(s);
}

TEST(the_account_adds_up_to_the_iteration) {
  Session *s = toy(2);
  Bench b = measured(s);
  Account a = bench_account(s, &b, &machine);
  near(a.iteration, b.seconds);
  near(a.roofline + a.above + a.waiting + a.between, a.iteration);
  /* 5120 flops and 2048 bytes, 12 and 48, 12 and 64: the second and third are bound by memory, and so is the
   * first */
  near(a.roofline, 2048 / 1e8 + 48 / 1e8 + 64 / 1e8);
  assert_true(a.waiting >= 0); /* no thread is longer in a launch than the launch */
  assert_true(a.between >= 0);
  bench_free(&b);
  drop(s);
}

/* Dot products of pairs have a rate of their own. */
TEST(products_of_pairs_have_a_rate_of_their_own) {
  Session *s = toy(2);
  Bench b = measured(s);
  NetcKernel *kernel = malloc((size_t)s->nkernels * sizeof *kernel);
  assert_non_null(kernel);
  memcpy(kernel, s->kernels, (size_t)s->nkernels * sizeof *kernel);
  for (int i = 0; i < s->nkernels; i++) kernel[i].pair_flops = kernel[i].flops / 4, kernel[i].bytes = 0;
  Session other = *s;
  other.kernels = kernel;
  double flops = 20 * 256 + 12 + 12;
  Rates fast = machine;
  near(bench_account(&other, &b, &fast).roofline, flops / 1e9);
  fast.pair_flops = 2e9;
  near(bench_account(&other, &b, &fast).roofline, (0.75 + 0.25 / 2) * flops / 1e9);
  free(kernel);
  bench_free(&b);
  drop(s);
}

static void check_costs(const Session *s, const Bench *b, CostBy by, int expected) {
  char err[ERR_MAX];
  int n, launches = 0;
  double seconds = 0, roofline = 0, flops = 0, work = 0, wall = 0;
  Cost *c = bench_costs(s, b, &machine, by, &n, err);
  assert_non_null(c);
  assert_int_equal(n, expected);
  for (int i = 0; i < n; i++) {
    assert_true(i == 0 || c[i - 1].seconds >= c[i].seconds);
    launches += c[i].launches, seconds += c[i].seconds, roofline += c[i].roofline;
    flops += c[i].flops, work += c[i].work;
  }
  for (int i = 0; i < b->fn->nlaunches; i++) wall += b->launch[i].wall;
  assert_int_equal(launches, 3);
  near(seconds, wall);
  near(roofline, 2160 / 1e8);
  near(flops, 20 * 256 + 12 + 12);
  near(work, 40 * 256 + 12 + 12);
  free(c);
}

/* Kernels forward_backward, total, update; kinds map and reduce; one line of the file and what has none. */
TEST(costs_add_up_by_kernel_kind_and_line) {
  Session *s = toy(1);
  Bench b = measured(s);
  check_costs(s, &b, BY_KERNEL, 3);
  check_costs(s, &b, BY_KIND, 2);
  check_costs(s, &b, BY_LINE, 2);
  bench_free(&b);
  drop(s);
}

static double number(const cJSON *j, const char *name) {
  const cJSON *n = cJSON_GetObjectItemCaseSensitive(j, name);
  if (!cJSON_IsNumber(n)) fail_msg("no number %s", name);
  return n->valuedouble;
}

static void check_list(const cJSON *root, const char *name, double whole) {
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, name), *j;
  double share = 0;
  assert_true(cJSON_IsArray(list));
  cJSON_ArrayForEach(j, list) {
    share += number(j, "share");
    near(number(j, "roofline_fraction") * number(j, "seconds"), number(j, "roofline_seconds"));
    assert_true(number(j, "idle") >= -1e-9 && number(j, "idle") <= 1);
    assert_true(number(j, "work") >= number(j, "flops"));
    assert_true(number(j, "bytes") > 0 && number(j, "gflops") > 0 && number(j, "launches") >= 1);
  }
  assert_true(fabs(share - whole) < 1e-9);
}

TEST(json_says_what_was_measured) {
  char err[ERR_MAX];
  Session *s = toy(2);
  Bench b = measured(s);
  cJSON *root = bench_json(s, &b, &machine, 12345, err);
  assert_non_null(root);
  assert_int_equal(number(root, "threads"), 2);
  assert_int_equal(number(root, "peak_rss_bytes"), 12345);
  near(number(root, "peak_gflops"), 1), near(number(root, "bandwidth_gbytes"), 0.1);
  near(number(root, "seconds_per_iteration"), b.median);
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "seconds")), 4);
  const cJSON *a = cJSON_GetObjectItem(root, "account");
  double whole = number(a, "seconds"), between = number(a, "between_launches");
  near(number(a, "roofline") + number(a, "above_roofline") + number(a, "waiting") + between, whole);
  check_list(root, "kernels", 1 - between / whole);
  check_list(root, "kinds", 1 - between / whole);
  check_list(root, "lines", 1 - between / whole);
  const cJSON *line = cJSON_GetObjectItem(root, "lines"), *j;
  bool found = false;
  cJSON_ArrayForEach(j, line) {
    const cJSON *file = cJSON_GetObjectItem(j, "file");
    if (file && !strcmp(file->valuestring, "blocks/pixel.net"))
      found = number(j, "line") == 3 && number(j, "launches") == 2;
  }
  assert_true(found);
  cJSON_Delete(root);
  bench_free(&b);
  drop(s);
}

/* ---- scaling ---- */

TEST(the_makespan_of_known_tasks_is_right) {
  const double first[] = {4, 1, 1, 1, 1}, last[] = {1, 1, 1, 1, 4};
  near(scaling_makespan(first, 0, 2), 0);
  near(scaling_makespan(first, 5, 1), 8);
  near(scaling_makespan(first, 5, 2), 4); /* one thread has the long task, the other all the rest */
  near(scaling_makespan(last, 5, 2), 6);  /* the long task starts when two are done on each */
  near(scaling_makespan(first, 5, 64), 4);
  double equal[96];
  for (int i = 0; i < 96; i++) equal[i] = 0.5;
  near(scaling_makespan(equal, 64, 64), 0.5);
  near(scaling_makespan(equal, 65, 64), 1);
  near(scaling_makespan(equal, 96, 2), 24);
  near(scaling_makespan(equal, 32, 2), 8); /* portions of 4, 3, 3, .. */
}

/* Neither above all tasks one after another, nor below an even share or the longest task. */
TEST(the_makespan_is_within_its_bounds) {
  enum { N = 300 };
  double task[N], sum = 0, longest = 0;
  for (int i = 0; i < N; i++) {
    task[i] = 1 + (i * 7919 % 101) / 10.0;
    sum += task[i], longest = fmax(longest, task[i]);
  }
  for (int threads = 1; threads <= 64; threads *= 2) {
    double t = scaling_makespan(task, N, threads);
    assert_true(t <= sum * (1 + 1e-12) && t >= sum / threads * (1 - 1e-12) && t >= longest);
  }
}

TEST(scaling_adds_up_the_tasks_that_it_measured) {
  char err[ERR_MAX];
  Session *s = toy(1);
  Tasks t;
  assert_true(scaling_measure(s, module_fn_of_kind(s->module, NETC_FN_TRAIN), 3, &t, err));
  assert_int_equal(t.first[3], 4 + 1 + 1);
  double sum = t.host, serial = t.host;
  for (int i = 0; i < 6; i++) {
    assert_true(t.seconds[i] > 0 && isfinite(t.seconds[i]));
    sum += t.seconds[i];
  }
  serial += t.seconds[4] + t.seconds[5];
  near(scaling_seconds(s, &t, &machine, 1, false), sum);
  assert_true(scaling_seconds(s, &t, &machine, 4, false) >= serial + machine.launch);
  assert_true(scaling_seconds(s, &t, &machine, 4, true) >= 2160 / 1e8);
  Timed timed[] = {{1, 0.25}, {0, 0}};
  cJSON *root = scaling_json(s, &t, &machine, timed, err);
  assert_non_null(root);
  const cJSON *points = cJSON_GetObjectItem(root, "points"), *j = cJSON_GetArrayItem(points, 0);
  assert_int_equal(cJSON_GetArraySize(points), 7);
  near(number(j, "measured"), 0.25);
  near(number(j, "speedup"), 1);
  double limited = 0;
  cJSON_ArrayForEach(j, cJSON_GetObjectItem(root, "limits")) {
    assert_true(number(j, "seconds") >= number(j, "longest"));
    limited += number(j, "seconds");
  }
  near(limited + t.host, number(cJSON_GetArrayItem(points, 6), "seconds"));
  cJSON_Delete(root);
  scaling_free(&t);
  drop(s);
}

RUN_TESTS(NULL, NULL)
