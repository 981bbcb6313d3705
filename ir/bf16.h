/* bf16.h - bf16 is the upper half of a float: sign, 8 bits of exponent, 7 of fraction. The host's form of
 * what compiled code does when it stores and loads: the nearest value, ties to even, denormals kept, what
 * rounds past the largest becomes infinite, and a NaN stays one (its quiet bit set, so that cutting it cannot
 * make it infinite). */
#ifndef NETC_BF16_H
#define NETC_BF16_H
#include <stdint.h>
#include <string.h>

static inline uint16_t bf16_bits(float v) {
  uint32_t x;
  memcpy(&x, &v, sizeof x);
  if (v != v) return (uint16_t)(x >> 16 | 0x40);
  return (uint16_t)((x + 0x7fff + (x >> 16 & 1)) >> 16);
}

static inline float bf16_float(uint16_t bits) {
  uint32_t x = (uint32_t)bits << 16;
  float v;
  memcpy(&v, &x, sizeof v);
  return v;
}

static inline float bf16_round(float v) { return bf16_float(bf16_bits(v)); }
#endif
