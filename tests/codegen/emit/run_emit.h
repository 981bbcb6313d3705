/* run_emit.h - runs what an emitter made, in this process, and compares it with the reference interpreter.
 *
 *   RunCase c = run_case(fn, tolerance);             // every input and variable filled by `fill`
 *   run_check(&c, emit);                             // cmocka assertions
 *
 * For every instruction set (one the machine lacks: its lanes, see codegen/emulator/jit.c), or, of kernels
 * for a GPU, under emulation (codegen/emulator/emulator.h), the launches run with their tasks in order, then
 * shuffled (the same bits must come out), then with results laid over inputs wherever Launch.may_alias allows
 * it (the same bits again). Buffers end in a guard that must stay as it was; workspace and results start as
 * NaN patterns. */
#ifndef NETC_RUN_EMIT_H
#define NETC_RUN_EMIT_H
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include "tests/test.h"
#include "passes/fuse/fuse.h"
#include "passes/passes.h"
#include "ir/bf16.h"
#include "ir/interp/interp.h"
#include "codegen/emit/core/emit.h"
#include "codegen/emulator/emulator.h"
#include "codegen/emulator/jit.h"
#include "codegen/gpu/simt.h"

typedef struct {
  const Fn *fn;
  double tolerance; /* |got - want| <= tolerance * (1 + |want|); 0 = equal */
  uint64_t seed, iteration;
  double (*fill)(const char *name, int64_t i,
                 Type t); /* value of element i (row-major) of an input or variable */
  const char *what;       /* printed when it fails */
  bool spreads;           /* NaN may come out where the interpreter has a number: of padding times NaN */
} RunCase;

/* NaN as f32, and each half as bf16. */
enum { RUN_GUARD = 64, RUN_NAN = 0x7fc1ffc5 };

static inline uint32_t run_hash(const char *name, int64_t i) {
  uint64_t h = 1469598103934665603u;
  for (; *name; name++) h = (h ^ (uint8_t)*name) * 1099511628211u;
  h = (h ^ (uint64_t)i) * 0x9E3779B97F4A7C15u;
  return (uint32_t)((h ^ (h >> 29)) * 0xBF58476D1CE4E5B9u >> 32);
}

/* Small integers, exact under a few sums and products; labels 0..3 for i32. */
static inline double run_fill_int(const char *name, int64_t i, Type t) {
  uint32_t h = run_hash(name, i);
  return t.dt == I32 ? (double)(h % 4) : (double)(h % 7) - 3;
}

/* Numbers in (-1, 1) that are exact floats. */
static inline double run_fill_real(const char *name, int64_t i, Type t) {
  uint32_t h = run_hash(name, i);
  return t.dt == I32 ? (double)(h % 4) : (double)(h >> 8) * 0x1p-23 - 1;
}

static inline RunCase run_case(const Fn *f, double tolerance) {
  return (RunCase){.fn = f,
                   .tolerance = tolerance,
                   .seed = 7,
                   .iteration = 3,
                   .what = f->name,
                   .fill = tolerance == 0 ? run_fill_int : run_fill_real};
}

/* Number in memory of the element whose row-major number is i. */
static inline int64_t run_memory_index(const Node *n, int64_t i) {
  int64_t at = 0;
  for (int a = n->type.rank - 1; a >= 0; i /= n->type.dim[a], a--)
    at += i % n->type.dim[a] * order_stride(n->type, n->order, a);
  return at;
}

static inline const char *run_leaf_name(const Fn *f, int node) {
  const Node *n = &f->node[node];
  return n->op == OP_input || n->op == OP_var ? n->at.sym : NULL;
}

static inline double *run_leaf_data(const RunCase *c, int node) {
  Type t = c->fn->node[node].type;
  double *d = calloc((size_t)type_count(t), sizeof *d);
  assert_non_null(d);
  for (int64_t i = 0; i < type_count(t); i++) d[i] = c->fill(run_leaf_name(c->fn, node), i, t);
  return d;
}

static inline Interp *run_reference(const RunCase *c) {
  char err[IR_ERR] = "";
  Interp *in = interp_new(c->fn, INTERP_F32);
  for (int i = 0; i < c->fn->n; i++) {
    if (!run_leaf_name(c->fn, i)) continue;
    double *d = run_leaf_data(c, i);
    assert_true(interp_bind(in, run_leaf_name(c->fn, i), d));
    free(d);
  }
  interp_step(in, c->seed, c->iteration);
  if (!interp_run(in, err)) fail_msg("%s: interpreter: %s", c->what, err);
  return in;
}

/* Of the kernels that need nothing of avx512_bf16 there is none for it. */
static inline const KFn *run_kernel(const Emit *e, int kernel, int isa) {
  const KFn *k = e->kernel[kernel].k[isa];
  return k ? k : e->kernel[kernel].k[NETC_ISA_AVX512];
}

static inline bool run_has_set(const Emit *e, int isa) {
  for (int i = 0; i < e->nkernel; i++)
    if (e->kernel[i].k[isa]) return true;
  return false;
}

typedef struct {
  const RunCase *c;
  const Emit *e;
  Jit *jit;
  Emulator *emulator; /* of a GPU's kernels, instead of jit */
  int isa;
  uint32_t **mem; /* per buffer */
} Run;

/* Words of buffer i with its guard, which begins at its last byte, within a word perhaps. */
static inline int64_t run_words(const Emit *e, int i) { return e->buffer[i].bytes / 4 + RUN_GUARD; }

static inline double run_get(const Type *t, const uint32_t *mem, int64_t i) {
  float v;
  if (t->dt == BF16) return (double)bf16_float(((const uint16_t *)(const void *)mem)[i]);
  memcpy(&v, &mem[i], sizeof v);
  return t->dt == I32 ? (double)(int32_t)mem[i] : (double)v;
}

static inline void run_set(const Type *t, uint32_t *mem, int64_t i, double d) {
  float v = (float)d;
  if (t->dt == BF16) ((uint16_t *)(void *)mem)[i] = bf16_bits(v);
  else if (t->dt == I32) mem[i] = (uint32_t)(int32_t)d;
  else memcpy(&mem[i], &v, sizeof v);
}

static inline void run_fill_buffers(Run *r) {
  for (int i = 0; i < r->e->nbuffer; i++) {
    for (int64_t j = 0; j < run_words(r->e, i); j++) r->mem[i][j] = RUN_NAN;
    int node = r->e->buffer[i].node;
    if (node < 0 || !run_leaf_name(r->c->fn, node)) continue;
    const Node *n = &r->c->fn->node[node];
    double *d = run_leaf_data(r->c, node);
    for (int64_t j = 0; j < type_count(n->type); j++)
      run_set(&n->type, r->mem[i], run_memory_index(n, j), d[j]);
    free(d);
  }
}

enum { RUN_PLAIN, RUN_SHUFFLED, RUN_INPLACE, RUN_MODES };

static inline void run_emulated(const Run *r, const Launch *l, void **args, int mode) {
  char err[IR_ERR] = "";
  NetcStep step = {r->c->seed, r->c->iteration};
  EmuBuffer buffer[NETC_MAX_ARGS];
  for (int i = 0; i < l->nargs; i++) buffer[i] = (EmuBuffer){args[i], r->e->buffer[l->arg[i]].bytes};
  if (emulator_launch(r->emulator, l->kernel, buffer, l->tasks, &step, (uint64_t)mode + 1, err)) return;
  kir_print(stderr, r->e->kernel[l->kernel].k[0]);
  fail_msg("%s: %s", r->c->what, err);
}

static inline void run_tasks(const Run *r, const Launch *l, void **args, int mode) {
  NetcStep step = {r->c->seed, r->c->iteration};
  if (r->emulator) {
    run_emulated(r, l, args, mode);
    return;
  }
  NetcKernelFn fn = jit_get(r->jit, l->kernel);
  int64_t *task = malloc(sizeof *task * (size_t)l->tasks);
  assert_non_null(task);
  for (int64_t t = 0; t < l->tasks; t++) task[t] = t;
  for (int64_t t = l->tasks - 1; mode == RUN_SHUFFLED && t > 0; t--) {
    int64_t o = run_hash("task", t) % (uint32_t)(t + 1), keep = task[t];
    task[t] = task[o], task[o] = keep;
  }
  for (int64_t t = 0; t < l->tasks; t++) fn(args, &step, task[t]);
  free(task);
}

/* Aligned as arenas are: stores past the caches rely on it. */
static inline void *run_memory(size_t bytes) { return aligned_alloc(64, (bytes + 63) / 64 * 64); }

/* From here on everything that may go past the caches does, however small it is. */
enum { RUN_STREAM_ALL = 1 };

/* With results over inputs: the pair works in a copy of the input, so that later launches still find the
 * input. */
static inline void run_launch(Run *r, const Launch *l, int mode) {
  void *args[NETC_MAX_ARGS];
  uint32_t *copy[NETC_MAX_ARGS] = {0};
  for (int i = 0; i < l->nargs; i++) args[i] = r->mem[l->arg[i]];
  for (int i = 0; mode == RUN_INPLACE && i < l->nargs; i++) {
    int from = l->may_alias[i];
    if (from < 0) continue;
    assert_true(l->writes >> i & 1 && !(l->writes >> from & 1));
    size_t bytes = (size_t)r->e->buffer[l->arg[from]].bytes;
    assert_true(bytes >= (size_t)r->e->buffer[l->arg[i]].bytes);
    assert_non_null(copy[i] = run_memory(bytes));
    memcpy(copy[i], r->mem[l->arg[from]], bytes);
    args[i] = args[from] = copy[i];
  }
  run_tasks(r, l, args, mode);
  for (int i = 0; i < l->nargs; i++) {
    if (!copy[i]) continue;
    memcpy(r->mem[l->arg[i]], copy[i], (size_t)r->e->buffer[l->arg[i]].bytes);
    free(copy[i]);
  }
}

static inline void run_all(Run *r, int mode) {
  run_fill_buffers(r);
  for (int i = 0; i < r->e->nlaunch; i++) run_launch(r, &r->e->launch[i], mode);
  static const uint32_t guard = RUN_NAN;
  for (int i = 0; i < r->e->nbuffer; i++) {
    const uint8_t *at = (const uint8_t *)r->mem[i];
    for (int64_t j = r->e->buffer[i].bytes; j < run_words(r->e, i) * 4; j++)
      if (at[j] != ((const uint8_t *)&guard)[j % 4])
        fail_msg("%s: buffer %d (node %d) is written past its end", r->c->what, i, r->e->buffer[i].node);
  }
}

/* A bf16 may be rounded to the neighbour where the values before differ within the tolerance. */
static inline double run_tolerance(const RunCase *c, const Type *t) {
  return t->dt == BF16 && c->tolerance > 0 ? 0x1p-7 + c->tolerance : c->tolerance;
}

static inline void run_compare_node(const Run *r, const Interp *in, int buffer) {
  int node = r->e->buffer[buffer].node;
  const Node *n = &r->c->fn->node[node];
  const double *want = interp_value(in, node);
  for (int64_t i = 0; i < type_count(n->type); i++) {
    double got = run_get(&n->type, r->mem[buffer], run_memory_index(n, i));
    if (fabs(got - want[i]) <= run_tolerance(r->c, &n->type) * (1 + fabs(want[i])) ||
        (isnan(got) && (isnan(want[i]) || r->c->spreads)) || got == want[i])
      continue;
    kir_print(stderr, run_kernel(r->e, r->e->launch[r->e->nlaunch - 1].kernel, r->isa));
    fn_print(stderr, r->c->fn);
    fail_msg("%s, set %d: node %d (%s), element %lld: %.9g, expected %.9g", r->c->what, r->isa, node,
             op_info[n->op].name, (long long)i, got, want[i]);
  }
}

/* newest: of a GPU's kernels the form for sm_90a, where there is one. Kernels of a GPU with all their numbers
 * as parameters, or, every other time, with those that differ (codegen/gpu/share.h). */
static inline Emulator *run_emulator(const Emit *e, bool newest, char err[IR_ERR]) {
  static int functions;
  const KFn **k = calloc((size_t)e->nkernel + 1, sizeof *k);
  ShareMode *mode = calloc((size_t)e->nkernel + 1, sizeof *mode);
  assert_true(k && mode);
  bool all = functions++ % 2 == 0;
  for (int i = 0; i < e->nkernel; i++)
    k[i] = newest && e->kernel[i].k[0]->sm90 ? e->kernel[i].k[0]->sm90 : e->kernel[i].k[0],
    mode[i] = all ? SHARE_ALL : (ShareMode)(i % 3);
  Emulator *emulator = emulator_shared(k, mode, e->nkernel, err);
  free(k), free(mode);
  return emulator;
}

static inline void run_isa(const RunCase *c, const Emit *e, const Interp *in, int isa, bool newest) {
  char err[IR_ERR] = "";
  const KFn **k = calloc((size_t)e->nkernel + 1, sizeof *k);
  uint32_t **mem = calloc((size_t)e->nbuffer + 1, sizeof *mem),
           **first = calloc((size_t)e->nbuffer + 1, sizeof *first);
  assert_true(k && mem && first);
  for (int i = 0; i < e->nkernel; i++) {
    k[i] = run_kernel(e, i, isa);
    if (!kir_verify(k[i], err)) fail_msg("%s: kernel %s: %s", c->what, e->kernel[i].name, err);
  }
  for (int i = 0; i < e->nbuffer; i++) {
    size_t bytes = (size_t)run_words(e, i) * 4;
    assert_non_null(mem[i] = run_memory(bytes));
    assert_non_null(first[i] = malloc(bytes));
  }
  Run r = {.c = c, .e = e, .isa = isa, .mem = mem};
  if (e->machine->simt) r.emulator = run_emulator(e, newest, err);
  else r.jit = jit_new(k, e->nkernel, (NetcIsa)isa, err);
  if (!r.jit && !r.emulator) fail_msg("%s: %s", c->what, err);
  for (int mode = 0; mode < RUN_MODES; mode++) {
    if (mode == RUN_SHUFFLED && r.emulator) continue; /* every emulated run is, each otherwise */
    run_all(&r, mode);
    for (int i = 0; i < e->nbuffer; i++) {
      size_t bytes = (size_t)e->buffer[i].bytes;
      if (mode == RUN_PLAIN) memcpy(first[i], mem[i], bytes);
      else if (memcmp(first[i], mem[i], bytes))
        fail_msg("%s, set %d: other bits in buffer %d %s", c->what, isa, i,
                 mode == RUN_SHUFFLED ? "when tasks are shuffled" : "with results over inputs");
    }
    if (mode != RUN_PLAIN) continue;
    for (int i = 0; i < e->nbuffer; i++)
      if (e->buffer[i].node >= 0) run_compare_node(&r, in, i);
  }
  jit_free(r.jit), emulator_free(r.emulator);
  for (int i = 0; i < e->nbuffer; i++) free(mem[i]), free(first[i]);
  free(mem), free(first), free(k);
}

/* Every real input, and every stored value that may be, as bf16: whatever an emitter reads and writes, at
 * other places than pass `precision` would choose. The function is to be emitted anew. */
static inline void run_bf16(Fn *f) {
  const GroupInfo *g = group_values(f);
  bool *narrow = calloc((size_t)f->n + 1, sizeof *narrow);
  assert_non_null(narrow);
  for (int i = 0; i < f->n; i++) narrow[i] = f->node[i].op == OP_input && f->node[i].type.dt == F32;
  for (int i = 0; i < f->ngroup; i++)
    for (int o = 0; o < g[i].nout; o++) {
      const Node *n = &f->node[g[i].out[o]];
      narrow[g[i].out[o]] = n->type.dt == F32 && precision_allows(n->op);
    }
  precision_set(f, narrow);
  free(narrow);
}

/* Tests of many functions narrow every fourth, the first included: compiling is what they take their time
 * for. (Of every third, one of the three directions of a convolution would be all that ever is.) */
static inline bool run_bf16_too(void) {
  static int functions;
  return functions++ % 4 == 0;
}

static inline void run_check(const RunCase *c, const Emit *e) {
  Interp *in = run_reference(c);
  for (int isa = 0; isa < e->machine->isas; isa++)
    if (run_has_set(e, isa)) run_isa(c, e, in, isa, false);
  bool newest = false;
  for (int i = 0; i < e->nkernel && e->machine->simt; i++) newest |= e->kernel[i].k[0]->sm90 != NULL;
  if (newest) run_isa(c, e, in, 0, true);
  interp_free(in);
}
#endif
