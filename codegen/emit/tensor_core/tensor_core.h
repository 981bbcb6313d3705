/* tensor_core.h - contractions on tensor cores: products of matrices whose rows are gathered from images.
 *
 * A block computes a tile of m x n results. The axis that is summed over goes by in steps: of each step the
 * rows of a and the columns of b, `row` words long, are copied asynchronously into one of `stages` places in
 * shared memory, while earlier ones are multiplied. Warps, warps_m x warps_n of them, have a piece of the
 * tile each, whose sums stay in registers. Operands are tf32 (a word an element; sums f32) or bf16 (a word
 * two).
 *
 * Where four warps multiply together the tile, its stages and copies are the same, but operands are read from
 * there by the machine itself, and a stage's rows may be twice as long. What ldmatrix likes is one of the
 * machine's ways to swap pieces.
 *
 * A row of a stage is 4 or 8 pieces of 16 bytes. Piece p of row r lies at place p ^ (r / 2 % 4), or p ^ (r %
 * 8): then eight rows one after another have their piece p in eight different quarters of the banks twice
 * over, so ldmatrix, which reads eight such pieces at once, meets every bank once, as copies do.
 *
 * Where neighbours in memory are neighbours along m and n, as channels are to a gradient of weights, operands
 * lie `transposed`: a line of a stage is an element of the summed axis, with all of the tile's m, or n, and
 * some space behind. Lanes fetch tf32 word by word, lane 4 g + t from line t, place g: lines begin 8 banks
 * apart (or 24), so that all are different. bf16 are transposed by ldmatrix, whose eight pieces of 16 bytes
 * lie on eight lines, an odd number of pieces apart. Four warps together take bf16 transposed, without space
 * behind: lines are of 64 elements, or the tile's fewer, pieces swapped as in rows of that length, and of
 * longer ones all lines of the first 64 come before all of the next. */
#ifndef NETC_TC_H
#define NETC_TC_H
#include "codegen/emit/conv/geometry.h"
#include "codegen/emit/core/sum_parts.h"

typedef struct {
  int m, n, warps_m, warps_n;
  int row; /* 32-bit words: 16 or 32 */
  int stages;
  bool transposed;
  /* Products by warpgroups, four warps each (codegen/kir/wgmma.h): a warpgroup has rows of its own, and all
   * columns. */
  bool wgmma;
} TcTile;

enum {
  TC_PIECE = 4,         /* words of a piece: 16 bytes, what ldmatrix and cp.async move */
  TC_ROW = 16,          /* words of a row as tc_tile makes it */
  TC_MAX_SUB = 4,       /* products along a row, at most */
  TC_SHARED = 48 << 10, /* bytes of a block's tiles, at most: what every GPU has without being asked */
  TC_MOST_STAGES = 4,   /* at most; */
  TC_MOST_TAPS = 30,    /* bits of the word that tells which taps of a row meet the image; */
  TC_MOST_PARTS = SUM_MOST_PARTS /* of a summed axis (split-K) */
};

/* Indices of a block are vectors of i32. */
static inline KV i32v(KFn *k, int64_t v) { return k_splat(k, k_i32(k, (int32_t)v)); }
/* Bytes of a copy: the largest piece that a pixel of so many channels is a multiple of. */
static inline int tc_copy_bytes(int64_t channels, bool bf16) {
  int64_t bytes = channels * (bf16 ? 2 : 4);
  return bytes % 16 == 0 ? 16 : bytes % 8 == 0 ? 8 : 4;
}

static inline int tc_warps(const TcTile *t) { return t->warps_m * t->warps_n; }
static inline int tc_threads(const TcTile *t) { return 32 * tc_warps(t); }
static inline int tc_warp_m(const TcTile *t) { return t->m / t->warps_m; }
static inline int tc_warp_n(const TcTile *t) { return t->n / t->warps_n; }
/* Words of a line of transposed operands, and where those of b begin. */
static inline int tc_line(int length, bool bf16) { return bf16 ? length / 2 + 4 : length + 8; }
static inline int tc_transposed_b(const TcTile *t, bool bf16) {
  return t->wgmma ? t->m * t->row : t->row * (bf16 ? 2 : 1) * tc_line(t->m, bf16);
}
static inline int tc_stage_words(const TcTile *t) {
  return (t->m + t->n + (t->transposed && !t->wgmma ? 16 : 0)) * t->row; /* of both types */
}
/* wgmma: bytes of a line of `length` elements, or of the part of it that lies together. */
static inline int tc_wgmma_line(int length) { return 2 * (length < 64 ? length : 64); }
/* Elements of a row of a stage: what a step sums over. */
static inline int tc_depth(const TcTile *t, bool bf16) { return t->row * (bf16 ? 2 : 1); }

/* rows x cols results, each a sum over `depth` elements. */
typedef struct {
  int64_t rows, depth;
} TcProduct;
/* The tile that takes the least time, by a model, for `count` products of one launch. *part_steps: their
 * summed axes are best cut into parts of so many steps at most, whose sums a further launch adds; 0: into
 * none. */
TcTile tc_tile(const Machine *m, const TcProduct *product, int count, int64_t cols, bool bf16,
               int64_t *part_steps);
/* Into how many parts `steps` steps are cut: none where there are no steps to cut. */
int64_t tc_parts(int64_t steps, int64_t part_steps);
/* The same for one product whose operands lie transposed; how the caller cuts it is reckoned with. */
TcTile tc_tile_transposed(const Machine *m, int64_t rows, int64_t cols, int64_t depth, bool bf16);

/* The same tile with products by four warps, which GPUs of compute capability 9.0 have, for `steps` steps;
 * false: it has none. Its steps may be twice as long. Turned: of bf16. */
bool tc_wgmma_tile(const TcTile *t, int64_t steps, TcTile *wgmma);

/* ---- code of a block (block.c) ---- */
typedef struct {
  KFn *k;
  TcTile t;
  bool bf16, rounded_a, rounded_b; /* tf32: operands are rounded in memory */
  KV tiles;                        /* scratch, f32 */
  KV lane, thread;                 /* vectors of i32: of the warp, of the block */
  KV warp_m, warp_n;               /* scalar i64: first row and column of the warp's piece */
  int apart;                       /* from a warp's first 16 rows to the next */
  KV *sum;                         /* registers, a piece of 16 x 8 each, rows of them; wgmma: 16 rows each */
  KV a, b[8];                      /* registers */
  KV wgmma_a[TC_MAX_SUB * 2];      /* those of all steps and rows, where a is not taken from shared memory */
  KV a_at[TC_MAX_SUB], b_at[TC_MAX_SUB];
} TcBlock;

void tc_begin(TcBlock *b, KFn *k, const TcTile *t, bool bf16);
/* Word of piece p of row r of a stage's a, or, from t.m rows on, b. */
KV tc_word(TcBlock *b, KV r, KV p);
/* Word of element `at` of line `line` of a transposed operand whose lines have `length` elements; the first
 * begins at word `start`. */
KV tc_transposed_word(TcBlock *b, int length, int start, KV line, KV at);

/* Code that asks for the copies of step `step` (i64) into the stage whose first word is `stage` (vector of
 * i32). */
typedef void TcLoad(void *ctx, TcBlock *b, KV step, KV stage);
/* All steps; afterwards the sums are whole, and scratch is free. */
void tc_run(TcBlock *b, KV steps, TcLoad *load, void *ctx);

/* Results, row by row of the warp's piece. `rows` starts a run of rows at the given one (i64, of the tile);
 * in it `row` is called for one row after the other, with 32 columns (or the warp's fewer: `few`) from column
 * `col` on. */
typedef struct {
  void (*rows)(void *ctx, TcBlock *b, KV first);
  void (*row)(void *ctx, TcBlock *b, KV row, KV col, int few, KV value);
  void (*next)(void *ctx, TcBlock *b); /* the row is done */
} TcResult;
void tc_results(TcBlock *b, const TcResult *r, void *ctx);

/* ---- emitters ---- */
/* Does the convolution, or its gradient, go by tensor cores on this machine? */
bool tc_takes(const Emit *e, const Node *nd, const ConvShape *s);
bool tc_wgrad(Emit *e, const GroupInfo *g, const ConvShape *s);
bool tc_conv(Emit *e, const GroupInfo *g, const ConvShape *s); /* conv and conv_dx */
#endif
