/* describe.c - what the code generator tells about its work: kernels, memory plan. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "codegen/module/module.h"

void describe_kernels(const Module *m) {
  for (int i = 0; i < m->nkernel; i++)
    for (int isa = 0; isa < m->machine->isas; isa++) {
      if (!(m->isas >> isa & 1)) continue;
      const KFn *k = m->kernel[i].k[module_kernel_set(m, i, isa)];
      kir_print(m->opt->emit, k);
      if (k->sm90) kir_print(m->opt->emit, k->sm90);
    }
}

/* ---- plan ---- */
static const char *buffer_name(char out[128], const FnPlan *p, int b) {
  int node = p->e->buffer[b].node;
  for (int i = 0; i < p->ninput; i++)
    if (p->input[i].buffer == b) return snprintf(out, 128, "input %.100s", p->input[i].name), out;
  for (int i = 0; i < p->fn->nout; i++)
    if (p->output[i] == b) return snprintf(out, 128, "output %.100s", p->fn->out[i].name), out;
  if (node < 0) return "workspace";
  const Node *n = &p->fn->node[node];
  if (n->op == OP_var) return snprintf(out, 128, "var %.100s", n->at.sym), out;
  char type[96];
  return snprintf(out, 128, "%%%d %s %s", node, op_info[n->op].name, type_str(n->type, type)), out;
}

static void describe_fn(FILE *out, const FnPlan *p) {
  char name[128];
  fprintf(out, "function %s: %d launches, %d buffers, temporaries %" PRId64 " bytes (at least %" PRId64 ")\n",
          p->fn->name, p->e->nlaunch, p->e->nbuffer, p->temporaries, p->lower_bound);
  for (int b = 0; b < p->e->nbuffer; b++) {
    if (p->first[b] > p->last[b]) continue;
    fprintf(out, "  %12" PRId64 " +%-11" PRId64 " [%d,%d] %s%s\n", p->offset[b], p->e->buffer[b].bytes,
            p->first[b], p->last[b], buffer_name(name, p, b),
            p->fixed[b] && p->e->buffer[b].node >= 0 && p->fn->node[p->e->buffer[b].node].op != OP_var
                ? " (in place)"
                : "");
  }
}

static void describe_total(FILE *out, const Module *m, const FnPlan *p) {
  int64_t batch = p->fn->kind == FN_TRAIN ? batch_bytes(m->prog) : 0;
  fprintf(out,
          "function %s: variables %" PRId64 " + working memory %" PRId64 " + next batch %" PRId64
          " = %" PRId64 " bytes (%.2f GiB), and %" PRId64
          " of scratch for each thread; the plan is %.2f %% above its bound\n",
          p->fn->name, m->var_bytes, p->temporaries, batch, m->var_bytes + p->temporaries + batch,
          (double)(m->var_bytes + p->temporaries + batch) / 0x1p30, p->scratch,
          p->lower_bound ? 100.0 * (double)(p->temporaries - p->lower_bound) / (double)p->lower_bound : 0.0);
}

void describe_plan(const Module *m) {
  FILE *out = m->opt->emit;
  fprintf(out, "arena %" PRId64 " bytes, of which variables %" PRId64 "\n", m->arena_bytes, m->var_bytes);
  for (int i = 0; i < m->prog->nfn; i++) describe_total(out, m, &m->fn[i]);
  for (int i = 0; i < m->prog->nfn; i++) describe_fn(out, &m->fn[i]);
}
