/* wgmma.h - products of matrices by groups of four warps, which GPUs of compute capability 9.0 have (PTX ISA,
 * "Asynchronous Warpgroup Level Matrix Instructions").
 *
 * An instruction adds to a 64 x n matrix in registers (n = 8, 16, .. 256) the product of a, 64 rows, and b, n
 * columns, of each of which it takes 32 bytes along the axis that is summed over: 8 tf32 or 16 bf16. Warp w
 * of the four has rows 16 w to 16 w + 15: registers 4 j .. 4 j + 3 are what mma has of columns 8 j to 8 j + 7
 * (fragment.h), and so are its rows of a where that is in registers.
 *
 * A matrix in shared memory is a 64-bit descriptor ("Matrix Descriptor Format"):
 *
 *   bits  0-13  address of the first row / 16
 *        16-29  bytes from the first 16 bytes of a row to the second / 16; only of rows that are not swapped
 *        32-45  bytes from a row to the eighth after it / 16
 *        49-51  0: swapped rows begin where their pattern does
 *        62-63  how pieces of 16 bytes are swapped: 0 not at all, 1 in 128, 2 in 64, 3 in 32 bytes
 *
 * Rows that are swapped in `bytes` bytes lie one after the other, `bytes` apart, eight of them; and of every
 * address in them bits 4.. are replaced by their sum, bit by bit, with bits 7..: three, two or one of them.
 * An address is one of the whole of shared memory, so the next 32 bytes of the same rows are the descriptor +
 * 2.
 *
 * Matrices of 16-bit elements may also lie transposed, with the axis that is summed over outermost
 * ("MN-major"; tnspA, tnspB): a line is one of the 16 that an instruction sums over, and holds 8, 16, 32 or
 * 64 neighbours along m (or n), `bytes` = 16, 32, 64, 128. Bits 16-29 and 32-45 have another meaning then.
 * How it comes about, twice:
 *
 *   By the ISA's words ("Strides", in units of 16 bytes; rows are along m, columns along k). A pattern,
 *   "swizzle atom", is bytes / 16 rows by 8 columns, column after column. "Leading dimension byte offset:
 *   swizzled layouts: from the first (swizzle-byte-size / 16) rows to the next"; "stride dimension byte
 *   offset: swizzled layouts: from the first 8 columns to the next". So 16-29 lead from a pattern to the next
 *   along m, 32-45 to the next along k. Not swapped: "leading, interleave: from the first 8 columns to the
 *   next 8", 16-29 along k; "stride, interleave: from the first row to the next", 32-45 from eight m to the
 *   next eight.
 *
 *   By the canonical layouts (the ISA's "Canonical Layouts", CUTLASS's make_gmma_desc<Major::MN>; in
 *   elements, T = 8 of them in 16 bytes):
 *     128 bytes   swizzle<3,4,3> o ((T,8,m),(8,k)) : ((1,T,LBO),(8T,SBO))
 *      64 bytes   swizzle<2,4,3> o ((T,4,m),(8,k)) : ((1,T,LBO),(4T,SBO))
 *      32 bytes   swizzle<1,4,3> o ((T,2,m),(8,k)) : ((1,T,LBO),(2T,SBO))
 *      not        swizzle<0,4,3> o ((T,1,m),(8,k)) : ((1,T,SBO),(1T,LBO))
 *     Element (i, q) of m and k is i = e + T p + T W g, q = c + 8 d, with W = bytes / 16, and lies at
 *     e + T p + LBO g + W T c + SBO d: in bytes
 *       2 e + 16 p + bytes c + LBO g + SBO d
 *     so line q % 8 = c of a pattern is `bytes` long, its piece p the p-th 16 bytes; and swizzle<B,4,3>
 *     replaces bits 4.. of the address, B of them, by their sum, bit by bit, with bits 7..: as it does for
 *     rows.
 *     Not swapped, W = 1: 2 e + 16 c + SBO g + LBO d.
 *
 * Both say the same: LBO (16-29) is `across`, along m, and SBO (32-45) `down`, along k; of what is not
 * swapped the other way round. Patterns begin at multiples of their 8 bytes x `bytes`, as the field 49-51 is
 * 0; the next 16 of k are two patterns along k further. Whole patterns along m, too: m, n are multiples of
 * bytes / 2. (tests/codegen/gpu/test_gpu_wgmma.c has the ISA's examples.)
 *
 * The machine looks at the bits that a tf32 has and leaves out the others: rounding is up to who stores
 * operands.
 *
 * wgmma reads shared memory by a way of its own, the async proxy: stores, and copies that have arrived, are
 * seen there behind a proxy_fence of the thread that made them and a barrier. */
#ifndef NETC_WGMMA_H
#define NETC_WGMMA_H
#include <stdbool.h>
#include <stdint.h>

enum {
  WGMMA_WARPS = 4,
  WGMMA_ROWS = 64,
  WGMMA_STEP = 32,
  WGMMA_RUN = 16,
  WGMMA_SUMS = 192 /* of a run, at most: products, registers of sums */
};

/* What a descriptor of rows swapped in `bytes` = 32, 64 or 128 bytes has beside the address: eight rows after
 * eight rows. */
static inline int64_t wgmma_form(int bytes) {
  uint64_t kind = bytes == 128 ? 1 : bytes == 64 ? 2 : 3;
  return (int64_t)(kind << 62 | (uint64_t)(8 * bytes / 16) << 32 | UINT64_C(1) << 16);
}

/* The same of lines of `bytes` that lie transposed, as eight lines after eight lines; the next `bytes` / 2 of
 * m or n are `across` bytes further. */
static inline int64_t wgmma_form_transposed(int bytes, int across) {
  uint64_t kind = bytes == 128 ? 1 : bytes == 64 ? 2 : 3;
  return (int64_t)(kind << 62 | (uint64_t)(8 * bytes / 16) << 32 | (uint64_t)(across / 16) << 16);
}

/* The fields, in bytes. */
typedef struct {
  uint32_t address, across, down, shift, swapped; /* swapped: 0, 32, 64, 128 */
} WgmmaMatrix;
WgmmaMatrix wgmma_matrix(uint64_t descriptor);
/* Where piece `piece` (0, 1) of row `row` lies. */
uint32_t wgmma_piece(const WgmmaMatrix *m, int row, int piece);
/* Of a matrix that lies transposed: where elements 8 piece .. 8 piece + 7 of line `line` (0 .. 15) lie. */
uint32_t wgmma_transposed_piece(const WgmmaMatrix *m, int line, int piece);
/* Do all of its patterns begin where bits 49-51, 0, say: at multiples of their size? Turned: `patterns` of
 * them along m or n. */
bool wgmma_begins_right(const WgmmaMatrix *m);
bool wgmma_transposed_begins_right(const WgmmaMatrix *m, int patterns);

/* sum[lane][0 .. n/2-1] += a times b for the 16 rows of a warp; rows of a and columns of b are 8 words
 * each. */
void wgmma_multiply(int bf16, int n, uint32_t a[16][8], uint32_t b[][8], float *const sum[32]);
#endif
