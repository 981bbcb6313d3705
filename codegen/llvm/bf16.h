/* bf16.h - bf16 in memory, f32 in registers, as LLVM instructions on scalars and vectors alike. All of it is
 * integer arithmetic on the bits (ir/bf16.h), except where `native` says that the set has instructions for
 * bf16: their rounding is the same but for denormals, which become 0. */
#ifndef NETC_LLVM_BF16_H
#define NETC_LLVM_BF16_H
#include <llvm-c/Core.h>
#include <stdbool.h>

LLVMValueRef llvm_bf16_widen(LLVMBuilderRef b, LLVMValueRef half);           /* i16 bits to f32 */
LLVMValueRef llvm_bf16_splat(LLVMBuilderRef b, LLVMValueRef half, int n);    /* one i16 to n lanes of f32 */
LLVMValueRef llvm_bf16_round(LLVMBuilderRef b, LLVMValueRef v, bool native); /* f32 to f32 */
/* f32 to i16 bits; `exact`: v is known to be a bf16 already. */
LLVMValueRef llvm_bf16_narrow(LLVMBuilderRef b, LLVMValueRef v, bool exact, bool native);
/* Two vectors of 16 f32, rounded, as the halves of an i32 each: only where the set has the instruction. */
LLVMValueRef llvm_bf16_pair(LLVMBuilderRef b, LLVMValueRef low, LLVMValueRef high);
/* c + a.low * b.low + a.high * b.high for vectors of pairs in i32. */
LLVMValueRef llvm_bf16_dot2(LLVMBuilderRef b, LLVMValueRef pairs, LLVMValueRef other, LLVMValueRef c,
                            bool native);
#endif
