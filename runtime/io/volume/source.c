/* source.c - the files of a volume's voxels, one after the other. */
#include "runtime/io/volume/source.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool too_short(const Source *s, int64_t has, char err[ERR_MAX]) {
  return err_set(err,
                 "%s: expected %lld %s of voxels, the file has %lld; it is cut short, or its header wrong",
                 s->stream.path, (long long)s->share, s->v->text ? "numbers" : "bytes", (long long)has);
}

/* The byte of the file behind its `lines` first lines. */
static bool after_lines(const char *path, const Voxels *v, int64_t *at, char err[ERR_MAX]) {
  FILE *f = v->lines ? fopen(path, "rbe") : NULL;
  int c = 0;
  *at = v->start;
  if (!v->lines) return true;
  if (!f) return err_sys(err, "%s", path);
  bool ok = !fseeko(f, v->start, SEEK_SET);
  for (int n = 0; ok && n < v->lines && c != EOF; n += c == '\n') c = getc(f), *at += c != EOF;
  fclose(f);
  return (ok && c != EOF) || err_set(err, "%s: the file ends before its %d lines do", path, v->lines);
}

/* Where the coding begins in a file. */
static bool place_in(const Source *s, const char *path, int64_t *at, char err[ERR_MAX]) {
  struct stat st;
  if (!s->v->from_end) return after_lines(path, s->v, at, err);
  if (stat(path, &st)) return err_sys(err, "%s", path);
  *at = st.st_size < s->share ? 0 : st.st_size - s->share;
  return true;
}

/* Makes room for text, and reads it; false at the end. */
static bool more_text(Source *s, bool *failed, char err[ERR_MAX]) {
  enum { ROOM = 1 << 16 };
  int64_t got = 0;
  if (!s->text && !(s->text = malloc(ROOM + 1))) return *failed = true, err_memory(err, s->stream.path, ROOM);
  if (s->have) memmove(s->text, s->text + s->at, (size_t)(s->have - s->at));
  s->have -= s->at, s->at = 0;
  *failed = !stream_read(&s->stream, s->text + s->have, ROOM - s->have, &got, err);
  s->have += got;
  s->text[s->have] = 0;
  return !*failed && got > 0;
}

static bool is_gap(char c) { return isspace((unsigned char)c) || c == ','; }

/* The next number of a text, as it is stored. */
static bool parse_one(Source *s, void *out, char err[ERR_MAX]) {
  const ElementInfo *e = &element_table[s->v->type];
  enum { LONGEST = 64 };
  bool failed = false;
  char *end;
  for (;;) {
    while (s->at < s->have && is_gap(s->text[s->at])) s->at++;
    if (s->have - s->at >= LONGEST || !more_text(s, &failed, err)) break;
  }
  if (failed) return false;
  if (s->at == s->have) return too_short(s, s->share - s->left, err);
  if (e->parse(s->text + s->at, &end, out) && (!*end || is_gap(*end))) return s->at = end - s->text, true;
  return err_set(err, "%s: number %lld, %.20s, is no %s", s->stream.path, (long long)(s->share - s->left),
                 s->text + s->at, e->name);
}

/* Numbers behind the last that is wanted. */
static bool more_numbers(Source *s, bool *more, char err[ERR_MAX]) {
  bool failed = false;
  do {
    while (s->at < s->have && is_gap(s->text[s->at])) s->at++;
    *more = s->at < s->have;
  } while (!*more && more_text(s, &failed, err));
  return !failed;
}

/* What is behind the voxels of the open file is noted, and it is closed. */
bool source_end(Source *s, char err[ERR_MAX]) {
  int64_t behind = 0;
  bool more = false, ok = s->v->text ? more_numbers(s, &more, err) : stream_rest(&s->stream, &behind, err);
  if (ok && behind)
    note(s->notes, "%s: %lld bytes behind the voxels are left out", s->stream.path, (long long)behind);
  if (ok && more)
    note(s->notes, "%s: what is behind the %lld numbers of voxels is left out", s->stream.path,
         (long long)s->share);
  stream_close(&s->stream);
  return ok;
}

/* Who knows the header's name alone is told where the other comes from. */
static bool named_in(const Source *s, const char *path, char err[ERR_MAX]) {
  size_t n = strlen(err);
  if (strcmp(path, s->header)) snprintf(err + n, ERR_MAX - n, " (the voxels of %s)", s->header);
  return false;
}

static bool next_file(Source *s, char err[ERR_MAX]) {
  if (s->opened && !source_end(s, err)) return false;
  const char *path = s->v->file[s->opened];
  int64_t at = 0;
  if (!place_in(s, path, &at, err) || !stream_open(&s->stream, path, at, s->v->coding, err))
    return named_in(s, path, err);
  s->opened++, s->left = s->share, s->at = s->have = 0;
  if (s->v->skip && !stream_skip(&s->stream, s->v->skip, err)) return false;
  if (stream_could_hold(&s->stream, (double)s->share)) return true; /* a number is a byte of text or more */
  struct stat st;
  int64_t has = stat(path, &st) ? 0 : st.st_size - at;
  if (!s->stream.coded) return too_short(s, has > s->v->skip ? has - s->v->skip : 0, err);
  return err_set(err, "%s: expected %lld bytes of voxels; the file has too few (%lld, compressed)", path,
                 (long long)s->share, (long long)has);
}

bool source_fetch(Source *s, uint8_t *out, int64_t n, char err[ERR_MAX]) {
  int size = element_table[s->v->type].bytes;
  while (n) {
    if (!s->left && !next_file(s, err)) return false;
    int64_t piece = n < s->left ? n : s->left, got = 0;
    if (s->v->text) {
      piece = 1;
      if (!parse_one(s, out, err)) return false;
    } else if (!stream_read(&s->stream, out, piece, &got, err)) return false;
    else if (got < piece) return too_short(s, s->share - s->left + got, err);
    s->left -= piece, n -= piece, out += piece * (s->v->text ? size : 1);
  }
  return true;
}

bool source_open(Source *s, const char *header, const Voxels *v, int64_t voxels, Notes *notes,
                 char err[ERR_MAX]) {
  int64_t unit = v->text ? 1 : element_table[v->type].bytes;
  *s = (Source){.header = header, .v = v, .notes = notes, .share = voxels / v->files * unit};
  if (voxels % v->files)
    return err_set(err, "%s: %lld voxels cannot lie in %d files of the same size", header, (long long)voxels,
                   v->files);
  return next_file(s, err);
}

void source_close(Source *s) {
  stream_close(&s->stream);
  free(s->text);
  s->text = NULL;
}
