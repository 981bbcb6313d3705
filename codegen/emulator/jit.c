/* jit.c - kernels compiled by the same road as a module's (object code, not lazily), but loaded into this
 * process. Kernels for more lanes than this machine has are compiled for what it has: LLVM splits their
 * vectors, so that what an emitter wrote for 16 lanes is tested on any machine. */
#include <stdio.h>
#include <stdlib.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include "codegen/isa.h"
#include "codegen/emulator/jit.h"
#include "codegen/emulator/leaves.h"
#include "codegen/llvm/lower.h"

struct Jit {
  LLVMOrcLLJITRef lljit;
  int n;
};

static bool failed(LLVMErrorRef e, char err[IR_ERR]) {
  if (!e) return false;
  char *message = LLVMGetErrorMessage(e);
  ir_error(err, "JIT: %s", message);
  LLVMDisposeErrorMessage(message);
  return true;
}

/* NULL and a message on failure. */
static LLVMMemoryBufferRef compile(const KFn *const *k, int n, NetcIsa isa, bool simt, char err[IR_ERR]) {
  if ((int)isa > netc_host_isa()) isa = (NetcIsa)netc_host_isa();
  LLVMTargetMachineRef tm = simt ? lower_target_quick(err) : lower_target(isa, err);
  if (!tm) return NULL;
  LLVMContextRef c = LLVMContextCreate();
  LLVMModuleRef m = LLVMModuleCreateWithNameInContext("jit", c);
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(tm);
  LLVMSetModuleDataLayout(m, layout);
  LLVMDisposeTargetData(layout);
  for (int i = 0; i < n; i++) {
    char symbol[32];
    snprintf(symbol, sizeof symbol, "kernel_%d", i);
    if (simt) simt_lower_host(m, k[i], symbol);
    else lower_kernel(m, k[i], isa, symbol);
  }
  char *message = NULL;
  LLVMMemoryBufferRef object = NULL;
  if (LLVMVerifyModule(m, LLVMReturnStatusAction, &message)) {
    ir_error(err, "LLVM verifier: %s", message);
  } else if (lower_optimise(m, tm, err)) {
    LLVMDisposeMessage(message);
    message = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(tm, m, LLVMObjectFile, &message, &object))
      ir_error(err, "LLVM code generation: %s", message);
  }
  LLVMDisposeMessage(message);
  LLVMDisposeModule(m);
  LLVMContextDispose(c);
  LLVMDisposeTargetMachine(tm);
  return object;
}

static Jit *load(const KFn *const *k, int n, NetcIsa isa, bool simt, char err[IR_ERR]) {
  LLVMMemoryBufferRef object = compile(k, n, isa, simt, err);
  if (!object) return NULL;
  Jit *j = calloc(1, sizeof *j);
  if (!j || failed(LLVMOrcCreateLLJIT(&j->lljit, NULL), err)) {
    LLVMDisposeMemoryBuffer(object);
    free(j);
    return NULL;
  }
  j->n = n;
  if (failed(LLVMOrcLLJITAddObjectFile(j->lljit, LLVMOrcLLJITGetMainJITDylib(j->lljit), object), err)) {
    jit_free(j);
    return NULL;
  }
  return j;
}

Jit *jit_new(const KFn *const *k, int n, NetcIsa isa, char err[IR_ERR]) {
  for (int i = 0; i < n; i++)
    if (!kir_verify(k[i], err)) return NULL;
  return load(k, n, isa, false, err);
}

Jit *jit_new_simt(const KFn *const *k, int n, char err[IR_ERR]) {
  return load(k, n, NETC_ISA_AVX2, true, err);
}

NetcKernelFn jit_get(Jit *j, int i) {
  char symbol[32], err[IR_ERR];
  LLVMOrcExecutorAddress address = 0;
  if (i < 0 || i >= j->n) return NULL;
  snprintf(symbol, sizeof symbol, "kernel_%d", i);
  if (failed(LLVMOrcLLJITLookup(j->lljit, &address, symbol), err)) return NULL;
  return (NetcKernelFn)(uintptr_t)address;
}

void jit_free(Jit *j) {
  if (!j) return;
  char err[IR_ERR];
  failed(LLVMOrcDisposeLLJIT(j->lljit), err);
  free(j);
}
