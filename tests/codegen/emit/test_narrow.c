/* test_bf16_rounding.c - contractions whose operands are rounded to bf16 (bf16=1), on every instruction set,
 * against the interpreter. Images are bf16 in memory, weights f32. All numbers are integers whose sums are
 * exact in f32, but weights and depthwise results have more digits than a bf16, so that a rounding left out,
 * or one too many, shows; and results must be equal whatever the order of sums. */
#include "passes/fuse/fuse.h"
#include "passes/passes.h"
#include "tests/codegen/emit/one_group.h"
#include "codegen/emit/winograd/winograd.h"

typedef struct {
  int ns;
  int64_t n, c, o, size[3], k[3];
  ConvGeom geom;
} Shape;

static bool small; /* weights, too */

/* Images and gates small, so that they are bf16; the rest of up to ten bits. */
static double wide_integers(const char *name, int64_t i, Type t) {
  uint32_t h = run_hash(name, i);
  if (t.dt == I32) return (double)(h % 4);
  if (small) return (double)(h % 7) - 3;
  if (!strcmp(name, "w") || !strcmp(name, "v")) return (double)(h % 1201) - 600;
  return !strcmp(name, "kernel") ? (double)(h % 61) - 30 : (double)(h % 7) - 3;
}

static bool is_image(const Node *n) { return n->op == OP_input && strchr("xdsr", n->at.sym[0]); }

static void check(Fn *f, int kind, int anchor, bool (*emit)(Emit *, const GroupInfo *)) {
  char err[256] = "";
  if (f->err[0]) fail_msg("%s: %s", f->name, f->err);
  if (!fn_verify(f, err)) fail_msg("%s: %s", f->name, err);
  bool *bf16 = calloc((size_t)f->n + 1, sizeof *bf16);
  assert_non_null(bf16);
  for (int i = 0; i < f->n; i++) {
    f->node[i].group = op_info[f->node[i].op].cls == LEAF ? -1 : 0;
    bf16[i] = is_image(&f->node[i]);
  }
  *ARENA_PUSH(f->prog->arena, f->group, f->ngroup, f->capgroup) = (Group){kind, anchor};
  f->prog->winograd = false; /* only where it is asked for */
  precision_set(f, bf16);
  free(bf16);
  assert_true(f->node[anchor].at.bf16);
  Emit *e = emit_new(f->prog->arena, f, NULL);
  if (!emit(e, group_values(f))) fail_msg("%s: %s", f->name, e->err);
  RunCase c = run_case(f, 0);
  c.fill = wide_integers;
  run_check(&c, e);
}

enum { FWD, BWD_D, BWD_W };

static void check_conv(const Shape *s, int direction, bool (*emit)(Emit *, const GroupInfo *)) {
  static const char *const name[] = {"fwd", "bwd_d", "bwd_w"};
  int64_t out[3];
  for (int i = 0; i < s->ns; i++)
    out[i] = (s->size[i] + 2 * s->geom.pad[i] - s->k[i]) / s->geom.stride[i] + 1;
  Arena *a = arena_new();
  Fn *f = one_begin(a, arena_printf(a, "%s c%d o%d %dx%d k%d s%d", name[direction], (int)s->c, (int)s->o,
                                    (int)s->size[0], (int)s->size[1], (int)s->k[0], (int)s->geom.stride[0]));
  int x = ir_input(f, direction == BWD_D ? "dy" : "x",
                   direction == BWD_D ? image(s->n, s->o, s->ns, out) : image(s->n, s->c, s->ns, s->size));
  int w = direction == BWD_W ? ir_input(f, "dy", image(s->n, s->o, s->ns, out))
                             : ir_input(f, "w", image(s->o, s->c, s->ns, s->k));
  int y = direction == BWD_W   ? ir_conv_grad(f, OP_conv_dw, x, w, &s->geom, s->k)
          : direction == BWD_D ? ir_conv_grad(f, OP_conv_dx, x, w, &s->geom, s->size)
                               : ir_conv(f, x, w, &s->geom);
  int z = direction == BWD_W ? y : ir_add(f, y, ir_input(f, "residual", f->node[y].type));
  fn_output(f, "y", z);
  one_layout(f, direction == BWD_W ? y : w);
  check(f, direction == BWD_W ? G_WGRAD : G_CONV, y, emit);
  arena_free(a);
}

static const Shape shapes[] = {
    {2, 2, 16, 16, {5, 7}, {3, 3}, {{1, 1}, {1, 1}}},
    {2, 1, 32, 40, {9, 130}, {3, 3}, {{1, 1}, {1, 1}}}, /* boxes of parts of rows, of odd length */
    {2, 1, 34, 17, {8, 33}, {3, 3}, {{1, 1}, {1, 1}}},
    {2, 2, 17, 33, {7, 9}, {3, 3}, {{1, 1}, {1, 1}}}, /* odd channels */
    {2, 1, 12, 24, {16, 16}, {4, 4}, {{2, 2}, {1, 1}}},
    {2, 1, 16, 20, {15, 21}, {3, 3}, {{2, 2}, {1, 1}}},
    {2, 1, 10, 64, {17, 19}, {1, 1}, {{2, 2}, {0, 0}}},
    {2, 2, 24, 24, {12, 11}, {2, 2}, {{3, 3}, {0, 0}}},
    {2, 1, 16, 16, {3, 1}, {3, 3}, {{1, 1}, {1, 1}}},
    {2, 1, 16, 16, {6, 5}, {5, 5}, {{1, 1}, {3, 3}}},
    {2, 2, 64, 130, {16, 20}, {1, 1}, {{1, 1}, {0, 0}}}, /* folded rows, panels */
    {2, 1, 18, 12, {13, 7}, {1, 1}, {{1, 1}, {0, 0}}},
    {2, 1, 64, 2, {24, 24}, {1, 1}, {{1, 1}, {0, 0}}}, /* class scores */
    {2, 1, 200, 72, {8, 9}, {3, 3}, {{1, 1}, {1, 1}}}, /* slices of both */
    {3, 1, 16, 16, {5, 6, 7}, {3, 3, 3}, {{1, 1, 1}, {1, 1, 1}}},
    {3, 2, 16, 32, {8, 6, 4}, {2, 2, 2}, {{2, 2, 2}, {0, 0, 0}}},
    {3, 1, 40, 16, {4, 5, 9}, {3, 3, 3}, {{1, 2, 1}, {1, 1, 0}}},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void test_forward(void **state) {
  (void)state;
  for (int i = 0; i < SHAPES; i++) check_conv(&shapes[i], FWD, emit_conv);
}
static void test_input_gradient(void **state) {
  (void)state;
  for (int i = 0; i < SHAPES; i++) check_conv(&shapes[i], BWD_D, emit_conv);
}
static void test_weight_gradient(void **state) {
  (void)state;
  for (int i = 0; i < SHAPES; i++) check_conv(&shapes[i], BWD_W, emit_wgrad);
}

/* ---- Winograd: F(2,3) rounds what it multiplies, which small integers are not changed by ---- */

static bool deep;

static bool emit_winograd(Emit *e, const GroupInfo *g) {
  WinoShape s;
  if (!wino_shape(e->fn, &e->fn->node[g->anchor], &s)) fail_msg("no shape for Winograd");
  WinoPlan plan = wino_plan(&s, 2, 2, deep);
  return emit_wino(e, g, &plan);
}

static void test_winograd(void **state) {
  (void)state;
  small = true;
  for (int i = 0; i < SHAPES; i++) {
    const Shape *s = &shapes[i];
    bool three = s->k[s->ns - 1] == 3 && s->k[s->ns - 2] == 3 && s->geom.stride[s->ns - 1] == 1 &&
                 s->geom.stride[s->ns - 2] == 1;
    if (!three || s->geom.stride[0] != 1) continue;
    deep = i % 2;
    check_conv(s, FWD, emit_winograd);
    check_conv(s, BWD_D, emit_winograd);
  }
  small = false;
}

/* ---- DyBAC: the contracted operand is a depthwise result ---- */

static int depthwise(Fn *f, const Shape *s, bool gate) {
  int x = ir_input(f, "x", image(s->n, s->c, s->ns, s->size));
  if (gate) x = ir_mul(f, x, ir_input(f, "s", image(s->n, 1, s->ns, s->size)));
  return ir_dwconv(f, x, ir_input(f, "kernel", image(s->n, s->c, s->ns, s->k)), &s->geom);
}

static void check_dybac(const Shape *s, bool gate, bool gradient) {
  static const int64_t one[3] = {1, 1, 1};
  Arena *a = arena_new();
  Fn *f = one_begin(a, arena_printf(a, "dybac c%d o%d w%d%s%s", (int)s->c, (int)s->o, (int)s->size[s->ns - 1],
                                    gate ? " gate" : "", gradient ? " gradient" : ""));
  int u = depthwise(f, s, gate), y, weights;
  Type t = f->node[u].type;
  if (gradient) {
    t.dim[1] = s->o;
    y = weights = ir_conv_grad(f, OP_conv_dw, u, ir_input(f, "dy", t), &geom_unit, one);
  } else {
    y = ir_conv(f, u, weights = ir_input(f, "v", image(s->o, s->c, s->ns, one)), &geom_unit);
  }
  fn_output(f, "y", y);
  one_layout(f, weights);
  check(f, gradient ? G_WGRAD : G_DYBAC, y, gradient ? emit_wgrad : emit_dybac);
  arena_free(a);
}

static const Shape dybac[] = {
    {2, 2, 16, 16, {8, 8}, {3, 3}, {{1, 1}, {1, 1}}},
    {2, 1, 17, 33, {9, 21}, {3, 3}, {{1, 1}, {1, 1}}},
    {2, 2, 64, 40, {16, 15}, {3, 3}, {{1, 1}, {1, 1}}},
    {2, 1, 34, 24, {17, 150}, {3, 3}, {{1, 1}, {1, 1}}},
    {2, 1, 144, 40, {32, 45}, {3, 3}, {{1, 1}, {1, 1}}},
    {2, 2, 20, 16, {13, 10}, {3, 3}, {{2, 2}, {1, 1}}},
    {2, 1, 22, 130, {5, 6}, {5, 3}, {{1, 1}, {2, 1}}},
    {3, 1, 16, 18, {4, 5, 12}, {3, 3, 3}, {{1, 1, 1}, {1, 1, 1}}},
    {3, 1, 24, 16, {5, 6, 7}, {3, 3, 3}, {{2, 2, 2}, {1, 1, 1}}},
};

static void test_dybac(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof dybac / sizeof *dybac; i++)
    for (int gradient = 0; gradient < 2; gradient++) check_dybac(&dybac[i], i % 2, gradient);
}

/* Images in f32 are refused: nobody rounds them on their way. */
static void test_refuses(void **state) {
  (void)state;
  static const ConvGeom same = {{1, 1}, {1, 1}};
  Arena *a = arena_new();
  for (int to_weights = 0; to_weights < 2; to_weights++) {
    Fn *f = one_begin(a, "refuses");
    int x = ir_input(f, "x", type_f32(4, 1, 16, 8, 8));
    int w = ir_input(f, "w", to_weights ? type_f32(4, 1, 16, 8, 8) : type_f32(4, 16, 16, 3, 3));
    int y =
        to_weights ? ir_conv_grad(f, OP_conv_dw, x, w, &same, (int64_t[]){3, 3}) : ir_conv(f, x, w, &same);
    one_layout(f, to_weights ? y : w);
    f->node[x].type.dt = to_weights ? BF16 : F32;
    f->node[y].at.bf16 = 1;
    f->node[y].group = 0;
    *ARENA_PUSH(a, f->group, f->ngroup, f->capgroup) = (Group){to_weights ? G_WGRAD : G_CONV, y};
    Emit *e = emit_new(a, f, NULL);
    assert_false((to_weights ? emit_wgrad : emit_conv)(e, group_values(f)));
    assert_non_null(strstr(e->err, "must be bf16"));
  }
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_forward),         cmocka_unit_test(test_input_gradient),
      cmocka_unit_test(test_weight_gradient), cmocka_unit_test(test_winograd),
      cmocka_unit_test(test_dybac),           cmocka_unit_test(test_refuses)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
