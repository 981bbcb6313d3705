/* test_values.c - passes keep values: random graphs, interpreted before and after each pass. And small golden
 * texts of what each does. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tests/test.h"
#include "passes/fuse/fuse.h"
#include "passes/autodiff/autodiff.h"
#include "ir/interp/interp.h"
#include "passes/passes.h"
#include "tests/ir/gen_maps.h"

typedef Fn *Run(Fn *, char *);

/* Binds every input to values of its name: codes of orient to 0..7, others to [-1, 1). */
static void bind_inputs(Interp *in, const Fn *f) {
  for (int i = 0; i < f->n; i++) {
    const Node *n = &f->node[i];
    if (n->op != OP_input) continue;
    int64_t count = type_count(n->type);
    double *v = malloc((size_t)count * sizeof *v);
    for (int64_t k = 0; k < count; k++) {
      float u = philox_uniform(3, (uint64_t)strlen(n->at.sym), (uint64_t)n->at.sym[strlen(n->at.sym) - 1],
                               (uint64_t)k);
      v[k] = n->type.dt == I32 ? floor(8 * (double)u) : (double)(2 * u - 1);
    }
    interp_bind(in, n->at.sym, v);
    free(v);
  }
}

static Interp *interpreted(const Fn *f) {
  char err[IR_ERR] = "";
  Interp *in = interp_new(f, INTERP_F32);
  bind_inputs(in, f);
  interp_step(in, 5, 6);
  if (!interp_run(in, err)) fail_msg("%s", err);
  return in;
}

static void compare(const char *pass, const Fn *before, const Fn *after, double tolerance) {
  Interp *a = interpreted(before), *b = interpreted(after);
  assert_int_equal(before->nout, after->nout);
  for (int o = 0; o < before->nout; o++) {
    Type t = before->node[before->out[o].node].type;
    const double *x = interp_value(a, before->out[o].node), *y = interp_value(b, after->out[o].node);
    assert_true(type_eq(t, after->node[after->out[o].node].type));
    for (int64_t i = 0; i < type_count(t); i++) {
      bool same = tolerance == 0 ? x[i] == y[i] || (isnan(x[i]) && isnan(y[i]))
                                 : fabs(x[i] - y[i]) <= tolerance * (1 + fabs(x[i]));
      if (!same)
        fail_msg("%s: output %s[%lld] was %.9g, is %.9g", pass, before->out[o].name, (long long)i, x[i],
                 y[i]);
    }
  }
  interp_free(a), interp_free(b);
}

static void keeps(const char *name, Run *pass, double tolerance) {
  char err[IR_ERR] = "";
  for (int seed = 0; seed < 180; seed++) {
    Arena *a = arena_new();
    Program *p = prog_new(a);
    Gen g = gen_new(p, (uint64_t)seed, GEN_ALL);
    Fn *f = seed % 3 ? gen_fn(&g, "random", 10 + seed % 50) : gen_maps(&g, "maps", 10 + seed % 50), *h;
    p->fn[0] = f;
    if (!(h = pass(f, err)) || !fn_verify(h, err)) fail_msg("%s: %s", name, err);
    compare(name, f, h, tolerance);
    arena_free(a);
  }
}

static Fn *layout_and_fuse(Fn *f, char *err) {
  static Run *const run[] = {pass_canon,  pass_simplify, pass_expand, pass_simplify,
                             pass_layout, pass_schedule, pass_fuse};
  for (size_t i = 0; f && i < sizeof run / sizeof *run; i++) f = f->prog->fn[0] = run[i](f, err);
  return f;
}

TEST(canon_keeps_values) { keeps("canon", pass_canon, 1e-5); }
TEST(simplify_keeps_every_bit) { keeps("simplify", pass_simplify, 0); }
TEST(expand_keeps_values) { keeps("expand", pass_expand, 1e-5); }
TEST(schedule_keeps_every_bit) { keeps("schedule", pass_schedule, 0); }
TEST(the_whole_pipeline_keeps_values) { keeps("the pipeline", layout_and_fuse, 1e-5); }

static void golden(Run *pass, const char *body, const char *want) {
  char err[IR_ERR] = "", *text;
  size_t size;
  Arena *a = arena_new();
  Program *p = ir_parse(a, arena_printf(a, "program \"t\"\nfn forward \"f\" {\n%s}\n", body), err);
  if (!p) fail_msg("%s", err);
  Fn *f = pass(p->fn[0], err);
  if (!f) fail_msg("%s", err);
  FILE *out = open_memstream(&text, &size);
  fn_print(out, f);
  fclose(out);
  char *whole = arena_printf(a, "fn forward \"f\" {\n%s}\n", want);
  if (strcmp(text, whole)) fail_msg("expected\n%s\ngot\n%s", whole, text);
  free(text);
  arena_free(a);
}

TEST(simplify_folds_shares_and_drops) {
  /* the same product twice, a product nobody reads, x * 1, and constants that fold */
  golden(pass_simplify,
         "%x = input \"x\" : f32[2,3]\n%a = mul %x %x\n%b = mul %x %x\n%dead = exp %x\n%one = const "
         "{value=1} : f32[]\n"
         "%c = mul %a %one\n%two = add %one %one\n%d = add %c %b\n%e = mul %d %two\noutput \"e\" = %e\n",
         "  %0 = input \"x\" : f32[2,3]\n  %1 = mul %0 %0 : f32[2,3]\n  %2 = const {value=2} : f32[]\n"
         "  %3 = add %1 %1 : f32[2,3]\n  %4 = mul %3 %2 : f32[2,3]\n  output \"e\" = %4\n");
}

TEST(canon_moves_a_gate_to_the_weights) {
  golden(pass_canon,
         "%x = input \"x\" : f32[2,3,5,5]\n%g = input \"g\" : f32[2,3,1,1]\n%w = input \"w\" : "
         "f32[2,3,3,3]\n%z = mul %x %g\n"
         "%y = dwconv %z %w {stride=[1,1], pad=[1,1]}\noutput \"y\" = %y\n",
         "  %0 = input \"x\" : f32[2,3,5,5]\n  %1 = input \"g\" : f32[2,3,1,1]\n  %2 = input \"w\" : "
         "f32[2,3,3,3]\n"
         "  %3 = mul %0 %1 : f32[2,3,5,5]\n  %4 = mul %2 %1 : f32[2,3,3,3]\n"
         "  %5 = dwconv %0 %4 {stride=[1,1], pad=[1,1]} : f32[2,3,5,5]\n  output \"y\" = %5\n");
}

/* Two convolutions, from x to y with weights v and w and bias b between them. */
typedef struct {
  const char *inputs, *convs, *axes, *outputs;
  bool merges; /* becomes one; the product of the weights shows it */
} TwoConvs;

static void check_convs(const TwoConvs *c) {
  char err[IR_ERR] = "";
  Arena *a = arena_new();
  const char *body =
      arena_printf(a, "%s%s%%q = mul %%y %%y\n%%s = sum %%q {axes=[%s]}\n%%l = reshape %%s : f32[]\n%s",
                   c->inputs, c->convs, c->axes, c->outputs);
  Program *p = ir_parse(a, arena_printf(a, "program \"t\"\nfn forward \"f\" {\n%s}\n", body), err);
  if (!p) fail_msg("%s", err);
  Fn *plain = pass_autodiff(p->fn[0], err), *canon = pass_canon(p->fn[0], err);
  if (!plain || !canon) fail_msg("%s", err);
  bool merged = false;
  for (int i = 0; i < canon->n; i++) merged |= canon->node[i].op == OP_matmul;
  if (merged != c->merges) fail_msg("%s is%s merged", c->convs, merged ? "" : " not");
  if (!(canon = pass_autodiff(canon, err)) || !fn_verify(canon, err)) fail_msg("%s", err);
  compare("canon", plain, canon, 1e-4);
  arena_free(a);
}

TEST(pointwise_convolutions_become_one_where_that_saves_work) {
#define FLAT(out, k)                                                                                         \
  "%x = input \"x\" : f32[2,6,5,7]\n%v = input \"v\" : f32[4,6,1,1]\n%b = input \"b\" : f32[1,4,1,1]\n%w = " \
  "input \"w\" : f32[" out ",4," k "]\n"
#define FIRST  "%a = conv %x %v {stride=[1,1], pad=[0,0]}\n"
#define SECOND "%y = conv %m %w {stride=[1,1], pad=[0,0]}\n"
#define GRADS                                                                                                \
  "%gx = grad %l %x\n%gv = grad %l %v\n%gw = grad %l %w\noutput \"y\" = %y\noutput \"gx\" = %gx\noutput "    \
  "\"gv\" = %gv\noutput \"gw\" = %gw\n"
#define BIAS "%gb = grad %l %b\noutput \"gb\" = %gb\n"
  static const TwoConvs cases[] = {
      {FLAT("1", "1,1"), FIRST "%m = add %a %b\n" SECOND, "0,1,2,3", GRADS BIAS, true},
      {FLAT("2", "1,1"), FIRST "%m = add %b %a\n" SECOND, "0,1,2,3", GRADS BIAS, true},
      {FLAT("1", "1,1"), FIRST "%y = conv %a %w {stride=[1,1], pad=[0,0]}\n", "0,1,2,3", GRADS, true},
      {"%x = input \"x\" : f32[1,7,3,5,4]\n%v = input \"v\" : f32[5,7,1,1,1]\n%b = input \"b\" : "
       "f32[1,5,1,1,1]\n"
       "%w = input \"w\" : f32[1,5,1,1,1]\n",
       "%a = conv %x %v {stride=[1,1,1], pad=[0,0,0]}\n%m = add %a %b\n%y = conv %m %w {stride=[1,1,1], "
       "pad=[0,0,0]}\n",
       "0,1,2,3,4", GRADS BIAS, true},
      /* more multiply-adds; more than a bias between; a window; steps; read elsewhere */
      {FLAT("30", "1,1"), FIRST "%m = add %a %b\n" SECOND, "0,1,2,3", GRADS BIAS, false},
      {FLAT("1", "1,1"), FIRST "%m = mul %a %a\n" SECOND, "0,1,2,3", GRADS, false},
      {FLAT("1", "3,3"), FIRST "%m = add %a %b\n%y = conv %m %w {stride=[1,1], pad=[1,1]}\n", "0,1,2,3",
       GRADS BIAS, false},
      {FLAT("1", "1,1"), FIRST "%m = add %a %b\n%y = conv %m %w {stride=[2,1], pad=[0,0]}\n", "0,1,2,3",
       GRADS BIAS, false},
      {FLAT("1", "1,1"), FIRST "%m = add %a %b\n%y = conv %m %w {stride=[1,1], pad=[1,0]}\n", "0,1,2,3",
       GRADS BIAS, false},
      {FLAT("1", "1,1"), FIRST "%m = add %a %b\n" SECOND, "0,1,2,3", GRADS "output \"m\" = %m\n", false},
      {FLAT("1", "1,1"), FIRST "%m = add %a %b\n" SECOND, "0,1,2,3", GRADS "output \"a\" = %a\n", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_convs(&cases[i]);
}

TEST(the_gradient_of_a_square_is_twice_its_operand) {
  golden(pass_autodiff,
         "%x = input \"x\" : f32[3]\n%y = mul %x %x\n%s = sum %y {axes=[0]}\n%l = reshape %s : f32[]\n%g = "
         "grad %l %x\noutput \"g\" = %g\n",
         "  %0 = input \"x\" : f32[3]\n  %1 = mul %0 %0 : f32[3]\n  %2 = sum %1 {axes=[0]} : f32[1]\n  %3 = "
         "reshape %2 : f32[]\n"
         "  %4 = const {value=1} : f32[]\n  %5 = reshape %4 : f32[1]\n  %6 = broadcast %5 : f32[3]\n  %7 = "
         "mul %6 %0 : f32[3]\n"
         "  %8 = mul %6 %0 : f32[3]\n  %9 = add %7 %8 : f32[3]\n  output \"g\" = %9\n");
}

/* Two forward passes whose losses are added: the second one waits until the first one's weight gradients are
 * done. */
TEST(the_second_pass_waits_for_the_first_ones_weight_gradients) {
  char err[IR_ERR] = "";
  Arena *a = arena_new();
#define PASS(x, n)                                                                                           \
  "%h" n " = conv %" x " %w {stride=[1,1], pad=[1,1]}\n%r" n " = relu %h" n "\n%y" n " = conv %r" n          \
  " %v {stride=[1,1], pad=[1,1]}\n%q" n " = mul %y" n " %y" n "\n%s" n " = sum %q" n " {axes=[0,1,2,3]}\n"
  Program *p =
      ir_parse(a,
               "program \"t\"\nfn forward \"f\" {\n%a = input \"a\" : f32[2,1,32,32]\n%b = input \"b\" : "
               "f32[2,1,32,32]\n%w = input \"w\" : f32[8,1,3,3]\n%v = input \"v\" : f32[8,8,3,3]\n" //
               PASS("a", "0") PASS("b", "1") "%t = add %s0 %s1\n%l = reshape %t : f32[]\n"
                                             "%dw = grad %l %w\n%dv = grad %l %v\noutput \"l\" = %l\noutput "
                                             "\"dw\" = %dw\noutput \"dv\" = %dv\n}\n",
               err);
#undef PASS
  if (!p) fail_msg("%s", err);
  static Run *const run[] = {pass_autodiff, pass_simplify, pass_schedule};
  Fn *f = p->fn[0];
  for (size_t i = 0; f && i < sizeof run / sizeof *run; i++) f = p->fn[0] = run[i](f, err);
  if (!f || !fn_verify(f, err)) fail_msg("%s", err);
  char order[256] = "";
  size_t at = 0;
  for (int i = 0; i < f->n; i++) {
    Op op = f->node[i].op;
    assert_true(at < sizeof order);
    if (op == OP_conv || op == OP_conv_dx || op == OP_conv_dw)
      at += (size_t)snprintf(order + at, sizeof order - at, "%s ", op_info[op].name);
  }
  assert_string_equal(order, "conv conv conv_dw conv_dx conv_dw conv conv conv_dw conv_dx conv_dw ");
  arena_free(a);
}

RUN_TESTS(NULL, NULL)
