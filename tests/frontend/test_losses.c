/* test_losses.c - losses of models/blocks and their gradients where formulas are delicate: at kinks, at
 * infinite logits, with NaN. On the reference interpreter, against the formulas' values. */
#include <math.h>
#include <string.h>
#include "tests/test.h"
#include "passes/autodiff/autodiff.h"
#include "frontend/frontend.h"
#include "ir/interp/interp.h"
#include "passes/passes.h"

enum { MOST = 16 };

/* The value of `loss`, an expression of x of the type given, and its gradient in x. */
static double evaluate(const char *type, const char *loss, const double *x, double gradient[MOST]) {
  Arena *a = arena_new();
  FrontendOptions opt = {.diag = stderr};
  char err[IR_ERR] = "";
  const char *text = arena_printf(a,
                                  "use \"blocks/losses.net\"\nforward f(x: f32[%s]) {\n"
                                  "  label = int(position(x, 2))\n  return %s\n}",
                                  type, loss);
  Program *p = frontend_compile_text(a, "models/test.net", text, &opt, NULL);
  assert_non_null(p);
  Fn *f = p->fn[0];
  int at = 0;
  while (f->node[at].op != OP_input) at++;
  fn_output(f, "gradient", ir_grad(f, f->out[0].node, at));
  if (!(f = pass_autodiff(f, err))) fail_msg("%s: %s", text, err);
  Interp *in = interp_new(f, INTERP_F64);
  assert_true(interp_bind(in, "x", x));
  if (!interp_run(in, err)) fail_msg("%s: %s", text, err);
  double value = *interp_value(in, f->out[0].node);
  int64_t n = type_count(f->node[f->out[1].node].type);
  assert_true(n <= MOST);
  memcpy(gradient, interp_value(in, f->out[1].node), (size_t)n * sizeof *gradient);
  interp_free(in);
  arena_free(a);
  return value;
}

/* want: the value, then the gradient of n elements. */
static void check(const char *type, const char *loss, const double *x, int n, const double *want) {
  double got[1 + MOST];
  got[0] = evaluate(type, loss, x, got + 1);
  for (int i = 0; i <= n; i++)
    if (!(fabs(got[i] - want[i]) <= 1e-6 * fabs(want[i]) + 1e-12))
      fail_msg("%s: number %d is %.9g, not %.9g", loss, i, got[i], want[i]);
}
#define CHECK(type, loss, x, ...)                                                                            \
  check(type, loss, x, sizeof((double[]){__VA_ARGS__}) / sizeof(double) - 1, (double[]){__VA_ARGS__})
#define LIST(...) ((double[]){__VA_ARGS__})

/* The gradient is sigmoid(x) - y everywhere, at 0 too, where a network that starts from zeros begins. */
TEST(the_gradient_of_bce_is_sigmoid_minus_label_everywhere) {
  CHECK("1, 1, 1", "bce(x, 1)", LIST(0), 0.693147181, -0.5);
  CHECK("1, 1, 1", "bce(x, 0)", LIST(0), 0.693147181, 0.5);
  CHECK("1, 1, 1", "bce(x, 0.25)", LIST(0), 0.693147181, 0.25);
  CHECK("1, 1, 4", "bce(x, 1)", LIST(2, -2, 40, -200), 50.5634640, -0.0298007305, -0.220199269, 0, -0.25);
  CHECK("1, 1, 4", "bce(x, 0)", LIST(2, -2, 40, -200), 10.5634640, 0.220199269, 0.0298007305, 0.25, 0);
}

/* A class whose logit is -inf cannot be: that costs nothing where it is not the label. */
TEST(an_impossible_class_costs_nothing_where_it_is_not_the_label) {
  const double *x = LIST(1, 2, -INFINITY, 0.5, -1, 1); /* channels of two pixels, whose labels are 0 and 1 */
  const char *type = "1, 3, 2";
  CHECK(type, "ce(x, label * 0)", x, 0.295648398, -0.059601461, -0.18573414, 0, 0.0701221916, 0.059601461,
        0.115611949);
  CHECK(type, "ce(x, label * 2)", LIST(1, 2, -INFINITY, -INFINITY, -1, 1), 0.720094849, -0.059601461,
        0.365529289, 0, 0, 0.059601461, -0.365529289);
  CHECK(type, "weighted_ce(x, label * 2, [1, 2, 3])", x, 1.13000859, -0.0298007305, 0.471398789, 0,
        0.105183287, 0.0298007305, -0.576582077);
  CHECK("1, 2, 1", "ce_class(flatten(x), 0)", LIST(1, -INFINITY), 0, 0, 0);
  CHECK("1, 2, 1", "ce_dice(x, label)", LIST(1, -INFINITY), 0, 0, 0);
}

/* Losses, and ops that choose among their operands, of an x with a NaN. */
TEST(nan_reaches_the_loss) {
  static const char *const losses[] = {
      "ce(x, label)",
      "weighted_ce(x, label, [1, 2])",
      "ce_class(flatten(x), 0)",
      "bce(x, 1)",
      "dice_sq(x, 0 * x + 0.5)",
      "dice_mc(softmax(x), label)",
      "dice_fg(softmax(x), label)",
      "dice_lin(softmax(x), label)",
      "dice_m2(softmax(x), label)",
      "mse(x, 0)",
      "mse_softmax(x, 0 * x)",
      "ce_dice(x, label)",
      "entropy(softmax(x))",
      "sum(sharpen(sigmoid(x)))",
      "sum(relu(x))",
      "sum(leaky(x, 0))",
      "sum(abs(x))",
      "sum(clamp(x, -1, 1))",
      "sum(max(x, 0))",
      "sum(max(0, x))",
      "sum(min(x, 0))",
      "sum(min(0, x))",
      "sum(max(x, concat(x[:, 1:], x[:, :1])))",
      "sum(min(x, concat(x[:, 1:], x[:, :1])))",
      "max(x)",
      "min(x)",
      "sum(max(x, axes = 1))",
      "sum(maxpool(x, 2))",
      "sum(resize(x, 4))",
      "sum(x ** 3)",
      "sum(tanh(x))",
      "sum(floor(x))",
      "sum(x % 3)",
      "sum(x // 3)",
      "sum(select(1, x, 0))",
  };
  for (size_t i = 0; i < sizeof losses / sizeof *losses; i++)
    for (int at = 0; at < 4; at++) {
      double x[] = {0.5, -1, 2, 0.25}, gradient[MOST];
      x[at] = NAN;
      double loss = evaluate("1, 2, 2", losses[i], x, gradient);
      if (!isnan(loss)) fail_msg("%s: NaN at %d gives %g", losses[i], at, loss);
    }
}

RUN_TESTS(NULL, NULL)
