/* test_methods.c - semi-supervised methods of the literature, written in the language: each compiles, with
 * gradients, to a graph that verifies. */
#include <glob.h>
#include <string.h>
#include "tests/test.h"
#include "frontend/frontend.h"

static bool has_prefix(const char *s, const char *prefix) { return !strncmp(s, prefix, strlen(prefix)); }

/* Every learnt parameter that an optimiser moves has its gradient among the outputs of NAME.grads, of its
 * shape. */
static void check_gradients(const Program *p, const Fn *grads) {
  int found = 0;
  for (int i = 0; i < grads->nout; i++) {
    if (!has_prefix(grads->out[i].name, "grad:")) continue;
    int v = prog_find_var(p, grads->out[i].name + strlen("grad:"));
    assert_true(v >= 0);
    assert_true(type_eq(p->var[v].type, grads->node[grads->out[i].node].type));
    assert_int_equal(p->var[v].role, ROLE_PARAM);
    found++;
  }
  int params = 0;
  for (int i = 0; i < p->nvar; i++) params += p->var[i].role == ROLE_PARAM;
  assert_int_equal(found, params);
  assert_int_equal(grads->nstore, 0);
}

static void check_method(const char *path) {
  Arena *a = arena_new();
  FrontendOptions opt = {.diag = stderr, .grads = true};
  Program *p = frontend_compile(a, path, &opt, NULL);
  char err[IR_ERR] = "";
  if (!p) fail_msg("%s does not compile", path);
  if (!ir_verify(p, err)) fail_msg("%s: %s", path, err);
  assert_int_equal(p->nfn, 3);
  assert_int_equal(p->fn[0]->kind, FN_TRAIN);
  assert_int_equal(p->fn[2]->kind, FN_PREDICT);
  assert_string_equal(p->fn[2]->out[0].name, "prob");
  assert_int_equal(p->fn[0]->n, p->fn[1]->n);
  assert_true(p->fn[0]->nstore > 0);
  check_gradients(p, p->fn[1]);
  for (int i = 0; i < p->fn[0]->nout; i++)
    assert_int_equal(p->fn[0]->node[p->fn[0]->out[i].node].type.rank, 0);
  arena_free(a);
}

TEST(methods_compile) {
  glob_t found;
  assert_int_equal(glob("tests/frontend/methods/*.net", 0, NULL, &found), 0);
  assert_true(found.gl_pathc >= 8);
  for (size_t i = 0; i < found.gl_pathc; i++) check_method(found.gl_pathv[i]);
  globfree(&found);
}

/* The stochastic passes of UA-MT: four calls of the teacher and one more, each with noise and dropout of its
 * own. */
TEST(every_pass_has_its_own_noise) {
  Arena *a = arena_new();
  FrontendOptions opt = {.diag = stderr};
  Program *p = frontend_compile(a, "tests/frontend/methods/ua_mt.net", &opt, NULL);
  assert_non_null(p);
  const Fn *f = p->fn[0];
  bool seen[64] = {0};
  int normal = 0, uniform = 0;
  for (int i = 0; i < f->n; i++) {
    if (f->node[i].op != OP_rand) continue;
    assert_in_range(f->node[i].at.site, 0, 63);
    assert_false(seen[f->node[i].at.site]);
    seen[f->node[i].at.site] = true;
    normal += f->node[i].at.mode == 1;
    uniform += f->node[i].at.mode == 0;
  }
  assert_int_equal(normal, 5);
  assert_int_equal(uniform, 2 * 6); /* two dropouts in five teacher passes and the student's one */
  arena_free(a);
}

RUN_TESTS(NULL, NULL)
