/* lower.h - a prepared kernel (simt.h) as the program of one thread, in LLVM. What a thread knows of its block, and what it
 * does beyond itself, are leaves with two implementations: a GPU's (ptx.c), and calls into an emulator on the
 * host (codegen/emulator/leaves.c), so that what is tested there is the program that a GPU runs, but for its leaves.
 */
#ifndef NETC_SIMT_LOWER_H
#define NETC_SIMT_LOWER_H
#include <llvm-c/TargetMachine.h>
#include "codegen/abi.h"
#include "codegen/util/bytes.h"
#include "codegen/llvm/lower_internal.h"
#include "codegen/gpu/simt.h"
#include "codegen/kir/wgmma.h"

typedef struct SimtLower SimtLower;
typedef struct {
  void (*begin)(SimtLower *s); /* where the body starts: sets lane, warp, task */
  LLVMValueRef (*seed)(SimtLower *s, int64_t word);
  LLVMValueRef (*argument)(SimtLower *s, int64_t number);
  LLVMValueRef (*parameter)(SimtLower *s, int64_t number); /* i64 */
  LLVMValueRef (*scratch)(SimtLower *s, int ins);
  /* Of element `at`, or of at + lane, of a buffer, for instruction `ins`. */
  LLVMValueRef (*address)(SimtLower *s, int ins, KV buf, LLVMValueRef at, bool by_lane, bool write);
  /* A 32-bit word of another lane: of lane number `lane`, or, exchange, of own number xor `lane`. */
  LLVMValueRef (*shuffle)(SimtLower *s, int ins, LLVMValueRef word, LLVMValueRef lane, bool exchange);
  void (*sync)(SimtLower *s, int ins, bool block);
  /* Registers are arrays on the stack of the thread, which LLVM makes registers of where it can. */
  LLVMValueRef (*tf32)(SimtLower *s, LLVMValueRef v);
  /* f32 rounded to bf16: the bits, i16, of low; or both, i32. Only where `rounds`. */
  LLVMValueRef (*bf16)(SimtLower *s, LLVMValueRef low, LLVMValueRef high);
  void (*load_matrix)(SimtLower *s, int ins, LLVMValueRef regs, KV buf, LLVMValueRef at, int64_t further,
                      bool turned);
  void (*mma)(SimtLower *s, int ins, bool bf16, LLVMValueRef sum, LLVMValueRef a, LLVMValueRef b);
  /* `from` < 0: zeros. */
  void (*copy_async)(SimtLower *s, int ins, KV to_buf, LLVMValueRef to, KV from_buf, LLVMValueRef from,
                     int64_t bytes);
  void (*commit)(SimtLower *s, int ins);
  void (*wait_group)(SimtLower *s, int ins, int64_t latest);
  LLVMValueRef (*matrix)(SimtLower *s, int ins, KV buf, LLVMValueRef at, int64_t form);
  void (*order)(SimtLower *s, int ins, KOp op); /* proxy_fence, wgmma_fence, wgmma_wait */
  /* a: registers, or else its matrix. */
  void (*wgmma)(SimtLower *s, int ins, bool bf16, LLVMValueRef sum, LLVMValueRef a, LLVMValueRef a_matrix,
                LLVMValueRef b_matrix);
} SimtLeaves;

/* A product of the run that is being collected (ptx_wgmma.c). */
typedef struct {
  bool bf16, turned;
  int n;
  LLVMValueRef sum, a, a_matrix, b_matrix;
} SimtProduct;

struct SimtLower {
  Lower l; /* first */
  const SimtLeaves *leaf;
  LLVMValueRef lane, warp, task; /* i32, i32, i64 */
  bool rounds;                   /* the family has instructions that round to bf16 */
  int nscratch;
  SimtProduct product[WGMMA_RUN];
  int nproduct;
};

/* Adds function `symbol` of prepared kernel k: an entry of NetcDeviceCode. */
LLVMValueRef simt_lower_ptx(LLVMModuleRef m, const KFn *k, const char *symbol);
LLVMTargetMachineRef simt_ptx_target(NetcSm sm, char err[256]);
/* PTX text with the one entry `symbol` of prepared kernel k. false and a message. */
bool simt_ptx(const KFn *k, NetcSm sm, LLVMTargetMachineRef tm, const char *symbol, Bytes *text,
              char err[256]);
const char *simt_sm_name(NetcSm sm); /* sm_75 */

/* Adds function `symbol` of type SimtThreadFn. */
LLVMValueRef simt_lower_host(LLVMModuleRef m, const KFn *k, const char *symbol);

/* Lowers instruction ins where it is one of those that warps do together (warp.c). */
bool simt_warp(SimtLower *s, int ins, LLVMValueRef *out);
/* Register i of `regs`, i32 or float. */
LLVMValueRef simt_reg(Lower *l, LLVMTypeRef t, LLVMValueRef regs, int64_t i);

/* The leaves of a GPU for these (ptx_wgmma.c). */
LLVMValueRef simt_ptx_matrix(SimtLower *s, int ins, KV buf, LLVMValueRef at, int64_t form);
void simt_ptx_order(SimtLower *s, int ins, KOp op);
void simt_ptx_wgmma(SimtLower *s, int ins, bool bf16, LLVMValueRef sum, LLVMValueRef a, LLVMValueRef a_matrix,
                    LLVMValueRef b_matrix);

/* What the emulated threads call. `thread` is theirs to hand on; `ins` numbers the kernel's instructions; buffers are numbered
 * arguments first, then scratch arrays. */
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
  uint64_t (*matrix)(void *thread, int32_t ins, int32_t buffer, int64_t at, int64_t form);
  void (*order)(void *thread, int32_t ins, int32_t op); /* a KOp */
  void (*wgmma)(void *thread, int32_t ins, int32_t bf16, float *sum, const uint32_t *a, uint64_t a_matrix,
                uint64_t b_matrix);
} SimtCalls;
typedef void (*SimtThreadFn)(const SimtCalls *calls, void *thread, int32_t lane, int32_t warp, int64_t task,
                             const NetcStep *step, const uint64_t *param);

/* For the leaves. */
void simt_lower(SimtLower *s);
LLVMValueRef simt_call(Lower *l, const char *intrinsic, LLVMValueRef *args, int n); /* not overloaded */
#endif
