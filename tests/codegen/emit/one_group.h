/* one_group.h - functions of one group, laid out and grouped by hand, for tests of single emitters. */
#ifndef NETC_ONE_GROUP_H
#define NETC_ONE_GROUP_H
#include "passes/fuse/fuse.h"
#include "tests/codegen/emit/run_emit.h"

static inline Fn *one_begin(Arena *a, const char *name) { return fn_new(prog_new(a), name, FN_FORWARD); }

static inline Type image(int64_t n, int64_t c, int ns, const int64_t *s) {
  Type t = {F32, 2 + ns, {n, c}};
  for (int i = 0; i < ns; i++) t.dim[2 + i] = s[i];
  return t;
}

/* The rules of pass `layout`, but for weights, which the caller marks. */
static inline void one_layout(Fn *f, int weights) {
  for (int i = 0; i < f->n; i++) {
    Node *n = &f->node[i];
    if (i == weights) order_weights(n->order, n->type.rank);
    else if (n->type.rank >= 4) order_channels_last(n->order, n->type.rank);
    else order_identity(n->order);
  }
}

/* Runs the emitter of group 0, for the host and for a GPU; then the launches, and compares. */
static inline void one_run(Fn *f, bool (*emitter)(Emit *, const GroupInfo *), double tolerance, bool gpus) {
  const GroupInfo *g = group_values(f);
  RunCase c = run_case(f, tolerance);
  for (int gpu = 0; gpu <= gpus; gpu++) {
    Emit *e = emit_new(f->prog->arena, f, NULL);
    if (gpu) e->machine = &machine_gpu;
    e->stream_from = RUN_STREAM_ALL;
    if (!emitter(e, &g[0]) || e->err[0]) fail_msg("%s: %s", f->name, e->err);
    run_check(&c, e);
  }
}

/* Everything but leaves becomes one group with this anchor. */
static inline void one_group(Fn *f, int kind, int anchor) {
  char err[IR_ERR] = "";
  if (f->err[0]) fail_msg("%s: %s", f->name, f->err);
  if (!fn_verify(f, err)) fail_msg("%s: %s", f->name, err);
  for (int i = 0; i < f->n; i++) f->node[i].group = op_info[f->node[i].op].cls == LEAF ? -1 : 0;
  f->group = arena_alloc(f->prog->arena, sizeof *f->group);
  f->group[0] = (Group){kind, anchor};
  f->ngroup = f->capgroup = 1;
}

/* The emitter of one group runs on f32 and then on bf16; for the host and, with `gpus`, for a GPU. */
static inline void one_check_on(bool gpus, Fn *f, int kind, int anchor,
                                bool (*emitter)(Emit *, const GroupInfo *), double tolerance) {
  one_group(f, kind, anchor);
  one_run(f, emitter, tolerance, gpus);
  if (!run_bf16_too()) return;
  run_bf16(f);
  one_run(f, emitter, tolerance, gpus);
}

static inline void one_check(Fn *f, int kind, int anchor, bool (*emitter)(Emit *, const GroupInfo *),
                             double tolerance) {
  one_check_on(true, f, kind, anchor, emitter, tolerance);
}
#endif
