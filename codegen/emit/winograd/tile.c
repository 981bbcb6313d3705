/* tile.c - Winograd's matrices on both sides of a tile (tile.h). */
#include "codegen/emit/winograd/tile.h"

/* Rows first: a row of the operand becomes a row of in X^T, then columns of that become columns of the
 * result. */
void wino_both_sides(KFn *k, const WinoMatrix *y, const WinoMatrix *x, const WinoEnds *ends) {
  KV half[WINO_MAX_N][WINO_MAX_N], in[WINO_MAX_N], out[WINO_MAX_N];
  for (int i = 0; i < y->cols; i++) {
    for (int j = 0; j < x->cols; j++) in[j] = ends->get(ends->from, i, j);
    wino_apply(k, x, in, half[i]);
  }
  for (int j = 0; j < x->rows; j++) {
    for (int i = 0; i < y->cols; i++) in[i] = half[i][j];
    wino_apply(k, y, in, out);
    for (int i = 0; i < y->rows; i++) ends->put(ends->to, i, j, out[i]);
  }
}

/* i1: 0 <= lo and lo + n <= extent. */
static KV in_range(KFn *k, KV lo, int64_t n, int64_t extent) {
  return k_and(k, k_le(k, k_i64(k, 0), lo), k_le(k, lo, k_i64(k, extent - n)));
}

KV wino_inside(const WinoImage *im, KV y, KV x, int ny, int nx) {
  KFn *k = im->k;
  KV in = k_and(k, in_range(k, y, ny, im->rows), in_range(k, x, nx, im->cols));
  return im->valid == K_NONE ? in : k_and(k, in, im->valid);
}

/* All lanes of `mask` (K_NONE: all) where cond holds, else none. */
static KV lanes_if(KFn *k, KV cond, KV mask) {
  KV lanes = k_splat(k, cond);
  return mask == K_NONE ? lanes : k_and(k, lanes, mask);
}

void wino_pixels(WinoImage *im, KV y, KV x, int ny, int nx, bool inside) {
  KFn *k = im->k;
  KV at = k_add(k, k_mul(k, y, k_i64(k, im->row)), k_mul(k, x, k_i64(k, im->pixel)));
  im->origin = k_add(k, im->plane, at);
  for (int i = 0; i < ny; i++) {
    im->row_mask[i] = K_NONE;
    if (inside) continue;
    KV row = in_range(k, k_add(k, y, k_i64(k, i)), 1, im->rows);
    if (im->valid != K_NONE) row = k_and(k, row, im->valid);
    im->row_mask[i] = lanes_if(k, row, im->mask);
  }
  for (int j = 0; j < nx; j++)
    im->col_mask[j] =
        inside ? K_NONE : lanes_if(k, in_range(k, k_add(k, x, k_i64(k, j)), 1, im->cols), K_NONE);
}

KV wino_pixel(void *image, int i, int j) {
  const WinoImage *im = image;
  KFn *k = im->k;
  KV at = k_add(k, im->origin, k_i64(k, i * im->row + j * im->pixel)), mask = im->mask;
  if (im->row_mask[i] != K_NONE) mask = k_and(k, im->row_mask[i], im->col_mask[j]);
  return mask == K_NONE ? k_load(k, im->buf, at, true) : k_load_masked(k, im->buf, at, mask);
}
