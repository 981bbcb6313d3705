/* compile.c - kernels to object code. Every code is an LLVM module of its own, so that its object depends on
 * it alone and can be kept. Threads share nothing but the number of the next code; the longest come first, so
 * that they end together. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <llvm-c/Analysis.h>
#include "codegen/llvm/lower.h"
#include "codegen/module/module.h"
#include "codegen/gpu/lower.h"

typedef struct {
  char *llvm, *assembly;
} Texts;

typedef struct {
  Module *m;
  int *order;   /* codes, the longest first */
  Texts *texts; /* per code, for --emit */
  atomic_int next;
  atomic_bool failed;
  pthread_mutex_t lock; /* of err */
  char *err;
} Work;

static void fail(Work *w, const char *what, const char *why) {
  pthread_mutex_lock(&w->lock);
  if (!atomic_exchange(&w->failed, true)) ir_error(w->err, "%s: %s", what, why);
  pthread_mutex_unlock(&w->lock);
}

static LLVMModuleRef lower_code(const Code *c, LLVMContextRef context, LLVMTargetMachineRef tm) {
  char symbol[64];
  LLVMModuleRef m = LLVMModuleCreateWithNameInContext("kernels", context);
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(tm);
  LLVMSetModuleDataLayout(m, layout);
  LLVMDisposeTargetData(layout);
  LLVMSetTarget(m, "x86_64-unknown-linux-gnu");
  LLVMSetVisibility(lower_kernel(m, c->k, c->isa, code_symbol(symbol, c)), LLVMHiddenVisibility);
  return m;
}

/* The texts asked for by --emit. */
static void keep_texts(const Work *w, Texts *t, LLVMModuleRef m, LLVMTargetMachineRef tm) {
  if (w->m->opt->emit_llvm) {
    char *text = LLVMPrintModuleToString(m);
    t->llvm = strdup(text);
    LLVMDisposeMessage(text);
  }
  if (!w->m->opt->emit_asm) return;
  LLVMModuleRef copy = LLVMCloneModule(m);
  Bytes text = {0};
  char err[IR_ERR];
  if (lower_generate(copy, tm, LLVMAssemblyFile, &text, err))
    t->assembly = strndup((char *)text.data, text.n);
  bytes_free(&text);
  LLVMDisposeModule(copy);
}

static bool verified(const Work *w, LLVMModuleRef m, char err[IR_ERR]) {
  char *message = NULL;
  bool good = !w->m->opt->debug || !LLVMVerifyModule(m, LLVMReturnStatusAction, &message);
  if (!good) ir_error(err, "LLVM's verifier refuses a kernel: %s", message);
  LLVMDisposeMessage(message);
  return good;
}

/* Behind the text for all GPUs, and its 0, that for sm_90a where the code has one. */
static void compile_ptx(Work *w, int number, LLVMTargetMachineRef tm, LLVMTargetMachineRef tm_90a) {
  Code *c = &w->m->code[number];
  char symbol[64], err[IR_ERR];
  code_symbol(symbol, c);
  if (!simt_ptx(c->k, simt_family(c->k), tm, symbol, &c->object, err)) fail(w, "internal error", err);
  bytes_add(&c->object, "", 1);
  if (!c->k->sm90) return;
  if (!simt_ptx(c->k->sm90, NETC_SM_90A, tm_90a, symbol, &c->object, err)) fail(w, "internal error", err);
  bytes_add(&c->object, "", 1);
}

static void compile_code(Work *w, int number, LLVMTargetMachineRef tm) {
  Code *c = &w->m->code[number];
  LLVMContextRef context = LLVMContextCreate();
  LLVMContextSetDiscardValueNames(context, !w->m->opt->emit_llvm);
  LLVMModuleRef m = lower_code(c, context, tm);
  char err[IR_ERR];
  bool good = verified(w, m, err) && lower_optimise(m, tm, err);
  if (good) keep_texts(w, &w->texts[number], m, tm);
  if (!good || !lower_generate(m, tm, LLVMObjectFile, &c->object, err)) fail(w, "internal error", err);
  LLVMDisposeModule(m);
  LLVMContextDispose(context);
}

/* Which of a worker's targets is a code's: those of a GPU are families. */
_Static_assert((int)NETC_SM_COUNT <= (int)NETC_ISA_COUNT, "a worker's targets");
static int target_number(const Module *m, const Code *c) {
  return m->machine->simt ? (int)simt_family(c->k) : (int)c->isa;
}

static LLVMTargetMachineRef target_of(const Module *m, int number, char err[IR_ERR]) {
  return m->machine->simt ? simt_ptx_target((NetcSm)number, err) : lower_target((NetcIsa)number, err);
}

/* From the cache, or from LLVM and then into the cache. */
static void obtain(Work *w, int number, LLVMTargetMachineRef tm[NETC_ISA_COUNT]) {
  Code *c = &w->m->code[number];
  Cache *cache = w->m->opt->cache;
  bool texts = w->m->opt->emit && (w->m->opt->emit_llvm || w->m->opt->emit_asm);
  Bytes key = {0};
  if (cache) {
    key = cache_key(cache, w->m->machine->simt ? "ptx" : "kernel");
    bytes_number(&key, (uint64_t)c->isa);
    bytes_text(&key, c->text.data, c->text.n);
    c->cached = !texts && cache_get(cache, &key, &c->object);
  }
  char err[IR_ERR];
  int target = target_number(w->m, c), also = c->k->sm90 ? (int)NETC_SM_90A : target;
  if (!c->cached && ((!tm[target] && !(tm[target] = target_of(w->m, target, err))) ||
                     (!tm[also] && !(tm[also] = target_of(w->m, also, err)))))
    fail(w, "internal error", err);
  else if (!c->cached && w->m->machine->simt) compile_ptx(w, number, tm[target], tm[also]);
  else if (!c->cached) compile_code(w, number, tm[target]);
  if (cache && !c->cached && !atomic_load(&w->failed)) cache_put(cache, &key, &c->object);
  bytes_free(&key);
}

static void *worker(void *arg) {
  Work *w = arg;
  LLVMTargetMachineRef tm[NETC_ISA_COUNT] = {0};
  for (;;) {
    int i = atomic_fetch_add(&w->next, 1);
    if (i >= w->m->ncode || atomic_load(&w->failed)) break;
    obtain(w, w->order[i], tm);
  }
  for (int i = 0; i < NETC_ISA_COUNT; i++)
    if (tm[i]) LLVMDisposeTargetMachine(tm[i]);
  return NULL;
}

static int longest_first(const void *a, const void *b, void *arg) {
  const Module *m = arg;
  int x = *(const int *)a, y = *(const int *)b;
  if (m->code[x].text.n != m->code[y].text.n) return m->code[x].text.n > m->code[y].text.n ? -1 : 1;
  return x - y;
}

/* A text, and what it does not say itself: the kernel's name, and shared memory where that is dynamic. */
static void write_ptx(const Work *w, const KFn *k, const char *text) {
  fprintf(w->m->opt->emit, "// kernel \"%s\", %lld bytes of shared memory\n%s", k->name,
          (long long)simt_shared(k), text);
}

static void write_texts(Work *w) {
  for (int i = 0; i < w->m->ncode && w->m->machine->simt && w->m->opt->emit && w->m->opt->emit_ptx; i++) {
    const Code *c = &w->m->code[i];
    const char *text = (const char *)c->object.data;
    if (!c->object.n) continue;
    write_ptx(w, c->k, text);
    if (c->k->sm90) write_ptx(w, c->k->sm90, text + strlen(text) + 1);
  }
  for (int i = 0; i < w->m->ncode; i++) {
    if (w->texts[i].llvm) fputs(w->texts[i].llvm, w->m->opt->emit);
    if (w->texts[i].assembly) fputs(w->texts[i].assembly, w->m->opt->emit);
    free(w->texts[i].llvm);
    free(w->texts[i].assembly);
  }
}

static void run_workers(Work *w, int threads) {
  enum { MAX_THREADS = 64 };
  pthread_t thread[MAX_THREADS];
  int n = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads, started = 0;
  for (; started < n - 1 && started < w->m->ncode - 1; started++)
    if (pthread_create(&thread[started], NULL, worker, w)) break; /* fewer threads do it too */
  worker(w);
  for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
}

bool compile_codes(Module *m, char err[IR_ERR]) {
  Work w = {.m = m, .err = err};
  w.order = arena_alloc(m->arena, ((size_t)m->ncode + 1) * sizeof *w.order);
  w.texts = arena_alloc(m->arena, ((size_t)m->ncode + 1) * sizeof *w.texts);
  for (int i = 0; i < m->ncode; i++) w.order[i] = i;
  qsort_r(w.order, (size_t)m->ncode, sizeof *w.order, longest_first, m);
  pthread_mutex_init(&w.lock, NULL);
  run_workers(&w, m->opt->threads);
  pthread_mutex_destroy(&w.lock);
  write_texts(&w);
  return !atomic_load(&w.failed);
}
