/* lower.h - a prepared kernel (simt.h) as the program of one thread, in LLVM, and as PTX. What a thread knows
 * of its block, and what it does beyond itself, are leaves (leaves.h) with two implementations: a GPU's
 * (ptx.c), and calls into an emulator on the host (codegen/emulator/leaves.c), so that what is tested there
 * is the program that a GPU runs, but for its leaves. */
#ifndef NETC_SIMT_LOWER_H
#define NETC_SIMT_LOWER_H
#include <llvm-c/TargetMachine.h>
#include "codegen/abi.h"
#include "codegen/util/bytes.h"
#include "codegen/gpu/simt.h"

/* Adds function `symbol` of prepared kernel k: an entry of NetcDeviceCode. */
LLVMValueRef simt_lower_ptx(LLVMModuleRef m, const KFn *k, const char *symbol);
LLVMTargetMachineRef simt_ptx_target(NetcSm sm, char err[IR_ERR]);
/* PTX text with the one entry `symbol` of prepared kernel k. false and a message. */
bool simt_ptx(const KFn *k, NetcSm sm, LLVMTargetMachineRef tm, const char *symbol, Bytes *text,
              char err[IR_ERR]);

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
