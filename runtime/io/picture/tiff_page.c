/* tiff_page.c - one picture of a TIFF file through libtiff: strips or tiles, samples side by side or in
 * planes, of any width. */
#include "runtime/io/picture/tiff_page.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/base/file.h"

/* ---- the file, and libtiff's messages ---- */

static int failed(TIFF *tiff, void *file, const char *module, const char *format, va_list args) {
  TiffFile *f = file;
  (void)tiff, (void)module;
  if (!*f->reason) vsnprintf(f->reason, sizeof f->reason, format, args);
  return 1; /* it is dealt with */
}

/* Codecs fill what is missing and only warn. */
static bool loses_pixels(const char *text) {
  static const char *const words[] = {"remature", "ad Huffman code", "ad code word", "Corrupt JPEG data"};
  if (strstr(text, "extraneous")) return false;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strstr(text, words[i])) return true;
  return false;
}

static int warned(TIFF *tiff, void *file, const char *module, const char *format, va_list args) {
  TiffFile *f = file;
  char text[sizeof f->reason];
  (void)tiff, (void)module;
  vsnprintf(text, sizeof text, format, args);
  if (!loses_pixels(text)) return note(f->wish->notes, "%s: %s", f->path, text), 1;
  f->lost = true;
  if (!*f->reason) strcpy(f->reason, text);
  return 1;
}

static bool open_as(TiffFile *f, const char *mode) {
  TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
  if (!options) return err_memory(f->err, f->path, 0);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)1 << 32);
  TIFFOpenOptionsSetErrorHandlerExtR(options, failed, f);
  TIFFOpenOptionsSetWarningHandlerExtR(options, warned, f);
  f->tiff = TIFFOpenExt(f->path, mode, options);
  TIFFOpenOptionsFree(options);
  return f->tiff;
}

bool tiff_open(TiffFile *f, const char *path, const Wish *wish, char err[ERR_MAX]) {
  *f = (TiffFile){.path = path, .wish = wish, .err = err};
  if (access(path, R_OK)) return err_sys(err, "%s", path);
  return open_as(f, "rm") || tiff_damaged(f); /* m: not mapped: a file that shrinks is an error */
}

bool tiff_create(TiffFile *f, const char *path, const Wish *wish, double bytes, char err[ERR_MAX]) {
  *f = (TiffFile){.path = path, .wish = wish, .err = err};
  return open_as(f, bytes > 4e9 ? "w8" : "w") || err_sys(err, "cannot write %s", path);
}

bool tiff_damaged(const TiffFile *f) {
  return err_set(f->err, "%s: a damaged TIFF file, or one of a kind that libtiff does not read: %s", f->path,
                 *f->reason ? f->reason : "no reason given");
}

/* ---- what a directory says ---- */

static int field(const TiffFile *f, uint32_t tag) {
  uint16_t v = 0;
  return TIFFGetFieldDefaulted(f->tiff, tag, &v) ? v : 0;
}

static bool check_numbers(const TiffFile *f, const TiffPage *p) {
  bool ok = p->format == SAMPLEFORMAT_UINT ? p->bits <= 16 || p->bits == 32
            : p->format == SAMPLEFORMAT_INT
                ? p->bits == 8 || p->bits == 16 || p->bits == 32
                : p->format == SAMPLEFORMAT_IEEEFP && (p->bits == 32 || p->bits == 64);
  const char *kind = p->format == SAMPLEFORMAT_UINT     ? "unsigned integers"
                     : p->format == SAMPLEFORMAT_INT    ? "signed integers"
                     : p->format == SAMPLEFORMAT_IEEEFP ? "floats"
                                                        : "numbers of an unknown kind";
  return ok ||
         err_set(f->err,
                 "%s: TIFF with %s of %d bits; read are unsigned of 1 to 16 and 32, signed of 8, 16 and "
                 "32, floats of 32 and 64",
                 f->path, kind, p->bits);
}

static bool check_colours(const TiffFile *f, const TiffPage *p) {
  static const struct {
    int photometric;
    const char *name;
  } others[] = {{PHOTOMETRIC_SEPARATED, "CMYK, of printing inks"},
                {PHOTOMETRIC_CIELAB, "CIE L*a*b*"},
                {PHOTOMETRIC_ICCLAB, "ICC L*a*b*"},
                {PHOTOMETRIC_ITULAB, "ITU L*a*b*"},
                {PHOTOMETRIC_LOGL, "LogL"},
                {PHOTOMETRIC_LOGLUV, "LogLuv"},
                {PHOTOMETRIC_CFA, "a camera's raw colours"}};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (others[i].photometric == p->photometric)
      return err_set(f->err, "%s: a TIFF picture in %s; convert it to RGB first", f->path, others[i].name);
  if (p->photometric == PHOTOMETRIC_PALETTE && (p->bits > 8 || p->format != SAMPLEFORMAT_UINT))
    return err_set(f->err, "%s: a TIFF palette of %d bits; at most 8 are read", f->path, p->bits);
  if ((p->photometric == PHOTOMETRIC_RGB || p->photometric == PHOTOMETRIC_YCBCR) && p->samples < 3)
    return err_set(f->err, "%s: a damaged TIFF file: RGB of %d samples", f->path, p->samples);
  return p->photometric <= PHOTOMETRIC_MASK || (p->photometric == PHOTOMETRIC_YCBCR && p->bits == 8) ||
         err_set(f->err, "%s: a TIFF picture in colours number %d, which are not read", f->path,
                 p->photometric);
}

/* The samples behind the colours, and alpha behind grey ones, are left out. Grey with more samples that are
 * no alpha has as many channels. */
static int channels_of(const TiffFile *f, const TiffPage *p) {
  uint16_t extra = 0, *kind = NULL;
  if (p->photometric == PHOTOMETRIC_RGB || p->photometric == PHOTOMETRIC_YCBCR) return 3;
  if (p->photometric == PHOTOMETRIC_PALETTE) return 1;
  int channels = p->samples;
  if (!TIFFGetField(f->tiff, TIFFTAG_EXTRASAMPLES, &extra, &kind)) return channels;
  for (int i = extra - 1; i >= 0 && channels > 1 && kind[i] != EXTRASAMPLE_UNSPECIFIED; i--) channels--;
  return channels;
}

/* Entries have 16 bits; old files have numbers of 8 bits in them. */
static bool read_palette(const TiffFile *f, TiffPage *p) {
  uint16_t *map[3];
  if (p->photometric != PHOTOMETRIC_PALETTE) return true;
  if (!TIFFGetField(f->tiff, TIFFTAG_COLORMAP, &map[0], &map[1], &map[2]))
    return err_set(f->err, "%s: a damaged TIFF file: its palette is missing", f->path);
  int shift = 0;
  p->colours = 1 << p->bits;
  for (int i = 0; i < p->colours * 3; i++)
    if (map[i % 3][i / 3] > 255) shift = 8;
  for (int i = 0; i < p->colours * 3; i++) p->colour[i / 3][i % 3] = (uint8_t)(map[i % 3][i / 3] >> shift);
  return true;
}

bool tiff_page(TiffFile *f, TiffPage *p) {
  uint32_t w = 0, h = 0;
  memset(p, 0, sizeof *p); /* pages are compared as bytes */
  TIFFGetField(f->tiff, TIFFTAG_IMAGEWIDTH, &w);
  TIFFGetField(f->tiff, TIFFTAG_IMAGELENGTH, &h);
  p->h = h, p->w = w;
  if (!w || !h || w > PICTURE_MAX_SIDE || h > PICTURE_MAX_SIDE)
    return err_set(f->err, "%s: %u x %u pixels; 1 to %d a side are read", f->path, h, w, PICTURE_MAX_SIDE);
  p->samples = field(f, TIFFTAG_SAMPLESPERPIXEL), p->bits = field(f, TIFFTAG_BITSPERSAMPLE);
  p->format = field(f, TIFFTAG_SAMPLEFORMAT), p->compression = field(f, TIFFTAG_COMPRESSION);
  p->orientation = field(f, TIFFTAG_ORIENTATION);
  p->planes = field(f, TIFFTAG_PLANARCONFIG) == PLANARCONFIG_SEPARATE && p->samples > 1;
  if (p->format == SAMPLEFORMAT_VOID) p->format = SAMPLEFORMAT_UINT;
  uint16_t photometric = p->samples >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK;
  TIFFGetField(f->tiff, TIFFTAG_PHOTOMETRIC, &photometric);
  p->photometric = photometric;
  if (!check_numbers(f, p) || !check_colours(f, p) || !read_palette(f, p)) return false;
  p->channels = channels_of(f, p);
  p->full = p->format == SAMPLEFORMAT_UINT ? (double)(((uint64_t)1 << p->bits) - 1) : 0;
  if (p->channels < p->samples)
    note(f->wish->notes, "TIFF pictures with samples beside the colours (alpha) are read without them");
  return true;
}

/* ---- pixels ---- */

/* Sample i of a row. Rows of 8, 16, 32 and 64 bits are in this machine's order of bytes. */
static float sample(const uint8_t *row, int64_t i, const TiffPage *p) {
  const void *v = row;
  if (p->bits == 64) return (float)((const double *)v)[i];
  if (p->bits == 32 && p->format == SAMPLEFORMAT_IEEEFP) return ((const float *)v)[i];
  if (p->bits == 32 && p->format == SAMPLEFORMAT_INT) return (float)((const int32_t *)v)[i];
  if (p->bits == 32) return (float)((const uint32_t *)v)[i];
  if (p->bits == 16 && p->format == SAMPLEFORMAT_INT) return ((const int16_t *)v)[i];
  if (p->bits == 16) return ((const uint16_t *)v)[i];
  if (p->bits == 8 && p->format == SAMPLEFORMAT_INT) return ((const int8_t *)v)[i];
  if (p->bits == 8) return row[i];
  unsigned bits = 0; /* packed, the highest bit first */
  for (int64_t k = i * p->bits; k < (i + 1) * p->bits; k++)
    bits = bits << 1 | (row[k / 8] >> (7 - k % 8) & 1);
  return (float)bits;
}

/* Strips and tiles: rectangles that are decoded at once, of `size` bytes. */
typedef struct {
  bool tiles;
  int64_t h, w;
  int64_t size, pitch;
  uint8_t *byte;
} Chunk;

static bool read_chunk(TiffFile *f, const TiffPage *p, const Chunk *c, int64_t y, int64_t x, int plane) {
  uint32_t ty = (uint32_t)y, tx = (uint32_t)x;
  uint16_t s = (uint16_t)plane;
  int64_t rows = c->tiles || c->h < p->h - y ? c->h : p->h - y;
  int64_t got = c->tiles
                    ? TIFFReadEncodedTile(f->tiff, TIFFComputeTile(f->tiff, tx, ty, 0, s), c->byte, c->size)
                    : TIFFReadEncodedStrip(f->tiff, TIFFComputeStrip(f->tiff, ty, s), c->byte, c->size);
  if (got >= rows * c->pitch && !f->lost) return true;
  if (!*f->reason) snprintf(f->reason, sizeof f->reason, "part of the picture is missing");
  return tiff_damaged(f);
}

/* Samples of a chunk at (y,x) into the page: of channel `plane`, or of all channels where they lie
 * together. */
static void place(const TiffPage *p, const Chunk *c, int64_t y, int64_t x, int plane, float *value) {
  int64_t h = c->h < p->h - y ? c->h : p->h - y, w = c->w < p->w - x ? c->w : p->w - x;
  for (int64_t i = 0; i < h; i++)
    for (int64_t k = 0; k < (p->planes ? 1 : p->channels); k++) {
      const uint8_t *row = c->byte + i * c->pitch;
      float *to = value + ((plane + k) * p->h + y + i) * p->w + x;
      for (int64_t j = 0; j < w; j++) to[j] = sample(row, p->planes ? j : j * p->samples + k, p);
    }
}

static bool open_chunk(const TiffFile *f, const TiffPage *p, Chunk *c) {
  uint32_t h = 0, w = 0;
  c->tiles = TIFFIsTiled(f->tiff);
  if (c->tiles) {
    TIFFGetField(f->tiff, TIFFTAG_TILEWIDTH, &w), TIFFGetField(f->tiff, TIFFTAG_TILELENGTH, &h);
    c->size = TIFFTileSize64(f->tiff) > INT64_MAX ? 0 : (int64_t)TIFFTileSize64(f->tiff);
    c->pitch = TIFFTileRowSize(f->tiff);
  } else {
    TIFFGetFieldDefaulted(f->tiff, TIFFTAG_ROWSPERSTRIP, &h);
    h = h < p->h ? h : (uint32_t)p->h, w = (uint32_t)p->w;
    c->size = TIFFStripSize(f->tiff), c->pitch = TIFFScanlineSize(f->tiff);
  }
  c->h = h, c->w = w;
  int64_t bits = c->w * p->bits * (p->planes ? 1 : p->samples);
  if (!h || !w || c->size <= 0 || c->pitch < (bits + 7) / 8 || c->size / c->pitch < c->h)
    return tiff_damaged(f);
  /* 100 000 times the file: more than a codec makes of a part that a directory describes */
  if (!file_could_hold(f->path, (double)c->size / 100))
    return err_set(f->err, "%s: a damaged TIFF file: too short for a part of %u x %u pixels", f->path, h, w);
  c->byte = malloc((size_t)c->size);
  return c->byte || err_memory(f->err, f->path, c->size);
}

/* YCbCr that libtiff's codec does not turn into RGB itself, as libtiff's own viewers show it. */
static bool read_ycbcr(TiffFile *f, const TiffPage *p, float *value) {
  TIFFRGBAImage image;
  int64_t n = p->h * p->w;
  if (!TIFFRGBAImageBegin(&image, f->tiff, 1, (char[1024]){0})) return tiff_damaged(f);
  uint32_t *raster = calloc((size_t)n, sizeof *raster);
  image.req_orientation = image.orientation; /* it is turned upright later */
  bool ok = raster || err_memory(f->err, f->path, n * 4);
  ok = ok &&
       ((TIFFRGBAImageGet(&image, raster, (uint32_t)p->w, (uint32_t)p->h) && !f->lost) || tiff_damaged(f));
  TIFFRGBAImageEnd(&image);
  for (int64_t i = 0; ok && i < n; i++) {
    value[i] = TIFFGetR(raster[i]), value[n + i] = TIFFGetG(raster[i]),
    value[2 * n + i] = TIFFGetB(raster[i]);
  }
  free(raster);
  return ok;
}

bool tiff_page_values(TiffFile *f, const TiffPage *p, float *value) {
  Chunk c = {.byte = NULL};
  if (p->photometric == PHOTOMETRIC_YCBCR) {
    if (p->compression != COMPRESSION_JPEG) return read_ycbcr(f, p, value);
    TIFFSetField(f->tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
  }
  bool ok = open_chunk(f, p, &c);
  for (int plane = 0; ok && plane < (p->planes ? p->channels : 1); plane++)
    for (int64_t y = 0; ok && y < p->h; y += c.h)
      for (int64_t x = 0; ok && x < p->w; x += c.w) {
        ok = read_chunk(f, p, &c, y, x, plane);
        if (ok) place(p, &c, y, x, plane, value);
      }
  free(c.byte);
  return ok;
}
