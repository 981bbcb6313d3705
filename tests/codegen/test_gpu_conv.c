/* Convolutions on a GPU, emulated, against the interpreter: the cases of test_conv.c. Where the shape allows it they go by tensor
 * cores, in tf32 and bf16, which hold small integers exactly. Every other one is planned for a GPU with a single processor, to which
 * large tiles are best. */
#include "codegen/machine.h"
static const Machine *conv_machine(void) {
  static Machine small;
  static int calls;
  small = machine_gpu;
  small.processors = 1;
  return calls++ % 2 ? &small : &machine_gpu;
}
#define CONV_MACHINE *conv_machine()
#define CONV_RANDOM  2
#include "test_conv.c"
