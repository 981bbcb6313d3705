/* module.c - codegen_run: emit every function, place its memory, compile the kernels, add the tables, link.
 */
#include <stdlib.h>
#include <string.h>
#include "module.h"

/* What the kernels of p's launches take on the stack, the largest of any set. */
static int64_t scratch_bytes(const FnPlan *p) {
  int64_t most = 0;
  for (int l = 0; l < p->e->nlaunch; l++)
    for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
      const KFn *k = p->e->kernel[p->e->launch[l].kernel].k[isa];
      int64_t bytes = 0;
      for (int i = 0; k && i < k->n; i++)
        if (k->ins[i].op == K_scratch) bytes += 4 * k->ins[i].imm;
      if (bytes > most) most = bytes;
    }
  return most;
}

static bool emit_functions(Module *m, char err[512]) {
  const Program *p = m->prog;
  Emit *share = NULL;
  m->fn = arena_alloc(m->arena, (size_t)(p->nfn ? p->nfn : 1) * sizeof *m->fn);
  for (int i = 0; i < p->nfn; i++) {
    Emit *e = emit_fn(m->arena, p->fn[i], share, err);
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
    for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
      char why[256];
      if (!(m->isas >> isa & 1) || kir_verify(m->kernel[i].k[isa], why)) continue;
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

static bool build_module(const Module *m, char err[512]) {
  char dir[256], tables[320];
  int nobjects = 0;
  if (!temporary_dir(dir, err)) return false;
  bool good = compile_kernels(m, dir, &nobjects, err);
  snprintf(tables, sizeof tables, "%s/%d.o", dir, nobjects++);
  good = good && (!m->opt->output ||
                  (compile_tables(m, tables, err) && link_module(dir, nobjects, m->opt->output, err)));
  remove_dir(dir, nobjects);
  return good;
}

bool codegen_run(Program *p, const CodegenOptions *opt, char err[512]) {
  Module m = {
      .arena = p->arena, .prog = p, .opt = opt, .isas = opt->isas ? opt->isas : (1u << NETC_ISA_COUNT) - 1};
  module_place_vars(&m);
  m.arena_bytes = m.var_bytes;
  if (!emit_functions(&m, err) || !verify_kernels(&m, err)) return false;
  describe(&m);
  bool texts = opt->emit && (opt->emit_llvm || opt->emit_asm);
  return (!opt->output && !texts) || build_module(&m, err);
}
