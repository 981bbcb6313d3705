/* gemm_conv.h - convolutions on tensor cores: what conv and conv_dx share. Both have packed weights, and an epilogue; how
 * the rows of a stage come about is the emitter's own. */
#ifndef NETC_TC_CONV_H
#define NETC_TC_CONV_H
#include "codegen/emit/depthwise/row.h"
#include "codegen/emit/core/expr.h"
#include "codegen/emit/tensor_core/tensor_core.h"

/* One axis of a phase: result pixel out0 + q*ostep, q < count, meets the operand at q*istep + base + j with tap tap0 + j*tap_step,
 * j < taps. */
typedef struct {
  int64_t out0, ostep, count, istep, base, taps, tap0, tap_step;
} TcAxis;

typedef struct {
  TcAxis axis[MAX_SPATIAL];
  int64_t rows, taps, steps;
  int64_t first, blocks; /* of the launch */
  int64_t packed;        /* element of the packed weights */
  int64_t parts;         /* that its steps are cut into, with blocks of their own; */
  int64_t sums;          /* element of all partial sums where its own begin, part after part, row after row */
} TcPhase;

typedef struct {
  ConvShape s;
  TcTile t;
  bool bf16, linear; /* linear: row r of the result is the r-th pixel in memory of all it is computed with */
  int nphase;
  TcPhase *phase;
  int64_t col_blocks, packed; /* packed: elements in all */
  int64_t part_steps, sums;   /* steps of a part at most, 0: nothing is cut; elements of partial sums */
} TcConv;

typedef struct TcCode TcCode;
typedef struct {
  void (*find)(TcCode *c, TcBlock *b); /* at the start of a block: what its rows are */
  void (*load)(TcCode *c, TcBlock *b, KV step, KV stage);
} TcRows;

struct TcCode {
  const TcConv *c;
  const TcPhase *p;
  const TcRows *rows;
  Expr *x;
  const GroupInfo *g;
  Coord place;
  KV weights, sums;         /* sums: where partial sums are stored */
  KV row0, col_block, part; /* of the block, i64 */
  KV from;                  /* its first step, where they are cut */
  KV image, q[MAX_SPATIAL]; /* locals: where the row at work lies */
};

/* Phases, tile, blocks; at most so many stages. c->s and c->bf16 are given. */
void tc_conv_plan(const Emit *e, const GroupInfo *g, TcConv *c, int stages);
/* Appends the launch that packs buffer w; returns the workspace it fills. */
int tc_conv_pack(Emit *e, const GroupInfo *g, const TcConv *c, int w);
/* Row m (vector) of a result with these axes: its image, where it reads along each axis, and which of all taps, the last axis innermost, meet
 * what is read, as bits. */
void tc_row(KFn *k, int ns, const TcAxis *axis, const int64_t *in, KV m, KV *image, KV at[MAX_SPATIAL],
            KV *bits);
/* All of a kernel: `c` has weights, rows and sums, and is the first member of what those need. */
void tc_conv_kernel(Build *bd, const GroupInfo *g, const TcConv *cv, KFn *k, TcBlock *b, TcCode *c);
int64_t tc_conv_blocks(const TcConv *c);

/* ---- results.c: what becomes of results ---- */
/* The kernel's expressions and locals; c->p and c->row0 are set for each phase and block. */
void tc_results_begin(Build *bd, const GroupInfo *g, const TcConv *cv, KFn *k, TcCode *c);
/* Is a row of the result the pixel of that number in memory for all that the group computes? Then a place needs no coordinates. */
bool tc_results_linear(const Emit *e, const GroupInfo *g);
/* Goes to the row `first` rows behind c->row0, and on to the next one. */
void tc_results_from(TcCode *c, KFn *k, KV first);
void tc_results_next(TcCode *c, KFn *k);
/* The group's epilogue on sums of row `row`: `few` channels from `channel` on, those there are of them. */
void tc_results_put(TcCode *c, KFn *k, KV row, KV channel, int few, KV value);
/* Appends the launch that adds the parts in workspace ws, in order, and has the epilogue. */
void tc_results_sum(Emit *e, const GroupInfo *g, const TcConv *c, int ws);
#endif
