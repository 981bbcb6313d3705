/* test_moments.c - mean and variance in one sweep (passes/moments.c): compiled code against float64 of the
 * function as it was written, on values that make the shortcut hard: far from zero, with the very part that
 * is looked at first far from the rest, constant. */
#include "tests/test.h"
#include "tests/codegen/module/run_plan.h"

/* Identity for the weights; channel c of x by c % 4. */
static double fill_hard(const char *name, int64_t i, Type t) {
  if (*name == 'w') return i / t.dim[1] == i % t.dim[1];
  int64_t plane = t.dim[2] * t.dim[3], c = i / plane % t.dim[1], row = i / t.dim[3] % t.dim[2];
  double v = run_fill_real(name, i, t);
  bool part = i < t.dim[1] * plane && row >= t.dim[2] / 2 - 4 && row < t.dim[2] / 2 + 4;
  switch (c % 4) {
  case 0: return v;
  case 1: return (float)(1000 + v);
  case 2: return (float)(part ? 100 + v : v);
  default: return 12.5;
  }
}

#define MOMENTS                                                                                              \
  "program \"t\"\nfn forward \"moments\" {\n"                                                                \
  "%0 = input \"x\" : f32[4,16,64,64]\n"                                                                     \
  "%1 = input \"w\" : f32[16,16,1,1]\n"                                                                      \
  "%2 = conv %0 %1 {stride=[1,1], pad=[0,0]} : f32[4,16,64,64]\n"                                            \
  "%3 = sum %2 {axes=[0,2,3]} : f32[1,16,1,1]\n"                                                             \
  "%4 = const {value=6.103515625e-05} : f32[]\n"                                                             \
  "%5 = mul %3 %4 : f32[1,16,1,1]\n"                                                                         \
  "%6 = sub %2 %5 : f32[4,16,64,64]\n"                                                                       \
  "%7 = mul %6 %6 : f32[4,16,64,64]\n"                                                                       \
  "%8 = sum %7 {axes=[0,2,3]} : f32[1,16,1,1]\n"                                                             \
  "%9 = mul %8 %4 : f32[1,16,1,1]\n"                                                                         \
  "output \"mean\" = %5\n"                                                                                   \
  "output \"variance\" = %9\n"                                                                               \
  "}\n"

static double *reference(const Fn *f, int out, InterpMode mode) {
  char err[IR_ERR] = "";
  RunCase c = {.fn = f, .fill = fill_hard, .what = "moments"};
  Interp *in = interp_new(f, mode);
  for (int i = 0; i < f->n; i++) {
    if (!run_leaf_name(f, i)) continue;
    double *d = run_leaf_data(&c, i);
    interp_bind(in, run_leaf_name(f, i), d);
    free(d);
  }
  if (!interp_run(in, err)) fail_msg("%s", err);
  int64_t n = type_count(f->node[f->out[out].node].type);
  double *copy = calloc((size_t)n, sizeof *copy);
  memcpy(copy, interp_value(in, f->out[out].node), (size_t)n * sizeof *copy);
  interp_free(in);
  return copy;
}

TEST(moments_in_one_sweep_are_accurate_on_hard_values) {
  char err[IR_ERR] = "";
  Arena *a = arena_new();
  Program *p = ir_parse(a, MOMENTS, err);
  if (!p) fail_msg("%s", err);
  Fn *before = p->fn[0];
  plan_run_filled(p, "moments", 1e-5, 1, fill_hard); /* compiled code does what the rewritten function says */
  Fn *after = p->fn[0];
  int slices = 0;
  for (int i = 0; i < after->n; i++) slices += after->node[i].op == OP_slice;
  assert_true(slices > 0); /* the pass took it */
  for (int o = 0; o < 2; o++) {
    double *want = reference(before, o, INTERP_F64), *got = reference(after, o, INTERP_F32);
    for (int ch = 0; ch < 16; ch++)
      if (!(fabs(got[ch] - want[ch]) <= 1e-5 * fabs(want[ch]) + 1e-9))
        fail_msg("%s of channel %d: %.9g, expected %.9g", after->out[o].name, ch, got[ch], want[ch]);
    free(want), free(got);
  }
  arena_free(a);
}

RUN_TESTS(NULL, NULL)
