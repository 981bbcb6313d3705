/* test_autodiff.c - gradients against central differences, in double precision, of the cases in
 * tests/passes/ops. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tests/test.h"
#include "passes/autodiff/autodiff.h"
#include "ir/interp/interp.h"
#include "ir/philox.h"
#include "passes/passes.h"
#include "tests/passes/op_cases.h"

static double *values(Type t, const char *name, double lo, double hi) {
  int64_t n = type_count(t);
  double *v = malloc((size_t)n * sizeof *v);
  for (int64_t i = 0; i < n; i++)
    v[i] =
        lo + (hi - lo) * (double)philox_uniform(11, (uint64_t)name[0], (uint64_t)strlen(name), (uint64_t)i);
  return v;
}

static double loss_at(Interp *in, int loss) {
  char err[IR_ERR];
  if (!interp_run(in, err)) fail_msg("%s", err);
  return *interp_value(in, loss);
}

/* dloss/dx of every element by central differences against the gradient's node. */
static void check_input(Fn *f, Interp *in, int x, int grad, int loss, const OpCase *c) {
  const Node *n = &f->node[x];
  int64_t count = type_count(n->type);
  double *v = values(n->type, n->at.sym, c->lo, c->hi), *got = malloc((size_t)count * sizeof *got), h = 1e-5;
  loss_at(in, loss);
  memcpy(got, interp_value(in, grad), (size_t)count * sizeof *got);
  for (int64_t i = 0; i < count; i++) {
    double keep = v[i];
    v[i] = keep + h, interp_bind(in, n->at.sym, v);
    double up = loss_at(in, loss);
    v[i] = keep - h, interp_bind(in, n->at.sym, v);
    double down = loss_at(in, loss), want = (up - down) / (2 * h);
    v[i] = keep;
    if (!(fabs(got[i] - want) < 1e-6 * (1 + fabs(want))))
      fail_msg("%s: d/d%s[%lld] is %.9g, differences give %.9g", c->name, n->at.sym, (long long)i, got[i],
               want);
  }
  interp_bind(in, n->at.sym, v);
  free(v), free(got);
}

/* Adds sum(y * k) and its gradient in every input but the k ones; checks them all. */
static void check_case(const OpCase *c) {
  Arena *a = arena_new();
  char err[IR_ERR] = "";
  Fn *f = op_case_fn(a, c->body, err);
  if (!f) fail_msg("%s: %s", c->name, err);
  int inputs = f->nout - 2;
  Fn *g = pass_autodiff(f, err);
  if (!g || !fn_verify(g, err)) fail_msg("%s: %s", c->name, err);
  Interp *in = interp_new(g, INTERP_F64);
  for (int i = 0; i < g->n; i++) {
    if (g->node[i].op != OP_input) continue;
    double *v = values(g->node[i].type, g->node[i].at.sym, c->lo, c->hi);
    interp_bind(in, g->node[i].at.sym, v);
    free(v);
  }
  for (int o = 2; o < g->nout; o++)
    for (int i = 0; i < g->n; i++)
      if (g->node[i].op == OP_input && !strcmp(g->node[i].at.sym, g->out[o].name))
        check_input(g, in, i, g->out[o].node, g->out[1].node, c), inputs--;
  assert_int_equal(inputs, 0);
  interp_free(in);
  arena_free(a);
}

TEST(gradients_of_all_cases_are_what_differences_say) {
  for (const OpCase *c = op_cases(); c->name; c++) check_case(c);
}

/* Every differentiable op of the table must occur in a case. */
TEST(every_differentiable_op_has_a_case) {
  static const char *const not_differentiable[] = {
#define OP(name, min_in, max_in, attrs, cls, cost, shape, grad, form, meaning) #grad,
#include "ir/ops.def"
  };
  for (int op = 0; op < OP_COUNT; op++) {
    if (!strcmp(not_differentiable[op], "zero") || op_info[op].cls == META || op == OP_cast) continue;
    char word[64];
    bool found = false;
    snprintf(word, sizeof word, "= %s %%", op_info[op].name);
    for (const OpCase *c = op_cases(); c->name; c++) found = found || strstr(c->body, word);
    if (!found) fail_msg("no case differentiates %s", op_info[op].name);
  }
}

/* The gradient of the sum of y in input "a" of a function of the text form that ends in %y. */
static void check_gradient(const char *body, int n, const double *x, const double *want) {
  Arena *a = arena_new();
  char err[IR_ERR] = "";
  Program *p = ir_parse(
      a, arena_printf(a, "program \"t\"\nfn forward \"f\" {\n%s\noutput \"y\" = %%y\n}\n", body), err);
  if (!p) fail_msg("%s: %s", body, err);
  Fn *f = p->fn[0];
  int y = f->out[0].node, at = 0;
  while (f->node[at].op != OP_input) at++;
  int loss = ir_reshape(f, ir_sum(f, y, all_axes(f->node[y].type)), type_scalar());
  fn_output(f, "grad", ir_grad(f, loss, at));
  if (!(f = pass_autodiff(f, err))) fail_msg("%s: %s", body, err);
  Interp *in = interp_new(f, INTERP_F64);
  assert_true(interp_bind(in, "a", x));
  if (!interp_run(in, err)) fail_msg("%s: %s", body, err);
  const double *got = interp_value(in, f->out[1].node);
  for (int i = 0; i < n; i++)
    if (got[i] != want[i]) fail_msg("%s: gradient %d is %.17g, not %.17g", body, i, got[i], want[i]);
  interp_free(in);
  arena_free(a);
}
#define LIST(...) ((double[]){__VA_ARGS__})
#define GRADIENT(body, x, ...)                                                                               \
  check_gradient(body, sizeof LIST(__VA_ARGS__) / sizeof(double), x, LIST(__VA_ARGS__))

/* Where differences say nothing: extremes that several elements share, kinks, NaN. */
TEST(what_ties_shares_its_gradient) {
  const double *x = LIST(1, 3, 3, 2, 2, 2, -1, -4), *nan = LIST(NAN, 1, 2, NAN);
  GRADIENT("%a = input \"a\" : f32[2,4]\n%y = amax %a {axes=[1]}", x, 0, 0.5, 0.5, 0, 0.5, 0.5, 0, 0);
  GRADIENT("%a = input \"a\" : f32[2,4]\n%y = amax %a {axes=[0,1]}", x, 0, 0.5, 0.5, 0, 0, 0, 0, 0);
  GRADIENT("%a = input \"a\" : f32[2,4]\n%y = amin %a {axes=[0]}", x, 1, 0, 0, 0, 0, 1, 1, 1);
  GRADIENT("%a = input \"a\" : f32[2,4]\n%y = amin %a {axes=[1]}", LIST(5, 5, 5, 5, 1, 2, 3, 4), 0.25, 0.25,
           0.25, 0.25, 1, 0, 0, 0);
#define WITH_ZERO(op) "%a = input \"a\" : f32[2]\n%z = const {value=0} : f32[]\n%y = " op
  GRADIENT(WITH_ZERO("relu %a"), LIST(0, 2), 0, 1);
  GRADIENT(WITH_ZERO("abs %a"), LIST(0, -2), 0, -1);
  GRADIENT(WITH_ZERO("max %a %z"), LIST(0, -2), 1, 0);
  GRADIENT(WITH_ZERO("min %z %a"), LIST(0, -2), 0, 1);
  /* what chose NaN passes the gradient on to it */
  GRADIENT("%a = input \"a\" : f32[4]\n%y = relu %a", nan, 1, 1, 1, 1);
  GRADIENT("%a = input \"a\" : f32[4]\n%z = const {value=1.5} : f32[]\n%y = max %a %z", nan, 1, 0, 1, 1);
  GRADIENT("%a = input \"a\" : f32[4]\n%z = const {value=1.5} : f32[]\n%y = min %a %z", nan, 1, 1, 0, 1);
  GRADIENT("%a = input \"a\" : f32[2,2]\n%y = amax %a {axes=[1]}", LIST(NAN, 1, 2, 1), 0.5, 0.5, 1, 0);
}

/* DyBAC (methods 2), a layer with both attentions and the gate. */
TEST(the_gradient_of_a_dybac_layer_is_what_differences_say) {
  static const char *const variants[] = {"2d", "2d_strided", "3d", "3d_strided"};
  for (int i = 0; i < 4; i++) {
    char path[64];
    snprintf(path, sizeof path, "tests/passes/networks/dybac_%s.ir", variants[i]);
    OpCase c = op_case_read(path);
    check_case(&c);
    op_case_free(&c);
  }
}

/* A network that is only passed through gives the gradient of its input; one that is not on the path costs
 * nothing. */
TEST(only_gradients_that_are_wanted_are_computed) {
  Arena *a = arena_new();
  char err[IR_ERR] = "";
  char *text = read_text("tests/passes/networks/two_convolutions.ir");
  assert_non_null(text);
  Program *p = ir_parse(a, text, err);
  free(text);
  if (!p) fail_msg("%s", err);
  Fn *f = pass_autodiff(p->fn[0], err);
  if (!f) fail_msg("%s", err);
  int dx = 0, dw = 0;
  for (int i = 0; i < f->n; i++) dx += f->node[i].op == OP_conv_dx, dw += f->node[i].op == OP_conv_dw;
  assert_int_equal(dx, 1); /* through d to h, not on to x */
  assert_int_equal(dw, 1); /* w, not d */
  const Node *zero = &f->node[f->out[1].node];
  assert_true(zero->op == OP_const && zero->at.value == 0 && zero->type.dim[0] == 3);
  arena_free(a);
}

RUN_TESTS(NULL, NULL)
