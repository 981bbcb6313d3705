/* test_pool.c - every task of every launch runs exactly once, whatever the number of threads. */
#include <stdint.h>
#include <stdatomic.h>
#include <string.h>
#include "tests/test.h"
#include "runtime/base/pool.h"

enum { MOST = 1000 };

typedef struct {
  _Atomic int count[MOST];
  _Atomic int64_t sum;
} Tally;

static void tally(void *ctx, int64_t task) {
  Tally *t = ctx;
  atomic_fetch_add(&t->count[task], 1);
  atomic_fetch_add(&t->sum, task);
}

static void launches(int threads) {
  char err[ERR_MAX];
  Pool *p = pool_new(threads, err);
  assert_non_null(p);
  assert_int_equal(pool_threads(p), threads);
  static Tally t;
  for (int round = 0; round < 3000; round++) {
    int64_t n = round % 7 == 0 ? round % MOST : round % 9;
    memset(&t, 0, sizeof t);
    pool_run(p, tally, &t, n);
    assert_int_equal(atomic_load(&t.sum), n * (n - 1) / 2);
    for (int64_t i = 0; i < n; i++) assert_int_equal(atomic_load(&t.count[i]), 1);
  }
  pool_free(p);
}

TEST(one_thread_runs_every_task_once) { launches(1); }
TEST(two_threads_run_every_task_once) { launches(2); }
TEST(four_threads_run_every_task_once) { launches(4); }

TEST(the_number_of_threads_has_bounds) {
  char err[ERR_MAX] = "";
  assert_null(pool_new(-1, err));
  assert_non_null(strstr(err, "-1 threads"));
  assert_null(pool_new(POOL_MAX_THREADS + 1, err));
  Pool *p = pool_new(0, err);
  assert_non_null(p);
  assert_true(pool_threads(p) >= 1);
  pool_free(p);
}

RUN_TESTS(NULL, NULL)
