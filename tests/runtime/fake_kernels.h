/* fake_kernels.h - what fake_cuda.c runs where a GPU would run PTX: a shared object, named by
 * FAKE_CUDA_KERNELS, with one program for every entry. */
#ifndef FAKE_KERNELS_H
#define FAKE_KERNELS_H
#include "codegen/abi.h"

/* SimtCalls and SimtThreadFn of codegen/emulator/leaves.h, without LLVM's headers. */
typedef struct {
  void *(*address)(void *thread, int32_t ins, int32_t buffer, int64_t at, int32_t bytes, int32_t write);
  uint32_t (*shuffle)(void *thread, int32_t ins, uint32_t word, int32_t lane, int32_t exchange);
  void (*sync)(void *thread, int32_t ins, int32_t block);
  void (*load_matrix)(void *thread, int32_t ins, int32_t buffer, int64_t at, int32_t turned, uint32_t *regs);
  void (*mma)(void *thread, int32_t ins, int32_t bf16, float *sum, const uint32_t *a, const uint32_t *b);
  void (*copy_async)(void *thread, int32_t ins, int32_t to, int64_t to_at, int32_t from, int64_t from_at,
                     int32_t bytes);
  void (*commit)(void *thread, int32_t ins);
  void (*wait_group)(void *thread, int32_t ins, int32_t latest);
  /* Of forms for sm_90a, which are not run here. */
  uint64_t (*matrix)(void *thread, int32_t ins, int32_t buffer, int64_t at, int64_t form);
  void (*order)(void *thread, int32_t ins, int32_t op);
  void (*wgmma)(void *thread, int32_t ins, int32_t bf16, float *sum, const uint32_t *a, uint64_t a_matrix,
                uint64_t b_matrix);
} FakeCalls;

typedef struct {
  const char *entry;
  int nargs, nparams;
  NetcKernelFn whole; /* does a task by itself, with its parameters as further arguments; or */
  void (*thread)(const FakeCalls *calls, void *thread, int32_t lane, int32_t warp, int64_t task,
                 const NetcStep *step, const uint64_t *param);
  int warps; /* of a task */
  int nscratch;
  const int64_t *scratch; /* bytes of each array */
  const int *element;     /* bytes of an element, of arguments and then scratch */
} FakeKernel;

typedef struct {
  int n;
  const FakeKernel *kernel;
} FakeKernels;

/* Exported under the name fake_kernels. */
typedef const FakeKernels *(*FakeKernelsFn)(void);
#endif
