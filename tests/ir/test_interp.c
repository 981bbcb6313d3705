/* test_interp.c - the reference interpreter against values worked out by hand or given by the papers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tests/test.h"
#include "tests/ir/gen.h"
#include "ir/interp/interp.h"

enum { MAX_VALUES = 512 };

/* Runs a function of the text form whose output is "y" on inputs "a" and "b" (either may be absent). */
static void run_text(const char *body, InterpMode mode, const double *a, const double *b, double *y) {
  char err[IR_ERR] = "", text[2048];
  Arena *arena = arena_new();
  snprintf(text, sizeof text, "fn forward \"f\" { %s output \"y\" = %%y }", body);
  Program *p = ir_parse(arena, text, err);
  if (!p || !ir_verify(p, err)) fail_msg("%s: %s", text, err);
  Fn *f = p->fn[0];
  Interp *in = interp_new(f, mode);
  if (a) assert_true(interp_bind(in, "a", a));
  if (b) assert_true(interp_bind(in, "b", b));
  interp_step(in, 7, 3);
  if (!interp_run(in, err)) fail_msg("%s: %s", text, err);
  int64_t n = type_count(f->node[f->out[0].node].type);
  assert_true(n <= MAX_VALUES);
  memcpy(y, interp_value(in, f->out[0].node), (size_t)n * sizeof *y);
  interp_free(in);
  arena_free(arena);
}

/* NaN is wanted where want is NaN. */
static void check(const char *body, const double *a, const double *b, const double *want, int n,
                  double tolerance) {
  double y[MAX_VALUES];
  run_text(body, INTERP_F64, a, b, y);
  for (int i = 0; i < n; i++)
    if (!(fabs(y[i] - want[i]) <= tolerance) && !(isnan(y[i]) && isnan(want[i])))
      fail_msg("%s\nelement %d is %.17g, not %.17g", body, i, y[i], want[i]);
}
#define CHECK(body, a, b, tolerance, ...)                                                                    \
  check(body, a, b, (double[]){__VA_ARGS__}, sizeof((double[]){__VA_ARGS__}) / sizeof(double), tolerance)
#define LIST(...) ((double[]){__VA_ARGS__})

TEST(philox_gives_the_known_answers) {
  uint32_t c[4] = {0, 0, 0, 0}; /* known answers of Random123 */
  philox4x32(c, 0, 0);
  assert_int_equal(c[0], 0x6627e8d5);
  assert_int_equal(c[1], 0xe169c58d);
  assert_int_equal(c[2], 0xbc57ac4c);
  assert_int_equal(c[3], 0x9b00dbd8);
  uint32_t ones[4] = {~0u, ~0u, ~0u, ~0u};
  philox4x32(ones, ~0u, ~0u);
  assert_int_equal(ones[0], 0x408f276d);
  assert_int_equal(ones[1], 0x41c83b0e);
  assert_int_equal(ones[2], 0xa20bc7c6);
  assert_int_equal(ones[3], 0x6d5451fd);
}

TEST(random_numbers_are_functions_of_seed_step_site_and_element) {
  double u[MAX_VALUES], z[MAX_VALUES], mean = 0, square = 0;
  run_text("%y = rand {mode=0, site=5} : f32[2,256]", INTERP_F32, NULL, NULL, u);
  run_text("%y = rand {mode=1, site=5} : f32[2,256]", INTERP_F32, NULL, NULL, z);
  for (int i = 0; i < 512; i++) {
    assert_true(u[i] == philox_uniform(7, 3, 5, (uint64_t)i) && u[i] >= 0 && u[i] < 1);
    uint32_t x[4];
    philox_at(x, 7, 3, 5, (uint64_t)i);
    double r = sqrt(-2 * log(((x[0] >> 8) + 1) / 16777216.0)),
           angle = 2 * acos(-1) * (x[1] >> 8) / 16777216.0;
    assert_true(fabs(z[i] - r * cos(angle)) < 1e-6);
    mean += z[i] / 512;
    square += z[i] * z[i] / 512;
  }
  assert_true(fabs(mean) < 0.15 && fabs(square - 1) < 0.2);
}

TEST(elementwise_ops_compute_their_formulas) {
  const double *a = LIST(-2, -0.5, 0, 3);
#define UNARY(op) "%a = input \"a\" : f32[4] %y = " op " %a"
  CHECK(UNARY("neg"), a, NULL, 0, 2, 0.5, 0, -3);
  CHECK(UNARY("abs"), a, NULL, 0, 2, 0.5, 0, 3);
  CHECK(UNARY("floor"), a, NULL, 0, -2, -1, 0, 3);
  CHECK(UNARY("relu"), a, NULL, 0, 0, 0, 0, 3);
  CHECK(UNARY("leaky") " {value=0.5}", a, NULL, 0, -1, -0.25, 0, 3);
  CHECK(UNARY("powc") " {value=2}", a, NULL, 1e-15, 4, 0.25, 0, 9);
  CHECK(UNARY("exp"), a, NULL, 1e-6, 0.135335, 0.606531, 1, 20.085537);
  CHECK(UNARY("sigmoid"), a, NULL, 1e-6, 0.119203, 0.377541, 0.5, 0.952574);
  CHECK(UNARY("tanh"), a, NULL, 1e-6, -0.964028, -0.462117, 0, 0.995055);
  CHECK(UNARY("cos"), a, NULL, 1e-6, -0.416147, 0.877583, 1, -0.989992);
  CHECK(UNARY("sin"), a, NULL, 1e-6, -0.909297, -0.479426, 0, 0.141120);
  CHECK(UNARY("stop"), a, NULL, 0, -2, -0.5, 0, 3);
  CHECK(UNARY("cast") " : i32[4]", a, NULL, 0, -2, 0, 0, 3);
  CHECK(UNARY("sigmoid"), LIST(-1000, 1000, -40, 40), NULL, 1e-15, 0, 1, 0, 1);
  const double *p = LIST(1, 4, 0.25, 2);
  CHECK(UNARY("sqrt"), p, NULL, 1e-6, 1, 2, 0.5, 1.414214);
  CHECK(UNARY("rsqrt"), p, NULL, 1e-6, 1, 0.5, 2, 0.707107);
  CHECK(UNARY("log"), p, NULL, 1e-6, 0, 1.386294, -1.386294, 0.693147);
  CHECK(UNARY("cast") " : i32[4]", LIST(3e9, -3e9, NAN, -7.9), NULL, 0, 2147483647, -2147483648.0, 0, -7);
#define BINARY(op) "%a = input \"a\" : f32[2,1] %b = input \"b\" : f32[1,3] %y = " op " %a %b"
  const double *x = LIST(1, 4), *z = LIST(2, 4, -1);
  CHECK(BINARY("add"), x, z, 0, 3, 5, 0, 6, 8, 3);
  CHECK(BINARY("sub"), x, z, 0, -1, -3, 2, 2, 0, 5);
  CHECK(BINARY("mul"), x, z, 0, 2, 4, -1, 8, 16, -4);
  CHECK(BINARY("div"), x, z, 0, 0.5, 0.25, -1, 2, 1, -4);
  CHECK(BINARY("min"), x, z, 0, 1, 1, -1, 2, 4, -1);
  CHECK(BINARY("max"), x, z, 0, 2, 4, 1, 4, 4, 4);
  CHECK(BINARY("lt"), x, z, 0, 1, 1, 0, 0, 0, 0);
  CHECK(BINARY("le"), x, z, 0, 1, 1, 0, 0, 1, 0);
  CHECK(BINARY("eq"), x, z, 0, 0, 0, 0, 0, 1, 0);
  CHECK("%a = input \"a\" : f32[2,1] %b = input \"b\" : f32[1,3] %m = lt %a %b %k = const {value=9} : f32[] "
        "%y = select %m %b %k",
        x, z, 0, 2, 4, 9, 9, 9, 9);
  CHECK("%y = iota {axis=1} : i32[1,4,1]", NULL, NULL, 0, 0, 1, 2, 3);
}

TEST(values_are_rounded_as_their_type_is) {
  double y[1];
  const char *third = "%a = input \"a\" : f32[] %b = const {value=3} : f32[] %y = div %a %b";
  run_text(third, INTERP_F32, LIST(1), NULL, y);
  assert_true(y[0] == (double)(1.0f / 3.0f));
  run_text(third, INTERP_F64, LIST(1), NULL, y);
  assert_true(y[0] == 1.0 / 3.0);
  run_text("%a = input \"a\" : i32[] %y = add %a %a", INTERP_F32, LIST(2147483647), NULL, y);
  assert_true(y[0] == -2); /* as two's complement machines do */
}

TEST(reductions_go_along_their_axes) {
  const double *a = LIST(1, 5, 2, 7, -3, 7);
#define REDUCE(op) "%a = input \"a\" : f32[2,3] %y = " op " %a "
  CHECK(REDUCE("sum") "{axes=[1]}", a, NULL, 0, 8, 11);
  CHECK(REDUCE("sum") "{axes=[0]}", a, NULL, 0, 8, 2, 9);
  CHECK(REDUCE("sum") "{axes=[0,1]}", a, NULL, 0, 19);
  CHECK(REDUCE("sum") "{axes=[]}", a, NULL, 0, 1, 5, 2, 7, -3, 7);
  CHECK("%a = input \"a\" : f32[] %y = sum %a {axes=[]}", LIST(4), NULL, 0, 4);
  CHECK(REDUCE("amax") "{axes=[1]}", a, NULL, 0, 5, 7);
  CHECK(REDUCE("amin") "{axes=[0]}", a, NULL, 0, 1, -3, 2);
  CHECK(REDUCE("argmax") "{axis=1}", a, NULL, 0, 1, 0); /* the first of two 7s */
  CHECK(REDUCE("argmin") "{axis=0}", a, NULL, 0, 0, 1, 0);
}

TEST(composite_ops_compute_their_formulas) {
  CHECK("%a = input \"a\" : f32[1,2] %y = softmax %a {axis=1}", LIST(1, -1), NULL, 1e-6, 0.880797, 0.119203);
  CHECK("%a = input \"a\" : f32[1,2] %y = log_softmax %a {axis=1}", LIST(1, -1), NULL, 1e-6, -0.126928,
        -2.126928);
  CHECK("%a = input \"a\" : f32[2,2] %y = softmax %a {axis=0}", LIST(1000, 0, 1000, 0), NULL, 0, 0.5, 0.5,
        0.5, 0.5);
  CHECK("%x = input \"a\" : f32[2,1,2] %b = input \"b\" : f32[1] %m = const {value=2} : f32[1,1,1] "
        "%v = const {value=4} : f32[1,1,1] %y = batchnorm %x %b %b %m %v {value=0}",
        LIST(2, 4, 0, 6), LIST(3), 1e-12, 3, 6, 0, 9);
}

TEST(a_convolution_is_a_sum_over_its_window) {
  const double *x = LIST(1, 2, 3, 4, 5, 6, 7, 8, 9), *w = LIST(1, 0, 0, -1);
  CHECK("%x = input \"a\" : f32[1,1,3,3] %w = input \"b\" : f32[1,1,2,2] %y = conv %x %w {stride=[1,1], "
        "pad=[0,0]}",
        x, w, 0, -4, -4, -4, -4);
  CHECK("%x = input \"a\" : f32[1,1,3,3] %w = input \"b\" : f32[1,1,2,2] %y = conv %x %w {stride=[2,2], "
        "pad=[1,1]}",
        x, w, 0, -1, -3, -7, -4);
  /* 1-D, two channels in, two out */
  CHECK("%x = input \"a\" : f32[1,2,3] %w = input \"b\" : f32[2,2,1] %y = conv %x %w {stride=[1], pad=[0]}",
        LIST(1, 2, 3, 10, 20, 30), LIST(1, 1, 2, -1), 0, 11, 22, 33, -8, -16, -24);
  /* 3-D: a kernel of ones over ones counts the elements of each window */
  CHECK("%x = const {value=1} : f32[1,1,2,2,2] %w = const {value=1} : f32[1,1,3,3,3] "
        "%y = conv %x %w {stride=[2,2,2], pad=[1,1,1]}",
        NULL, NULL, 0, 8);
  /* a transposed convolution with stride 2 spreads the kernel */
  CHECK("%x = input \"a\" : f32[1,1,1,2] %w = input \"b\" : f32[1,1,2,2] "
        "%y = conv_dx %x %w {stride=[2,2], pad=[0,0], size=[2,4]}",
        LIST(1, 2), LIST(1, 2, 3, 4), 0, 1, 2, 2, 4, 3, 4, 6, 8);
  CHECK("%x = input \"a\" : f32[1,1,3,3] %d = input \"b\" : f32[1,1,2,2] "
        "%y = conv_dw %x %d {stride=[1,1], pad=[0,0], size=[2,2]}",
        x, LIST(1, 0, 0, 1), 0, 6, 8, 12, 14);
  /* depthwise: every sample and channel has a kernel of its own */
  CHECK("%x = input \"a\" : f32[2,1,3] %w = input \"b\" : f32[2,1,2] %y = dwconv %x %w {stride=[1], pad=[0]}",
        LIST(1, 2, 3, 4, 5, 6), LIST(1, 1, 1, -1), 0, 3, 5, -1, -1);
}

/* <conv(x,w), y> = <x, conv_dx(y,w)> = <w, conv_dw(x,y)>, exactly, for random integers, strides and paddings.
 */
static void check_adjoints(Gen *g, bool depthwise) {
  Fn *f = g->f = fn_new(g->prog, "f", FN_FORWARD);
  g->nsp = 1 + gen_int(g, 3);
  int64_t s[3];
  ConvGeom geom;
  for (int i = 0; i < 3; i++)
    s[i] = 2 + gen_int(g, 4), geom.stride[i] = 1 + gen_int(g, 2), geom.pad[i] = gen_int(g, 2);
  Type xt = gen_shape(g, 2, 3, s), wt = xt;
  wt.dim[0] = depthwise ? 2 : 5;
  for (int i = 0; i < g->nsp; i++) wt.dim[2 + i] = 1 + gen_int(g, 2);
  int x = ir_input(f, "x", xt), w = ir_input(f, "w", wt);
  int y = depthwise ? ir_dwconv(f, x, w, &geom) : ir_conv(f, x, w, &geom);
  int d = ir_input(f, "d", f->node[y].type);
  int dx = ir_conv_grad(f, depthwise ? OP_dwconv_dx : OP_conv_dx, d, w, &geom, xt.dim + 2);
  int dw = ir_conv_grad(f, depthwise ? OP_dwconv_dw : OP_conv_dw, x, d, &geom, wt.dim + 2);
  int pair[3][2] = {{y, d}, {x, dx}, {w, dw}};
  Interp *in = interp_new(f, INTERP_F64);
  double data[4096], dot[3] = {0};
  for (int i = 0; i < f->n; i++) {
    if (f->node[i].op != OP_input) continue;
    assert_true(type_count(f->node[i].type) <= 4096);
    for (int64_t k = 0; k < type_count(f->node[i].type); k++) data[k] = gen_int(g, 9) - 4;
    assert_true(interp_bind(in, f->node[i].at.sym, data));
  }
  char err[IR_ERR];
  assert_true(interp_run(in, err));
  for (int i = 0; i < 3; i++) {
    assert_true(shape_eq(f->node[pair[i][0]].type, f->node[pair[i][1]].type));
    for (int64_t k = 0; k < type_count(f->node[pair[i][0]].type); k++)
      dot[i] += interp_value(in, pair[i][0])[k] * interp_value(in, pair[i][1])[k];
  }
  assert_true(dot[0] == dot[1] && dot[0] == dot[2]);
  interp_free(in);
}

TEST(an_adjoint_moves_over_to_the_other_side_of_a_product) {
  Arena *a = arena_new();
  for (uint64_t seed = 0; seed < 60; seed++) {
    Gen g = gen_new(prog_new(a), seed, 0);
    check_adjoints(&g, seed % 2);
  }
  arena_free(a);
}

TEST(products_sum_over_the_axis_they_share) {
  const double *a = LIST(1, 2, 3, 4, 5, 6);
  CHECK("%a = input \"a\" : f32[2,3] %b = input \"b\" : f32[3,2] %y = matmul %a %b {mode=0}", a,
        LIST(1, 0, 0, 1, 1, 1), 0, 4, 5, 10, 11);
  CHECK("%a = input \"a\" : f32[3,2] %b = input \"b\" : f32[3,1,1] %y = matmul %a %b {mode=1}", a,
        LIST(1, 10, 100), 0, 531, 642);
  CHECK("%a = input \"a\" : f32[2,3] %b = input \"b\" : f32[1,3] %y = inner %a %b", a, LIST(1, 10, 100), 0,
        321, 654);
}

TEST(movement_ops_put_elements_in_their_places) {
  const double *a = LIST(1, 2, 3, 4, 5, 6);
#define MOVE(rest) "%a = input \"a\" : f32[2,3] %y = " rest
  CHECK(MOVE("reshape %a : f32[3,2]"), a, NULL, 0, 1, 2, 3, 4, 5, 6);
  CHECK(MOVE("slice %a {axis=1, lo=1, hi=3}"), a, NULL, 0, 2, 3, 5, 6);
  CHECK(MOVE("slice %a {axis=0, lo=1, hi=2}"), a, NULL, 0, 4, 5, 6);
  CHECK(MOVE("pad %a {axis=1, lo=1, hi=0}"), a, NULL, 0, 0, 1, 2, 3, 0, 4, 5, 6);
  CHECK(MOVE("pad %a {axis=0, lo=0, hi=1}"), a, NULL, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0);
  CHECK("%a = input \"a\" : f32[2,1] %b = input \"b\" : f32[2,2] %y = concat %a %b %a {axis=1}", LIST(1, 2),
        LIST(3, 4, 5, 6), 0, 1, 3, 4, 1, 2, 5, 6, 2);
  CHECK("%a = input \"a\" : f32[2,1] %y = broadcast %a : f32[2,2]", LIST(1, 2), NULL, 0, 1, 1, 2, 2);
  CHECK("%a = const {value=3} : f32[] %y = broadcast %a : f32[2]", NULL, NULL, 0, 3, 3);
  CHECK("%a = input \"a\" : f32[1,1,3] %y = upsample %a {stride=[2]}", a, NULL, 0, 1, 1, 2, 2, 3, 3);
  CHECK("%a = input \"a\" : f32[1,1,2,3] %y = upsample %a {stride=[1,2]}", a, NULL, 0, 1, 1, 2, 2, 3, 3, 4, 4,
        5, 5, 6, 6);
  CHECK("%a = input \"a\" : f32[1,1,2,3] %y = sumpool %a {stride=[2,3]}", a, NULL, 0, 21);
}

TEST(pools_choose_the_first_of_the_largest) {
  CHECK("%a = input \"a\" : f32[1,1,2,4] %y = maxpool %a {size=[2,2], stride=[2,2], pad=[0,0]}",
        LIST(1, 2, 5, 5, 2, 0, 5, 5), NULL, 0, 2, 5);
  /* ties go to the first place in scan order */
  CHECK("%a = input \"a\" : f32[1,1,2,4] %d = input \"b\" : f32[1,1,1,2] "
        "%y = maxpool_dx %a %d {size=[2,2], stride=[2,2], pad=[0,0]}",
        LIST(1, 2, 5, 5, 2, 0, 5, 5), LIST(10, 20), 0, 0, 10, 20, 0, 0, 0, 0, 0);
  /* padding never wins, not even over negative values; overlapping windows add their gradients */
  CHECK("%a = input \"a\" : f32[1,1,3] %y = maxpool %a {size=[3], stride=[2], pad=[1]}", LIST(-5, -2, -7),
        NULL, 0, -2, -2);
  CHECK("%a = input \"a\" : f32[1,1,3] %d = input \"b\" : f32[1,1,2] %y = maxpool_dx %a %d {size=[3], "
        "stride=[2], pad=[1]}",
        LIST(-5, -2, -7), LIST(3, 4), 0, 0, 7, 0);
}

TEST(resize_interpolates_aligned_and_not) {
  const double *a = LIST(1, 2, 3);
  CHECK("%a = input \"a\" : f32[1,1,3] %y = resize %a {size=[6], mode=1}", a, NULL, 1e-12, 1, 1.4, 1.8, 2.2,
        2.6, 3);
  CHECK("%a = input \"a\" : f32[1,1,3] %y = resize %a {size=[6], mode=0}", a, NULL, 1e-12, 1, 1.25, 1.75,
        2.25, 2.75, 3);
  CHECK("%a = input \"a\" : f32[1,1,3] %y = resize %a {size=[1], mode=1}", a, NULL, 0, 1);
  CHECK("%a = input \"a\" : f32[1,1,3] %y = resize %a {size=[1], mode=0}", a, NULL, 0, 2);
  CHECK("%a = input \"a\" : f32[1,1,2,2] %y = resize %a {size=[3,3], mode=1}", LIST(0, 2, 4, 6), NULL, 1e-12,
        0, 1, 2, 2, 3, 4, 4, 5, 6);
  /* the adjoint: column sums of the interpolation matrix */
  CHECK("%a = const {value=1} : f32[1,1,6] %y = resize_dx %a {size=[3], mode=0}", NULL, NULL, 1e-12, 2, 2, 2);
  CHECK("%a = input \"a\" : f32[1,1,6] %y = resize_dx %a {size=[3], mode=1}", LIST(0, 1, 0, 0, 0, 0), NULL,
        1e-12, 0.6, 0.4, 0);
}

TEST(orient_turns_and_flips_as_numpy_does) {
  const double *x = LIST(1, 2, 3, 4); /* [[1,2],[3,4]] */
#define ORIENT(mode)                                                                                         \
  "%a = input \"a\" : f32[1,1,2,2] %c = input \"b\" : i32[1] %y = orient %a %c {mode=" mode "}"
  CHECK(ORIENT("0"), x, LIST(0), 0, 1, 2, 3, 4);
  CHECK(ORIENT("0"), x, LIST(1), 0, 2, 4, 1, 3); /* numpy.rot90 */
  CHECK(ORIENT("0"), x, LIST(2), 0, 4, 3, 2, 1);
  CHECK(ORIENT("0"), x, LIST(3), 0, 3, 1, 4, 2);
  CHECK(ORIENT("0"), x, LIST(4), 0, 3, 4, 1, 2); /* numpy.flip of axis 2 */
  CHECK(ORIENT("0"), x, LIST(5), 0, 4, 2, 3, 1); /* flip, then rot90 */
  for (int code = 0; code < 8; code++)
    CHECK("%a = input \"a\" : f32[1,1,2,2,2] %c = input \"b\" : i32[1] %t = orient %a %c {mode=0} "
          "%y = orient %t %c {mode=1}",
          LIST(1, 2, 3, 4, 5, 6, 7, 8), LIST(code), 0, 1, 2, 3, 4, 5, 6, 7, 8);
}

/* NaN in an operand is NaN in the result, also of ops that choose: else a run that diverged would go on. */
TEST(a_nan_in_an_operand_is_a_nan_in_the_result) {
  const double *a = LIST(NAN, -1, 3, NAN), *b = LIST(2, NAN, 4, NAN);
  CHECK(UNARY("relu"), a, NULL, 0, NAN, 0, 3, NAN);
  CHECK(UNARY("leaky") " {value=0}", a, NULL, 0, NAN, 0, 3, NAN);
  CHECK(UNARY("abs"), a, NULL, 0, NAN, 1, 3, NAN);
#define PAIR(op) "%a = input \"a\" : f32[4] %b = input \"b\" : f32[4] %y = " op " %a %b"
  CHECK(PAIR("min"), a, b, 0, NAN, NAN, 3, NAN);
  CHECK(PAIR("max"), a, b, 0, NAN, NAN, 4, NAN);
  CHECK("%a = input \"a\" : f32[3,2] %y = amax %a {axes=[1]}", LIST(NAN, 1, 2, NAN, 3, 4), NULL, 0, NAN, NAN,
        4);
  CHECK("%a = input \"a\" : f32[3,2] %y = amin %a {axes=[1]}", LIST(NAN, 1, 2, NAN, 3, 4), NULL, 0, NAN, NAN,
        3);
  CHECK("%a = input \"a\" : f32[1,1,8] %y = maxpool %a {size=[2], stride=[2], pad=[0]}",
        LIST(NAN, 1, 2, NAN, NAN, NAN, 3, 4), NULL, 0, NAN, NAN, NAN, 4);
  /* where the maximum is NaN, its gradient goes to the window's first element */
  CHECK("%a = input \"a\" : f32[1,1,8] %d = input \"b\" : f32[1,1,4] %y = maxpool_dx %a %d {size=[2], "
        "stride=[2], "
        "pad=[0]}",
        LIST(NAN, 1, 2, NAN, NAN, NAN, 3, 4), LIST(5, 6, 7, 8), 0, 5, 0, 6, 0, 7, 0, 0, 8);
}

/* w <- w - 0.5 x, twice; an unbound variable and a META op are errors that say so. */
TEST(commit_stores_the_new_values) {
  char err[IR_ERR] = "";
  Arena *a = arena_new();
  Program *p = ir_parse(a,
                        "var \"w\" : f32[2] fn train \"t\" { %w = var \"w\" %x = input \"x\" : f32[2] "
                        "%k = const {value=0.5} : f32[] %d = mul %x %k %n = sub %w %d store \"w\" = %n } "
                        "fn train \"g\" { %w = input \"w\" : f32[] %g = grad %w %w }",
                        err);
  assert_non_null(p);
  Interp *in = interp_new(p->fn[0], INTERP_F32);
  assert_false(interp_bind(in, "y", LIST(0)));
  assert_true(interp_bind(in, "x", LIST(1, 2)));
  assert_false(interp_run(in, err));
  assert_non_null(strstr(err, "var \"w\" has no data"));
  assert_true(interp_bind(in, "w", LIST(10, 20)));
  assert_true(interp_commit(in, err) && interp_commit(in, err));
  assert_true(interp_bound(in, "w")[0] == 9 && interp_bound(in, "w")[1] == 18);
  assert_null(interp_bound(in, "nothing"));
  interp_free(in);
  in = interp_new(p->fn[1], INTERP_F32);
  assert_true(interp_bind(in, "w", LIST(1)));
  assert_false(interp_run(in, err));
  assert_non_null(strstr(err, "grad cannot be run"));
  interp_free(in);
  arena_free(a);
}

/* Random graphs run to finite float values, the same ones each time. */
TEST(random_graphs_give_the_same_finite_values_each_time) {
  for (uint64_t seed = 0; seed < 60; seed++) {
    char err[IR_ERR];
    Arena *a = arena_new();
    Gen g = gen_new(prog_new(a), seed, GEN_ALL);
    Fn *f = gen_fn(&g, "random", 40);
    assert_non_null(f);
    Interp *once = interp_new(f, INTERP_F32), *again = interp_new(f, INTERP_F32);
    for (int i = 0; i < f->n; i++) {
      if (f->node[i].op != OP_input) continue;
      int64_t n = type_count(f->node[i].type);
      double *data = arena_alloc(a, (size_t)n * sizeof *data);
      for (int64_t k = 0; k < n; k++)
        data[k] = f->node[i].type.dt == I32 ? gen_int(&g, 8)
                                            : philox_uniform(seed, 1, (uint64_t)i, (uint64_t)k) * 2 - 1;
      assert_true(interp_bind(once, f->node[i].at.sym, data) && interp_bind(again, f->node[i].at.sym, data));
    }
    if (!interp_run(once, err) || !interp_run(again, err) || !interp_run(again, err)) fail_msg("%s", err);
    for (int i = 0; i < f->n; i++)
      for (int64_t k = 0; k < type_count(f->node[i].type); k++) {
        double v = interp_value(once, i)[k];
        if (!isfinite(v)) fail_msg("seed %d: %%%d = %s has %g", (int)seed, i, op_info[f->node[i].op].name, v);
        assert_true(v == interp_value(again, i)[k] && v == (double)(float)v);
      }
    interp_free(once);
    interp_free(again);
    arena_free(a);
  }
}

RUN_TESTS(NULL, NULL)
