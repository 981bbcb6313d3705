/* test_winograd.c - Winograd's transforms: the matrices are identities, the code made from them computes
 * them. */
#include "tests/test.h"
#include "tests/codegen/emit/run_emit.h"
#include "codegen/emit/winograd/tile.h"

/* ---- matrices ---- */

/* y = A^T [(G g) . (B^T d)] for unit vectors d and g is 1 where d_(i+t) g_t meets and 0 elsewhere. */
TEST(the_matrices_make_a_convolution) {
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
TEST(coefficients_of_data_transforms_are_exact) {
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
    char err[IR_ERR];
    KFn *k = k_new(a, "apply", isa == NETC_ISA_AVX2 ? 8 : 16);
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
TEST(the_code_made_from_a_matrix_computes_it_with_few_operations) {
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

/* ---- tiles of images ---- */

enum { ROWS = 7, COLS = 9, CHANNELS = 11, PITCH = 13, TILE_FLOATS = WINO_MAX_N * WINO_MAX_N * 16 };

typedef struct {
  KFn *k;
  KV y;
  int rows;
} Sink;

static void put(void *to, int i, int j, KV v) {
  const Sink *s = to;
  k_store(s->k, s->y, k_i64(s->k, (i * s->rows + j) * s->k->lanes), v);
}

/* Applies w to the tile from (task / (COLS + 6) - 3, task % (COLS + 6) - 3) on of an image that is there if
 * y[0] is 0 at the start. The channels are as many as there are lanes, or fewer: CHANNELS is no multiple. */
static KFn *tile_kernel(Arena *a, const WinoMatrix *w, int isa) {
  KFn *k = k_new(a, "tile", isa == NETC_ISA_AVX2 ? 8 : 16);
  KV x = k_arg(k, K_F32, "x"), y = k_arg(k, K_F32, "y"),
     there = k_eq(k, k_load(k, y, k_i64(k, 0), false), k_f32(k, 0));
  WinoImage im = {.k = k,
                  .buf = x,
                  .plane = k_i64(k, 0),
                  .rows = ROWS,
                  .cols = COLS,
                  .row = COLS * PITCH,
                  .pixel = PITCH};
  im.mask = CHANNELS < k->lanes ? k_first_lanes(k, k_i64(k, CHANNELS)) : K_NONE;
  im.valid = there;
  KV row = k_sub(k, k_div(k, k_task(k), k_i64(k, COLS + 6)), k_i64(k, 3));
  KV col = k_sub(k, k_rem(k, k_task(k), k_i64(k, COLS + 6)), k_i64(k, 3));
  Sink sink = {k, y, w->rows};
  WinoEnds ends = {wino_pixel, &im, put, &sink};
  k_if(k, wino_inside(&im, row, col, w->cols, w->cols));
  wino_pixels(&im, row, col, w->cols, w->cols, true);
  wino_both_sides(k, w, w, &ends);
  k_else(k);
  wino_pixels(&im, row, col, w->cols, w->cols, false);
  wino_both_sides(k, w, w, &ends);
  k_end(k);
  return k;
}

static double pixel(const float *x, bool there, int row, int col, int c) {
  bool in = there && row >= 0 && row < ROWS && col >= 0 && col < COLS && c < CHANNELS;
  return in ? (double)x[(row * COLS + col) * PITCH + c] : 0;
}

static void compare_tile(const WinoMatrix *w, const float *x, const float *y, int lanes, bool there, int row,
                         int col) {
  for (int i = 0; i < w->rows; i++)
    for (int j = 0; j < w->rows; j++)
      for (int c = 0; c < lanes; c++) {
        double want = 0;
        for (int p = 0; p < w->cols; p++)
          for (int q = 0; q < w->cols; q++)
            want += w->a[i][p] * w->a[j][q] * pixel(x, there, row + p, col + q, c);
        double got = (double)y[(i * w->rows + j) * lanes + c];
        if (!(fabs(got - want) <= 3e-5))
          fail_msg("tile (%d,%d), %d,%d, channel %d: %g, not %g", row, col, i, j, c, got, want);
      }
}

/* Tiles at every place, from outside of the image on one side to outside on the other. Around the image lie
 * NaNs. */
static void check_tiles(const WinoMatrix *w) {
  enum { AROUND = 4 * COLS * PITCH, SIZE = ROWS * COLS * PITCH };
  float *memory = malloc((SIZE + 2 * AROUND) * sizeof *memory), y[TILE_FLOATS];
  assert_non_null(memory);
  for (int i = 0; i < SIZE + 2 * AROUND; i++) memory[i] = NAN;
  float *x = memory + AROUND;
  for (int i = 0; i < SIZE; i++)
    if (i % PITCH < CHANNELS) x[i] = (float)run_fill_real("x", i, (Type){.dt = F32});
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
    char err[IR_ERR];
    Arena *a = arena_new();
    const KFn *k = tile_kernel(a, w, isa);
    if (!kir_verify(k, err)) fail_msg("%s", err);
    Jit *jit = jit_new(&k, 1, (NetcIsa)isa, err);
    if (!jit) fail_msg("%s", err);
    for (int t = 0; t < (ROWS + 6) * (COLS + 6); t++)
      for (int there = 0; there < 2; there++) {
        NetcStep step = {0, 0};
        y[0] = there ? 0 : 1;
        jit_get(jit, 0)((void *[]){x, y}, &step, t);
        compare_tile(w, x, y, k->lanes, there, t / (COLS + 6) - 3, t % (COLS + 6) - 3);
      }
    jit_free(jit);
    arena_free(a);
  }
  free(memory);
}

TEST(tiles_at_every_place_are_transformed) {
  for (int m = 2; m <= 4; m += 2) {
    const Wino *w = wino_of(m);
    WinoMatrix a = wino_transposed(&w->at);
    check_tiles(&w->bt);
    check_tiles(&w->at);
    check_tiles(&a);
  }
}

RUN_TESTS(NULL, NULL)
