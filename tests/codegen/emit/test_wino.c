/* test_wino.c - Winograd convolutions, every way of doing them, compiled, against the reference interpreter.
 * F(2,3) computes with halves, so that on small integers it is exact; the filter's transform of F(4,3) is
 * not, and it is held to a bound relative to the largest result, in tests of its own against double
 * precision. */
#include "passes/fuse/fuse.h"
#include "passes/passes.h"
#include "tests/codegen/emit/one_group.h"
#include "tests/codegen/emit/run_error.h"
#include "codegen/emit/winograd/winograd.h"

typedef struct {
  int ns;
  int64_t n, c, o, size[MAX_SPATIAL], pad[MAX_SPATIAL];
  int64_t taps; /* of the outermost of three axes; 0: three */
} Shape;

static WinoPlan (*plan)(const WinoShape *s);

static WinoPlan shallow2(const WinoShape *s) { return wino_plan(s, 2, 2, false); }
static WinoPlan shallow4(const WinoShape *s) { return wino_plan(s, 4, 4, false); }
static WinoPlan deep2(const WinoShape *s) { return wino_plan(s, 2, 2, true); }
static WinoPlan deep4(const WinoShape *s) { return wino_plan(s, 4, 4, true); }
static WinoPlan shallow24(const WinoShape *s) { return wino_plan(s, 2, 4, false); }
static WinoPlan deep42(const WinoShape *s) { return wino_plan(s, 4, 2, true); }

static bool emit_planned(Emit *e, const GroupInfo *g) {
  WinoShape s;
  if (!wino_shape(e->fn, &e->fn->node[g->anchor], &s)) fail_msg("%s cannot be computed so", e->fn->name);
  WinoPlan pl = plan(&s);
  return emit_wino(e, g, &pl);
}

/* ---- functions ---- */

static const int64_t one[MAX_SPATIAL] = {1, 1, 1};

/* relu(y + bias) * gate(N,1,S) + residual, twice over; the convolution itself is a result too when asked, and
 * the residual is the operand where it has the shape. */
static int epilogue(Fn *f, int ns, int x, int y, int form) {
  Type t = f->node[y].type;
  if (!form) return y;
  int v = ir_unary(f, OP_relu, ir_add(f, y, ir_input(f, "bias", image(1, t.dim[1], ns, one))));
  if (form >= 2) v = ir_mul(f, v, ir_input(f, "gate", image(t.dim[0], 1, ns, t.dim + 2)));
  v = ir_add(f, v, type_eq(f->node[x].type, t) ? x : ir_input(f, "residual", t));
  if (form == 3) fn_output(f, "conv", y);
  return v;
}

static Fn *convolution(Arena *a, const Shape *s, bool back, int form, int *anchor) {
  Fn *f = one_begin(a, arena_printf(a, "%s form %d: n%ld c%ld o%ld size %ldx%ldx%ld pad %ld,%ld,%ld",
                                    back ? "bwd_d" : "fwd", form, (long)s->n, (long)s->c, (long)s->o,
                                    (long)s->size[0], (long)s->size[1], (long)s->size[2], (long)s->pad[0],
                                    (long)s->pad[1], (long)s->pad[2]));
  int64_t out[MAX_SPATIAL], k[MAX_SPATIAL] = {3, 3, 3};
  if (s->taps) k[0] = s->taps;
  for (int i = 0; i < s->ns; i++) out[i] = s->size[i] + 2 * s->pad[i] - k[i] + 1;
  int x = back ? ir_input(f, "dy", image(s->n, s->o, s->ns, out))
               : ir_input(f, "x", image(s->n, s->c, s->ns, s->size));
  int w = ir_input(f, "w", image(s->o, s->c, s->ns, k));
  ConvGeom geom = geom_unit;
  memcpy(geom.pad, s->pad, sizeof geom.pad);
  *anchor = back ? ir_conv_grad(f, OP_conv_dx, x, w, &geom, s->size) : ir_conv(f, x, w, &geom);
  fn_output(f, "y", epilogue(f, s->ns, x, *anchor, form));
  one_layout(f, w);
  return f;
}

/* GPUs have no Winograd. What is exact is exact in bf16 too; the rest, in pairs: test_pairs. */
static void check(const Shape *s, bool back, int form, WinoPlan (*way)(const WinoShape *), double tolerance) {
  Arena *a = arena_new();
  int anchor;
  Fn *f = convolution(a, s, back, form, &anchor);
  plan = way;
  if (tolerance == 0) one_check_on(false, f, G_CONV, anchor, emit_planned, 0);
  else one_group(f, G_CONV, anchor), one_run(f, emit_planned, tolerance, false);
  arena_free(a);
}

/* Odd sizes, all paddings, channels that are no whole vectors, several images; blocks whose last one is not
 * full, slabs of depth. */
static const Shape shape[] = {
    {2, 1, 16, 16, {8, 8}, {1, 1}, 0},         {2, 2, 9, 33, {5, 7}, {1, 1}, 0},
    {2, 2, 17, 8, {9, 6}, {0, 2}, 0},          {2, 1, 33, 100, {13, 3}, {2, 0}, 0},
    {2, 2, 24, 20, {41, 30}, {1, 1}, 0},       {3, 1, 16, 16, {9, 6, 10}, {1, 1, 1}, 0},
    {3, 2, 9, 20, {4, 5, 7}, {0, 1, 2}, 0},    {3, 1, 17, 40, {3, 7, 5}, {2, 0, 1}, 0},
    {3, 1, 10, 8, {10, 33, 29}, {1, 1, 1}, 0}, {3, 1, 16, 24, {3, 9, 9}, {0, 1, 1}, 1},
    {3, 1, 8, 17, {5, 6, 9}, {1, 1, 1}, 2},    {2, 1, 9, 1030, {5, 6}, {1, 1}, 0}, /* long rows of weights */
};
enum { SHAPES = sizeof shape / sizeof *shape };

static void test_shallow(void **unused) {
  (void)unused;
  for (int i = 0; i < SHAPES; i++)
    for (int back = 0; back < 2; back++) {
      if ((i + back) % 2) check(&shape[i], back, (i + back) % 4, shallow2, 0);
      check(&shape[i], back, (i + back + 1) % 4, (i + back) % 3 ? shallow4 : shallow24, 1e-4);
    }
}

static void test_deep(void **unused) {
  (void)unused;
  for (int i = 0; i < SHAPES; i++)
    for (int back = 0; back < 2; back++) {
      if ((i + back) % 2) check(&shape[i], back, (i + back + 2) % 4, deep2, 0);
      check(&shape[i], back, (i + back + 3) % 4, (i + back) % 3 ? deep4 : deep42, 1e-4);
    }
}

/* ---- error ---- */

/* Images that are bf16 already, so that the error is that of what is rounded for the products. */
static double bf16_images(const char *name, int64_t i, Type t) {
  double v = run_fill_real(name, i, t);
  return *name == 'w' ? v : (double)bf16_round((float)v);
}

/* Emits by `way` (NULL: direct), checks the error on every set against the bounds, and says what it was. */
static void check_error(const Shape *s, bool back, const char *name, WinoPlan (*way)(const WinoShape *),
                        bool bf16, RunError bound) {
  Arena *a = arena_new();
  int anchor;
  Fn *f = convolution(a, s, back, 0, &anchor);
  f->prog->winograd = false;
  for (int i = 0; i < f->n; i++) f->node[i].group = i == anchor ? 0 : -1;
  *ARENA_PUSH(a, f->group, f->ngroup, f->capgroup) = (Group){G_CONV, anchor};
  bool *images = arena_alloc(a, (size_t)f->n);
  for (int i = 0; i < f->n; i++) images[i] = bf16 && f->node[i].op == OP_input && *f->node[i].at.sym != 'w';
  precision_set(f, images);
  assert_int_equal(f->node[anchor].at.bf16, bf16);
  Emit *e = emit_new(a, f, NULL);
  plan = way;
  if (!(way ? emit_planned : emit_conv)(e, group_values(f))) fail_msg("%s", e->err);
  RunCase c = run_case(f, 1);
  if (bf16) c.fill = bf16_images;
  const char *what =
      arena_printf(a, "%d-D %s %-6s %s", s->ns, back ? "bwd_d" : "fwd  ", name, bf16 ? "bf16" : "f32 ");
  run_check_errors(&c, e, anchor, what, bound);
  arena_free(a);
}

/* Uniform numbers in (-1, 1). What docs/design/winograd.md says is what this prints; the bounds leave room
 * for other data. */
static void test_error(void **unused) {
  (void)unused;
  static const Shape large[] = {{2, 1, 64, 64, {24, 24}, {1, 1}, 0},
                                {3, 1, 32, 32, {6, 12, 12}, {1, 1, 1}, 0}};
  for (int i = 0; i < 2; i++)
    for (int back = 0; back < 2; back++) {
      check_error(&large[i], back, "direct", NULL, false, (RunError){2e-6, 2e-7});
      check_error(&large[i], back, "F(2,3)", shallow2, false, (RunError){1e-6, 2e-7});
      check_error(&large[i], back, "F(4,3)", shallow4, false, (RunError){4e-6, 5e-7});
      check_error(&large[i], back, "F(4,3)", deep4, false, (RunError){4e-6, 5e-7});
      if (back != i) continue; /* bf16: once in each direction */
      check_error(&large[i], back, "direct", NULL, true, (RunError){3e-3, 6e-4});
      check_error(&large[i], back, "F(2,3)", i ? shallow2 : deep2, true, (RunError){7e-3, 1.5e-3});
      check_error(&large[i], back, "2x4", i ? shallow24 : deep42, true, (RunError){1.5e-2, 2.5e-3});
      check_error(&large[i], back, "F(4,3)", shallow4, true,
                  back ? (RunError){3e-2, 5e-3} : (RunError){3e-3, 6e-4});
    }
}

/* Pairs, on odd sizes: what is read or written at a wrong place is off by as much as the results are
 * large. */
static void test_pairs(void **unused) {
  (void)unused;
  static WinoPlan (*const way[])(const WinoShape *) = {shallow24, deep42, shallow4, deep4};
  for (int i = 0; i < SHAPES; i++)
    check_error(&shape[i], i % 2, "pairs", way[(i + i / 4) % 4], true, (RunError){6e-2, 1.2e-2});
}

/* ---- very many channels ---- */

/* As deep4, which must fit. */
static WinoPlan fitting(const WinoShape *s) {
  WinoPlan pl = deep4(s);
  assert_true(wino_fits(&pl));
  return pl;
}

/* Sums over the most channels of which blocks of three vectors fit, and over one more, in narrower blocks. */
static void test_channels(void **unused) {
  (void)unused;
  for (int more = 0; more < 2; more++) {
    check(&(Shape){2, 1, 1820 + more, 48, {5, 6}, {1, 1}, 0}, false, 1, fitting, 2e-3);
    check(&(Shape){3, 1, 606 + more, 48, {3, 4, 3}, {1, 1, 1}, 0}, false, 1, fitting, 2e-3);
    check(&(Shape){2, 1, 48, 1820 + more, {5, 6}, {1, 1}, 0}, true, 1, fitting, 2e-3);
    check(&(Shape){3, 1, 48, 606 + more, {3, 4, 3}, {1, 1, 1}, 0}, true, 1, fitting, 2e-3);
    check_error(&(Shape){2, 1, 1820 + more, 48, {5, 6}, {1, 1}, 0}, false, "many", fitting, true,
                (RunError){6e-2, 1.2e-2});
  }
}

/* ---- choice ---- */

/* What netc chooses: 'd' direct, 's' shallow, 'D' deep. */
static char choice(const Shape *s, bool back, bool winograd) {
  Arena *a = arena_new();
  int anchor;
  Fn *f = convolution(a, s, back, 0, &anchor);
  WinoPlan pl;
  f->prog->winograd = winograd;
  char way = !wino_choose(f, &f->node[anchor], &pl) ? 'd' : pl.deep ? 'D' : 's';
  arena_free(a);
  return way;
}

/* Large layers with few weights, with many, and what is not worth it or cannot be done. */
static void test_choice(void **unused) {
  (void)unused;
  static const struct {
    Shape s;
    char way;
  } c[] = {
      {{2, 4, 64, 64, {256, 256}, {1, 1}, 0}, 's'},        {{2, 4, 512, 512, {32, 32}, {1, 1}, 0}, 'D'},
      {{3, 1, 16, 16, {112, 112, 80}, {1, 1, 1}, 0}, 's'}, {{2, 4, 1, 64, {256, 256}, {1, 1}, 0}, 'd'},
      {{2, 4, 64, 2, {256, 256}, {1, 1}, 0}, 'd'},         {{2, 1, 64, 64, {3, 3}, {1, 1}, 0}, 'd'},
  };
  for (size_t i = 0; i < sizeof c / sizeof *c; i++)
    for (int back = 0; back < 2; back++) {
      assert_int_equal(choice(&c[i].s, back, true), c[i].way);
      assert_int_equal(choice(&c[i].s, back, false), 'd');
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_shallow), cmocka_unit_test(test_deep),     cmocka_unit_test(test_error),
      cmocka_unit_test(test_pairs),   cmocka_unit_test(test_channels), cmocka_unit_test(test_choice),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
