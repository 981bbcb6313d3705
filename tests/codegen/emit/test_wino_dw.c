/* test_wino_dw.c - weight gradients by Winograd's F(4,3), against the interpreter. Numbers are such that the
 * largest results are about 1, so the tolerance is one relative to the largest. */
#include "passes/fuse/fuse.h"
#include "ir/bf16.h"
#include "tests/codegen/emit/one_group.h"
#include "tests/codegen/emit/run_error.h"
#include "codegen/emit/winograd/wgrad.h"

typedef struct {
  int ns;
  int64_t n, c, o, size[MAX_SPATIAL], pad[MAX_SPATIAL], taps; /* taps: of a third axis, the outermost */
} Shape;

static double scale; /* of dy */
static bool shared;  /* WinoWgrad.shared of what is emitted */

static double fill(const char *name, int64_t i, Type t) {
  double v = run_fill_real(name, i, t);
  return name[0] == 'd' ? (double)(float)(v * scale) : v;
}

/* Whatever the cost model says. */
static bool emit(Emit *e, const GroupInfo *g) {
  ConvShape s;
  WinoWgrad p;
  if (!conv_shape(e->fn, &e->fn->node[g->anchor], &s, e->err)) return false;
  if (!wino_wgrad_plan(&s, &p)) fail_msg("%s cannot be computed so", e->fn->name);
  p.shared = shared;
  return wino_wgrad(e, g, &p);
}

/* The gradient as pass fuse would leave it: *dw, a group of its own. */
static Fn *gradient(Arena *a, const Shape *s, int *dw) {
  int64_t k[MAX_SPATIAL], out[MAX_SPATIAL], pixels = s->n;
  char err[256];
  for (int i = 0; i < s->ns; i++) {
    k[i] = i < s->ns - 2 ? s->taps : WINO_TAPS;
    out[i] = s->size[i] + 2 * s->pad[i] - k[i] + 1;
    pixels *= out[i];
  }
  ConvGeom geom = geom_unit;
  memcpy(geom.pad, s->pad, sizeof geom.pad);
  scale = 0.6 / sqrt((double)pixels);
  Fn *f =
      one_begin(a, arena_printf(a, "n%ld c%ld o%ld size %ldx%ldx%ld pad %ld,%ld,%ld taps %ld", (long)s->n,
                                (long)s->c, (long)s->o, (long)s->size[0], (long)s->size[1], (long)s->size[2],
                                (long)s->pad[0], (long)s->pad[1], (long)s->pad[2], (long)s->taps));
  int x = ir_input(f, "x", image(s->n, s->c, s->ns, s->size));
  int dy = ir_input(f, "dy", image(s->n, s->o, s->ns, out));
  *dw = ir_conv_grad(f, OP_conv_dw, x, dy, &geom, k);
  fn_output(f, "dw", *dw);
  one_layout(f, *dw);
  if (f->err[0] || !fn_verify(f, err)) fail_msg("%s: %s", f->name, f->err[0] ? f->err : err);
  for (int i = 0; i < f->n; i++) f->node[i].group = i == *dw ? 0 : -1;
  *ARENA_PUSH(a, f->group, f->ngroup, f->capgroup) = (Group){G_WGRAD, *dw};
  return f;
}

static Emit *emitted(Fn *f, bool (*way)(Emit *, const GroupInfo *)) {
  Emit *e = emit_new(f->prog->arena, f, NULL);
  if (!way(e, group_values(f)) || e->err[0]) fail_msg("%s: %s", f->name, e->err);
  return e;
}

static void run(Fn *f, double tolerance) {
  RunCase c = run_case(f, tolerance);
  c.fill = fill;
  run_check(&c, emitted(f, emit));
}

static void check(const Shape *s, bool with_shared) {
  Arena *a = arena_new();
  int dw;
  Fn *f = gradient(a, s, &dw);
  shared = with_shared;
  run(f, 4e-6);
  if (run_bf16_too()) run_bf16(f), run(f, 4e-2);
  arena_free(a);
}

static const Shape shape[] = {
    {2, 1, 16, 16, {16, 16}, {1, 1}, 1},     {2, 2, 64, 64, {20, 24}, {1, 1}, 1},
    {2, 1, 70, 130, {13, 18}, {1, 1}, 1}, /* slices with tails */
    {2, 3, 5, 3, {131, 117}, {1, 1}, 1},  /* several blocks in a part */
    {2, 9, 33, 7, {4, 5}, {0, 0}, 1},     /* blocks of several images */
    {2, 1, 128, 96, {9, 9}, {2, 2}, 1},   /* slices, padding of 2 */
    {2, 2, 1, 1, {3, 3}, {0, 0}, 1},      /* one tap meets one pixel */
    {2, 1, 2, 17, {1, 2}, {1, 1}, 1},     /* an image smaller than the taps */
    {2, 1, 17, 32, {7, 30}, {0, 2}, 1},      {3, 1, 16, 16, {9, 12, 20}, {1, 1, 1}, 3},
    {3, 2, 24, 40, {7, 7, 5}, {1, 1, 1}, 3}, {3, 2, 3, 18, {5, 9, 14}, {0, 1, 2}, 3},
    {3, 1, 66, 5, {3, 6, 6}, {2, 0, 1}, 3},  {3, 2, 8, 8, {4, 9, 9}, {0, 1, 1}, 1}, /* 1x3x3 */
    {3, 1, 4, 4, {6, 5, 5}, {1, 1, 1}, 2},   {3, 3, 4, 4, {20, 24, 24}, {1, 1, 1}, 3},
};

static void test_shapes(void **unused) {
  (void)unused;
  for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) check(&shape[i], i % 2);
}

static uint32_t state = 2024;
static int64_t pick(int64_t n) {
  state = state * 1664525u + 1013904223u;
  return (int64_t)((state >> 16) % (uint32_t)n);
}

static void test_random(void **unused) {
  (void)unused;
  for (int i = 0; i < 12; i++) {
    Shape s = {
        .ns = i % 3 ? 2 : 3, .n = 1 + pick(3), .c = 1 + pick(40), .o = 1 + pick(40), .taps = 1 + pick(3)};
    for (int a = 0; a < s.ns; a++) s.pad[a] = pick(3), s.size[a] = 3 + pick(s.ns == 3 ? 9 : 22);
    check(&s, i % 2);
  }
}

/* What netc chooses has launches that transform for all tasks where channels are many, and only there. */
static void test_choice(void **unused) {
  (void)unused;
  static const struct {
    Shape s;
    bool winograd, shared;
  } of[] = {
      {{2, 4, 64, 64, {256, 256}, {1, 1}, 1}, true, false},
      {{2, 4, 1024, 1024, {16, 16}, {1, 1}, 1}, true, true},
      {{3, 1, 16, 16, {112, 112, 80}, {1, 1, 1}, 3}, true, false},
      {{2, 4, 1, 64, {256, 256}, {1, 1}, 1}, false, false},
      {{2, 1, 512, 512, {2, 2}, {1, 1}, 1}, false, false},
      {{3, 1, 256, 256, {7, 7, 5}, {1, 1, 1}, 3}, false, false},
  };
  for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
    Arena *a = arena_new();
    int dw;
    Fn *f = gradient(a, &of[i].s, &dw);
    const Emit *e = emitted(f, emit_wgrad);
    bool winograd = strstr(e->kernel[of[i].shared ? 2 : 0].name, ":bwd_w:wino4") != NULL;
    if (winograd != of[i].winograd || (strncmp(e->kernel[0].name, "wino_x:", 7) == 0) != of[i].shared)
      fail_msg("%s: %s", f->name, e->kernel[0].name);
    f->prog->winograd = false;
    assert_null(strstr(emitted(f, emit_wgrad)->kernel[0].name, "wino"));
    arena_free(a);
  }
}

/* Images that are bf16 already, so that the error is that of what is rounded for the products. */
static double bf16_images(const char *name, int64_t i, Type t) {
  return (double)bf16_round((float)run_fill_real(name, i, t));
}

/* Of one way (emit: Winograd), on every set, against the bound; says what it was. */
static void check_error(const Shape *s, const char *name, bool (*way)(Emit *, const GroupInfo *), bool bf16,
                        RunError bound) {
  Arena *a = arena_new();
  int dw;
  Fn *f = gradient(a, s, &dw);
  f->prog->winograd = shared = false;
  if (bf16) run_bf16(f);
  assert_int_equal(f->node[dw].at.bf16, bf16);
  const Emit *e = emitted(f, way);
  RunCase c = run_case(f, 1);
  if (bf16) c.fill = bf16_images;
  run_check_errors(&c, e, dw, arena_printf(a, "%s %-6s", f->name, name), bound);
  arena_free(a);
}

/* Uniform numbers in (-1, 1). What docs/design/winograd.md says is what this prints; the bounds leave room
 * for other data. */
static void test_error(void **unused) {
  (void)unused;
  static const Shape large[] = {{2, 1, 64, 64, {24, 24}, {1, 1}, 1},
                                {2, 4, 16, 16, {128, 128}, {1, 1}, 1},
                                {3, 1, 16, 16, {24, 32, 32}, {1, 1, 1}, 3}};
  for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
    check_error(&large[i], "direct", emit_wgrad, false, (RunError){4e-6, 4e-7});
    check_error(&large[i], "F(4,3)", emit, false, (RunError){4e-6, 4e-7});
    check_error(&large[i], "F(4,3) bf16", emit, true, (RunError){3e-2, 6e-3});
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_shapes),
      cmocka_unit_test(test_random),
      cmocka_unit_test(test_choice),
      cmocka_unit_test(test_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
