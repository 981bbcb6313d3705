/* test_semantics.c - what programs compute: functions written in the language, run on the reference
 * interpreter, against known values. */
#include <math.h>
#include <string.h>
#include "tests/test.h"
#include "frontend/eval/optimiser.h"
#include "frontend/frontend.h"
#include "ir/interp/interp.h"

/* Compiles a text as if it lay in the models folder; `use "blocks/..."` works. */
static Program *compile(Arena *a, const char *text) {
  FrontendOptions opt = {.diag = stderr};
  Program *p = frontend_compile_text(a, "models/test.net", text, &opt, NULL);
  char err[IR_ERR] = "";
  assert_non_null(p);
  if (!ir_verify(p, err)) fail_msg("%s", err);
  return p;
}

/* Starts an interpreter with every variable at its constant initial value. */
static Interp *start(const Fn *f) {
  Interp *in = interp_new(f, INTERP_F64);
  for (int v = 0; v < f->prog->nvar; v++) {
    double init[512];
    int64_t n = type_count(f->prog->var[v].type);
    assert_in_range(n, 1, 512);
    for (int64_t i = 0; i < n; i++)
      init[i] = f->prog->var[v].init.kind == INIT_CONST ? f->prog->var[v].init.a : 0;
    interp_bind(in, f->prog->var[v].name, init);
  }
  return in;
}

static void run(Interp *in) {
  char err[IR_ERR] = "";
  if (!interp_run(in, err)) fail_msg("%s", err);
}

/* Runs f on x and compares the outputs, one after another, with want. */
static void check_values(const char *text, const double *x, const double *want, double tolerance) {
  Arena *a = arena_new();
  const Fn *f = compile(a, text)->fn[0];
  Interp *in = start(f);
  assert_true(interp_bind(in, "x", x));
  run(in);
  for (int o = 0; o < f->nout; o++) {
    const double *y = interp_value(in, f->out[o].node);
    for (int64_t i = 0; i < type_count(f->node[f->out[o].node].type); i++, want++)
      if (!(fabs(y[i] - *want) <= tolerance * fmax(fabs(*want), 1e-3)))
        fail_msg("%s: element %d of output %d is %.9g, not %.9g", text, (int)i, o, y[i], *want);
  }
  interp_free(in);
  arena_free(a);
}

TEST(losses_have_the_published_values) {
  /* The known values were computed in float32: good to 1e-6. */
  const double p[] = {0.9, 0.8, 0.2, 0.1};
  check_values("use \"blocks/losses.net\"\n"
               "forward f(x: f32[1, 1, 4]) {\n"
               "  t = float((x > 0.5) + (x < 0.15))\n"
               "  return dice_sq(x, t), dice_lin(x, int(t))\n}",
               p, (double[]){0.199999512, 0.279999971}, 1e-6);
  check_values("use \"blocks/losses.net\"\n"
               "forward f(x: f32[1, 2, 1]) {\n"
               "  label = int(x[:, :1]) * 0\n"
               "  return ce(x, label), ce_class(flatten(x), 0), weighted_ce(x, label, [3, 5]), bce(x[:, :1] "
               "/ 2, 1)\n}",
               (double[]){1, -1}, (double[]){0.126928011, 0.126928011, 0.126928011, 0.474076984}, 1e-7);
  check_values(
      "use \"blocks/losses.net\"\nforward f(x: f32[1, 1, 2]) { return sharpen(x), sharpen(x)[:, :, :1] }",
      (double[]){0.6, 0.3}, (double[]){0.982954, 2.08998e-4, 0.982954}, 1e-5);
  check_values("use \"blocks/losses.net\"\nforward f(x: f32[1, 2, 1]) { return entropy(softmax(x)), "
               "uncertainty(softmax(x)) }",
               (double[]){3, 3}, (double[]){1 - 2e-6 / log(2), log(2) - 2e-6}, 1e-6);
}

/* Values of every schedule for numbers and for tensors. */
TEST(schedules_have_their_values_for_numbers_and_tensors) {
  check_values("use \"blocks/schedules.net\"\n"
               "forward f(x: f32[1, 1, 5]) {\n"
               "  n = []\n"
               "  for t in [0, 10, 20, 30, 40] { n += x[:, :, :1] * 0 + ramp(t, 40) }\n"
               "  return ramp(x, 40), concat(n, axis = 2), (0.75 + 0.25 * ramp(x, 40)) * log(2)\n}",
               (double[]){0, 10, 20, 30, 40},
               (double[]){0.006738, 0.060055, 0.286505, 0.731616, 1, 0.006738, 0.060055, 0.286505, 0.731616,
                          1, 0.521028, 0.530267, 0.569508, 0.646640, 0.693147},
               2e-4);
  check_values("use \"blocks/schedules.net\"\n"
               "forward f(x: f32[1, 1, 2]) { return 0.01 * poly_decay(x, 30000), step_decay(x, 2500), "
               "gate(x, 5000), ramp(7, 0) * x }",
               (double[]){15000, 4999}, (double[]){0.0053589, 0.0084870, 1e-6, 0.1, 1, 0, 15000, 4999}, 1e-3);
}

TEST(resampling_interpolates_and_pools_as_documented) {
  check_values("forward f(x: f32[1, 1, 3]) {\n"
               "  return upsample(x, 2), upsample(x, 2, mode = \"linear\"), upsample(x, 2, mode = "
               "\"linear\", align = off)\n}",
               (double[]){1, 2, 3},
               (double[]){1, 1, 2, 2, 3, 3, 1, 1.4, 1.8, 2.2, 2.6, 3, 1, 1.25, 1.75, 2.25, 2.75, 3}, 1e-9);
  check_values("forward f(x: f32[1, 1, 4]) { return maxpool(x, 2), avgpool(x, 2), x[:, :, -1:], pad(x, -1, "
               "1, 0)[:, :, :2] }",
               (double[]){1, 2, 4, 3}, (double[]){2, 4, 1.5, 3.5, 3, 0, 1}, 1e-9);
}

/* Functions that map tensors element by element make the same of a number; stop alone takes none. */
TEST(functions_of_elements_make_the_same_of_a_number) {
  int maps = 0;
  for (const Builtin *b = builtins_tensor; b->name; b++) {
    int op = op_by_name(b->name);
    if (op < 0 || op == OP_stop || op_info[op].cls != EW || strcmp(b->params, "x")) continue;
    char text[128];
    snprintf(text, sizeof text, "forward f(x: f32[1, 1, 1]) { return %s(x) - %s(0.7) }", b->name, b->name);
    check_values(text, (double[]){0.7}, (double[]){0}, 1e-6);
    maps++;
  }
  assert_true(maps > 10);
}

TEST(operators_compute_as_documented) {
  check_values("forward f(x: f32[1, 1, 2]) {\n"
               "  return 7 // 2 + x * 0, x % 3, x ** 2, -x // 2, (x >= 4) - (x != 4), max(x, 5), clamp(x, "
               "4.5, 6), select(x > 4, x, 0)\n}",
               (double[]){4, 7}, (double[]){3, 3, 1, 1, 16, 49, -2, -4, 1, 0, 5, 7, 4.5, 6, 0, 7}, 1e-9);
  check_values("forward f(x: f32[1, 2, 2]) { return sum(x), mean(x, axes = 1), max(x, axes = [1, 2]), "
               "argmax(x), onehot(int(x[:, :1]), 2) }",
               (double[]){0, 1, 5, 0}, (double[]){6, 2.5, 0.5, 5, 1, 0, 1, 0, 0, 1}, 1e-9);
}

TEST(compile_time_values_are_computed_as_documented) {
  check_values(
      "option list = [1, 2, 3, 4]\n"
      "block pick(a, b = a * 2, c = 100) { return a + b + c }\n"
      "forward f(x: f32[1, 1, 1]) {\n"
      "  s = 0\n"
      "  for v, i in zip(reverse(list[1:-1]), range(2)) { s += v * 10 ** i }\n"
      "  empty = list[3:1]\n"
      "  word = \"yes\" if len(empty) == 0 and not off else \"no\"\n"
      "  if word == \"no\" or list[-1] != 4 { s = 0 }\n"
      "  else if s == 23 { s = s + 1000 }\n"
      "  return x + s, x + pick(1), x + pick(1, c = 0), x + sum(range(5, 0, -2)), x + len(list + [1])\n}",
      (double[]){0}, (double[]){1023, 103, 3, 9, 5}, 1e-9);
}

/* Orientation and its inverse cancel, whatever code is drawn. */
TEST(an_orientation_and_its_inverse_cancel) {
  Arena *a = arena_new();
  const Fn *f = compile(a, "forward f(x: f32[6, 1, 3, 3]) {\n  k = random_orient(x)\n  y = orient(x, k)\n"
                           "  return y, orient(y, k, inverse = on)\n}")
                    ->fn[0];
  double x[54];
  for (int i = 0; i < 54; i++) x[i] = i;
  Interp *in = interp_new(f, INTERP_F64);
  interp_bind(in, "x", x);
  interp_step(in, 1, 0);
  run(in);
  assert_memory_equal(interp_value(in, f->out[1].node), x, sizeof x);
  assert_memory_not_equal(interp_value(in, f->out[0].node), x, sizeof x);
  interp_free(in);
  arena_free(a);
}

static const double *variable(Interp *in, const Fn *f, const char *name) {
  int v = prog_find_var(f->prog, name);
  assert_true(v >= 0);
  for (int i = 0; i < f->nstore; i++)
    if (f->store[i].var == v) return interp_value(in, f->store[i].node);
  fail_msg("%s is not stored", name);
  return NULL;
}

/* Batch norm when training: normalises by the biased variance, keeps 0.9 old + 0.1 new of the unbiased one;
 * the second call continues from the first. */
TEST(batch_norm_keeps_running_statistics) {
  Arena *a = arena_new();
  Program *p = compile(a, "net n(x) { return batchnorm(x) }\nm = n()\n"
                          "train t {\n  batch labeled { image: f32[2, 1, 2] }\n"
                          "  y = m(labeled.image)\n  with eval(m) { z = m(labeled.image) }\n"
                          "  log first = sum(y[:1, :, :1])\n  log eval = sum(z[:1, :, :1])\n  log again = "
                          "sum(m(labeled.image))\n}\n"
                          "forward f(image: f32[1, 1, 2]) { return m(image) }");
  const Fn *f = p->fn[0];
  Interp *in = start(f);
  interp_bind(in, "labeled.image", (double[]){1, 2, 3, 6});
  run(in);
  double biased = 3.5, unbiased = 14.0 / 3; /* mean 3 */
  double mean1 = 0.3, var1 = 0.9 + 0.1 * unbiased;
  assert_float_equal(*interp_value(in, f->out[0].node), (1 - 3) / sqrt(biased + 1e-5), 1e-9);
  assert_float_equal(*interp_value(in, f->out[1].node), (1 - mean1) / sqrt(var1 + 1e-5), 1e-9);
  assert_float_equal(*variable(in, f, "m.batchnorm1.running_mean"), 0.9 * mean1 + 0.3, 1e-9);
  assert_float_equal(*variable(in, f, "m.batchnorm1.running_var"), 0.9 * var1 + 0.1 * unbiased, 1e-9);
  assert_int_equal(f->nstore, 2);
  interp_free(in);
  arena_free(a);
}

/* Instance and group norm of one sample of four channels, against torch.nn.functional's values. */
TEST(instance_and_group_norm_have_the_values_of_torch) {
  const double x[] = {1, 2, 4, 9, 0, 1, 1, 2, -1, 3, 5, 5, 2, 2, 8, 4};
  check_values(
      "use \"blocks/norms.net\"\nnet i(x) { return instance_norm(x) }\nnet g(x) { return group_norm(x, 2) }\n"
      "a = i()\nb = g()\nforward f(x: f32[1, 4, 2, 2]) { return a(x), b(x) }",
      x,
      (double[]){-0.973328015,
                 -0.648885343,
                 0,
                 1.622213358,
                 -1.414199420,
                 0,
                 0,
                 1.414199420,
                 -1.632991801,
                 0,
                 0.816495901,
                 0.816495901,
                 -0.816495901,
                 -0.816495901,
                 1.632991801,
                 0,
                 -0.557085630,
                 -0.185695210,
                 0.557085630,
                 2.414037731,
                 -0.928476051,
                 -0.557085630,
                 -0.557085630,
                 -0.185695210,
                 -1.799998560,
                 -0.199999840,
                 0.599999520,
                 0.599999520,
                 -0.599999520,
                 -0.599999520,
                 1.799998560,
                 0.199999840},
      1e-7);
}

/* position counts along its axis and broadcasts, whatever the tensor holds. */
TEST(position_counts_along_its_axis) {
  Arena *a = arena_new();
  const Fn *f = compile(a, "forward f(x: f32[2, 1, 2, 3]) {\n"
                           "  return x * 0 + position(x, 2) * 10 + position(x, -1), position(x, 0)\n}")
                    ->fn[0];
  Interp *in = interp_new(f, INTERP_F64);
  interp_bind(in, "x", (double[12]){0});
  run(in);
  const double *y = interp_value(in, f->out[0].node);
  for (int i = 0; i < 12; i++) assert_float_equal(y[i], (i / 3 % 2 * 10 + i % 3), 0);
  assert_float_equal(interp_value(in, f->out[1].node)[1], 1, 0);
  assert_int_equal(f->node[f->out[1].node].type.dim[2], 1);
  interp_free(in);
  arena_free(a);
}

/* Dropout keeps about 1 - p, scaled, whole channels if told so, and nothing happens in eval mode. */
TEST(dropout_keeps_its_share_and_scales_it) {
  Arena *a = arena_new();
  const Fn *f =
      compile(
          a,
          "net n(x) { return dropout(x, 0.25), dropout(x, 0.25, channels = on) }\nm = n()\n"
          "forward f(x: f32[8, 8, 4]) {\n  with train(m) { a, b = m(x) }\n  c, d = m(x)\n  return a, b, c\n}")
          ->fn[0];
  double x[256], kept = 0;
  for (int i = 0; i < 256; i++) x[i] = 3;
  Interp *in = interp_new(f, INTERP_F64);
  interp_bind(in, "x", x);
  interp_step(in, 5, 9);
  run(in);
  const double *y = interp_value(in, f->out[0].node), *z = interp_value(in, f->out[1].node);
  for (int i = 0; i < 256; i++) {
    assert_true(y[i] == 0 || fabs(y[i] - 4) < 1e-6);
    assert_true(z[i] == z[i / 4 * 4]);
    kept += y[i] / 4 / 256;
  }
  assert_float_equal(kept, 0.75, 0.1);
  assert_memory_equal(interp_value(in, f->out[2].node), x, sizeof x);
  interp_free(in);
  arena_free(a);
}

/* The function with every gradient replaced by the input "g": optimiser steps without autodiff. */
static Fn *with_given_gradient(const Fn *f) {
  Fn *g = fn_like(f);
  int *map = arena_alloc(f->prog->arena, (size_t)f->n * sizeof *map);
  g->kind = FN_FORWARD;
  for (int i = 0; i < f->n; i++) {
    int in[MAX_IN];
    for (int k = 0; k < f->node[i].nin; k++) in[k] = map[f->node[i].in[k]];
    map[i] = f->node[i].op == OP_grad ? ir_input(g, "g", f->node[i].type) : ir_clone(g, &f->node[i], in);
    assert_true(map[i] >= 0);
  }
  for (int i = 0; i < f->nstore; i++) fn_store(g, f->store[i].var, map[f->store[i].node]);
  return g;
}

/* Three steps of an optimiser on one weight that starts at 2, with gradients 1, -2, 3. */
static double three_steps(const char *optimiser) {
  Arena *a = arena_new();
  Program *p = compile(
      a, arena_printf(a,
                      "net n(x) { return x * param([1, 1, 1], init_const(2), name = \"w\") }\nm = n()\n"
                      "train t {\n  batch labeled { image: f32[1, 1, 1] }\n"
                      "  update m with %s { minimize sum(m(labeled.image)) }\n}",
                      optimiser));
  Fn *f = with_given_gradient(p->fn[0]);
  Interp *in = start(f);
  interp_bind(in, "labeled.image", (double[]){1});
  for (int t = 0; t < 3; t++) {
    char err[IR_ERR] = "";
    interp_bind(in, "iteration", (double[]){t});
    interp_bind(in, "g", (double[]){(double[]){1, -2, 3}[t]});
    if (!interp_commit(in, err)) fail_msg("%s", err);
  }
  double w = *variable(in, f, "m.w");
  interp_free(in);
  arena_free(a);
  return w;
}

TEST(optimisers_take_the_steps_of_their_formulas) {
  const double g[] = {1, -2, 3};
  double plain = 2, heavy = 2, nesterov = 2, adam = 2, v = 0, n = 0, m = 0, q = 0;
  for (int t = 0; t < 3; t++) {
    plain -= 0.1 * g[t];
    double d = g[t] + 0.01 * heavy;
    v = 0.9 * v + d;
    heavy -= 0.1 * v;
    n = 0.9 * n + g[t];
    nesterov -= 0.1 * (g[t] + 0.9 * n);
    m = 0.9 * m + 0.1 * g[t];
    q = 0.99 * q + 0.01 * g[t] * g[t];
    adam -= 0.05 * (m / (1 - pow(0.9, t + 1))) / (sqrt(q / (1 - pow(0.99, t + 1))) + 1e-8);
  }
  const struct {
    const char *call;
    double weight;
  } cases[] = {{"sgd(0.1)", plain},
               {"sgd(0.1, momentum = 0.9, weight_decay = 0.01)", heavy},
               {"sgd(0.1, momentum = 0.9, nesterov = on)", nesterov},
               {"adam(0.05, betas = [0.9, 0.99])", adam},
               {"sgd(0.1 * (iteration + 1))", 2 - 0.1 * (1 - 4 + 9)}};
  enum { CASES = sizeof cases / sizeof *cases };
  for (int i = 0; i < CASES; i++) assert_float_equal(three_steps(cases[i].call), cases[i].weight, 1e-9);
  for (const OptimiserKind *o = optimiser_table; o->name; o++) {
    bool tried = false;
    for (int i = 0; i < CASES; i++) {
      size_t length = strlen(o->name);
      tried |= !strncmp(cases[i].call, o->name, length) && cases[i].call[length] == '(';
    }
    if (!tried) fail_msg("optimiser %s of optimiser.def has no case here", o->name);
  }
}

/* EMA: a copy at t = 0, then alpha_t = min(1 - 1/(t+1), alpha); of the student's value after its update. */
TEST(an_average_starts_as_a_copy_and_then_follows) {
  Arena *a = arena_new();
  Program *p = compile(
      a, "net n(x) { return x * param([1, 1, 1], init_const(2), name = \"w\") }\nm = n()\ne = ema(m, 0.6)\n"
         "train t {\n  batch labeled { image: f32[1, 1, 1] }\n"
         "  update m with sgd(1) { minimize sum(m(labeled.image)) }\n  update e\n}");
  int v = prog_find_var(p, "e.w");
  assert_true(v >= 0);
  assert_int_equal(p->var[v].role, ROLE_EMA);
  assert_int_equal(p->var[v].init.kind, INIT_COPY);
  assert_string_equal(p->var[v].init.from, "m.w");
  Fn *f = with_given_gradient(p->fn[0]);
  Interp *in = start(f);
  interp_bind(in, "labeled.image", (double[]){1});
  interp_bind(in, "g", (double[]){-1});
  double student = 2, average = 7;
  interp_bind(in, "e.w", &average);
  for (int t = 0; t < 5; t++) {
    char err[IR_ERR] = "";
    interp_bind(in, "iteration", (double[]){t});
    if (!interp_commit(in, err)) fail_msg("%s", err);
    student += 1;
    double alpha = fmin(1 - 1.0 / (t + 1), 0.6);
    average = alpha * average + (1 - alpha) * student;
    assert_float_equal(*variable(in, f, "e.w"), average, 1e-9);
  }
  interp_free(in);
  arena_free(a);
}

/* Options of every file: declared in it, given on the command line, or neither. */
TEST(common_options_are_in_force_however_they_are_given) {
  static const struct {
    const char *declared;
    Define define;
    bool winograd;
    DType storage;
    const char *options;
  } c[] = {
      {"", {NULL, NULL}, true, F32, ""},
      {"", {"winograd", "off"}, false, F32, "winograd=off"},
      {"", {"tf32", "off"}, true, F32, "tf32=off"},
      {"", {"winograd", "on"}, true, F32, "winograd=on"},
      {"", {"precision", "bf16"}, true, BF16, "precision=\"bf16\""},
      {"option winograd = off\n", {NULL, NULL}, false, F32, "winograd=off"},
      {"option winograd = off\n", {"winograd", "on"}, true, F32, "winograd=on"},
      {"option precision = \"bf16\"\n", {"winograd", "off"}, false, BF16, "precision=\"bf16\" winograd=off"},
  };
  for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
    Arena *a = arena_new();
    FrontendOptions opt = {.diag = stderr, .define = &c[i].define, .ndefine = c[i].define.name != NULL};
    const char *options;
    char text[200];
    snprintf(text, sizeof text, "%sforward f(x: f32[1, 1, 8, 8]) { return relu(x) }", c[i].declared);
    Program *p = frontend_compile_text(a, "models/test.net", text, &opt, &options);
    assert_non_null(p);
    assert_int_equal(p->winograd, c[i].winograd);
    assert_int_equal(p->tf32, !strstr(options, "tf32=off"));
    assert_int_equal(p->storage, c[i].storage);
    assert_string_equal(options, c[i].options);
    arena_free(a);
  }
}

RUN_TESTS(NULL, NULL)
