/* machine.c - the numbers of machine.h. */
#include "codegen/emit/core/machine.h"
#include "codegen/kir/kir.h"

/* Tasks for the threads of a large machine, and cache as a core of a small one has it: half of the second level is 256 KB. */
const Machine machine_host = {
    .name = "host",
    .isas = NETC_ISA_COUNT,
    .kernels = (1u << NETC_ISA_COUNT) - 1,
    .isa = {[NETC_ISA_AVX2] = {8, 16}, [NETC_ISA_AVX512] = {16, 32}, [NETC_ISA_AVX512_BF16] = {16, 32}},
    .tasks = 64,
    .task_macs = 1 << 18,
    .task_cost = 32768,
    .task_visits = 8192,
    .task_rows = 4,
    .scratch = 256 << 10,
    .max_scratch = KIR_MAX_SCRATCH,
    .near_bytes = 400 << 10,
    .box_pixels = 256,
    .x_bytes = 208 << 10,
    .parts_bytes = 16 << 20,
};

/* Warps for a few hundred schedulers, some for each. A warp's cache is a small share of the first level; its scratch is
 * shared memory, of which every GPU gives a block 48 KB (4 are left for what pads it). Tiles of 48 registers leave a thread enough for addresses. */
const Machine machine_gpu = {
    .name = "gpu",
    .simt = true,
    .isas = 1,
    .kernels = 1,
    .isa = {{32, 48}},
    .tasks = 2048,
    .task_macs = 1 << 14,
    .task_cost = 4096,
    .task_visits = 512,
    .task_rows = 1,
    .scratch = 44 << 10,
    .max_scratch = 48 << 10,
    .near_bytes = 16 << 10,
    .box_pixels = 32,
    .x_bytes = 20 << 10,
    .parts_bytes = 64 << 20,
    .sms = 128,
    .part_steps = 8,
    .launch_cost = 1 << 20,
    .byte_cost = 32,
};
