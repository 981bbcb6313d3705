/* philox.h - Philox 4x32-10 (Salmon et al., SC'11), the one source of randomness: a value depends on (seed,
 * iteration, site, index) and on nothing else. Shared by the interpreter, the generated code (which emits the
 * same rounds) and the runtime (initialisation, sampling, augmentation).
 *
 * counter = (index low, index high ^ site high, site low, iteration), key = (seed low, seed high).
 * uniform = (x0 >> 8) * 2^-24, in [0,1).
 * normal  = sqrt(-2 log(u1)) * cos(2 pi u2), u1 = ((x0 >> 8) + 1) * 2^-24 in (0,1], u2 = (x1 >> 8) *
 * 2^-24. */
#ifndef NETC_PHILOX_H
#define NETC_PHILOX_H
#include <stdint.h>

static inline void philox4x32(uint32_t c[4], uint32_t k0, uint32_t k1) {
  for (int r = 0; r < 10; r++) {
    uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
    uint32_t n0 = (uint32_t)(b >> 32) ^ c[1] ^ k0, n2 = (uint32_t)(a >> 32) ^ c[3] ^ k1;
    c[1] = (uint32_t)b, c[3] = (uint32_t)a, c[0] = n0, c[2] = n2;
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
}

static inline void philox_at(uint32_t out[4], uint64_t seed, uint64_t iteration, uint64_t site,
                             uint64_t index) {
  out[0] = (uint32_t)index;
  out[1] = (uint32_t)(index >> 32) ^ (uint32_t)(site >> 32);
  out[2] = (uint32_t)site;
  out[3] = (uint32_t)iteration;
  philox4x32(out, (uint32_t)seed, (uint32_t)(seed >> 32));
}

static inline float philox_uniform(uint64_t seed, uint64_t iteration, uint64_t site, uint64_t index) {
  uint32_t x[4];
  philox_at(x, seed, iteration, site, index);
  return (float)(x[0] >> 8) * 0x1p-24f;
}
#endif
