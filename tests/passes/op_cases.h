/* op_cases.h - one small function per op (or use of an op) that has a gradient. A case is the body of a
 * function of the text form that ends in a node %y; every input whose name does not begin with k is
 * differentiated. The loss is sum(y * k) with weights k of their own, so that no two elements' gradients are
 * alike. test_autodiff.c compares the gradients with differences, tests/codegen/emit/test_ops.c the compiled
 * functions with the interpreter. */
#ifndef TESTS_OP_CASES_H
#define TESTS_OP_CASES_H
#include <string.h>
#include "ir/ir.h"

typedef struct {
  const char *name, *body;
  double lo, hi; /* values of the inputs */
} OpCase;

static const OpCase op_cases[] = {
#define OP_UNARY(op, lo, hi)                                                                                 \
  { #op, "%a = input \"a\" : f32[2,3,2,3]\n%y = " #op " %a\n", lo, hi }
#define OP_BINARY(op, lo, hi)                                                                                \
  {#op, "%a = input \"a\" : f32[2,3,2,2]\n%b = input \"b\" : f32[2,3,2,2]\n%y = " #op " %a %b\n", lo, hi},   \
      {#op " broadcast",                                                                                     \
       "%a = input \"a\" : f32[1,3,1,1,1]\n%b = input \"b\" : f32[2,1,2,1,2]\n%y = " #op " %a %b\n", lo,     \
       hi},                                                                                                  \
  {                                                                                                          \
#op " scalar", "%a = input \"a\" : f32[]\n%b = input \"b\" : f32[2,1,4]\n%y = " #op " %a %b\n", lo, hi   \
  }
    OP_UNARY(neg, -1, 1),
    OP_UNARY(abs, -1, 1),
    OP_UNARY(exp, -1, 1),
    OP_UNARY(log, 0.5, 2),
    OP_UNARY(sqrt, 0.5, 2),
    OP_UNARY(rsqrt, 0.5, 2),
    OP_UNARY(cos, -2, 2),
    OP_UNARY(sin, -2, 2),
    OP_UNARY(sigmoid, -3, 3),
    OP_UNARY(tanh, -2, 2),
    OP_UNARY(relu, -1, 1),
    {"leaky", "%a = input \"a\" : f32[2,3,2]\n%y = leaky %a {value=0.2}\n", -1, 1},
    {"powc 10", "%a = input \"a\" : f32[2,3,2]\n%y = powc %a {value=10}\n", 0.3, 1},
    {"powc 2", "%a = input \"a\" : f32[2,3,2]\n%y = powc %a {value=2}\n", -1, 1},
    {"powc 0.5", "%a = input \"a\" : f32[2,3,2]\n%y = powc %a {value=0.5}\n", 0.3, 1},
    OP_BINARY(add, -1, 1),
    OP_BINARY(sub, -1, 1),
    OP_BINARY(mul, -1, 1),
    OP_BINARY(div, 0.5, 2),
    OP_BINARY(min, -1, 1),
    OP_BINARY(max, -1, 1),
    {"select",
     "%m = input \"kmask\" : f32[2,3,4]\n%z = const {value=0} : f32[]\n%c = lt %z %m\n%a = input \"a\" : "
     "f32[2,3,4]\n"
     "%b = input \"b\" : f32[1,3,1]\n%y = select %c %a %b\n",
     -1, 1},
    {"select by eq",
     "%k = input \"kleft\" : f32[2,3,2,2]\n%l = input \"kright\" : f32[1,3,1,1]\n%c = eq %k %l\n%a = input "
     "\"a\" : "
     "f32[2,3,2,2]\n"
     "%b = input \"b\" : f32[2,1,2,2]\n%y = select %c %a %b\n",
     -1, 1},
    {"sum", "%a = input \"a\" : f32[2,3,4]\n%y = sum %a {axes=[0,2]}\n", -1, 1},
    {"sum of channels, 3-D", "%a = input \"a\" : f32[2,9,2,1,3]\n%y = sum %a {axes=[1]}\n", -1, 1},
    {"sum of pixels, 3-D", "%a = input \"a\" : f32[2,17,2,1,3]\n%y = sum %a {axes=[2,3,4]}\n", -1, 1},
    {"amax", "%a = input \"a\" : f32[2,3,4]\n%y = amax %a {axes=[0,2]}\n", -1, 1},
    {"amax of channels, 3-D", "%a = input \"a\" : f32[2,9,2,1,3]\n%y = amax %a {axes=[1]}\n", -1, 1},
    {"amin of pixels", "%a = input \"a\" : f32[2,17,2,3]\n%y = amin %a {axes=[2,3]}\n", -1, 1},
    {"a value used three times", "%a = input \"a\" : f32[2,3]\n%b = mul %a %a\n%y = mul %b %a\n", -1, 1},
    {"softmax", "%a = input \"a\" : f32[2,3,4]\n%y = softmax %a {axis=1}\n", -2, 2},
    {"softmax of two classes", "%a = input \"a\" : f32[2,2,3,4]\n%y = softmax %a {axis=1}\n", -2, 2},
    {"softmax of many, 3-D", "%a = input \"a\" : f32[1,11,2,2,3]\n%y = softmax %a {axis=1}\n", -2, 2},
    {"log_softmax", "%a = input \"a\" : f32[2,3,4]\n%y = log_softmax %a {axis=1}\n", -2, 2},
    {"sum of a sum of channels",
     "%a = input \"a\" : f32[2,3,6,6]\n%q = sum %a {axes=[1]}\n%y = sum %q {axes=[2]}\n", -1, 1},
    {"shares of a row",
     "%a = input \"a\" : f32[2,3,6,6]\n%q = sum %a {axes=[1]}\n%s = sum %q {axes=[3]}\n%y = div %q %s\n", 0.5,
     2},
    {"softmax of a sum of channels along columns",
     "%a = input \"a\" : f32[2,3,6,6]\n%q = sum %a {axes=[1]}\n%y = softmax %q {axis=2}\n", -1, 1},
    {"a loss of a map, weighted by rows, beside one of its channels",
     "%a = input \"a\" : f32[2,4,6,6]\n%w = input \"w\" : f32[1,1,6,1]\n%q = sum %a {axes=[1]}\n%r = mul %q "
     "%w\n"
     "%u = sum %r {axes=[0,2,3]}\n%p = softmax %a {axis=1}\n%d = mul %p %p\n%e = sum %d {axes=[0,2,3]}\n"
     "%y = add %e %u\n",
     -1, 1},
    {"batch normalisation",
     "%a = input \"a\" : f32[3,2,2,3]\n%g = input \"g\" : f32[2]\n%b = input \"b\" : f32[2]\n"
     "%m1 = sum %a {axes=[0,2,3]}\n%r = const {value=0.055555555555555552} : f32[]\n%m = mul %m1 %r\n%d = "
     "sub %a %m\n"
     "%d2 = mul %d %d\n%v1 = sum %d2 {axes=[0,2,3]}\n%v = mul %v1 %r\n%y = batchnorm %a %g %b %m %v "
     "{value=1e-05}\n",
     -1, 1},
    {"batch normalisation, 3-D",
     "%a = input \"a\" : f32[2,3,2,2,3]\n%g = input \"g\" : f32[3]\n%b = input \"b\" : f32[3]\n"
     "%m1 = sum %a {axes=[0,2,3,4]}\n%r = const {value=0.041666666666666664} : f32[]\n%m = mul %m1 %r\n%d = "
     "sub %a %m\n"
     "%d2 = mul %d %d\n%v1 = sum %d2 {axes=[0,2,3,4]}\n%v = mul %v1 %r\n%n = batchnorm %a %g %b %m %v "
     "{value=1e-05}\n%y = relu %n\n",
     -1, 1},
    {"conv",
     "%a = input \"a\" : f32[2,3,5,4]\n%w = input \"w\" : f32[2,3,3,3]\n%y = conv %a %w {stride=[1,1], "
     "pad=[1,1]}\n",
     -1, 1},
    {"conv of a concat",
     "%a = input \"a\" : f32[2,3,9,8]\n%b = input \"b\" : f32[2,2,9,8]\n%c = concat %a %b %a {axis=1}\n"
     "%w = input \"w\" : f32[2,8,3,3]\n%y = conv %c %w {stride=[2,1], pad=[1,0]}\n",
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
    {"conv_dw 3-D",
     "%a = input \"a\" : f32[1,2,3,4,3]\n%b = input \"b\" : f32[1,3,3,2,3]\n%y = conv_dw %a %b "
     "{stride=[1,2,1], "
     "pad=[1,1,1], size=[3,3,3]}\n",
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
    {"dwconv_dx 3-D",
     "%a = input \"a\" : f32[1,3,3,2,3]\n%w = input \"w\" : f32[1,3,3,3,3]\n%y = dwconv_dx %a %w "
     "{stride=[1,2,1], "
     "pad=[1,1,1], size=[3,4,3]}\n",
     -1, 1},
    {"dwconv_dw",
     "%a = input \"a\" : f32[2,2,5,4]\n%b = input \"b\" : f32[2,2,3,2]\n%y = dwconv_dw %a %b {stride=[2,2], "
     "pad=[1,1], size=[3,3]}\n",
     -1, 1},
    {"dwconv_dw 3-D",
     "%a = input \"a\" : f32[2,3,3,3,2]\n%b = input \"b\" : f32[2,3,3,3,2]\n%y = dwconv_dw %a %b "
     "{stride=[1,1,1], "
     "pad=[1,1,1], size=[3,3,3]}\n",
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
    {"concat 3-D",
     "%a = input \"a\" : f32[2,3,2,1,3]\n%b = input \"b\" : f32[2,9,2,1,3]\n%y = concat %a %b {axis=1}\n", -1,
     1},
    {"slice", "%a = input \"a\" : f32[2,5,3]\n%y = slice %a {axis=1, lo=1, hi=4}\n", -1, 1},
    {"slice of channels, 3-D", "%a = input \"a\" : f32[2,9,2,1,3]\n%y = slice %a {axis=1, lo=2, hi=9}\n", -1,
     1},
    {"pad", "%a = input \"a\" : f32[2,2,3]\n%y = pad %a {axis=2, lo=1, hi=2}\n", -1, 1},
    {"pad of channels", "%a = input \"a\" : f32[2,3,2,3]\n%y = pad %a {axis=1, lo=1, hi=4}\n", -1, 1},
    {"upsample", "%a = input \"a\" : f32[2,2,3,2]\n%y = upsample %a {stride=[2,3]}\n", -1, 1},
    {"upsample 3-D", "%a = input \"a\" : f32[1,3,2,1,3]\n%y = upsample %a {stride=[2,2,2]}\n", -1, 1},
    {"sumpool", "%a = input \"a\" : f32[2,2,4,4,2]\n%y = sumpool %a {stride=[2,2,1]}\n", -1, 1},
    {"sumpool of many channels", "%a = input \"a\" : f32[1,18,4,2]\n%y = sumpool %a {stride=[2,2]}\n", -1, 1},
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
    {"orient 3-D",
     "%a = input \"a\" : f32[3,2,3,3,2]\n%k = input \"kturn\" : f32[3]\n%e = const {value=8} : f32[]\n%k8 = "
     "mul %k %e\n%c = cast %k8 : i32[3]\n"
     "%y = orient %a %c {mode=1}\n",
     0, 1},
    {"stop", "%a = input \"a\" : f32[4]\n%s = stop %a\n%y = mul %a %a\n", -1, 1},
};

static inline bool op_case_differentiates(const Node *n) { return n->op == OP_input && n->at.sym[0] != 'k'; }

/* The case's function: outputs "y", "loss", and by each input's name its gradient as a `grad` node. NULL and
 * a message on failure. */
static inline Fn *op_case_fn(Arena *a, const char *body, char err[IR_ERR]) {
  Program *p = ir_parse(
      a, arena_printf(a, "program \"t\"\nfn forward \"f\" {\n%s  output \"y\" = %%y\n}\n", body), err);
  if (!p) return NULL;
  Fn *f = p->fn[0];
  int y = f->out[0].node, k = ir_input(f, "kweights", f->node[y].type);
  int loss = ir_reshape(f, ir_sum(f, ir_mul(f, y, k), all_axes(f->node[y].type)), type_scalar());
  fn_output(f, "loss", loss);
  for (int i = 0, n = f->n; i < n; i++)
    if (op_case_differentiates(&f->node[i])) fn_output(f, f->node[i].at.sym, ir_grad(f, loss, i));
  if (!f->err[0]) return f;
  memcpy(err, f->err, sizeof f->err);
  return NULL;
}
#endif
