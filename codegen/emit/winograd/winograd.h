/* winograd.h - conv and conv_dx of stride 1 by Winograd's short convolutions (transforms.h), in parts.
 *
 * The two innermost axes have three taps and are cut into tiles of my x mx results, which read ny x nx
 * pixels. The axis outside of them (depth; in 2-D there is one plane, of one tap) is summed directly, in the
 * transformed domain:
 *
 *   V[p][slice][tile][c]   = (B^T d B)_p     of the tile's pixels in a slice of the operand
 *   U[p][tap][c][o]        = (G g G^T)_p     of the weights
 *   M[p][depth][tile][o]   = sum over tap, c of V[p][depth + tap][tile][c] U[p][tap][c][o],
 *                            p = 1 .. ny*nx: products of matrices
 *   y[depth][tile]         = A^T M A, and the group's epilogue on it
 *
 * conv_dx is the convolution of dy with the weights turned round, inputs and outputs swapped, padding k - 1 -
 * pad.
 *
 * Two ways of doing it (WinoPlan.deep). Where U is small it is made first, and then each task takes a block
 * of tiles and slices through all of the above, V and a part of M being scratch in the second-level cache.
 * Where U is large it would have to be read for each block, from far; then V of all tiles is made first, the
 * products are taken point by point with a part of U made just before it is used, and M is transformed in a
 * launch of its own. */
#ifndef NETC_WINO_H
#define NETC_WINO_H
#include "codegen/emit/conv/geometry.h"
#include "codegen/emit/winograd/tile.h"

/* The convolution of stride 1 that is computed: `in` what is read, `out` what is written, weights turned
 * round if dgrad. */
typedef struct {
  int64_t n, cin, cout;
  int64_t depth_in, depth_out, depth_pad, taps; /* 1, 1, 0, 1 in two dimensions */
  int64_t rows_in, rows_out, row_pad, cols_in, cols_out, col_pad;
  bool dgrad;
  /* operands are rounded to bf16: x is already; weights on their way into U, or U and V: see wino_bf16 */
  bool bf16;
} WinoShape;

/* What holds for all instruction sets. A block is `run` tiles, counted through planes and images, times
 * `slab` depths. */
typedef struct {
  WinoShape s;
  const Wino *wy, *wx;                   /* along the rows' axis, within a row */
  bool deep;                             /* one block, three launches */
  int64_t tile_cols, plane_tiles, tiles; /* tiles in a row, of a plane, of all images */
  int64_t run, slab, runs, slabs;        /* of a block; how many of each there are */
} WinoPlan;

/* Register tile and memory of one set. Rows of V are (slice, tile), rows of M (depth, tile). All in
 * elements. */
typedef struct {
  ConvBlock b;
  bool pairs;               /* products of pairs of channels: V is bf16, U holds pairs */
  int64_t depth;            /* rows of U for a tap: channels of the operand, or pairs of them */
  int64_t width;            /* of a row of U and of M: b.vectors * b.lanes */
  int64_t pitch, v_plane;   /* of V: from row to row, from point to point */
  int64_t m_plane, m_block; /* of M: from point to point, from block of channels to block */
  int64_t u_plane, u_block; /* of U */
} WinoMemory;

/* ---- plan.c ---- */
/* false: not a convolution that can be computed so. */
bool wino_shape(const Fn *f, const Node *nd, WinoShape *s);
/* F(my,3) by F(mx,3) in blocks of a size that suits the shape, or deep. */
WinoPlan wino_plan(const WinoShape *s, int my, int mx, bool deep);
/* The end of the kernels' names: "wino4", "wino2x4". */
const char *wino_name(Arena *a, const WinoPlan *pl);
/* In blocks of fewer channels where the scratch of more would be above what a kernel may have. */
WinoMemory wino_memory(const WinoPlan *pl, int isa);
/* Is the scratch of every set's kernels within what they may have? Where too many channels are summed it
 * is not. */
bool wino_fits(const WinoPlan *pl);
/* The way that is the fastest, by a model that knows shapes only. false: the direct one. */
bool wino_choose(const Fn *f, const Node *nd, WinoPlan *pl);
/* Are U and V rounded to bf16 for the products? So it is done for bf16=1, but for F(4,3) on both sides going
 * forward: there products are f32. Of a result's root mean square F(2,3) loses 0.4 % by it, F(4,3) on one
 * side 0.65 %, on both 1.1 %, which gradients bear. */
bool wino_bf16(const WinoPlan *pl);
int64_t wino_points(const WinoPlan *pl); /* ny * nx */
int64_t wino_v_rows(const WinoPlan *pl); /* of a block */
int64_t wino_m_rows(const WinoPlan *pl);
/* Operations on one vector that a tile takes, multiply-adds counted as two. */
int64_t wino_both_flops(const WinoMatrix *y, const WinoMatrix *x);

/* ---- weights.c ---- */
/* Where a kernel finds the weights: (tap, channel of the operand, lanes). */
typedef struct {
  KV buf;
  int64_t tap, channel, block; /* elements from one to the next; block: of b.vectors vectors */
  bool masked;                 /* rows end with the last channel */
} WinoWeights;
/* Appends the launch that makes panels of buffer w where they are needed or pay, and returns their workspace;
 * else w. */
int wino_panels(Emit *e, const GroupInfo *g, const WinoPlan *pl, const WinoMemory mem[NETC_ISA_COUNT], int w);
WinoWeights wino_weights_in(const WinoPlan *pl, const WinoMemory *mem, KV buf);
/* Appends the launch that makes U; returns its workspace. */
int wino_transformed(Emit *e, const GroupInfo *g, const WinoPlan *pl, const WinoMemory mem[NETC_ISA_COUNT],
                     int w);
/* U of the nx points (row, 0) .. (row, nx - 1) for one block of channels, at u: points u_plane apart. */
void wino_weights_row(KFn *k, const WinoPlan *pl, const WinoMemory *mem, const WinoWeights *from, KV block,
                      KV row, KV u);

/* ---- code.c: the steps ---- */
typedef struct {
  const WinoPlan *pl;
  const WinoMemory *mem;
  KFn *k;
  Expr *x; /* of the epilogue, with its group and place */
  const GroupInfo *g;
  Coord place;
  KV operand, u, v, m; /* buffers */
  KV tile0, depth0;    /* first tile and depth of the block */
  KV *acc;
} WinoCode;

/* V of the block's tile (slice, tile), all channels. */
void wino_input(WinoCode *c, KV slice, KV tile);
/* M of point `point` and one block of channels: U at u_at, M at m_at, both of the point. */
void wino_product(WinoCode *c, KV point, KV u_at, KV m_at, int vectors);
/* The results of the block's tile (depth, tile) in channel block `block`, whose M starts at m_at. */
void wino_output(WinoCode *c, KV depth, KV tile, KV block, KV m_at, bool tail);

/* ---- conv.c ---- */
/* G_CONV by the given way; codegen/emit/choose.c asks wino_choose. */
bool emit_wino(Emit *e, const GroupInfo *g, const WinoPlan *pl);
#endif
