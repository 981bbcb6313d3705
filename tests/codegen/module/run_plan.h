/* run_plan.h - runs a whole program as its module would: passes, emitters, the memory plan, and then all
 * launches of a function over one arena, several iterations one after another. What overlays of buffers,
 * stores in place and copies of stores do to values shows here only: tests/codegen/emit/run_emit.h gives
 * every buffer memory of its own.
 *
 *   plan_run_check(prog, "what", tolerance, iterations);     // cmocka assertions
 *   plan_run_filled(.., fill);                               // with values of one's own
 *
 * Function 0 is run, on every instruction set, beside the interpreter on the same fused function; outputs and
 * variables are compared after every iteration. Variables and inputs are filled by run_fill_real, or by
 * run_fill_int where tolerance is 0; everything else of the arena starts as NaN patterns. */
#ifndef NETC_RUN_PLAN_H
#define NETC_RUN_PLAN_H
#include "passes/passes.h"
#include "tests/codegen/emit/run_emit.h"
#include "codegen/module/module.h"

typedef struct {
  const char *what;
  double tolerance;
  double (*fill)(const char *name, int64_t i, Type t);
  Module m;
  FnPlan plan;
  Interp *in;
  char *arena;
} PlanRun;

/* Row-major values into the arena. */
static inline void plan_put(PlanRun *r, int64_t offset, const Node *n, const double *v) {
  for (int64_t i = 0; i < type_count(n->type); i++) {
    char *to = r->arena + offset + 4 * run_memory_index(n, i);
    float f = (float)v[i];
    int32_t k = n->type.dt == I32 ? (int32_t)v[i] : 0;
    memcpy(to, n->type.dt == I32 ? (void *)&k : (void *)&f, 4);
  }
}

static inline void plan_compare(const PlanRun *r, int64_t offset, const Node *n, const double *want,
                                const char *name, int iteration) {
  for (int64_t i = 0; i < type_count(n->type); i++) {
    float f;
    int32_t k;
    memcpy(&f, r->arena + offset + 4 * run_memory_index(n, i), 4);
    memcpy(&k, &f, 4);
    double got = n->type.dt == I32 ? (double)k : (double)f;
    if (got == want[i] || fabs(got - want[i]) <= r->tolerance * (1 + fabs(want[i]))) continue;
    fn_print(stderr, r->plan.fn);
    fail_msg("%s: iteration %d, %s[%lld] is %.9g, expected %.9g", r->what, iteration, name, (long long)i, got,
             want[i]);
  }
}

static inline Node plan_var_node(const Var *v) {
  Node n = {.type = v->type};
  memcpy(n.order, v->order, sizeof n.order);
  return n;
}

/* The arena, and the interpreter's variables and inputs, as before the first iteration. */
static inline void plan_start(PlanRun *r) {
  const Program *p = r->m.prog;
  uint32_t nan = RUN_NAN;
  for (int64_t i = 0; i < r->m.var_bytes + r->plan.temporaries + RUN_GUARD * 4; i += 4)
    memcpy(r->arena + i, &nan, 4);
  for (int i = 0; i < p->nvar; i++) {
    Node n = plan_var_node(&p->var[i]);
    double *d = calloc((size_t)type_count(n.type), sizeof *d);
    for (int64_t k = 0; k < type_count(n.type); k++) d[k] = r->fill(p->var[i].name, k, n.type);
    interp_bind(r->in, p->var[i].name, d); /* false: the function neither reads nor stores it */
    plan_put(r, r->m.var_offset[i], &n, d);
    free(d);
  }
}

static inline void plan_feed(PlanRun *r, int iteration) {
  for (int i = 0; i < r->plan.ninput; i++) {
    const Input *in = &r->plan.input[i];
    Node n = {.type = in->type};
    memcpy(n.order, in->order, sizeof n.order);
    double *d = calloc((size_t)type_count(n.type), sizeof *d);
    for (int64_t k = 0; k < type_count(n.type); k++) d[k] = r->fill(in->name, k + 1000 * iteration, n.type);
    interp_bind(r->in, in->name, d);
    plan_put(r, r->plan.offset[in->buffer], &n, d);
    free(d);
  }
}

static inline void plan_iterate(PlanRun *r, Jit *jit, int iteration) {
  char err[IR_ERR] = "";
  const Fn *f = r->plan.fn;
  const Emit *e = r->plan.e;
  NetcStep step = {7, (uint64_t)iteration};
  for (int l = 0; l < e->nlaunch; l++) {
    void *args[NETC_MAX_ARGS];
    for (int i = 0; i < e->launch[l].nargs; i++) args[i] = r->arena + r->plan.offset[e->launch[l].arg[i]];
    for (int64_t t = 0; t < e->launch[l].tasks; t++) jit_get(jit, e->launch[l].kernel)(args, &step, t);
  }
  interp_step(r->in, step.seed, step.iteration);
  if (!interp_run(r->in, err)) fail_msg("%s: interpreter: %s", r->what, err);
  for (int o = 0; o < f->nout; o++)
    plan_compare(r, r->plan.offset[r->plan.output[o]], &f->node[f->out[o].node],
                 interp_value(r->in, f->out[o].node), f->out[o].name, iteration);
  if (!interp_commit(r->in, err)) fail_msg("%s: interpreter: %s", r->what, err);
  for (int i = 0; i < r->m.prog->nvar; i++) {
    const Var *v = &r->m.prog->var[i];
    Node n = plan_var_node(v);
    if (interp_bound(r->in, v->name))
      plan_compare(r, r->m.var_offset[i], &n, interp_bound(r->in, v->name), v->name, iteration);
  }
}

static inline void plan_run_filled(Program *p, const char *what, double tolerance, int iterations,
                                   double (*fill)(const char *name, int64_t i, Type t)) {
  char err[IR_ERR] = "";
  if (!passes_run(p, &(PassOptions){.verify = true}, err)) fail_msg("%s: %s", what, err);
  PlanRun r = {.what = what, .tolerance = tolerance, .fill = fill, .m = {.arena = p->arena, .prog = p}};
  Emit *e = emit_fn(p->arena, p->fn[0], NULL, err);
  if (!e) fail_msg("%s: %s", what, err);
  r.plan = (FnPlan){.fn = p->fn[0], .e = e};
  module_place_vars(&r.m);
  if (!plan_fn(&r.m, &r.plan, err)) fail_msg("%s: %s", what, err);
  r.arena = aligned_alloc(64, ((size_t)(r.m.var_bytes + r.plan.temporaries) + RUN_GUARD * 4 + 63) / 64 * 64);
  assert_non_null(r.arena);
  const KFn **k = calloc((size_t)e->nkernel + 1, sizeof *k);
  for (int isa = 0; isa < NETC_ISA_COUNT && run_has_set(e, isa); isa++) {
    for (int i = 0; i < e->nkernel; i++) {
      k[i] = run_kernel(e, i, isa);
      if (!kir_verify(k[i], err)) fail_msg("%s: kernel %s: %s", what, e->kernel[i].name, err);
    }
    Jit *jit = jit_new(k, e->nkernel, (NetcIsa)isa, err);
    if (!jit) fail_msg("%s: %s", what, err);
    r.in = interp_new(p->fn[0], INTERP_F32);
    plan_start(&r);
    for (int i = 0; i < iterations; i++) {
      plan_feed(&r, i);
      plan_iterate(&r, jit, i);
    }
    interp_free(r.in);
    jit_free(jit);
  }
  free(k);
  free(r.arena);
}

static inline void plan_run_check(Program *p, const char *what, double tolerance, int iterations) {
  plan_run_filled(p, what, tolerance, iterations, tolerance == 0 ? run_fill_int : run_fill_real);
}
#endif
