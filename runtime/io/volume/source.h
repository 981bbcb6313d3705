/* source.h - the stored numbers of a volume in their order, from one file or several, packed, plain or in
 * decimals.
 *
 *   Source s;
 *   source_open(&s, "a.nhdr", &voxels, 4096, notes, err)
 *   source_fetch(&s, slab, 512 * 2, err)       // .. until all are there
 *   source_end(&s, err), source_close(&s) */
#ifndef NETRUN_SOURCE_H
#define NETRUN_SOURCE_H
#include "runtime/io/volume/stream.h"
#include "runtime/io/volume/voxels.h"

typedef struct {
  const char *header; /* the file that was named */
  const Voxels *v;
  Notes *notes;
  Stream stream;
  int opened;    /* files so far */
  int64_t share; /* bytes (of text: numbers) that each file holds .. */
  int64_t left;  /* .. and those still to come of this one */
  char *text;    /* what was read of a text and is not yet understood: from byte `at` to `have` */
  int64_t at, have;
} Source;

/* Opens the first file. Errors: there is none, or it is too short. To be closed in any case. */
bool source_open(Source *s, const char *header, const Voxels *v, int64_t voxels, Notes *notes,
                 char err[ERR_MAX]);
/* The next n bytes; of text: n numbers, as v->type stores them. Fewer are an error that counts. */
bool source_fetch(Source *s, uint8_t *out, int64_t n, char err[ERR_MAX]);
/* Checks the end of the last file; what is behind the voxels is noted. */
bool source_end(Source *s, char err[ERR_MAX]);
void source_close(Source *s);
#endif
