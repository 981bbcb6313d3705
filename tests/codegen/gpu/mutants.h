/* mutants.h - kernels of small functions, spoilt in one place, and whether the emulation sees it
 * (test_gpu_mutants.c, test_gpu_tensor_mutants.c, test_gpu_wgmma_mutants.c, test_gpu_parts.c). */
#ifndef NETC_MUTANTS_H
#define NETC_MUTANTS_H
#include "tests/one_arena.h"
#include "tests/codegen/emit/run_emit.h"
#include "codegen/kir/internal.h"
#include "passes/passes.h"
#include "tests/passes/op_cases.h"

/* ---- spoilt copies ---- */

/* A copy of k without code yet, and where its instructions will be noted. */
static inline KFn *spoilt_begin(const KFn *k, KV **map) {
  KFn *out = k_new(arena, k->name, k->lanes);
  out->nargs = k->nargs, out->warps = k->warps, out->may_alias = k->may_alias;
  *map = arena_alloc(arena, ((size_t)k->n + 1) * sizeof **map);
  return out;
}

/* Instruction v of k, with the copy's operands. */
static inline KIns spoilt_ins(const KFn *k, int v, const KV *map) {
  KIns ins = k->ins[v];
  for (int o = 0; o < 4; o++)
    if (ins.in[o] >= 0) ins.in[o] = map[ins.in[o]];
  return ins;
}

/* k without instruction `drop` (a statement), or with `shift` added to the element number of access `at`. */
static inline KFn *altered(const KFn *k, int drop, int at, int shift) {
  KV *map;
  KFn *out = spoilt_begin(k, &map);
  for (int v = 0; v < k->n; v++) {
    if (v == drop) continue;
    KIns ins = spoilt_ins(k, v, map);
    if (v == at) {
      bool lanes = k->ins[k->ins[v].in[1]].type.vec;
      KV by = lanes ? k_splat(out, k_i32(out, shift)) : k_i64(out, shift);
      ins.in[1] = k_add(out, ins.in[1], by);
    }
    map[v] = kir_append(out, &ins);
  }
  return out;
}

static inline bool is_access(const KIns *i) {
  return (i->op >= K_load && i->op <= K_gather_masked) || (i->op >= K_store && i->op <= K_scatter_masked);
}

/* ---- a function's kernels ---- */

/* One launch of a kernel, with what its arguments hold before and after. */
typedef struct {
  const char *function;
  const KFn *k; /* prepared */
  const Launch *launch;
  int64_t bytes[NETC_MAX_ARGS];
  uint8_t *before[NETC_MAX_ARGS], *after[NETC_MAX_ARGS];
} Subject;

typedef struct {
  Subject *subject; /* the first launch of every kernel */
  int n;
} Subjects;

static inline uint8_t *copy_of(const void *data, int64_t bytes) {
  return memcpy(arena_alloc(arena, (size_t)bytes), data, (size_t)bytes);
}

/* Runs k on the arguments as they were before; what they hold then is in `now`. false: an error, told in
 * err. */
static inline bool run_subject(const Subject *s, const KFn *k, uint8_t **now, char err[IR_ERR]) {
  EmuBuffer buffer[NETC_MAX_ARGS];
  NetcStep step = {7, 3};
  for (int i = 0; i < s->launch->nargs; i++) {
    now[i] = copy_of(s->before[i], s->bytes[i]);
    buffer[i] = (EmuBuffer){now[i], s->bytes[i]};
  }
  Emulator *e = emulator_unchecked(&k, 1, err);
  if (!e) fail_msg("%s: %s", s->function, err);
  bool good = emulator_launch(e, 0, buffer, s->launch->tasks, &step, 5, err);
  emulator_free(e);
  return good;
}

/* Is the spoilt kernel seen, by an error or by its results? */
static inline bool is_seen(const Subject *s, const KFn *k, char err[IR_ERR]) {
  uint8_t *now[NETC_MAX_ARGS];
  if (!run_subject(s, k, now, err)) return true;
  for (int i = 0; i < s->launch->nargs; i++)
    if (memcmp(now[i], s->after[i], (size_t)s->bytes[i])) return true;
  return false;
}

/* For machine m; the forms for sm_90a where there are some; bf16: values stored as bf16. */
static inline Subjects subjects_on(const Machine *m, bool newest, bool bf16, const char *name,
                                   const char *body, bool tf32) {
  char err[IR_ERR] = "";
  Fn *f = op_case_fn(arena, body, err);
  if (!f) fail_msg("%s: %s", name, err);
  f->prog->tf32 = tf32;
  if (!passes_run(f->prog, &(PassOptions){.verify = true}, err)) fail_msg("%s: %s", name, err);
  if (bf16) run_bf16(f->prog->fn[0]);
  Emit *e = emit_fn_on(m, arena, f->prog->fn[0], NULL, err);
  if (!e) fail_msg("%s: %s", name, err);
  RunCase c = run_case(f->prog->fn[0], 1e-4);
  Run r = {.c = &c, .e = e, .mem = arena_alloc(arena, ((size_t)e->nbuffer + 1) * sizeof *r.mem)};
  for (int i = 0; i < e->nbuffer; i++) r.mem[i] = arena_alloc(arena, (size_t)run_words(e, i) * 4);
  run_fill_buffers(&r);
  Subjects list = {arena_alloc(arena, ((size_t)e->nlaunch + 1) * sizeof *list.subject), 0};
  bool *had = arena_alloc(arena, (size_t)e->nkernel + 1);
  for (int l = 0; l < e->nlaunch; l++) {
    const Launch *launch = &e->launch[l];
    Subject *s = &list.subject[list.n];
    *s = (Subject){.function = name, .launch = launch};
    const KFn *k = e->kernel[launch->kernel].k[0];
    s->k = simt_prepare(arena, newest && k->sm90 ? k->sm90 : k);
    for (int i = 0; i < launch->nargs; i++) {
      s->bytes[i] = e->buffer[launch->arg[i]].bytes;
      s->before[i] = copy_of(r.mem[launch->arg[i]], s->bytes[i]);
    }
    if (!run_subject(s, s->k, s->after, err)) fail_msg("%s: %s", name, err);
    for (int i = 0; i < launch->nargs; i++)
      if (launch->writes >> i & 1) memcpy(r.mem[launch->arg[i]], s->after[i], (size_t)s->bytes[i]);
    if (!had[launch->kernel]) list.n++;
    had[launch->kernel] = true;
  }
  return list;
}

/* With tf32 those that can multiply on tensor cores. */
static inline Subjects subjects(const char *name, const char *body, bool tf32) {
  return subjects_on(&machine_gpu, false, false, name, body, tf32);
}
#endif
