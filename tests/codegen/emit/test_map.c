/* test_map.c - map kernels against the interpreter: every elementwise op, broadcasts, reductions over any
 * axes, channels unrolled and by lanes, and the pieces of training steps they are made for. */
#include "tests/test.h"
#include "passes/fuse/fuse.h"
#include "passes/passes.h"
#include "tests/one_arena.h"
#include "tests/codegen/emit/run_emit.h"
#include "ir/philox.h"
#include "tests/ir/gen.h"

static uint64_t drawn;

static int draw(int n) {
  uint32_t x[4];
  philox_at(x, 11, 0, 0, drawn++);
  return (int)(x[0] % (uint32_t)n);
}

static Fn *new_fn(const char *name) { return fn_new(prog_new(arena), name, FN_FORWARD); }

static int arg(Fn *f, Type t) { return ir_input(f, arena_printf(arena, "x%d", f->n), t); }

static bool ends_group(const Fn *f, const Node *n) {
  if (op_info[n->op].cls != RED) return false;
  unsigned axes = n->op == OP_argmax || n->op == OP_argmin ? 1u << n->at.axis : n->at.axes;
  Type t = f->node[n->in[0]].type;
  for (int a = 0; a < t.rank; a++)
    if (a != 1 && axes >> a & 1 && t.dim[a] > 1) return true;
  return t.rank > 1 && axes & 2 && t.dim[1] > MAP_UNROLL_C;
}

/* Groups as wide as the contract allows: what follows a reduction starts the next one. */
static void group_all(Fn *f) {
  f->ngroup = 0;
  for (int i = 0; i < f->n; i++) {
    Node *n = &f->node[i];
    n->group = -1;
    if (n->type.rank >= 4) order_channels_last(n->order, n->type.rank);
    else order_identity(n->order);
    if (n->op == OP_input || n->op == OP_var || (n->op == OP_const && !n->type.rank)) continue;
    n->group = 0;
    for (int j = 0; j < n->nin; j++) {
      const Node *in = &f->node[n->in[j]];
      int after = in->group + (ends_group(f, in) ? 1 : 0);
      if (after > n->group) n->group = after;
    }
    while (f->ngroup <= n->group) *ARENA_PUSH(arena, f->group, f->ngroup, f->capgroup) = (Group){G_MAP, -1};
  }
}

/* Every value nobody reads becomes an output. */
static void output_ends(Fn *f) {
  for (int i = 0; i < f->n; i++) {
    bool read = op_info[f->node[i].op].cls == LEAF;
    for (int j = i + 1; j < f->n; j++)
      for (int l = 0; l < f->node[j].nin; l++) read = read || f->node[j].in[l] == i;
    if (!read) fn_output(f, arena_printf(arena, "y%d", i), i);
  }
}

static Emit *emit_groups(const Fn *f) {
  Emit *e = emit_new(arena, f, NULL);
  e->stream_from = RUN_STREAM_ALL;
  const GroupInfo *g = group_values(f);
  for (int i = 0; i < f->ngroup; i++)
    if (!emit_map(e, &g[i])) fail_msg("%s: %s", f->name, e->err);
  return e;
}

static Emit *emit_maps(Fn *f) {
  if (f->err[0]) fail_msg("%s: %s", f->name, f->err);
  group_all(f);
  return emit_groups(f);
}

/* With bf16 a value near the middle of two may go the other way than the interpreter's, and what follows with
 * it. */
static const double bf16_tolerance = 0x1p-5;

static void check_bf16(Fn *f, double tolerance) {
  if (!run_bf16_too()) return;
  run_bf16(f);
  RunCase c = run_case(f, tolerance > 0 ? bf16_tolerance : 0);
  run_check(&c, emit_groups(f));
}

static Emit *check(Fn *f, double tolerance) {
  output_ends(f);
  Emit *e = emit_maps(f);
  RunCase c = run_case(f, tolerance);
  run_check(&c, e);
  check_bf16(f, tolerance);
  return e;
}

static const int channel_counts[] = {1, 2, 3, 5, 8, 16, 17, 64};

/* Small images are one task with blocks of one vector, large ones are many tasks with whole blocks and
 * rests. */
static Type image(int n, int c, bool deep, bool large) {
  if (large) return deep ? type_f32(5, n, c, 9, 11, 13) : type_f32(4, n, c, 37, 39);
  return deep ? type_f32(5, n, c, 3, 4, 5) : type_f32(4, n, c, 7, 9);
}

/* ---- elementwise ---- */

/* t with some extents made 1. */
static Type narrower(Type t) {
  for (int a = 0; a < t.rank; a++)
    if (draw(2)) t.dim[a] = 1;
  return draw(6) ? t : type_scalar();
}

static void random_step(Fn *f, int *value, int n, bool products) {
  static const Op unary[] = {OP_neg, OP_abs, OP_relu, OP_floor, OP_leaky};
  static const Op binary[] = {OP_add, OP_sub, OP_min, OP_max, OP_lt, OP_le, OP_eq, OP_mul};
  int a = value[draw(n)], b = value[draw(n)], kind = draw(8);
  Op op = unary[draw(5)];
  if (kind == 0) value[n] = op == OP_leaky ? ir_leaky(f, a, 0.5) : ir_unary(f, op, a);
  else if (kind == 1) value[n] = ir_select(f, ir_binary(f, OP_lt, a, b), value[draw(n)], b);
  else if (kind == 2) value[n] = ir_select(f, value[draw(n)], a, b);
  else if (kind == 3) value[n] = ir_cast(f, ir_cast(f, a, I32), F32);
  else value[n] = ir_binary(f, binary[draw(products ? 8 : 7)], a, b);
}

ARENA_TEST(elementwise_agrees) {
  for (int i = 0; i < 32; i++) {
    Fn *f = new_fn(arena_printf(arena, "elementwise %d", i));
    int value[32], n = 0;
    Type t = image(1 + draw(3), channel_counts[i % 8], i / 8 % 2, i % 3 == 1);
    if (i >= 24) t = i % 2 ? type_f32(2, 5, 19) : type_f32(3, 3, 6, 11);
    value[n++] = arg(f, t);
    for (int j = 0; j < 3; j++) value[n++] = arg(f, narrower(t));
    if (draw(2))
      value[n++] =
          ir_cast(f, arg(f, (Type){.dt = I32, .rank = t.rank, .dim = {t.dim[0], 1, t.dim[2], 1, 1}}), F32);
    for (int j = 0; j < 12; j++) random_step(f, value, n, j < 3), n++;
    check(f, 0);
  }
}

ARENA_TEST(functions_agree) {
  static const Op ops[] = {OP_exp, OP_sigmoid, OP_tanh, OP_sin, OP_cos};
  Fn *f = new_fn("functions");
  int x = arg(f, type_f32(4, 2, 17, 5, 3)), positive = ir_add(f, ir_unary(f, OP_abs, x), ir_const(f, 0.125));
  for (int i = 0; i < 5; i++) ir_unary(f, ops[i], ir_scale(f, x, 3));
  ir_unary(f, OP_log, positive);
  ir_unary(f, OP_sqrt, positive);
  ir_unary(f, OP_rsqrt, positive);
  static const double powers[] = {0, 1, 2, 3, 7, 0.5, 0.9, 2.5, -1, -2, -0.5, -1.3};
  for (int i = 0; i < 12; i++) ir_powc(f, positive, powers[i]);
  ir_powc(f, ir_unary(f, OP_relu, x), 0.9);
  ir_div(f, x, positive);
  check(f, 4e-6);
}

ARENA_TEST(integers_agree) {
  Fn *f = new_fn("integers");
  Type t = {.dt = I32, .rank = 4, .dim = {2, 3, 5, 7}};
  int a = arg(f, t), b = arg(f, (Type){.dt = I32, .rank = 4, .dim = {1, 3, 1, 1}}), one = ir_splat(f, 1, t);
  int s = ir_sub(f, ir_mul(f, a, b), ir_add(f, b, one));
  ir_select(f, ir_binary(f, OP_eq, a, b), ir_unary(f, OP_neg, s), ir_unary(f, OP_abs, s));
  Type across = {.dt = I32, .rank = 4, .dim = {1, 1, 1, 7}},
       down = {.dt = I32, .rank = 4, .dim = {2, 1, 1, 1}};
  ir_binary(f, OP_max, ir_iota(f, 3, across), ir_sub(f, ir_iota(f, 0, down), b));
  ir_sum(f, ir_cast(f, s, F32), 15);
  check(f, 0);
}

ARENA_TEST(leaves_agree) {
  for (int i = 0; i < 8; i++) {
    Fn *f = new_fn(arena_printf(arena, "leaves, %d channels", channel_counts[i]));
    Type t = image(2, channel_counts[i], i % 2, i % 3 == 1), plane = t;
    plane.dim[1] = 1;
    int x = arg(f, t), u = ir_rand(f, 0, 5, t);
    ir_mul(f, x, ir_binary(f, OP_lt, u, ir_const(f, 0.5)));
    ir_add(f, x, ir_rand(f, 0, 6, plane));
    Type channels = t;
    for (int a = 0; a < t.rank; a++)
      if (a != 1) channels.dim[a] = 1;
    ir_add(f, ir_broadcast(f, ir_const(f, 2), t), ir_iota(f, 1, channels));
    ir_mul(f, ir_rand(f, 1, 9, t), ir_splat(f, 0.25, t));
    check(f, 1e-5);
  }
}

/* ---- reductions ---- */

ARENA_TEST(reductions_agree) {
  static const Op ops[] = {OP_sum, OP_amax, OP_amin};
  for (int i = 0; i < 40; i++) {
    Fn *f = new_fn(arena_printf(arena, "reductions %d", i));
    Type t = image(1 + i % 3, channel_counts[i % 8], i / 8 % 2, i % 3 == 1);
    if (i >= 32) t = i % 2 ? type_f32(3, 4, 9, 13) : type_f32(2, 6, channel_counts[i - 32]);
    int x = arg(f, t), y = ir_mul(f, ir_add(f, x, arg(f, narrower(t))), x);
    for (int j = 0; j < 4; j++)
      ir_reduce(f, ops[j % 3], j % 2 ? x : y, 1 + (unsigned)draw((1 << t.rank) - 1));
    ir_sum(f, y, all_axes(t)), ir_sum(f, x, t.rank > 2 ? all_axes(t) & ~2u : 1);
    check(f, 0);
  }
}

/* Enough for many tasks: partial results are joined. */
ARENA_TEST(large_reductions_agree) {
  static const int channels[] = {1, 2, 3, 16, 64};
  for (int i = 0; i < 5; i++) {
    Fn *f = new_fn(arena_printf(arena, "large reductions, %d channels", channels[i]));
    Type t = type_f32(4, 2, channels[i], 61, 64);
    int x = arg(f, t), y = ir_mul(f, x, arg(f, t)), w = ir_mul(f, y, arg(f, type_f32(4, 2, 1, 61, 64)));
    ir_sum(f, y, 15), ir_sum(f, y, 13), ir_sum(f, w, 12), ir_sum(f, x, 1), ir_sum(f, x, 2);
    ir_reduce(f, OP_amax, y, 13), ir_reduce(f, OP_amin, w, 15), ir_sum(f, w, 8), ir_sum(f, x, 5);
    check(f, 0);
  }
}

static double fill_tenths(const char *name, int64_t i, Type t) {
  (void)name, (void)i, (void)t;
  return (double)0.1f;
}

ARENA_TEST(long_sums_stay_accurate) {
  Fn *f = new_fn("long sums");
  int x = arg(f, type_f32(4, 1, 1, 1024, 2048)), y = arg(f, type_f32(4, 4, 16, 128, 128));
  ir_sum(f, x, 15), ir_sum(f, y, 13), ir_sum(f, y, 15), ir_sum(f, y, 12);
  output_ends(f);
  RunCase c = run_case(f, 2e-6);
  c.fill = fill_tenths;
  run_check(&c, emit_maps(f));
}

ARENA_TEST(argreductions_agree) {
  for (int i = 0; i < 5; i++) {
    Fn *f = new_fn(arena_printf(arena, "arg, %d channels", channel_counts[i]));
    int x = arg(f, image(2, channel_counts[i], i % 2, i > 2)), m = ir_argreduce(f, OP_argmax, x, 1);
    ir_argreduce(f, OP_argmin, x, 1);
    ir_binary(f, OP_eq, m, ir_splat(f, 1, f->node[m].type));
    ir_sum(f, ir_cast(f, m, F32), all_axes(f->node[m].type));
    check(f, 0);
  }
}

/* ---- pieces of training steps ---- */

static int softmax_parts(Fn *f, int x, int *log_p) {
  int d = ir_sub(f, x, ir_reduce(f, OP_amax, x, 2)), e = ir_unary(f, OP_exp, d), s = ir_sum(f, e, 2);
  *log_p = ir_sub(f, d, ir_unary(f, OP_log, s));
  return ir_div(f, e, s);
}

/* Softmax, cross entropy and Dice with their gradient by the logits. */
ARENA_TEST(segmentation_losses_agree) {
  for (int i = 1; i < 8; i++) {
    Fn *f = new_fn(arena_printf(arena, "losses, %d channels", channel_counts[i]));
    Type t = image(2, channel_counts[i], i % 2, i % 3 < 2), labels = t, classes = t;
    labels.dt = classes.dt = I32, labels.dim[1] = 1;
    for (int a = 0; a < t.rank; a++)
      if (a != 1) classes.dim[a] = 1;
    int x = arg(f, t), y = arg(f, labels), onehot = ir_binary(f, OP_eq, y, ir_iota(f, 1, classes)), log_p;
    int p = softmax_parts(f, x, &log_p);
    int ce = ir_scale(f, ir_sum(f, ir_mul(f, onehot, log_p), all_axes(t)), -1e-2);
    int both = ir_sum(f, ir_mul(f, p, onehot), all_axes(t)),
        sizes = ir_sum(f, ir_add(f, p, onehot), all_axes(t));
    ir_add(f, ce, ir_div(f, both, sizes));
    ir_sum(f, ir_mul(f, p, p), all_axes(t) & ~2u);
    ir_scale(f, ir_sub(f, p, onehot), 1e-2);
    if (channel_counts[i] <= MAP_UNROLL_C) ir_argreduce(f, OP_argmax, p, 1);
    check(f, 1e-5);
  }
}

static int channel_view(Fn *f, int v, int rank) {
  Type t = type_f32(5, 1, (int)f->node[v].type.dim[0], 1, 1, 1);
  t.rank = rank;
  return ir_reshape(f, v, t);
}

/* Training-mode batch normalisation with ReLU, running statistics, and its gradient. */
ARENA_TEST(batch_norm_agrees) {
  for (int i = 0; i < 8; i++) {
    Fn *f = new_fn(arena_printf(arena, "batch norm, %d channels", channel_counts[i]));
    int c = channel_counts[i];
    Type t = i % 2 ? type_f32(5, 2, c, 6, 5, 8) : type_f32(4, 3, c, 32, 33);
    unsigned axes = all_axes(t) & ~2u;
    double count = (double)(type_count(t) / c);
    int x = arg(f, t), dy = arg(f, t), gamma = arg(f, type_f32(1, c)), beta = arg(f, type_f32(1, c));
    int mean = ir_scale(f, ir_sum(f, x, axes), 1 / count), d = ir_sub(f, x, mean);
    int var = ir_scale(f, ir_sum(f, ir_mul(f, d, d), axes), 1 / count);
    int rstd = ir_unary(f, OP_rsqrt, ir_add(f, var, ir_const(f, 1e-5))), hat = ir_mul(f, d, rstd);
    int y = ir_add(f, ir_mul(f, hat, channel_view(f, gamma, t.rank)), channel_view(f, beta, t.rank));
    int r = ir_unary(f, OP_relu, y), g = ir_mul(f, dy, ir_binary(f, OP_lt, ir_const(f, 0), r));
    int dbeta = ir_scale(f, ir_sum(f, g, axes), 1 / count),
        dgamma = ir_scale(f, ir_sum(f, ir_mul(f, g, hat), axes), 1 / count);
    int dx = ir_mul(f, ir_mul(f, ir_sub(f, ir_sub(f, g, dbeta), ir_mul(f, hat, dgamma)), rstd),
                    channel_view(f, gamma, t.rank));
    fn_output(f, "dx", dx), fn_output(f, "r", r);
    ir_add(f, ir_scale(f, var, 0.1), ir_scale(f, arg(f, f->node[var].type), 0.9));
    check(f, 2e-5);
  }
}

ARENA_TEST(adam_agrees) {
  static const int sizes[] = {1, 3, 100, 70001};
  for (int i = 0; i < 4; i++) {
    Fn *f = new_fn(arena_printf(arena, "adam %d", sizes[i]));
    Type t = type_f32(1, sizes[i]);
    int w = arg(f, t), g = arg(f, t), m0 = arg(f, t), v0 = ir_unary(f, OP_abs, arg(f, t)),
        rate = arg(f, type_scalar());
    int m = ir_add(f, ir_scale(f, m0, 0.9), ir_scale(f, g, 0.1));
    int v = ir_add(f, ir_scale(f, v0, 0.99), ir_scale(f, ir_mul(f, g, g), 0.01));
    int step = ir_div(f, m, ir_add(f, ir_unary(f, OP_sqrt, v), ir_const(f, 1e-3)));
    ir_sub(f, w, ir_mul(f, step, ir_scale(f, ir_powc(f, ir_unary(f, OP_abs, rate), 0.9), 1e-3)));
    fn_output(f, "m", m), fn_output(f, "v", v);
    check(f, 1e-5);
  }
}

/* ---- as the passes make them ---- */

ARENA_TEST(random_graphs_agree) {
  static Fn *(*const pass[])(Fn *, char *) = {pass_canon,    pass_simplify, pass_expand,
                                              pass_simplify, pass_layout,   pass_fuse};
  for (int i = 0; i < 24; i++) {
    char err[IR_ERR] = "";
    Program *p = prog_new(arena);
    Gen gen = gen_new(p, (uint64_t)i, GEN_RED | GEN_COMP | GEN_RAND);
    Fn *f = gen_fn(&gen, arena_printf(arena, "random %d", i), 6 + i);
    for (int j = 0; j < 6; j++)
      if (!(p->fn[0] = f = pass[j](f, err))) fail_msg("random %d: %s", i, err);
    Emit *e = emit_new(arena, f, NULL);
    if (i % 2) e->stream_from = RUN_STREAM_ALL;
    const GroupInfo *g = group_values(f);
    for (int j = 0; j < f->ngroup; j++)
      if (!emit_map(e, &g[j])) fail_msg("random %d: %s", i, e->err);
    RunCase c = run_case(f, 2e-5);
    run_check(&c, e);
    check_bf16(f, 2e-5);
  }
}

/* ---- what the launches promise ---- */

/* A result may lie over an input that is read at the same places; never over one read elsewhere. */
ARENA_TEST(overlays_are_offered) {
  Fn *f = new_fn("overlays");
  Type t = type_f32(4, 2, 16, 8, 8);
  int x = arg(f, t), bias = arg(f, type_f32(4, 1, 16, 1, 1));
  ir_unary(f, OP_relu, ir_add(f, x, bias));
  Emit *e = check(f, 0);
  assert_int_equal(e->nlaunch, 1);
  const Launch *l = &e->launch[0];
  assert_int_equal(l->nargs, 3);
  assert_int_equal(l->writes, 4);
  assert_int_equal(e->buffer[l->arg[l->may_alias[2]]].node, x);

  f = new_fn("no overlay");
  x = arg(f, t);
  ir_add(f, ir_sum(f, x, 2), arg(f, type_f32(4, 2, 1, 8, 8)));
  e = check(f, 0);
  for (int i = 0; i < e->launch[0].nargs; i++) assert_int_equal(e->launch[0].may_alias[i], -1);
}

/* The number of tasks is a matter of the shapes; equal kernels are one. */
ARENA_TEST(launches_share_kernels) {
  Fn *f = new_fn("two alike");
  Type t = type_f32(4, 4, 64, 64, 64);
  ir_unary(f, OP_relu, arg(f, t));
  output_ends(f);
  Emit *one = emit_maps(f);
  assert_int_equal(one->nlaunch, 1);
  assert_true(one->launch[0].tasks >= 16);
  Fn *h = new_fn("once more");
  ir_unary(h, OP_relu, arg(h, t));
  output_ends(h), group_all(h);
  Emit *e = emit_new(arena, h, one);
  assert_true(emit_map(e, &group_values(h)[0]));
  assert_int_equal(e->nkernel, one->nkernel);
  assert_int_equal(e->launch[0].kernel, one->launch[0].kernel);
}

ARENA_TEST(wide_groups_are_divided) {
  Fn *f = new_fn("many results");
  Type t = type_f32(2, 3, 5);
  for (int i = 0; i < 50; i++) ir_unary(f, OP_neg, arg(f, t));
  Emit *e = check(f, 0);
  assert_true(e->nlaunch > 1);
}

ARENA_TEST(misplaced_argmax_is_refused) {
  Fn *f = new_fn("argmax over rows");
  ir_argreduce(f, OP_argmax, arg(f, type_f32(4, 1, 2, 9, 9)), 2);
  output_ends(f), group_all(f);
  Emit *e = emit_new(arena, f, NULL);
  assert_false(emit_map(e, &group_values(f)[0]));
  assert_non_null(strstr(e->err, "argmax over axis 2"));
}

RUN_TESTS(NULL, NULL)
