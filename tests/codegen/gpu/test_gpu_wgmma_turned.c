/* test_gpu_wgmma_turned.c - products by groups of four warps of bf16 matrices that lie transposed
 * (codegen/kir/wgmma.h), emulated: where the ISA's examples and the canonical layouts say that elements lie,
 * which is written out here once more; all kinds of patterns, one after the other along either axis, against
 * plain sums; for every rule a kernel that breaks it; PTX, which ptxas takes where it is at hand. */
#include <stdio.h>
#include <unistd.h>
#include "tests/test.h"
#include "tests/one_arena.h"
#include "tests/codegen/gpu/ptxas.h"
#include "tests/codegen/emit/run_emit.h"
#include "codegen/kir/internal.h"
#include "codegen/gpu/lower.h"
#include "codegen/kir/wgmma.h"

/* ---- layouts, as functions from coordinates to bytes ---- */

/* swizzle<bits, 4, 3> of a byte's place. */
static uint32_t swizzled(uint32_t at, int bits) { return at ^ (at >> 3 & ((1u << bits) - 1) << 4); }

/* "Exact layouts" of the ISA's figures 168 to 170, bf16, 16 lines: ((8,W,2),(8,2)) : ((1,8,LBO or
 * SBO),(8W,the other)), in elements. */
TEST(the_examples_of_the_isa_lie_where_it_says) {
  static const struct {
    int bits, wide, along_m[3], along_k[2]; /* shape W, strides */
    int leading, stride;                    /* as the descriptor has them, bytes / 16 */
  } example[] = {{0, 1, {1, 8, 64}, {8, 128}, 16, 8},
                 {1, 2, {1, 8, 128}, {16, 256}, 16, 32},
                 {2, 4, {1, 8, 256}, {32, 512}, 32, 64}};
  static const uint64_t kind[] = {0, 3, 2, 1};
  for (size_t i = 0; i < sizeof example / sizeof *example; i++) {
    uint64_t d = kind[example[i].bits] << 62 | (uint64_t)example[i].stride << 32 |
                 (uint64_t)example[i].leading << 16 | 64;
    WgmmaMatrix m = wgmma_matrix(d);
    assert_true(wgmma_transposed_begins_right(&m, 2));
    for (int row = 0; row < 16 * example[i].wide; row += 8)
      for (int k = 0; k < 16; k++) {
        int at = row / 8 % example[i].wide * example[i].along_m[1] +
                 row / 8 / example[i].wide * example[i].along_m[2] + k % 8 * example[i].along_k[0] +
                 k / 8 * example[i].along_k[1];
        assert_int_equal(wgmma_transposed_piece(&m, k, row / 8),
                         swizzled(1024 + 2 * (uint32_t)at, example[i].bits));
      }
  }
}

/* ---- a product: 64 x n of a (64 x depth) and b (n x depth), whose lines lie one after the other ---- */

enum { ROWS = 64, MOST_COLS = 128, STAGE = 32, DEPTH = 2 * STAGE };

typedef enum {
  WHOLE,
  NO_PROXY_FENCE,
  NO_BARRIER,
  NO_BARRIER_2,  /* before the next copies */
  WRONG_SWAP,    /* of a's descriptor: another pattern */
  WRONG_ACROSS,  /* of a's: the next pattern along m is the one after it */
  WRONG_DOWN,    /* of b's: the next 8 lines are those after them */
  WRONG_PLACES,  /* the copies' pieces are not swapped */
  WRONG_STEP,    /* the second 16 lines of b are the first once more */
  NOT_TURNED,    /* the product is one of rows */
  SHIFTED,       /* a begins within a pattern */
  SHIFTED_LINES, /* and b's next lines do */
  NO_PATTERNS,   /* b has columns for half a pattern */
  BEYOND,        /* scratch */
  DEFECTS
} Defect;

typedef struct {
  int bytes;  /* of a line of a pattern; 16: nothing is swapped */
  bool along; /* patterns lie one after the other along m, then along k; else the other way */
  int cols;
  Defect defect;
} Form;

/* Bytes from a pattern of a matrix of `width` columns to the next along m, and along k. */
static int to_next(const Form *f, int width, bool along_m) {
  int pattern = 8 * f->bytes;
  if (along_m) return f->along ? pattern : STAGE / 8 * pattern;
  return f->along ? width * 2 / f->bytes * pattern : pattern;
}

typedef struct {
  Form f;
  KFn *k;
  KV tile, sum, lane, warp;
} Product;

static KV i32v(KFn *k, int v) { return k_splat(k, k_i32(k, v)); }
static KV div2(KFn *k, KV v, int by) { return k_div(k, v, i32v(k, by)); }
static KV rem2(KFn *k, KV v, int by) { return k_rem(k, v, i32v(k, by)); }
static KV times(KFn *k, KV v, int by) { return k_mul(k, v, i32v(k, by)); }

/* Word of the piece of 8 elements of a line, in a matrix from word `at` on. */
static KV word_of(const Product *p, int width, KV line, KV piece, int at) {
  KFn *k = p->k;
  int wide = p->f.bytes / 16;
  KV byte = k_add(k, times(k, rem2(k, piece, wide), 16),
                  times(k, div2(k, piece, wide), to_next(&p->f, width, true)));
  byte = k_add(k, byte, times(k, rem2(k, line, 8), p->f.bytes));
  byte = k_add(k, byte, times(k, div2(k, line, 8), to_next(&p->f, width, false)));
  KV moved = k_bin(k, K_and, k_bin(k, K_shr, byte, i32v(k, 3)), i32v(k, (wide - 1) << 4));
  if (p->f.defect != WRONG_PLACES) byte = k_bin(k, K_xor, byte, moved);
  return k_add(k, div2(k, byte, 4), i32v(k, at));
}

/* A stage's lines of a matrix of `width` columns, 128 threads a piece each in turn. */
static void copy_lines(const Product *p, KV arg, int width, int at, KV first) {
  KFn *k = p->k;
  int all = STAGE * width / 8;
  for (int i = 0; i < all; i += 128) {
    KV number = k_add(k, k_add(k, times(k, p->warp, 32), p->lane), i32v(k, i));
    KV line = div2(k, number, width / 8), piece = rem2(k, number, width / 8);
    KV from =
        k_add(k, times(k, k_add(k, line, k_splat(k, k_cast(k, K_I32, first))), width), times(k, piece, 8));
    bool some = all - i < 128;
    if (some) k_if(k, k_lt(k, k_thread(k), k_i64(k, (all - i) / 32)));
    k_copy_async(k, p->tile, word_of(p, width, line, piece, at), arg, from, 16);
    if (some) k_end(k);
  }
}

/* Of what is not swapped the two offsets change places. */
static int64_t form_of(const Form *f, bool a) {
  static const int64_t kind[] = {[1] = 0, [2] = 3, [4] = 2, [8] = 1};
  int width = a ? ROWS : f->cols, across = to_next(f, width, true) / 16, down = to_next(f, width, false) / 16;
  if (a && f->defect == WRONG_ACROSS) across *= 2;
  if (!a && f->defect == WRONG_DOWN) down *= 2;
  if (!a && f->defect == SHIFTED_LINES) down += f->bytes / 16;
  uint64_t swap = (uint64_t)kind[f->bytes / 16] ^ (a && f->defect == WRONG_SWAP ? 1 : 0);
  if (f->bytes == 16) return (int64_t)((uint64_t)across << 32 | (uint64_t)down << 16);
  return (int64_t)(swap << 62 | (uint64_t)down << 32 | (uint64_t)across << 16);
}

static void multiply(Product *p) {
  enum { STEPS = STAGE / 16 };
  KFn *k = p->k;
  const Form *f = &p->f;
  int b_at = STAGE * ROWS / 2 + (f->defect == BEYOND ? 1024 : 0);
  int a_step = 2 * to_next(f, ROWS, false),
      b_step = f->defect == WRONG_STEP ? 0 : 2 * to_next(f, f->cols, false);
  KV a[STEPS], b[STEPS];
  a[0] = k_matrix(k, p->tile, k_i64(k, f->defect == SHIFTED ? f->bytes / 4 : 0), form_of(f, true));
  b[0] = k_matrix(k, p->tile, k_i64(k, b_at), form_of(f, false));
  for (int s = 1; s < STEPS; s++)
    a[s] = k_add(k, a[0], k_i64(k, s * a_step / 16)), b[s] = k_add(k, b[0], k_i64(k, s * b_step / 16));
  k_wgmma_fence(k);
  for (int s = 0; s < STEPS; s++)
    if (f->defect == NOT_TURNED) k_wgmma(k, true, p->sum, a[s], b[s]);
    else k_wgmma_transposed(k, p->sum, a[s], b[s]);
  k_wgmma_wait(k);
}

static void store_sums(Product *p, KV out) {
  KFn *k = p->k;
  int n = p->f.cols;
  KV row = k_add(k, div2(k, p->lane, 4), times(k, p->warp, 16)), col = times(k, rem2(k, p->lane, 4), 2);
  for (int i = 0; i < n / 2; i++) {
    KV at = times(k, k_add(k, row, i32v(k, i / 2 % 2 * 8)), n);
    k_scatter(k, out, k_add(k, k_add(k, at, col), i32v(k, i / 4 * 8 + i % 2)), k_reg(k, p->sum, i));
  }
}

static KFn *product(Form f) {
  KFn *k = k_new(arena, "product", SIMT_LANES);
  k->warps = 4;
  KV x = k_arg(k, K_BF16, "x"), y = k_arg(k, K_BF16, "y"), out = k_arg(k, K_F32, "out");
  Product p = {.f = f, .k = k, .lane = k_iota(k)};
  p.warp = k_splat(k, k_cast(k, K_I32, k_thread(k)));
  p.tile = k_scratch(k, K_F32, STAGE * (ROWS + f.cols) / 2 + 512, "tile");
  p.sum = k_regs(k, K_F32, f.cols / 2, "sum");
  for (int r = 0; r < f.cols / 2; r++) k_set_reg(k, p.sum, r, k_f32(k, 0));
  KV first = k_for(k, k_i64(k, 0), k_i64(k, DEPTH), STAGE);
  copy_lines(&p, x, ROWS, 0, first);
  copy_lines(&p, y, f.cols, STAGE * ROWS / 2, first);
  k_commit(k);
  k_wait_group(k, 0);
  if (f.defect != NO_PROXY_FENCE) k_proxy_fence(k);
  if (f.defect != NO_BARRIER) k_barrier(k);
  multiply(&p);
  if (f.defect != NO_BARRIER_2) k_barrier(k);
  k_end(k);
  store_sums(&p, out);
  return k;
}

typedef struct {
  _Alignas(64) uint16_t x[DEPTH * ROWS], y[DEPTH * MOST_COLS];
  float out[ROWS * MOST_COLS];
} Memory;

static float element(const char *name, int i) { return (float)(run_hash(name, i) % 15) - 7; }

static Memory *memory(const Form *f) {
  Memory *m = aligned_alloc(64, (sizeof *m + 63) / 64 * 64);
  assert_non_null(m);
  for (int i = 0; i < DEPTH * ROWS; i++) m->x[i] = bf16_bits(element("x", i));
  for (int i = 0; i < DEPTH * f->cols; i++) m->y[i] = bf16_bits(element("y", i));
  for (int i = 0; i < ROWS * f->cols; i++) m->out[i] = NAN;
  return m;
}

static bool run_product(const Form *f, KFn *k, Memory *m, char err[IR_ERR]) {
  if (!kir_verify(k, err)) fail_msg("defect %d: %s", f->defect, err);
  const KFn *list = simt_prepare(arena, k);
  Emulator *e = emulator_new(&list, 1, err);
  if (!e) fail_msg("%s", err);
  EmuBuffer buffer[] = {{m->x, sizeof m->x}, {m->y, DEPTH * f->cols * 2}, {m->out, ROWS * f->cols * 4}};
  bool good = true;
  for (uint64_t seed = 1; good && seed < 3; seed++)
    good = emulator_launch(e, 0, buffer, 1, &(NetcStep){0}, seed, err);
  emulator_free(e);
  return good;
}

static bool right(const Form *f, const Memory *m) {
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < f->cols; j++) {
      float want = 0;
      for (int d = 0; d < DEPTH; d++) want += element("x", d * ROWS + i) * element("y", d * f->cols + j);
      if (m->out[i * f->cols + j] != want) return false;
    }
  return true;
}

ARENA_TEST(products_are_right) {
  static const int cols[] = {16, 32, 64, 128};
  for (int bytes = 16; bytes <= 128; bytes *= 2)
    for (int i = 0; i < 8; i++) {
      char err[IR_ERR] = "";
      Form f = {bytes, i % 2, cols[i / 2], WHOLE};
      if (f.cols * 2 < bytes) continue;
      Memory *m = memory(&f);
      if (!run_product(&f, product(f), m, err)) fail_msg("%d bytes, %d columns: %s", bytes, f.cols, err);
      if (!right(&f, m)) fail_msg("%d bytes, %d columns, %d: wrong sums", bytes, f.cols, i % 2);
      free(m);
    }
}

ARENA_TEST(defects_are_seen) {
  static const char *const text[DEFECTS] = {
      [NO_PROXY_FENCE] = "has made no proxy_fence after that, before the last barrier",
      [NO_BARRIER] = "no barrier came after that",
      [NO_BARRIER_2] = "a wgmma reads it that no wgmma_wait has waited for",
      [SHIFTED] = "swapped rows begin elsewhere",
      [SHIFTED_LINES] = "swapped rows begin elsewhere",
      [NO_PATTERNS] = "are no whole patterns of 32",
      [BEYOND] = "where no scratch is",
  };
  for (Defect d = WHOLE + 1; d < DEFECTS; d++) {
    char err[IR_ERR] = "";
    Form f = {64, d != NO_PATTERNS, d == NO_PATTERNS ? 48 : 64, d};
    Memory *m = memory(&f);
    bool good = run_product(&f, product(f), m, err);
    if (good && (text[d] || right(&f, m))) fail_msg("defect %d is not seen", d);
    bool other = d == NO_BARRIER_2 && strstr(err, "nothing orders the two");
    other =
        other || ((d == WRONG_ACROSS || d == WRONG_DOWN || d == WRONG_SWAP || d == NOT_TURNED) && !text[d]);
    if (!good && (!text[d] || !strstr(err, text[d])) && !other) fail_msg("defect %d: %s", d, err);
    free(m);
  }
}

/* ---- what is refused; text ---- */

ARENA_TEST(registers_are_refused) {
  char err[IR_ERR];
  KFn *k = product((Form){64, true, 32, WHOLE});
  KV regs = K_NONE;
  for (int v = 0; v < k->n; v++) {
    if (k->ins[v].op == K_regs) regs = v;
    if (k->ins[v].op == K_wgmma_bf16_transposed) k->ins[v].in[1] = regs;
  }
  assert_false(kir_verify(k, err));
}

ARENA_TEST(text_is_read) {
  char err[IR_ERR], *text = NULL;
  size_t n = 0;
  Form f = {128, false, 64, WHOLE};
  FILE *to = open_memstream(&text, &n);
  assert_non_null(to);
  kir_print(to, product(f));
  fclose(to);
  assert_non_null(strstr(text, "wgmma_bf16_transposed v"));
  const char *at = text;
  KFn *k = kir_parse(arena, &at, err);
  if (!k) fail_msg("%s", err);
  Memory *m = memory(&f);
  if (!run_product(&f, k, m, err)) fail_msg("%s", err);
  assert_true(right(&f, m));
  free(m), free(text);
}

/* ---- PTX ---- */

ARENA_TEST(ptx_is_assembled) {
  char err[IR_ERR] = "";
  LLVMTargetMachineRef tm = simt_ptx_target(NETC_SM_90A, err);
  if (!tm) fail_msg("%s", err);
  KFn *k = product((Form){128, false, 128, WHOLE});
  assert_int_equal(simt_family(k), NETC_SM_90A);
  Bytes text = {0};
  if (!simt_ptx(simt_prepare(arena, k), NETC_SM_90A, tm, "product", &text, err)) fail_msg("%s", err);
  LLVMDisposeTargetMachine(tm);
  assembles_well("sm_90a", &text);
  bytes_add(&text, "", 1);
  const char *at = strstr((const char *)text.data, "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16");
  assert_non_null(at);
  const char *transposed = strstr(at, "add, 1, 1, 1, 1;"), *end = strchr(at, ';');
  assert_true(transposed && end == transposed + strlen("add, 1, 1, 1, 1"));
  bytes_free(&text);
}

RUN_TESTS(NULL, NULL)
