/* wgmma.c - what wgmma.h says, for who emulates it. */
#include "codegen/kir/wgmma.h"
#include <math.h>
#include "codegen/kir/fragment.h"

WgmmaMatrix wgmma_matrix(uint64_t d) {
  static const uint32_t swapped[] = {0, 128, 64, 32};
  return (WgmmaMatrix){.address = (uint32_t)(d & 0x3fff) << 4,
                       .across = (uint32_t)(d >> 16 & 0x3fff) << 4,
                       .down = (uint32_t)(d >> 32 & 0x3fff) << 4,
                       .shift = (uint32_t)(d >> 49 & 7),
                       .swapped = swapped[d >> 62]};
}

uint32_t wgmma_piece(const WgmmaMatrix *m, int row, int piece) {
  uint32_t at = m->address + (uint32_t)(row / 8) * m->down, in = (uint32_t)(row % 8), p = (uint32_t)piece;
  if (!m->swapped) return at + p * m->across + 16 * in;
  at += in * m->swapped + 16 * p;
  uint32_t bits = m->swapped / 16 - 1; /* of a piece's number in its row */
  return at ^ (at >> 7 & bits) << 4;
}

uint32_t wgmma_transposed_piece(const WgmmaMatrix *m, int line, int piece) {
  uint32_t eight = (uint32_t)(line / 8), in = (uint32_t)(line % 8), p = (uint32_t)piece,
           wide = m->swapped / 16;
  if (!m->swapped) return m->address + p * m->down + eight * m->across + 16 * in;
  uint32_t at = m->address + p / wide * m->across + eight * m->down + in * m->swapped + 16 * (p % wide);
  return at ^ (at >> 7 & (wide - 1)) << 4;
}

/* What is taken of a row may begin anywhere in it: its pieces are moved by the number of the row. */
bool wgmma_begins_right(const WgmmaMatrix *m) {
  uint32_t size = 8 * m->swapped;
  return !size || (m->address % size < m->swapped && m->down % size == 0);
}

bool wgmma_transposed_begins_right(const WgmmaMatrix *m, int patterns) {
  uint32_t size = 8 * m->swapped;
  return !size || (m->address % size == 0 && m->down % size == 0 && (patterns < 2 || m->across % size == 0));
}

void wgmma_multiply(int bf16, int n, uint32_t a[16][8], uint32_t b[][8], float *const sum[32]) {
  int pack = bf16 ? 2 : 1;
  for (int lane = 0; lane < 32; lane++)
    for (int i = 0; i < n / 2; i++) {
      const uint32_t *x = a[lane / 4 + i / 2 % 2 * 8], *y = b[i / 4 * 8 + lane % 4 * 2 + i % 2];
      for (int k = 0; k < 8 * pack; k++)
        sum[lane][i] = fmaf(fragment_element(bf16, x[k / pack], k % pack),
                            fragment_element(bf16, y[k / pack], k % pack), sum[lane][i]);
    }
}
