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
#endif
