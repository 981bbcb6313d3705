/* element.c - conversions, one set of functions for each type of elements.def. */
#include "runtime/io/volume/element.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ELEMENT(name, type, word, nifti, nrrd, met)                                                          \
  static void name##_to_floats(const void *in, int64_t stride, int64_t n, const Scale *scale, float *out) {  \
    const type *p = in;                                                                                      \
    if (scale->on)                                                                                           \
      for (int64_t i = 0; i < n; i++) out[i] = (float)(scale->slope * (double)p[i * stride] + scale->inter); \
    else if (stride == 1)                                                                                    \
      for (int64_t i = 0; i < n; i++) out[i] = (float)p[i];                                                  \
    else                                                                                                     \
      for (int64_t i = 0; i < n; i++) out[i] = (float)p[i * stride];                                         \
  }                                                                                                          \
  static int64_t name##_first_rounded(const void *in, int64_t stride, int64_t n, const Scale *scale,         \
                                      long double *value) {                                                  \
    const type *p = in;                                                                                      \
    for (int64_t i = 0; i < n; i++) {                                                                        \
      long double v = (long double)p[i * stride];                                                            \
      if (scale->on) v = (long double)(scale->slope * (double)p[i * stride] + scale->inter);                 \
      if (fabsl(v) >= 0x1p24L && (long double)(float)v != v) return *value = v, i;                           \
    }                                                                                                        \
    return -1;                                                                                               \
  }                                                                                                          \
  static bool name##_parse(const char *text, char **end, void *out) {                                        \
    long double v = strtold(text, end);                                                                      \
    bool whole = (type)0.5F == 0, negative = (type)-1 < (type)1;                                             \
    int bits = 8 * (int)sizeof(type) - negative;                                                             \
    long double least = negative ? -ldexpl(1, bits) : 0, most = ldexpl(1, bits) - 1;                         \
    if (*end == text || (whole && !(v >= least && v <= most))) return false;                                 \
    type stored = (type)v;                                                                                   \
    if (whole && (long double)stored != v) return false;                                                     \
    memcpy(out, &stored, sizeof stored);                                                                     \
    return true;                                                                                             \
  }
#include "runtime/io/volume/elements.def"
#undef ELEMENT

const ElementInfo element_table[ELEMENT_TYPES] = {
#define ELEMENT(name, type, word, nifti, nrrd, met)                                                          \
  {word, sizeof(type), nifti, nrrd, met, name##_to_floats, name##_first_rounded, name##_parse},
#include "runtime/io/volume/elements.def"
#undef ELEMENT
};

static void swap2(uint8_t *p, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    uint16_t v;
    memcpy(&v, p + 2 * i, 2), v = __builtin_bswap16(v), memcpy(p + 2 * i, &v, 2);
  }
}

static void swap4(uint8_t *p, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    uint32_t v;
    memcpy(&v, p + 4 * i, 4), v = __builtin_bswap32(v), memcpy(p + 4 * i, &v, 4);
  }
}

static void swap8(uint8_t *p, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    uint64_t v;
    memcpy(&v, p + 8 * i, 8), v = __builtin_bswap64(v), memcpy(p + 8 * i, &v, 8);
  }
}

void element_swap(void *data, int bytes, int64_t n) {
  if (bytes == 2) swap2(data, n);
  else if (bytes == 4) swap4(data, n);
  else if (bytes == 8) swap8(data, n);
}
