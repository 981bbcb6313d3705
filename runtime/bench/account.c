/* account.c - where an iteration's time went. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/bench/bench.h"

static double roofline(const NetcKernel *k, const Rates *m) {
  double pairs = m->pair_flops > 0 ? (double)k->pair_flops : 0;
  double arithmetic = ((double)k->flops - pairs) / m->flops;
  if (pairs > 0) arithmetic += pairs / m->pair_flops;
  return fmax(arithmetic, (double)k->bytes / m->bandwidth);
}

Account bench_account(const Session *s, const Bench *b, const Rates *m) {
  Account a = {.iteration = b->seconds};
  double wall = 0, busy = 0;
  for (int i = 0; i < b->plan->nlaunches; i++) {
    a.roofline += roofline(&s->kernels[b->plan->launches[i].kernel], m);
    wall += b->launch[i].wall, busy += b->launch[i].busy / b->threads;
  }
  a.above = busy - a.roofline;
  a.waiting = wall - busy;
  a.between = b->seconds - wall;
  return a;
}

/* The number launches with the same `by` share: the kernel, the first kernel of the same kind, the first
 * place on the same line. */
static int key_of(const Session *s, const NetcLaunch *l, CostBy by) {
  const NetcModule *d = s->module->desc;
  int key = by == BY_LINE ? l->place : l->kernel;
  if (by == BY_KIND)
    for (key = 0; strcmp(s->kernels[key].op, s->kernels[l->kernel].op) != 0;) key++;
  if (by == BY_LINE && l->place >= 0)
    for (key = 0; d->places[key].line != d->places[l->place].line ||
                  strcmp(d->places[key].file, d->places[l->place].file) != 0;)
      key++;
  return key;
}

static int dearest_first(const void *a, const void *b) {
  const Cost *x = a, *y = b;
  if (x->seconds != y->seconds) return x->seconds < y->seconds ? 1 : -1;
  return x->key - y->key;
}

static void add(Cost *c, const NetcKernel *k, LaunchTime t, const Rates *m) {
  c->launches++;
  c->seconds += t.wall, c->busy += t.busy, c->roofline += roofline(k, m);
  c->flops += (double)k->flops, c->bytes += (double)k->bytes, c->work += (double)k->work;
}

Cost *bench_costs(const Session *s, const Bench *b, const Rates *m, CostBy by, int *n, char err[ERR_MAX]) {
  const NetcModule *d = s->module->desc;
  int64_t keys = 1 + (by == BY_LINE ? d->nplaces : s->nkernels); /* entry 0: launches without a place */
  Cost *cost = calloc((size_t)keys, sizeof *cost);
  if (!cost) {
    err_memory(err, "the table of costs", keys * (int64_t)sizeof *cost);
    return NULL;
  }
  for (int i = 0; i < keys; i++) cost[i].key = i - 1;
  for (int i = 0; i < b->plan->nlaunches; i++) {
    const NetcLaunch *l = &b->plan->launches[i];
    add(&cost[1 + key_of(s, l, by)], &s->kernels[l->kernel], b->launch[i], m);
  }
  *n = 0;
  for (int64_t i = 0; i < keys; i++)
    if (cost[i].launches) cost[(*n)++] = cost[i];
  qsort(cost, (size_t)*n, sizeof *cost, dearest_first);
  return cost;
}
