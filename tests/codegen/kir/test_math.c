/* test_math.c - elementary functions and random numbers of the kernel level against double precision, scalar
 * and vector, on every instruction set this machine runs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tests/test.h"
#include "codegen/emulator/jit.h"
#include "ir/philox.h"

enum { COUNT = 1 << 15 };
static float x[COUNT], y[COUNT], ys[COUNT];

/* y = op(x) by vectors, ys = op(x) by scalars. */
static KFn *unary_kernel(Arena *a, KOp op, int lanes) {
  KFn *k = k_new(a, "unary", lanes);
  KV in = k_arg(k, K_F32, "x"), out = k_arg(k, K_F32, "y"), scalar = k_arg(k, K_F32, "ys");
  KV i = k_for(k, k_i64(k, 0), k_i64(k, COUNT), lanes);
  k_store(k, out, i, k_un(k, op, k_load(k, in, i, true)));
  k_end(k);
  KV j = k_for(k, k_i64(k, 0), k_i64(k, COUNT), 1);
  k_store(k, scalar, j, k_un(k, op, k_load(k, in, j, false)));
  k_end(k);
  return k;
}

static void run(const KFn *k, NetcIsa isa, void *const *args, NetcStep step) {
  char err[IR_ERR] = "";
  Jit *j = jit_new(&k, 1, isa, err);
  if (!j) fail_msg("%s", err);
  NetcKernelFn fn = jit_get(j, 0);
  assert_non_null(fn);
  fn(args, &step, 0);
  jit_free(j);
}

/* Distance of a float from the true value in units of the last place there. */
static double ulps(float got, double want) {
  if (isnan(want)) return isnan(got) ? 0 : INFINITY;
  float near = (float)want;
  if (got == near) return 0;
  if (isinf(near) || isnan(got)) return INFINITY;
  int e;
  frexp(want, &e);
  return fabs(got - want) / ldexp(1, e < -125 ? -149 : e - 24);
}

static double f_sigmoid(double v) { return v >= 0 ? 1 / (1 + exp(-v)) : exp(v) / (1 + exp(v)); }

static void fill(double lo, double hi) {
  static const float special[] = {0.0f,
                                  -0.0f,
                                  1,
                                  -1,
                                  0x1p-126f,
                                  -0x1p-126f,
                                  0x1p-149f,
                                  0x1.fffffep127f,
                                  -0x1.fffffep127f,
                                  1e-20f,
                                  88.7f,
                                  89,
                                  -87.3f,
                                  -103.9f,
                                  -104.5f,
                                  0.625f,
                                  1e10f,
                                  -1e10f,
                                  0x1.921fb6p0f,
                                  0x1.921fb6p1f,
                                  16367173.f * 0x1p72f,
                                  (float)INFINITY,
                                  -(float)INFINITY,
                                  (float)NAN};
  const int nspecial = (int)(sizeof special / sizeof *special);
  for (int i = 0; i < COUNT; i++) {
    double u = philox_uniform(1, 0, 0, (uint64_t)i);
    if (i < nspecial) x[i] = special[i];
    else if (i % 4 == 0) { /* any finite float, all magnitudes alike */ uint32_t c[4];
      philox_at(c, 2, 0, 0, (uint64_t)i);
      if ((c[0] & 0x7F800000) == 0x7F800000) c[0] ^= 0x40000000;
      memcpy(&x[i], c, sizeof *x);
    } else x[i] = (float)(lo + (hi - lo) * u);
  }
}

static void check(KOp op, const char *name, double (*f)(double), double lo, double hi, double bound) {
  fill(lo, hi);
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
    Arena *a = arena_new();
    run(unary_kernel(a, op, isa == NETC_ISA_AVX2 ? 8 : 16), (NetcIsa)isa, (void *[]){x, y, ys},
        (NetcStep){0, 0});
    for (int i = 0; i < COUNT; i++) {
      double e = ulps(y[i], f(x[i]));
      if (!(e <= bound)) fail_msg("%s(%.9g) = %.9g, true %.9g: %.3g ulp", name, x[i], y[i], f(x[i]), e);
      if (memcmp(&y[i], &ys[i], sizeof *y) != 0 && !isnan(y[i]))
        fail_msg("%s(%.9g): vector %.9g, scalar %.9g", name, x[i], y[i], ys[i]);
    }
    arena_free(a);
  }
}

TEST(exp_is_within_two_ulps) {
  check(K_exp, "exp", exp, -104, 90, 2);
  check(K_exp, "exp", exp, -1, 1, 2);
}
TEST(log_is_within_two_ulps) {
  check(K_log, "log", log, 0, 4, 2);
  check(K_log, "log", log, 0.9, 1.1, 2);
}
TEST(tanh_is_within_four_ulps) {
  check(K_tanh, "tanh", tanh, -1, 1, 4);
  check(K_tanh, "tanh", tanh, -12, 12, 4);
}
TEST(sigmoid_is_within_four_ulps) {
  check(K_sigmoid, "sigmoid", f_sigmoid, -110, 110, 4);
  check(K_sigmoid, "sigmoid", f_sigmoid, -3, 3, 4);
}
TEST(sin_is_within_two_ulps) {
  check(K_sin, "sin", sin, -10, 10, 2);
  check(K_sin, "sin", sin, -1e6, 1e6, 2);
}
TEST(cos_is_within_two_ulps) {
  check(K_cos, "cos", cos, -10, 10, 2);
  check(K_cos, "cos", cos, -1e6, 1e6, 2);
}

/* The kernel draws `site` by vectors of indices from 0 and by scalar indices from 2^32 - 8. */
static KFn *random_kernel(Arena *a, bool normal, int64_t site, int lanes) {
  KFn *k = k_new(a, "random", lanes);
  KV out = k_arg(k, K_F32, "y"), scalar = k_arg(k, K_F32, "ys");
  KV i = k_for(k, k_i64(k, 0), k_i64(k, COUNT), lanes);
  KV index = k_add(k, k_iota(k), k_cast(k, K_I32, i));
  k_store(k, out, i, normal ? k_normal(k, site, index) : k_uniform(k, site, index));
  k_end(k);
  KV j = k_for(k, k_i64(k, 0), k_i64(k, 16), 1);
  KV far = k_add(k, j, k_i64(k, (INT64_C(1) << 32) - 8));
  k_store(k, scalar, j, normal ? k_normal(k, site, far) : k_uniform(k, site, far));
  k_end(k);
  return k;
}

static double true_normal(uint64_t seed, uint64_t iteration, uint64_t site, uint64_t index) {
  uint32_t c[4];
  philox_at(c, seed, iteration, site, index);
  double u1 = ((c[0] >> 8) + 1.0) * 0x1p-24, u2 = (c[1] >> 8) * 0x1p-24;
  return sqrt(-2 * log(u1)) * cos(2 * acos(-1.0) * u2);
}

TEST(random_numbers_are_those_of_philox) {
  const NetcStep step = {0x123456789ABCDEF0u, 0x1FFFFFFFEu};
  const int64_t site = INT64_C(0x0000000700000003);
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++)
    for (int normal = 0; normal < 2; normal++) {
      Arena *a = arena_new();
      run(random_kernel(a, normal, site, isa == NETC_ISA_AVX2 ? 8 : 16), (NetcIsa)isa, (void *[]){y, ys},
          step);
      for (int i = 0; i < COUNT + 16; i++) {
        uint64_t index = i < COUNT ? (uint64_t)i : (UINT64_C(1) << 32) - 8 + (uint64_t)(i - COUNT);
        float got = i < COUNT ? y[i] : ys[i - COUNT];
        if (!normal) assert_true(got == philox_uniform(step.seed, step.iteration, (uint64_t)site, index));
        double want = true_normal(step.seed, step.iteration, (uint64_t)site, index);
        if (normal && !(fabs(got - want) <= 1e-6 * fabs(want) + 1e-14))
          fail_msg("normal %d: %.9g, true %.9g", i, got, want);
      }
      arena_free(a);
    }
}

RUN_TESTS(NULL, NULL)
