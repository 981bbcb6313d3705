/* npy.h - NumPy's .npy files: arrays of f4, f8, i4, i8, u1 in C order. */
#ifndef NETRUN_NPY_H
#define NETRUN_NPY_H
#include <stddef.h>
#include "runtime/base/err.h"

typedef enum { NPY_F4, NPY_F8, NPY_I4, NPY_I8, NPY_U1 } NpyType;
enum { NPY_MAX_RANK = 8 };

typedef struct {
  NpyType type;
  int rank;
  int64_t dim[NPY_MAX_RANK], count;
  void *data;
} Npy;

bool npy_read(const char *path, Npy *out, char err[ERR_MAX]);
/* The same from memory; `path` only names it in messages. */
bool npy_parse(const uint8_t *bytes, size_t size, const char *path, Npy *out, char err[ERR_MAX]);
void npy_free(Npy *a);
/* Element i as a number; 8-byte integers beyond 2^53 are rounded. */
double npy_value(const Npy *a, int64_t i);
/* Atomically: an existing file is replaced only by a whole one. */
bool npy_write(const char *path, NpyType type, int rank, const int64_t *dim, const void *data,
               char err[ERR_MAX]);
#endif
