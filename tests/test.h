/* test.h - what tests are written in: cmocka, and names that are sentences.
 *
 *   TEST(an_empty_sum_is_zero) { assert_true(sum(NULL, 0) == 0); }
 *
 *   FIXTURE(set_up) { return (arena = arena_new()) ? 0 : -1; }
 *   FIXTURE(tear_down) { return arena_free(arena), 0; }
 *   TEST_WITH(set_up, tear_down, an_arena_is_empty_at_first) { .. }     // before and after this test
 *
 *   RUN_TESTS(NULL, NULL)     // fixtures before the first test and after the last; ends the file
 *
 * Tests run in the order of their lines. `build/tests/test_X 'a_*'` runs those of such names. */
#ifndef NETC_TEST_H
#define NETC_TEST_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { TESTS_MOST = 64 };
static struct CMUnitTest test_list[TESTS_MOST];
static int test_line[TESTS_MOST];
static size_t test_count;

/* Constructors run before main, in an order that is the compiler's: lines say which test is next. */
static inline void test_add(int line, struct CMUnitTest test) {
  if (test_count == TESTS_MOST) abort();
  size_t at = test_count++;
  for (; at > 0 && test_line[at - 1] > line; at--)
    test_list[at] = test_list[at - 1], test_line[at] = test_line[at - 1];
  test_list[at] = test, test_line[at] = line;
}

static inline int test_run(int argc, char **argv, CMFixtureFunction before, CMFixtureFunction after) {
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  return _cmocka_run_group_tests("tests", test_list, test_count, before, after);
}

#define TEST_WITH(before, after, name)                                                                       \
  static void name(void **unused);                                                                           \
  __attribute__((constructor)) static void name##_is_a_test(void) {                                          \
    test_add(__LINE__, (struct CMUnitTest)cmocka_unit_test_setup_teardown(name, before, after));             \
  }                                                                                                          \
  static void name(void **unused __attribute__((unused)))

#define TEST(name)    TEST_WITH(NULL, NULL, name)
#define FIXTURE(name) static inline int name(void **state __attribute__((unused)))

#define RUN_TESTS(before, after)                                                                             \
  int main(int argc, char **argv) { return test_run(argc, argv, before, after); }
#endif
