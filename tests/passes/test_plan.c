/* test_plan.c - the memory plan: golden small cases, random intervals against an independent check, and that
 * the checker sees faults. */
#include <stdlib.h>
#include "tests/test.h"
#include "passes/memory/plan.h"

static uint32_t state;
static int below(int n) { return (int)((state = state * 1664525u + 1013904223u) >> 8) % n; }

TEST(nothing_takes_no_memory_and_one_buffer_its_own) {
  PlanBuf b = {.size = 100, .first = 0, .last = 3, .may_alias = -1};
  assert_int_equal(plan_arena(NULL, 0), 0);
  assert_int_equal(plan_arena(&b, 1), 128);
  assert_int_equal(b.offset, 0);
  assert_int_equal(plan_lower_bound(&b, 1), 128);
}

/* A chain in which each buffer dies as the next is written needs two places, or one when in place. */
TEST(a_chain_needs_two_places_or_one_in_place) {
  for (int may_alias = 0; may_alias < 2; may_alias++) {
    PlanBuf b[5];
    for (int i = 0; i < 5; i++)
      b[i] = (PlanBuf){.size = 640, .first = i, .last = i + 1, .may_alias = may_alias ? i - 1 : -1};
    assert_int_equal(plan_arena(b, 5), may_alias ? 640 : 1280);
    int x, y;
    assert_true(plan_check(b, 5, &x, &y));
  }
}

/* A donor that is read later, or is too small, must not be overlaid. */
TEST(a_donor_read_later_or_too_small_is_not_overlaid) {
  PlanBuf b[2] = {{.size = 640, .first = 0, .last = 2, .may_alias = -1},
                  {.size = 640, .first = 1, .last = 2, .may_alias = 0}};
  assert_int_equal(plan_arena(b, 2), 1280);
  PlanBuf c[2] = {{.size = 64, .first = 0, .last = 1, .may_alias = -1},
                  {.size = 640, .first = 1, .last = 2, .may_alias = 0}};
  assert_int_equal(plan_arena(c, 2), 704);
  /* Two buffers want the same donor: one gets it. */
  PlanBuf d[3] = {{.size = 64, .first = 0, .last = 1, .may_alias = -1},
                  {.size = 64, .first = 1, .last = 2, .may_alias = 0},
                  {.size = 64, .first = 1, .last = 2, .may_alias = 0}};
  assert_int_equal(plan_arena(d, 3), 128);
}

TEST(a_gap_is_used_again) {
  PlanBuf b[4] = {{.size = 1024, .first = 0, .last = 1, .may_alias = -1},
                  {.size = 512, .first = 0, .last = 5, .may_alias = -1},
                  {.size = 512, .first = 2, .last = 3, .may_alias = -1},
                  {.size = 512, .first = 2, .last = 4, .may_alias = -1}};
  assert_int_equal(plan_arena(b, 4), 1536);
}

TEST(random_intervals_never_overlap) {
  double total = 0, bound = 0;
  for (int round = 0; round < 300; round++) {
    state = (uint32_t)round * 977u + 5u;
    int n = 1 + below(round % 10 == 0 ? 400 : 40), span = 2 + below(60);
    PlanBuf *b = calloc((size_t)n, sizeof *b);
    for (int i = 0; i < n; i++) {
      int first = below(span);
      b[i] = (PlanBuf){.size = below(4) ? 64 * (1 + below(4)) : 1 + below(5000),
                       .first = first,
                       .last = first + below(below(4) ? 6 : span),
                       .may_alias = i ? below(i + 1) - 1 : -1};
    }
    int64_t arena = plan_arena(b, n), lower = plan_lower_bound(b, n), top = 0;
    int x = -1, y = -1;
    if (!plan_check(b, n, &x, &y)) fail_msg("round %d: buffers %d and %d overlap", round, x, y);
    for (int i = 0; i < n; i++) {
      if (b[i].offset + b[i].size > top) top = b[i].offset + b[i].size;
      b[i].may_alias = -1;
    }
    assert_true(top <= arena && arena < top + PLAN_ALIGN);
    arena = plan_arena(b, n);
    assert_true(arena >= lower);
    assert_true(plan_check(b, n, &x, &y));
    total += (double)arena, bound += (double)lower;
    free(b);
  }
  assert_true(total < 1.1 * bound); /* the mean gap to the lower bound */
}

TEST(the_checker_sees_faults) {
  PlanBuf b[2] = {{.size = 100, .first = 0, .last = 2, .may_alias = -1, .offset = 0},
                  {.size = 100, .first = 2, .last = 3, .may_alias = -1, .offset = 64}};
  int x, y;
  assert_false(plan_check(b, 2, &x, &y));
  assert_int_equal(x, 0);
  assert_int_equal(y, 1);
  b[1].may_alias = 0; /* in place must be exactly in place */
  assert_false(plan_check(b, 2, &x, &y));
  b[1].offset = 0;
  assert_true(plan_check(b, 2, &x, &y));
  b[1].may_alias = -1;
  assert_false(plan_check(b, 2, &x, &y));
  b[1].offset = 130; /* not aligned */
  assert_false(plan_check(b, 2, &x, &y));
}

RUN_TESTS(NULL, NULL)
