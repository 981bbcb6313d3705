/* test_err.c - messages of failures end where their room does, and what is added comes behind what was
 * said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "ir/err.h"

static void test_more(void **state) {
  (void)state;
  char err[IR_ERR];
  assert_false(ir_error(err, "line %d: ", 3));
  assert_false(ir_error_more(err, "no %s", "kernel"));
  assert_string_equal(err, "line 3: no kernel");
}

static void test_cut(void **state) {
  (void)state;
  struct {
    char err[IR_ERR], behind[8];
  } at = {.behind = "intact"};
  char text[IR_ERR + 100];
  memset(text, 'a', sizeof text - 1);
  text[sizeof text - 1] = 0;
  ir_error(at.err, "%s", text);
  assert_int_equal(strlen(at.err), IR_ERR - 1);
  ir_error_more(at.err, "%s", text);
  assert_int_equal(strlen(at.err), IR_ERR - 1);
  ir_error(at.err, "%.*s", IR_ERR - 3, text);
  ir_error_more(at.err, "%s", "bcd");
  assert_string_equal(at.err + IR_ERR - 3, "bc");
  assert_string_equal(at.behind, "intact");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_more), cmocka_unit_test(test_cut)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
