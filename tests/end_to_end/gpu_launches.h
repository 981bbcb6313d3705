/* gpu_launches.h - functions of the shipped models on an emulated GPU, launch by launch: each computes from
 * the interpreter's values what the interpreter computes from them, so that a kernel answers for itself only,
 * however deep the network is.
 *
 *   const GpuCheck c = {"models/unet.net", define, ndefine, 1e-3};
 *   check_launches_of(&c);            // every function, every kernel in the form that all GPUs run,
 *   check_newest_of(&c, 5);           // and those for sm_90a, of which there are at least five */
#ifndef TESTS_GPU_LAUNCHES_H
#define TESTS_GPU_LAUNCHES_H
#include "tests/end_to_end/gpu_models.h"

typedef struct {
  const char *path;
  const Define *define;
  int ndefine;
  double tolerance;
} GpuCheck;

/* Where a buffer's value is whole: the last launch that writes it. */
static inline bool written_later(const Emit *e, int launch, int buffer) {
  for (int l = launch + 1; l < e->nlaunch; l++)
    for (int i = 0; i < e->launch[l].nargs; i++)
      if (e->launch[l].arg[i] == buffer && e->launch[l].writes >> i & 1) return true;
  return false;
}

static inline void take_reference(const Run *r, const Interp *in, int buffer) {
  int node = r->e->buffer[buffer].node;
  if (node < 0) return;
  const Node *n = &r->c->fn->node[node];
  const double *v = interp_value(in, node);
  for (int64_t i = 0; i < type_count(n->type); i++)
    run_set(&n->type, r->mem[buffer], run_memory_index(n, i), v[i]);
}

/* Do results of the kernel cancel: sums over pixels, of gradients before a normalisation say, of which
 * rounding errors are left? */
static inline bool sums_cancel(const Emit *e, const Launch *l) {
  const char *name = e->kernel[l->kernel].name;
  return !strncmp(name, "reduce:", 7) || strstr(name, "_red") != NULL;
}

/* As run_compare_node, but relative to the array's largest value where that is below 1: gradients are small,
 * and a kernel that stored zeros for them would be right to within any absolute tolerance. */
static inline void compare_result(const Run *r, const Interp *in, const Launch *l, int buffer) {
  int node = r->e->buffer[buffer].node;
  const Node *n = &r->c->fn->node[node];
  const double *want = interp_value(in, node);
  double scale = 0, tolerance = run_tolerance(r->c, &n->type);
  for (int64_t i = 0; i < type_count(n->type); i++) scale = fmax(scale, fabs(want[i]));
  if (scale > 1 || sums_cancel(r->e, l)) scale = 1;
  for (int64_t i = 0; i < type_count(n->type); i++) {
    double got = run_get(&n->type, r->mem[buffer], run_memory_index(n, i));
    if (fabs(got - want[i]) <= tolerance * (scale + fabs(want[i])) || (isnan(got) && isnan(want[i])) ||
        got == want[i])
      continue;
    kir_print(stderr, r->e->kernel[l->kernel].k[0]);
    fail_msg("%s, launch %d, kernel %s: node %d (%s), element %lld: %.9g, expected %.9g", r->c->what,
             (int)(l - r->e->launch), r->e->kernel[l->kernel].name, node, op_info[n->op].name, (long long)i,
             got, want[i]);
  }
}

/* Launches of `wanted` kernels; returns how many. */
static inline int check_launches(Run *r, const Interp *in, const bool *wanted) {
  const Emit *e = r->e;
  int count = 0;
  for (int l = 0; l < e->nlaunch; l++) {
    const Launch *launch = &e->launch[l];
    if (!wanted[launch->kernel]) continue;
    count++;
    for (int i = 0; i < launch->nargs; i++)
      if (!(launch->writes >> i & 1)) take_reference(r, in, launch->arg[i]);
    run_launch(r, launch, l % 2 ? RUN_INPLACE : RUN_PLAIN);
    for (int i = 0; i < launch->nargs; i++)
      if (launch->writes >> i & 1 && e->buffer[launch->arg[i]].node >= 0 &&
          !written_later(e, l, launch->arg[i]))
        compare_result(r, in, launch, launch->arg[i]);
  }
  return count;
}

/* Does a launch of a kernel for sm_90a read workspace that launch l writes: packed weights? */
static inline bool feeds_newest(const Emit *e, const Launch *l) {
  for (int i = 0; i < l->nargs; i++) {
    if (!(l->writes >> i & 1) || e->buffer[l->arg[i]].node >= 0) continue;
    for (const Launch *o = e->launch; o < e->launch + e->nlaunch; o++)
      for (int j = 0; j < o->nargs; j++)
        if (o->arg[j] == l->arg[i] && e->kernel[o->kernel].k[0]->sm90) return true;
  }
  return false;
}

/* The kernels to be run: all, or those with a form for sm_90a and what they need; returns the number of such
 * forms. */
static inline int wanted_kernels(const Emit *e, bool newest, bool *wanted) {
  int forms = 0;
  for (const Launch *l = e->launch; l < e->launch + e->nlaunch; l++) {
    bool form = e->kernel[l->kernel].k[0]->sm90 != NULL;
    forms += form && !wanted[l->kernel];
    wanted[l->kernel] |= !newest || form || feeds_newest(e, l);
  }
  return forms;
}

/* Kernels that are not wanted are not compiled: the first one that is stands in their places. */
static inline Emulator *wanted_emulator(const Emit *e, bool newest, const bool *wanted, char err[IR_ERR]) {
  static int functions;
  const KFn **k = arena_alloc(e->arena, ((size_t)e->nkernel + 1) * sizeof *k), *first = NULL;
  ShareMode *mode = arena_alloc(e->arena, ((size_t)e->nkernel + 1) * sizeof *mode);
  bool all = functions++ % 2 == 0;
  for (int i = 0; i < e->nkernel; i++) {
    const KFn *own = e->kernel[i].k[0];
    k[i] = newest && own->sm90 ? own->sm90 : own;
    mode[i] = all ? SHARE_ALL : (ShareMode)(i % 3);
    if (wanted[i] && !first) first = k[i];
  }
  for (int i = 0; i < e->nkernel; i++)
    if (!wanted[i]) k[i] = first;
  return emulator_shared(k, mode, e->nkernel, err);
}

/* Returns the number of forms for sm_90a that were run. */
static inline int check_fn(Arena *a, const Machine *m, const Fn *f, double tolerance, bool newest) {
  char err[IR_ERR] = "";
  Emit *e = emit_fn_on(m, a, f, NULL, err);
  if (!e) fail_msg("%s: %s", f->name, err);
  bool *wanted = arena_alloc(a, (size_t)e->nkernel + 1);
  int forms = wanted_kernels(e, newest, wanted);
  if (newest && !forms) return 0;
  RunCase c = run_case(f, tolerance);
  c.fill = fill_state;
  Run r = {.c = &c, .e = e, .mem = arena_alloc(a, ((size_t)e->nbuffer + 1) * sizeof *r.mem)};
  for (int i = 0; i < e->nkernel; i++)
    if (!kir_verify(e->kernel[i].k[0], err)) fail_msg("%s: %s", f->name, err);
  for (int i = 0; i < e->nbuffer; i++) r.mem[i] = arena_alloc(a, (size_t)run_words(e, i) * 4);
  r.emulator = wanted_emulator(e, newest, wanted, err);
  if (!r.emulator) fail_msg("%s: %s", f->name, err);
  run_fill_buffers(&r);
  Interp *in = run_reference(&c);
  int n = check_launches(&r, in, wanted);
  print_message("%s: %d launches of %d kernels, %d of them %s sm_90a\n", f->name, n, e->nkernel, forms,
                newest ? "for" : "with a form for");
  interp_free(in);
  emulator_free(r.emulator);
  return forms;
}

static inline int check_model(const GpuCheck *c, const Machine *m, bool newest) {
  Arena *a = arena_new();
  Program *p = compile_model(a, c->path, c->define, c->ndefine);
  int forms = 0;
  for (int i = 0; i < p->nfn; i++) forms += check_fn(a, m, p->fn[i], c->tolerance, newest);
  arena_free(a);
  return forms;
}

static inline void check_launches_of(const GpuCheck *c) { check_model(c, &machine_gpu, false); }

/* Planned for a GPU with a single processor, to which large tiles are best: small ones have no form for
 * sm_90a. */
static inline void check_newest_of(const GpuCheck *c, int least) {
  Machine one = machine_gpu;
  one.sms = 1;
  int forms = check_model(c, &one, true);
  if (forms < least) fail_msg("%s: %d kernels for sm_90a, at least %d were expected", c->path, forms, least);
}
#endif
