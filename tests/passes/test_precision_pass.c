/* test_precision_pass.c - pass `precision`: what becomes bf16, and what must not. */
#include <string.h>
#include "tests/test.h"
#include "passes/fuse/fuse.h"
#include "passes/passes.h"

/* A training step: convolution, batch statistics, activation, 12 classes, a weight gradient, an optimiser
 * step. */
static const char step[] = "var \"w\" : f32[32,16,3,3] init normal 0 0.1\n"
                           "var \"v\" : f32[12,32,1,1] init normal 0 0.1\n"
                           "fn train \"f\" {\n"
                           "  %x = input \"x\" : f32[2,16,32,32]\n"
                           "  %w = var \"w\"\n"
                           "  %v = var \"v\"\n"
                           "  %y = conv %x %w {stride=[1,1], pad=[1,1]}\n"
                           "  %s = sum %y {axes=[0,2,3]}\n"
                           "  %c = sub %y %s\n"
                           "  %r = relu %c\n"
                           "  %z = conv %r %v {stride=[1,1], pad=[0,0]}\n"
                           "  %p = softmax %z {axis=1}\n"
                           "  %l = sum %p {axes=[0,1,2,3]}\n"
                           "  %q = mul %l %l\n"
                           "  %loss = reshape %q : f32[]\n"
                           "  %g = grad %loss %w\n"
                           "  %h = sub %w %g\n"
                           "  store \"w\" = %h\n"
                           "  output \"loss\" = %loss\n"
                           "  output \"y\" = %c\n"
                           "}\n";

static Program *after(Arena *a, const char *header) {
  char err[IR_ERR] = "";
  Program *p = ir_parse(a, arena_printf(a, "program \"t\" classes 12 %s\n%s", header, step), err);
  if (!p) fail_msg("%s", err);
  if (!passes_run(p, &(PassOptions){.verify = true}, err)) fail_msg("%s", err);
  return p;
}

static int bf16_values(const Fn *f) {
  int n = 0;
  for (int i = 0; i < f->n; i++) n += f->node[i].type.dt == BF16;
  return n;
}

TEST(stored_values_become_bf16_where_they_may) {
  Arena *a = arena_new();
  assert_int_equal(bf16_values(after(a, "")->fn[0]), 0);
  assert_int_equal(bf16_values(after(a, "storage f32")->fn[0]), 0);
  const Fn *f = after(a, "storage bf16")->fn[0];
  bool conv = false;
  for (int i = 0; i < f->n; i++) {
    const Node *n = &f->node[i];
    bool bf16 = n->type.dt == BF16;
    if (n->op == OP_conv && n->type.dim[1] == 32) conv = bf16;
    if (!bf16) continue;
    assert_int_equal(n->type.rank, 4);
    assert_int_equal(n->type.dim[1], 32); /* no logits: 12 classes */
    assert_true(op_info[n->op].cls != RED && op_info[n->op].cls != LEAF && n->op != OP_conv_dw);
  }
  assert_true(conv);
  for (int i = 0; i < f->nout; i++) assert_int_equal(f->node[f->out[i].node].type.dt, F32);
  for (int i = 0; i < f->nstore; i++) assert_int_equal(f->node[f->store[i].node].type.dt, F32);
  assert_true(bf16_values(f) >= 2);
  arena_free(a);
}

/* Views are of the type of what they view, and stay views. */
TEST(views_are_of_the_type_of_what_they_view) {
  char err[IR_ERR] = "";
  Arena *a = arena_new();
  Program *p = ir_parse(a,
                        "program \"t\" storage bf16\nfn forward \"f\" {\n"
                        "  %x = input \"x\" : f32[2,16,32,32]\n"
                        "  %w = input \"w\" : f32[16,16,3,3]\n"
                        "  %y = conv %x %w {stride=[1,1], pad=[1,1]}\n"
                        "  %d = reshape %y : f32[2,16,1,32,32]\n"
                        "  %u = upsample %d {stride=[2,1,1]}\n"
                        "  %s = sum %u {axes=[0,1,2,3,4]}\n"
                        "  output \"s\" = %s\n}\n",
                        err);
  if (!p) fail_msg("%s", err);
  if (!passes_run(p, &(PassOptions){.verify = true}, err)) fail_msg("%s", err);
  const Fn *f = p->fn[0];
  int views = 0;
  for (int i = 0; i < f->n; i++) {
    if (f->node[i].op != OP_reshape) continue;
    assert_int_equal(f->node[i].type.dt, BF16);
    assert_int_equal(f->node[value_source(f, i)].op, OP_conv);
    views++;
  }
  assert_int_equal(views, 1);
  arena_free(a);
}

RUN_TESTS(NULL, NULL)
