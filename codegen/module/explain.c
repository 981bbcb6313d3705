/* explain.c - --explain: what every kernel of a function computes and moves, and the least time that takes on
 * a machine of given rates. `netrun bench` sets measured times beside the same numbers. */
#include <stdlib.h>
#include <string.h>
#include "codegen/module/module.h"

typedef struct {
  const char *name;
  int launches;
  int64_t tasks; /* of the launch that has the fewest */
  double flops, bytes, work, seconds;
} Cost;

static int dearest_first(const void *a, const void *b) {
  const Cost *x = a, *y = b;
  if (x->seconds != y->seconds) return x->seconds < y->seconds ? 1 : -1;
  return strcmp(x->name, y->name);
}

static void add(Cost *c, const Module *m, const Launch *l) {
  const Kernel *k = &m->kernel[l->kernel];
  double arithmetic = (double)k->flops / m->opt->peak, traffic = (double)k->bytes / m->opt->bandwidth;
  if (!c->launches++ || l->tasks < c->tasks) c->tasks = l->tasks;
  c->flops += (double)k->flops, c->bytes += (double)k->bytes, c->work += (double)k->work;
  c->seconds += arithmetic > traffic ? arithmetic : traffic;
}

static void print_costs(FILE *out, const char *title, Cost *cost, int n, double whole) {
  qsort(cost, (size_t)n, sizeof *cost, dearest_first);
  fprintf(out, "  %10s %6s %8s %7s %10s %10s %9s  %s\n", "roof ms", "%", "launches", "tasks>=", "Gflop", "MB",
          "flop/byte", title);
  for (int i = 0; i < n && cost[i].launches; i++) {
    const Cost *c = &cost[i];
    fprintf(out, "  %10.3f %6.2f %8d %7lld %10.3f %10.1f %9.1f  %s\n", c->seconds * 1e3,
            whole > 0 ? 100 * c->seconds / whole : 0, c->launches, (long long)c->tasks, c->work * 1e-9,
            c->bytes * 1e-6, c->bytes > 0 ? c->flops / c->bytes : 0, c->name);
  }
}

static void explain_fn(const Module *m, const FnPlan *p) {
  FILE *out = m->opt->emit;
  const Emit *e = p->e;
  size_t n = (size_t)m->nkernel + 1;
  Cost *kernel = arena_alloc(m->arena, n * sizeof *kernel), *kind = arena_alloc(m->arena, n * sizeof *kind);
  Cost all = {0};
  for (int l = 0; l < e->nlaunch; l++) {
    int of = e->launch[l].kernel, first = 0;
    while (strcmp(m->kernel[first].op, m->kernel[of].op)) first++; /* kernels of a kind share an entry */
    kernel[of].name = m->kernel[of].name, kind[first].name = m->kernel[first].op;
    add(&kernel[of], m, &e->launch[l]), add(&kind[first], m, &e->launch[l]), add(&all, m, &e->launch[l]);
  }
  for (int i = 0; i < m->nkernel; i++) {
    if (!kernel[i].name) kernel[i].name = "";
    if (!kind[i].name) kind[i].name = "";
  }
  fprintf(
      out,
      "function %s: %d launches, %.3f Gflop (%.3f executed), %.3f GB of traffic, at least %.1f ms at %.0f "
      "GFLOP/s and %.0f GB/s\n",
      p->fn->name, e->nlaunch, all.work * 1e-9, all.flops * 1e-9, all.bytes * 1e-9, all.seconds * 1e3,
      m->opt->peak * 1e-9, m->opt->bandwidth * 1e-9);
  print_costs(out, "kind of kernel", kind, m->nkernel, all.seconds);
  print_costs(out, "kernel", kernel, m->nkernel, all.seconds);
}

void describe_costs(const Module *m) {
  for (int f = 0; f < m->prog->nfn; f++) explain_fn(m, &m->fn[f]);
}
