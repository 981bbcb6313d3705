/* noise.c - normal noise, many elements at a time: the same numbers as ir/philox.h and ir/gauss.h give one by
 * one (codegen/abi.h), in loops of a fixed length that compilers turn into vector code. */
#include <math.h>
#include <string.h>
#include "ir/gauss.h"
#include "runtime/base/clones.h"
#include "runtime/batch/change.h"

enum { MANY = 64 };

/* Uniform numbers first, first + step, .. of a site. */
static inline void uniforms(const Chance *d, uint64_t site, uint64_t first, uint64_t step, double u[MANY]) {
  uint32_t c[4][MANY], key[2] = {(uint32_t)d->seed, (uint32_t)(d->seed >> 32)};
  site = netc_batch_site(d->stream, site);
  for (int i = 0; i < MANY; i++) {
    uint64_t index = first + (uint64_t)i * step;
    c[0][i] = (uint32_t)index, c[1][i] = (uint32_t)(index >> 32) ^ (uint32_t)(site >> 32);
    c[2][i] = (uint32_t)site, c[3][i] = (uint32_t)d->iteration;
  }
  for (int r = 0; r < 10; r++) {
    for (int i = 0; i < MANY; i++) {
      uint64_t a = (uint64_t)0xD2511F53u * c[0][i], b = (uint64_t)0xCD9E8D57u * c[2][i];
      c[0][i] = (uint32_t)(b >> 32) ^ c[1][i] ^ key[0], c[2][i] = (uint32_t)(a >> 32) ^ c[3][i] ^ key[1];
      c[1][i] = (uint32_t)b, c[3][i] = (uint32_t)a;
    }
    key[0] += 0x9E3779B9u, key[1] += 0xBB67AE85u;
  }
  for (int i = 0; i < MANY; i++) u[i] = (double)((float)(int32_t)(c[0][i] >> 8) * 0x1p-24f);
}

CLONED void noise_add(float *x, int64_t n, uint64_t first, uint64_t step, uint64_t site, double deviation,
                      const Chance *d) {
  double u[MANY], w[MANY];
  for (int64_t begin = 0; begin < n; begin += MANY) {
    int64_t many = n - begin < MANY ? n - begin : MANY;
    uint64_t e = first + (uint64_t)begin * step;
    uniforms(d, site, e, step, u), uniforms(d, site, e + 1, step, w);
    for (int64_t i = 0; i < many; i++) x[begin + i] += (float)(deviation * gauss_of(1 - u[i], w[i]));
  }
}
