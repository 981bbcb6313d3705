/* test_ignored_labels.c - losses where `prepare` maps a value to "ignore" and labels are -1 there: against
 * plain sums over the voxels that are left, gradients against finite differences. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tests/test.h"
#include "passes/autodiff/autodiff.h"
#include "passes/passes.h"
#include "frontend/frontend.h"
#include "ir/interp/interp.h"
#include "ir/philox.h"

enum { N = 2, C = 3, S = 7, VOXELS = N * S, COUNT = N * C * S };
static const double weight[C] = {1, 2, 0.5};

/* ---- the losses, plainly ---- */

typedef struct {
  const double *x; /* logits (N,C,S) */
  double p[COUNT]; /* their softmax */
  const double *label;
} Case;

static int at(int n, int c, int s) { return (n * C + c) * S + s; }

static void softmax(Case *k) {
  for (int n = 0; n < N; n++)
    for (int s = 0; s < S; s++) {
      double sum = 0;
      for (int c = 0; c < C; c++) sum += exp(k->x[at(n, c, s)]);
      for (int c = 0; c < C; c++) k->p[at(n, c, s)] = exp(k->x[at(n, c, s)]) / sum;
    }
}

/* Sums over the valid voxels of class c: of p t, p, t, p^2. */
typedef struct {
  double pt, p, t, pp;
} Sums;
static Sums sums(const Case *k, int c) {
  Sums r = {0};
  for (int n = 0; n < N; n++)
    for (int s = 0; s < S; s++) {
      double p = k->p[at(n, c, s)], l = k->label[n * S + s], t = l == c;
      if (l < 0) continue;
      r.pt += p * t, r.p += p, r.t += t, r.pp += p * p;
    }
  return r;
}

static double weighted(const Case *k, const double *w) {
  double loss = 0, total = 0;
  for (int v = 0; v < VOXELS; v++) {
    int l = (int)k->label[v];
    if (l < 0) continue;
    loss -= w[l] * log(k->p[at(v / S, l, v % S)]), total += w[l];
  }
  return total > 0 ? loss / total : 0;
}

static double plain_ce(const Case *k) { return weighted(k, (double[C]){1, 1, 1}); }
static double plain_weighted(const Case *k) { return weighted(k, weight); }

/* Of channel 0 against class 0. */
static double plain_bce(const Case *k) {
  double loss = 0, count = 0;
  for (int v = 0; v < VOXELS; v++) {
    double x = k->x[at(v / S, 0, v % S)];
    if (k->label[v] < 0) continue;
    loss += log(1 + exp(x)) - x * (k->label[v] == 0), count++;
  }
  return count > 0 ? loss / count : 0;
}

static double dice_of(const Case *k, int c) {
  Sums r = sums(k, c);
  return 1 - (2 * r.pt + 1e-5) / (r.pp + r.t + 1e-5);
}
static double plain_fg(const Case *k) { return dice_of(k, 1); }
static double plain_mc(const Case *k) { return (dice_of(k, 0) + dice_of(k, 1) + dice_of(k, 2)) / 3; }
static double plain_lin(const Case *k) {
  Sums r = sums(k, 1);
  return 1 - (2 * r.pt + 1e-8) / (r.p + r.t + 1e-8);
}
static double plain_m2(const Case *k) {
  double loss = 0;
  for (int c = 0; c < C; c++) {
    Sums r = sums(k, c);
    loss += 1 - r.pt / (r.pp + r.t + 1e-10);
  }
  return loss / C;
}
static double plain_ce_dice(const Case *k) { return 0.5 * (plain_ce(k) + plain_mc(k)); }

static const struct {
  const char *text;
  double (*plain)(const Case *k);
  double of_none; /* its value where all labels are ignored */
} losses[] = {
    {"ce(x, l)", plain_ce, 0},
    {"weighted_ce(x, l, [1, 2, 0.5])", plain_weighted, 0},
    {"bce(x[:, :1], l == 0, l)", plain_bce, 0},
    {"dice_fg(softmax(x), l)", plain_fg, 0},
    {"dice_mc(softmax(x), l)", plain_mc, 0},
    {"dice_lin(softmax(x), l)", plain_lin, 0},
    {"dice_m2(softmax(x), l)", plain_m2, 1},
    {"ce_dice(x, l)", plain_ce_dice, 0},
};
enum { LOSSES = sizeof losses / sizeof *losses };

/* ---- the language's ---- */

#define IGNORING "prepare { labels = {0: \"background\", 1: \"a\", 2: \"b\", 255: \"ignore\"} }\n"

static Program *compile(Arena *a, const char *prepare, const char *loss) {
  FrontendOptions opt = {.diag = stderr};
  const char *text = arena_printf(
      a, "use \"blocks/losses.net\"\n%sforward f(x: f32[%d, %d, %d], l: label[%d, %d]) { return %s }",
      prepare, N, C, S, N, S, loss);
  Program *p = frontend_compile_text(a, "models/test.net", text, &opt, NULL);
  if (!p) fail_msg("%s", text);
  return p;
}

/* The value of a loss, and its gradient in x where it is asked for. */
static double evaluate(const char *loss, const double *x, const double *label, double *gradient) {
  Arena *a = arena_new();
  char err[IR_ERR] = "";
  Fn *f = compile(a, IGNORING, loss)->fn[0];
  int in_x = 0;
  while (f->node[in_x].op != OP_input) in_x++;
  fn_output(f, "gradient", ir_grad(f, f->out[0].node, in_x));
  if (!(f = pass_autodiff(f, err))) fail_msg("%s: %s", loss, err);
  Interp *in = interp_new(f, INTERP_F64);
  assert_true(interp_bind(in, "x", x));
  assert_true(interp_bind(in, "l", label));
  if (!interp_run(in, err)) fail_msg("%s: %s", loss, err);
  double value = *interp_value(in, f->out[0].node);
  if (gradient) memcpy(gradient, interp_value(in, f->out[1].node), COUNT * sizeof *gradient);
  interp_free(in);
  arena_free(a);
  return value;
}

/* The same of x and t (1,2,3), channels that are regions. */
static void regions_loss(const char *loss, const double *x, const double *t, double *value,
                         double *gradient) {
  Arena *a = arena_new();
  char err[IR_ERR] = "";
  const char *text = arena_printf(
      a, "use \"blocks/losses.net\"\n" IGNORING "forward f(x: f32[1, 2, 3], t: f32[1, 2, 3]) { return %s }",
      loss);
  Program *p = frontend_compile_text(a, "models/test.net", text, &(FrontendOptions){.diag = stderr}, NULL);
  assert_non_null(p);
  Fn *f = p->fn[0];
  fn_output(f, "gradient", ir_grad(f, f->out[0].node, 0));
  if (!(f = pass_autodiff(f, err))) fail_msg("%s: %s", loss, err);
  Interp *in = interp_new(f, INTERP_F64);
  assert_true(interp_bind(in, "x", x) && interp_bind(in, "t", t));
  if (!interp_run(in, err)) fail_msg("%s: %s", loss, err);
  *value = *interp_value(in, f->out[0].node);
  if (gradient) memcpy(gradient, interp_value(in, f->out[1].node), 6 * sizeof *gradient);
  interp_free(in);
  arena_free(a);
}

static void draw(uint64_t seed, double *x, double *label) {
  for (int i = 0; i < COUNT; i++) x[i] = 4 * (double)philox_uniform(seed, 0, 0, (uint64_t)i) - 2;
  for (int v = 0; v < VOXELS; v++)
    label[v] = floor((C + 1) * (double)philox_uniform(seed, 0, 1, (uint64_t)v)) - 1;
}

static void close_to(const char *loss, double got, double want, double tolerance) {
  if (!(fabs(got - want) <= tolerance)) fail_msg("%s is %.12g, not %.12g", loss, got, want);
}

TEST(losses_are_those_of_the_voxels_that_count) {
  for (uint64_t seed = 0; seed < 5; seed++)
    for (int i = 0; i < LOSSES; i++) {
      double x[COUNT], label[VOXELS];
      draw(seed, x, label);
      Case k = {.x = x, .label = label};
      softmax(&k);
      close_to(losses[i].text, evaluate(losses[i].text, x, label, NULL), losses[i].plain(&k), 1e-9);
    }
}

TEST(gradients_are_those_of_finite_differences_and_0_where_labels_are_ignored) {
  const double step = 1e-5;
  double x[COUNT], label[VOXELS], gradient[COUNT];
  draw(7, x, label);
  for (int i = 0; i < LOSSES; i++) {
    evaluate(losses[i].text, x, label, gradient);
    for (int e = 0; e < COUNT; e++) {
      double was = x[e];
      x[e] = was + step;
      double up = evaluate(losses[i].text, x, label, NULL);
      x[e] = was - step;
      double down = evaluate(losses[i].text, x, label, NULL);
      x[e] = was;
      close_to(losses[i].text, gradient[e], (up - down) / (2 * step), 1e-8);
      if (label[e / (C * S) * S + e % S] < 0) assert_true(gradient[e] == 0 && up == down);
    }
  }
}

/* A crop may hold nothing else: no division by their number. */
TEST(labels_that_are_all_ignored_give_no_loss_and_no_gradient) {
  double x[COUNT], label[VOXELS], gradient[COUNT];
  draw(3, x, label);
  for (int v = 0; v < VOXELS; v++) label[v] = -1;
  for (int i = 0; i < LOSSES; i++) {
    close_to(losses[i].text, evaluate(losses[i].text, x, label, gradient), losses[i].of_none, 0);
    for (int e = 0; e < COUNT; e++)
      if (gradient[e] != 0) fail_msg("%s: gradient %d is %g", losses[i].text, e, gradient[e]);
  }
}

/* ---- regions ---- */

/* Two regions of three voxels of logits x: the first voxel is in both, the last is to be ignored. */
TEST(losses_of_regions_are_those_of_each_region_where_labels_count) {
  static const double x[] = {1, -2, 7, 0.5, 3, -9}, t[] = {1, 0, -1, 1, 1, -1};
  double bce = 0, dice = 0, got[2];
  for (int r = 0; r < 2; r++) {
    double pt = 0, pp = 0, tt = 0;
    for (int i = 3 * r; i < 3 * r + 2; i++) {
      double p = 1 / (1 + exp(-x[i]));
      bce -= (t[i] > 0 ? log(p) : log(1 - p)) / 4, pt += p * t[i], pp += p * p, tt += t[i];
    }
    dice += (1 - (2 * pt + 1e-5) / (pp + tt + 1e-5)) / 2;
  }
  regions_loss("bce_dice(x, t)", x, t, got, NULL);
  close_to("bce_dice", got[0], 0.5 * (bce + dice), 1e-9);
  double gradient[6], step = 1e-5, moved[6];
  regions_loss("bce_dice(x, t)", x, t, got, gradient);
  for (int i = 0; i < 6; i++) {
    memcpy(moved, x, sizeof moved);
    moved[i] = x[i] + step, regions_loss("bce_dice(x, t)", moved, t, &got[0], NULL);
    moved[i] = x[i] - step, regions_loss("bce_dice(x, t)", moved, t, &got[1], NULL);
    close_to("gradient of bce_dice", gradient[i], (got[0] - got[1]) / (2 * step), 1e-8);
    if (t[i] < 0) assert_true(gradient[i] == 0);
    else assert_true(gradient[i] != 0);
  }
  static const double none[] = {-1, -1, -1, -1, -1, -1};
  regions_loss("bce_dice(x, t)", x, none, got, gradient);
  assert_true(got[0] == 0);
  for (int i = 0; i < 6; i++) assert_true(gradient[i] == 0);
}

/* Where nothing is ignored, the graph is the one without the statement. */
TEST(what_ignores_nothing_pays_nothing) {
  Arena *a = arena_new();
  for (int i = 0; i < LOSSES; i++) {
    const Fn *without = compile(a, "", losses[i].text)->fn[0];
    const Fn *with =
        compile(a, "prepare { labels = [\"background\", \"a\", \"b\"] }\n", losses[i].text)->fn[0];
    const Fn *ignoring = compile(a, IGNORING, losses[i].text)->fn[0];
    assert_int_equal(with->n, without->n);
    for (int k = 0; k < with->n; k++) assert_int_equal(with->node[k].op, without->node[k].op);
    assert_true(ignoring->n > with->n);
  }
  arena_free(a);
}

RUN_TESTS(NULL, NULL)
