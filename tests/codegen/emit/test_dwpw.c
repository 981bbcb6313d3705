/* test_dwpw.c - DyBAC's forward pass as one kernel: (gate) -> depthwise -> 1x1 -> epilogue, exactly, on small
 * integers. */
#include "passes/fuse/fuse.h"
#include "tests/codegen/emit/one_group.h"

typedef struct {
  int64_t n, c, o;
  int ns;
  int64_t s[3], k[3];
  ConvGeom geom;
} Case;

static const Case cases[] = {
    {1, 3, 1, 2, {5, 7}, {3, 3}, {{1, 1}, {1, 1}}},
    {2, 16, 16, 2, {8, 8}, {3, 3}, {{1, 1}, {1, 1}}},
    {1, 17, 33, 2, {9, 21}, {3, 3}, {{1, 1}, {1, 1}}},
    {2, 64, 40, 2, {16, 16}, {3, 3}, {{1, 1}, {1, 1}}},
    {3, 5, 64, 2, {12, 26}, {3, 3}, {{2, 2}, {1, 1}}},
    {1, 1, 18, 2, {6, 10}, {3, 3}, {{1, 1}, {1, 1}}},
    {1, 33, 7, 2, {1, 13}, {5, 3}, {{1, 1}, {2, 1}}},
    {40, 16, 16, 2, {4, 4}, {3, 3}, {{1, 1}, {1, 1}}},
    {2, 16, 17, 3, {4, 5, 12}, {3, 3, 3}, {{1, 1, 1}, {1, 1, 1}}},
    {1, 8, 16, 3, {5, 6, 7}, {3, 3, 3}, {{2, 2, 2}, {1, 1, 1}}},
    {1, 1100, 16, 2, {2, 150}, {3, 3}, {{1, 1}, {1, 1}}}, /* a row longer than the scratch: segments */
    {1, 256, 40, 2, {64, 96}, {3, 3}, {{1, 1}, {1, 1}}},  /* strips of several steps; weights in panels: */
    {2, 192, 136, 2, {32, 90}, {3, 3}, {{1, 1}, {1, 1}}}, /* with a last segment that is shorter */
    {1, 200, 8, 2, {48, 64}, {3, 3}, {{2, 2}, {1, 1}}},
    {4, 24, 130, 3, {4, 16, 8}, {3, 3, 3}, {{1, 1, 1}, {1, 1, 1}}},
    {2, 512, 24, 2, {32, 8}, {3, 3}, {{1, 1}, {1, 1}}}, /* pixels of a whole page */
};

static void run(const Case *c, bool gate, bool epilogue) {
  static const int64_t one[3] = {1, 1, 1};
  Arena *a = arena_new();
  Fn *f = one_begin(a, arena_printf(a, "dwpw_n%d_c%d_o%d_w%d%s%s", (int)c->n, (int)c->c, (int)c->o,
                                    (int)c->s[c->ns - 1], gate ? "_gate" : "", epilogue ? "_relu" : ""));
  Type t = image(c->n, c->c, c->ns, c->s);
  int x = ir_input(f, "x", t), w = ir_input(f, "w", image(c->n, c->c, c->ns, c->k));
  int v = ir_input(f, "v", image(c->o, c->c, c->ns, one));
  if (gate) {
    t.dim[1] = 1;
    x = ir_mul(f, ir_input(f, "s", t), x);
  }
  int u = ir_dwconv(f, x, w, &c->geom), y = ir_conv(f, u, v, &geom_unit);
  fn_output(f, "y", y);
  if (epilogue) {
    int b = ir_input(f, "b", image(1, c->o, c->ns, one));
    fn_output(f, "z", ir_unary(f, OP_relu, ir_add(f, y, b)));
  }
  one_layout(f, v);
  bool emulated = type_count(f->node[u].type) < 100000; /* it takes its time */
  one_check_on(emulated, f, G_DYBAC, y, emit_dybac, 0);
  arena_free(a);
}

static void test_cases(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) run(&cases[i], i % 2, i % 3 != 0);
}

/* A 1x1 convolution with a stride is not what this kernel computes. */
static void test_refuses(void **state) {
  (void)state;
  static const int64_t s[2] = {4, 4}, k[2] = {3, 3}, one[2] = {1, 1};
  static const ConvGeom same = {{1, 1}, {1, 1}}, halved = {.stride = {2, 2}};
  Arena *a = arena_new();
  Fn *f = one_begin(a, "refuses");
  int v = ir_input(f, "v", image(8, 8, 2, one));
  int u = ir_dwconv(f, ir_input(f, "x", image(1, 8, 2, s)), ir_input(f, "w", image(1, 8, 2, k)), &same);
  int y = ir_conv(f, u, v, &halved);
  fn_output(f, "y", y);
  one_layout(f, v);
  f->node[u].group = f->node[y].group = 0;
  f->group = arena_alloc(a, sizeof *f->group);
  f->group[0] = (Group){G_DYBAC, y};
  f->ngroup = 1;
  Emit *e = emit_new(a, f, NULL);
  assert_false(emit_dybac(e, group_values(f)));
  assert_non_null(strstr(e->err, "1x1"));
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_refuses)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
