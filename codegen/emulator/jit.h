/* jit.h - kernels compiled in this process, and looked up there. */
#ifndef NETC_JIT_H
#define NETC_JIT_H
#include "codegen/abi.h"
#include "codegen/kir/kir.h"

/* Where the machine lacks `isa`: with the lanes of `isa` and the instructions of the best set it has. */
typedef struct Jit Jit;
Jit *jit_new(const KFn *const *k, int n, NetcIsa isa, char err[IR_ERR]);
/* Kernels prepared by simt_prepare; jit_get gives a SimtThreadFn. */
Jit *jit_new_simt(const KFn *const *k, int n, char err[IR_ERR]);
NetcKernelFn jit_get(Jit *j, int i);
void jit_free(Jit *j);
#endif
