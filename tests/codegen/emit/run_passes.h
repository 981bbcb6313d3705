/* run_passes.h - a function with `grad` nodes through all passes and the emitters, run as run_emit.h does.
 * Compiled values are compared with the interpreter on the fused function (float32), and that one's results
 * with the function as it was before simplify, expand, layout and fuse (float64).
 *
 *   fill_lo = -1, fill_hi = 1;                  // values of inputs
 *   check_fn(f, (RunCase){.tolerance = 2e-5, .fill = fill_range, .what = "x"}, 2e-5);
 *
 * OPS_MACHINE is whom the kernels are for; a file may define it before. */
#ifndef NETC_RUN_PASSES_H
#define NETC_RUN_PASSES_H
#include "passes/autodiff/autodiff.h"
#include "tests/codegen/emit/run_emit.h"
#include "passes/fuse/check.h"
#include "passes/passes.h"
#ifndef OPS_MACHINE
#define OPS_MACHINE machine_host
#endif

static double fill_lo, fill_hi;
static bool seen[OP_COUNT]; /* ops of the functions checked so far, before the passes */

/* Reals of the case's range; codes of orient are 0..7. */
static inline double fill_range(const char *name, int64_t i, Type t) {
  uint32_t h = run_hash(name, i);
  return t.dt == I32 ? h % 8 : (double)(float)(fill_lo + (fill_hi - fill_lo) * (double)(h >> 8) * 0x1p-24);
}

/* Results of the function before the passes, in double precision, against those of the one after them. */
static inline void compare_passes(const RunCase *before, const RunCase *after, Interp *a, Interp *b,
                                  double tolerance) {
  const Fn *f = before->fn, *g = after->fn;
  assert_int_equal(f->nout, g->nout);
  for (int o = 0; o < f->nout; o++) {
    const double *x = interp_value(a, f->out[o].node), *y = interp_value(b, g->out[o].node);
    for (int64_t i = 0; i < type_count(f->node[f->out[o].node].type); i++)
      if (!(fabs(x[i] - y[i]) <= tolerance * (1 + fabs(x[i]))) && !(isnan(x[i]) && isnan(y[i])))
        fail_msg("%s: output %s[%lld] is %.9g after the passes, %.9g before", after->what, f->out[o].name,
                 (long long)i, y[i], x[i]);
  }
}

static inline Interp *reference64(const RunCase *c) {
  char err[IR_ERR] = "";
  Interp *in = interp_new(c->fn, INTERP_F64);
  for (int i = 0; i < c->fn->n; i++) {
    if (!run_leaf_name(c->fn, i)) continue;
    double *d = run_leaf_data(c, i);
    interp_bind(in, run_leaf_name(c->fn, i), d);
    free(d);
  }
  interp_step(in, c->seed, c->iteration);
  if (!interp_run(in, err)) fail_msg("%s: %s", c->what, err);
  return in;
}

/* f holds `grad` nodes; `c` says how it is filled and how exact it is to be. */
static inline void check_fn(Fn *f, RunCase c, double tolerance_of_passes) {
  char err[IR_ERR] = "";
  Program *p = f->prog;
  p->tf32 = false;
  Fn *plain = pass_autodiff(f, err);
  if (!plain) fail_msg("%s: %s", c.what, err);
  for (int i = 0; i < plain->n; i++) seen[plain->node[i].op] = true;
  RunCase before = c;
  before.fn = plain;
  p->fn[0] = f;
  if (!passes_run(p, &(PassOptions){.verify = true}, err)) fail_msg("%s: %s", c.what, err);
  c.fn = p->fn[0];
  Emit *e = emit_fn_on(&OPS_MACHINE, p->arena, c.fn, NULL, err);
  if (!e) fail_msg("%s: %s", c.what, err);
  run_check(&c, e);
  Interp *a = reference64(&before), *b = run_reference(&c);
  compare_passes(&before, &c, a, b, tolerance_of_passes);
  interp_free(a), interp_free(b);
  if (!run_bf16_too()) return;
  run_bf16(p->fn[0]);
  if (!(e = emit_fn_on(&OPS_MACHINE, p->arena, c.fn, NULL, err))) fail_msg("%s: %s", c.what, err);
  if (c.tolerance > 0)
    c.tolerance = 0x1p-5; /* a rounding that goes the other way than the interpreter's counts */
  run_check(&c, e);
}
#endif
