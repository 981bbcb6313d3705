/* leaves.h - what one thread's program leaves open (lower.h): how it learns of its block, and whatever it
 * does beyond itself, as a table of functions. lower.c, warp.c and ptx_wgmma.c write the program around calls
 * of them; who implements the table sets SimtLower.leaf and calls simt_lower. */
#ifndef NETC_SIMT_LEAVES_H
#define NETC_SIMT_LEAVES_H
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
                      bool transposed);
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
  bool bf16, transposed;
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

/* The body of s->l.k into s->l.fn; s->l and s->leaf are set. */
void simt_lower(SimtLower *s);
LLVMValueRef simt_call(Lower *l, const char *intrinsic, LLVMValueRef *args, int n); /* not overloaded */

/* Lowers instruction ins where it is one of those that warps do together (warp.c). */
bool simt_warp(SimtLower *s, int ins, LLVMValueRef *out);
/* Register i of `regs`, i32 or float. */
LLVMValueRef simt_reg(Lower *l, LLVMTypeRef t, LLVMValueRef regs, int64_t i);

/* The leaves of a GPU for these (ptx_wgmma.c). */
LLVMValueRef simt_ptx_matrix(SimtLower *s, int ins, KV buf, LLVMValueRef at, int64_t form);
void simt_ptx_order(SimtLower *s, int ins, KOp op);
void simt_ptx_wgmma(SimtLower *s, int ins, bool bf16, LLVMValueRef sum, LLVMValueRef a, LLVMValueRef a_matrix,
                    LLVMValueRef b_matrix);
#endif
