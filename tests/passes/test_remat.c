/* test_remat.c - recomputation: values stay the same bit for bit at every level, the promises of
 * passes/fuse/fuse.h hold, each level needs less memory than the one before, counted here from the function's
 * text alone, and no budget is missed that can be met. */
#include <stdlib.h>
#include <string.h>
#include "tests/test.h"
#include "passes/fuse/fuse.h"
#include "passes/passes.h"
#include "ir/interp/interp.h"
#include "passes/fuse/check.h"
#include "passes/remat/work.h"
#include "tests/ir/gen.h"

static int one_of(Gen *g, const int *list, int n) { return list[gen_int(g, n)]; }

static const ConvGeom same = {{1, 1}, {1, 1}};

/* One forward step from x: convolution, normalisation, activation, gate by noise, up and down again, or
 * joining. */
static int forward(Gen *g, const int *made, int nmade, int w) {
  static const int64_t two[] = {2, 2};
  Fn *f = g->f;
  int x = made[nmade - 1], y;
  Type t = f->node[x].type;
  switch (gen_int(g, 7)) {
  case 0: return ir_conv(f, x, w, &same);
  case 1: return ir_unary(f, OP_relu, ir_sub(f, x, ir_mean(f, x, all_axes(t) & ~2u)));
  case 2: return ir_unary(f, OP_sigmoid, x);
  case 3: return ir_mul(f, x, ir_rand(f, 0, g->prog->sites++, t));
  case 4: return ir_sumpool(f, ir_upsample(f, x, two), two);
  case 5:
    y = ir_concat(f, 2, (int[]){x, one_of(g, made, nmade)}, 1);
    return ir_slice(f, y, 1, 2, 2 + t.dim[1]);
  default: return ir_add(f, ir_scale(f, x, 0.5), one_of(g, made, nmade));
  }
}

/* Forward steps, then as many backward ones, each of which reads what the forward one made. */
static Fn *training_like(Program *p, uint64_t seed) {
  static const int64_t three[] = {3, 3};
  Gen g = gen_new(p, seed, 0);
  Fn *f = g.f = fn_new(p, "random", FN_FORWARD);
  int made[40], n = 4 + gen_int(&g, 28), c = 4 + 2 * gen_int(&g, 3), side = 4 + 2 * gen_int(&g, 3);
  int w = ir_input(f, "w", type_f32(4, c, c, 3, 3));
  made[0] = ir_input(f, "x", type_f32(4, 2, c, side, side));
  for (int i = 1; i < n; i++) made[i] = forward(&g, made, i, w);
  int dy = ir_scale(f, made[n - 1], 0.25);
  for (int i = n - 1; i > 0; i--) {
    if (gen_int(&g, 2)) {
      int dw = ir_conv_grad(f, OP_conv_dw, made[i], dy, &same, three);
      fn_output(f, arena_printf(p->arena, "dw%d", i), dw);
    }
    dy = gen_int(&g, 2) ? ir_conv_grad(f, OP_conv_dx, dy, w, &same, f->node[dy].type.dim + 2) : dy;
    dy = ir_scale(f, ir_mul(f, dy, made[i]), 0.125);
  }
  fn_output(f, "dx", dy);
  if (f->err[0]) fail_msg("seed %d: %s", (int)seed, f->err);
  return f;
}

static Fn *fused(Fn *f) {
  static Fn *(*const run[])(Fn *, char *) = {pass_simplify, pass_expand,   pass_simplify,
                                             pass_layout,   pass_schedule, pass_fuse};
  char err[IR_ERR] = "";
  for (size_t i = 0; i < sizeof run / sizeof *run; i++) {
    if (!(f = run[i](f, err))) fail_msg("%s", err);
    f->prog->fn[0] = f;
  }
  return f;
}

static Interp *interpreted(const Fn *f) {
  char err[IR_ERR] = "";
  Interp *in = interp_new(f, INTERP_F32);
  for (int i = 0; i < f->n; i++) {
    const Node *n = &f->node[i];
    if (n->op != OP_input) continue;
    int64_t count = type_count(n->type);
    double *v = malloc((size_t)count * sizeof *v);
    for (int64_t k = 0; k < count; k++)
      v[k] = (double)(philox_uniform(3, (uint64_t)n->at.sym[0], 0, (uint64_t)k) - 0.5f);
    interp_bind(in, n->at.sym, v);
    free(v);
  }
  interp_step(in, 5, 6);
  if (!interp_run(in, err)) fail_msg("%s", err);
  return in;
}

static void same_bits(const Fn *f, Interp *want, const Fn *g) {
  Interp *have = interpreted(g);
  assert_int_equal(f->nout, g->nout);
  for (int o = 0; o < f->nout; o++) {
    size_t bytes = (size_t)type_count(f->node[f->out[o].node].type) * sizeof(double);
    assert_string_equal(f->out[o].name, g->out[o].name);
    assert_memory_equal(interp_value(want, f->out[o].node), interp_value(have, g->out[o].node), bytes);
  }
  interp_free(have);
}

/* Most bytes that live at a time, by group. */
static int64_t peak_of(const Fn *f) {
  const GroupInfo *g = group_values(f);
  int64_t *live = calloc((size_t)f->ngroup + 1, sizeof *live), most = 0;
  for (int v = 0; v < f->n; v++) {
    int first = f->node[v].op == OP_input ? 0 : f->ngroup + 1, last = -1;
    for (int k = 0; k < f->ngroup; k++) {
      bool writes = false, reads = false;
      for (int i = 0; i < g[k].nout; i++) writes |= g[k].out[i] == v;
      for (int i = 0; i < g[k].nin; i++) reads |= g[k].in[i] == v;
      if (writes) first = k;
      if (writes || reads) last = k;
    }
    for (int o = 0; o < f->nout; o++)
      if (value_source(f, f->out[o].node) == v) last = f->ngroup;
    for (int k = first; k <= last; k++) live[k] += (type_bytes(f->node[v].type) + 63) / 64 * 64;
  }
  for (int k = 0; k <= f->ngroup; k++)
    if (live[k] > most) most = live[k];
  free(live);
  return most;
}

static void check_level(const RematLadder *l, int level, Interp *want) {
  char err[IR_ERR] = "";
  const Fn *f = l->r->f;
  Fn *g = remat_apply(l, level, err);
  if (!g || !fn_verify(g, err) || !fuse_check(g, err)) fail_msg("level %d: %s", level, err);
  same_bits(f, want, g);
  int64_t peak = peak_of(g);
  if (peak > l->level[level].peak)
    fail_msg("level %d needs %lld bytes, %lld were said", level, (long long)peak,
             (long long)l->level[level].peak);
}

TEST(recomputation_keeps_every_bit_at_every_level) {
  int levels = 0, deep = 0;
  for (uint64_t seed = 0; seed < 100; seed++) {
    Arena *a = arena_new();
    Fn *f = fused(training_like(prog_new(a), seed));
    RematLadder l = remat_ladder(f, 1e9);
    Interp *want = interpreted(f);
    assert_int_equal(l.level[0].peak, peak_of(f));
    for (int k = 0; k < l.n; k++) {
      if (k) assert_true(l.level[k].peak < l.level[k - 1].peak);
      check_level(&l, k, want);
    }
    levels += l.n - 1, deep += l.n > 4;
    interp_free(want);
    arena_free(a);
  }
  assert_true(levels > 100 && deep > 5); /* the graphs do offer something */
}

RUN_TESTS(NULL, NULL)
