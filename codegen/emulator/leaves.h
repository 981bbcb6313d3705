/* leaves.h - a prepared kernel as the program of one emulated thread: a function that the host runs, whose
 * leaves (codegen/gpu/leaves.h) are calls into the emulator. */
#ifndef NETC_EMULATE_LEAVES_H
#define NETC_EMULATE_LEAVES_H
#include <llvm-c/Core.h>
#include "codegen/abi.h"
#include "codegen/kir/kir.h"

/* Adds function `symbol` of type SimtThreadFn. */
LLVMValueRef simt_lower_host(LLVMModuleRef m, const KFn *k, const char *symbol);

/* What the emulated threads call. `thread` is theirs to hand on; `ins` numbers the kernel's instructions;
 * buffers are numbered arguments first, then scratch arrays. */
typedef struct {
  void *(*address)(void *thread, int32_t ins, int32_t buffer, int64_t at, int32_t bytes, int32_t write);
  uint32_t (*shuffle)(void *thread, int32_t ins, uint32_t word, int32_t lane, int32_t exchange);
  void (*sync)(void *thread, int32_t ins, int32_t block);
  void (*load_matrix)(void *thread, int32_t ins, int32_t buffer, int64_t at, int32_t transposed,
                      uint32_t *regs);
  void (*mma)(void *thread, int32_t ins, int32_t bf16, float *sum, const uint32_t *a, const uint32_t *b);
  void (*copy_async)(void *thread, int32_t ins, int32_t to, int64_t to_at, int32_t from, int64_t from_at,
                     int32_t bytes);
  void (*commit)(void *thread, int32_t ins);
  void (*wait_group)(void *thread, int32_t ins, int32_t latest);
  uint64_t (*matrix)(void *thread, int32_t ins, int32_t buffer, int64_t at, int64_t form);
  void (*order)(void *thread, int32_t ins, int32_t op); /* a KOp */
  void (*wgmma)(void *thread, int32_t ins, int32_t bf16, float *sum, const uint32_t *a, uint64_t a_matrix,
                uint64_t b_matrix);
} SimtCalls;
typedef void (*SimtThreadFn)(const SimtCalls *calls, void *thread, int32_t lane, int32_t warp, int64_t task,
                             const NetcStep *step, const uint64_t *param);
#endif
