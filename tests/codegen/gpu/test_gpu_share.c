/* test_gpu_share.c - which kernels of a GPU share a code, and with what parameters; that shared codes compute
 * what their kernels do is for test_gpu_ops and test_gpu, whose kernels are shared. */
#include <string.h>
#include "tests/test.h"
#include "tests/one_arena.h"
#include "codegen/emulator/emulator.h"
#include "codegen/kir/internal.h"
#include "codegen/gpu/simt.h"

static SharedCodes share(const KFn *a, const KFn *b, ShareMode mode) {
  const KFn *k[2] = {a, b};
  ShareMode m[2] = {mode, mode};
  return share_kernels(arena, k, m, 2);
}

/* y[i] = s x[from + i], i < n, in rows of `row` elements whose number is divided out, in turns of 32
 * lanes. */
static KFn *scale(int64_t n, int64_t from, double s, int64_t row) {
  KFn *k = k_new(arena, "scale", SIMT_LANES);
  KV x = k_arg(k, K_F32, "x"), y = k_arg(k, K_F32, "y");
  KV i = k_for(k, k_i64(k, 0), k_i64(k, n), SIMT_LANES);
  KV at = k_add(k, i, k_mul(k, k_div(k, i, k_i64(k, row)), k_i64(k, 32)));
  k_store(k, y, i, k_mul(k, k_load(k, x, k_add(k, at, k_i64(k, from)), true), k_splat(k, k_f32(k, s))));
  k_end(k);
  return k;
}

static int params(const SharedCodes *c) { return c->code[0]->nparams; }

TEST(numbers_are_parameters) {
  SharedCodes c = share(scale(4096, 7, 0.5, 64), scale(8192, 9, 2, 128), SHARE_LIGHT);
  assert_int_equal(c.n, 1);
  assert_int_equal(params(&c), 4);
  float f[2];
  int found = 0;
  for (int p = 0; p < 4; p++) {
    uint64_t a = c.param[0][p], b = c.param[1][p];
    memcpy(&f[0], &a, 4), memcpy(&f[1], &b, 4);
    found +=
        (a == 4096 && b == 8192) + (a == 7 && b == 9) + (a == 64 && b == 128) + (f[0] == 0.5f && f[1] == 2);
  }
  assert_int_equal(found, 4);
  /* The same number of both is none. */
  c = share(scale(4096, 7, 0.5, 64), scale(8192, 7, 0.5, 64), SHARE_LIGHT);
  assert_true(c.n == 1 && params(&c) == 1);
  /* Nor is there one where nothing differs, */
  c = share(scale(4096, 7, 0.5, 64), scale(4096, 7, 0.5, 64), SHARE_LIGHT);
  assert_true(c.n == 1 && params(&c) == 0);
  /* and numbers that differ alike are one. */
  c = share(scale(64, 64, 0.5, 64), scale(128, 128, 0.5, 128), SHARE_LIGHT);
  assert_true(c.n == 1 && params(&c) == 1);
}

/* What makes a device's code faster stays: of much arithmetic offsets in the innermost loop, else divisors in
 * loops and short loops. */
TEST(speed_is_kept) {
  KFn *a = scale(4096, 7, 0.5, 64);
  assert_int_equal(share(a, scale(8192, 7, 2, 64), SHARE_HEAVY).n, 1);
  assert_int_equal(share(a, scale(4096, 9, 0.5, 64), SHARE_HEAVY).n, 2);
  assert_int_equal(share(a, scale(4096, 9, 0.5, 64), SHARE_MEMORY).n, 1);
  assert_int_equal(share(a, scale(4096, 7, 0.5, 128), SHARE_MEMORY).n, 2);
  assert_int_equal(share(a, scale(4096, 7, 0.5, 128), SHARE_LIGHT).n, 1);
  KFn *b = scale(96, 7, 0.5, 64);
  assert_int_equal(share(b, scale(128, 7, 0.5, 64), SHARE_MEMORY).n, 2);
  assert_int_equal(share(b, scale(128, 7, 0.5, 64), SHARE_LIGHT).n, 1);
}

/* Lane l stores element l and reads element l + shift: a sync unless shift is 0 or the two lie apart. */
static KFn *shifted(int64_t shift) {
  KFn *k = k_new(arena, "shifted", SIMT_LANES);
  KV x = k_arg(k, K_F32, "x"), y = k_arg(k, K_F32, "y"), t = k_scratch(k, K_F32, 128, "t");
  k_store(k, t, k_i64(k, 1), k_load(k, x, k_i64(k, 0), true));
  k_store(k, y, k_i64(k, 0), k_load(k, t, k_i64(k, 1 + shift), true));
  return k;
}

static int syncs(const KFn *k) {
  int n = 0;
  for (int v = 0; v < k->n; v++) n += k->ins[v].op == K_sync;
  return n;
}

TEST(syncs_are_each_ones_own) {
  SharedCodes c = share(shifted(3), shifted(5), SHARE_LIGHT);
  assert_true(c.n == 1 && params(&c) == 1 && syncs(c.code[0]) == 1);
  c = share(shifted(64), shifted(80), SHARE_LIGHT);
  assert_true(c.n == 1 && syncs(c.code[0]) == 0);
  assert_int_equal(share(shifted(3), shifted(64), SHARE_LIGHT).n, 2);
}

/* Structure is no number: lanes, steps, scratch. */
static KFn *structured(int lane, int64_t step, int64_t scratch) {
  KFn *k = k_new(arena, "structured", SIMT_LANES);
  KV x = k_arg(k, K_F32, "x"), t = k_scratch(k, K_F32, scratch, "t");
  KV i = k_for(k, k_i64(k, 0), k_i64(k, 4096), step);
  k_store(k, t, k_i64(k, 0), k_lane(k, k_load(k, x, i, true), lane));
  k_end(k);
  return k;
}

TEST(structure_is_kept) {
  assert_int_equal(share(structured(1, 32, 8), structured(1, 32, 8), SHARE_ALL).n, 1);
  assert_int_equal(share(structured(1, 32, 8), structured(2, 32, 8), SHARE_ALL).n, 2);
  assert_int_equal(share(structured(1, 32, 8), structured(1, 64, 8), SHARE_ALL).n, 2);
  assert_int_equal(share(structured(1, 32, 8), structured(1, 32, 9), SHARE_ALL).n, 2);
}

/* More numbers than a launch may hand over: y[j] = n + j^2. */
static KFn *many(int64_t n) {
  KFn *k = k_new(arena, "many", SIMT_LANES);
  KV y = k_arg(k, K_I32, "y");
  for (int32_t j = 0; j < NETC_MAX_PARAMS + 8; j++)
    k_store(k, y, k_i64(k, j), k_cast(k, K_I32, k_add(k, k_task(k), k_i64(k, n + j * j))));
  return k;
}

TEST(there_is_a_limit) {
  const KFn *k[3] = {many(5), many(1000), many(5)};
  const ShareMode mode[3] = {SHARE_LIGHT, SHARE_LIGHT, SHARE_LIGHT};
  SharedCodes c = share_kernels(arena, k, mode, 3);
  assert_true(c.n == 2 && c.of[0] == c.of[2] && c.of[0] != c.of[1] && params(&c) == 0);
  c = share(k[0], k[0], SHARE_ALL);
  assert_true(c.n == 1 && params(&c) == NETC_MAX_PARAMS);
}

/* The words arrive, of every type. */
TEST(parameters_arrive) {
  const KFn *k[2] = {scale(96, 7, 0.5, 64), scale(128, 2, -3, 32)};
  const ShareMode mode[2] = {SHARE_LIGHT, SHARE_LIGHT};
  char err[IR_ERR] = "";
  Emulator *e = emulator_shared(k, mode, 2, err);
  if (!e) fail_msg("%s", err);
  float x[512], y[2][128] = {{0}};
  for (int i = 0; i < 512; i++) x[i] = (float)i;
  for (int n = 0; n < 2; n++)
    if (!emulator_launch(e, n, (EmuBuffer[]){{x, sizeof x}, {y[n], sizeof y[n]}}, 1, &(NetcStep){0, 0}, 3,
                         err))
      fail_msg("%s", err);
  for (int i = 0; i < 128; i++) {
    assert_true(y[0][i] == (i < 96 ? 0.5f * (float)(i + i / 32 * 32 / 64 * 32 + 7) : 0));
    assert_true(y[1][i] == -3 * (float)(i + i / 32 * 32 + 2));
  }
  emulator_free(e);
}

TEST(verifier_knows_parameters) {
  char err[IR_ERR] = "";
  KFn *k = k_new(arena, "p", SIMT_LANES);
  KV y = k_arg(k, K_I64, "y");
  k_store(k, y, k_i64(k, 0), k_param(k, K_I64, 1));
  assert_false(kir_verify(k, err));
  assert_non_null(strstr(err, "the launch has 0 parameters"));
  k->nparams = 2;
  assert_true(kir_verify(k, err));
}

RUN_TESTS(arena_set_up, arena_tear_down)
