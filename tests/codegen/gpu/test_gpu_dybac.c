/* test_gpu_dybac.c - DyBAC's layer and its weight gradient on the tensor cores of a GPU, emulated, against
 * the interpreter: small integers, which tf32 holds exactly, so results must be equal; of bf16 depthwise
 * results have more digits, and a rounding left out shows. Shapes are drawn, from one pixel to several boxes,
 * and each is planned for a GPU with many processors and for one with a single one, to which large tiles are
 * best. */
#include "passes/fuse/fuse.h"
#include "tests/codegen/emit/one_group.h"

typedef struct {
  int64_t n, c, o;
  int ns;
  int64_t s[3], k[3];
  ConvGeom geom;
} Case;

enum { PLAIN, TF32, BF16_PRODUCT };

static Machine single;

static const char *wanted(int kind) { return kind == TF32 ? "mma_tf32" : "mma_bf16"; }

static void check_on(const Machine *m, Fn *f, bool gradient, int kind) {
  const GroupInfo *g = group_values(f);
  Emit *e = emit_new(f->prog->arena, f, NULL);
  e->machine = m;
  if (!(gradient ? emit_wgrad : emit_dybac)(e, g) || e->err[0]) fail_msg("%s: %s", f->name, e->err);
  int products = 0;
  for (int i = 0; i < e->nkernel; i++) {
    bool product = strstr(e->kernel[i].name, "mma_") != NULL;
    products += product;
    if (product && kind != PLAIN && !strstr(e->kernel[i].name, wanted(kind)))
      fail_msg("%s: %s is no %s", f->name, e->kernel[i].name, wanted(kind));
  }
  if (products != (kind != PLAIN)) fail_msg("%s: %d kernels for tensor cores", f->name, products);
  RunCase c = run_case(f, 0);
  run_check(&c, e);
}

static int layer(Fn *f, const Case *c, bool gate, bool gradient, int *weights) {
  static const int64_t one[3] = {1, 1, 1};
  Type t = image(c->n, c->c, c->ns, c->s);
  int x = ir_input(f, "x", t), w = ir_input(f, "w", image(c->n, c->c, c->ns, c->k));
  t.dim[1] = 1;
  if (gate) x = ir_mul(f, x, ir_input(f, "s", t));
  int u = ir_dwconv(f, x, w, &c->geom);
  if (gradient) {
    t = f->node[u].type;
    t.dim[1] = c->o;
    return *weights = ir_conv_grad(f, OP_conv_dw, u, ir_input(f, "dy", t), &geom_unit, one);
  }
  *weights = ir_input(f, "v", image(c->o, c->c, c->ns, one));
  return ir_conv(f, u, *weights, &geom_unit);
}

static void check(const Case *c, bool gate, bool gradient, int kind) {
  static const int64_t one[3] = {1, 1, 1};
  char err[256] = "";
  Arena *a = arena_new();
  Fn *f = one_begin(a, arena_printf(a, "%s_n%d_c%d_o%d_w%d%s", gradient ? "gradient" : "forward", (int)c->n,
                                    (int)c->c, (int)c->o, (int)c->s[c->ns - 1], gate ? "_gate" : ""));
  int weights, y = layer(f, c, gate, gradient, &weights);
  fn_output(f, "y", y);
  if (!gradient && c->o % 2) { /* an epilogue */
    int z = ir_unary(f, OP_relu, ir_add(f, y, ir_input(f, "b", image(1, c->o, c->ns, one))));
    fn_output(f, "z", z);
  }
  one_layout(f, weights);
  if (f->err[0] || !fn_verify(f, err)) fail_msg("%s: %s%s", f->name, f->err, err);
  for (int i = 0; i < f->n; i++) f->node[i].group = op_info[f->node[i].op].cls == LEAF ? -1 : 0;
  f->group = arena_alloc(a, sizeof *f->group);
  f->group[0] = (Group){gradient ? G_WGRAD : G_DYBAC, y};
  f->ngroup = f->capgroup = 1;
  if (kind == BF16_PRODUCT) run_bf16(f);
  assert_int_equal(f->node[y].at.bf16, kind == BF16_PRODUCT);
  static int turn;
  check_on(turn++ % 2 ? &single : &machine_gpu, f, gradient, kind);
  arena_free(a);
}

static uint32_t draw(uint32_t *state, uint32_t n) {
  *state = *state * 1664525u + 1013904223u;
  return (*state >> 8) % n;
}

static Case drawn(int ns, uint32_t *state) {
  Case c = {.n = 1 + draw(state, 2), .c = 8 + draw(state, 90), .o = 8 + draw(state, 140), .ns = ns};
  for (int a = 0; a < ns; a++) {
    c.s[a] = 3 + draw(state, ns == 3 ? 7 : 17);
    c.k[a] = 1 + 2 * draw(state, 2);
    c.geom.stride[a] = 1 + draw(state, 2);
    c.geom.pad[a] = draw(state, 2);
  }
  return c;
}

static void test_drawn(int ns, int cases) {
  uint32_t state = (uint32_t)ns;
  for (int i = 0; i < cases; i++) {
    Case c = drawn(ns, &state);
    bool gradient = i % 2, bf16 = i / 2 % 2;
    if (bf16 && gradient) c.o += c.o % 2;
    check(&c, i % 3 != 0, gradient, bf16 ? BF16_PRODUCT : TF32);
  }
}

static void test_2d(void **state) {
  (void)state;
  test_drawn(2, 16);
}
static void test_3d(void **state) {
  (void)state;
  test_drawn(3, 12);
}

/* The layers of a network: whole channels, rows of several boxes, boxes within the image and at its ends. */
static void test_layers(void **state) {
  (void)state;
  static const Case layers[] = {
      {1, 64, 64, 2, {24, 40}, {3, 3}, {{1, 1}, {1, 1}}},
      {2, 128, 136, 2, {16, 16}, {3, 3}, {{1, 1}, {1, 1}}},
      {2, 32, 32, 3, {8, 8, 16}, {3, 3, 3}, {{1, 1, 1}, {1, 1, 1}}},
      {1, 96, 48, 2, {17, 33}, {3, 3}, {{2, 2}, {1, 1}}},
      {3, 40, 24, 2, {2, 3}, {3, 3}, {{1, 1}, {1, 1}}},
  };
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
    for (int gradient = 0; gradient < 2; gradient++)
      for (int kind = TF32; kind <= BF16_PRODUCT; kind++) check(&layers[i], true, gradient, kind);
}

/* What is left to the plain kernels. */
static void test_plain(void **state) {
  (void)state;
  static const Case plain[] = {
      {1, 5, 32, 2, {9, 10}, {3, 3}, {{1, 1}, {1, 1}}},             /* few channels */
      {1, 32, 5, 2, {9, 10}, {3, 3}, {{1, 1}, {1, 1}}},             /* of either */
      {1, 16, 16, 2, {9, 20}, {3, 3}, {{1, 5}, {1, 1}}},            /* runs that are too long */
      {1, 16, 16, 3, {6, 6, 6}, {5, 3, 3}, {{1, 1, 1}, {2, 1, 1}}}, /* many rows of taps */
  };
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) check(&plain[i], i % 2, true, PLAIN);
}

int main(void) {
  single = machine_gpu;
  single.processors = 1;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_2d),
      cmocka_unit_test(test_3d),
      cmocka_unit_test(test_layers),
      cmocka_unit_test(test_plain),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
