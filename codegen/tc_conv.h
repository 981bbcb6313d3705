/* tc_conv.h - convolutions on tensor cores: what conv and conv_dx share. Both have packed weights, and an epilogue; how
 * the rows of a stage come about is the emitter's own. */
#ifndef NETC_TC_CONV_H
#define NETC_TC_CONV_H
#include "dw_row.h"
#include "expr.h"
#include "tc.h"

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
} TcPhase;

typedef struct {
  ConvShape s;
  TcTile t;
  bool bf16, linear; /* linear: row r of the result is the r-th pixel in memory of all it is computed with */
  int nphase;
  TcPhase *phase;
  int64_t col_blocks, packed; /* packed: elements in all */
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
  Place place;
  KV weights;
  KV row0, col_block;       /* of the block, i64 */
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
/* All of a kernel: `c` has weights and rows, and is the first member of what those need. */
void tc_conv_kernel(Build *bd, const GroupInfo *g, const TcConv *cv, KFn *k, TcBlock *b, TcCode *c);
int64_t tc_conv_blocks(const TcConv *c);
#endif
