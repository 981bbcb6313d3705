/* geometry.h - convolutions as loops: which pixel of the operand meets which pixel of the result through
 * which tap.
 *
 * conv and conv_dx are the same loops. Along one axis, with stride s and padding p, result pixel i takes
 *   conv     x[i*s - p + t]      through every tap t
 *   conv_dx  dy[(i + p - t) / s] through the taps t = (i + p) mod s, + s, + 2s, ..
 * so the pixels of conv_dx with equal i mod s (a phase) form a convolution of stride 1 with a subset of the
 * taps. The innermost spatial axis is cut into tiles of neighbouring pixels whose accumulators stay in
 * registers; at its ends tiles meet fewer taps, which is settled here, when the code is made, not by tests
 * while it runs. The outer axes are loops over the taps that hit the operand. */
#ifndef NETC_CONV_GEOM_H
#define NETC_CONV_GEOM_H
#include "codegen/emit/core/emit.h"

/* `in` is what is read pixel by pixel (x; dy for conv_dx), `out` the result (y, dx). conv_dw has the shape of
 * its forward convolution. cin channels are summed over, cout lie along the lanes. */
typedef struct {
  int ns;
  int64_t n, cin, cout;
  int64_t in[MAX_SPATIAL], out[MAX_SPATIAL], k[MAX_SPATIAL];
  ConvGeom geom;
  bool dgrad;  /* conv_dx: the gradient of the input */
  bool bf16;   /* operands are rounded to bf16 */
  bool folded; /* 1x1: the spatial axes were reshaped to (S/R, R), see conv_fold */
} ConvShape;

/* Pixels out0, out0 + ostep, .. (count of them) of the innermost axis. Pixel q meets taps 0..taps-1 in the
 * order of the weights (from place wpos on), tap t at in[q*istep + base + t]. */
typedef struct {
  int64_t out0, ostep, count, istep, base, taps, wpos;
} ConvPhase;

/* `count` tiles of `pixels` pixels one after the other from pixel q0, with the same code: pixel p of each
 * meets taps lo[p] <= t < hi[p]. */
typedef struct {
  int64_t q0, count;
  int pixels;
  int64_t *lo, *hi;
} ConvTile;

/* How channels along the lanes are cut: `full` blocks of `vectors` vectors, and one of `tail_vectors` (0:
 * none) whose last vector has `tail_lanes` lanes (0: all). `pixels` is the height of the tile that is kept in
 * registers with it. */
typedef struct {
  int lanes, pixels, vectors, tail_vectors, tail_lanes;
  int64_t full, blocks; /* blocks: with the tail */
} ConvBlock;

/* Shape of a conv, conv_dx or conv_dw node. false and a message when its operands do not lie in memory as the
 * kernels need: images channels last, weights (K.., C, O). */
bool conv_shape(const Fn *f, const Node *nd, ConvShape *s, char err[IR_ERR]);
bool conv_is_pointwise(const ConvShape *s); /* as geom_is_pointwise */
/* A pointwise convolution sees pixels, not rows: makes them rows of one long length. */
void conv_fold(ConvShape *s, int64_t rows); /* about so many, at least */
/* Does the code for the set multiply pairs of channels (K_dot2)? Elsewhere rounded operands are multiplied as
 * f32. */
bool conv_pairs(const ConvShape *s, int isa);
int64_t conv_taps(const ConvShape *s);
int64_t conv_pixels(const ConvShape *s, const int64_t *extent);
int64_t conv_rows(const ConvShape *s); /* n times the outer axes of the result */
/* Phases of the innermost axis; returns their number. order[wpos + t] is the kernel coordinate of tap t. */
int conv_phases(Arena *a, const ConvShape *s, ConvPhase **phase, int64_t **order);
int conv_tiles(Arena *a, const ConvPhase *ph, int64_t in, int pixels, ConvTile **tile);
/* Picks the register tile for rows of the given lengths (one per phase) and cout channels along the lanes.
 * `step`: elements between pixels of the broadcast operand. */
ConvBlock conv_block(const int64_t *length, int nlength, int64_t cout, int64_t step, int lanes, int nregs);
/* The same of blocks of at most so many vectors. */
ConvBlock conv_block_within(int most, const int64_t *length, int nlength, int64_t cout, int64_t step,
                            int lanes, int nregs);
/* Vectors of a full block, or of the tail block. */
int conv_block_vectors(const ConvBlock *b, bool tail);
/* "n4_ic64_oc64_h256_w256_kh3_kw3_s1_p1" of the forward convolution. */
const char *conv_describe(Arena *a, const ConvShape *s);

/* ---- tile.c: the micro-kernel ---- acc[p][v] += sum over m < len of splat(a[a_at + p*ap + m*am]) * b[b_at +
 * m*bm + v*lanes ..] for pixels p0 <= p < p1 and all vectors v; acc are locals. With `pairs` a and b hold
 * pairs of bf16, and a step is a dot product of two terms: a is a bf16 buffer (a pair: two neighbours), or
 * both hold pairs in 32 bits, of i32 or of f32. */
typedef struct {
  KFn *k;
  KV a, b;
  int64_t ap, am, bm;
  const int64_t *a_row; /* NULL, or a_row[p] instead of p*ap */
  int vectors;
  bool pairs;
  int unroll;    /* steps in a turn of the loop, worth their code in tiles that run often; 0: one */
  KV mask;       /* of the last vector of b; K_NONE: all lanes */
  const KV *acc; /* acc[p * vectors + v] */
  /* Elements of a that every turn of the loop asks memory for, a multiple of TILE_LINE from `ahead` on; 0:
   * none. */
  int64_t prefetch_step;
  KV prefetch_at;
  /* Code that every turn runs besides, to ask for other things; NULL: none. turn: number of the turn. */
  void (*prefetch)(const void *ctx, KFn *k, KV turn);
  const void *prefetch_ctx;
} MicroTile;
enum { TILE_LINE = 16 }; /* f32 of a cache line; of bf16 it is half of one */
KV *tile_locals(Arena *a, KFn *k, int n);
void tile_zero(KFn *k, const KV *acc, int n);
void tile_fma(const MicroTile *t, int p0, int p1, KV a_at, KV b_at, KV len);

/* ---- pack.c: weights in the order of the loops ----
 * Panels (block, outer taps, order of `conv_phases`, cin, vectors * lanes), zero beyond cout: what a tile
 * reads is one stream, whatever the number of channels. conv_dx needs it (there the weights' C lies along the
 * lanes), conv gains by it when its weights are many. */
/* Is the copy worth it? conv_dx needs it, and weights that are to be rounded do: the copy is rounded, and
 * where conv_pairs says so holds pairs of neighbouring channels of the operand, 32 bits wide. */
bool pack_pays(const ConvShape *s);
int64_t pack_depth(const ConvShape *s,
                   int isa); /* rows of a panel for a tap: channels of the operand, or pairs of them */
int64_t pack_elements(const ConvShape *s, const ConvBlock *b, int isa); /* of 4 bytes */
/* Appends the launch that packs buffer w into workspace ws. */
void pack_weights(Emit *e, const GroupInfo *g, const ConvShape *s, const ConvBlock block[NETC_ISA_COUNT],
                  int w, int ws);

/* ---- direct.c ---- */
/* G_CONV by these loops: for every shape and machine. */
bool conv_direct(Emit *e, const GroupInfo *g, const ConvShape *s);
#endif
