/* voxels.c - arrays of voxels to images: sixteen planes at a time, transposed in tiles that stay in the
 * cache. */
#include "runtime/io/volume/voxels.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SLAB = 16, TILE = 256, PITCH = TILE + 16 /* rows of a tile in different sets of the cache */ };

int64_t voxels_channels(const Voxels *v) { return v->channel[1] * v->channel[2] * v->channel[3] * v->kept; }

typedef struct {
  const char *header;
  const Voxels *v;
  const Wish *wish;
  Image *out;
  Stream stream;
  int opened; /* files so far */
  int64_t share,
      left;   /* bytes (of text: numbers) that each file holds, and those still to come of this one */
  char *text; /* what was read of a text and not yet understood */
  int64_t at, have;
  uint8_t *slab;
} Reader;

/* ---- bytes ---- */

static bool too_short(const Reader *r, int64_t has, char err[ERR_MAX]) {
  return err_set(err,
                 "%s: expected %lld %s of voxels, the file has %lld; it is cut short, or its header wrong",
                 r->stream.path, (long long)r->share, r->v->text ? "numbers" : "bytes", (long long)has);
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
static bool place_in(const Reader *r, const char *path, int64_t *at, char err[ERR_MAX]) {
  struct stat st;
  if (!r->v->from_end) return after_lines(path, r->v, at, err);
  if (stat(path, &st)) return err_sys(err, "%s", path);
  *at = st.st_size < r->share ? 0 : st.st_size - r->share;
  return true;
}

/* Makes room for text, and reads it; false at the end. */
static bool more_text(Reader *r, bool *failed, char err[ERR_MAX]) {
  enum { ROOM = 1 << 16 };
  int64_t got = 0;
  if (!r->text && !(r->text = malloc(ROOM + 1))) return *failed = true, err_memory(err, r->stream.path, ROOM);
  if (r->have) memmove(r->text, r->text + r->at, (size_t)(r->have - r->at));
  r->have -= r->at, r->at = 0;
  *failed = !stream_read(&r->stream, r->text + r->have, ROOM - r->have, &got, err);
  r->have += got;
  r->text[r->have] = 0;
  return !*failed && got > 0;
}

static bool is_gap(char c) { return isspace((unsigned char)c) || c == ','; }

/* The next number of a text, as it is stored. */
static bool parse_one(Reader *r, void *out, char err[ERR_MAX]) {
  const ElementInfo *e = &element_table[r->v->type];
  enum { LONGEST = 64 };
  bool failed = false;
  char *end;
  for (;;) {
    while (r->at < r->have && is_gap(r->text[r->at])) r->at++;
    if (r->have - r->at >= LONGEST || !more_text(r, &failed, err)) break;
  }
  if (failed) return false;
  if (r->at == r->have) return too_short(r, r->share - r->left, err);
  if (e->parse(r->text + r->at, &end, out) && (!*end || is_gap(*end))) return r->at = end - r->text, true;
  return err_set(err, "%s: number %lld, %.20s, is no %s", r->stream.path, (long long)(r->share - r->left),
                 r->text + r->at, e->name);
}

/* Numbers behind the last that is wanted. */
static bool more_numbers(Reader *r, bool *more, char err[ERR_MAX]) {
  bool failed = false;
  do {
    while (r->at < r->have && is_gap(r->text[r->at])) r->at++;
    *more = r->at < r->have;
  } while (!*more && more_text(r, &failed, err));
  return !failed;
}

/* What is behind the voxels of the open file is noted, and it is closed. */
static bool end_file(Reader *r, char err[ERR_MAX]) {
  int64_t behind = 0;
  bool more = false, ok = r->v->text ? more_numbers(r, &more, err) : stream_rest(&r->stream, &behind, err);
  if (ok && behind)
    note(r->wish->notes, "%s: %lld bytes behind the voxels are left out", r->stream.path, (long long)behind);
  if (ok && more)
    note(r->wish->notes, "%s: what is behind the %lld numbers of voxels is left out", r->stream.path,
         (long long)r->share);
  stream_close(&r->stream);
  return ok;
}

/* Who knows the header's name alone is told where the other comes from. */
static bool named_in(const Reader *r, const char *path, char err[ERR_MAX]) {
  size_t n = strlen(err);
  if (strcmp(path, r->header)) snprintf(err + n, ERR_MAX - n, " (the voxels of %s)", r->header);
  return false;
}

static bool next_file(Reader *r, char err[ERR_MAX]) {
  if (r->opened && !end_file(r, err)) return false;
  const char *path = r->v->file[r->opened];
  int64_t at = 0;
  if (!place_in(r, path, &at, err) || !stream_open(&r->stream, path, at, r->v->coding, err))
    return named_in(r, path, err);
  r->opened++, r->left = r->share, r->at = r->have = 0;
  if (r->v->skip && !stream_skip(&r->stream, r->v->skip, err)) return false;
  if (stream_could_hold(&r->stream, (double)r->share)) return true; /* a number is a byte of text or more */
  struct stat st;
  int64_t has = stat(path, &st) ? 0 : st.st_size - at;
  if (!r->stream.coded) return too_short(r, has > r->v->skip ? has - r->v->skip : 0, err);
  return err_set(err, "%s: expected %lld bytes of voxels; the file has too few (%lld, compressed)", path,
                 (long long)r->share, (long long)has);
}

/* n bytes (of text: n numbers) of the voxels, from whichever files they are in. */
static bool fetch(Reader *r, uint8_t *out, int64_t n, char err[ERR_MAX]) {
  int size = element_table[r->v->type].bytes;
  while (n) {
    if (!r->left && !next_file(r, err)) return false;
    int64_t piece = n < r->left ? n : r->left, got = 0;
    if (r->v->text) {
      piece = 1;
      if (!parse_one(r, out, err)) return false;
    } else if (!stream_read(&r->stream, out, piece, &got, err)) return false;
    else if (got < piece) return too_short(r, r->share - r->left + got, err);
    r->left -= piece, n -= piece, out += piece * (r->v->text ? size : 1);
  }
  return true;
}

/* ---- voxels ---- */

/* Rows of `planes` planes, x apart, to places z apart. */
static void scatter(const float *tile, int64_t width, int planes, float *to, int64_t step) {
  for (int64_t x = 0; x < width; x++)
    for (int k = 0; k < planes; k++) to[x * step + k] = tile[k * PITCH + x];
}

static bool exact(const Reader *r, const uint8_t *row, int64_t width, char err[ERR_MAX]) {
  const Voxels *v = r->v;
  const ElementInfo *e = &element_table[v->type];
  long double value = 0;
  if (r->wish->as != READ_NUMBERS || ((e->bytes < 4 || v->type == ELEMENT_F32) && !v->scale.on)) return true;
  if (e->first_rounded(row, v->channel[0], width, &v->scale, &value) < 0) return true;
  return err_set(err, "%s: the number %.0Lf is not exact in single precision; a mask's are read up to 2^24",
                 r->stream.path, value);
}

/* One row of voxels in each of `planes` planes of the slab; place: of its first element, counted in elements
 * of a plane. */
static bool rows_to_image(const Reader *r, int64_t place, int planes, int64_t plane, float *to,
                          char err[ERR_MAX]) {
  const Voxels *v = r->v;
  const ElementInfo *e = &element_table[v->type];
  const int64_t *dim = r->out->grid.dim, step = dim[1] * dim[2];
  float tile[SLAB * PITCH];
  for (int64_t x = 0; x < dim[0]; x += TILE) {
    int64_t width = dim[0] - x < TILE ? dim[0] - x : TILE;
    for (int k = 0; k < planes; k++) {
      const uint8_t *row = r->slab + (k * plane + place + x * v->channel[0]) * e->bytes;
      if (!exact(r, row, width, err)) return false;
      e->to_floats(row, v->channel[0], width, &v->scale, tile + k * PITCH);
    }
    scatter(tile, width, planes, to + x * step, step);
  }
  return true;
}

/* `planes` planes from z on, of one frame (the slowest channel axis). */
static bool slab_to_image(const Reader *r, int64_t frame, int64_t z, int planes, int64_t plane,
                          char err[ERR_MAX]) {
  const int64_t *c = r->v->channel, *dim = r->out->grid.dim, n = grid_count(&r->out->grid);
  for (int64_t outer = 0; outer < c[2]; outer++)
    for (int64_t y = 0; y < dim[1]; y++)
      for (int64_t inner = 0; inner < c[1]; inner++)
        for (int64_t first = 0; first < r->v->kept; first++) {
          int64_t channel = ((frame * c[2] + outer) * c[1] + inner) * r->v->kept + first;
          int64_t place = ((outer * dim[1] + y) * c[1] + inner) * dim[0] * c[0] + first;
          float *to = r->out->value + channel * n + y * dim[2] + z;
          if (!rows_to_image(r, place, planes, plane, to, err)) return false;
        }
  return true;
}

static bool read_slabs(Reader *r, char err[ERR_MAX]) {
  const Voxels *v = r->v;
  const int64_t *dim = r->out->grid.dim;
  int64_t plane = dim[0] * dim[1] * v->channel[0] * v->channel[1] * v->channel[2];
  int size = element_table[v->type].bytes, most = dim[2] < SLAB ? (int)dim[2] : SLAB;
  r->slab = malloc((size_t)(plane * most * size));
  if (!r->slab) return err_memory(err, v->file[0], plane * most * size);
  for (int64_t frame = 0; frame < v->channel[3]; frame++)
    for (int64_t z = 0; z < dim[2]; z += most) {
      int planes = dim[2] - z < most ? (int)(dim[2] - z) : most;
      if (!fetch(r, r->slab, plane * planes * (v->text ? 1 : size), err)) return false;
      if (v->swap) element_swap(r->slab, size, plane * planes);
      if (!slab_to_image(r, frame, z, planes, plane, err)) return false;
    }
  return end_file(r, err);
}

/* One channel of a mask's numbers; three of its colours. */
static bool as_wished(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  int64_t n = grid_count(&out->grid);
  if (wish->as == READ_COLOURS && out->channels != 3)
    return err_set(err, "%s: expected colours, found %d channel%s", path, out->channels,
                   out->channels > 1 ? "s" : "");
  if (wish->as != READ_NUMBERS || out->channels == 1) return true;
  for (int c = 1; c < out->channels; c++)
    for (int64_t i = 0; i < n; i++)
      if (out->value[c * n + i] != out->value[i])
        return err_set(err, "%s: expected one number for each voxel of a mask, found %d channels that differ",
                       path, out->channels);
  float *less = realloc(out->value, (size_t)n * sizeof *less);
  if (less) out->value = less;
  out->channels = 1;
  return true;
}

bool voxels_read(const char *path, const Voxels *v, const Wish *wish, Image *out, char err[ERR_MAX]) {
  const int64_t *dim = out->grid.dim, *c = v->channel;
  double stored = (double)c[0] * (double)c[1] * (double)c[2] * (double)c[3], n = stored;
  for (int a = 0; a < 3; a++) n *= dim[a] > 0 ? (double)dim[a] : 0;
  if (!(n > 0) || n > (double)VOLUME_MAX_ELEMENTS)
    return err_set(err, "%s: %lld x %lld x %lld voxels of %.0f channels; 1 to 2^33 numbers are read", path,
                   (long long)dim[0], (long long)dim[1], (long long)dim[2], stored);
  int64_t unit = v->text ? 1 : element_table[v->type].bytes, all = (int64_t)n;
  if (all % v->files)
    return err_set(err, "%s: %lld voxels cannot lie in %d files of the same size", path, (long long)all,
                   v->files);
  if (voxels_channels(v) > INT32_MAX) return err_set(err, "%s: %.0f channels are too many", path, stored);
  if (v->kept < c[0]) note(wish->notes, "%s: alpha is left out; colours are the stored ones", path);
  out->channels = (int)voxels_channels(v);
  if (wish->header) return out->channels = wish->as == READ_NUMBERS ? 1 : out->channels, true;
  Reader r = {.header = path, .v = v, .wish = wish, .out = out, .share = all / v->files * unit};
  bool ok = next_file(&r, err) && image_alloc(out, path, err) && read_slabs(&r, err) &&
            as_wished(path, wish, out, err);
  stream_close(&r.stream);
  free(r.slab), free(r.text);
  if (!ok) image_free(out);
  return ok;
}
