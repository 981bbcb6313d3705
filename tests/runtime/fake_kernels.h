/* fake_kernels.h - what fake_cuda.c runs where a GPU would run PTX: a shared object, named by FAKE_CUDA_KERNELS, with one program for
 * every entry. */
#ifndef FAKE_KERNELS_H
#define FAKE_KERNELS_H
#include "codegen/abi.h"

/* SimtCalls and SimtThreadFn of codegen/simt_lower.h, without LLVM's headers. */
typedef struct {
  void *(*address)(void *thread, int32_t ins, int32_t buffer, int64_t at, int32_t bytes, int32_t write);
  uint32_t (*shuffle)(void *thread, int32_t ins, uint32_t word, int32_t lane, int32_t exchange);
  void (*sync)(void *thread, int32_t ins, int32_t block);
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
} FakeKernel;

typedef struct {
  int n;
  const FakeKernel *kernel;
} FakeKernels;

/* Exported under the name fake_kernels. */
typedef const FakeKernels *(*FakeKernelsFn)(void);
#endif
