/* test_gpu_conv.c - convolutions on a GPU, emulated, against the interpreter: the cases of test_conv.c. Where
 * the shape allows it they go by tensor cores, in tf32 and bf16, which hold small integers exactly. They are
 * planned in turn for three GPUs: as all are, with a single processor, to which large tiles are best, and
 * with so many that sums are cut into parts wherever they can be. */
#include "codegen/emit/core/machine.h"
static const Machine *conv_machine(void) {
  static Machine small, cut;
  static int calls;
  small = cut = machine_gpu;
  small.sms = 1;
  cut.sms = 8, cut.part_steps = 1, cut.launch_cost = cut.byte_cost = 0;
  const Machine *const turn[] = {&machine_gpu, &small, &cut};
  return turn[calls++ % 3];
}
#define CONV_MACHINE *conv_machine()
#define CONV_RANDOM  2
#include "tests/codegen/emit/test_conv.c"
