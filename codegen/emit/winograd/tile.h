/* tile.h - matrices of Winograd's applied to a tile from both sides, out = Y in X^T, with lanes along channels;
 * and tiles of images as its operand. Y works along columns of the tile, X along rows; mostly they are the same.
 *
 *   conv, conv_dx   B^T d B of an n x n tile of what is read, A^T m A of n x n products
 *   conv_dw         B^T d B of x, A dY A^T of an m x m tile of dy
 *
 * Where the values come from and where they go is up to the caller: `get` is asked for each element once, row by row,
 * just before it is used; `put` receives the results column by column, as they are made, so that as few of them as
 * possible wait in registers.
 */
#ifndef NETC_WINO_TILE_H
#define NETC_WINO_TILE_H
#include "codegen/emit/winograd/transforms.h"
#include "ir/ints.h"

/* An odd number of lines of 16 f32: what lies that far apart does not meet in few sets of a cache. */
static inline int64_t wino_odd_lines(int64_t elements) { return round_up(elements, 16) | 16; }

typedef struct {
  KV (*get)(void *of, int i, int j); /* i < y->cols, j < x->cols */
  void *from;
  void (*put)(void *of, int i, int j, KV v); /* i < y->rows, j < x->rows */
  void *to;
} WinoEnds;

void wino_both_sides(KFn *k, const WinoMatrix *y, const WinoMatrix *x, const WinoEnds *ends);

/* One vector of channels of one plane of a channels-last image. The caller fills the first part; wino_pixels the second. */
typedef struct {
  KFn *k;
  KV buf, plane;      /* the element of pixel (0, 0), first channel of the vector */
  int64_t rows, cols; /* extent of the plane in pixels */
  int64_t row, pixel; /* elements from row to row, from pixel to pixel */
  KV mask;            /* of the channels; K_NONE: all lanes */
  KV valid;           /* i1: is the plane one of the image's? K_NONE: yes. Outside of the image all is 0 */

  KV origin;
  KV row_mask[WINO_MAX_N], col_mask[WINO_MAX_N]; /* K_NONE: inside */
} WinoImage;

/* i1: do all ny x nx pixels from (y, x) on lie in the image? */
KV wino_inside(const WinoImage *im, KV y, KV x, int ny, int nx);
/* Makes the ny x nx pixels from (y, x) on those that wino_pixel, a WinoEnds.get of WinoImage, gives. inside: what wino_inside
 * says is known to hold, and the loads need no masks; else pixels outside read as 0. The caller branches:
 *
 *   k_if(k, wino_inside(&im, y, x, ny, nx)), wino_pixels(&im, y, x, ny, nx, true), wino_both_sides(..);
 *   k_else(k), wino_pixels(&im, y, x, ny, nx, false), wino_both_sides(..);
 *   k_end(k); */
void wino_pixels(WinoImage *im, KV y, KV x, int ny, int nx, bool inside);
KV wino_pixel(void *image, int i, int j);
#endif
