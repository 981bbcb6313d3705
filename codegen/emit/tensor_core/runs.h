/* runs.h - a warp's piece of a depthwise convolution, as an operand of tensor cores: a run of neighbouring
 * pixels of a row, with a lane for each of 32 neighbouring channels (dybac.c, dybac_wgrad.c).
 *
 * Where the run lies is the same for all lanes. So addresses are scalars and numbers in the instructions,
 * every load is one of 32 neighbours, and a pixel of the source goes to all the sums that it belongs to. The
 * gates of a row of the source lie in lanes, one pixel each, loaded once for all taps. Where all taps of all
 * pixels meet the source, and all channels are there, nothing is tested; elsewhere what is outside is not
 * loaded and counts as zero.
 *
 * Of a block's pixels runs are pieces of the rows of a box, whose extents are powers of two: the nearer to a
 * cube it is the less of the source it reads. */
#ifndef NETC_DW_RUN_H
#define NETC_DW_RUN_H
#include "codegen/emit/depthwise/row.h"

enum { DW_RUN_MOST = 8 }; /* pixels */

typedef struct {
  DwShape d; /* not of an adjoint */
  int pixels;
  int64_t box[MAX_SPATIAL], count[MAX_SPATIAL]; /* extents of a box; boxes along each axis */
  int64_t boxes;                                /* of a sample */
  KV x, w, s;                                   /* arguments; s: the gate, or K_NONE */
} DwRuns;

/* Is it of a kind that runs are written for? */
bool dw_runs_take(const Emit *e, const DwShape *d);
/* Boxes of `places` pixels, a power of two. */
DwRuns dw_runs(const DwShape *d, int64_t places);
/* The time that boxes of so many pixels take, their pixels beyond the ends and the source around them
 * counted: the less the better. */
double dw_runs_cost(const DwRuns *r);

/* First pixel of box `number` of all samples (i64), and its sample; then pixel `place` of the box. */
void dw_runs_box(KFn *k, const DwRuns *r, KV number, KV *n, KV *at);
void dw_runs_place(KFn *k, const DwRuns *r, KV place, const KV *box_at, KV *at);
/* sum[p], vectors: the depthwise results of pixels p < r->pixels along the row from `at` on of sample n, of
 * the 32 channels from `channel`. Zeros stand for channels beyond the last one; results beyond the ends of
 * the image are some numbers. */
void dw_run(KFn *k, const DwRuns *r, KV n, const KV *at, KV channel, KV *sum);
#endif
