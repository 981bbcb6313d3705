/* test_gpu_conv_dw.c - gradients of weights on the tensor cores of a GPU, emulated, against the interpreter:
 * small integers, which tf32 and bf16 hold exactly, so results must be equal. Drawn shapes, in 2-D and 3-D,
 * taps, strides, channels that are copied by 16, 8 and 4 bytes, several parts and one; tf32 and bf16, which
 * has a form for sm_90a that takes both operands turned: of every tile and both lengths of steps. */
#include "passes/fuse/fuse.h"
#include "tests/codegen/emit/one_group.h"
#include "codegen/kir/internal.h"
#include "codegen/kir/wgmma.h"

typedef struct {
  int64_t n, c, o;
  int ns;
  int64_t s[3], k[3];
  ConvGeom geom;
} Case;

static Machine single;

/* Of forms for sm_90a: by columns / 16, and by products along a step - 1. */
static int seen[5][4];

static void look_at(const KFn *k) {
  int columns = 0, products = 0, sums = 0;
  for (int v = 0; v < k->n; v++) {
    if (k->ins[v].op == K_regs && k->ins[v].type.base == K_F32) columns = 2 * (int)k->ins[v].imm, sums++;
    products += k->ins[v].op == K_wgmma_bf16_turned;
  }
  assert_true(columns % 16 == 0 && columns <= 64 && sums > 0 && products % sums == 0);
  assert_true(products / sums == 2 || products / sums == 4);
  seen[columns / 16][products / sums - 1]++;
}

/* A block of four warps or more has another form, of bf16. */
static void check_on(const Machine *m, Fn *f, bool bf16) {
  Emit *e = emit_new(f->prog->arena, f, NULL);
  e->machine = m;
  if (!emit_wgrad(e, group_values(f)) || e->err[0]) fail_msg("%s: %s", f->name, e->err);
  const KFn *k = e->kernel[0].k[0];
  if (!strstr(k->name, bf16 ? "mma_bf16" : "mma_tf32")) fail_msg("%s: %s", f->name, k->name);
  if ((k->sm90 != NULL) != (bf16 && k->warps >= WGMMA_WARPS)) fail_msg("%s: %s for sm_90a", f->name, k->name);
  if (k->sm90) look_at(k->sm90);
  RunCase c = run_case(f, 0);
  run_check(&c, e);
}

static void check(const Case *c, bool bf16, const Machine *m) {
  char err[256] = "";
  Arena *a = arena_new();
  Fn *f = one_begin(a, arena_printf(a, "n%d_c%d_o%d_%dx%dx%d_k%d_s%d", (int)c->n, (int)c->c, (int)c->o,
                                    (int)c->s[0], (int)c->s[1], (int)c->s[2], (int)c->k[0],
                                    (int)c->geom.stride[0]));
  int x = ir_input(f, "x", image(c->n, c->c, c->ns, c->s));
  int w = ir_input(f, "w", image(c->o, c->c, c->ns, c->k));
  Type t = f->node[ir_conv(f, x, w, &c->geom)].type;
  int dw = ir_conv_grad(f, OP_conv_dw, x, ir_input(f, "dy", t), &c->geom, c->k);
  fn_output(f, "dw", dw);
  one_layout(f, dw);
  if (f->err[0] || !fn_verify(f, err)) fail_msg("%s: %s%s", f->name, f->err, err);
  one_group(f, G_WGRAD, dw);
  if (bf16) run_bf16(f);
  check_on(m, f, bf16);
  arena_free(a);
}

static uint32_t draw(uint32_t *state, uint32_t n) {
  *state = *state * 1664525u + 1013904223u;
  return (*state >> 8) % n;
}

/* At most about `rows` rows of dW. */
static Case drawn(int ns, uint32_t *state) {
  Case c = {.n = 1 + draw(state, 2), .o = 2 * (1 + draw(state, 40)), .ns = ns};
  int64_t taps = 1;
  for (int a = 0; a < ns; a++) {
    c.k[a] = 1 + draw(state, ns == 3 ? 2 : 3);
    c.s[a] = c.k[a] + draw(state, ns == 3 ? 8 : 20);
    c.geom.stride[a] = 1 + draw(state, 2);
    c.geom.pad[a] = draw(state, 2);
    taps *= c.k[a];
  }
  int64_t unit = (int64_t[]){2, 4, 8}[draw(state, 3)]; /* 4, 8, 16 bytes */
  c.c = unit * (1 + draw(state, 1 + (uint32_t)(200 / taps / unit)));
  if (draw(state, 2)) c.o = (c.o + 7) / 8 * 8;
  return c;
}

static void test_drawn(int ns, int cases) {
  uint32_t state = (uint32_t)ns;
  for (int i = 0; i < cases; i++) {
    Case c = drawn(ns, &state);
    check(&c, i % 4 != 0, i % 3 ? &single : &machine_gpu);
  }
}

static void test_2d(void **state) {
  (void)state;
  test_drawn(2, 32);
}
static void test_3d(void **state) {
  (void)state;
  test_drawn(3, 16);
}

/* For a single processor, whose tile the shape says: steps enough to be long ones, and too few; pieces of 16
 * bytes and fewer, of which the latter keep short steps. */
static void test_tiles(void **state) {
  (void)state;
  static const Case tiles[] = {
      {1, 64, 64, 2, {16, 24}, {3, 3}, {{1, 1}, {1, 1}}},
      {2, 128, 64, 2, {17, 19}, {1, 1}, {{1, 1}, {0, 0}}},
      {1, 64, 64, 2, {18, 20}, {1, 1}, {{1, 1}, {0, 0}}},
      {1, 66, 64, 2, {18, 20}, {1, 1}, {{1, 1}, {0, 0}}},
      {1, 48, 32, 2, {21, 18}, {3, 3}, {{2, 2}, {1, 1}}},
      {1, 128, 30, 2, {21, 18}, {1, 1}, {{1, 1}, {0, 0}}},
      {1, 128, 16, 2, {21, 18}, {1, 1}, {{1, 1}, {0, 0}}},
      {1, 32, 12, 2, {13, 18}, {3, 3}, {{1, 1}, {1, 1}}},
      {1, 64, 64, 2, {5, 6}, {3, 3}, {{1, 1}, {1, 1}}},
      {1, 64, 32, 2, {5, 5}, {3, 3}, {{1, 1}, {1, 1}}},
      {1, 128, 16, 2, {7, 5}, {1, 1}, {{1, 1}, {0, 0}}},
      {1, 34, 62, 2, {9, 17}, {3, 3}, {{1, 1}, {1, 1}}},
      {1, 40, 24, 3, {4, 6, 7}, {3, 3, 3}, {{1, 1, 1}, {1, 1, 1}}},
  };
  for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) check(&tiles[i], true, &single);
}

/* What the cases were for. */
static void test_all_forms_came(void **state) {
  (void)state;
  for (int i = 1; i <= 4; i += i)
    for (int p = 1; p < 4; p += 2)
      if (!seen[i][p]) fail_msg("no form with %d columns and %d products in a step", 16 * i, p + 1);
}

int main(void) {
  single = machine_gpu;
  single.processors = 1;
  const struct CMUnitTest tests[] = {

      cmocka_unit_test(test_2d),
      cmocka_unit_test(test_3d),
      cmocka_unit_test(test_tiles),
      cmocka_unit_test(test_all_forms_came),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
