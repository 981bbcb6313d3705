/* safetensors.h - the file format of weights and checkpoints: 8 bytes of header length, a JSON header, the
 * data.
 *
 *   StFile *f = st_open("last.safetensors", err);
 *   const StTensor *t = st_find(f, "student.down1.conv1.weight");
 *   const char *it = st_meta(f, "iteration");
 *   st_close(f); */
#ifndef NETRUN_SAFETENSORS_H
#define NETRUN_SAFETENSORS_H
#include <stddef.h>
#include "runtime/base/err.h"
#include "runtime/base/file.h"

enum { ST_MAX_RANK = 8 };
typedef enum {
  ST_F32,
  ST_F64,
  ST_I32,
  ST_I64,
  ST_U8,
  ST_OTHER
} StType; /* OTHER: any type the format knows besides */

/* Row-major, little endian. */
typedef struct {
  char *name;
  StType type;
  int rank;
  int64_t dim[ST_MAX_RANK], count;
  const void *data; /* not aligned */
  uint64_t begin, end;
} StTensor;

typedef struct {
  char *key, *value;
} StMeta;

typedef struct {
  StTensor *tensor; /* sorted by name */
  int ntensor;
  StMeta *meta;
  int nmeta;
  Bytes file; /* the mapped file; empty after st_parse */
} StFile;

StFile *st_open(const char *path, char err[ERR_MAX]);
/* From memory, which must outlive the result. Any bytes give a result or an error. `path` names them in
 * messages. */
StFile *st_parse(const uint8_t *bytes, size_t size, const char *path, char err[ERR_MAX]);
void st_close(StFile *f);
const StTensor *st_find(const StFile *f, const char *name);
const char *st_meta(const StFile *f, const char *key);

/* Writes atomically. fill(user, i, dst) puts the data of tensor i (its fields name, type, rank, dim are read;
 * F32 and I32 only), row-major, into dst; it may refuse with false and err. */
typedef bool (*StFill)(void *user, int i, void *dst, char err[ERR_MAX]);
bool st_write(const char *path, const StTensor *tensor, int ntensor, const StMeta *meta, int nmeta,
              StFill fill, void *user, char err[ERR_MAX]);
#endif
