/* test_iteration.c - whole training iterations of small networks, kernel by kernel in this process: every
 * stored value agrees with the interpreter, and neither the order of tasks nor results laid over inputs
 * change a bit. */
#include "tests/test.h"
#include "tests/codegen/emit/run_emit.h"
#include "frontend/frontend.h"
#include "passes/passes.h"

/* Values a network can live with: small weights, positive variances, two classes. */
static double fill_state(const char *name, int64_t i, Type t) {
  double r = run_fill_real(name, i, t);
  if (t.dt == I32) return run_hash(name, i) % 2;
  if (!strcmp(name, "iteration")) return 50;
  if (!strcmp(name, "epoch")) return 3;
  if (!strcmp(name, "max_iterations")) return 200;
  if (strstr(name, "var")) return 1 + 0.25 * r;
  return strstr(name, ".v") ? fabs(r) : 0.2 * r;
}

static void check_model(const char *path, const char *batch, const char *size, const char *widths,
                        const char *precision, double tolerance) {
  char err[IR_ERR] = "";
  const char *options = NULL;
  const Define define[] = {{"batch", batch}, {"size", size}, {"widths", widths}, {"precision", precision}};
  FrontendOptions o = {.define = define, .ndefine = 4, .diag = stderr};
  Arena *a = arena_new();
  Program *p = frontend_compile(a, path, &o, &options);
  assert_non_null(p);
  if (!passes_run(p, &(PassOptions){.verify = true}, err)) fail_msg("%s: %s", path, err);
  for (int i = 0; i < p->nfn; i++) {
    Emit *e = emit_fn(a, p->fn[i], NULL, err);
    if (!e) fail_msg("%s: %s", path, err);
    RunCase c = run_case(p->fn[i], tolerance);
    c.fill = fill_state;
    run_check(&c, e);
  }
  arena_free(a);
}

TEST(unet_agrees) { check_model("models/unet.net", "2", "[16,16]", "[8,16]", "f32", 1e-3); }

TEST(mean_teacher_agrees) { check_model("models/mean_teacher.net", "2", "[16,16]", "[8,17]", "f32", 1e-3); }

/* So deep that a sign near zero may turn out otherwise than the interpreter's and change gradients by more
 * than any tolerance: here only the bits are compared. tests/end_to_end/test_fixtures.c compares values. */
TEST(acts_keeps_its_bits) { check_model("models/asenet.net", "2", "[32,32]", "[8,16]", "f32", INFINITY); }

/* A value near the middle of two bf16 may go the other way than the interpreter's; what is far from every
 * output, the gradients, shows the sum of many of those. */
TEST(bf16_unet_agrees) { check_model("models/unet.net", "2", "[32,32]", "[16,24]", "bf16", 0x1p-5); }

TEST(bf16_acts_keeps_its_bits) {
  check_model("models/asenet.net", "2", "[32,32]", "[16,24]", "bf16", INFINITY);
}

RUN_TESTS(NULL, NULL)
