/* fragment.c - what fragment.h says, for who emulates it. */
#include <math.h>
#include <string.h>
#include "codegen/kir/fragment.h"

enum { M = 16, N = 8, K_MOST = 16, TF32_LOST = 0x1fff };

static float as_float(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

float fragment_element(bool bf16, uint32_t reg, int at) {
  if (!bf16) return as_float(reg & ~(uint32_t)TF32_LOST);
  return as_float(at ? reg & 0xffff0000u : reg << 16);
}

void fragment_mma(bool bf16, const uint32_t *const a[32], const uint32_t *const b[32], float *const sum[32]) {
  int pack = bf16 ? 2 : 1, depth = 8 * pack;
  float x[M][K_MOST], y[K_MOST][N];
  for (int lane = 0; lane < 32; lane++) {
    int g = lane / 4, t = lane % 4;
    for (int r = 0; r < 4; r++)
      for (int e = 0; e < pack; e++)
        x[g + r % 2 * 8][pack * (t + r / 2 * 4) + e] = fragment_element(bf16, a[lane][r], e);
    for (int r = 0; r < 2; r++)
      for (int e = 0; e < pack; e++) y[pack * (t + r * 4) + e][g] = fragment_element(bf16, b[lane][r], e);
  }
  for (int lane = 0; lane < 32; lane++)
    for (int r = 0; r < 4; r++) {
      int m = lane / 4 + r / 2 * 8, n = lane % 4 * 2 + r % 2;
      for (int k = 0; k < depth; k++) sum[lane][r] = fmaf(x[m][k], y[k][n], sum[lane][r]);
    }
}

bool fragment_unrounded(const uint32_t *reg, int n) {
  for (int i = 0; i < n; i++)
    if (reg[i] & TF32_LOST && !isnan(as_float(reg[i]))) return true;
  return false;
}

uint32_t fragment_word(const void *const row[8], int lane, bool transposed) {
  uint32_t word;
  uint16_t half[2];
  if (!transposed) return memcpy(&word, (const uint8_t *)row[lane / 4] + 4 * (lane % 4), 4), word;
  for (int i = 0; i < 2; i++) memcpy(&half[i], (const uint8_t *)row[lane % 4 * 2 + i] + 2 * (lane / 4), 2);
  return half[0] | (uint32_t)half[1] << 16;
}
