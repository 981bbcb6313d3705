/* test_gpu_wgmma.c - products by groups of four warps (codegen/kir/wgmma.h), emulated: all ways that rows may
 * lie, both types, a in shared memory and in registers, against plain sums; for every rule a kernel that
 * breaks it; PTX, which ptxas takes where it is at hand, without spills or serialized instructions. */
#include <stdio.h>
#include <unistd.h>
#include "tests/test.h"
#include "tests/one_arena.h"
#include "tests/codegen/gpu/ptxas.h"
#include "tests/codegen/emit/run_emit.h"
#include "codegen/kir/internal.h"
#include "codegen/gpu/lower.h"
#include "codegen/kir/wgmma.h"

/* ---- a product: 128 x n of a (128 x depth) and b (n x depth), by two groups of four warps ---- */

enum { ROWS = 128, MOST_COLS = 64, DEPTH_BYTES = 256 };

/* What is left out or wrong. */
typedef enum {
  WHOLE,
  NO_COPY_WAIT,
  NO_PROXY_FENCE,
  LATE_PROXY_FENCE, /* behind the barrier */
  NO_BARRIER,
  NO_BARRIER_2, /* before the next copies */
  NO_FENCE,
  NO_WAIT,
  LATE_WAIT,      /* behind the barrier before the next copies, and the copies */
  STORED_BETWEEN, /* to a sum, before the wait */
  WRONG_SWAP,     /* of a's descriptor: another pattern */
  WRONG_PLACES,   /* the copies' pieces are not swapped */
  WRONG_DOWN,     /* of b's: bytes to the eighth row */
  WRONG_OFFSET,   /* of b's: one piece further */
  WRONG_STEP,     /* the second 32 bytes of a are the first once more */
  BEYOND,         /* scratch */
  SHIFTED,        /* a pattern that begins elsewhere */
  DIFFERENT,      /* matrices of the four warps */
  NO_ROUNDING,
  DEFECTS
} Defect;

typedef struct {
  int bytes;    /* of a row of a stage */
  bool swapped; /* false: 32 bytes in two columns of pieces */
  bool bf16, registers;
  int cols;
  Defect defect;
} Form;

typedef struct {
  Form f;
  KFn *k;
  KV tile, sum, a, lane, warp; /* lane, warp: i32 vectors */
} Product;

static KV i32v(KFn *k, int v) { return k_splat(k, k_i32(k, v)); }
static KV div2(KFn *k, KV v, int by) { return k_div(k, v, i32v(k, by)); }
static KV rem2(KFn *k, KV v, int by) { return k_rem(k, v, i32v(k, by)); }

/* Word of piece p of row r of a matrix that begins at word `at`: written out apart from wgmma_piece. */
static KV word_of(const Product *p, KV r, KV piece, int at) {
  KFn *k = p->k;
  KV eights = div2(k, r, 8), in = rem2(k, r, 8);
  if (!p->f.swapped)
    return k_add(k, k_add(k, k_mul(k, eights, i32v(k, 64)), k_mul(k, piece, i32v(k, 32))),
                 k_add(k, k_mul(k, in, i32v(k, 4)), i32v(k, at)));
  KV turn = p->f.bytes == 128 ? in : p->f.bytes == 64 ? div2(k, in, 2) : div2(k, in, 4);
  if (p->f.defect == WRONG_PLACES) turn = i32v(k, 0);
  piece = k_bin(k, K_xor, piece, turn);
  return k_add(k, k_add(k, k_mul(k, r, i32v(k, p->f.bytes / 4)), k_mul(k, piece, i32v(k, 4))), i32v(k, at));
}

/* `rows` rows of a stage, 256 threads a piece each in turn. */
static void copy_rows(const Product *p, KV arg, int rows, int at, KV depth) {
  KFn *k = p->k;
  int per_row = p->f.bytes / 16, element = p->f.bf16 ? 2 : 4, all = rows * per_row;
  for (int i = 0; i < all; i += 256) {
    KV number = k_add(k, k_add(k, k_mul(k, p->warp, i32v(k, 32)), p->lane), i32v(k, i));
    KV row = div2(k, number, per_row), piece = rem2(k, number, per_row);
    KV from = k_add(k, k_mul(k, row, i32v(k, DEPTH_BYTES / element)), k_mul(k, piece, i32v(k, 16 / element)));
    from = k_add(k, from, k_splat(k, k_cast(k, K_I32, depth)));
    bool some = all - i < 256;
    if (some) k_if(k, k_lt(k, k_thread(k), k_i64(k, (all - i) / 32)));
    k_copy_async(k, p->tile, word_of(p, row, piece, at), arg, from, 16);
    if (some) k_end(k);
  }
}

static int64_t form_of(const Form *f, bool a) {
  int64_t form = f->swapped ? wgmma_form(f->bytes) : (int64_t)(UINT64_C(16) << 32 | UINT64_C(8) << 16);
  if (a && f->defect == WRONG_SWAP) form = (int64_t)((uint64_t)form ^ UINT64_C(3) << 62);
  if (!a && f->defect == WRONG_DOWN) form += (int64_t)1 << 32;
  if (a && f->defect == SHIFTED) form |= (int64_t)1 << 49;
  return form;
}

/* The warp's registers of a: rows 16 warp to 16 warp + 15. */
static void load_a(Product *p, int step) {
  KFn *k = p->k;
  KV row = k_add(k, k_mul(k, p->warp, i32v(k, 16)), rem2(k, p->lane, 16));
  KV piece = k_add(k, div2(k, p->lane, 16), i32v(k, 2 * step));
  k_load_matrix(k, p->a, p->tile, word_of(p, row, piece, 0), 0, false);
  for (int i = 0; i < 4 && !p->f.bf16; i++)
    k_set_reg(k, p->a, i, k_bitcast(k, K_I32, k_tf32(k, k_bitcast(k, K_F32, k_reg(k, p->a, i)))));
}

static void multiply(Product *p) {
  KFn *k = p->k;
  Defect d = p->f.defect;
  KV quad = k_div(k, k_thread(k), k_i64(k, 4));
  if (d == DIFFERENT) quad = k_rem(k, k_thread(k), k_i64(k, 2));
  KV a_at = k_mul(k, quad, k_i64(k, 64 * p->f.bytes / 4));
  int b_at = ROWS * p->f.bytes / 4 + (d == WRONG_OFFSET ? 4 : 0) + (d == BEYOND ? 768 : 0);
  KV a0 = k_matrix(k, p->tile, a_at, form_of(&p->f, true));
  KV b0 = k_matrix(k, p->tile, k_i64(k, b_at), form_of(&p->f, false));
  for (int s = 0; s < p->f.bytes / WGMMA_STEP; s++) {
    if (p->f.registers) load_a(p, s);
    KV a = k_add(k, a0, k_i64(k, d == WRONG_STEP ? 0 : 2 * s)), b = k_add(k, b0, k_i64(k, 2 * s));
    if (d == STORED_BETWEEN) k_splat(k, k_f32(k, 1));
    KV one = k_splat(k, k_f32(k, 1));
    if (d != NO_FENCE) k_wgmma_fence(k);
    k_wgmma(k, p->f.bf16, p->sum, p->f.registers ? p->a : a, b);
    if (d == STORED_BETWEEN) k_set_reg(k, p->sum, 1, one);
    if (d != NO_WAIT && d != LATE_WAIT) k_wgmma_wait(k);
  }
}

static void store_sums(Product *p, KV out) {
  KFn *k = p->k;
  int n = p->f.cols;
  KV row = k_add(k, div2(k, p->lane, 4), k_mul(k, p->warp, i32v(k, 16))),
     col = k_mul(k, rem2(k, p->lane, 4), i32v(k, 2));
  for (int i = 0; i < n / 2; i++) {
    KV at = k_mul(k, k_add(k, row, i32v(k, i / 2 % 2 * 8)), i32v(k, n));
    k_scatter(k, out, k_add(k, k_add(k, at, col), i32v(k, i / 4 * 8 + i % 2)), k_reg(k, p->sum, i));
  }
}

static KFn *product(Form f) {
  KFn *k = k_new(arena, "product", SIMT_LANES);
  k->warps = ROWS / 16;
  KBase base = f.bf16 ? K_BF16 : K_F32;
  KV x = k_arg(k, base, "x"), y = k_arg(k, base, "y"), out = k_arg(k, K_F32, "out");
  Product p = {.f = f, .k = k, .lane = k_iota(k)};
  p.warp = k_splat(k, k_cast(k, K_I32, k_thread(k)));
  p.tile = k_scratch(k, K_F32, (ROWS + f.cols) * f.bytes / 4 + 512, "tile");
  p.sum = k_regs(k, K_F32, f.cols / 2, "sum"), p.a = k_regs(k, K_I32, 4, "a");
  for (int r = 0; r < f.cols / 2; r++) k_set_reg(k, p.sum, r, k_f32(k, 0));
  KV depth = k_for(k, k_i64(k, 0), k_i64(k, DEPTH_BYTES / (f.bf16 ? 2 : 4)), f.bytes / (f.bf16 ? 2 : 4));
  copy_rows(&p, x, ROWS, 0, depth);
  copy_rows(&p, y, f.cols, ROWS * f.bytes / 4, depth);
  k_commit(k);
  if (f.defect == LATE_WAIT) k_wgmma_wait(k);
  if (f.defect != NO_COPY_WAIT) k_wait_group(k, 0);
  if (f.defect != NO_PROXY_FENCE && f.defect != LATE_PROXY_FENCE) k_proxy_fence(k);
  if (f.defect != NO_BARRIER) k_barrier(k);
  if (f.defect == LATE_PROXY_FENCE) k_proxy_fence(k);
  multiply(&p);
  if (f.defect != NO_BARRIER_2) k_barrier(k);
  k_end(k);
  if (f.defect == LATE_WAIT) k_wgmma_wait(k);
  store_sums(&p, out);
  return k;
}

typedef struct {
  _Alignas(64) uint8_t x[ROWS * DEPTH_BYTES], y[MOST_COLS * DEPTH_BYTES];
  float out[ROWS * MOST_COLS], a[ROWS][DEPTH_BYTES / 2], b[MOST_COLS][DEPTH_BYTES / 2];
} Memory;

static void put(uint8_t *to, bool bf16, int i, float v) {
  if (bf16) ((uint16_t *)(void *)to)[i] = bf16_bits(v);
  else ((float *)(void *)to)[i] = v;
}

/* Small integers, which both types hold. */
static Memory *memory(const Form *f) {
  Memory *m = aligned_alloc(64, (sizeof *m + 63) / 64 * 64);
  assert_non_null(m);
  int depth = DEPTH_BYTES / (f->bf16 ? 2 : 4);
  for (int i = 0; i < ROWS * depth; i++)
    put(m->x, f->bf16, i, m->a[i / depth][i % depth] = (float)(run_hash("x", i) % 15) - 7);
  for (int i = 0; i < f->cols * depth; i++)
    put(m->y, f->bf16, i, m->b[i / depth][i % depth] = (float)(run_hash("y", i) % 15) - 7);
  if (f->defect == NO_ROUNDING) put(m->y, f->bf16, 5, 1 + 0x1p-20f);
  for (int i = 0; i < ROWS * f->cols; i++) m->out[i] = NAN;
  return m;
}

/* Those that break a rule of the verifier, too, run without it. */
static bool run_product(const Form *f, KFn *k, Memory *m, char err[IR_ERR]) {
  bool refused = !kir_verify(k, err), breaks = f->defect == NO_FENCE || f->defect == NO_WAIT ||
                                               f->defect == LATE_WAIT || f->defect == STORED_BETWEEN;
  if (refused != breaks) fail_msg("defect %d: %s", f->defect, refused ? err : "kir_verify takes it");
  const KFn *list = simt_prepare(arena, k);
  Emulator *e = emulator_unchecked(&list, 1, err);
  if (!e) fail_msg("%s", err);
  NetcStep step = {0};
  int64_t width = DEPTH_BYTES;
  EmuBuffer buffer[] = {{m->x, ROWS * width}, {m->y, f->cols * width}, {m->out, ROWS * f->cols * 4}};
  bool good = true;
  for (uint64_t seed = 1; good && seed < 3; seed++) good = emulator_launch(e, 0, buffer, 1, &step, seed, err);
  emulator_free(e);
  return good;
}

static bool right(const Form *f, const Memory *m) {
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < f->cols; j++) {
      float want = 0;
      for (int d = 0; d < DEPTH_BYTES / (f->bf16 ? 2 : 4); d++) want += m->a[i][d] * m->b[j][d];
      if (m->out[i * f->cols + j] != want) return false;
    }
  return true;
}

ARENA_TEST(products_are_right) {
  static const int bytes[] = {32, 32, 64, 128};
  for (int i = 0; i < 4; i++)
    for (int kind = 0; kind < 4; kind++) {
      char err[IR_ERR] = "";
      Form f = {bytes[i], i > 0, kind % 2, kind / 2, i == 2 ? 64 : 32, WHOLE};
      Memory *m = memory(&f);
      if (!run_product(&f, product(f), m, err)) fail_msg("form %d, %d: %s", i, kind, err);
      if (!right(&f, m)) fail_msg("form %d, %d: wrong sums", i, kind);
      free(m);
    }
}

ARENA_TEST(defects_are_seen) {
  static const char *const text[DEFECTS] = {
      [NO_COPY_WAIT] = "copies to: no wait_group has waited",
      [NO_PROXY_FENCE] = "has made no proxy_fence after that, before the last barrier",
      [LATE_PROXY_FENCE] = "has made no proxy_fence after that, before the last barrier",
      [NO_BARRIER] = "no barrier came after that",
      [NO_BARRIER_2] = "a wgmma reads it that no wgmma_wait has waited for",
      [NO_FENCE] = "no wgmma_fence since it began or waited",
      [NO_WAIT] = "a wgmma reads it that no wgmma_wait has waited for",
      [LATE_WAIT] = "a wgmma reads it that no wgmma_wait has waited for",
      [STORED_BETWEEN] = "was stored to before wgmma_wait",
      [WRONG_SWAP] = "swapped rows begin elsewhere",
      [WRONG_DOWN] = "swapped rows begin elsewhere",
      [BEYOND] = "where no scratch is",
      [SHIFTED] = "swapped rows begin elsewhere",
      [DIFFERENT] = "name different matrices",
      [NO_ROUNDING] = "is not rounded to tf32",
  };
  for (Defect d = WHOLE + 1; d < DEFECTS; d++) {
    char err[IR_ERR] = "";
    Form f = {64, true, false, false, 24, d};
    Memory *m = memory(&f);
    bool good = run_product(&f, product(f), m, err);
    if (good && (text[d] || right(&f, m))) fail_msg("defect %d is not seen", d);
    bool other = d == NO_BARRIER_2 && strstr(err, "nothing orders the two");
    if (!good && (!text[d] || !strstr(err, text[d])) && !other) fail_msg("defect %d: %s", d, err);
    free(m);
  }
}

/* A wait that never comes. */
ARENA_TEST(a_product_that_nobody_waits_for_is_refused) {
  char err[IR_ERR] = "";
  KFn *k = k_new(arena, "early", SIMT_LANES);
  k->warps = 4;
  k_arg(k, K_F32, "x"), k_arg(k, K_F32, "y"), k_arg(k, K_F32, "out");
  KV s = k_scratch(k, K_F32, 72 * 8, "s"), sum = k_regs(k, K_F32, 4, "sum");
  KV a = k_matrix(k, s, k_i64(k, 0), wgmma_form(32)), b = k_matrix(k, s, k_i64(k, 64 * 8), wgmma_form(32));
  k_wgmma_fence(k);
  k_wgmma(k, true, sum, a, b);
  Form f = {.cols = 8, .defect = NO_WAIT};
  Memory *m = memory(&f);
  assert_false(run_product(&f, k, m, err));
  assert_non_null(strstr(err, "wgmma_wait is missing"));
  free(m);
}

/* ---- what is refused; text ---- */

ARENA_TEST(misuse_is_refused) {
  char err[IR_ERR];
  KFn *k = product((Form){64, true, false, false, 24, WHOLE});
  k->warps = 6;
  assert_false(kir_verify(k, err));
  assert_non_null(strstr(err, "is for blocks of fours of warps"));
  k = product((Form){64, true, false, false, 24, WHOLE});
  for (int v = 0; v < k->n; v++)
    if (k->ins[v].op == K_regs && k->ins[v].type.base == K_F32) k->ins[v].imm = 11;
  assert_false(kir_verify(k, err));
  k = product((Form){64, true, false, false, 24, NO_WAIT});
  assert_false(kir_verify(k, err));
  assert_non_null(strstr(err, "must be followed by a product or wgmma_wait"));
  k = k_new(arena, "misuse", SIMT_LANES);
  KV x = k_arg(k, K_F32, "x");
  k_matrix(k, x, k_i64(k, 0), 0);
  assert_string_equal(k->err, "matrix: needs scratch");
}

static char *printed(const KFn *k) {
  char *text = NULL;
  size_t n = 0;
  FILE *f = open_memstream(&text, &n);
  assert_non_null(f);
  kir_print(f, k);
  fclose(f);
  return text;
}

ARENA_TEST(text_is_read) {
  for (int registers = 0; registers < 2; registers++) {
    char err[IR_ERR];
    char *first = printed(product((Form){128, true, true, registers, 24, WHOLE}));
    const char *at = first;
    KFn *k = kir_parse(arena, &at, err);
    if (!k) fail_msg("%s", err);
    assert_non_null(strstr(first, "wgmma_bf16 v"));
    Memory *m = memory(&(Form){.bf16 = true, .cols = 24});
    Form f = {128, true, true, registers, 24, WHOLE};
    char why[IR_ERR] = "";
    if (!run_product(&f, k, m, why)) fail_msg("%s", why);
    assert_true(right(&f, m));
    free(m), free(first);
  }
}

/* ---- PTX ---- */

ARENA_TEST(ptx_is_assembled) {
  char err[IR_ERR] = "";
  LLVMTargetMachineRef tm = simt_ptx_target(NETC_SM_90A, err);
  if (!tm) fail_msg("%s", err);
  for (int kind = 0; kind < 4; kind++) {
    KFn *k = product((Form){128, true, kind % 2, kind / 2, 64, WHOLE});
    assert_int_equal(simt_family(k), NETC_SM_90A);
    Bytes text = {0};
    if (!simt_ptx(k, NETC_SM_90A, tm, "product", &text, err)) fail_msg("%s", err);
    bytes_add(&text, "", 1);
    const char *t = (const char *)text.data;
    assert_non_null(strstr(t, ".target sm_90a"));
    assert_non_null(strstr(t, kind % 2 ? "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16"
                                       : "wgmma.mma_async.sync.aligned.m64n64k8.f32.tf32.tf32"));
    assert_non_null(strstr(t, "fence.proxy.async.shared::cta"));
    text.n--;
    assembles_well("sm_90a", &text);
    bytes_free(&text);
  }
  LLVMDisposeTargetMachine(tm);
}

RUN_TESTS(NULL, NULL)
