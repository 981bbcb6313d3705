/* codegen.h - a program whose passes have run becomes one shared object. */
#ifndef NETC_CODEGEN_H
#define NETC_CODEGEN_H
#include "../ir/ir.h"

typedef struct {
  const char *output;  /* path of the .so */
  const char *options; /* text for NetcModule.options */
  unsigned isas;       /* bit set of NetcIsa; 0 = all */
  int threads;         /* compile threads */
  FILE *emit;          /* where kernels, llvm, asm or plan go when asked */
  bool emit_kernels, emit_llvm, emit_asm, emit_plan, explain;
  double peak, bandwidth; /* explain: flops and bytes per second of the machine to hold kernels against */
  bool debug;             /* verify kernels and LLVM modules */
} CodegenOptions;

/* Emits kernels, plans memory, lowers through LLVM, links. Writes output atomically. false and a message on failure. */
bool codegen_run(Program *p, const CodegenOptions *opt, char err[512]);
#endif
