/* test_ops.c - every op's compiled forward and gradient, through all passes and the emitters (run_passes.h),
 * on every instruction set of this machine: the cases of tests/passes/ops, and random graphs with a
 * loss and its gradient in every input. tests/codegen/gpu/test_gpu_ops.c is the same for the kernels of a
 * GPU. */
#include "tests/test.h"
#include "passes/autodiff/autodiff.h"
#include "tests/codegen/emit/run_passes.h"
#include "tests/ir/gen.h"
#include "tests/passes/op_cases.h"

/* Small integers, whose products and sums are exact; orient's turns are eighths, which its case makes
 * codes. */
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

TEST(every_case_and_its_gradient_agree) {
  int exact = 0;
  for (const OpCase *c = op_cases(); c->name; c++) {
    char err[IR_ERR] = "";
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
TEST(a_nan_comes_out_where_it_does_in_the_interpreter) {
  for (const OpCase *c = op_cases(); c->name; c++) {
    if (strstr(c->body, "= resize")) continue;
    char err[IR_ERR] = "";
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

TEST(random_graphs_and_their_gradients_agree) {
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
TEST(no_op_is_missing) {
  for (int op = 0; op < OP_COUNT; op++)
    if (!seen[op] && op_info[op].cls != META && op != OP_var)
      fail_msg("no function held %s", op_info[op].name);
}

RUN_TESTS(NULL, NULL)
