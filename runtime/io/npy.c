/* npy.c - layout: "\x93NUMPY", version (1.0: 2-byte header length, 2.0: 4-byte), a Python dictionary as text,
 * the data. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/base/file.h"
#include "runtime/io/npy.h"

static const struct {
  const char *descr;
  size_t size;
} npy_type[] = {[NPY_F4] = {"<f4", 4},
                [NPY_F8] = {"<f8", 8},
                [NPY_I4] = {"<i4", 4},
                [NPY_I8] = {"<i8", 8},
                [NPY_U1] = {"|u1", 1}};
enum { NPY_TYPES = sizeof npy_type / sizeof *npy_type };

/* The text behind 'key': in the dictionary, or NULL. */
static const char *value_of(const char *dict, const char *key) {
  char quoted[32];
  snprintf(quoted, sizeof quoted, "'%s'", key);
  const char *p = strstr(dict, quoted);
  if (!p) return NULL;
  p += strlen(quoted);
  while (*p == ' ') p++;
  if (*p++ != ':') return NULL;
  while (*p == ' ') p++;
  return p;
}

static bool parse_shape(const char *p, Npy *out) {
  if (!p || *p++ != '(') return false;
  out->rank = 0, out->count = 1;
  for (;;) {
    while (*p == ' ' || *p == ',') p++;
    if (*p == ')') return true;
    char *end;
    long long n = strtoll(p, &end, 10);
    if (end == p || n < 0 || out->rank == NPY_MAX_RANK || (n > 0 && out->count > INT64_MAX / 8 / n))
      return false;
    out->dim[out->rank++] = n, out->count *= n, p = end;
  }
}

static bool parse_header(const char *dict, const char *path, Npy *out, char err[ERR_MAX]) {
  const char *descr = value_of(dict, "descr"), *order = value_of(dict, "fortran_order");
  if (!descr || !order || !parse_shape(value_of(dict, "shape"), out))
    return err_set(err, "%s: the .npy header cannot be understood", path);
  if (strncmp(order, "False", 5) != 0)
    return err_set(err, "%s is in Fortran order; save numpy.ascontiguousarray(a)", path);
  int t = 0;
  while (t < NPY_TYPES &&
         (descr[0] != '\'' || strncmp(descr + 1, npy_type[t].descr, 3) != 0 || descr[4] != '\''))
    t++;
  if (t == NPY_TYPES)
    return err_set(err, "%s holds elements of type %.8s; f4, f8, i4, i8 and u1 (little endian) are read",
                   path, descr);
  out->type = t;
  return true;
}

bool npy_parse(const uint8_t *b, size_t size, const char *path, Npy *out, char err[ERR_MAX]) {
  memset(out, 0, sizeof *out);
  if (size < 12 || memcmp(b, "\x93NUMPY", 6) != 0) return err_set(err, "%s is not a .npy file", path);
  size_t at = b[6] == 1 ? 10 : 12;
  size_t len = b[6] == 1 ? (size_t)(b[8] | b[9] << 8)
                         : (size_t)b[8] | (size_t)b[9] << 8 | (size_t)b[10] << 16 | (size_t)b[11] << 24;
  if (b[6] < 1 || b[6] > 3) return err_set(err, "%s: .npy version %d is unknown", path, b[6]);
  if (len > size - at) return err_set(err, "%s is cut short inside its header", path);
  char *dict = strndup((const char *)b + at, len);
  if (!dict) return err_memory(err, path, (int64_t)len);
  bool ok = parse_header(dict, path, out, err);
  free(dict);
  if (!ok) return false;
  size_t bytes = (size_t)out->count * npy_type[out->type].size, have = size - at - len;
  if (have != bytes)
    return err_set(err, "%s: the header promises %zu bytes of data and %zu follow", path, bytes, have);
  out->data = malloc(bytes ? bytes : 1);
  if (!out->data) return err_memory(err, path, (int64_t)bytes);
  memcpy(out->data, b + at + len, bytes);
  return true;
}

bool npy_read(const char *path, Npy *out, char err[ERR_MAX]) {
  Bytes file;
  memset(out, 0, sizeof *out);
  if (!file_map(path, &file, err)) return false;
  bool ok = npy_parse(file.data, file.size, path, out, err);
  file_unmap(&file);
  return ok;
}

void npy_free(Npy *a) {
  free(a->data);
  a->data = NULL;
}

double npy_value(const Npy *a, int64_t i) {
  switch (a->type) {
  case NPY_F4: return ((const float *)a->data)[i];
  case NPY_F8: return ((const double *)a->data)[i];
  case NPY_I4: return ((const int32_t *)a->data)[i];
  case NPY_I8: return (double)((const int64_t *)a->data)[i];
  case NPY_U1: return ((const uint8_t *)a->data)[i];
  }
  return 0;
}

bool npy_write(const char *path, NpyType type, int rank, const int64_t *dim, const void *data,
               char err[ERR_MAX]) {
  char dict[256];
  int n =
      snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (", npy_type[type].descr);
  size_t count = 1;
  for (int i = 0; i < rank; i++) {
    n += snprintf(dict + n, sizeof dict - (size_t)n, "%" PRId64 ",%s", dim[i], i + 1 < rank ? " " : "");
    count *= (size_t)dim[i];
  }
  n += snprintf(dict + n, sizeof dict - (size_t)n, "), }");
  while ((10 + n + 1) % 64) dict[n++] = ' '; /* the data start at a multiple of 64; n <= 230 for 8 axes */
  dict[n++] = '\n';
  uint8_t head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)n, (uint8_t)(n >> 8)};
  AtomicFile f;
  if (!atomic_open(&f, path, err)) return false;
  fwrite(head, 1, sizeof head, f.file);
  fwrite(dict, 1, (size_t)n, f.file);
  fwrite(data, npy_type[type].size, count, f.file);
  return atomic_commit(&f, err);
}
