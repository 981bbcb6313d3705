/* wgrad.h - gradients of 3x3 weights by Winograd's F(4,3): what is decided from the shape (wgrad_plan.c), the
 * transformed operands (wgrad_side.c) and the kernels (wgrad.c).
 *
 * For every tile of 4x4 pixels of dy and the 6x6 pixels of x that meet it, and for each of the 36 points of a
 * transformed tile, with B, A and G of transforms.h,
 *
 *   dU[point][c][o] = sum over tiles (B^T x B)[point][c] * (A dy A^T)[point][o],      dW = G^T dU G:
 *
 * 36 products of matrices whose depth are the tiles, with 36 multiply-adds for each tile instead of 9 * 16. A
 * third axis, outermost, keeps its taps: tap t multiplies the tiles of plane z + t - pad of x with those of
 * plane z of dy, so all taps share the transforms. */
#ifndef NETC_WINO_WGRAD_H
#define NETC_WINO_WGRAD_H
#include "codegen/emit/conv/geometry.h"
#include "codegen/emit/winograd/tile.h"

enum { WINO_POINTS = WINO_MAX_N * WINO_MAX_N };

/* The same for every instruction set. Planes are those of the outermost of three axes; of two axes the
 * images, which have one tap. A block is `block_planes` planes times `block_tiles` tiles of each, all in one
 * product. A task owns slices of the channels and a part of the blocks. */
typedef struct {
  ConvShape s;
  const Wino *w;
  int64_t images, planes, x_planes, taps, pad; /* of the planes' axis */
  int64_t ty, tx;                              /* tiles of a plane */
  int64_t block_planes, block_tiles, plane_blocks, tile_blocks, blocks;
  int64_t slice_cin, slice_cout, slices_cin, slices_cout;
  int64_t parts;
  /* launches of their own transform the operands, once for all slices of the other; else each task does */
  bool shared;
} WinoWgrad;

/* Stride 1 and three taps along the two inner axes: else false. */
bool wino_wgrad_plan(const ConvShape *s, WinoWgrad *p);
/* Is it faster than the direct kernel for node nd, and not turned off? A model that knows the shape only. */
bool wino_wgrad_choose(const Fn *f, const Node *nd, const ConvShape *s, WinoWgrad *p);
int64_t
wino_wgrad_x_flops(const WinoWgrad *p); /* all of x transformed once; all of dy; products and G^T dU G */
int64_t wino_wgrad_dy_flops(const WinoWgrad *p);
int64_t wino_wgrad_product_flops(const WinoWgrad *p);
bool wino_wgrad(Emit *e, const GroupInfo *g, const WinoWgrad *p);

/* ---- wgrad_side.c: an operand and its transformed tiles ---- */

/* Does the code for the set multiply pairs of tiles, rounded to bf16? Where operands are rounded anyway
 * (bf16) it does: the sums of up to 36 pixels that a point is are rounded once more. */
bool wino_wgrad_pairs(const WinoWgrad *p, int isa);

/* The block numbered `number`: tiles tile0.. of each of the planes plane0.. of dy. */
typedef struct {
  KV image, plane0, planes, tile0, tiles;
} WinoBlock;
WinoBlock wino_block(KFn *k, const WinoWgrad *p, KV number);

/* A block of one slice lies at z[base + point * point_size + tile * width + channel], the tiles of a plane
 * after those of the plane before; with `pairs` two neighbouring tiles of a plane are one element of two
 * bf16, and the last of an odd number has a neighbour of zeros. Points are an odd number of lines apart,
 * since the 36 results of a transform would otherwise share a few sets of the cache. */
typedef struct {
  KFn *k;
  const WinoWgrad *p;
  bool of_x, pairs;
  KV src, z, base, channel0; /* channel0: first channel of the slice */
  int64_t extent[2], pad[2]; /* of a plane */
  int64_t channels, planes;  /* of the tensor */
  int64_t width, point_size;
  bool masks;   /* slices are not whole vectors everywhere */
  WinoMatrix m; /* m.cols x m.cols pixels become 36 points */
  KV next;      /* local: the row of pixels of a tile that wino_side_fetch takes next */
} WinoSide;

/* z: where the tiles go, K_NONE: scratch. base: 0, until it is set. */
WinoSide wino_side(KFn *k, const WinoWgrad *p, bool of_x, bool pairs, KV src, KV z);
KV wino_side_depth(const WinoSide *s, KV tiles); /* elements that so many tiles of a plane take */
int64_t wino_side_elements(const WinoSide *s);   /* of a block of a slice */
/* Bytes of all blocks and slices, for the instruction set that needs most. */
int64_t wino_side_bytes(const WinoWgrad *p, bool of_x);
/* Lanes of the vector at channel c of the slice that the tensor has. */
KV wino_side_mask(const WinoSide *s, KV c);
void wino_side_transform(const WinoSide *s, const WinoBlock *b);
/* Asks for `rows` more rows of pixels of block b's tiles, from those on that were asked for last. */
void wino_side_fetch(const WinoSide *s, const WinoBlock *b, int64_t rows);
int64_t wino_side_rows(const WinoSide *s); /* of a whole block */
#endif
