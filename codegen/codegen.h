/* codegen.h - a program whose passes have run becomes one shared object. */
#ifndef NETC_CODEGEN_H
#define NETC_CODEGEN_H
#include "ir/ir.h"
#include "codegen/cache/cache.h"

/* What a compile did, and the seconds it took. */
typedef struct {
  int kernels, codes,
      cached; /* codes: different ones, of all instruction sets; cached: of these found in the cache */
  double emit, compile, link; /* kernels and memory plan; LLVM; tables and the linker */
} CodegenReport;

typedef struct {
  const char *output;  /* path of the .so */
  const char *options; /* text for NetcModule.options */
  unsigned isas;       /* bit set of NetcIsa; 0 = all */
  bool device;         /* NVIDIA GPUs too */
  int threads;         /* compile threads */
  FILE *emit;          /* where kernels, llvm, asm, ptx or plan go when asked */
  bool emit_kernels, emit_llvm, emit_asm, emit_ptx, emit_plan, explain;
  double peak, bandwidth; /* explain: flops and bytes per second of the machine to hold kernels against */
  bool debug;             /* verify kernels and LLVM modules */
  Cache *cache;           /* of kernels' object code; NULL = none */
  Bytes *image;           /* where not NULL: receives the bytes of the module */
  CodegenReport *report;  /* where not NULL */
} CodegenOptions;

enum { FIT_ERR = 4 * IR_ERR }; /* bytes of codegen_fit's message, which has several lines */

/* Recomputation until every function fits `budget` bytes along with the variables and a second copy of the
 * batch, which the host reads in the meantime: replaces functions of p by others made of `fused` (as they
 * were before pass remat). A function that returns every gradient only comes as close as it can. false and a
 * message, of several lines, that says what the least is and what holds it. */
bool codegen_fit(Program *p, Fn *const *fused, int64_t budget, char err[FIT_ERR]);
int64_t batch_bytes(const Program *p); /* one batch of every stream */

/* Emits kernels, plans memory, lowers through LLVM, links. Writes output atomically. false and a message on
 * failure. */
bool codegen_run(Program *p, const CodegenOptions *opt, char err[IR_ERR]);
/* Puts the bytes of a module at `output`, as atomically. */
bool codegen_place(const Bytes *image, const char *output, char err[IR_ERR]);
#endif
