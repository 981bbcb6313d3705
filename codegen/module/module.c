/* module.c - codegen_run: emit every function, place its memory, compile the kernels, add the tables, link.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "codegen/module/module.h"

const FnPlan *module_training(const Module *m) {
  for (int i = 0; i < m->prog->nfn; i++)
    if (m->fn[i].fn->kind == FN_TRAIN) return &m->fn[i];
  return NULL;
}

/* What the kernels of p's launches take on the stack, the largest of any set. */
static int64_t scratch_bytes(const FnPlan *p) {
  int64_t most = 0;
  for (int l = 0; l < p->e->nlaunch; l++)
    for (int isa = 0; isa < p->e->machine->isas; isa++) {
      const KFn *k = p->e->kernel[p->e->launch[l].kernel].k[isa];
      int64_t bytes = 0;
      for (int i = 0; k && i < k->n; i++)
        if (k->ins[i].op == K_scratch) bytes += (k->ins[i].type.base == K_BF16 ? 2 : 4) * k->ins[i].imm;
      if (bytes > most) most = bytes;
    }
  return most;
}

static bool emit_functions(Module *m, char err[512]) {
  const Program *p = m->prog;
  Emit *share = NULL;
  m->fn = arena_alloc(m->arena, (size_t)(p->nfn ? p->nfn : 1) * sizeof *m->fn);
  for (int i = 0; i < p->nfn; i++) {
    Emit *e = emit_fn_on(m->machine, m->arena, p->fn[i], share, err);
    if (!e) return false;
    m->fn[i] = (FnPlan){.fn = p->fn[i], .e = e};
    if (!plan_fn(m, &m->fn[i], err)) return false;
    m->fn[i].scratch = scratch_bytes(&m->fn[i]);
    m->kernel = e->kernel, m->nkernel = e->nkernel; /* the list grows from function to function */
    if (m->arena_bytes < m->var_bytes + m->fn[i].temporaries)
      m->arena_bytes = m->var_bytes + m->fn[i].temporaries;
    share = e;
  }
  return true;
}

/* A kernel that breaks the kernel level's rules is a defect of its emitter; LLVM must not see it. */
static bool verify_kernels(const Module *m, char err[512]) {
  for (int i = 0; i < m->nkernel; i++)
    for (int isa = 0; isa < m->machine->isas; isa++) {
      char why[256];
      if (!(m->isas >> isa & 1) || kir_verify(m->kernel[i].k[module_kernel_set(m, i, isa)], why)) continue;
      snprintf(err, 512, "internal error: %s", why);
      return false;
    }
  return true;
}

static void describe(const Module *m) {
  if (!m->opt->emit) return;
  if (m->opt->emit_kernels) describe_kernels(m);
  if (m->opt->emit_plan) describe_plan(m);
  if (m->opt->explain) describe_costs(m);
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void report(const Module *m, const Module *device, double start, double emitted, double compiled) {
  CodegenReport *r = m->opt->report;
  if (!r) return;
  *r = (CodegenReport){.kernels = m->nkernel, .codes = m->ncode, .emit = emitted - start};
  for (int i = 0; i < m->ncode; i++) r->cached += m->code[i].cached;
  if (device) r->kernels += device->nkernel, r->codes += device->ncode;
  for (int i = 0; device && i < device->ncode; i++) r->cached += device->code[i].cached;
  r->compile = compiled - emitted;
  r->link = seconds() - compiled;
}

static bool link_codes(const Module *m, const Module *device, char err[512]) {
  Bytes tables = {0};
  const Bytes **object = arena_alloc(m->arena, ((size_t)m->ncode + 1) * sizeof *object);
  for (int i = 0; i < m->ncode; i++) object[i] = &m->code[i].object;
  object[m->ncode] = &tables;
  bool good = compile_tables(m, device, &tables, err) && link_module(object, m->ncode + 1, m->opt, err);
  bytes_free(&tables);
  return good;
}

/* Launches, memory and kernels for the module's machine. */
static bool emit_module(Module *m, char err[512]) {
  module_place_vars(m);
  m->arena_bytes = m->var_bytes;
  if (!emit_functions(m, err) || (m->machine->simt && !emit_fills(m, err))) return false;
  module_drop_unused_set(m);
  if (!verify_kernels(m, err)) return false;
  describe(m);
  return true;
}

static bool compile_module(Module *m, char err[512]) {
  module_codes(m);
  return compile_codes(m, err);
}

bool codegen_run(Program *p, const CodegenOptions *opt, char err[512]) {
  double start = seconds();
  Machine host = machine_host;
  if (opt->isas) host.kernels = opt->isas;
  Module m = {.arena = p->arena, .prog = p, .machine = &host, .opt = opt, .isas = host.kernels};
  Module gpu = m, *device = opt->device ? &gpu : NULL;
  gpu.machine = &machine_gpu, gpu.isas = 1;
  if (!emit_module(&m, err) || (device && !emit_module(device, err))) return false;
  bool texts = opt->emit && (opt->emit_llvm || opt->emit_asm), ptx = opt->emit && opt->emit_ptx;
  if (!opt->output && !texts && !ptx) return true;
  double emitted = seconds();
  bool good = (!opt->output && !texts) || compile_module(&m, err);
  good = good && (!device || compile_module(device, err));
  double compiled = seconds();
  good = good && (!opt->output || link_codes(&m, device, err));
  report(&m, device, start, emitted, compiled);
  module_free_codes(&m);
  module_free_codes(&gpu);
  return good;
}
