/* test_bf16.c - bf16 in memory: rounding against an oracle in double precision for every upper half of a
 * float, loads of every bf16, masked and indexed accesses with their guards, and dot products of pairs, on
 * every instruction set. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "tests/one_arena.h"
#include "codegen/kir/internal.h"
#include "codegen/isa.h"
#include "codegen/emulator/jit.h"
#include "ir/bf16.h"

static int lanes_of(int isa) { return isa == NETC_ISA_AVX2 ? 8 : 16; }

static void run(const KFn *k, int isa, void *const *args, int64_t task) {
  char err[IR_ERR] = "";
  NetcStep step = {7, 9};
  if (!kir_verify(k, err)) fail_msg("%s", err);
  Jit *j = jit_new(&k, 1, (NetcIsa)isa, err);
  if (!j) fail_msg("%s", err);
  jit_get(j, 0)(args, &step, task);
  jit_free(j);
}

static float float_of(uint32_t bits) {
  float v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

/* The value of a bf16's magnitude; what follows the largest counts as 2^128, as if the exponent went on. */
static double magnitude(uint32_t half) { return half == 0x7f80 ? 0x1p128 : (double)float_of(half << 16); }

/* Does code for the set use instructions for bf16 here? They take denormals for zero. */
static bool native(int isa) { return isa == NETC_ISA_AVX512_BF16 && netc_host_isa() == NETC_ISA_AVX512_BF16; }

static bool denormal(uint32_t bits) { return (bits & 0x7f800000) == 0; }

/* The nearer of the two neighbours, the even one at the same distance. */
static uint16_t nearest(uint32_t bits) {
  uint32_t sign = bits >> 16 & 0x8000, low = bits >> 16 & 0x7fff;
  if (low >= 0x7f80) return (uint16_t)(sign | low); /* infinite; NaN is asked for otherwise */
  double v = (double)float_of(bits & 0x7fffffff), below = v - magnitude(low), above = magnitude(low + 1) - v;
  if (above < below || (above == below && low & 1)) low++;
  return (uint16_t)(sign | low);
}

enum { LOWS = 8, PATTERNS = 65536 * LOWS };
static const uint32_t lows[LOWS] = {0, 1, 0x1234, 0x7fff, 0x8000, 0x8001, 0xc000, 0xffff};

/* Stores of vectors and of scalars, and rounding in registers. */
static KFn *rounding_kernel(int lanes) {
  KFn *k = k_new(arena, "rounding", lanes);
  KV x = k_arg(k, K_F32, "x"), vec = k_arg(k, K_BF16, "vec"), one = k_arg(k, K_BF16, "one"),
     twice = k_arg(k, K_BF16, "twice"), op = k_arg(k, K_F32, "op"), zero = k_i64(k, 0),
     n = k_i64(k, PATTERNS);
  KV i = k_for(k, zero, n, lanes);
  KV v = k_load(k, x, i, true), r = k_un(k, K_bf16, v);
  k_store(k, vec, i, v);
  k_store(k, twice, i, r);
  k_store(k, op, i, r);
  k_end(k);
  i = k_for(k, zero, n, 1);
  k_store(k, one, i, k_load(k, x, i, false));
  k_end(k);
  return k;
}

TEST(rounding_is_to_the_nearest) {
  uint32_t *x = malloc(PATTERNS * sizeof *x), *op = malloc(PATTERNS * sizeof *op);
  uint16_t *out[3];
  for (int o = 0; o < 3; o++) assert_non_null(out[o] = malloc(PATTERNS * sizeof *out[o]));
  assert_true(x && op);
  for (uint32_t i = 0; i < PATTERNS; i++) x[i] = i / LOWS << 16 | lows[i % LOWS];
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
    run(rounding_kernel(lanes_of(isa)), isa, (void *[]){x, out[0], out[1], out[2], op}, 0);
    for (int i = 0; i < PATTERNS; i++) {
      bool nan = isnan(float_of(x[i]));
      uint16_t want = nan ? (uint16_t)(x[i] >> 16 | 0x40) : nearest(x[i]);
      assert_int_equal(bf16_bits(float_of(x[i])), want);
      if (native(isa) && denormal(x[i])) want = (uint16_t)(x[i] >> 16 & 0x8000);
      for (int o = 0; o < 3; o++)
        if (out[o][i] != want)
          fail_msg("isa %d, form %d: %08x is %04x, want %04x", isa, o, x[i], out[o][i], want);
      assert_int_equal(op[i], (uint32_t)want << 16);
      assert_true(!nan || isnan(bf16_float(want)));
    }
  }
  for (int o = 0; o < 3; o++) free(out[o]);
  free(x), free(op);
}

/* Every bf16: as a vector, a scalar, and one scalar in all lanes. */
TEST(every_bf16_is_loaded_as_the_float_it_is) {
  uint16_t *x = malloc(65536 * sizeof *x);
  uint32_t *out[3];
  for (int o = 0; o < 3; o++) assert_non_null(out[o] = malloc((65536 + 16) * sizeof *out[o]));
  assert_non_null(x);
  for (int i = 0; i < 65536; i++) x[i] = (uint16_t)i;
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
    KFn *k = k_new(arena, "loads", lanes_of(isa));
    KV in = k_arg(k, K_BF16, "x"), vec = k_arg(k, K_F32, "vec"), one = k_arg(k, K_F32, "one"),
       all = k_arg(k, K_F32, "all"), zero = k_i64(k, 0), n = k_i64(k, 65536);
    KV i = k_for(k, zero, n, k->lanes);
    k_store(k, vec, i, k_load(k, in, i, true));
    k_end(k);
    i = k_for(k, zero, n, 1);
    KV v = k_load(k, in, i, false);
    k_store(k, one, i, v);
    k_store(k, all, i, k_splat(k, v));
    k_end(k);
    run(k, isa, (void *[]){x, out[0], out[1], out[2]}, 0);
    for (int i2 = 0; i2 < 65536; i2++)
      for (int o = 0; o < 3; o++) assert_int_equal(out[o][i2], (uint32_t)i2 << 16);
    for (int l = 1; l < k->lanes; l++) assert_int_equal(out[2][65535 + l], 0xffff0000u); /* the last splat */
  }
  for (int o = 0; o < 3; o++) free(out[o]);
  free(x);
}

/* Masked, indexed, at odd elements; neighbours stay as they were. */
TEST(masked_and_indexed_accesses_leave_their_neighbours) {
  enum { GUARD = 0x1234, FIVE = 0x40a0 };
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
    int lanes = lanes_of(isa);
    KFn *k = k_new(arena, "memory", lanes);
    KV x = k_arg(k, K_BF16, "x"), y = k_arg(k, K_BF16, "y");
    KV mask = k_first_lanes(k, k_task(k)), fixed = k_first_lanes(k, k_i64(k, 5)), at = k_i64(k, 3);
    KV odd = k_add(k, k_mul(k, k_iota(k), k_i32(k, 2)), k_i32(k, 1));
    k_store_masked(k, y, k_i64(k, 1), k_load_masked(k, x, at, mask), mask);
    k_store(k, y, k_i64(k, 20), k_load_masked(k, x, at, mask));
    k_store(k, y, k_i64(k, 40), k_gather(k, x, odd));
    k_store(k, y, k_i64(k, 60), k_gather_masked(k, x, odd, mask));
    k_scatter(k, y, k_add(k, odd, k_i32(k, 80)), k_load(k, x, at, true));
    k_scatter_masked(k, y, k_add(k, odd, k_i32(k, 120)), k_f32(k, 5), mask);
    k_store_masked(k, y, k_i64(k, 161), k_load_masked(k, x, at, fixed), fixed);
    KV s = k_scratch(k, K_BF16, 32, "s");
    k_store(k, s, k_i64(k, 1), k_load(k, x, at, true));
    k_store(k, y, k_i64(k, 181), k_load(k, s, k_i64(k, 1), true));
    for (int first = 0; first <= lanes; first++) {
      uint16_t in[40], out[200];
      for (int i = 0; i < 40; i++) in[i] = bf16_bits((float)(i + 1));
      for (int i = 0; i < 200; i++) out[i] = GUARD;
      run(k, isa, (void *[]){in, out}, first);
      for (int i = 0; i < lanes; i++) {
        bool on = i < first;
        assert_int_equal(out[1 + i], on ? in[3 + i] : GUARD);
        assert_int_equal(out[20 + i], on ? in[3 + i] : 0);
        assert_int_equal(out[40 + i], in[2 * i + 1]);
        assert_int_equal(out[60 + i], on ? in[2 * i + 1] : 0);
        assert_true(out[81 + 2 * i] == in[3 + i] && out[82 + 2 * i] == GUARD);
        assert_int_equal(out[121 + 2 * i], on ? FIVE : GUARD);
        assert_int_equal(out[161 + i], i < 5 ? in[3 + i] : GUARD);
        assert_int_equal(out[181 + i], in[3 + i]);
      }
      assert_true(out[0] == GUARD && out[40 + lanes] == GUARD && out[161 + lanes] == GUARD);
    }
  }
}

/* ---- pairs ---- */

enum { PAIRS = 4096 };

/* y = dot2(pair(a, b), (u's neighbours), y), with pairs made of vectors, loaded as vectors, and of a
 * scalar. */
static KFn *pairs_kernel(int lanes) {
  KFn *k = k_new(arena, "pairs", lanes);
  KV a = k_arg(k, K_F32, "a"), b = k_arg(k, K_F32, "b"), u = k_arg(k, K_BF16, "u"), y = k_arg(k, K_F32, "y"),
     made = k_arg(k, K_I32, "made");
  KV i = k_for(k, k_i64(k, 0), k_i64(k, PAIRS), lanes);
  KV p = k_pair(k, k_load(k, a, i, true), k_load(k, b, i, true));
  k_store(k, made, i, p);
  /* odd elements, too: a pair begins at any of them */
  KV q = k_load_pair(k, u, k_add(k, k_task(k), i)), at = k_load(k, y, i, true);
  k_store(k, y, i, k_dot2(k, p, q, at));
  k_end(k);
  return k;
}

/* Finite, and products far from the ends of the range. */
static float ordinary(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return float_of((*seed & 0x807fffff) | (120 + (*seed >> 24) % 16) << 23);
}

static void check_pairs(int isa, int64_t first, const float *a, const float *b, const uint16_t *u,
                        const float *y) {
  int lanes = lanes_of(isa);
  static float got[PAIRS];
  static uint32_t made[PAIRS];
  memcpy(got, y, sizeof got);
  run(pairs_kernel(lanes), isa,
      (void *[]){(void *)(uintptr_t)a, (void *)(uintptr_t)b, (void *)(uintptr_t)u, got, made}, first);
  for (int i = 0; i < PAIRS; i++) {
    int q = (int)first + i / lanes * lanes;
    assert_int_equal(made[i], bf16_bits(a[i]) | (uint32_t)bf16_bits(b[i]) << 16);
    float high = fmaf(bf16_round(b[i]), bf16_float(u[q + 1]), y[i]);
    float want = fmaf(bf16_round(a[i]), bf16_float(u[q]), high);
    if (memcmp(&want, &got[i], sizeof want))
      fail_msg("set %d, pair %d: %.9g, want %.9g", isa, i, got[i], want);
  }
}

/* The products of a pair are exact, added one after the other: every set gives the same bits. */
TEST(products_of_pairs_have_the_same_bits_everywhere) {
  static float a[PAIRS], b[PAIRS], y[PAIRS];
  static uint16_t u[PAIRS + 32];
  uint32_t seed = 1;
  for (int i = 0; i < PAIRS; i++) a[i] = ordinary(&seed), b[i] = ordinary(&seed), y[i] = ordinary(&seed);
  for (int i = 0; i < PAIRS + 32; i++) u[i] = bf16_bits(ordinary(&seed));
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++)
    for (int64_t first = 0; first < 4; first++) check_pairs(isa, first, a, b, u, y);
}

/* Only what has a use for it is compiled for the set with instructions for bf16. */
TEST(only_kernels_that_round_are_compiled_for_bf16) {
  KFn *k = k_new(arena, "reads", 16);
  KV x = k_arg(k, K_BF16, "x"), y = k_arg(k, K_F32, "y"), v = k_load(k, x, k_i64(k, 0), true);
  k_store(k, y, k_i64(k, 0), v);
  assert_false(kir_uses_bf16(k));
  k_store(k, x, k_i64(k, 0), v);
  assert_true(kir_uses_bf16(k));
  assert_true(kir_uses_bf16(pairs_kernel(16)));
}

/* bf16 lies in memory only. */
TEST(values_in_bf16_are_refused) {
  KFn *k = k_new(arena, "local", 8);
  assert_int_equal(k_local(k, K_BF16, true, "v"), K_NONE);
  assert_non_null(strstr(k->err, "no type of values"));
  k = k_new(arena, "cast", 8);
  assert_int_equal(k_cast(k, K_BF16, k_f32(k, 1)), K_NONE);
  assert_non_null(strstr(k->err, "cannot cast"));
  k = k_new(arena, "store", 8);
  k_store(k, k_arg(k, K_BF16, "x"), k_i64(k, 0), k_i32(k, 1));
  assert_non_null(strstr(k->err, "holds f32, v"));
  k = k_new(arena, "load_pair", 8);
  assert_int_equal(k_load_pair(k, k_arg(k, K_F32, "x"), k_i64(k, 0)), K_NONE);
  assert_non_null(strstr(k->err, "must be bf16*"));
  k = k_new(arena, "dot2", 8);
  assert_int_equal(k_dot2(k, k_f32(k, 1), k_i32(k, 1), k_f32(k, 1)), K_NONE);
  assert_non_null(strstr(k->err, "needs two pairs"));
  k = k_new(arena, "fold", 8);
  KV v = k_un(k, K_bf16, k_f32(k, 1.001)), x = k_load(k, k_arg(k, K_F32, "x"), k_i64(k, 0), true);
  assert_true(k->ins[v].op == K_const && k->ins[v].fimm == 1);
  KV r = k_un(k, K_bf16, x);
  assert_int_equal(k_un(k, K_bf16, r), r);
}

RUN_TESTS(arena_set_up, arena_tear_down)
