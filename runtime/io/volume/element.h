/* element.h - the numbers that files of voxels hold, and their way to floats. */
#ifndef NETRUN_ELEMENT_H
#define NETRUN_ELEMENT_H
#include <stdbool.h>
#include <stdint.h>

#define ELEMENT_HOST_BIG (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) /* this machine's byte order */

typedef enum {
#define ELEMENT(name, type, word, nifti, nrrd, met) ELEMENT_##name,
#include "runtime/io/volume/elements.def"
#undef ELEMENT
  ELEMENT_TYPES
} Element;

/* stored * slope + inter, computed in double, is the value; as stored where `on` is false. */
typedef struct {
  bool on;
  double slope, inter;
} Scale;

typedef struct {
  const char *name;
  int bytes;
  int nifti;              /* its code in NIfTI's headers */
  const char *nrrd, *met; /* its name in NRRD's and MetaImage's */
  /* n of them, `stride` apart, to floats; 64-bit numbers are rounded. */
  void (*to_floats)(const void *in, int64_t stride, int64_t n, const Scale *scale, float *out);
  /* The first of n whose value, 2^24 or more, is not a float's; -1: none. value: it. */
  int64_t (*first_rounded)(const void *in, int64_t stride, int64_t n, const Scale *scale, long double *value);
  /* A number in decimals stored as this type: whole types need a whole number in range. end as strtod's;
   * false where there is no such number. */
  bool (*parse)(const char *text, char **end, void *out);
} ElementInfo;
extern const ElementInfo element_table[ELEMENT_TYPES];

/* In place: n numbers of the other byte order. */
void element_swap(void *data, int bytes, int64_t n);
#endif
