/* Weight gradients by Winograd's F(4,3), against the interpreter. Numbers are such that the largest results are about 1,
 * so the tolerance is one relative to the largest. */
#include "tests/codegen/one_group.h"
#include "codegen/wino_dw.h"

typedef struct {
  int ns;
  int64_t n, c, o, size[MAX_SPATIAL], pad[MAX_SPATIAL], taps; /* taps: of a third axis, the outermost */
} Shape;

static double scale; /* of dy */

static double fill(const char *name, int64_t i, Type t) {
  double v = run_fill_real(name, i, t);
  return name[0] == 'd' ? (double)(float)(v * scale) : v;
}

/* Whatever the cost model says. */
static bool emit(Emit *e, const GroupInfo *g) {
  ConvShape s;
  WinoDw p;
  if (!conv_shape(e->fn, &e->fn->node[g->anchor], &s, e->err)) return false;
  assert_true(wino_dw_plan(&s, &p));
  return emit_wino_dw(e, g, &p);
}

static void run(Fn *f) {
  Emit *e = emit_new(f->prog->arena, f, NULL);
  if (!emit(e, group_values(f)) || e->err[0]) fail_msg("%s: %s", f->name, e->err);
  assert_non_null(strstr(e->kernel[0].name, ":bwd_w:wino4"));
  RunCase c = run_case(f, 4e-6);
  c.fill = fill;
  run_check(&c, e);
}

static void check(const Shape *s) {
  Arena *a = arena_new();
  int64_t k[MAX_SPATIAL], one[MAX_SPATIAL] = {1, 1, 1}, out[MAX_SPATIAL], pixels = s->n;
  char err[256], name[160];
  for (int i = 0; i < s->ns; i++) {
    k[i] = i < s->ns - 2 ? s->taps : WINO_TAPS;
    out[i] = s->size[i] + 2 * s->pad[i] - k[i] + 1;
    pixels *= out[i];
  }
  scale = 0.6 / sqrt((double)pixels);
  snprintf(name, sizeof name, "n%ld c%ld o%ld size %ldx%ldx%ld pad %ld,%ld,%ld", (long)s->n, (long)s->c,
           (long)s->o, (long)s->size[0], (long)s->size[1], (long)s->size[2], (long)s->pad[0], (long)s->pad[1],
           (long)s->pad[2]);
  Fn *f = fn_new(prog_new(a), name, FN_FORWARD);
  int x = ir_input(f, "x", image(s->n, s->c, s->ns, s->size));
  int dy = ir_input(f, "dy", image(s->n, s->o, s->ns, out));
  int dw = ir_conv_grad(f, OP_conv_dw, x, dy, one, s->pad, k);
  fn_output(f, "dw", dw);
  one_layout(f, dw);
  if (f->err[0] || !fn_verify(f, err)) fail_msg("%s: %s", name, f->err[0] ? f->err : err);
  for (int i = 0; i < f->n; i++) f->node[i].group = op_info[f->node[i].op].cls == LEAF ? -1 : 0;
  *ARENA_PUSH(a, f->group, f->ngroup, f->capgroup) = (Group){G_CONV_DW, dw};
  run(f);
  if (run_narrow_too()) run_narrow(f), run(f);
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
  for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) check(&shape[i]);
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
    check(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_shapes),
      cmocka_unit_test(test_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
