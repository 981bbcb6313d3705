/* test_store.c - stores: variables that take each other's old and new values, in every tangle. Random
 * programs of a few variables are compiled, placed in an arena and run beside the interpreter; since their
 * arithmetic is one float operation after another, or exact, every bit must agree. */
#include "passes/passes.h"
#include "tests/codegen/module/run_plan.h"
#include "tests/ir/gen.h"

enum { MOST_VARS = 6, STEPS = 3 };

/* Shapes that mix: an image, a value per channel of it, a convolution's weights, a number. */
static Type shape_of(int kind) {
  switch (kind) {
  case 0: return type_f32(4, 2, 5, 6, 7);
  case 1: return type_f32(4, 1, 5, 1, 1);
  case 2: return type_f32(4, 5, 3, 3, 3);
  default: return type_f32(1, 1);
  }
}

typedef struct {
  Gen g;
  int nvar, var[MOST_VARS], node[MOST_VARS], kind[MOST_VARS];
  int next[MOST_VARS]; /* what the variable becomes */
} Tangle;

/* A variable's value, old or (where it has one by now) new, of the wanted kind; else an input. */
static int pick(Tangle *t, int kind) {
  for (int tries = 0; tries < 8; tries++) {
    int i = gen_int(&t->g, t->nvar);
    if (t->kind[i] != kind) continue;
    return t->next[i] >= 0 && gen_int(&t->g, 2) ? t->next[i] : t->node[i];
  }
  return gen_input(&t->g, shape_of(kind));
}

static const ConvGeom same = {{1, 1}, {1, 1}};

/* Weights of a convolution lie in another order, which makes stores between them and others conversions. */
static void add_weights_user(Tangle *t) {
  Fn *f = t->g.f;
  for (int i = 0; i < t->nvar; i++) {
    if (t->kind[i] != 2) continue;
    int x = ir_input(f, "picture", type_f32(4, 1, 3, 6, 6));
    fn_output(f, "filtered", ir_conv(f, x, t->node[i], &same));
    return;
  }
}

static int next_value(Tangle *t, int i) {
  Fn *f = t->g.f;
  int kind = t->kind[i], own = t->node[i], a = pick(t, kind), b = pick(t, kind);
  switch (gen_int(&t->g, 8)) {
  case 0: return a;                                                       /* a swap, a copy, itself */
  case 1: return ir_add(f, ir_scale(f, own, 0.75), ir_scale(f, a, 0.25)); /* an average */
  case 2: return ir_sub(f, own, ir_scale(f, a, 0.5));                     /* a step */
  case 3: return ir_add(f, ir_scale(f, a, 0.5), ir_scale(f, b, -0.5));    /* of others only */
  case 4: return ir_select(f, ir_binary(f, OP_lt, a, b), own, a);
  case 5: return kind == 0 ? ir_mul(f, own, ir_scale(f, pick(t, 1), 0.25)) : ir_unary(f, OP_abs, a);
  case 6: /* results that read their own variable at other places than they are written */
    if (kind == 1) return ir_reduce(f, OP_amax, ir_binary(f, OP_min, pick(t, 0), own), 13);
    return kind == 0 ? ir_maxpool(f, own, (int64_t[]){3, 3}, &same) : b;
  default: return ir_binary(f, OP_max, ir_scale(f, own, 0.5), ir_scale(f, a, 0.25));
  }
}

static void make_tangle(Tangle *t, Program *p) {
  Fn *f = t->g.f = fn_new(p, "train", FN_TRAIN);
  t->g.nsp = 2;
  t->nvar = 2 + gen_int(&t->g, MOST_VARS - 1);
  int kinds = 1 + gen_int(&t->g, 4);
  for (int i = 0; i < t->nvar; i++) {
    t->kind[i] = gen_int(&t->g, kinds);
    t->var[i] =
        prog_var(p, (Var){.name = arena_printf(p->arena, "v%d", i), .type = shape_of(t->kind[i]), .net = -1});
    t->node[i] = ir_var(f, t->var[i]);
    t->next[i] = -1;
  }
  for (int i = 0; i < t->nvar; i++)
    if (gen_int(&t->g, 5)) fn_store(f, t->var[i], t->next[i] = next_value(t, i));
  if (gen_int(&t->g, 2)) add_weights_user(t);
  for (int i = 0; i < t->nvar; i++)
    if (!gen_int(&t->g, 3))
      fn_output(f, arena_printf(p->arena, "out%d", i), gen_int(&t->g, 2) ? t->node[i] : pick(t, t->kind[i]));
}

static void test_tangles(void **state) {
  (void)state;
  for (int seed = 0; seed < 60; seed++) {
    Arena *a = arena_new();
    Program *p = prog_new(a);
    Tangle t = {.g = gen_new(p, 500 + (uint64_t)seed, 0)};
    make_tangle(&t, p);
    if (t.g.f->err[0]) fail_msg("seed %d: %s", seed, t.g.f->err);
    plan_run_check(p, arena_printf(a, "tangle %d", seed), 0, STEPS);
    arena_free(a);
  }
}

/* Launches of a training step of one variable and its average, which reads the step's result: no copies. */
static int launches_of(const char *text) {
  char err[512] = "";
  Arena *a = arena_new();
  Program *p = ir_parse(a, text, err);
  if (!p || !passes_run(p, &(PassOptions){.verify = true}, err)) fail_msg("%s", err);
  Module m = {.arena = a, .prog = p};
  FnPlan plan = {.fn = p->fn[0], .e = emit_fn(a, p->fn[0], NULL, err)};
  assert_non_null(plan.e);
  module_place_vars(&m);
  if (!plan_fn(&m, &plan, err)) fail_msg("%s", err);
  int n = plan.e->nlaunch;
  arena_free(a);
  return n;
}

/* Each result lies over the variable it is the new value of, though the first could lie over any of the
 * three. */
static void test_optimiser_copies_nothing(void **state) {
  (void)state;
  assert_int_equal(launches_of("program \"t\"\n"
                               "var \"average\" : f32[64,3] init const 0 role ema\n"
                               "var \"momentum\" : f32[64,3] init const 0 role optim\n"
                               "var \"weight\" : f32[64,3] init const 0 role param\n"
                               "fn train \"step\" {\n"
                               "%0 = input \"g\" : f32[64,3]\n"
                               "%1 = var \"average\" : f32[64,3]\n"
                               "%2 = var \"momentum\" : f32[64,3]\n"
                               "%3 = var \"weight\" : f32[64,3]\n"
                               "%4 = const {value=0.5} : f32[]\n"
                               "%5 = mul %2 %4 : f32[64,3]\n"
                               "%6 = add %5 %0 : f32[64,3]\n"
                               "%7 = sub %3 %6 : f32[64,3]\n"
                               "%8 = mul %1 %4 : f32[64,3]\n"
                               "%9 = add %8 %7 : f32[64,3]\n"
                               "store \"average\" = %9\n"
                               "store \"weight\" = %7\n"
                               "store \"momentum\" = %6\n"
                               "}\n"),
                   1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_tangles),
                                     cmocka_unit_test(test_optimiser_copies_nothing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
