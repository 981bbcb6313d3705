/* Gradients against central differences, in double precision. A case is the body of a function of the text form that ends in
 * a node %y; every input whose name does not begin with k is differentiated. The loss is sum(y * k) with fixed random
 * weights k, so that no two elements' gradients are alike. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ir/interp.h"
#include "ir/philox.h"
#include "passes/passes.h"

typedef struct {
  const char *name, *body;
  double lo, hi; /* values of the inputs */
} Case;

static const Case cases[] = {
#define UNARY(op, lo, hi)                                                                                    \
  { #op, "%a = input \"a\" : f32[2,3,2]\n%y = " #op " %a\n", lo, hi }
#define BINARY(op, lo, hi)                                                                                   \
  {#op, "%a = input \"a\" : f32[2,3,4]\n%b = input \"b\" : f32[2,3,4]\n%y = " #op " %a %b\n", lo, hi},       \
      {#op " broadcast",                                                                                     \
       "%a = input \"a\" : f32[1,3,1]\n%b = input \"b\" : f32[2,1,4]\n%y = " #op " %a %b\n", lo, hi},        \
  {                                                                                                          \
#op " scalar", "%a = input \"a\" : f32[]\n%b = input \"b\" : f32[2,1,4]\n%y = " #op " %a %b\n", lo, hi   \
  }
    UNARY(neg, -1, 1),
    UNARY(abs, -1, 1),
    UNARY(exp, -1, 1),
    UNARY(log, 0.5, 2),
    UNARY(sqrt, 0.5, 2),
    UNARY(rsqrt, 0.5, 2),
    UNARY(cos, -2, 2),
    UNARY(sin, -2, 2),
    UNARY(sigmoid, -3, 3),
    UNARY(tanh, -2, 2),
    UNARY(relu, -1, 1),
    {"leaky", "%a = input \"a\" : f32[2,3,2]\n%y = leaky %a {value=0.2}\n", -1, 1},
    {"powc 10", "%a = input \"a\" : f32[2,3,2]\n%y = powc %a {value=10}\n", 0.3, 1},
    {"powc 2", "%a = input \"a\" : f32[2,3,2]\n%y = powc %a {value=2}\n", -1, 1},
    {"powc 0.5", "%a = input \"a\" : f32[2,3,2]\n%y = powc %a {value=0.5}\n", 0.3, 1},
    BINARY(add, -1, 1),
    BINARY(sub, -1, 1),
    BINARY(mul, -1, 1),
    BINARY(div, 0.5, 2),
    BINARY(min, -1, 1),
    BINARY(max, -1, 1),
    {"select",
     "%m = input \"kmask\" : f32[2,3,4]\n%z = const {value=0} : f32[]\n%c = lt %z %m\n%a = input \"a\" : "
     "f32[2,3,4]\n"
     "%b = input \"b\" : f32[1,3,1]\n%y = select %c %a %b\n",
     -1, 1},
    {"sum", "%a = input \"a\" : f32[2,3,4]\n%y = sum %a {axes=[0,2]}\n", -1, 1},
    {"a value used three times", "%a = input \"a\" : f32[2,3]\n%b = mul %a %a\n%y = mul %b %a\n", -1, 1},
    {"softmax", "%a = input \"a\" : f32[2,3,4]\n%y = softmax %a {axis=1}\n", -2, 2},
    {"log_softmax", "%a = input \"a\" : f32[2,3,4]\n%y = log_softmax %a {axis=1}\n", -2, 2},
    {"batch normalisation",
     "%a = input \"a\" : f32[3,2,2,3]\n%g = input \"g\" : f32[2]\n%b = input \"b\" : f32[2]\n"
     "%m1 = sum %a {axes=[0,2,3]}\n%r = const {value=0.055555555555555552} : f32[]\n%m = mul %m1 %r\n%d = "
     "sub %a %m\n"
     "%d2 = mul %d %d\n%v1 = sum %d2 {axes=[0,2,3]}\n%v = mul %v1 %r\n%y = batchnorm %a %g %b %m %v "
     "{value=1e-05}\n",
     -1, 1},
    {"conv",
     "%a = input \"a\" : f32[2,3,5,4]\n%w = input \"w\" : f32[2,3,3,3]\n%y = conv %a %w {stride=[1,1], "
     "pad=[1,1]}\n",
     -1, 1},
    {"conv stride 2",
     "%a = input \"a\" : f32[2,2,6,5]\n%w = input \"w\" : f32[3,2,3,2]\n%y = conv %a %w {stride=[2,2], "
     "pad=[1,0]}\n",
     -1, 1},
    {"conv 3-D",
     "%a = input \"a\" : f32[1,2,3,4,3]\n%w = input \"w\" : f32[2,2,2,3,1]\n%y = conv %a %w {stride=[1,2,1], "
     "pad=[1,1,0]}\n",
     -1, 1},
    {"conv_dx",
     "%a = input \"a\" : f32[2,3,2,3]\n%w = input \"w\" : f32[3,2,2,2]\n%y = conv_dx %a %w {stride=[2,2], "
     "pad=[0,0], size=[4,6]}\n",
     -1, 1},
    {"conv_dx 3-D",
     "%a = input \"a\" : f32[1,2,2,2,2]\n%w = input \"w\" : f32[2,3,3,3,3]\n%y = conv_dx %a %w "
     "{stride=[2,1,2], pad=[1,1,1], size=[4,2,3]}\n",
     -1, 1},
    {"conv_dw",
     "%a = input \"a\" : f32[2,2,5,4]\n%b = input \"b\" : f32[2,3,3,4]\n%y = conv_dw %a %b {stride=[2,1], "
     "pad=[1,1], size=[3,3]}\n",
     -1, 1},
    {"dwconv",
     "%a = input \"a\" : f32[2,3,5,4]\n%w = input \"w\" : f32[2,3,3,3]\n%y = dwconv %a %w {stride=[1,1], "
     "pad=[1,1]}\n",
     -1, 1},
    {"dwconv 3-D stride 2",
     "%a = input \"a\" : f32[2,2,4,5,3]\n%w = input \"w\" : f32[2,2,3,3,3]\n%y = dwconv %a %w "
     "{stride=[2,2,2], pad=[1,1,1]}\n",
     -1, 1},
    {"dwconv_dx",
     "%a = input \"a\" : f32[2,2,3,2]\n%w = input \"w\" : f32[2,2,3,3]\n%y = dwconv_dx %a %w {stride=[2,2], "
     "pad=[1,1], size=[5,4]}\n",
     -1, 1},
    {"dwconv_dw",
     "%a = input \"a\" : f32[2,2,5,4]\n%b = input \"b\" : f32[2,2,3,2]\n%y = dwconv_dw %a %b {stride=[2,2], "
     "pad=[1,1], size=[3,3]}\n",
     -1, 1},
    {"matmul", "%a = input \"a\" : f32[2,3]\n%b = input \"b\" : f32[3,2,4]\n%y = matmul %a %b {mode=0}\n", -1,
     1},
    {"matmul transposed",
     "%a = input \"a\" : f32[3,2]\n%b = input \"b\" : f32[3,2,4]\n%y = matmul %a %b {mode=1}\n", -1, 1},
    {"inner", "%a = input \"a\" : f32[2,3,4]\n%b = input \"b\" : f32[5,3,4]\n%y = inner %a %b\n", -1, 1},
    {"reshape", "%a = input \"a\" : f32[2,6]\n%y = reshape %a : f32[3,4]\n", -1, 1},
    {"broadcast", "%a = input \"a\" : f32[2,1,3]\n%y = broadcast %a : f32[2,4,3]\n", -1, 1},
    {"concat",
     "%a = input \"a\" : f32[2,1,3]\n%b = input \"b\" : f32[2,2,3]\n%y = concat %a %b %a {axis=1}\n", -1, 1},
    {"slice", "%a = input \"a\" : f32[2,5,3]\n%y = slice %a {axis=1, lo=1, hi=4}\n", -1, 1},
    {"pad", "%a = input \"a\" : f32[2,2,3]\n%y = pad %a {axis=2, lo=1, hi=2}\n", -1, 1},
    {"upsample", "%a = input \"a\" : f32[2,2,3,2]\n%y = upsample %a {stride=[2,3]}\n", -1, 1},
    {"sumpool", "%a = input \"a\" : f32[2,2,4,4,2]\n%y = sumpool %a {stride=[2,2,1]}\n", -1, 1},
    {"maxpool", "%a = input \"a\" : f32[2,2,4,6]\n%y = maxpool %a {size=[2,2], stride=[2,2], pad=[0,0]}\n",
     -1, 1},
    {"maxpool overlapping",
     "%a = input \"a\" : f32[1,2,5,5,3]\n%y = maxpool %a {size=[3,3,3], stride=[2,2,2], pad=[1,1,1]}\n", -1,
     1},
    {"resize aligned", "%a = input \"a\" : f32[1,2,3,4]\n%y = resize %a {size=[6,7], mode=1}\n", -1, 1},
    {"resize 3-D", "%a = input \"a\" : f32[1,2,3,2,4]\n%y = resize %a {size=[5,4,3], mode=0}\n", -1, 1},
    {"resize_dx", "%a = input \"a\" : f32[1,2,6,8]\n%y = resize_dx %a {size=[3,4], mode=1}\n", -1, 1},
    {"orient",
     "%a = input \"a\" : f32[3,2,4,4]\n%k = input \"kturn\" : f32[3]\n%e = const {value=8} : f32[]\n%k8 = "
     "mul %k %e\n%c = cast %k8 : i32[3]\n"
     "%y = orient %a %c {mode=0}\n",
     0, 1},
    {"stop", "%a = input \"a\" : f32[4]\n%s = stop %a\n%y = mul %a %a\n", -1, 1},
};

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
static void check_input(Fn *f, Interp *in, const char *what, int x, int grad, int loss, const Case *c) {
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
static void check_body(const char *name, const char *body, const Case *c) {
  Arena *a = arena_new();
  char err[256] = "";
  Program *p = ir_parse(
      a, arena_printf(a, "program \"t\"\nfn forward \"f\" {\n%s  output \"y\" = %%y\n}\n", body), err);
  if (!p) fail_msg("%s: %s", name, err);
  Fn *f = p->fn[0];
  int y = f->out[0].node, inputs = 0;
  for (int i = 0; i < f->n; i++) inputs += f->node[i].op == OP_input && f->node[i].at.sym[0] != 'k';
  Type t = f->node[y].type;
  int k = ir_input(f, "kweights", t),
      loss = ir_reshape(f, ir_sum(f, ir_mul(f, y, k), all_axes(t)), type_scalar());
  fn_output(f, "loss", loss);
  for (int i = 0, n = f->n; i < n; i++)
    if (f->node[i].op == OP_input && f->node[i].at.sym[0] != 'k')
      fn_output(f, f->node[i].at.sym, ir_grad(f, loss, i));
  if (f->err[0]) fail_msg("%s: %s", name, f->err);
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
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    check_body(cases[i].name, cases[i].body, &cases[i]);
}

/* Every differentiable op of the table must occur in a case. */
static void test_every_op_has_a_case(void **state) {
  (void)state;
  static const char *const not_differentiable[] = {
#define OP(name, min_in, max_in, attrs, cls, shape, grad, form, meaning) #grad,
#include "ir/ops.def"
  };
  for (int op = 0; op < OP_COUNT; op++) {
    if (!strcmp(not_differentiable[op], "zero") || op_info[op].cls == META || op == OP_cast) continue;
    char word[64];
    bool found = false;
    snprintf(word, sizeof word, "= %s %%", op_info[op].name);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) found = found || strstr(cases[i].body, word);
    if (!found) fail_msg("no case differentiates %s", op_info[op].name);
  }
}

/* DyBAC (methods 2): N=3 C=6 O=5 K=4 R=2, with both attentions and the gate. */
static void test_dybac(void **state) {
  (void)state;
  static const Case c = {"dybac", "", -1, 1};
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

/* A network that is only passed through gives the gradient of its input; one that is not on the path costs nothing. */
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
                                     cmocka_unit_test(test_dybac),
                                     cmocka_unit_test(test_only_what_is_wanted)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
