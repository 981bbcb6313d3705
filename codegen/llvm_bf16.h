/* llvm_bf16.h - bf16 in memory, f32 in registers, as LLVM instructions on scalars and vectors alike. All of it is integer
 * arithmetic on the bits (ir/bf16.h), so that every instruction set gives the same ones. */
#ifndef NETC_LLVM_BF16_H
#define NETC_LLVM_BF16_H
#include <llvm-c/Core.h>
#include <stdbool.h>

LLVMValueRef llvm_bf16_widen(LLVMBuilderRef b, LLVMValueRef half);        /* i16 bits to f32 */
LLVMValueRef llvm_bf16_splat(LLVMBuilderRef b, LLVMValueRef half, int n); /* one i16 to n lanes of f32 */
LLVMValueRef llvm_bf16_round(LLVMBuilderRef b, LLVMValueRef v);           /* f32 to f32 */
/* f32 to i16 bits; `exact`: v is known to be a bf16 already. */
LLVMValueRef llvm_bf16_narrow(LLVMBuilderRef b, LLVMValueRef v, bool exact);
#endif
