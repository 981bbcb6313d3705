/* pairs.h - the random pairs of masks of tests/metrics/oracle.py, made here by the same whole numbers. */
#ifndef NETC_TEST_PAIRS_H
#define NETC_TEST_PAIRS_H
#include <stdint.h>
#include <string.h>
#include "runtime/metrics/metrics.h"

enum { PAIR_ROOM = 10, PAIR_ELEMENTS = PAIR_ROOM * PAIR_ROOM * PAIR_ROOM };

typedef struct {
  int spatial;
  int64_t dim[3], n;
  double spacing[3], tolerance;
  uint8_t mask[2][PAIR_ELEMENTS]; /* prediction, truth */
} RandomPair;

static inline uint32_t pair_mix(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t h = a * 0x9E3779B1u + b * 0x85EBCA77u + c * 0xC2B2AE3Du;
  h = (h ^ h >> 16) * 0x85EBCA6Bu;
  h = (h ^ h >> 13) * 0xC2B2AE35u;
  return h ^ h >> 16;
}

static inline void pair_ball(RandomPair *p, uint32_t k, uint32_t which, uint32_t ball) {
  int64_t longest = 1, centre[3] = {0};
  for (int a = 0; a < p->spatial; a++) {
    uint32_t axis = (uint32_t)a;
    centre[a] = pair_mix(k, 4 + ball, axis) % p->dim[a] + pair_mix(k, 8 + ball, 3 * which + axis) % 3 - 1;
    longest = p->dim[a] > longest ? p->dim[a] : longest;
  }
  int64_t radius = 1 + pair_mix(k, 12 + ball, which) % (longest / 2);
  for (int64_t i = 0; i < p->n; i++) {
    int64_t squares = 0, rest = i;
    for (int a = p->spatial - 1; a >= 0; rest /= p->dim[a--]) {
      int64_t d = rest % p->dim[a] - centre[a];
      squares += d * d;
    }
    if (squares <= radius * radius) p->mask[which][i] = 1;
  }
}

/* Pair k of those whose axes have 2..PAIR_ROOM elements. */
static inline void pair_make(RandomPair *p, uint32_t k) {
  static const double spacings[6] = {1, 0.7, 1.5, 0.1, 2.25, 3}, tolerances[6] = {0, 0.5, 1, 1.4, 2, 3};
  memset(p, 0, sizeof *p);
  p->spatial = 2 + (int)(k % 2), p->n = 1, p->tolerance = tolerances[pair_mix(k, 19, 0) % 6];
  for (int a = 0; a < p->spatial; a++) {
    p->n *= p->dim[a] = 2 + pair_mix(k, 1, (uint32_t)a) % (PAIR_ROOM - 1);
    p->spacing[a] = spacings[pair_mix(k, 2, (uint32_t)a) % 6];
  }
  for (uint32_t which = 0; which < 2; which++) {
    uint8_t *mask = p->mask[which];
    for (uint32_t ball = 0; ball < 1 + pair_mix(k, 3, 0) % 3; ball++) pair_ball(p, k, which, ball);
    for (uint32_t i = 0; k % 3 == 0 && i < p->n; i++) mask[i] ^= pair_mix(k, 16 + which, i) % 29 == 0;
    if (k % 10 == 9 || k % 10 == 7 + which) memset(mask, 0, (size_t)p->n);
  }
  for (uint32_t i = 0; k % 5 == 0 && i < p->n; i++)
    if (pair_mix(k, 18, i) % 7 == 0) p->mask[1][i] = CLASS_IGNORE;
}
#endif
