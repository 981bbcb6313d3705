/* gpu_models.h - small versions of the shipped models, for tests of the kernels of a GPU. */
#ifndef TESTS_GPU_MODELS_H
#define TESTS_GPU_MODELS_H
#include "tests/codegen/emit/run_emit.h"
#include "codegen/module/module.h"
#include "frontend/frontend.h"
#include "passes/passes.h"

/* Values a network can live with: small weights, positive variances, two classes. */
static inline double fill_state(const char *name, int64_t i, Type t) {
  double r = run_fill_real(name, i, t);
  if (t.dt == I32) return run_hash(name, i) % 2;
  if (!strcmp(name, "iteration")) return 50;
  if (!strcmp(name, "epoch")) return 3;
  if (!strcmp(name, "max_iterations")) return 200;
  if (strstr(name, "var")) return 1 + 0.25 * r;
  return strstr(name, ".v") ? fabs(r) : 0.2 * r;
}

static inline Program *compile_model(Arena *a, const char *path, const Define *define, int n) {
  char err[IR_ERR] = "";
  const char *options = NULL;
  FrontendOptions o = {.define = define, .ndefine = n, .diag = stderr};
  Program *p = frontend_compile(a, path, &o, &options);
  assert_non_null(p);
  if (!passes_run(p, &(PassOptions){.verify = true}, err)) fail_msg("%s: %s", path, err);
  return p;
}
#endif
