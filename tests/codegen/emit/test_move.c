/* test_move.c - data movement against the interpreter: exact, but for interpolation between arbitrary
 * numbers. */
#include "passes/fuse/fuse.h"
#include "tests/codegen/emit/one_group.h"

static const int64_t channels[] = {1, 2, 3, 5, 16, 17, 33, 64};
enum { CHANNELS = sizeof channels / sizeof channels[0] };
static const int64_t spatial[3][3] = {{13}, {6, 10}, {4, 5, 6}};

/* An operand of C channels and ns spatial axes, the op on it, the check. */
typedef int BuildOp(Fn *f, int x, int variant);
static void try_shape(const char *what, BuildOp *op, int64_t c, int ns, const int64_t *s, int variant,
                      double tolerance) {
  Arena *a = arena_new();
  Fn *f = one_begin(a, arena_printf(a, "%s_c%d_%dd_v%d", what, (int)c, ns, variant));
  int y = op(f, ir_input(f, "x", image(2, c, ns, s)), variant);
  if (y < 0) fail_msg("%s: %s", f->name, f->err);
  fn_output(f, "y", y);
  one_layout(f, -1);
  one_check(f, G_MOVE, y, emit_move, tolerance);
  arena_free(a);
}

static void try_all(const char *what, BuildOp *op, int variants, double tolerance) {
  for (int i = 0; i < CHANNELS; i++)
    for (int ns = 1; ns <= 3; ns++)
      if ((i + ns) % 2 == 0 || ns == 2)
        try_shape(what, op, channels[i], ns, spatial[ns - 1], (i + ns) % variants, tolerance);
}

/* ---- boxes ---- */

static int concat_op(Fn *f, int x, int variant) {
  Type t = f->node[x].type;
  int axis = variant % t.rank;
  t.dim[axis] = 3;
  int in[4] = {x, ir_input(f, "p", t), x, 0};
  t.dim[axis] = 17;
  in[3] = ir_input(f, "q", t);
  return ir_concat(f, 4, in, axis);
}
static int slice_op(Fn *f, int x, int variant) {
  int axis = variant % f->node[x].type.rank;
  int64_t n = f->node[x].type.dim[axis];
  return ir_slice(f, x, axis, n / 3, n - n / 4);
}
static int pad_op(Fn *f, int x, int variant) {
  return ir_pad(f, x, variant % f->node[x].type.rank, variant % 3, variant % 2 ? 4 : 1);
}
static int upsample_op(Fn *f, int x, int variant) {
  static const int64_t factor[3][3] = {{2, 2, 1}, {3, 1, 2}, {2, 2, 2}};
  return ir_upsample(f, x, factor[variant]);
}
static int reshape_op(Fn *f, int x, int variant) {
  Type t = f->node[x].type, to = {t.dt, 2, {t.dim[0], type_count(t) / t.dim[0]}};
  if (variant == 1) to = (Type){t.dt, 1, {type_count(t)}};
  if (variant == 2) to = (Type){t.dt, 4, {t.dim[0], 1, t.dim[1], type_count(t) / t.dim[0] / t.dim[1]}};
  return ir_reshape(f, x, to);
}

static void test_boxes(void **state) {
  (void)state;
  try_all("concat", concat_op, 5, 0);
  try_all("slice", slice_op, 5, 0);
  try_all("pad", pad_op, 7, 0);
  try_all("upsample", upsample_op, 3, 0);
}

/* Copies between orders: merging axes, splitting them, and a case whose factors do not nest. Views need no
 * kernel. */
static void test_reshape(void **state) {
  (void)state;
  for (int i = 1; i < CHANNELS; i++)
    for (int ns = 2; ns <= 3; ns++)
      try_shape("reshape", reshape_op, channels[i], ns, spatial[ns - 1], i % 3, 0);
  Arena *a = arena_new();
  Fn *f = one_begin(a, "reshape_plain");
  int x = ir_input(f, "x", type_f32(4, 1, 3, 4, 5)), y = ir_reshape(f, x, type_f32(4, 2, 5, 3, 2));
  fn_output(f, "y", y);
  one_layout(f, -1);
  one_check(f, G_MOVE, y, emit_move, 0);
  arena_free(a);
}

/* ---- pooling ---- */

static int sumpool_op(Fn *f, int x, int variant) {
  static const int64_t factor[2][3] = {{2, 5, 3}, {1, 2, 2}};
  int64_t one[3] = {13, 1, 1};
  return ir_sumpool(f, x,
                    f->node[x].type.rank == 3   ? one
                    : f->node[x].type.rank == 4 ? factor[variant % 2]
                                                : (const int64_t[]){2, 1, 3});
}
static const struct {
  int64_t size[3];
  ConvGeom geom;
} window[] = {
    {{2, 2, 2}, {{2, 2, 2}, {0, 0, 0}}},
    {{3, 3, 3}, {{2, 2, 2}, {1, 1, 1}}},
    {{2, 3, 2}, {{1, 2, 2}, {0, 0, 0}}},
    {{3, 2, 2}, {{3, 4, 1}, {1, 0, 0}}},
};
static int maxpool_op(Fn *f, int x, int v) { return ir_maxpool(f, x, window[v].size, &window[v].geom); }
static int maxpool_dx_op(Fn *f, int x, int v) {
  Attrs at = {.geom = window[v].geom};
  memcpy(at.size, window[v].size, sizeof at.size);
  Type t;
  if (!infer_type(OP_maxpool, 1, &f->node[x].type, &at, NULL, &t, f->err)) return -1;
  return ir_maxpool_dx(f, x, ir_input(f, "dy", t), &at);
}

/* Integers from -3 to 3: windows are full of ties. */
static void test_pools(void **state) {
  (void)state;
  try_all("sumpool", sumpool_op, 2, 0);
  try_all("maxpool", maxpool_op, 4, 0);
  try_all("maxpool_dx", maxpool_dx_op, 4, 0);
  for (int i = 0; i < CHANNELS; i++) /* windows that tile the operand */
    try_shape("maxpool_dx_tiles", maxpool_dx_op, channels[i], 2, (const int64_t[]){6, 10}, 0, 0);
}

/* ---- interpolation ---- */

static const int64_t sizes[5][3] = {{11, 19, 9}, {3, 4, 5}, {1, 1, 1}, {6, 10, 6}, {12, 5, 7}};
static int up_op(Fn *f, int x, int v) { return ir_resize(f, OP_resize, x, sizes[v % 5], v % 2); }
static int down_op(Fn *f, int x, int v) { return ir_resize(f, OP_resize_dx, x, sizes[v % 5], v % 2); }

static void test_resize(void **state) {
  (void)state;
  try_all("resize", up_op, 9, 2e-6);
  try_all("resize_dx", down_op, 9, 2e-6);
}

/* One axis changes, the others are copied: rows are as long as the axes behind it. */
static int one_axis(Fn *f, Op op, int x, int v) {
  int64_t size[3] = {0};
  int ns = f->node[x].type.rank - 2;
  memcpy(size, f->node[x].type.dim + 2, (size_t)ns * sizeof *size);
  size[v / 2 % ns] = op == OP_resize ? 2 * size[v / 2 % ns] + 1 : size[v / 2 % ns] / 3 + 1;
  return ir_resize(f, op, x, size, v % 2);
}
static int up_axis_op(Fn *f, int x, int v) { return one_axis(f, OP_resize, x, v); }
static int down_axis_op(Fn *f, int x, int v) { return one_axis(f, OP_resize_dx, x, v); }

static void test_resize_axis(void **state) {
  (void)state;
  try_all("resize_axis", up_axis_op, 6, 2e-6);
  try_all("resize_dx_axis", down_axis_op, 6, 2e-6);
}

/* Coordinates that are exact in binary: exact results. */
static int exact_op(Fn *f, int x, int v) {
  static const int64_t twice[2] = {8, 16}, corners[2] = {7, 15};
  return ir_resize(f, OP_resize, x, v ? corners : twice, v);
}
static int exact_dx_op(Fn *f, int x, int v) {
  static const int64_t half[2] = {4, 8};
  (void)v;
  return ir_resize(f, OP_resize_dx, x, half, 0);
}
static void test_resize_exact(void **state) {
  (void)state;
  static const int64_t small[2] = {4, 8}, large[2] = {8, 16};
  for (int i = 0; i < CHANNELS; i++) {
    try_shape("resize_exact", exact_op, channels[i], 2, small, i % 2, 0);
    try_shape("resize_dx_exact", exact_dx_op, channels[i], 2, large, 0, 0);
  }
}

/* ---- computed places ---- */

static double codes(const char *name, int64_t i, Type t) {
  return t.dt == I32 ? (double)i : run_fill_int(name, i, t);
}

/* Eight samples, one for each code; both modes; images and labels. */
static void orient(int64_t c, int ns, int mode, DType dt) {
  static const int64_t s[3] = {5, 5, 3};
  Arena *a = arena_new();
  Fn *f = one_begin(a, arena_printf(a, "orient_c%d_%dd_mode%d", (int)c, ns, mode));
  Type t = image(8, c, ns, s);
  t.dt = dt;
  int x = ir_input(f, "x", t), y = ir_orient(f, x, ir_input(f, "code", type_i32(1, 8)), mode);
  fn_output(f, "y", y);
  one_layout(f, -1);
  f->node[y].group = 0;
  f->group = arena_alloc(a, sizeof *f->group);
  f->group[0] = (Group){G_MOVE, y};
  f->ngroup = f->capgroup = 1;
  Emit *e = emit_new(a, f, NULL);
  assert_true(emit_move(e, group_values(f)));
  RunCase rc = run_case(f, 0);
  rc.fill = dt == I32 ? run_fill_int : codes;
  run_check(&rc, e);
  arena_free(a);
}

static void test_orient(void **state) {
  (void)state;
  for (int i = 0; i < CHANNELS; i++) orient(channels[i], 2 + i % 2, i / 2 % 2, F32);
  for (int mode = 0; mode < 2; mode++) {
    orient(1, 2, mode, F32);
    orient(17, 3, mode, F32);
    orient(1, 2, mode, I32);
  }
}

static int argmax_op(Fn *f, int x, int v) { return ir_argreduce(f, OP_argmax, x, v % f->node[x].type.rank); }
static int argmin_op(Fn *f, int x, int v) { return ir_argreduce(f, OP_argmin, x, v % f->node[x].type.rank); }
static void test_arg(void **state) {
  (void)state;
  try_all("argmax", argmax_op, 5, 0);
  try_all("argmin", argmin_op, 5, 0);
}

/* Integers move too. */
static void test_labels(void **state) {
  (void)state;
  for (int op = 0; op < 2; op++) {
    Arena *a = arena_new();
    Fn *f = one_begin(a, op ? "upsampled labels" : "padded labels");
    int x = ir_input(f, "x", type_i32(4, 2, 1, 8, 9));
    int y = op ? ir_upsample(f, x, (int64_t[MAX_SPATIAL]){2, 3}) : ir_pad(f, x, 3, 2, 1);
    fn_output(f, "y", y);
    one_layout(f, -1);
    one_check(f, G_MOVE, y, emit_move, 0);
    arena_free(a);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_boxes),  cmocka_unit_test(test_reshape),     cmocka_unit_test(test_pools),
      cmocka_unit_test(test_resize), cmocka_unit_test(test_resize_axis), cmocka_unit_test(test_resize_exact),
      cmocka_unit_test(test_orient), cmocka_unit_test(test_arg),         cmocka_unit_test(test_labels)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
