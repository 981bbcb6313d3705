/* target.c - LLVM's machines for the instruction sets, and the passes that run over every module. */
#include <pthread.h>
#include <string.h>
#include <llvm-c/Error.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include "codegen/llvm/lower.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void init(void) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  LLVMInitializeX86AsmParser();
}

const char *lower_cpu(NetcIsa isa) { return isa == NETC_ISA_AVX2 ? "x86-64-v3" : "x86-64-v4"; }
const char *lower_features(NetcIsa isa) { return isa == NETC_ISA_AVX512_BF16 ? "+avx512bf16" : ""; }

static LLVMTargetMachineRef machine(NetcIsa isa, LLVMCodeGenOptLevel level, char err[IR_ERR]) {
  static const char triple[] = "x86_64-unknown-linux-gnu";
  pthread_once(&once, init);
  LLVMTargetRef target;
  char *message = NULL;
  if (LLVMGetTargetFromTriple(triple, &target, &message)) {
    ir_error(err, "LLVM has no target %s: %s", triple, message);
    LLVMDisposeMessage(message);
    return NULL;
  }
  LLVMTargetMachineRef tm = LLVMCreateTargetMachine(target, triple, lower_cpu(isa), lower_features(isa),
                                                    level, LLVMRelocPIC, LLVMCodeModelDefault);
  if (!tm) ir_error(err, "LLVM cannot make a machine for %s", triple);
  return tm;
}

LLVMTargetMachineRef lower_target(NetcIsa isa, char err[IR_ERR]) {
  return machine(isa, LLVMCodeGenLevelDefault, err);
}

LLVMTargetMachineRef lower_target_quick(char err[IR_ERR]) {
  return machine(NETC_ISA_AVX2, LLVMCodeGenLevelNone, err);
}

/* Vectors and loops are as the emitters wrote them; what is left to do is registers for locals, common
 * addresses and moving invariant work out of loops.
 *
 * instcombine takes constants out of offsets, and licm behind it adds them to the buffers before the loop. On
 * a GPU each such sum is two registers all the while, where a constant in the access is none: there
 * invariants move first. */
bool lower_optimise(LLVMModuleRef m, LLVMTargetMachineRef tm, char err[IR_ERR]) {
  static const char host[] =
      "function(sroa,early-cse,simplifycfg,instcombine<no-verify-fixpoint>,loop-mssa(licm),early-cse)";
  static const char gpu[] =
      "function(sroa,early-cse,simplifycfg,loop-mssa(licm),instcombine<no-verify-fixpoint>,early-cse)";
  const char *passes = strncmp(LLVMGetTarget(m), "nvptx", 5) ? host : gpu;
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  LLVMErrorRef error = LLVMRunPasses(m, passes, tm, options);
  LLVMDisposePassBuilderOptions(options);
  if (!error) return true;
  char *message = LLVMGetErrorMessage(error);
  ir_error(err, "LLVM passes: %s", message);
  LLVMDisposeErrorMessage(message);
  return false;
}

bool lower_generate(LLVMModuleRef m, LLVMTargetMachineRef tm, LLVMCodeGenFileType type, Bytes *out,
                    char err[IR_ERR]) {
  LLVMMemoryBufferRef buffer = NULL;
  char *message = NULL;
  bool good = !LLVMTargetMachineEmitToMemoryBuffer(tm, m, type, &message, &buffer);
  if (good) {
    bytes_add(out, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
    LLVMDisposeMemoryBuffer(buffer);
  } else ir_error(err, "%s", message);
  LLVMDisposeMessage(message);
  return good;
}
