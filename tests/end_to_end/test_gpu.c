/* test_gpu.c - the shipped U-Nets and the V-Net on an emulated GPU (gpu_launches.h): every launch of
 * training, in which the network's forward pass is, and of the network alone. */
#include "tests/test.h"
#include "tests/end_to_end/gpu_launches.h"

#define CHECK(path, tolerance, ...)                                                                          \
  const Define define[] = {__VA_ARGS__};                                                                     \
  const GpuCheck c = {path, define, (int)(sizeof define / sizeof *define), tolerance}

TEST(unet_agrees) {
  CHECK("models/unet.net", 1e-3, {"batch", "2"}, {"size", "[16,16]"}, {"widths", "[8,33]"}, {"tf32", "off"});
  check_launches_of(&c);
}

/* A sum of products of rounded operands: 2^-11 of what is summed. */
TEST(unet_agrees_in_tf32) {
  CHECK("models/unet.net", 2e-3, {"batch", "2"}, {"size", "[16,16]"}, {"widths", "[12,40]"});
  check_launches_of(&c);
  check_newest_of(&c, 10);
}

TEST(bf16_unet_agrees) {
  CHECK("models/unet.net", 1e-3, {"batch", "2"}, {"size", "[16,16]"}, {"widths", "[16,24]"},
        {"precision", "bf16"});
  check_launches_of(&c);
  check_newest_of(&c, 10);
}

TEST(mean_teacher_agrees) {
  CHECK("models/mean_teacher.net", 2e-3, {"batch", "1"}, {"size", "[16,16]"}, {"widths", "[8,20]"});
  check_launches_of(&c);
  check_newest_of(&c, 10);
}

TEST(vnet_agrees) {
  CHECK("models/vnet.net", 2e-3, {"batch", "1"}, {"size", "[16,16,16]"}, {"n_filters", "4"});
  check_launches_of(&c);
  check_newest_of(&c, 10);
}

TEST(bf16_vnet_agrees) {
  CHECK("models/vnet.net", 2e-3, {"batch", "1"}, {"size", "[16,16,16]"}, {"n_filters", "4"},
        {"precision", "bf16"});
  check_launches_of(&c);
  check_newest_of(&c, 10);
}

RUN_TESTS(NULL, NULL)
