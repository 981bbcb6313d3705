/* object.c - kernels to object files. The work is cut into chunks of kernels for one instruction set; every
 * chunk is an LLVM module in a context of its own, so that threads share nothing but the number of the next
 * chunk. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <llvm-c/Analysis.h>
#include "llvm_lower.h"
#include "module.h"

enum { CHUNK = 12 };

typedef struct {
  int first, n, isa; /* kernels [first, first + n) for one set */
  char *llvm, *assembly;
} Chunk;

typedef struct {
  const Module *m;
  const char *dir;
  Chunk *chunk;
  int nchunk;
  atomic_int next;
  atomic_bool failed;
  pthread_mutex_t lock; /* of err */
  char *err;
} Work;

const char *kernel_symbol(char out[48], int kernel, int isa) {
  snprintf(out, 48, "netc_kernel_%d_%s", kernel, isa == NETC_ISA_AVX512 ? "avx512" : "avx2");
  return out;
}

static void fail(Work *w, const char *what, const char *why) {
  pthread_mutex_lock(&w->lock);
  if (!atomic_exchange(&w->failed, true)) snprintf(w->err, 512, "%s: %.400s", what, why);
  pthread_mutex_unlock(&w->lock);
}

static LLVMModuleRef lower_chunk(const Work *w, const Chunk *c, LLVMContextRef context,
                                 LLVMTargetMachineRef tm) {
  LLVMModuleRef m = LLVMModuleCreateWithNameInContext("kernels", context);
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(tm);
  LLVMSetModuleDataLayout(m, layout);
  LLVMDisposeTargetData(layout);
  LLVMSetTarget(m, "x86_64-unknown-linux-gnu");
  for (int i = c->first; i < c->first + c->n; i++) {
    char symbol[48];
    LLVMValueRef fn =
        lower_kernel(m, w->m->kernel[i].k[c->isa], (NetcIsa)c->isa, kernel_symbol(symbol, i, c->isa));
    LLVMSetVisibility(fn, LLVMHiddenVisibility);
  }
  return m;
}

/* The texts asked for by --emit; assembly last, code generation changes the module. */
static void keep_texts(const Work *w, Chunk *c, LLVMModuleRef m, LLVMTargetMachineRef tm) {
  if (w->m->opt->emit_llvm) {
    char *text = LLVMPrintModuleToString(m);
    c->llvm = strdup(text);
    LLVMDisposeMessage(text);
  }
  if (!w->m->opt->emit_asm) return;
  LLVMModuleRef copy = LLVMCloneModule(m);
  LLVMMemoryBufferRef text = NULL;
  char *message = NULL;
  if (!LLVMTargetMachineEmitToMemoryBuffer(tm, copy, LLVMAssemblyFile, &message, &text)) {
    c->assembly = strndup(LLVMGetBufferStart(text), LLVMGetBufferSize(text));
    LLVMDisposeMemoryBuffer(text);
  }
  LLVMDisposeMessage(message);
  LLVMDisposeModule(copy);
}

static void compile_chunk(Work *w, int number, LLVMTargetMachineRef tm) {
  Chunk *c = &w->chunk[number];
  LLVMContextRef context = LLVMContextCreate();
  LLVMModuleRef m = lower_chunk(w, c, context, tm);
  char *message = NULL, path[320], err[256];
  snprintf(path, sizeof path, "%s/%d.o", w->dir, number);
  if (w->m->opt->debug && LLVMVerifyModule(m, LLVMReturnStatusAction, &message)) {
    fail(w, "internal error, LLVM's verifier refuses a kernel", message);
  } else if (!lower_optimise(m, tm, err)) {
    fail(w, "internal error", err);
  } else {
    keep_texts(w, c, m, tm);
    LLVMDisposeMessage(message);
    message = NULL;
    if (LLVMTargetMachineEmitToFile(tm, m, path, LLVMObjectFile, &message)) fail(w, path, message);
  }
  LLVMDisposeMessage(message);
  LLVMDisposeModule(m);
  LLVMContextDispose(context);
}

static void *worker(void *arg) {
  Work *w = arg;
  LLVMTargetMachineRef tm[NETC_ISA_COUNT] = {0};
  char err[256];
  for (;;) {
    int i = atomic_fetch_add(&w->next, 1);
    if (i >= w->nchunk || atomic_load(&w->failed)) break;
    int isa = w->chunk[i].isa;
    if (!tm[isa] && !(tm[isa] = lower_target((NetcIsa)isa, err))) {
      fail(w, "internal error", err);
      break;
    }
    compile_chunk(w, i, tm[isa]);
  }
  for (int i = 0; i < NETC_ISA_COUNT; i++)
    if (tm[i]) LLVMDisposeTargetMachine(tm[i]);
  return NULL;
}

static void cut(Work *w) {
  const Module *m = w->m;
  w->chunk = arena_alloc(m->arena, (size_t)(m->nkernel / CHUNK + 1) * NETC_ISA_COUNT * sizeof *w->chunk);
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++)
    for (int i = 0; i < m->nkernel && (m->isas >> isa & 1); i += CHUNK)
      w->chunk[w->nchunk++] =
          (Chunk){.first = i, .n = m->nkernel - i < CHUNK ? m->nkernel - i : CHUNK, .isa = isa};
}

static void write_texts(Work *w) {
  for (int i = 0; i < w->nchunk; i++) {
    Chunk *c = &w->chunk[i];
    if (c->llvm) fputs(c->llvm, w->m->opt->emit);
    if (c->assembly) fputs(c->assembly, w->m->opt->emit);
    free(c->llvm);
    free(c->assembly);
  }
}

bool compile_kernels(const Module *m, const char *dir, int *nobjects, char err[512]) {
  enum { MAX_THREADS = 64 };
  Work w = {.m = m, .dir = dir, .err = err};
  cut(&w);
  pthread_mutex_init(&w.lock, NULL);
  pthread_t thread[MAX_THREADS];
  int n = m->opt->threads < 1             ? 1
          : m->opt->threads > MAX_THREADS ? MAX_THREADS
                                          : m->opt->threads,
      started = 0;
  for (; started < n - 1 && started < w.nchunk - 1; started++)
    if (pthread_create(&thread[started], NULL, worker, &w)) break; /* fewer threads do it too */
  worker(&w);
  for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
  pthread_mutex_destroy(&w.lock);
  write_texts(&w);
  *nobjects = w.nchunk;
  return !atomic_load(&w.failed);
}
