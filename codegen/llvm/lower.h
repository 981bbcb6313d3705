/* lower.h - kernel level to LLVM IR (one switch in lower.c), and from there to an object file. Vectors are
 * explicit, so no vectoriser runs. */
#ifndef NETC_LLVM_LOWER_H
#define NETC_LLVM_LOWER_H
#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>
#include "codegen/util/bytes.h"
#include "codegen/kir/kir.h"
#include "codegen/abi.h"

LLVMTargetMachineRef
lower_target(NetcIsa isa, char err[IR_ERR]); /* x86-64-v3, x86-64-v4, x86-64-v4 with avx512bf16; PIC */
const char *lower_cpu(NetcIsa isa), *lower_features(NetcIsa isa);
LLVMTargetMachineRef lower_target_quick(char err[IR_ERR]); /* code quickly made, for what runs little */
/* Adds function `symbol` with the signature of NetcKernelFn. */
LLVMValueRef lower_kernel(LLVMModuleRef m, const KFn *k, NetcIsa isa, const char *symbol);
bool lower_optimise(LLVMModuleRef m, LLVMTargetMachineRef tm, char err[IR_ERR]);
/* Machine code or assembly of m, appended to *out; code generation changes m. */
bool lower_generate(LLVMModuleRef m, LLVMTargetMachineRef tm, LLVMCodeGenFileType type, Bytes *out,
                    char err[IR_ERR]);
#endif
