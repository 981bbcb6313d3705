/* test_gpu_acts.c - ASE-Net on an emulated GPU, in 2-D and 3-D (gpu_launches.h): every launch of its
 * iterations, and of the network alone. */
#include "tests/end_to_end/gpu_launches.h"

#define CHECK(path, tolerance, ...)                                                                          \
  const Define define[] = {__VA_ARGS__};                                                                     \
  const GpuCheck c = {path, define, (int)(sizeof define / sizeof *define), tolerance}

static void acts_agrees(void **state) {
  (void)state;
  CHECK("models/asenet.net", 4e-3, {"batch", "1"}, {"size", "[32,32]"}, {"widths", "[8,16]"},
        {"disc_width", "8"});
  check_launches_of(&c);
}

static void newest_acts_agrees(void **state) {
  (void)state;
  CHECK("models/asenet.net", 4e-3, {"batch", "1"}, {"size", "[16,16]"}, {"widths", "[8,16]"},
        {"disc_width", "8"});
  check_newest_of(&c, 10);
}

static void bf16_acts_agrees(void **state) {
  (void)state;
  CHECK("models/asenet.net", 4e-3, {"batch", "1"}, {"size", "[16,16]"}, {"widths", "[8,16]"},
        {"disc_width", "8"}, {"precision", "bf16"});
  check_newest_of(&c, 10);
}

static void acts_in_3d_agrees(void **state) {
  (void)state;
  CHECK("models/asenet3d.net", 2e-3, {"batch", "1"}, {"size", "[16,16,16]"}, {"n_filters", "2"});
  check_launches_of(&c);
}

static void newest_acts_in_3d_agrees(void **state) {
  (void)state;
  CHECK("models/asenet3d.net", 2e-3, {"batch", "1"}, {"size", "[16,16,16]"}, {"n_filters", "2"});
  check_newest_of(&c, 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(acts_agrees),
      cmocka_unit_test(newest_acts_agrees),
      cmocka_unit_test(bf16_acts_agrees),
      cmocka_unit_test(acts_in_3d_agrees),
      cmocka_unit_test(newest_acts_in_3d_agrees),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
