/* test_autodiff.c - gradients against central differences, in double precision, of the cases in
 * op_cases.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "passes/autodiff/autodiff.h"
#include "ir/interp.h"
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
  char err[256];
  if (!interp_run(in, err)) fail_msg("%s", err);
  return *interp_value(in, loss);
}

/* dloss/dx of every element by central differences against the gradient's node. */
static void check_input(Fn *f, Interp *in, const char *what, int x, int grad, int loss, const OpCase *c) {
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
      fail_msg("%s: d/d%s[%lld] is %.9g, differences give %.9g", what, n->at.sym, (long long)i, got[i], want);
  }
  interp_bind(in, n->at.sym, v);
  free(v), free(got);
}

/* Adds sum(y * k) and its gradient in every input but the k ones; checks them all. */
static void check_body(const char *name, const char *body, const OpCase *c) {
  Arena *a = arena_new();
  char err[256] = "";
  Fn *f = op_case_fn(a, body, err);
  if (!f) fail_msg("%s: %s", name, err);
  int inputs = f->nout - 2;
  Fn *g = pass_autodiff(f, err);
  if (!g || !fn_verify(g, err)) fail_msg("%s: %s", name, err);
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
        check_input(g, in, name, i, g->out[o].node, g->out[1].node, c), inputs--;
  assert_int_equal(inputs, 0);
  interp_free(in);
  arena_free(a);
}

static void test_rules(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof op_cases / sizeof *op_cases; i++)
    check_body(op_cases[i].name, op_cases[i].body, &op_cases[i]);
}

/* Every differentiable op of the table must occur in a case. */
static void test_every_op_has_a_case(void **state) {
  (void)state;
  static const char *const not_differentiable[] = {
#define OP(name, min_in, max_in, attrs, cls, cost, shape, grad, form, meaning) #grad,
#include "ir/ops.def"
  };
  for (int op = 0; op < OP_COUNT; op++) {
    if (!strcmp(not_differentiable[op], "zero") || op_info[op].cls == META || op == OP_cast) continue;
    char word[64];
    bool found = false;
    snprintf(word, sizeof word, "= %s %%", op_info[op].name);
    for (size_t i = 0; i < sizeof op_cases / sizeof *op_cases; i++)
      found = found || strstr(op_cases[i].body, word);
    if (!found) fail_msg("no case differentiates %s", op_info[op].name);
  }
}

/* The gradient of the sum of y in input "a" of a function of the text form that ends in %y. */
static void check_gradient(const char *body, int n, const double *x, const double *want) {
  Arena *a = arena_new();
  char err[256] = "";
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
static void test_ties(void **state) {
  (void)state;
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

/* DyBAC (methods 2): N=3 C=6 O=5 K=4 R=2, with both attentions and the gate. */
static void test_dybac(void **state) {
  (void)state;
  static const OpCase c = {"dybac", "", -1, 1};
  for (int spatial = 2; spatial <= 3; spatial++)
    for (int stride = 1; stride <= 2; stride++) {
      Arena *a = arena_new();
      const char *s = spatial == 2 ? "6,7" : "4,5,6", *k = spatial == 2 ? "3,3" : "3,3,3",
                 *one = spatial == 2 ? "1,1" : "1,1,1";
      const char *axes = spatial == 2 ? "2,3" : "2,3,4",
                 *st = spatial == 2 ? (stride == 1 ? "1,1" : "2,2") : (stride == 1 ? "1,1,1" : "2,2,2");
      const char *p1 = one, *p0 = spatial == 2 ? "0,0" : "0,0,0";
      double m = spatial == 2 ? 1.0 / 42 : 1.0 / 120;
      char *body = arena_printf(
          a,
          "%%x = input \"x\" : f32[3,6,%s]\n%%w1 = input \"w1\" : f32[2,6,%s]\n%%w2 = input \"w22\" : "
          "f32[1,2,%s]\n"
          "%%z1 = conv %%x %%w1 {stride=[%s], pad=[%s]}\n%%z = conv %%z1 %%w2 {stride=[%s], "
          "pad=[%s]}\n%%gate = sigmoid %%z\n%%x1 = mul %%x %%gate\n"
          "%%ms = sum %%x1 {axes=[%s]}\n%%r = const {value=%.17g} : f32[]\n%%mean = mul %%ms %%r\n%%m = "
          "reshape %%mean : f32[3,6]\n"
          "%%f1 = input \"f1\" : f32[2,6]\n%%f2 = input \"ff2\" : f32[4,2]\n%%h0 = inner %%m %%f1\n%%h = "
          "relu %%h0\n%%at = inner %%h %%f2\n"
          "%%tau = const {value=3} : f32[]\n%%att = div %%at %%tau\n%%pi = softmax %%att {axis=1}\n%%bank = "
          "input \"bank\" : f32[4,6,%s]\n%%kern = matmul %%pi %%bank {mode=0}\n"
          "%%g = sigmoid %%mean\n%%x2 = mul %%x1 %%g\n%%u = dwconv %%x2 %%kern {stride=[%s], pad=[%s]}\n%%v "
          "= input \"vvvv\" : f32[5,6,%s]\n"
          "%%y = conv %%u %%v {stride=[%s], pad=[%s]}\n",
          s, one, one, one, p0, one, p0, axes, m, k, st, p1, one, one, p0);
      check_body("dybac", body, &c);
      arena_free(a);
    }
}

/* A network that is only passed through gives the gradient of its input; one that is not on the path costs
 * nothing. */
static void test_only_what_is_wanted(void **state) {
  (void)state;
  Arena *a = arena_new();
  char err[256] = "";
  Program *p = ir_parse(a,
                        "program \"t\"\nfn forward \"f\" {\n%x = input \"x\" : f32[1,2,4,4]\n%w = input "
                        "\"w\" : f32[2,2,3,3]\n%d = input \"d\" : f32[1,2,3,3]\n"
                        "%h = conv %x %w {stride=[1,1], pad=[1,1]}\n%y = conv %h %d {stride=[1,1], "
                        "pad=[1,1]}\n%s = sum %y {axes=[0,1,2,3]}\n%l = reshape %s : f32[]\n"
                        "%g = grad %l %w\n%u = input \"u\" : f32[3]\n%gu = grad %l %u\noutput \"g\" = "
                        "%g\noutput \"gu\" = %gu\n}\n",
                        err);
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

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_rules), cmocka_unit_test(test_every_op_has_a_case),
                                     cmocka_unit_test(test_ties), cmocka_unit_test(test_dybac),
                                     cmocka_unit_test(test_only_what_is_wanted)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
