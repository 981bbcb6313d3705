/* bmp.c - BMP, read by these lines: libraries for it give colours, where a mask needs the palette's indices.
 * Numbers have the low byte first; rows go upwards, or downwards where the height is negative. */
#include <stdlib.h>
#include <string.h>
#include "runtime/base/file.h"
#include "runtime/io/picture/stored.h"

enum { FILE_HEADER = 14, CORE_HEADER = 12, MASKS_AT = 54 };
enum { PLAIN = 0, BITFIELDS = 3 }; /* compression */

typedef struct {
  Bytes file;
  const char *path;
  char *err;
  uint32_t header, data; /* bytes of the second header; where the pixels begin */
  int64_t h, w;
  bool downwards;
  uint32_t bits, compression;
  uint32_t mask[3]; /* of red, green and blue in pixels of 16 and 32 bits */
  Stored stored;
} Reader;

static uint32_t number(const Reader *r, size_t at, int bytes) {
  uint32_t v = 0;
  for (int i = 0; i < bytes; i++) v |= (uint32_t)r->file.data[at + (size_t)i] << 8 * i;
  return v;
}

/* ---- headers ---- */

static bool known_header(uint32_t size) {
  static const uint32_t sizes[] = {CORE_HEADER, 40, 52, 56, 64, 108, 124};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (sizes[i] == size) return true;
  return false;
}

static bool is_bmp(const uint8_t *head, size_t size) {
  Reader r = {.file = {head, size}};
  return size >= FILE_HEADER + 4 && !memcmp(head, "BM", 2) && known_header(number(&r, FILE_HEADER, 4));
}

static bool check_kind(const Reader *r) {
  static const char *const packed[] = {"RLE8", "RLE4", "BITFIELDS", "JPEG", "PNG"};
  bool masks = r->compression == BITFIELDS && r->header != 64 && (r->bits == 16 || r->bits == 32);
  if (r->compression != PLAIN && !masks)
    return err_set(r->err, "%s: a BMP picture packed as %s, which is not read; save it as PNG", r->path,
                   r->compression <= 5 ? packed[r->compression - 1] : "another kind");
  return (r->bits <= 8 && 8 % (r->bits ? r->bits : 3) == 0) || r->bits == 16 || r->bits == 24 ||
         r->bits == 32 || err_set(r->err, "%s: a damaged BMP file: %u bits for a pixel", r->path, r->bits);
}

static bool read_header(Reader *r) {
  if (!is_bmp(r->file.data, r->file.size)) return err_set(r->err, "%s: not a BMP file", r->path);
  r->data = number(r, 10, 4), r->header = number(r, FILE_HEADER, 4);
  if (r->file.size < FILE_HEADER + (size_t)r->header)
    return err_set(r->err, "%s: a damaged BMP file: it ends in its header", r->path);
  if (r->header == CORE_HEADER) {
    r->w = number(r, 18, 2), r->h = number(r, 20, 2), r->bits = number(r, 24, 2);
  } else {
    r->w = (int32_t)number(r, 18, 4), r->h = (int32_t)number(r, 22, 4);
    r->bits = number(r, 28, 2), r->compression = number(r, 30, 4);
  }
  r->downwards = r->h < 0;
  if (r->downwards) r->h = -r->h;
  if (r->w < 1 || r->h < 1 || r->w > PICTURE_MAX_SIDE || r->h > PICTURE_MAX_SIDE)
    return err_set(r->err, "%s: %lld x %lld pixels; 1 to %d a side are read", r->path, (long long)r->h,
                   (long long)r->w, PICTURE_MAX_SIDE);
  return check_kind(r);
}

/* Between the headers and the pixels: blue, green and red, and behind them a byte without use. */
static bool read_palette(Reader *r) {
  size_t entry = r->header == CORE_HEADER ? 3 : 4, at = FILE_HEADER + r->header, n = (size_t)1 << r->bits;
  size_t end = r->data < r->file.size ? r->data : r->file.size;
  uint32_t used = r->header >= 40 ? number(r, 46, 4) : 0;
  if (r->bits > 8) return true;
  if (used && used < n) n = used;
  if (at + n * entry > end) n = end > at ? (end - at) / entry : 0;
  for (size_t i = 0; i < n; i++)
    for (size_t c = 0; c < 3; c++) r->stored.colour[i][c] = r->file.data[at + i * entry + 2 - c];
  r->stored.colours = (int)n;
  return n || err_set(r->err, "%s: a damaged BMP file: its palette is missing", r->path);
}

static bool read_masks(Reader *r) {
  static const uint32_t usual[2][3] = {{0x7c00, 0x03e0, 0x001f}, {0xff0000, 0xff00, 0xff}};
  if (r->bits != 16 && r->bits != 32) return true;
  memcpy(r->mask, usual[r->bits == 32], sizeof r->mask);
  if (r->compression == PLAIN) return true;
  if (r->file.size < MASKS_AT + 12)
    return err_set(r->err, "%s: a damaged BMP file: it ends in its header", r->path);
  for (size_t c = 0; c < 3; c++) {
    r->mask[c] = number(r, MASKS_AT + 4 * c, 4);
    if (!r->mask[c]) return err_set(r->err, "%s: a damaged BMP file: a colour without bits", r->path);
  }
  return true;
}

/* ---- pixels ---- */

/* The bits of a mask, stretched to 0..255. */
static float stretched(uint32_t pixel, uint32_t mask) {
  int shift = 0;
  while (!(mask >> shift & 1)) shift++;
  uint64_t most = mask >> shift, v = (pixel & mask) >> shift;
  return (float)((v * 255 + most / 2) / most);
}

static float sample(const Reader *r, size_t row, int64_t x, size_t c) {
  if (r->bits == 24) return r->file.data[row + 3 * (size_t)x + 2 - c];
  if (r->bits > 8) return stretched(number(r, row + (size_t)x * r->bits / 8, (int)r->bits / 8), r->mask[c]);
  size_t bit = (size_t)x * r->bits;
  return (float)(r->file.data[row + bit / 8] >> (8 - r->bits - bit % 8) & ((1U << r->bits) - 1));
}

static bool read_pixels(Reader *r) {
  Image *image = &r->stored.image;
  size_t pitch = ((size_t)r->w * r->bits + 31) / 32 * 4; /* rows end at multiples of four bytes */
  if (r->data < FILE_HEADER + r->header || r->data + pitch * (size_t)r->h > r->file.size)
    return err_set(r->err, "%s: a damaged BMP file: it ends before its %lld x %lld pixels do", r->path,
                   (long long)r->h, (long long)r->w);
  if (!image_alloc(image, r->path, r->err)) return false;
  for (int64_t y = 0; y < r->h; y++) {
    size_t row = r->data + (size_t)(r->downwards ? y : r->h - 1 - y) * pitch;
    for (int64_t c = 0; c < image->channels; c++)
      for (int64_t x = 0; x < r->w; x++)
        image->value[(c * r->h + y) * r->w + x] = sample(r, row, x, (size_t)c);
  }
  return true;
}

static bool decode(Reader *r, const Wish *wish, Image *out) {
  if (!read_header(r) || !read_masks(r) || !read_palette(r)) return false;
  r->stored.bits = 8;
  r->stored.image = (Image){.spatial = 2,
                            .channels = r->bits > 8 ? 3 : 1,
                            .full = 255,
                            .grid = grid_plain((int64_t[]){r->h, r->w, 1}, NULL)};
  return (wish->header || read_pixels(r)) && stored_deliver(&r->stored, r->path, wish, out, r->err);
}

static bool read_bmp(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  Reader r = {.path = path, .err = err};
  *out = (Image){.spatial = 2};
  if (!file_map(path, &r.file, err)) return false;
  bool ok = decode(&r, wish, out);
  if (!ok) image_free(&r.stored.image);
  file_unmap(&r.file);
  return ok;
}

const Format format_bmp = {
    .name = "BMP", .ending = {".bmp", ".dib"}, .holds = HOLDS_PICTURE, .is = is_bmp, .read = read_bmp};
