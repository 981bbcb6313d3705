/* test_replay.c - recorded launches (tests/gpu) on the fake driver: what replay says when all is well, and
 * when something is not. */
#include "tests/test.h"
#include "tests/end_to_end/shell.h"

#define REPLAY TEST_FAKES "/replay "

FIXTURE(set_up) {
  if (shell_set_up(state)) return -1;
  setenv("NETRUN_LIBCUDA", TEST_FAKES "/fake_cuda.so", 1);
  setenv("FAKE_CUDA_KERNELS", in_root("emulated.so"), 1);
  if (sh(EMULATED_BINARY
         " %s/models/unet.net emulated.so --processors 1 --cases unet.cases 2e-3 size=[16,16] "
         "widths=[8,16] batch=1",
         source))
    return fprintf(stderr, "%s", said), -1;
  return 0;
}

/* The number behind "NAME": in the line of the file, the last of out.json. */
static long number(const char *name) {
  char key[64];
  runs("tail -n 1 out.json");
  snprintf(key, sizeof key, "\"%s\": ", name);
  const char *at = strstr(said, key);
  if (!at) fail_msg("no %s in %s", key, said);
  return atol(at + strlen(key));
}

TEST(recorded_launches_are_right) {
  runs(REPLAY "--json out.json unet.cases");
  assert_non_null(strstr(said, "ok   unet.cases on Fake GPU: "));
  long all = number("launches");
  assert_true(all > 100 && number("sm_75") + number("sm_80") + number("sm_90a") == all);
  assert_true(number("sm_80") > 10 && number("sm_90a") > 10);
  runs("NETRUN_CUDA_FAMILY=sm_80 " REPLAY "--json out.json unet.cases");
  assert_true(number("launches") == all && number("sm_90a") == 0);
}

TEST(wrong_results_are_told) {
  assert_int_equal(sh(REPLAY "--tolerance 1e-12 --json out.json unet.cases"), 1);
  assert_non_null(strstr(said, "  WRONG conv:"));
  assert_non_null(strstr(said, ", the worst is element "));
  assert_true(number("wrong") > 10 && number("faults") == 0 && number("launches") > 100);
}

/* The kernel is named, and all other launches are made. */
TEST(a_fault_ends_one_launch) {
  runs(REPLAY "--json out.json unet.cases");
  long all = number("launches");
  assert_int_equal(
      sh("FAKE_CUDA_FAIL=cuLaunchKernel:%ld:700 " REPLAY "--json out.json unet.cases", all + all / 2), 1);
  assert_non_null(strstr(said, "  FAULT "));
  assert_non_null(strstr(said, "CUDA_ERROR_ILLEGAL_ADDRESS"));
  assert_int_equal(number("faults"), 1);
  assert_int_equal(number("wrong"), 0);
  assert_true(number("launches") > all - 10); /* but for those of the code that failed */
}

/* The PTX itself, run by a program that shares nothing with the compiler. NETC_PYTHON: a python with
 * numpy. */
TEST(the_text_computes_the_same) {
  const char *named = getenv("NETC_PYTHON"), *python = named ? named : "python3";
  if (sh("%s -c 'import numpy'", python)) {
    print_message("%s has no numpy here: PTX is not run\n", python);
    skip();
  }
  runs(EMULATED_BINARY " %s/models/unet.net - --processors 1 --tensor --cases tensor.cases 2e-3 size=[16,16] "
                       "widths=[8,16] batch=1",
       source);
  runs("%s %s/tests/gpu/ptx.py tensor.cases", python, source);
  assert_non_null(strstr(said, "ok   tensor.cases: "));
  assert_null(strstr(said, " 0 launches of sm_90a"));
  assert_int_equal(sh("%s %s/tests/gpu/ptx.py tensor.cases --tolerance 1e-9", python, source), 1);
  assert_non_null(strstr(said, "  WRONG conv:"));
}

TEST(what_cannot_be_replayed_is_told) {
  assert_int_equal(sh("FAKE_CUDA_DEVICES=0 " REPLAY "unet.cases"), 1);
  assert_non_null(strstr(said, "STOPPED no NVIDIA GPU"));
  assert_int_equal(sh("head -c 50000 unet.cases >short.cases && " REPLAY "short.cases"), 1);
  assert_non_null(strstr(said, "short.cases ends too early, or is damaged"));
  assert_int_equal(sh(REPLAY "%s/models/unet.net", source), 1);
  assert_non_null(strstr(said, "has no recorded launches"));
  assert_int_equal(sh(REPLAY "--seconds -1 unet.cases"), 1);
  assert_non_null(strstr(said, "LATE unet.cases"));
}

RUN_TESTS(set_up, scratch_tear_down)
