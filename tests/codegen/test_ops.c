/* Every op's compiled forward and gradient, through all passes and the emitters, on every instruction set of this
 * machine: the cases of op_cases.h, and random graphs with a loss and its gradient in every input. Compiled values are
 * compared with the interpreter on the fused function (float32), and that one's results with the function as it was
 * before simplify, expand, layout and fuse (float64). test_gpu_ops.c is the same for the kernels of a GPU. */
#include "run_emit.h"
#include "passes/fuse_check.h"
#include "passes/passes.h"
#include "tests/ir/gen.h"
#include "tests/passes/op_cases.h"
#ifndef OPS_MACHINE
#define OPS_MACHINE machine_host
#endif

static double fill_lo, fill_hi;
static bool seen[OP_COUNT]; /* ops of the functions checked so far, before the passes */

/* Reals of the case's range; codes of orient are 0..7. */
static double fill_range(const char *name, int64_t i, Type t) {
  uint32_t h = run_hash(name, i);
  return t.dt == I32 ? h % 8 : (double)(float)(fill_lo + (fill_hi - fill_lo) * (double)(h >> 8) * 0x1p-24);
}

/* Small integers, whose products and sums are exact; orient's turns are eighths, of which its case makes codes. */
static double fill_exact(const char *name, int64_t i, Type t) {
  return strcmp(name, "kturn") ? run_fill_int(name, i, t) : run_hash(name, i) % 8 / 8.0;
}

/* Reals of the case's range, and NaN among them, but where they are weights, masks and codes. */
static double fill_nan(const char *name, int64_t i, Type t) {
  return t.dt != I32 && name[0] != 'k' && run_hash(name, i) % 5 == 0 ? NAN : fill_range(name, i, t);
}

/* Ops that make integers of integers, and whose gradients do. */
static bool is_exact(const Fn *f) {
  for (int i = 0; i < f->n; i++) {
    const Node *n = &f->node[i];
    switch (op_info[n->op].cls == CON ? OP_conv : n->op) {
    case OP_const:
      if (n->at.value != floor(n->at.value)) return false;
      break;
    case OP_input:
    case OP_iota:
    case OP_neg:
    case OP_abs:
    case OP_relu:
    case OP_add:
    case OP_sub:
    case OP_mul:
    case OP_min:
    case OP_max:
    case OP_lt:
    case OP_le:
    case OP_eq:
    case OP_select:
    case OP_stop:
    case OP_cast:
    case OP_sum:
    case OP_conv:
    case OP_reshape:
    case OP_broadcast:
    case OP_concat:
    case OP_slice:
    case OP_pad:
    case OP_upsample:
    case OP_sumpool:
    case OP_maxpool:
    case OP_maxpool_dx:
    case OP_orient: break;
    default: return false;
    }
  }
  return true;
}

/* Results of the function before the passes, in double precision, against those of the one after them. */
static void compare_passes(const RunCase *before, const RunCase *after, Interp *a, Interp *b,
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

static Interp *reference64(const RunCase *c) {
  char err[256] = "";
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
static void check_fn(Fn *f, RunCase c, double tolerance_of_passes) {
  char err[256] = "";
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
  if (!run_narrow_too()) return;
  run_narrow(p->fn[0]);
  if (!(e = emit_fn_on(&OPS_MACHINE, p->arena, c.fn, NULL, err))) fail_msg("%s: %s", c.what, err);
  if (c.tolerance > 0)
    c.tolerance = 0x1p-5; /* a rounding that goes the other way than the interpreter's counts */
  run_check(&c, e);
}

static void test_cases(void **state) {
  (void)state;
  int exact = 0;
  for (size_t i = 0; i < sizeof op_cases / sizeof *op_cases; i++) {
    const OpCase *c = &op_cases[i];
    char err[256] = "";
    Arena *a = arena_new();
    Fn *f = op_case_fn(a, c->body, err);
    if (!f) fail_msg("%s: %s", c->name, err);
    fill_lo = c->lo, fill_hi = c->hi;
    check_fn(f, (RunCase){.tolerance = 2e-5, .seed = 7, .iteration = 3, .fill = fill_range, .what = c->name},
             2e-5);
    arena_free(a);
    a = arena_new();
    f = op_case_fn(a, c->body, err);
    Fn *d = pass_autodiff(f, err);
    if (d && is_exact(d)) {
      check_fn(f, (RunCase){.seed = 7, .iteration = 3, .fill = fill_exact, .what = c->name}, 0);
      exact++;
    }
    arena_free(a);
  }
  assert_true(exact >= 40);
}

/* A NaN comes out where it does in the interpreter, whose test says where that is; but for resize: whether a
 * neighbour that weighs nothing is met hangs on the rounding of places. */
static void test_nan(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof op_cases / sizeof *op_cases; i++) {
    const OpCase *c = &op_cases[i];
    if (strstr(c->body, "= resize")) continue;
    char err[256] = "";
    Arena *a = arena_new();
    Fn *f = op_case_fn(a, c->body, err);
    if (!f) fail_msg("%s: %s", c->name, err);
    fill_lo = c->lo, fill_hi = c->hi;
    RunCase rc = {.tolerance = 2e-5, .seed = 7, .iteration = 3, .fill = fill_nan, .what = c->name};
    for (int n = 0; n < f->n; n++) rc.spreads |= op_info[f->node[n].op].cls == CON;
    check_fn(f, rc, 2e-5);
    arena_free(a);
  }
}

/* The mean of every result, and its gradient in every real input. */
static void add_gradients(Fn *f) {
  int loss = ir_const(f, 0), nout = f->nout, n = f->n;
  for (int o = 0; o < nout; o++) {
    int y = f->out[o].node;
    if (f->node[y].type.dt != F32) continue;
    int mean = ir_mean(f, y, all_axes(f->node[y].type));
    loss = ir_add(f, loss, ir_reshape(f, mean, type_scalar()));
  }
  fn_output(f, "loss", loss);
  for (int i = 0; i < n; i++)
    if (f->node[i].op == OP_input && f->node[i].type.dt == F32)
      fn_output(f, arena_printf(f->prog->arena, "d%s", f->node[i].at.sym), ir_grad(f, loss, i));
}

static void test_random(void **state) {
  (void)state;
  fill_lo = -1, fill_hi = 1;
  for (int seed = 0; seed < 60; seed++) {
    Arena *a = arena_new();
    Program *p = prog_new(a);
    Gen g = gen_new(p, 1000 + (uint64_t)seed, GEN_ALL);
    Fn *f = gen_fn(&g, arena_printf(a, "random %d", seed), 16);
    assert_non_null(f);
    add_gradients(f);
    if (f->err[0]) fail_msg("%s", f->err);
    check_fn(f, (RunCase){.tolerance = 5e-5, .seed = 7, .iteration = 3, .fill = fill_range, .what = f->name},
             1e-4);
    arena_free(a);
  }
}

/* After the others. */
static void test_no_op_is_missing(void **state) {
  (void)state;
  for (int op = 0; op < OP_COUNT; op++)
    if (!seen[op] && op_info[op].cls != META && op != OP_var)
      fail_msg("no function held %s", op_info[op].name);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_nan),
                                     cmocka_unit_test(test_random), cmocka_unit_test(test_no_op_is_missing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
