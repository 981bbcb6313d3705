/* test_gpu_ops.c - every op's kernels for a GPU, emulated, against the interpreter: the cases of
 * test_ops.c. */
#define OPS_MACHINE machine_gpu
#include "tests/codegen/emit/test_ops.c"
