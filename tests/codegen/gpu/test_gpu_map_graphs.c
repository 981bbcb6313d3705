/* test_gpu_map_graphs.c - random graphs of maps with kernels for a GPU, emulated: the graphs of
 * test_map_graphs.c. */
#define OPS_MACHINE machine_gpu
#define ON_GPU
#define GRAPHS 100
#include "tests/codegen/emit/test_map_graphs.c"
