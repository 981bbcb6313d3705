/* block.c - the code of a block: stages, products, results (tensor_core.h). */
#include "codegen/emit/tensor_core/tensor_core.h"
#include "codegen/kir/wgmma.h"

static int pieces(const TcTile *t) { return t->row / TC_PIECE; }

/* By what the pieces of a row are moved. */
static KV turn(KFn *k, const TcTile *t, KV row) {
  if (pieces(t) == 8) return k_bin(k, K_and, row, i32v(k, 7));
  return k_bin(k, K_and, k_bin(k, K_shr, row, i32v(k, 1)), i32v(k, 3));
}

KV tc_word(TcBlock *b, KV r, KV p) {
  KFn *k = b->k;
  p = k_bin(k, K_xor, p, turn(k, &b->t, r));
  return k_add(k, k_mul(k, r, i32v(k, b->t.row)), k_mul(k, p, i32v(k, TC_PIECE)));
}

/* Where a lane's row begins of what load_matrix takes of a step's a: rows 0-7 and 8-15, first piece, then second; and of b: of
 * columns 0-7 first piece and second, then of columns 8-15 (codegen/kir/fragment.h). Rows further on by multiples of 16 are moved alike. */
static void piece_places(TcBlock *b) {
  KFn *k = b->k;
  KV low = k_bin(k, K_and, b->lane, i32v(k, 7)), eight = k_bin(k, K_and, b->lane, i32v(k, 8));
  KV high = k_bin(k, K_shr, b->lane, i32v(k, 4)), warp_m = k_cast(k, K_I32, b->warp_m);
  KV a_row = k_add(k, k_add(k, low, eight), warp_m);
  KV b_row = k_add(k, low, k_mul(k, high, i32v(k, 8)));
  b_row = k_add(k, b_row, k_add(k, k_cast(k, K_I32, b->warp_n), k_i32(k, b->t.m)));
  for (int s = 0; s < pieces(&b->t) / 2; s++) {
    b->a_at[s] = tc_word(b, a_row, k_add(k, high, i32v(k, 2 * s)));
    b->b_at[s] = tc_word(b, b_row, k_add(k, k_bin(k, K_shr, eight, i32v(k, 3)), i32v(k, 2 * s)));
  }
}

/* Where a lane fetches of a step's a and b that lie transposed. Of bf16 load_matrix_transposed takes four pieces of 8 lines: of a lines 0-7 and
 * rows 0-7, then rows 8-15, then the same of lines 8-15; of b columns 0-7 of lines 0-7 and of 8-15, then the next eight columns. */
static void transposed_places(TcBlock *b) {
  KFn *k = b->k;
  const TcTile *t = &b->t;
  int la = tc_line(t->m, b->bf16), lb = tc_line(t->n, b->bf16), start = tc_transposed_b(t, b->bf16);
  KV warp_m = k_cast(k, K_I32, b->warp_m), warp_n = k_cast(k, K_I32, b->warp_n);
  KV low = k_bin(k, K_and, b->lane, i32v(k, 7)), two = i32v(k, 2);
  KV middle = k_bin(k, K_and, k_bin(k, K_shr, b->lane, i32v(k, 3)), i32v(k, 1)),
     high = k_bin(k, K_shr, b->lane, i32v(k, 4));
  KV a_line = k_add(k, low, k_mul(k, high, i32v(k, 8))), b_line = k_add(k, low, k_mul(k, middle, i32v(k, 8)));
  KV a_col = k_div(k, k_add(k, k_mul(k, middle, i32v(k, 8)), warp_m), two);
  KV b_col = k_div(k, k_add(k, k_mul(k, high, i32v(k, 8)), warp_n), two);
  if (!b->bf16) {
    a_line = b_line = k_bin(k, K_and, b->lane, i32v(k, 3));
    KV g = k_bin(k, K_shr, b->lane, two);
    a_col = k_add(k, g, warp_m), b_col = k_add(k, g, warp_n);
  }
  b->a_at[0] = k_add(k, k_mul(k, a_line, i32v(k, la)), a_col);
  b->b_at[0] = k_add(k, k_add(k, k_mul(k, b_line, i32v(k, lb)), b_col), i32v(k, start));
}

/* Line by line; wgmma: piece by piece, swapped with the number of the line as the machine does it (codegen/kir/wgmma.h). */
KV tc_transposed_word(TcBlock *b, int length, int start, KV line, KV at) {
  KFn *k = b->k;
  int bytes = tc_wgmma_line(length), part = bytes / 2, pieces_of_line = bytes / 16;
  if (!b->t.wgmma)
    return k_add(k, k_add(k, k_mul(k, line, i32v(k, tc_line(length, b->bf16))), i32v(k, start)),
                 k_div(k, at, i32v(k, b->bf16 ? 2 : 1)));
  KV in = k_rem(k, at, i32v(k, part)), piece = k_div(k, in, i32v(k, 8));
  KV transposed = k_bin(k, K_and, k_div(k, line, i32v(k, 128 / bytes)), i32v(k, pieces_of_line - 1));
  KV word = k_add(k, k_mul(k, k_bin(k, K_xor, piece, transposed), i32v(k, TC_PIECE)),
                  k_div(k, k_rem(k, in, i32v(k, 8)), i32v(k, 2)));
  KV first = k_mul(k, k_div(k, at, i32v(k, part)), i32v(k, tc_depth(&b->t, true) * bytes / 4));
  return k_add(k, k_add(k, first, k_mul(k, line, i32v(k, bytes / 4))), k_add(k, word, i32v(k, start)));
}

/* Of four warps each has 16 rows in 64; further 64 are further sums. a is taken from shared memory where it is rounded. */
static void begin_wgmma(TcBlock *b, KV warp) {
  KFn *k = b->k;
  int rows = tc_warp_m(&b->t) / 16;
  b->apart = WGMMA_ROWS;
  KV four = k_div(k, warp, k_i64(k, WGMMA_WARPS)), in = k_rem(k, warp, k_i64(k, WGMMA_WARPS));
  b->warp_m = k_add(k, k_mul(k, four, k_i64(k, WGMMA_ROWS * rows)), k_mul(k, in, k_i64(k, 16)));
  b->warp_n = k_i64(k, 0);
  if (!b->bf16) piece_places(b);
  for (int i = 0; i < rows * pieces(&b->t) / 2 && !b->bf16; i++) b->wgmma_a[i] = k_regs(k, K_I32, 4, "a");
  b->sum = arena_alloc(k->arena, (size_t)rows * sizeof *b->sum);
  for (int i = 0; i < rows; i++) b->sum[i] = k_regs(k, K_F32, b->t.n / 2, "sum");
}

void tc_begin(TcBlock *b, KFn *k, const TcTile *t, bool bf16) {
  *b = (TcBlock){.k = k, .t = *t, .bf16 = bf16, .rounded_a = bf16, .rounded_b = bf16, .apart = 16};
  int sums = tc_warp_m(t) / 16 * (tc_warp_n(t) / 8);
  k->warps = tc_warps(t);
  b->tiles = k_scratch(k, K_F32, (int64_t)t->stages * tc_stage_words(t), "tiles");
  b->lane = k_iota(k);
  KV warp = k_thread(k), across = k_i64(k, t->warps_n);
  b->thread = k_add(k, b->lane, k_splat(k, k_mul(k, k_cast(k, K_I32, warp), k_i32(k, 32))));
  if (t->wgmma) {
    begin_wgmma(b, warp);
    return;
  }
  b->warp_m = k_mul(k, k_div(k, warp, across), k_i64(k, tc_warp_m(t)));
  b->warp_n = k_mul(k, k_rem(k, warp, across), k_i64(k, tc_warp_n(t)));
  if (t->transposed) transposed_places(b);
  else piece_places(b);
  b->a = k_regs(k, K_I32, 4, "a");
  for (int j = 0; j < tc_warp_n(t) / 16; j++) b->b[j] = k_regs(k, K_I32, 4, "b");
  b->sum = arena_alloc(k->arena, (size_t)sums * sizeof *b->sum);
  for (int i = 0; i < sums; i++) b->sum[i] = k_regs(k, K_F32, 4, "sum");
}

static void round_regs(KFn *k, KV regs) {
  for (int i = 0; i < 4; i++)
    k_set_reg(k, regs, i, k_bitcast(k, K_I32, k_tf32(k, k_bitcast(k, K_F32, k_reg(k, regs, i)))));
}

static void fetch(TcBlock *b, KV regs, int i, KV at, int64_t further) {
  KFn *k = b->k;
  k_set_reg(k, regs, i, k_bitcast(k, K_I32, k_tf32(k, k_gather_at(k, b->tiles, at, further))));
}

static void multiply_transposed(TcBlock *b, KV stage) {
  KFn *k = b->k;
  const TcTile *t = &b->t;
  int tiles_n = tc_warp_n(t) / 8, la = tc_line(t->m, b->bf16), lb = tc_line(t->n, b->bf16),
      depth = b->bf16 ? 16 : 8;
  KV a_at = k_add(k, b->a_at[0], stage), b_at = k_add(k, b->b_at[0], stage);
  for (int s = 0; s < tc_depth(t, b->bf16) / depth; s++) {
    for (int j = 0; j < tiles_n / 2; j++) {
      if (b->bf16) k_load_matrix(k, b->b[j], b->tiles, b_at, (int64_t)depth * s * lb + 8 * j, true);
      for (int r = 0; r < 4 && !b->bf16; r++)
        fetch(b, b->b[j], r, b_at, (int64_t)(depth * s + r % 2 * 4) * lb + 16 * j + r / 2 * 8);
    }
    for (int i = 0; i < tc_warp_m(t) / 16; i++) {
      if (b->bf16) k_load_matrix(k, b->a, b->tiles, a_at, (int64_t)depth * s * la + 8 * i, true);
      for (int r = 0; r < 4 && !b->bf16; r++)
        fetch(b, b->a, r, a_at, (int64_t)(depth * s + r / 2 * 4) * la + 16 * i + r % 2 * 8);
      for (int j = 0; j < tiles_n; j++)
        k_mma(k, b->bf16, b->sum[i * tiles_n + j], b->a, b->b[j / 2], j % 2 * 2);
    }
  }
}

static void multiply(TcBlock *b, KV stage) {
  KFn *k = b->k;
  const TcTile *t = &b->t;
  int tiles_n = tc_warp_n(t) / 8;
  for (int s = 0; s < pieces(t) / 2; s++) {
    KV a_at = k_add(k, b->a_at[s], stage), b_at = k_add(k, b->b_at[s], stage);
    for (int j = 0; j < tiles_n / 2; j++) {
      k_load_matrix(k, b->b[j], b->tiles, b_at, (int64_t)16 * j * t->row, false);
      if (!b->rounded_b) round_regs(k, b->b[j]);
    }
    for (int i = 0; i < tc_warp_m(t) / 16; i++) {
      k_load_matrix(k, b->a, b->tiles, a_at, (int64_t)16 * i * t->row, false);
      if (!b->rounded_a) round_regs(k, b->a);
      for (int j = 0; j < tiles_n; j++)
        k_mma(k, b->bf16, b->sum[i * tiles_n + j], b->a, b->b[j / 2], j % 2 * 2);
    }
  }
}

/* The descriptor of rows of a stage, from `row` (i64) on. */
static KV rows_of(TcBlock *b, KV stage, KV row) {
  KFn *k = b->k;
  KV at = k_add(k, k_cast(k, K_I64, stage), k_mul(k, row, k_i64(k, b->t.row)));
  return k_matrix(k, b->tiles, at, wgmma_form(4 * b->t.row));
}

/* All of a stage is one run: the step's x, of each 64 rows, times its y. Operands came before: nothing may stand between its products. */
static void run_products(TcBlock *b, const KV *x, const KV *y) {
  KFn *k = b->k;
  int rows = tc_warp_m(&b->t) / 16, steps = pieces(&b->t) / 2;
  k_wgmma_fence(k);
  for (int s = 0; s < steps; s++)
    for (int i = 0; i < rows; i++)
      if (b->t.transposed) k_wgmma_transposed(k, b->sum[i], x[s * rows + i], y[s]);
      else k_wgmma(k, b->bf16, b->sum[i], x[s * rows + i], y[s]);
  k_wgmma_wait(k);
}

/* The descriptor of lines of `length` elements from word `start` of a stage on: those from the `part`th part on that lies together. */
static KV lines_of(TcBlock *b, KV stage, int length, int start, KV part) {
  KFn *k = b->k;
  int bytes = tc_wgmma_line(length), across = tc_depth(&b->t, true) * bytes;
  KV at = k_add(k, k_cast(k, K_I64, stage), k_add(k, k_mul(k, part, k_i64(k, across / 4)), k_i64(k, start)));
  return k_matrix(k, b->tiles, at, wgmma_form_transposed(bytes, across));
}

/* 64 rows are a part of the line; the next 16 lines are 16 lines further. */
static void multiply_wgmma_transposed(TcBlock *b, KV stage) {
  KFn *k = b->k;
  const TcTile *t = &b->t;
  int rows = tc_warp_m(t) / 16, a_line = tc_wgmma_line(t->m), b_line = tc_wgmma_line(t->n);
  KV four = k_div(k, k_thread(k), k_i64(k, WGMMA_WARPS)), x[TC_MAX_SUB * 2], y[TC_MAX_SUB];
  KV a0 = lines_of(b, stage, t->m, 0, k_mul(k, four, k_i64(k, rows)));
  KV b0 = lines_of(b, stage, t->n, tc_transposed_b(t, true), k_i64(k, 0));
  for (int s = 0; s < pieces(t) / 2; s++) {
    y[s] = k_add(k, b0, k_i64(k, s * b_line)); /* 16 lines, / 16 */
    for (int i = 0; i < rows; i++)
      x[s * rows + i] = k_add(k, a0, k_i64(k, s * a_line + i * tc_depth(t, true) * a_line / 16));
  }
  run_products(b, x, y);
}

/* b, and a in bf16, by descriptors; a in tf32 by way of registers, rounded. */
static void multiply_wgmma(TcBlock *b, KV stage) {
  KFn *k = b->k;
  const TcTile *t = &b->t;
  int rows = tc_warp_m(t) / 16, steps = pieces(t) / 2;
  KV four = k_div(k, k_thread(k), k_i64(k, WGMMA_WARPS)), a0 = K_NONE;
  KV b0 = rows_of(b, stage, k_i64(k, t->m)), x[TC_MAX_SUB * 2], y[TC_MAX_SUB];
  if (b->bf16) a0 = rows_of(b, stage, k_mul(k, four, k_i64(k, WGMMA_ROWS * rows)));
  for (int s = 0; s < steps; s++) {
    y[s] = k_add(k, b0, k_i64(k, s * (WGMMA_STEP / 16)));
    for (int i = 0; i < rows; i++) {
      int number = s * rows + i, further = i * WGMMA_ROWS * t->row;
      if (b->bf16) x[number] = k_add(k, a0, k_i64(k, s * (WGMMA_STEP / 16) + 4 * further / 16));
      if (b->bf16) continue;
      x[number] = b->wgmma_a[number];
      k_load_matrix(k, x[number], b->tiles, k_add(k, b->a_at[s], k_splat(k, stage)), further, false);
      if (!b->rounded_a) round_regs(k, x[number]);
    }
  }
  run_products(b, x, y);
}

/* The stage behind `stage` (a local). */
static void go_on(TcBlock *b, KV stage) {
  KFn *k = b->k;
  KV next = k_add(k, k_get(k, stage), k_i32(k, tc_stage_words(&b->t)));
  KV end = k_eq(k, next, k_i32(k, b->t.stages * tc_stage_words(&b->t)));
  k_set(k, stage, k_select(k, end, k_i32(k, 0), next));
}

/* In step i, after the wait, the copies of steps up to i have come, of this thread; after the barrier, of all, and nobody reads the
 * stage of step i - 1 any more: into that go the copies of step i + stages - 1. Each step closes one group, an empty one at the
 * end, so that the same number waits for the right one. */
void tc_run(TcBlock *b, KV steps, TcLoad *load, void *ctx) {
  KFn *k = b->k;
  const TcTile *t = &b->t;
  int ahead = t->stages - 1, words = tc_stage_words(t);
  int sums = tc_warp_m(t) / 16 * (t->wgmma ? 1 : tc_warp_n(t) / 8), registers = t->wgmma ? t->n / 2 : 4;
  for (int i = 0; i < sums; i++)
    for (int r = 0; r < registers; r++) k_set_reg(k, b->sum[i], r, k_f32(k, 0));
  int64_t n;
  if (k_is_const(k, steps, &n) && n == 0) return;
  for (int i = 0; i < ahead; i++) {
    bool some = k_is_const(k, steps, &n);
    if (!some) k_if(k, k_lt(k, k_i64(k, i), steps));
    if (!some || i < n) load(ctx, b, k_i64(k, i), i32v(k, (int64_t)i * words));
    if (!some) k_end(k);
    k_commit(k);
  }
  KV from = k_local(k, K_I32, false, "from"), into = k_local(k, K_I32, false, "into");
  k_set(k, from, k_i32(k, 0));
  k_set(k, into, k_i32(k, ahead * words));
  KV step = k_for(k, k_i64(k, 0), steps, 1), next = k_add(k, step, k_i64(k, ahead));
  k_wait_group(k, ahead - 1);
  if (t->wgmma) k_proxy_fence(k); /* wgmma reads what has come */
  k_barrier(k);
  k_if(k, k_lt(k, next, steps));
  load(ctx, b, next, k_splat(k, k_get(k, into)));
  k_end(k);
  k_commit(k);
  if (t->wgmma && t->transposed) multiply_wgmma_transposed(b, k_get(k, from));
  else if (t->wgmma) multiply_wgmma(b, k_get(k, from));
  else if (t->transposed) multiply_transposed(b, k_splat(k, k_get(k, from)));
  else multiply(b, k_splat(k, k_get(k, from)));
  go_on(b, from);
  go_on(b, into);
  k_end(k);
  k_barrier(k);
}

/* ---- results: by way of scratch, so that lanes become columns ---- */

/* Columns that scratch has room for at once, with 16 rows of each warp. */
static int run_cols(const TcTile *t) {
  int cols = tc_warp_n(t), words = t->stages * tc_stage_words(t) / tc_warps(t);
  while (16 * (cols + 8) > words) cols /= 2;
  return cols;
}

/* Words from a row to the next: the eight rows that a warp stores at once start in four places. */
static int pitch(const TcTile *t) { return run_cols(t) + 8; }

/* Rows that scratch has room for, of each warp. */
static int run_rows(const TcTile *t) {
  int rows = t->wgmma ? 16 : tc_warp_m(t), words = t->stages * tc_stage_words(t) / tc_warps(t);
  while (rows > 16 && rows * pitch(t) > words) rows /= 2;
  return rows;
}

/* Register r of the piece of 16 rows and 8 columns. */
static KV piece_sum(TcBlock *b, int rows, int cols, int r) {
  if (b->t.wgmma) return k_reg(b->k, b->sum[rows], 4 * cols + r);
  return k_reg(b->k, b->sum[rows * (tc_warp_n(&b->t) / 8) + cols], r);
}

static void put_sums(TcBlock *b, int first, int rows, int col, KV at) {
  KFn *k = b->k;
  KV g = k_bin(k, K_shr, b->lane, i32v(k, 2)), t = k_bin(k, K_and, b->lane, i32v(k, 3));
  KV mine = k_add(k, k_mul(k, g, i32v(k, pitch(&b->t))), k_mul(k, t, i32v(k, 2)));
  mine = k_add(k, mine, k_splat(k, k_cast(k, K_I32, at)));
  for (int i = 0; i < rows / 16; i++)
    for (int j = 0; j < run_cols(&b->t) / 8; j++)
      for (int r = 0; r < 4; r++) {
        int64_t off = (16 * i + r / 2 * 8) * pitch(&b->t) + 8 * j + r % 2;
        k_scatter(k, b->tiles, k_add(k, mine, i32v(k, off)), piece_sum(b, first / 16 + i, col / 8 + j, r));
      }
}

/* Rows from `row0` on, columns from the warp's column `col` on, that lie in scratch. */
static void take_rows(TcBlock *b, const TcResult *r, void *ctx, KV row0, int col, KV at) {
  KFn *k = b->k;
  const TcTile *t = &b->t;
  int cols = run_cols(t), few = cols < 32 ? cols : 32;
  KV lanes = few < 32 ? k_first_lanes(k, k_i32(k, few)) : K_NONE;
  r->rows(ctx, b, row0);
  KV i = k_for(k, k_i64(k, 0), k_i64(k, run_rows(t)), 1),
     line = k_add(k, at, k_mul(k, i, k_i64(k, pitch(t))));
  for (int c = 0; c < cols; c += 32) {
    KV from = k_add(k, line, k_i64(k, c));
    KV v = lanes == K_NONE ? k_load(k, b->tiles, from, true) : k_load_masked(k, b->tiles, from, lanes);
    r->row(ctx, b, k_add(k, row0, i), k_add(k, b->warp_n, k_i64(k, col + c)), few, v);
  }
  r->next(ctx, b);
  k_end(k);
}

void tc_results(TcBlock *b, const TcResult *r, void *ctx) {
  KFn *k = b->k;
  const TcTile *t = &b->t;
  int rows = run_rows(t);
  KV at = k_mul(k, k_thread(k), k_i64(k, rows * pitch(t)));
  for (int first = 0; first < tc_warp_m(t); first += rows)
    for (int col = 0; col < tc_warp_n(t); col += run_cols(t)) {
      put_sums(b, first, rows, col, at);
      take_rows(b, r, ctx, k_add(k, b->warp_m, k_i64(k, first / 16 * b->apart)), col, at);
    }
}
