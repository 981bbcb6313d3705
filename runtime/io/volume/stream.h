/* stream.h - the bytes of a file in their order, plain or compressed by deflate, counted and checked.
 *
 *   Stream s;
 *   stream_open(&s, "a.nii.gz", 0, STREAM_AS_FOUND, err);
 *   stream_read(&s, header, 348, &got, err)         // got < 348: the file ends here
 *   stream_rest(&s, &trailing, err)                 // to the end: checks the checksum
 *   stream_close(&s); */
#ifndef NETRUN_STREAM_H
#define NETRUN_STREAM_H
#include <stdio.h>
#include <zlib.h>
#include "runtime/base/err.h"

typedef enum {
  STREAM_AS_FOUND, /* gzip where the bytes begin as gzip does, else plain */
  STREAM_PLAIN,
  STREAM_DEFLATE /* gzip or zlib */
} StreamCoding;

typedef struct {
  const char *path;
  FILE *file;
  bool coded, ended; /* ended: of the compressed data */
  bool cut;          /* the file ends within the compressed data */
  z_stream z;
  uint8_t *buffer;
} Stream;

/* From byte `from` of the file on; path must outlive the stream. */
bool stream_open(Stream *s, const char *path, int64_t from, StreamCoding coding, char err[ERR_MAX]);
void stream_close(Stream *s);
/* Up to n bytes; fewer only where the data end. false: they cannot be read, or are damaged. */
bool stream_read(Stream *s, void *out, int64_t n, int64_t *got, char err[ERR_MAX]);
/* Leaves n bytes out; false also where there are fewer. */
bool stream_skip(Stream *s, int64_t n, char err[ERR_MAX]);
/* Reads to the end. trailing: bytes that were left, behind compressed data those of the file. false: the
 * compressed data break off, or are not those that were compressed (checksum). */
bool stream_rest(Stream *s, int64_t *trailing, char err[ERR_MAX]);
/* Could n more bytes come out of it? Exact for plain files; compressed, deflate's best is 1032 : 1. */
bool stream_could_hold(Stream *s, double n);
#endif
