/* test_conv.c - convolutions and their gradients, compiled, against the reference interpreter: small
 * integers, so exactly. */
#include "passes/fuse/fuse.h"
#include "tests/codegen/emit/run_emit.h"
#ifndef CONV_MACHINE
#define CONV_MACHINE machine_host
#define CONV_RANDOM  1 /* one random shape in so many, and not all directions of the others */
#endif

typedef struct {
  int ns;
  int64_t n, c, o, size[MAX_SPATIAL], k[MAX_SPATIAL];
  ConvGeom geom;
} Shape;

/* ---- functions as pass fuse would leave them ---- */

static Type image(const Shape *s, int64_t n, int64_t c, const int64_t *size) {
  Type t = {.dt = F32, .rank = s->ns + 2, .dim = {n, c}};
  for (int i = 0; i < s->ns; i++) t.dim[2 + i] = size[i];
  return t;
}

static void ones(const Shape *s, int64_t *size) {
  for (int i = 0; i < s->ns; i++) size[i] = 1;
}

static void result_size(const Shape *s, int64_t *size) {
  for (int i = 0; i < s->ns; i++)
    size[i] = (s->size[i] + 2 * s->geom.pad[i] - s->k[i]) / s->geom.stride[i] + 1;
}

static bool possible(const Shape *s) {
  for (int i = 0; i < s->ns; i++)
    if (s->size[i] + 2 * s->geom.pad[i] < s->k[i]) return false;
  return true;
}

/* The direct kernels; test_wino.c is about the others. */
static Fn *function(Arena *a) {
  Program *p = prog_new(a);
  p->winograd = false;
  return fn_new(p, "test", FN_FORWARD);
}

/* Sets memory orders; `weights` is the one node of weight order. All nodes but leaves are one group. */
static void one_group(Fn *f, int kind, int anchor, int weights) {
  for (int i = 0; i < f->n; i++) {
    Node *n = &f->node[i];
    order_channels_last(n->order, n->type.rank);
    if (i == weights) order_weights(n->order, n->type.rank);
    n->group = op_info[n->op].cls == LEAF ? -1 : 0;
  }
  *ARENA_PUSH(f->prog->arena, f->group, f->ngroup, f->capgroup) = (Group){kind, anchor};
}

static void check_emitted(Fn *f, const char *what, bool (*emit)(Emit *, const GroupInfo *)) {
  Emit *e = emit_new(f->prog->arena, f, NULL);
  e->machine = &(CONV_MACHINE);
  e->stream_from = RUN_STREAM_ALL;
  if (!emit(e, group_values(f))) fail_msg("%s: %s", what, e->err);
  RunCase c = run_case(f, 0);
  c.what = what;
  run_check(&c, e);
}

static void check(Fn *f, const char *what, bool (*emit)(Emit *, const GroupInfo *)) {
  char err[256] = "";
  if (f->err[0]) fail_msg("%s: %s", what, f->err);
  if (!fn_verify(f, err)) fail_msg("%s: %s", what, err);
  check_emitted(f, what, emit);
  if (!run_bf16_too()) return;
  run_bf16(f);
  check_emitted(f, what, emit);
}

/* relu(y + bias) * gate(N,1,S) + residual; the convolution itself is a result too when asked. */
static int epilogue(Fn *f, const Shape *s, int y, int form) {
  Type t = f->node[y].type;
  int64_t one[MAX_SPATIAL];
  ones(s, one);
  if (!form) return y;
  int v = ir_add(f, y, ir_input(f, "bias", image(s, 1, t.dim[1], one)));
  v = ir_unary(f, OP_relu, v);
  if (form >= 2) v = ir_mul(f, v, ir_input(f, "gate", image(s, t.dim[0], 1, t.dim + 2)));
  v = ir_add(f, v, ir_input(f, "residual", t));
  if (form == 3) fn_output(f, "conv", y);
  return v;
}

enum { FWD, BWD_D, BWD_W, DIRECTIONS };

static void check_conv(const Shape *s, int direction, int form) {
  static const char *const name[] = {"fwd", "bwd_d", "bwd_w"};
  Arena *a = arena_new();
  Fn *f = function(a);
  int64_t out[MAX_SPATIAL];
  result_size(s, out);
  Type w = image(s, s->o, s->c, s->k), x = image(s, s->n, s->c, s->size), y = image(s, s->n, s->o, out);
  int in[2], anchor, weights;
  if (direction == FWD) {
    in[0] = ir_input(f, "x", x), in[1] = ir_input(f, "w", w);
    anchor = ir_conv(f, in[0], in[1], &s->geom);
    weights = in[1];
  } else if (direction == BWD_D) {
    in[0] = ir_input(f, "dy", y), in[1] = ir_input(f, "w", w);
    anchor = ir_conv_grad(f, OP_conv_dx, in[0], in[1], &s->geom, s->size);
    weights = in[1];
  } else {
    in[0] = ir_input(f, "x", x), in[1] = ir_input(f, "dy", y);
    weights = anchor = ir_conv_grad(f, OP_conv_dw, in[0], in[1], &s->geom, s->k);
  }
  if (f->err[0]) fail_msg("%s", f->err);
  fn_output(f, "y", direction == BWD_W ? anchor : epilogue(f, s, anchor, form));
  one_group(f, direction == BWD_W ? G_WGRAD : G_CONV, anchor, weights);
  char what[160];
  snprintf(what, sizeof what,
           "%s form %d: n%ld c%ld o%ld size %ldx%ldx%ld k %ldx%ldx%ld s %ld,%ld,%ld p %ld,%ld,%ld",
           name[direction], form, (long)s->n, (long)s->c, (long)s->o, (long)s->size[0], (long)s->size[1],
           (long)s->size[2], (long)s->k[0], (long)s->k[1], (long)s->k[2], (long)s->geom.stride[0],
           (long)s->geom.stride[1], (long)s->geom.stride[2], (long)s->geom.pad[0], (long)s->geom.pad[1],
           (long)s->geom.pad[2]);
  check(f, what, direction == BWD_W ? emit_wgrad : emit_conv);
  arena_free(a);
}

/* ---- shapes ---- */

static uint32_t state;
static int64_t pick(int n, const int64_t *of) {
  state = state * 1664525u + 1013904223u;
  return of[(state >> 16) % (uint32_t)n];
}
#define PICK(...) pick(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})

static Shape random_shape(int ns) {
  Shape s = {.ns = ns, .n = PICK(1, 1, 2, 3)};
  do {
    s.c = PICK(1, 2, 3, 5, 16, 17, 33, 64);
    s.o = PICK(1, 2, 3, 5, 16, 17, 33, 64);
    for (int i = 0; i < ns; i++) {
      s.k[i] = ns == 3 ? PICK(1, 2, 3) : PICK(1, 2, 3, 3, 4, 5, 7);
      s.geom.stride[i] = PICK(1, 1, 2, 3);
      s.geom.pad[i] = PICK(0, 1, 1, 2, 3);
      s.size[i] = ns == 3 ? PICK(1, 2, 3, 5, 7) : PICK(1, 2, 3, 7, 9, 15, 19);
    }
  } while (!possible(&s) || s.c * s.o > 2000);
  return s;
}

static void random_shapes(int ns, int count) {
  state = 12345u + (uint32_t)ns;
  for (int i = 0; i < count; i++) {
    Shape s = random_shape(ns);
    if (i % CONV_RANDOM) continue;
    check_conv(&s, FWD, i % 4);
    check_conv(&s, BWD_D, (i + 1) % 4);
    check_conv(&s, BWD_W, 0);
  }
}

static void test_random_1d(void **unused) { (void)unused, random_shapes(1, 6); }
static void test_random_2d(void **unused) { (void)unused, random_shapes(2, 16); }
static void test_random_3d(void **unused) { (void)unused, random_shapes(3, 10); }

/* What the networks have, small: every path of the planner (panels, several tasks, folded rows, phases
 * without taps). */
static const Shape network[] = {
    {2, 2, 3, 33, {20, 20}, {3, 3}, {{1, 1}, {1, 1}}},
    {2, 1, 17, 160, {16, 16}, {3, 3}, {{1, 1}, {1, 1}}}, /* panels, block loop */
    {2, 2, 33, 64, {30, 31}, {1, 1}, {{1, 1}, {0, 0}}},  /* folded rows */
    {2, 1, 16, 130, {33, 17}, {1, 1}, {{1, 1}, {0, 0}}}, /* folded rows of panels, prime extents */
    {2, 2, 8, 16, {16, 16}, {2, 2}, {{2, 2}, {0, 0}}},   /* V-Net up and down */
    {2, 2, 5, 16, {16, 16}, {4, 4}, {{2, 2}, {1, 1}}},   /* discriminator */
    {2, 1, 16, 8, {17, 19}, {1, 1}, {{2, 2}, {0, 0}}},   /* phases without taps, pixels beyond the forward */
    {2, 1, 4, 4, {11, 11}, {2, 2}, {{3, 3}, {0, 0}}},
    {2, 2, 40, 48, {64, 40}, {3, 3}, {{1, 1}, {1, 1}}}, /* several parts in bwd_w */
    {3, 1, 16, 16, {9, 12, 20}, {3, 3, 3}, {{1, 1, 1}, {1, 1, 1}}},
    {3, 1, 24, 40, {7, 7, 5}, {3, 3, 3}, {{1, 1, 1}, {1, 1, 1}}},
    {3, 1, 16, 32, {8, 8, 8}, {2, 2, 2}, {{2, 2, 2}, {0, 0, 0}}},
    {2, 1, 64, 2, {24, 24}, {1, 1}, {{1, 1}, {0, 0}}}, /* class scores */
    {2, 1, 3, 5, {1, 40}, {1, 7}, {{1, 1}, {0, 3}}},
    {2, 1, 3, 5, {40, 1}, {1, 1}, {{1, 1}, {0, 0}}},
    {2, 1, 34, 24, {7, 300}, {3, 3}, {{1, 1}, {1, 1}}}, /* bwd_w: boxes of parts of rows .. */
    {2, 2, 33, 40, {37, 70}, {3, 3}, {{2, 2}, {1, 1}}}, /* .. whose pixels are every other one */
    {3, 1, 34, 40, {9, 10, 11}, {3, 3, 3}, {{1, 1, 1}, {1, 1, 1}}},
    {2, 2, 1, 40, {20, 300}, {3, 3}, {{1, 1}, {1, 1}}}, /* first layers: taps and channels together */
    {3, 1, 2, 16, {12, 11, 13}, {3, 3, 3}, {{1, 2, 1}, {1, 1, 0}}},
    {3, 2, 2, 2, {8, 16, 8}, {3, 3, 3}, {{1, 1, 1}, {1, 1, 1}}}, /* .. whose boxes are large for their taps */
    {2, 2, 4, 5, {40, 60}, {5, 5}, {{1, 1}, {2, 2}}},
    {2, 1, 500, 70, {16, 17}, {1, 1}, {{1, 1}, {0, 0}}},  /* slices of both */
    {2, 1, 41, 24, {181, 180}, {1, 1}, {{1, 1}, {0, 0}}}, /* operands asked for ahead */
    /* bwd_w of windows that lie apart: in place, asked for ahead, in panels of several runs of channels, of a
     * part of one */
    {3, 1, 16, 32, {9, 12, 17}, {2, 2, 2}, {{2, 2, 2}, {0, 0, 0}}},
    {3, 1, 16, 2, {41, 40, 84}, {2, 2, 2}, {{2, 2, 2}, {0, 0, 0}}},
    {3, 1, 17, 33, {9, 7, 11}, {2, 1, 3}, {{3, 2, 3}, {0, 0, 0}}},
    {3, 2, 64, 18, {6, 9, 30}, {2, 2, 2}, {{2, 2, 2}, {0, 0, 0}}},
    {2, 2, 150, 20, {12, 45}, {2, 3}, {{2, 3}, {0, 0}}},
    {2, 1, 500, 20, {9, 9}, {1, 1}, {{2, 2}, {0, 0}}},
    /* numbers of channels that have no divisor of a slice's size */
    {2, 1, 3001, 2, {12, 15}, {1, 1}, {{1, 1}, {0, 0}}},
    {2, 1, 1201, 3, {5, 6}, {3, 3}, {{1, 1}, {1, 1}}},
    {2, 1, 2998, 4, {5, 6}, {1, 1}, {{1, 1}, {0, 0}}},
};

static void test_network_shapes(void **unused) {
  (void)unused;
  for (size_t i = 0; i < sizeof network / sizeof *network; i++)
    for (int d = 0; d < DIRECTIONS; d++)
      if (CONV_RANDOM == 1 || d == (int)i % DIRECTIONS) check_conv(&network[i], d, (int)(i + 1) % 4);
}

/* ---- DyBAC: conv_dw of a 1x1 convolution whose input is recomputed ---- */

static void check_dybac(const Shape *s, bool gated) {
  Arena *a = arena_new();
  Fn *f = function(a);
  int64_t out[MAX_SPATIAL], one[MAX_SPATIAL];
  result_size(s, out);
  ones(s, one);
  int x = ir_input(f, "x", image(s, s->n, s->c, s->size)), w = ir_input(f, "w", image(s, s->n, s->c, s->k));
  if (gated) x = ir_mul(f, x, ir_input(f, "gate", image(s, s->n, 1, s->size)));
  int z = ir_dwconv(f, x, w, &s->geom), dy = ir_input(f, "dy", image(s, s->n, s->o, out));
  int dw = ir_conv_grad(f, OP_conv_dw, z, dy, &geom_unit, one);
  fn_output(f, "dw", dw);
  one_group(f, G_WGRAD, dw, dw);
  check(f, gated ? "recomputed input, gated" : "recomputed input", emit_wgrad);
  arena_free(a);
}

static void test_dybac(void **unused) {
  (void)unused;
  static const Shape shape[] = {
      {2, 2, 5, 7, {9, 11}, {3, 3}, {{1, 1}, {1, 1}}},
      {2, 2, 64, 33, {20, 24}, {3, 3}, {{1, 1}, {1, 1}}},
      {2, 1, 144, 40, {64, 48}, {3, 3}, {{1, 1}, {1, 1}}}, /* several slices, boxes and parts */
      {2, 2, 17, 16, {13, 10}, {3, 3}, {{2, 2}, {1, 1}}},
      {2, 1, 33, 24, {17, 150}, {3, 3}, {{1, 1}, {1, 1}}}, /* boxes of parts of rows */
      {3, 1, 16, 32, {6, 7, 9}, {3, 3, 3}, {{1, 1, 1}, {1, 1, 1}}},
      {3, 2, 20, 5, {5, 7, 8}, {3, 3, 3}, {{2, 2, 2}, {1, 1, 1}}},
      {2, 1, 2999, 2, {12, 15}, {3, 3}, {{1, 1}, {1, 1}}}, /* a number without divisors */
  };
  for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
    for (int gated = 0; gated < 2; gated++) check_dybac(&shape[i], gated);
}

/* ---- what cannot be compiled is refused with a reason ---- */

static void test_wrong_order(void **unused) {
  (void)unused;
  Arena *a = arena_new();
  Fn *f = function(a);
  Shape s = {2, 1, 4, 4, {8, 8}, {3, 3}, {{1, 1}, {1, 1}}};
  int x = ir_input(f, "x", image(&s, 1, 4, s.size)), w = ir_input(f, "w", image(&s, 4, 4, s.k));
  int y = ir_conv(f, x, w, &s.geom);
  fn_output(f, "y", y);
  one_group(f, G_CONV, y, -1);
  Emit *e = emit_new(a, f, NULL);
  assert_false(emit_conv(e, group_values(f)));
  assert_non_null(strstr(e->err, "(K.., C, O)"));
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_network_shapes), cmocka_unit_test(test_random_1d),
      cmocka_unit_test(test_random_2d),      cmocka_unit_test(test_random_3d),
      cmocka_unit_test(test_dybac),          cmocka_unit_test(test_wrong_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
