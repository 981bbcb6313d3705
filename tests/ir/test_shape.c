/* test_shape.c - every shape rule of ir/ops.def: what it accepts and gives, what it refuses and how it says
 * so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "ir/ir.h"

typedef struct {
  const char *op, *operands; /* types of the operands, separated by spaces */
  const char *rest;          /* name, attributes, wanted type */
  const char *gives;         /* the type, or NULL */
  const char *error;         /* words of the error where there is no type */
} Case;

static const Case cases[] = {
    {"const", "", "{value=1} : f32[2]", "f32[2]", NULL},
    {"const", "", "{value=1}", NULL, "needs a type"},
    {"var", "", "\"w\"", "f32[2]", NULL},
    {"var", "", "\"v\"", NULL, "needs a type"},
    {"input", "", "\"x\" : i32[4,1]", "i32[4,1]", NULL},
    {"input", "", "\"x\"", NULL, "needs a type"},
    {"iota", "", "{axis=1} : i32[1,4,1]", "i32[1,4,1]", NULL},
    {"iota", "", "{axis=1} : i32[2,4,1]", NULL, "axis 0 has extent 2; only axis 1"},
    {"iota", "", "{axis=0} : i32[]", NULL, "axis 0 does not exist"},
    {"rand", "", "{mode=1, site=4} : f32[3]", "f32[3]", NULL},
    {"rand", "", "{mode=2, site=4} : f32[3]", NULL, "mode must be 0 or 1"},
    {"rand", "", "{mode=0, site=4} : i32[3]", NULL, "are f32"},

    {"neg", "i32[2,3]", "", "i32[2,3]", NULL},
    {"neg", "i32[2] i32[2]", "", NULL, "takes 1 operands, not 2"},
    {"abs", "f32[2,3]", "", "f32[2,3]", NULL},
    {"abs", "", "", NULL, "takes 1 operands"},
    {"stop", "i32[2]", "", "i32[2]", NULL},
    {"stop", "", "", NULL, "takes 1 operands"},
#define FLOAT_ONLY(op)                                                                                       \
  {op, "f32[2,3]", "", "f32[2,3]", NULL}, { op, "i32[2,3]", "", NULL, "must be f32; cast it first" }
    FLOAT_ONLY("exp"),
    FLOAT_ONLY("log"),
    FLOAT_ONLY("sqrt"),
    FLOAT_ONLY("rsqrt"),
    FLOAT_ONLY("floor"),
    FLOAT_ONLY("cos"),
    FLOAT_ONLY("sin"),
    FLOAT_ONLY("sigmoid"),
    FLOAT_ONLY("tanh"),
    FLOAT_ONLY("relu"),
    FLOAT_ONLY("leaky"),
    FLOAT_ONLY("powc"),
    {"cast", "f32[2]", ": i32[2]", "i32[2]", NULL},
    {"cast", "f32[2]", "", NULL, "needs a type"},
    {"cast", "f32[2]", ": i32[3]", NULL, "cannot give i32[3]"},

#define TWO(op)                                                                                              \
  {op, "f32[2,1,4] f32[1,3,4]", "", "f32[2,3,4]", NULL}, {op, "f32[] f32[5]", "", "f32[5]", NULL},           \
      {op, "f32[2] f32[3]", "", NULL, "of f32[2] and f32[3]: extents 2 and 3 of axis 0 do not broadcast"},   \
      {op, "f32[2,2] f32[2]", "", NULL, "ranks 2 and 1 do not broadcast"}, {                                 \
    op, "f32[2] i32[2]", "", NULL, "element types differ"                                                    \
  }
    TWO("add"),
    TWO("sub"),
    TWO("mul"),
    TWO("div"),
    TWO("min"),
    TWO("max"),
    TWO("lt"),
    TWO("le"),
    TWO("eq"),
    {"add", "i32[2] i32[1]", "", "i32[2]", NULL},
    {"div", "i32[2] i32[1]", "", NULL, "must be f32"},
    {"eq", "i32[4,1,8] i32[1,2,1]", "", "f32[4,2,8]", NULL},
    {"select", "f32[2,1] f32[1,3] f32[]", "", "f32[2,3]", NULL},
    {"select", "f32[2] i32[2] i32[1]", "", "i32[2]", NULL},
    {"select", "f32[2] f32[2] i32[2]", "", NULL, "different element types"},
    {"select", "f32[2] f32[3] f32[3]", "", NULL, "do not broadcast"},

    {"sum", "f32[2,3,4]", "{axes=[0,2]}", "f32[1,3,1]", NULL},
    {"sum", "f32[]", "{axes=[]}", "f32[]", NULL},
    {"sum", "f32[2]", "{axes=[1]}", NULL, "beyond rank 1"},
    {"sum", "i32[2]", "{axes=[0]}", NULL, "must be f32"},
    {"amax", "f32[2,3]", "{axes=[1]}", "f32[2,1]", NULL},
    {"amax", "f32[2,3]", "{axes=[2]}", NULL, "beyond rank 2"},
    {"amin", "f32[2,3]", "{axes=[0,1]}", "f32[1,1]", NULL},
    {"amin", "f32[2,3]", "{axes=[5]}", NULL, "beyond rank 2"},
    {"argmax", "f32[2,3]", "{axis=1}", "i32[2,1]", NULL},
    {"argmax", "f32[2,3]", "{axis=2}", NULL, "axis 2 does not exist, the rank is 2"},
    {"argmin", "f32[2,3]", "{axis=0}", "i32[1,3]", NULL},
    {"argmin", "i32[2,3]", "{axis=0}", NULL, "must be f32"},

    {"softmax", "f32[2,3]", "{axis=1}", "f32[2,3]", NULL},
    {"softmax", "f32[2,3]", "{axis=2}", NULL, "does not exist"},
    {"log_softmax", "f32[2,3]", "{axis=0}", "f32[2,3]", NULL},
    {"log_softmax", "f32[]", "{axis=0}", NULL, "does not exist"},
    {"batchnorm", "f32[2,3,4] f32[3] f32[3] f32[1,3,1] f32[1,3,1]", "{value=0}", "f32[2,3,4]", NULL},
    {"batchnorm", "f32[2,3,4] f32[3] f32[4] f32[1,3,1] f32[1,3,1]", "{value=0}", NULL,
     "beta must be f32[3], it is f32[4]"},
    {"batchnorm", "f32[2,3,4] f32[3] f32[3] f32[1,3,1] f32[1,3]", "{value=0}", NULL,
     "var must be f32[1,3,1]"},
    {"batchnorm", "f32[2] f32[2] f32[2] f32[2] f32[2]", "{value=0}", NULL, "x must be (N,C,..)"},

    {"conv", "f32[4,3,9,8] f32[5,3,3,2]", "{stride=[2,1], pad=[1,0]}", "f32[4,5,5,7]", NULL},
    {"conv", "f32[4,3,9] f32[5,3,9]", "{stride=[1], pad=[0]}", "f32[4,5,1]", NULL},
    {"conv", "f32[1,1,4,4,4] f32[2,1,2,2,2]", "{stride=[2,2,2], pad=[0,0,0]}", "f32[1,2,2,2,2]", NULL},
    {"conv", "f32[4,3,9,8] f32[5,4,3,3]", "{stride=[1,1], pad=[0,0]}", NULL,
     "takes 4 channels (axis 1), the input has 3"},
    {"conv", "f32[4,3,2,8] f32[5,3,3,3]", "{stride=[1,1], pad=[0,0]}", NULL,
     "window of 3 is larger than the 2"},
    {"conv", "f32[4,3,9,8] f32[5,3,3,3]", "{stride=[0,1], pad=[0,0]}", NULL, "stride of spatial axis 0 is 0"},
    {"conv", "f32[4,3,9,8] f32[5,3,3]", "{stride=[1,1], pad=[0,0]}", NULL, "ranks 4 and 3 must be equal"},
    {"conv", "f32[4,3] f32[5,3]", "{stride=[], pad=[]}", NULL, "1 to 3 spatial axes"},
    {"conv_dx", "f32[4,5,5,7] f32[5,3,3,2]", "{stride=[2,1], pad=[1,0], size=[9,8]}", "f32[4,3,9,8]", NULL},
    {"conv_dx", "f32[4,5,5,7] f32[5,3,3,2]", "{stride=[2,1], pad=[1,0], size=[11,8]}", NULL,
     "give 6, but dy has 5"},
    {"conv_dx", "f32[4,3,5,7] f32[5,3,3,2]", "{stride=[2,1], pad=[1,0], size=[9,8]}", NULL,
     "differ: 3 and 5"},
    {"conv_dw", "f32[4,3,9,8] f32[4,5,5,7]", "{stride=[2,1], pad=[1,0], size=[3,2]}", "f32[5,3,3,2]", NULL},
    {"conv_dw", "f32[3,3,9,8] f32[4,5,5,7]", "{stride=[2,1], pad=[1,0], size=[3,2]}", NULL,
     "batch sizes (axis 0) differ"},
    {"dwconv", "f32[4,3,9] f32[4,3,3]", "{stride=[1], pad=[1]}", "f32[4,3,9]", NULL},
    {"dwconv", "f32[4,3,9] f32[4,2,3]", "{stride=[1], pad=[1]}", NULL, "channels (axis 1) differ: 3 and 2"},
    {"dwconv_dx", "f32[4,3,5] f32[4,3,3]", "{stride=[2], pad=[1], size=[10]}", "f32[4,3,10]", NULL},
    {"dwconv_dx", "f32[4,3,5] f32[4,3,3]", "{stride=[2], pad=[1], size=[0]}", NULL,
     "size of spatial axis 0 is 0"},
    {"dwconv_dw", "f32[4,3,9] f32[4,3,9]", "{stride=[1], pad=[1], size=[3]}", "f32[4,3,3]", NULL},
    {"dwconv_dw", "f32[4,3,9] f32[2,3,9]", "{stride=[1], pad=[1], size=[3]}", NULL, "batch sizes"},
    {"matmul", "f32[2,3] f32[3,4,5]", "{mode=0}", "f32[2,4,5]", NULL},
    {"matmul", "f32[3,2] f32[3]", "{mode=1}", "f32[2]", NULL},
    {"matmul", "f32[2,3] f32[2,4]", "{mode=0}", NULL, "summed extents differ: 3 and 2"},
    {"matmul", "f32[2,3,1] f32[3,4]", "{mode=0}", NULL, "must have rank 2"},
    {"inner", "f32[2,3,4] f32[5,3,4]", "", "f32[2,5]", NULL},
    {"inner", "f32[2,3] f32[5,4]", "", NULL, "extents 3 and 4 of axis 1 differ"},

    {"reshape", "f32[2,6]", ": f32[3,4]", "f32[3,4]", NULL},
    {"reshape", "f32[2,6]", ": f32[3,5]", NULL, "f32[3,5] has 15 elements, the operand has 12"},
    {"reshape", "f32[2,6]", ": i32[3,4]", NULL, "use cast"},
    {"broadcast", "f32[2,1]", ": f32[2,3]", "f32[2,3]", NULL},
    {"broadcast", "f32[]", ": f32[2,3]", "f32[2,3]", NULL},
    {"broadcast", "f32[2,2]", ": f32[2,3]", NULL, "does not broadcast to f32[2,3]"},
    {"concat", "i32[2,1] i32[2,3] i32[2,1]", "{axis=1}", "i32[2,5]", NULL},
    {"concat", "f32[2,1] f32[3,3]", "{axis=1}", NULL, "operand 2, f32[3,3], must agree with the first"},
    {"concat", "", "{axis=1}", NULL, "takes 1 or more operands, not 0"},
    {"slice", "f32[2,5]", "{axis=1, lo=1, hi=4}", "f32[2,3]", NULL},
    {"slice", "f32[2,5]", "{axis=1, lo=2, hi=2}", NULL, "[2:2] of axis 1 must lie in [0:5] and not be empty"},
    {"slice", "f32[2,5]", "{axis=1, lo=2, hi=6}", NULL, "must lie in [0:5]"},
    {"pad", "f32[2,5]", "{axis=0, lo=1, hi=4}", "f32[7,5]", NULL},
    {"pad", "f32[2,5]", "{axis=2, lo=1, hi=4}", NULL, "axis 2 does not exist"},
    {"pad", "f32[2,5]", "{axis=1, lo=2147483647, hi=2147483647}", NULL, "too large"},
    {"upsample", "f32[1,2,3,4]", "{stride=[2,3]}", "f32[1,2,6,12]", NULL},
    {"upsample", "f32[1,2,3,4]", "{stride=[2]}", NULL, "stride of spatial axis 1 is 0"},
    {"sumpool", "f32[1,2,6,12]", "{stride=[2,3]}", "f32[1,2,3,4]", NULL},
    {"sumpool", "f32[1,2,6,12]", "{stride=[4,3]}", NULL, "extent 6 of spatial axis 0 is not a multiple of 4"},
    {"maxpool", "f32[1,2,7,7]", "{size=[3,2], stride=[2,2], pad=[1,0]}", "f32[1,2,4,3]", NULL},
    {"maxpool", "f32[1,2,7,7]", "{size=[2,2], stride=[2,2], pad=[2,0]}", NULL,
     "must be less than the window, 2"},
    {"maxpool_dx", "f32[1,2,7] f32[1,2,4]", "{size=[3], stride=[2], pad=[1]}", "f32[1,2,7]", NULL},
    {"maxpool_dx", "f32[1,2,7] f32[1,2,5]", "{size=[3], stride=[2], pad=[1]}", NULL, "dy must be f32[1,2,4]"},
    {"resize", "f32[1,2,3,4]", "{size=[6,5], mode=1}", "f32[1,2,6,5]", NULL},
    {"resize", "f32[1,2,3,4]", "{size=[6,5], mode=7}", NULL, "mode must be 0 or 1, not 7"},
    {"resize_dx", "f32[1,2,6,5]", "{size=[3,4], mode=1}", "f32[1,2,3,4]", NULL},
    {"resize_dx", "f32[1,2,6,5]", "{size=[3,0], mode=1}", NULL, "size of spatial axis 1 is 0"},
    {"orient", "i32[2,1,4,4,3] i32[2]", "{mode=1}", "i32[2,1,4,4,3]", NULL},
    {"orient", "f32[2,1,4,3] i32[2]", "{mode=0}", NULL, "must exist and have equal extents"},
    {"orient", "f32[2,1,4,4] i32[3]", "{mode=0}", NULL, "codes must be i32[2]"},
    {"grad", "f32[] f32[2,3]", "", "f32[2,3]", NULL},
    {"grad", "f32[1] f32[2,3]", "", NULL, "the loss must have rank 0"},
};

/* The function that holds the case's node behind its inputs, as text. */
static void write_case(char *text, size_t size, const Case *c) {
  char types[256], args[128] = "", *save = NULL;
  int n = 0, at = snprintf(text, size, "var \"w\" : f32[2] fn forward \"f\" {\n");
  snprintf(types, sizeof types, "%s", c->operands);
  for (char *t = strtok_r(types, " ", &save); t; t = strtok_r(NULL, " ", &save), n++) {
    at += snprintf(text + at, size - (size_t)at, "%%a%d = input \"a%d\" : %s\n", n, n, t);
    snprintf(args + strlen(args), sizeof args - strlen(args), "%%a%d ", n);
  }
  snprintf(text + at, size - (size_t)at, "%%y = %s %s%s }\n", c->op, args, c->rest);
}

static void test_rules(void **state) {
  (void)state;
  bool ok[OP_COUNT] = {false}, refused[OP_COUNT] = {false};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const Case *c = &cases[i];
    char text[1024], err[256] = "", buf[96];
    int op = op_by_name(c->op);
    assert_true(op >= 0);
    write_case(text, sizeof text, c);
    Arena *a = arena_new();
    Program *p = ir_parse(a, text, err);
    if (c->gives) {
      ok[op] = true;
      if (!p) fail_msg("%s: %s", text, err);
      const Fn *f = p->fn[0];
      assert_string_equal(type_str(f->node[f->n - 1].type, buf), c->gives);
    } else {
      refused[op] = true;
      if (p) fail_msg("accepted: %s", text);
      if (!strstr(err, c->error)) fail_msg("%s gave: %s", text, err);
    }
    arena_free(a);
  }
  for (int op = 0; op < OP_COUNT; op++)
    if (!ok[op] || !refused[op]) fail_msg("%s needs a case of each kind", op_info[op].name);
}

static void test_builders(void **state) {
  (void)state;
  char buf[96];
  Arena *a = arena_new();
  Program *p = prog_new(a);
  Fn *f = fn_new(p, "f", FN_FORWARD);
  int x = ir_input(f, "x", type_f32(4, 2, 3, 4, 4));
  assert_int_equal(ir_input(f, "x", type_f32(4, 2, 3, 4, 4)), x);
  assert_int_equal(ir_input(f, "x", type_f32(1, 2)), -1);
  assert_non_null(strstr(f->err, "it was f32[2,3,4,4] before"));
  /* a failed operand passes its -1 on, and the first message stays */
  int bad = ir_add(f, x, ir_sum(f, x, 1u << 5));
  assert_int_equal(bad, -1);
  assert_non_null(strstr(f->err, "beyond rank 4"));
  assert_int_equal(ir_scale(f, ir_cast(f, bad, I32), 2), -1);
  assert_non_null(strstr(f->err, "beyond rank 4"));
  assert_int_equal(ir_unary(f, OP_neg, 99), -1);
  assert_non_null(strstr(f->err, "not defined"));
  assert_int_equal(ir_var(f, 0), -1);
  int m = ir_mean(f, x, 1u << 0 | 1u << 3);
  assert_string_equal(type_str(f->node[m].type, buf), "f32[1,3,4,1]");
  assert_true(f->node[f->node[m].in[1]].at.value == 1.0 / 8);
  assert_string_equal(type_str(f->node[ir_sum_to(f, x, type_f32(4, 1, 3, 1, 4))].type, buf), "f32[1,3,1,4]");
  assert_string_equal(type_str(f->node[ir_sum_to(f, x, type_scalar())].type, buf), "f32[]");
  assert_int_equal(ir_sum_to(f, x, f->node[x].type), x);
  assert_int_equal(ir_sum_to(f, x, type_f32(4, 2, 2, 4, 4)), -1);
  assert_int_equal(spatial_axes(f->node[x].type), 12);
  assert_int_equal(all_axes(f->node[x].type), 15);
  arena_free(a);
}

/* A convolution's adjoints cost what it costs. */
static void test_macs(void **state) {
  (void)state;
  Arena *a = arena_new();
  Fn *f = fn_new(prog_new(a), "f", FN_FORWARD);
  ConvGeom same = {{1, 1}, {1, 1}};
  int64_t k[] = {3, 3};
  int x = ir_input(f, "x", type_f32(4, 2, 3, 8, 8)), w = ir_input(f, "w", type_f32(4, 5, 3, 3, 3));
  int y = ir_conv(f, x, w, &same), v = ir_input(f, "v", type_f32(4, 2, 3, 3, 3)),
      z = ir_dwconv(f, x, v, &same);
  int dx = ir_conv_grad(f, OP_conv_dx, y, w, &same, f->node[x].type.dim + 2);
  int dw = ir_conv_grad(f, OP_conv_dw, x, y, &same, k);
  int dv = ir_conv_grad(f, OP_dwconv_dw, x, z, &same, k);
  int m = ir_matmul(f, ir_input(f, "a", type_f32(2, 7, 2)), x, false), n = ir_inner(f, x, x);
  assert_int_equal(node_macs(f, &f->node[y]), 2 * 5 * 64 * 27);
  assert_int_equal(node_macs(f, &f->node[dx]), 2 * 5 * 64 * 27);
  assert_int_equal(node_macs(f, &f->node[dw]), 2 * 5 * 64 * 27);
  assert_int_equal(node_macs(f, &f->node[z]), 2 * 3 * 64 * 9);
  assert_int_equal(node_macs(f, &f->node[dv]), 2 * 3 * 64 * 9);
  assert_int_equal(node_macs(f, &f->node[m]), 7 * 2 * 3 * 64);
  assert_int_equal(node_macs(f, &f->node[n]), 2 * 2 * 3 * 64);
  assert_int_equal(node_macs(f, &f->node[x]), 0);
  /* Along an axis of 8 pixels three taps meet 3 * 8 - 2 of them; from every second pixel on, 4 + 4 + 3. */
  assert_int_equal(node_macs_inside(f, &f->node[y]), 2 * 5 * 3 * 22 * 22);
  assert_int_equal(node_macs_inside(f, &f->node[dx]), 2 * 5 * 3 * 22 * 22);
  assert_int_equal(node_macs_inside(f, &f->node[dw]), 2 * 5 * 3 * 22 * 22);
  assert_int_equal(node_macs_inside(f, &f->node[z]), 2 * 3 * 22 * 22);
  assert_int_equal(node_macs_inside(f, &f->node[dv]), 2 * 3 * 22 * 22);
  int s = ir_conv(f, x, w, &(ConvGeom){{2, 2}, {1, 1}});
  assert_int_equal(node_macs_inside(f, &f->node[s]), 2 * 5 * 3 * 11 * 11);
  assert_int_equal(node_macs_inside(f, &f->node[m]), 7 * 2 * 3 * 64);
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_rules), cmocka_unit_test(test_builders),
                                     cmocka_unit_test(test_macs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
