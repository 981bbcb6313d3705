/* op_cases.h - one small function per op (or use of an op) that has a gradient: the files
 * tests/passes/ops/CLASS/NAME.ir.
 *
 *   for (const OpCase *c = op_cases(); c->name; c++) ..
 *
 * A file holds the body of a function in the text form, which ends in a node %y. Its first line says what its
 * inputs hold, `# inputs from LO to HI`. Every input whose name does not begin with k is differentiated. The
 * loss is sum(y * k) with weights k of their own, so that no two elements' gradients are alike.
 * test_autodiff.c compares the gradients with differences, tests/codegen/emit/test_ops.c the compiled
 * functions with the interpreter. */
#ifndef TESTS_OP_CASES_H
#define TESTS_OP_CASES_H
#include <glob.h>
#include <string.h>
#include "tests/test.h"
#include "tests/text.h"
#include "ir/ir.h"

typedef struct {
  char *name, *body;
  double lo, hi; /* values of the inputs */
} OpCase;

static inline OpCase op_case_read(const char *path) {
  const char *file = strrchr(path, '/') + 1;
  OpCase c = {.name = strndup(file, strcspn(file, ".")), .body = read_text(path)};
  if (!c.name || !c.body) fail_msg("cannot read %s", path);
  if (sscanf(c.body, "# inputs from %lf to %lf\n", &c.lo, &c.hi) != 2)
    fail_msg("%s: the first line is not `# inputs from LO to HI`", path);
  return c;
}

static inline void op_case_free(OpCase *c) { free(c->name), free(c->body); }

/* All of them, ended by one without a name; read once. */
static inline const OpCase *op_cases(void) {
  static OpCase *cases;
  if (cases) return cases;
  glob_t found;
  assert_int_equal(glob("tests/passes/ops/*/*.ir", 0, NULL, &found), 0);
  cases = calloc(found.gl_pathc + 1, sizeof *cases);
  assert_non_null(cases);
  for (size_t i = 0; i < found.gl_pathc; i++) cases[i] = op_case_read(found.gl_pathv[i]);
  globfree(&found);
  return cases;
}

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
