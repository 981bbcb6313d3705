/* Winograd's transforms: the matrices are identities, the code made from them computes them. */
#include "tests/codegen/run_emit.h"
#include "codegen/winograd.h"

/* ---- matrices ---- */

/* y = A^T [(G g) . (B^T d)] for unit vectors d and g is 1 where d_(i+t) g_t meets and 0 elsewhere. */
static void test_identity(void **unused) {
  (void)unused;
  for (int m = 2; m <= 4; m += 2) {
    const Wino *w = wino_of(m);
    assert_int_equal(w->n, m + 2);
    for (int d = 0; d < w->n; d++)
      for (int g = 0; g < WINO_TAPS; g++)
        for (int i = 0; i < m; i++) {
          double y = 0;
          for (int j = 0; j < w->n; j++) y += w->at.a[i][j] * w->g.a[j][g] * w->bt.a[j][d];
          assert_true(fabs(y - (i + g == d)) < 1e-14);
        }
  }
}

/* Input and output transform round their sums, not their coefficients. */
static void test_exact_coefficients(void **unused) {
  (void)unused;
  for (int m = 2; m <= 4; m += 2) {
    const Wino *w = wino_of(m);
    for (int i = 0; i < w->n; i++)
      for (int j = 0; j < w->n; j++) {
        assert_true((double)(float)w->bt.a[i][j] == w->bt.a[i][j]);
        assert_true((double)(float)w->at.a[i][j] == w->at.a[i][j]);
      }
  }
}

/* ---- code ---- */

static int arithmetic(const KFn *k) {
  int n = 0;
  for (int i = 0; i < k->n; i++)
    n += k->ins[i].type.base == K_F32 && k->ins[i].type.vec &&
         (k->ins[i].op == K_add || k->ins[i].op == K_sub || k->ins[i].op == K_mul || k->ins[i].op == K_fma);
  return n;
}

/* A kernel that applies w to vectors of x; returns how many operations on vectors it has. */
static int check_apply(const WinoMatrix *w) {
  Arena *a = arena_new();
  float x[WINO_MAX_N * 16], y[WINO_MAX_N * 16];
  int count = 0;
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
    char err[256];
    KFn *k = k_new(a, "apply", isa == NETC_ISA_AVX512 ? 16 : 8);
    KV from = k_arg(k, K_F32, "x"), to = k_arg(k, K_F32, "y"), in[WINO_MAX_N], out[WINO_MAX_N];
    for (int j = 0; j < w->cols; j++) in[j] = k_load(k, from, k_i64(k, j * k->lanes), true);
    wino_apply(k, w, in, out);
    for (int i = 0; i < w->rows; i++) k_store(k, to, k_i64(k, i * k->lanes), out[i]);
    if (!kir_verify(k, err)) fail_msg("%s", err);
    count = arithmetic(k);
    const KFn *list[1] = {k};
    Jit *jit = jit_new(list, 1, (NetcIsa)isa, err);
    if (!jit) fail_msg("%s", err);
    for (int i = 0; i < WINO_MAX_N * 16; i++) x[i] = (float)run_fill_real("x", i, (Type){.dt = F32});
    NetcStep step = {0, 0};
    jit_get(jit, 0)((void *[]){x, y}, &step, 0);
    for (int i = 0; i < w->rows; i++)
      for (int l = 0; l < k->lanes; l++) {
        double want = 0;
        for (int j = 0; j < w->cols; j++) want += w->a[i][j] * (double)x[j * k->lanes + l];
        assert_true(fabs((double)y[i * k->lanes + l] - want) < 4e-6);
      }
    jit_free(jit);
  }
  arena_free(a);
  return count;
}

/* Sharing is part of the promise: plain sums of products would need 22 operations for B^T of F(4,3). */
static void test_apply(void **unused) {
  (void)unused;
  for (int m = 2; m <= 4; m += 2) {
    const Wino *w = wino_of(m);
    WinoMatrix b = wino_transposed(&w->bt), gt = wino_transposed(&w->g), a = wino_transposed(&w->at);
    assert_true(check_apply(&w->bt) <= (m == 4 ? 12 : 4));
    assert_true(check_apply(&w->at) <= (m == 4 ? 12 : 4));
    assert_true(check_apply(&w->g) <= (m == 4 ? 9 : 5));
    assert_true(check_apply(&b) <= (m == 4 ? 16 : 5));
    assert_true(check_apply(&gt) <= (m == 4 ? 11 : 6));
    assert_true(check_apply(&a) <= (m == 4 ? 8 : 2));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_identity),
      cmocka_unit_test(test_exact_coefficients),
      cmocka_unit_test(test_apply),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
