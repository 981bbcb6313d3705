/* test_gpu_tensor.c - what the warps of a GPU do together, emulated: registers that hold matrices, their
 * products against plain sums, rounding to tf32, copies that arrive later; and for every rule of theirs a
 * kernel that breaks it. Where ptxas is at hand it takes them all. */
#include <stdio.h>
#include <unistd.h>
#include "tests/test.h"
#include "tests/one_arena.h"
#include "tests/codegen/gpu/ptxas.h"
#include "tests/codegen/emit/run_emit.h"
#include "codegen/kir/fragment.h"
#include "codegen/kir/internal.h"
#include "codegen/gpu/lower.h"

/* ---- a product of matrices: 32 x 16 of a (32 x depth) and b (16 x depth), two warps of 16 rows, two stages
 * ---- */

enum { ROWS = 32, COLS = 16, DEPTH = 64, WIDTH = 64, CHUNK = 16 }; /* bytes of a row of a tile, of a copy */

/* What is left out or wrong. */
typedef enum {
  WHOLE,
  NO_WAIT,      /* for the copies */
  WAIT_LESS,    /* for all groups but two */
  NO_BARRIER,   /* behind the wait */
  NO_BARRIER_2, /* before the next copies */
  NO_ROUNDING,
  MISALIGNED,
  SHIFTED, /* a row of a tile is another */
  BEYOND,  /* the argument's end */
  LEFT,    /* copies nobody waits for */
  DEFECTS
} Defect;

typedef struct {
  KFn *k;
  bool bf16;
  Defect defect;
  KV tile, acc[2], a, b;
  KV lane, warp; /* i32 */
} Product;

static KV i32v(KFn *k, int v) { return k_splat(k, k_i32(k, v)); }

/* Rows of `rows` lie in the tile from `at` on, 64 bytes each; a lane copies 16 bytes of each of them. */
static void copy_rows(Product *p, KV arg, int rows, int64_t at, KV depth) {
  KFn *k = p->k;
  int element = p->bf16 ? 2 : 4, per = CHUNK / element;
  KV warp_row = k_mul(k, p->warp, i32v(k, rows / 2));
  for (int r = 0; r < rows / 2; r += 8) {
    KV row = k_add(k, k_add(k, k_div(k, p->lane, i32v(k, 4)), i32v(k, r)), warp_row);
    KV piece = k_rem(k, p->lane, i32v(k, 4));
    KV to = k_add(k, k_mul(k, row, i32v(k, WIDTH / 4)), k_mul(k, piece, i32v(k, 4)));
    KV from = k_add(k, k_mul(k, row, i32v(k, DEPTH)), k_mul(k, piece, i32v(k, per)));
    from = k_add(k, from, k_splat(k, k_cast(k, K_I32, depth)));
    if (p->defect == MISALIGNED) from = k_add(k, from, i32v(k, 1));
    if (p->defect == BEYOND) from = k_add(k, from, i32v(k, DEPTH));
    k_copy_async(k, p->tile, k_add(k, to, i32v(k, (int)at)), arg, from, CHUNK);
  }
}

static void round_regs(Product *p, KV regs) {
  KFn *k = p->k;
  if (p->bf16 || p->defect == NO_ROUNDING) return;
  for (int i = 0; i < 4; i++)
    k_set_reg(k, regs, i, k_bitcast(k, K_I32, k_tf32(k, k_bitcast(k, K_F32, k_reg(k, regs, i)))));
}

/* The lane's address of a piece of 16 x 32 bytes: row lane % 16, first or second 16 bytes; of b the rows go
 * in turn with them. */
static KV piece_at(Product *p, bool b, KV row0, int64_t at, int step) {
  KFn *k = p->k;
  KV row = k_rem(k, p->lane, i32v(k, 16)), half = k_div(k, p->lane, i32v(k, 16));
  if (b) {
    KV group = k_div(k, p->lane, i32v(k, 8));
    row = k_add(k, k_rem(k, p->lane, i32v(k, 8)), k_mul(k, k_div(k, group, i32v(k, 2)), i32v(k, 8)));
    half = k_rem(k, group, i32v(k, 2));
  }
  row = k_add(k, row, row0);
  if (p->defect == SHIFTED && !b) row = k_rem(k, k_add(k, row, i32v(k, 1)), i32v(k, ROWS));
  KV words = k_add(k, k_mul(k, row, i32v(k, WIDTH / 4)), k_mul(k, half, i32v(k, 4)));
  return k_add(k, words, i32v(k, (int)at + 8 * step));
}

static void multiply(Product *p) {
  KFn *k = p->k;
  KV row0 = k_mul(k, p->warp, i32v(k, 16));
  for (int step = 0; step < 2; step++) {
    k_load_matrix(k, p->a, p->tile, piece_at(p, false, row0, 0, step), 0, false);
    k_load_matrix(k, p->b, p->tile, piece_at(p, true, i32v(k, 0), ROWS * WIDTH / 4, 0), 8 * step, false);
    round_regs(p, p->a), round_regs(p, p->b);
    for (int n = 0; n < 2; n++) k_mma(k, p->bf16, p->acc[n], p->a, p->b, 2 * n);
  }
}

static void store_sums(Product *p, KV out) {
  KFn *k = p->k;
  KV row = k_add(k, k_div(k, p->lane, i32v(k, 4)), k_mul(k, p->warp, i32v(k, 16)));
  KV col = k_mul(k, k_rem(k, p->lane, i32v(k, 4)), i32v(k, 2));
  for (int n = 0; n < 2; n++)
    for (int r = 0; r < 4; r++) {
      KV at = k_mul(k, k_add(k, row, i32v(k, r / 2 * 8)), i32v(k, COLS));
      k_scatter(k, out, k_add(k, k_add(k, at, col), i32v(k, n * 8 + r % 2)), k_reg(k, p->acc[n], r));
    }
}

static KFn *product(bool bf16, Defect defect) {
  KFn *k = k_new(arena, "product", SIMT_LANES);
  k->warps = 2;
  KBase base = bf16 ? K_BF16 : K_F32;
  KV x = k_arg(k, base, "x"), y = k_arg(k, base, "y"), out = k_arg(k, K_F32, "out");
  Product p = {.k = k, .bf16 = bf16, .defect = defect, .lane = k_iota(k)};
  p.warp = k_splat(k, k_cast(k, K_I32, k_thread(k)));
  p.tile = k_scratch(k, K_F32, (ROWS + COLS) * WIDTH / 4, "tile");
  p.a = k_regs(k, K_I32, 4, "a"), p.b = k_regs(k, K_I32, 4, "b");
  for (int n = 0; n < 2; n++) {
    p.acc[n] = k_regs(k, K_F32, 4, "sum");
    for (int r = 0; r < 4; r++) k_set_reg(k, p.acc[n], r, k_f32(k, 0));
  }
  int per = WIDTH / (bf16 ? 2 : 4);
  KV depth = k_for(k, k_i64(k, 0), k_i64(k, DEPTH), per);
  copy_rows(&p, x, ROWS, 0, depth);
  copy_rows(&p, y, COLS, ROWS * WIDTH / 4, depth);
  k_commit(k);
  if (defect != NO_WAIT && defect != LEFT) k_wait_group(k, defect == WAIT_LESS ? 2 : 0);
  if (defect != NO_BARRIER) k_barrier(k);
  if (defect != LEFT) multiply(&p);
  if (defect != NO_BARRIER_2) k_barrier(k);
  k_end(k);
  store_sums(&p, out);
  return k;
}

typedef struct {
  _Alignas(64) uint8_t x[ROWS * DEPTH * 4], y[COLS * DEPTH * 4];
  float out[ROWS * COLS], a[ROWS][DEPTH], b[COLS][DEPTH];
} Memory;

static void put(uint8_t *to, bool bf16, int i, float v) {
  if (bf16) ((uint16_t *)(void *)to)[i] = bf16_bits(v);
  else ((float *)(void *)to)[i] = v;
}

/* Small integers, which all kinds hold. */
static Memory *memory(bool bf16) {
  Memory *m = aligned_alloc(64, (sizeof *m + 63) / 64 * 64);
  assert_non_null(m);
  for (int i = 0; i < ROWS * DEPTH; i++)
    put(m->x, bf16, i, m->a[i / DEPTH][i % DEPTH] = (float)(run_hash("x", i) % 15) - 7);
  for (int i = 0; i < COLS * DEPTH; i++)
    put(m->y, bf16, i, m->b[i / DEPTH][i % DEPTH] = (float)(run_hash("y", i) % 15) - 7);
  for (int i = 0; i < ROWS * COLS; i++) m->out[i] = NAN;
  return m;
}

static bool run_product(KFn *k, Memory *m, bool bf16, char err[IR_ERR]) {
  if (!kir_verify(k, err)) fail_msg("%s", err);
  const KFn *list = simt_prepare(arena, k);
  Emulator *e = emulator_new(&list, 1, err);
  if (!e) fail_msg("%s", err);
  NetcStep step = {0};
  int64_t bytes = bf16 ? 2 : 4;
  EmuBuffer buffer[] = {{m->x, ROWS * DEPTH * bytes}, {m->y, COLS * DEPTH * bytes}, {m->out, sizeof m->out}};
  bool good = true;
  for (uint64_t seed = 1; good && seed < 4; seed++) good = emulator_launch(e, 0, buffer, 1, &step, seed, err);
  emulator_free(e);
  return good;
}

static bool right(const Memory *m) {
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < COLS; j++) {
      float want = 0;
      for (int d = 0; d < DEPTH; d++) want += m->a[i][d] * m->b[j][d];
      if (m->out[i * COLS + j] != want) return false;
    }
  return true;
}

ARENA_TEST(products_are_right) {
  for (int bf16 = 0; bf16 < 2; bf16++) {
    char err[IR_ERR] = "";
    Memory *m = memory(bf16);
    if (!run_product(product(bf16, WHOLE), m, bf16, err)) fail_msg("%s", err);
    assert_true(right(m));
    free(m);
  }
}

ARENA_TEST(defects_are_seen) {
  static const char *const text[DEFECTS] = {
      [NO_WAIT] = "no wait_group has waited",    [WAIT_LESS] = "no wait_group has waited",
      [NO_BARRIER] = "nothing orders the two",   [NO_BARRIER_2] = "nothing orders the two",
      [NO_ROUNDING] = "is not rounded to tf32",  [MISALIGNED] = "does not lie at a multiple of 16 bytes",
      [BEYOND] = "of x (argument 0), which has", [LEFT] = "a copy by thread",
  };
  for (Defect d = WHOLE + 1; d < DEFECTS; d++) {
    char err[IR_ERR] = "";
    Memory *m = memory(false);
    for (int i = 0; d == NO_ROUNDING && i < ROWS * DEPTH; i++) put(m->x, false, i, 1 + 0x1p-20f);
    bool good = run_product(product(false, d), m, false, err);
    if (good && (text[d] || right(m))) fail_msg("defect %d is not seen", d);
    if (!good && (!text[d] || !strstr(err, text[d]))) fail_msg("defect %d: %s", d, err);
    free(m);
  }
}

/* A copy that nobody waits for, alone. */
ARENA_TEST(a_copy_that_nobody_waits_for_is_refused) {
  char err[IR_ERR] = "";
  KFn *k = k_new(arena, "early", SIMT_LANES);
  KV x = k_arg(k, K_F32, "x");
  k_arg(k, K_F32, "y"), k_arg(k, K_F32, "out");
  KV s = k_scratch(k, K_F32, SIMT_LANES, "s");
  k_copy_async(k, s, k_iota(k), x, k_iota(k), 4);
  k_commit(k);
  Memory *m = memory(false);
  assert_false(run_product(k, m, false, err));
  assert_non_null(strstr(err, "wait_group is missing"));
  free(m);
}

/* Rounding, zeros, pieces of 4 and 8 bytes, transposed matrices. */
ARENA_TEST(rounding_pieces_and_turned_matrices_are_right) {
  char err[IR_ERR] = "";
  KFn *k = k_new(arena, "small", SIMT_LANES);
  KV x = k_arg(k, K_F32, "x"), y = k_arg(k, K_F32, "y"), out = k_arg(k, K_F32, "out"), lane = k_iota(k);
  KV s = k_scratch(k, K_F32, 4 * SIMT_LANES, "s"), minus = i32v(k, -1);
  k_store(k, out, k_i64(k, 0), k_tf32(k, k_load(k, x, k_i64(k, 0), true)));
  KV even = k_eq(k, k_rem(k, lane, i32v(k, 2)), i32v(k, 0));
  k_copy_async(k, s, lane, x, k_select(k, even, lane, minus), 4);
  KV two = k_mul(k, lane, i32v(k, 2));
  k_copy_async(k, s, k_add(k, two, i32v(k, 32)), x, two, 8);
  k_commit(k);
  k_wait_group(k, 0);
  k_sync(k);
  k_store(k, out, k_i64(k, 32), k_load(k, s, k_i64(k, 0), true));
  k_store(k, out, k_i64(k, 64), k_load(k, s, k_i64(k, 64), true));
  k_sync(k);
  KV four = k_mul(k, lane, i32v(k, 4)), regs = k_regs(k, K_I32, 4, "transposed");
  k_copy_async(k, s, four, y, four, 16);
  k_commit(k);
  k_wait_group(k, 0);
  k_sync(k);
  k_load_matrix(k, regs, s, four, 0, true);
  for (int i = 0; i < 4; i++) k_store(k, out, k_i64(k, 96 + 32 * i), k_bitcast(k, K_F32, k_reg(k, regs, i)));
  Memory *m = memory(false);
  static const float value[][2] = {{1 + 0x1p-11f, 1 + 0x1p-10f},   {1 + 0x1p-12f, 1},
                                   {-1 - 0x1p-11f, -1 - 0x1p-10f}, {3 * 0x1p-140f, 3 * 0x1p-140f * 0},
                                   {INFINITY, INFINITY},           {0x1.fffffep127f, INFINITY}};
  enum { VALUES = sizeof value / sizeof *value };
  for (int i = 0; i < VALUES; i++) put(m->x, false, i, value[i][0]);
  put(m->x, false, VALUES, NAN);
  if (!run_product(k, m, false, err)) fail_msg("%s", err);
  const float *from = (const float *)(const void *)m->x;
  for (int i = 0; i < VALUES; i++) assert_true(m->out[i] == value[i][1]);
  assert_true(isnan(m->out[VALUES]));
  for (int i = 0; i < SIMT_LANES; i++) {
    assert_true(m->out[32 + i] == (i % 2 ? 0 : from[i]) || isnan(from[i]));
    assert_true(m->out[64 + i] == from[32 + i]);
  }
  uint16_t half[32][8];
  memcpy(half, m->y, sizeof half);
  for (int r = 0; r < 4; r++)
    for (int i = 0; i < SIMT_LANES; i++) {
      uint32_t got;
      memcpy(&got, &m->out[96 + 32 * r + i], 4);
      const uint16_t *row = half[8 * r + i % 4 * 2];
      assert_int_equal(got, row[i / 4] | (uint32_t)row[8 + i / 4] << 16);
    }
  free(m);
}

/* ---- rounding to bf16 ---- */

enum { FLOATS = 8 * SIMT_LANES };

/* bf16 of 32 floats a step: stored, by way of a value in registers, and in pairs with the floats backwards.
 * `tensor`: in a kernel of the family that has instructions for it. */
static KFn *rounded(bool tensor) {
  KFn *k = k_new(arena, tensor ? "instructions" : "integers", SIMT_LANES);
  KV x = k_arg(k, K_F32, "x"), back = k_arg(k, K_F32, "back"), out = k_arg(k, K_BF16, "out");
  KV value = k_arg(k, K_F32, "value"), pairs = k_arg(k, K_F32, "pairs");
  if (tensor) k_wait_group(k, 0);
  KV i = k_for(k, k_i64(k, 0), k_i64(k, FLOATS), SIMT_LANES), v = k_load(k, x, i, true);
  k_store(k, out, i, v);
  KV r = k_un(k, K_bf16, v);
  k_store(k, value, i, r);
  k_store(k, out, k_add(k, i, k_i64(k, FLOATS)), r);
  k_store(k, pairs, i, k_bitcast(k, K_F32, k_pair(k, v, k_load(k, back, i, true))));
  k_end(k);
  assert_int_equal(simt_family(k), tensor ? NETC_SM_80 : NETC_SM_75);
  return k;
}

/* Bits of floats: ties and what lies beside them, the ends of the range, denormals, NaN with all kinds of
 * payload; then some of every size. */
static uint32_t float_bits(int i) {
  static const uint32_t some[] = {0x3f808000, 0x3f818000, 0x3f807fff, 0x3f808001, 0xbf808000, 0xbf818000,
                                  0x7f7fffff, 0x7f7f7fff, 0x7f7f8000, 0xff7fffff, 0x7f800000, 0xff800000,
                                  0x7fc00000, 0xffc00000, 0x7f800001, 0xff80ffff, 0x7fffffff, 0x7fbfffff,
                                  0x00000000, 0x80000000, 0x00000001, 0x00008000, 0x00008001, 0x00018000,
                                  0x007fffff, 0x807f8000, 0x00800000, 0x0000ffff, 0x80008001, 0x007f7fff};
  enum { SOME = sizeof some / sizeof *some };
  return i < SOME ? some[i] : run_hash("bits", i);
}

static uint16_t want_bf16(uint32_t bits, bool tensor) {
  float f;
  memcpy(&f, &bits, 4);
  return tensor && f != f ? 0x7fff : bf16_bits(f);
}

ARENA_TEST(rounding_is_the_hosts) {
  for (int tensor = 0; tensor < 2; tensor++) {
    char err[IR_ERR] = "";
    uint32_t x[FLOATS], back[FLOATS], value[FLOATS], pairs[FLOATS];
    uint16_t out[2 * FLOATS];
    for (int i = 0; i < FLOATS; i++) x[i] = back[FLOATS - 1 - i] = float_bits(i);
    const KFn *k = simt_prepare(arena, rounded(tensor));
    Emulator *e = emulator_new(&k, 1, err);
    if (!e) fail_msg("%s", err);
    const EmuBuffer buffer[] = {
        {x, sizeof x}, {back, sizeof back}, {out, sizeof out}, {value, sizeof value}, {pairs, sizeof pairs}};
    bool good = emulator_launch(e, 0, buffer, 1, &(NetcStep){0}, 1, err);
    emulator_free(e);
    if (!good) fail_msg("%s", err);
    for (int i = 0; i < FLOATS; i++) {
      uint16_t want = want_bf16(x[i], tensor), other = want_bf16(back[i], tensor);
      assert_int_equal(out[i], want);
      assert_int_equal(out[FLOATS + i], want);
      assert_int_equal(value[i], (uint32_t)want << 16);
      assert_int_equal(pairs[i], want | (uint32_t)other << 16);
    }
  }
}

/* ---- what the builder and the verifier refuse ---- */

ARENA_TEST(misuse_is_refused) {
  KFn *k = k_new(arena, "misuse", SIMT_LANES);
  KV sum = k_regs(k, K_F32, 4, "sum"), a = k_regs(k, K_I32, 4, "a"), b = k_regs(k, K_I32, 4, "b");
  k_mma(k, false, sum, a, b, 3);
  assert_string_equal(k->err, "mma_tf32: has not so many registers");
  k = k_new(arena, "misuse", 16);
  k_regs(k, K_I32, 4, "a");
  assert_string_equal(k->err, "regs: is for 32 lanes");
  k = k_new(arena, "misuse", SIMT_LANES);
  KV x = k_arg(k, K_F32, "x");
  k_copy_async(k, x, k_iota(k), x, k_iota(k), 4);
  assert_string_equal(k->err, "copy_async: needs scratch");
  char err[IR_ERR];
  k = product(false, WHOLE);
  for (int v = 0; v < k->n; v++)
    if (k->ins[v].op == K_mma_tf32) k->ins[v].imm = 3;
  assert_false(kir_verify(k, err));
  assert_non_null(strstr(err, "operand 2 has 4 registers"));
}

/* A kernel with all of it, written and read. */
ARENA_TEST(text_reads_back) {
  KFn *k = product(false, WHOLE);
  KV tile = 0;
  while (k->ins[tile].op != K_scratch) tile++;
  k_gather_at(k, tile, k_iota(k), 5);
  assert_string_equal(k->err, "");
  char err[IR_ERR], *text = NULL, *again = NULL;
  size_t size = 0, other = 0;
  FILE *f = open_memstream(&text, &size);
  kir_print(f, k);
  fclose(f);
  const char *rest = text;
  KFn *got = kir_parse(arena, &rest, err);
  if (!got) fail_msg("%s", err);
  f = open_memstream(&again, &other);
  kir_print(f, got);
  fclose(f);
  rest = again;
  const KFn *second = kir_parse(arena, &rest, err);
  assert_non_null(second);
  assert_int_equal(kir_hash(got), kir_hash(second));
  assert_true(kir_tensor(got));
  free(text), free(again);
}

/* ---- PTX ---- */

/* Instructions where the family has them, and nowhere else. */
ARENA_TEST(ptx_rounds_to_bf16) {
  char err[IR_ERR] = "";
  for (int tensor = 0; tensor < 2; tensor++) {
    KFn *k = rounded(tensor);
    LLVMTargetMachineRef tm = simt_ptx_target(simt_family(k), err);
    if (!tm) fail_msg("%s", err);
    Bytes text = {0};
    if (!simt_ptx(simt_prepare(arena, k), simt_family(k), tm, "rounded", &text, err)) fail_msg("%s", err);
    bytes_add(&text, "", 1);
    const char *t = (const char *)text.data;
    assert_true((strstr(t, "cvt.rn.bf16.f32") != NULL) == tensor);
    assert_true((strstr(t, "cvt.rn.bf16x2.f32") != NULL) == tensor);
    assert_null(strstr(t, "ftz"));
    bytes_free(&text);
    LLVMDisposeTargetMachine(tm);
  }
}

ARENA_TEST(ptx_is_assembled) {
  char err[IR_ERR] = "";
  LLVMTargetMachineRef tm = simt_ptx_target(NETC_SM_80, err);
  if (!tm) fail_msg("%s", err);
  for (int bf16 = 0; bf16 < 2; bf16++) {
    KFn *k = product(bf16, WHOLE);
    assert_int_equal(simt_family(k), NETC_SM_80);
    Bytes text = {0};
    if (!simt_ptx(k, NETC_SM_80, tm, "product", &text, err)) fail_msg("%s", err);
    bytes_add(&text, "", 1);
    const char *t = (const char *)text.data;
    assert_non_null(strstr(t, ".target sm_80"));
    assert_non_null(strstr(t, bf16 ? "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
                                   : "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"));
    assert_true((strstr(t, "cvt.rna.tf32.f32") != NULL) == !bf16);
    assert_non_null(strstr(t, "ldmatrix.sync.aligned.m8n8.x4.shared.b16"));
    assert_non_null(strstr(t, "cp.async.cg.shared.global"));
    assert_non_null(strstr(t, "cp.async.wait_group 0"));
    text.n--;
    static const char *const kind[] = {"sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"};
    for (size_t i = 0; i < sizeof kind / sizeof *kind; i++) assembles_well(kind[i], &text);
    bytes_free(&text);
  }
  LLVMDisposeTargetMachine(tm);
}

RUN_TESTS(NULL, NULL)
