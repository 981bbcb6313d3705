/* sink.c - writing, through zlib where wanted. */
#include "runtime/io/volume/sink.h"
#include <stdlib.h>

enum { BUFFER = 1 << 18, LEVEL = 6 };

bool sink_open(Sink *s, const char *path, char err[ERR_MAX]) {
  *s = (Sink){.coded = false};
  return atomic_open(&s->out, path, err);
}

bool sink_compress(Sink *s, SinkCoding coding, char err[ERR_MAX]) {
  if (coding == SINK_PLAIN) return true;
  int bits = coding == SINK_GZIP ? MAX_WBITS + 16 : MAX_WBITS;
  s->buffer = malloc(BUFFER);
  s->coded = s->buffer && deflateInit2(&s->z, LEVEL, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) == Z_OK;
  return s->coded || err_memory(err, s->out.path, BUFFER);
}

static void put(Sink *s, const void *bytes, size_t n) {
  if (!s->failed) s->failed = fwrite(bytes, 1, n, s->out.file) != n;
}

/* Deflates what is at z.next_in. */
static void deflate_all(Sink *s, int flush) {
  do {
    s->z.next_out = s->buffer, s->z.avail_out = BUFFER;
    deflate(&s->z, flush);
    put(s, s->buffer, BUFFER - s->z.avail_out);
  } while (!s->z.avail_out && !s->failed);
}

bool sink_write(Sink *s, const void *bytes, size_t n) {
  const size_t most = 1 << 30; /* zlib counts in 32 bits */
  if (!s->coded) put(s, bytes, n);
  for (size_t at = 0; s->coded && at < n && !s->failed; at += most) {
    s->z.next_in = (Bytef *)(uintptr_t)((const uint8_t *)bytes + at);
    s->z.avail_in = (uInt)(n - at < most ? n - at : most);
    deflate_all(s, Z_NO_FLUSH);
  }
  return !s->failed;
}

bool sink_end(Sink *s, int64_t *bytes) {
  *bytes = 0;
  if (!s->coded) return !s->failed;
  s->z.avail_in = 0;
  deflate_all(s, Z_FINISH);
  *bytes = (int64_t)s->z.total_out;
  deflateEnd(&s->z);
  free(s->buffer);
  s->coded = false, s->buffer = NULL;
  return !s->failed;
}

bool sink_commit(Sink *s, char err[ERR_MAX]) {
  int64_t bytes;
  sink_end(s, &bytes);
  return atomic_commit(&s->out, err);
}

void sink_abort(Sink *s) {
  if (s->coded) deflateEnd(&s->z);
  free(s->buffer);
  atomic_abort(&s->out);
}
