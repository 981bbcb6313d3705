/* test_fuse.c - fusion: the promises of passes/fuse/fuse.h on random graphs, and the groups of small known
 * ones. */
#include <string.h>
#include "tests/test.h"
#include "passes/autodiff/autodiff.h"
#include "passes/fuse/fuse.h"
#include "passes/fuse/check.h"
#include "passes/passes.h"
#include "tests/ir/gen_maps.h"

typedef Fn *(*Run)(Fn *, char *);

static Fn *run(Program *p, int n, const Run *pass) {
  char err[IR_ERR] = "";
  for (int i = 0; i < n; i++) {
    Fn *f = pass[i](p->fn[0], err);
    if (!f || !fn_verify(f, err)) fail_msg("pass %d: %s", i, err);
    p->fn[0] = f;
  }
  return p->fn[0];
}

static Fn *fused(Program *p) {
  char err[IR_ERR] = "";
  Fn *f = run(p, 6, (Run[]){pass_canon, pass_simplify, pass_expand, pass_simplify, pass_layout, pass_fuse});
  if (!fuse_check(f, err)) fail_msg("%s", err);
  return f;
}

static Program *parsed(Arena *a, const char *text) {
  char err[IR_ERR] = "";
  Program *p = ir_parse(a, text, err);
  if (!p) fail_msg("%s", err);
  return p;
}

/* The kinds of a function's groups, in order: "conv map". */
static const char *kinds(const Fn *f) {
  char *s = arena_strdup(f->prog->arena, "");
  for (int i = 0; i < f->ngroup; i++)
    s = arena_printf(f->prog->arena, "%s%s%s", s, i ? " " : "", group_kind_name[f->group[i].kind]);
  return s;
}

static void check_kinds(const char *body, const char *want) {
  Arena *a = arena_new();
  Program *p = parsed(a, arena_printf(a, "program \"t\"\nfn forward \"f\" {\n%s}\n", body));
  assert_string_equal(kinds(fused(p)), want);
  arena_free(a);
}

TEST(random_graphs_keep_the_promises_of_fusion) {
  for (int seed = 0; seed < 225; seed++) {
    Arena *a = arena_new();
    Program *p = prog_new(a);
    Gen g = gen_new(p, (uint64_t)seed, GEN_ALL);
    if (seed % 3) gen_fn(&g, "random", 10 + seed % 80);
    else gen_maps(&g, "maps", 10 + seed % 80), gen_maps_loss(&g), run(p, 1, (Run[]){pass_autodiff});
    fused(p);
    arena_free(a);
  }
}

/* Bias and activation ride on the convolution. */
TEST(bias_and_activation_ride_on_the_convolution) {
  check_kinds("%0 = input \"x\" : f32[2,3,8,8]\n"
              "%1 = input \"w\" : f32[4,3,3,3]\n"
              "%2 = input \"b\" : f32[4]\n"
              "%3 = conv %0 %1 {stride=[1,1], pad=[1,1]} : f32[2,4,8,8]\n"
              "%4 = reshape %2 : f32[1,4,1,1]\n"
              "%5 = add %3 %4 : f32[2,4,8,8]\n"
              "%6 = relu %5 : f32[2,4,8,8]\n"
              "output \"y\" = %6\n",
              "conv");
}

/* DyBAC: gate, depthwise, pointwise, activation in one kernel; the gradient of the 1x1 weight recomputes the
 * depthwise result. */
#define DYBAC                                                                                                \
  "%0 = input \"x\" : f32[2,32,8,8]\n"                                                                       \
  "%1 = input \"s\" : f32[2,1,8,8]\n"                                                                        \
  "%2 = input \"w\" : f32[2,32,3,3]\n"                                                                       \
  "%3 = input \"v\" : f32[5,32,1,1]\n"                                                                       \
  "%4 = mul %0 %1 : f32[2,32,8,8]\n"                                                                         \
  "%5 = dwconv %4 %2 {stride=[1,1], pad=[1,1]} : f32[2,32,8,8]\n"                                            \
  "%6 = conv %5 %3 {stride=[1,1], pad=[0,0]} : f32[2,5,8,8]\n"                                               \
  "%7 = relu %6 : f32[2,5,8,8]\n"

TEST(a_dybac_layer_is_one_group_unless_its_inside_is_read) {
  check_kinds(DYBAC "output \"y\" = %7\n", "dybac");
  check_kinds(DYBAC "%8 = input \"dy\" : f32[2,5,8,8]\n"
                    "%9 = conv_dw %5 %8 {stride=[1,1], pad=[0,0], size=[1,1]} : f32[5,32,1,1]\n"
                    "%10 = input \"du\" : f32[2,32,8,8]\n"
                    "%11 = dwconv_dw %4 %10 {stride=[1,1], pad=[1,1], size=[3,3]} : f32[2,32,3,3]\n"
                    "output \"y\" = %7\noutput \"dv\" = %9\noutput \"dw\" = %11\n",
              "dybac conv_dw dw_dw");
  /* Somebody wants the depthwise result itself: it is computed once, on its own. */
  check_kinds(DYBAC "output \"y\" = %7\noutput \"u\" = %5\n", "dw conv");
}

/* Softmax over few channels and the sum of its result squared: one pass over the logits, then the reduction.
 */
TEST(a_softmax_over_few_channels_is_one_pass) {
  check_kinds("%0 = input \"x\" : f32[2,2,64,64]\n"
              "%1 = softmax %0 {axis=1} : f32[2,2,64,64]\n"
              "%2 = mul %1 %1 : f32[2,2,64,64]\n"
              "%3 = sum %2 {axes=[0,2,3]} : f32[1,2,1,1]\n"
              "output \"d\" = %3\n",
              "map");
  check_kinds("%0 = input \"x\" : f32[2,16,64,64]\n"
              "%1 = softmax %0 {axis=1} : f32[2,16,64,64]\n"
              "output \"p\" = %1\n",
              "map map map");
}

/* The two sums of batch normalisation's backward pass share one reading of x and dy. */
TEST(sums_of_one_operand_share_its_reading) {
  check_kinds("%0 = input \"x\" : f32[2,16,64,64]\n"
              "%1 = input \"dy\" : f32[2,16,64,64]\n"
              "%2 = sum %1 {axes=[0,2,3]} : f32[1,16,1,1]\n"
              "%3 = mul %0 %1 : f32[2,16,64,64]\n"
              "%4 = sum %3 {axes=[0,2,3]} : f32[1,16,1,1]\n"
              "output \"a\" = %2\noutput \"b\" = %4\n",
              "map");
}

/* A dropout mask is computed again where it is needed, not stored. */
TEST(a_dropout_mask_is_computed_again) {
  Arena *a = arena_new();
  Program *p = parsed(a, "program \"t\"\nfn forward \"f\" {\n"
                         "%0 = input \"x\" : f32[2,3,32,32]\n"
                         "%1 = rand {mode=0, site=0} : f32[2,3,32,32]\n"
                         "%2 = const {value=0.5} : f32[]\n"
                         "%3 = lt %1 %2 : f32[2,3,32,32]\n"
                         "%4 = mul %0 %3 : f32[2,3,32,32]\n"
                         "%5 = sumpool %4 {stride=[2,2]} : f32[2,3,16,16]\n"
                         "%6 = upsample %5 {stride=[2,2]} : f32[2,3,32,32]\n"
                         "%7 = mul %6 %3 : f32[2,3,32,32]\n"
                         "output \"y\" = %7\n}\n");
  Fn *f = fused(p);
  int rands = 0;
  for (int i = 0; i < f->n; i++) rands += f->node[i].op == OP_rand;
  assert_int_equal(rands, 2);
  assert_string_equal(kinds(f), "map move move map");
  GroupInfo *g = group_values(f);
  assert_int_equal(g[3].nin, 1);
  arena_free(a);
}

/* What is stored or put out is computed by a group, be it only a copy. */
TEST(a_result_without_arithmetic_is_a_copy) {
  check_kinds("%0 = input \"x\" : f32[2,3]\n"
              "%1 = const {value=2} : f32[]\n"
              "%2 = reshape %0 : f32[2,3,1]\n"
              "output \"a\" = %0\noutput \"b\" = %1\noutput \"c\" = %2\n",
              "map map map");
}

/* The checker sees what is wrong. */
TEST(the_checker_sees_faults) {
  Arena *a = arena_new();
  char err[IR_ERR];
  Program *p = parsed(a, "program \"t\"\nfn forward \"f\" {\n" DYBAC "%8 = sum %7 {axes=[0]} : f32[1,5,8,8]\n"
                         "output \"y\" = %8\n}\n");
  Fn *f = fused(p);
  assert_string_equal(kinds(f), "dybac map");
  int sum = f->n - 1;
  f->node[sum].group = 0; /* a reduction in an epilogue */
  assert_false(fuse_check(f, err));
  f->node[sum].group = -1; /* nobody computes it */
  assert_false(fuse_check(f, err));
  f->node[sum].group = 1;
  assert_true(fuse_check(f, err));
  for (int i = 0; i < f->n; i++)
    if (f->node[i].group >= 0) f->node[i].group = 1 - f->node[i].group; /* groups in the wrong order */
  assert_false(fuse_check(f, err));
  arena_free(a);
}

RUN_TESTS(NULL, NULL)
