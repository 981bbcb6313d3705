/* test_fixtures.c - whole training iterations, compiled and run, against PyTorch: losses, every gradient,
 * every variable afterwards. tests/fixtures/make.py made the files. Two numbers agree when they differ by
 * less than 1e-4 of the largest value in their tensor; gradients that vanish in exact arithmetic (a bias
 * before batch normalisation) are rounding in both, so a floor of 1e-5 of the largest gradient of the whole
 * iteration is added. */
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/test.h"
#include "runtime/device/open.h"
#include "runtime/base/array.h"
#include "runtime/session/session.h"
#include "runtime/io/safetensors.h"
#include "tests/worse.h"

extern char **environ;
static char err[ERR_MAX];

/* netc MODEL -o OUT -D ... with the options of the fixture, separated by blanks. */
static void compile(const char *model, const char *options, const char *out) {
  char path[256], text[512];
  char *argv[64] = {(char *)(uintptr_t)NETC_BINARY, path,
                    (char *)(uintptr_t) "-o",       (char *)(uintptr_t)out,
                    (char *)(uintptr_t) "--target", (char *)(uintptr_t) "portable"};
  int n = 6, status;
  pid_t pid;
  snprintf(path, sizeof path, "models/%s", model);
  snprintf(text, sizeof text, "%s", options);
  for (char *save, *o = strtok_r(text, " ", &save); o; o = strtok_r(NULL, " ", &save))
    argv[n++] = (char *)(uintptr_t) "-D", argv[n++] = o;
  assert_int_equal(posix_spawn(&pid, NETC_BINARY, NULL, NULL, argv, environ), 0);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void load(Session *s, const NetcArray *a, const StFile *f, const char *kind) {
  char key[512];
  snprintf(key, sizeof key, "%s:%s", kind, a->name);
  const StTensor *t = st_find(f, key);
  if (!t) fail_msg("the fixture has no %s", key);
  assert_int_equal(t->count, array_count(a));
  assert_int_equal(t->rank, a->rank);
  array_to_memory(a, t->data, session_at(s, a));
}

static void start(Session *s, const StFile *f, const NetcFn *fn) {
  const NetcModule *d = s->module->desc;
  for (int i = 0; i < d->nvars; i++) load(s, &d->vars[i].array, f, "var");
  for (int i = 0; i < fn->ninputs; i++)
    if (!is_host_scalar(&fn->inputs[i])) load(s, &fn->inputs[i], f, "in");
  session_scalars(s, fn, atof(st_meta(f, "iteration")), 0, 0);
}

/* Largest |x| of all tensors whose key begins with prefix. */
static double largest(const StFile *f, const char *prefix) {
  double top = 0;
  for (int i = 0; i < f->ntensor; i++) {
    if (strncmp(f->tensor[i].name, prefix, strlen(prefix))) continue;
    const float *v = f->tensor[i].data;
    for (int64_t k = 0; k < f->tensor[i].count; k++) top = fmax(top, fabs((double)v[k]));
  }
  return top;
}

static void compare(const Session *s, const NetcArray *a, const StFile *f, const char *key, double floor_) {
  const StTensor *t = st_find(f, key);
  if (!t) fail_msg("the fixture has no %s", key);
  assert_int_equal(t->count, array_count(a));
  float *got = malloc((size_t)t->count * sizeof *got), *want = malloc((size_t)t->count * sizeof *want);
  double top = 0, worst = 0;
  array_from_memory(a, session_at(s, a), got);
  memcpy(want, t->data, (size_t)t->count * sizeof *want);
  for (int64_t i = 0; i < t->count; i++) {
    double d = (double)got[i] - (double)want[i];
    top = fmax(top, fabs((double)want[i])), worst = worse(worst, d);
  }
  if (!(worst <= 1e-4 * top + floor_))
    fail_msg("%s: differs by %g, its largest value is %g", key, worst, top);
  free(got), free(want);
}

/* Adam divides by the root of a moment: where the gradient is rounding noise, so is the step. */
static bool step_is_defined(const StFile *f, const char *name, double floor_) {
  char key[512];
  snprintf(key, sizeof key, "grad:%s", name);
  const StTensor *g = st_find(f, key);
  return !g || largest(f, key) > 100 * floor_;
}

static void run_fixture(const char *fixture, const char *isa) {
  char path[256], module[] = "/tmp/netc-fixture-XXXXXX", name[128], key[512];
  snprintf(path, sizeof path, "tests/fixtures/%s.safetensors", fixture);
  StFile *f = st_open(path, err);
  if (!f) fail_msg("%s", err);
  int fd = mkstemp(module);
  close(fd);
  compile(st_meta(f, "model"), st_meta(f, "options"), module);
  setenv("NETRUN_ISA", isa, 1);
  Module *m = module_open(module, err);
  if (!m) fail_msg("%s", err);
  Session *s = session_new(m, 2, err);
  if (!s) fail_msg("%s", err);
  NetcStep step = {strtoull(st_meta(f, "seed"), NULL, 10), strtoull(st_meta(f, "iteration"), NULL, 10)};
  double floor_ = 1e-5 * largest(f, "grad:");

  snprintf(name, sizeof name, "%s.grads", st_meta(f, "function"));
  const NetcFn *fn = module_fn(m, name);
  assert_non_null(fn);
  start(s, f, fn);
  if (!fn_run(s, fn, step, err)) fail_msg("%s", err);
  int grads = 0;
  for (int i = 0; i < fn->noutputs; i++) {
    bool grad = !strncmp(fn->outputs[i].name, "grad:", 5);
    snprintf(key, sizeof key, "%s%s", grad ? "" : "out:", fn->outputs[i].name);
    compare(s, &fn->outputs[i], f, key, grad ? floor_ : 1e-6);
    grads += grad;
  }
  assert_true(grads > 0);

  fn = module_fn(m, st_meta(f, "function"));
  assert_non_null(fn);
  start(s, f, fn);
  if (!fn_run(s, fn, step, err)) fail_msg("%s", err);
  for (int i = 0; i < fn->noutputs; i++) {
    snprintf(key, sizeof key, "out:%s", fn->outputs[i].name);
    compare(s, &fn->outputs[i], f, key, 1e-6);
  }
  for (int i = 0; i < m->desc->nvars; i++) {
    const NetcArray *a = &m->desc->vars[i].array;
    const char *param = strncmp(a->name, "teacher.", 8) ? a->name : NULL;
    char student[256];
    if (!param) snprintf(student, sizeof student, "student.%s", a->name + 8), param = student;
    if (!step_is_defined(f, param, floor_)) continue;
    snprintf(key, sizeof key, "after:%s", a->name);
    compare(s, a, f, key, floor_ + 2e-6);
  }
  session_free(s), module_close(m), st_close(f), unlink(module);
  unsetenv("NETRUN_ISA");
}

static void both(const char *fixture) {
  run_fixture(fixture, "avx2");
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) run_fixture(fixture, "avx512");
  else print_message("this machine has no AVX-512: not run\n");
}

TEST(the_unet_trains_as_in_pytorch) { both("unet"); }
TEST(the_vnet_trains_as_in_pytorch) { both("vnet"); }
TEST(ase_net_trains_as_in_pytorch) { both("acts"); }

RUN_TESTS(NULL, NULL)
