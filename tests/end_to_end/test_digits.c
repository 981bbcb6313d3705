/* test_digits.c - small numbers that float32 loses when they are computed as differences: Adam's bias
 * correction in its first steps and the end of poly_decay, by the interpreter and compiled, against
 * double. */
#include "tests/test.h"
#include "tests/end_to_end/shell.h"
#include <math.h>
#include "frontend/frontend.h"
#include "ir/interp/interp.h"
#include "passes/passes.h"
#include "runtime/base/array.h"
#include "runtime/device/open.h"
#include "tests/worse.h"

enum { WIDTH = 8, STEPS = 100 };
static char err[ERR_MAX];

/* The first function of a program, as the interpreter runs it. */
static Fn *function(Arena *a, const char *text) {
  FrontendOptions opt = {.diag = stderr};
  Program *p = frontend_compile_text(a, in_root("m.net"), text, &opt, NULL);
  assert_non_null(p);
  if (!passes_run(p, &(PassOptions){.verify = true}, err)) fail_msg("%s", err);
  return p->fn[0];
}

/* The same program as a module. */
static Session *session(const char *text) {
  FILE *f = fopen(in_root("m.net"), "w");
  assert_non_null(f);
  fputs(text, f), fclose(f);
  runs(NETC_BINARY " m.net -o m.so --target portable --no-grads");
  Module *m = module_open(in_root("m.so"), err);
  if (!m) fail_msg("%s", err);
  Session *s = session_new(m, 1, err);
  if (!s) fail_msg("%s", err);
  session_init(s, 0);
  return s;
}

static void close_session(Session *s) {
  Module *m = (Module *)(uintptr_t)s->module;
  session_free(s), module_close(m);
}

static void give(const Session *s, const NetcFn *fn, const char *name, const float *v) {
  const NetcArray *a = array_find(fn->inputs, fn->ninputs, name);
  assert_non_null(a);
  array_to_memory(a, v, session_at(s, a));
}

/* ---- Adam ---- */

typedef struct {
  double beta1, beta2;
  float g[WIDTH]; /* all of one sign, so that steps do not cancel */
  double m[WIDTH], v[WIDTH], w[WIDTH];
} Adam;

static void adam_gradient(Adam *a, int t) {
  for (int i = 0; i < WIDTH; i++) a->g[i] = (float)(1.5 + sin(3 * t + i));
}

static void adam_step(Adam *a, int t) {
  for (int i = 0; i < WIDTH; i++) {
    double g = (double)a->g[i];
    a->m[i] = a->beta1 * a->m[i] + (1 - a->beta1) * g;
    a->v[i] = a->beta2 * a->v[i] + (1 - a->beta2) * g * g;
    double m = a->m[i] / (1 - pow(a->beta1, t)), v = a->v[i] / (1 - pow(a->beta2, t));
    a->w[i] -= 0.01 * m / (sqrt(v) + 1e-8);
  }
}

static double adam_worst(const Adam *a, const double *w, double worst) {
  for (int i = 0; i < WIDTH; i++) worst = worse(worst, w[i] / a->w[i] - 1);
  return worst;
}

static double interpreted(Adam a, const char *text) {
  Arena *arena = arena_new();
  Interp *in = interp_new(function(arena, text), INTERP_F32);
  double worst = 0, x[WIDTH] = {0};
  static const char *const start[] = {"m.w", "m.w.adam_m", "m.w.adam_v"};
  for (int i = 0; i < 3; i++) assert_true(interp_bind(in, start[i], x));
  for (int t = 1; t <= STEPS; t++) {
    adam_gradient(&a, t), adam_step(&a, t);
    for (int i = 0; i < WIDTH; i++) x[i] = (double)a.g[i];
    assert_true(interp_bind(in, "labeled.image", x));
    assert_true(interp_bind(in, "iteration", (double[]){t - 1}));
    if (!interp_commit(in, err)) fail_msg("%s", err);
    worst = adam_worst(&a, interp_bound(in, "m.w"), worst);
  }
  interp_free(in), arena_free(arena);
  return worst;
}

static double compiled(Adam a, const char *text) {
  Session *s = session(text);
  const NetcModule *d = s->module->desc;
  const NetcFn *fn = module_fn(s->module, "t");
  const NetcArray *w = NULL;
  for (int i = 0; i < d->nvars; i++)
    if (!strcmp(d->vars[i].array.name, "m.w")) w = &d->vars[i].array;
  assert_true(fn && w);
  double worst = 0, x[WIDTH];
  float got[WIDTH];
  for (int t = 1; t <= STEPS; t++) {
    adam_gradient(&a, t), adam_step(&a, t);
    give(s, fn, "labeled.image", a.g);
    session_scalars(s, fn, t - 1, 0, STEPS);
    if (!fn_run(s, fn, (NetcStep){1, (uint64_t)t - 1}, err)) fail_msg("%s", err);
    array_from_memory(w, session_at(s, w), got);
    for (int i = 0; i < WIDTH; i++) x[i] = (double)got[i];
    worst = adam_worst(&a, x, worst);
  }
  close_session(s);
  return worst;
}

/* The parameters' relative error over the first steps. PyTorch's float32 is 4e-7 off. */
TEST(adam_starts_exactly) {
  static const double beta[][2] = {{0.9, 0.999}, {0.9, 0.9999}, {0, 0.99}, {0.9, 0}};
  for (size_t i = 0; i < sizeof beta / sizeof *beta; i++) {
    char text[512];
    const Adam a = {.beta1 = beta[i][0], .beta2 = beta[i][1]};
    snprintf(text, sizeof text,
             "net n(x) { return x * param([1, 1, %d], init_const(0), name = \"w\") }\nm = n()\n"
             "train t {\n  batch labeled { image: f32[1, 1, %d] }\n"
             "  update m with adam(0.01, betas = [%g, %g]) { minimize sum(m(labeled.image)) }\n}\n",
             WIDTH, WIDTH, a.beta1, a.beta2);
    double host = compiled(a, text), reference = interpreted(a, text);
    print_message("betas %g, %g: %.1e compiled, %.1e interpreted\n", a.beta1, a.beta2, host, reference);
    assert_true(host < 1e-6 && reference < 1e-6);
  }
}

/* ---- poly_decay ---- */

static const float late[WIDTH] = {0, 15000, 29000, 29900, 29990, 29997, 29998, 29999};

static double decay_worst(const double *y) {
  double worst = 0;
  for (int i = 0; i < WIDTH; i++)
    worst = worse(worst, y[i] / pow((30000 - (double)late[i]) / 30000, 0.9) - 1);
  return worst;
}

static double decay_interpreted(const char *text) {
  Arena *a = arena_new();
  const Fn *f = function(a, text);
  Interp *in = interp_new(f, INTERP_F32);
  double x[WIDTH];
  for (int i = 0; i < WIDTH; i++) x[i] = (double)late[i];
  assert_true(interp_bind(in, "x", x));
  if (!interp_run(in, err)) fail_msg("%s", err);
  double worst = decay_worst(interp_value(in, f->out[0].node));
  interp_free(in), arena_free(a);
  return worst;
}

static double decay_compiled(const char *text) {
  Session *s = session(text);
  const NetcFn *fn = module_fn(s->module, "f");
  assert_non_null(fn);
  give(s, fn, "x", late);
  if (!fn_run(s, fn, (NetcStep){1, 0}, err)) fail_msg("%s", err);
  float got[WIDTH];
  double y[WIDTH];
  array_from_memory(&fn->outputs[0], session_at(s, &fn->outputs[0]), got);
  for (int i = 0; i < WIDTH; i++) y[i] = (double)got[i];
  close_session(s);
  return decay_worst(y);
}

TEST(decay_ends_exactly) {
  char text[4400];
  snprintf(text, sizeof text,
           "use \"%s/models/blocks/schedules.net\"\n"
           "forward f(x: f32[1, 1, %d]) { return poly_decay(x, 30000) }\n",
           source, WIDTH);
  double host = decay_compiled(text), reference = decay_interpreted(text);
  print_message("poly_decay: %.1e compiled, %.1e interpreted\n", host, reference);
  assert_true(host < 2e-6 && reference < 2e-6);
}

RUN_TESTS(shell_set_up, scratch_tear_down)
