/* wgmma.h - products of matrices by groups of four warps, which GPUs of compute capability 9.0 have (PTX ISA, "Asynchronous
 * Warpgroup Level Matrix Instructions").
 *
 * An instruction adds to a 64 x n matrix in registers (n = 8, 16, .. 256) the product of a, 64 rows, and b, n columns, of each of which it
 * takes 32 bytes along the axis that is summed over: 8 tf32 or 16 bf16. Warp w of the four has rows 16 w to 16 w + 15: registers
 * 4 j .. 4 j + 3 are what mma has of columns 8 j to 8 j + 7 (fragment.h), and so are its rows of a where that is in registers.
 *
 * A matrix in shared memory is a 64-bit descriptor ("Matrix Descriptor Format"):
 *
 *   bits  0-13  address of the first row / 16
 *        16-29  bytes from the first 16 bytes of a row to the second / 16; only of rows that are not swapped
 *        32-45  bytes from a row to the eighth after it / 16
 *        49-51  0: swapped rows begin where their pattern does
 *        62-63  how pieces of 16 bytes are swapped: 0 not at all, 1 in 128, 2 in 64, 3 in 32 bytes
 *
 * Rows that are swapped in `bytes` bytes lie one after the other, `bytes` apart, eight of them; and of every address in them bits 4.. are
 * replaced by their sum, bit by bit, with bits 7..: three, two or one of them. An address is one of the whole of shared memory, so
 * the next 32 bytes of the same rows are the descriptor + 2.
 *
 * The machine looks at the bits that a tf32 has and leaves out the others: rounding is up to who stores operands.
 *
 * wgmma reads shared memory by a way of its own, the async proxy: stores, and copies that have arrived, are seen there behind
 * a proxy_fence of the thread that made them and a barrier.
 */
#ifndef NETC_WGMMA_H
#define NETC_WGMMA_H
#include <stdint.h>

enum {
  WGMMA_WARPS = 4,
  WGMMA_ROWS = 64,
  WGMMA_STEP = 32,
  WGMMA_RUN = 16,
  WGMMA_SUMS = 192 /* of a run, at most: products, registers of sums */
};

/* What a descriptor of rows swapped in `bytes` = 32, 64 or 128 bytes has beside the address: eight rows after eight rows. */
static inline int64_t wgmma_form(int bytes) {
  uint64_t kind = bytes == 128 ? 1 : bytes == 64 ? 2 : 3;
  return (int64_t)(kind << 62 | (uint64_t)(8 * bytes / 16) << 32 | UINT64_C(1) << 16);
}

/* The fields, in bytes. */
typedef struct {
  uint32_t address, across, down, shift, swapped; /* swapped: 0, 32, 64, 128 */
} WgmmaMatrix;
WgmmaMatrix wgmma_matrix(uint64_t descriptor);
/* Where piece `piece` (0, 1) of row `row` lies. */
uint32_t wgmma_piece(const WgmmaMatrix *m, int row, int piece);

/* sum[lane][0 .. n/2-1] += a times b for the 16 rows of a warp; rows of a and columns of b are 8 words each. */
void wgmma_multiply(int bf16, int n, uint32_t a[16][8], uint32_t b[][8], float *const sum[32]);
#endif
