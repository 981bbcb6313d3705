/* sink.h - a file that is written from front to back and appears when it is whole; from any byte on it may be
 * compressed. */
#ifndef NETRUN_SINK_H
#define NETRUN_SINK_H
#include <zlib.h>
#include "runtime/base/file.h"

typedef enum { SINK_PLAIN, SINK_GZIP, SINK_ZLIB } SinkCoding;

typedef struct {
  AtomicFile out;
  bool coded, failed;
  z_stream z;
  uint8_t *buffer;
} Sink;

bool sink_open(Sink *s, const char *path, char err[ERR_MAX]);
/* What is written from here on is compressed. */
bool sink_compress(Sink *s, SinkCoding coding, char err[ERR_MAX]);
/* Failed writes are kept, and reported by sink_commit; false: stop early. */
bool sink_write(Sink *s, const void *bytes, size_t n);
/* Ends what is compressed; bytes: how many it came to. */
bool sink_end(Sink *s, int64_t *bytes);
/* The file is there; on failure the temporary file is gone and what the name held is untouched. */
bool sink_commit(Sink *s, char err[ERR_MAX]);
void sink_abort(Sink *s);
#endif
