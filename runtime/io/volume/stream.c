/* stream.c - reading through zlib: several gzip members, what is cut short, what lies behind. */
#include "runtime/io/volume/stream.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BUFFER = 1 << 18, ZLIB_OR_GZIP = MAX_WBITS + 32 };

static int64_t plain_left(Stream *s) {
  struct stat st;
  int64_t at = ftello(s->file);
  return at >= 0 && !fstat(fileno(s->file), &st) && st.st_size > at ? st.st_size - at : 0;
}

bool stream_could_hold(Stream *s, double n) {
  return s->coded ? n <= 1032.0 * ((double)plain_left(s) + s->z.avail_in) : n <= (double)plain_left(s);
}

static bool begins_as_gzip(FILE *f) {
  int a = getc(f), b = a == EOF ? EOF : getc(f);
  return a == 0x1f && b == 0x8b;
}

bool stream_open(Stream *s, const char *path, int64_t from, StreamCoding coding, char err[ERR_MAX]) {
  struct stat st;
  *s = (Stream){.path = path};
  if (stat(path, &st)) return err_sys(err, "%s", path);
  if (!S_ISREG(st.st_mode)) return err_set(err, "%s: not a regular file", path);
  if (!(s->file = fopen(path, "rbe"))) return err_sys(err, "%s", path);
  bool ok = !fseeko(s->file, from, SEEK_SET);
  s->coded = ok && (coding == STREAM_DEFLATE || (coding == STREAM_AS_FOUND && begins_as_gzip(s->file)));
  ok = ok && !fseeko(s->file, from, SEEK_SET);
  if (!ok) err_sys(err, "%s", path);
  if (ok && s->coded) {
    s->buffer = malloc(BUFFER);
    ok = s->buffer && inflateInit2(&s->z, ZLIB_OR_GZIP) == Z_OK;
    if (!ok) err_memory(err, path, BUFFER);
    if (!ok) free(s->buffer), s->buffer = NULL;
  }
  if (!ok) fclose(s->file), s->file = NULL;
  return ok;
}

void stream_close(Stream *s) {
  if (s->buffer) inflateEnd(&s->z);
  if (s->file) fclose(s->file);
  free(s->buffer);
  *s = (Stream){.path = s->path};
}

/* More of the file behind what is still to be decompressed; false at the file's end. */
static bool refill(Stream *s) {
  if (s->z.avail_in) memmove(s->buffer, s->z.next_in, s->z.avail_in);
  size_t got = fread(s->buffer + s->z.avail_in, 1, BUFFER - s->z.avail_in, s->file);
  s->z.next_in = s->buffer, s->z.avail_in += (uInt)got;
  return got > 0;
}

/* gzip files may follow one another; anything else behind the end is not ours. */
static void next_member(Stream *s) {
  if (s->z.avail_in < 2) refill(s);
  s->ended = s->z.avail_in < 2 || s->z.next_in[0] != 0x1f || s->z.next_in[1] != 0x8b;
  if (!s->ended) inflateReset(&s->z);
}

static bool inflate_some(Stream *s, uint8_t *out, int64_t n, int64_t *got, char err[ERR_MAX]) {
  for (*got = 0; *got < n && !s->ended && !s->cut;) {
    uInt piece = (uInt)(n - *got < 1 << 30 ? n - *got : 1 << 30);
    if (!s->z.avail_in && !refill(s)) {
      s->cut = true;
      break;
    }
    s->z.next_out = out + *got, s->z.avail_out = piece;
    int rc = inflate(&s->z, Z_NO_FLUSH);
    *got += piece - s->z.avail_out;
    if (rc == Z_STREAM_END) next_member(s);
    else if (rc != Z_OK && rc != Z_BUF_ERROR)
      return err_set(err, "%s: the compressed data are damaged (%s)", s->path,
                     s->z.msg ? s->z.msg : "of another kind");
  }
  return !ferror(s->file) || err_sys(err, "%s", s->path);
}

bool stream_read(Stream *s, void *out, int64_t n, int64_t *got, char err[ERR_MAX]) {
  if (s->coded) return inflate_some(s, out, n, got, err);
  *got = (int64_t)fread(out, 1, (size_t)n, s->file);
  return !ferror(s->file) || err_sys(err, "%s", s->path);
}

/* Bytes left out, at most n. */
static bool drop(Stream *s, int64_t n, int64_t *dropped, char err[ERR_MAX]) {
  uint8_t *some = malloc(BUFFER);
  if (!some) return err_memory(err, s->path, BUFFER);
  bool ok = true;
  int64_t got = 1;
  for (*dropped = 0; ok && got && *dropped < n; *dropped += ok ? got : 0)
    ok = stream_read(s, some, n - *dropped < BUFFER ? n - *dropped : BUFFER, &got, err);
  free(some);
  return ok;
}

bool stream_skip(Stream *s, int64_t n, char err[ERR_MAX]) {
  int64_t dropped = 0;
  if (!drop(s, n, &dropped, err)) return false;
  return dropped == n || err_set(err, "%s: the file ends %lld bytes before its voxels begin", s->path,
                                 (long long)(n - dropped));
}

bool stream_rest(Stream *s, int64_t *trailing, char err[ERR_MAX]) {
  *trailing = s->coded ? 0 : plain_left(s);
  if (!s->coded) return true;
  if (!drop(s, INT64_MAX, trailing, err)) return false;
  if (s->cut) return err_set(err, "%s: the compressed data break off; the file is cut short", s->path);
  *trailing += s->z.avail_in + plain_left(s);
  return true;
}
