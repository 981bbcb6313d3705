/* test_dw.c - depthwise convolutions and their adjoints against the interpreter, exactly, on small integers.
 */
#include "passes/fuse/fuse.h"
#include "tests/codegen/emit/one_group.h"

typedef struct {
  int64_t n, c;
  int ns;
  int64_t s[3], k[3];
  ConvGeom geom;
} Case;

static const Case cases[] = {
    {2, 1, 2, {5, 7}, {3, 3}, {{1, 1}, {1, 1}}},
    {1, 2, 2, {9, 21}, {3, 3}, {{1, 1}, {1, 1}}},
    {2, 3, 2, {8, 8}, {3, 3}, {{2, 2}, {1, 1}}},
    {3, 5, 2, {4, 40}, {3, 3}, {{1, 1}, {1, 1}}},
    {2, 16, 2, {33, 17}, {3, 3}, {{1, 1}, {1, 1}}},
    {1, 17, 2, {6, 30}, {3, 3}, {{2, 2}, {1, 1}}},
    {1, 33, 2, {70, 11}, {3, 3}, {{1, 1}, {1, 1}}},
    {1, 64, 2, {3, 19}, {3, 3}, {{1, 1}, {1, 1}}},
    {1, 16, 2, {1, 1}, {3, 3}, {{1, 1}, {1, 1}}},
    {1, 4, 2, {12, 26}, {5, 5}, {{1, 1}, {2, 2}}},
    {1, 4, 2, {13, 29}, {5, 3}, {{3, 2}, {2, 0}}},
    {1, 3, 2, {7, 23}, {2, 2}, {{1, 1}, {0, 0}}},
    {1, 16, 2, {6, 20}, {1, 1}, {{1, 1}, {0, 0}}},
    {1, 16, 2, {6, 20}, {4, 4}, {{2, 2}, {1, 1}}},
    {2, 16, 3, {4, 5, 12}, {3, 3, 3}, {{1, 1, 1}, {1, 1, 1}}},
    {1, 17, 3, {5, 6, 11}, {3, 3, 3}, {{2, 2, 2}, {1, 1, 1}}},
    {1, 3, 3, {3, 3, 25}, {1, 3, 3}, {{1, 1, 1}, {0, 1, 1}}},
    {2, 3, 1, {19}, {3}, {{1}, {1}}},
    {2, 2, 1, {20}, {3}, {{2}, {1}}},
    {1, 260, 2, {5, 51}, {3, 3}, {{1, 1}, {1, 1}}},
    {1,
     19,
     3,
     {2, 13, 9},
     {3, 3, 3},
     {{1, 1, 1}, {1, 1, 1}}}, /* rows together in the adjoint, planes apart */
    {2, 70, 2, {23, 9}, {3, 3}, {{2, 1}, {1, 1}}},
    {1, 272, 3, {3, 4, 18}, {3, 3, 3}, {{2, 1, 2}, {1, 1, 1}}},
};

static void name_case(char name[96], const char *what, const Case *c, bool gate) {
  snprintf(name, 96, "%s_n%dc%d_%d_s%dx%dx%d_k%d_s%d_p%d%s", what, (int)c->n, (int)c->c, c->ns, (int)c->s[0],
           (int)c->s[1], (int)c->s[2], (int)c->k[0], (int)c->geom.stride[0], (int)c->geom.pad[0],
           gate ? "_gate" : "");
}

static int gated(Fn *f, int x, bool gate) {
  if (!gate) return x;
  Type t = f->node[x].type;
  t.dim[1] = 1;
  int s = ir_input(f, "s", t);
  return ir_mul(f, x, s);
}

static int pooled_extent(Type *t, const Case *c) {
  for (int i = 0; i < c->ns; i++)
    t->dim[2 + i] = (c->s[i] + 2 * c->geom.pad[i] - c->k[i]) / c->geom.stride[i] + 1;
  return 0;
}

static void forward(const Case *c, bool gate, bool epilogue) {
  Arena *a = arena_new();
  char name[96];
  name_case(name, "dwconv", c, gate);
  Fn *f = one_begin(a, name);
  int x = ir_input(f, "x", image(c->n, c->c, c->ns, c->s)),
      w = ir_input(f, "w", image(c->n, c->c, c->ns, c->k));
  int y = ir_dwconv(f, gated(f, x, gate), w, &c->geom), out = y;
  if (epilogue) {
    Type bias = f->node[y].type;
    for (int i = 0; i < bias.rank; i++) bias.dim[i] = i == 1 ? c->c : 1;
    out = ir_unary(f, OP_relu, ir_add(f, y, ir_input(f, "b", bias)));
    fn_output(f, "raw", y);
  }
  fn_output(f, "y", out);
  one_layout(f, -1);
  one_check(f, G_DEPTHWISE, y, emit_depthwise, 0);
  arena_free(a);
}

static void backward_x(const Case *c, bool epilogue) {
  Arena *a = arena_new();
  char name[96];
  name_case(name, "dwconv_dx", c, false);
  Fn *f = one_begin(a, name);
  Type t = image(c->n, c->c, c->ns, c->s);
  pooled_extent(&t, c);
  int dy = ir_input(f, "dy", t), w = ir_input(f, "w", image(c->n, c->c, c->ns, c->k));
  int dx = ir_conv_grad(f, OP_dwconv_dx, dy, w, &c->geom, c->s), out = dx;
  if (epilogue) { /* + dm, broadcast over space */
    static const int64_t one[3] = {1, 1, 1};
    out = ir_add(f, dx, ir_input(f, "dm", image(c->n, c->c, c->ns, one)));
  }
  fn_output(f, "dx", out);
  one_layout(f, -1);
  one_check(f, G_DEPTHWISE, dx, emit_depthwise, 0);
  arena_free(a);
}

static void backward_w(const Case *c, bool gate) {
  Arena *a = arena_new();
  char name[96];
  name_case(name, "dwconv_dw", c, gate);
  Fn *f = one_begin(a, name);
  Type t = image(c->n, c->c, c->ns, c->s);
  int x = ir_input(f, "x", t);
  pooled_extent(&t, c);
  int dy = ir_input(f, "dy", t);
  int dw = ir_conv_grad(f, OP_dwconv_dw, gated(f, x, gate), dy, &c->geom, c->k);
  fn_output(f, "dw", dw);
  one_layout(f, -1);
  one_check(f, G_DEPTHWISE_WGRAD, dw, emit_depthwise_wgrad, 0);
  arena_free(a);
}

enum { CASES = sizeof cases / sizeof cases[0] };
static void test_forward(void **state) {
  (void)state;
  for (int i = 0; i < CASES; i++) forward(&cases[i], i % 2, i % 3 == 0);
}
static void test_gate(void **state) {
  (void)state;
  for (int i = 0; i < CASES; i += 3) forward(&cases[i], i % 2 == 0, true);
}
static void test_backward_x(void **state) {
  (void)state;
  for (int i = 0; i < CASES; i++) backward_x(&cases[i], i % 2);
}
static void test_backward_w(void **state) {
  (void)state;
  for (int i = 0; i < CASES; i++) backward_w(&cases[i], i % 2);
}

/* Beyond the written limits: an error that says so, no code. */
static void test_limits(void **state) {
  (void)state;
  static const ConvGeom geom = {.stride = {1, 17}};
  static const int64_t s[2] = {4, 40}, k[2] = {1, 1};
  Arena *a = arena_new();
  Fn *f = one_begin(a, "limits");
  int y = ir_dwconv(f, ir_input(f, "x", image(1, 4, 2, s)), ir_input(f, "w", image(1, 4, 2, k)), &geom);
  fn_output(f, "y", y);
  one_layout(f, -1);
  f->node[y].group = 0;
  f->group = arena_alloc(a, sizeof *f->group);
  f->group[0] = (Group){G_DEPTHWISE, y};
  f->ngroup = 1;
  Emit *e = emit_new(a, f, NULL);
  assert_false(emit_depthwise(e, group_values(f)));
  assert_non_null(strstr(e->err, "stride 17"));
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_forward), cmocka_unit_test(test_gate),
                                     cmocka_unit_test(test_backward_x), cmocka_unit_test(test_backward_w),
                                     cmocka_unit_test(test_limits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
