/* test_gpu_acts.c - ASE-Net on an emulated GPU, in 2-D and 3-D (gpu_launches.h): every launch of its
 * iterations, and of the network alone. */
#include "tests/test.h"
#include "tests/end_to_end/gpu_launches.h"

#define CHECK(path, tolerance, ...)                                                                          \
  const Define define[] = {__VA_ARGS__};                                                                     \
  const GpuCheck c = {path, define, (int)(sizeof define / sizeof *define), tolerance}

TEST(acts_agrees) {
  CHECK("models/asenet.net", 4e-3, {"batch", "1"}, {"size", "[32,32]"}, {"widths", "[8,16]"},
        {"disc_width", "8"});
  check_launches_of(&c);
}

TEST(newest_acts_agrees) {
  CHECK("models/asenet.net", 4e-3, {"batch", "1"}, {"size", "[16,16]"}, {"widths", "[8,16]"},
        {"disc_width", "8"});
  check_newest_of(&c, 10);
}

TEST(bf16_acts_agrees) {
  CHECK("models/asenet.net", 4e-3, {"batch", "1"}, {"size", "[16,16]"}, {"widths", "[8,16]"},
        {"disc_width", "8"}, {"precision", "bf16"});
  check_newest_of(&c, 10);
}

TEST(acts_in_3d_agrees) {
  CHECK("models/asenet3d.net", 2e-3, {"batch", "1"}, {"size", "[16,16,16]"}, {"n_filters", "2"});
  check_launches_of(&c);
}

TEST(newest_acts_in_3d_agrees) {
  CHECK("models/asenet3d.net", 2e-3, {"batch", "1"}, {"size", "[16,16,16]"}, {"n_filters", "2"});
  check_newest_of(&c, 10);
}

RUN_TESTS(NULL, NULL)
