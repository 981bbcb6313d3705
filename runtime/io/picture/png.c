/* png.c - PNG through libpng: the numbers that are stored. Gamma, profiles and background change how
 * a picture is shown, not what was measured, and are left out; so is alpha, whose colours are taken as
 * stored. */
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/base/file.h"
#include "runtime/io/picture.h"
#include "runtime/io/picture/stored.h"

typedef struct {
  const char *path;
  const Wish *wish;
  char *err;
  FILE *file;
  png_structp png;
  png_infop info;
  png_bytep byte; /* all rows, of `pitch` bytes each: samples of one byte, or two with the high one first */
  png_bytepp row;
  size_t pitch;
  int samples; /* of a pixel, with alpha */
  Stored stored;
} Reader;

/* ---- what libpng calls ---- */

static void failed(png_structp png, png_const_charp message) {
  Reader *r = png_get_error_ptr(png);
  err_set(r->err, "%s: a damaged PNG file: %s", r->path, message);
  png_longjmp(png, 1);
}

static void warned(png_structp png, png_const_charp message) {
  Reader *r = png_get_error_ptr(png);
  note(r->wish->notes, "%s: %s", r->path, message);
}

static void more(png_structp png, png_bytep to, size_t size) {
  Reader *r = png_get_io_ptr(png);
  if (fread(to, 1, size, r->file) != size) png_error(png, "it ends early");
}

/* libpng returns here from errors. The step's own variables are none of setjmp's function. */
static bool guarded(Reader *r, bool (*step)(Reader *r)) {
  if (setjmp(png_jmpbuf(r->png))) return false;
  return step(r);
}

/* ---- the header ---- */

static void read_palette(Reader *r) {
  png_colorp palette;
  int n = 0;
  if (!png_get_PLTE(r->png, r->info, &palette, &n)) png_error(r->png, "its palette is missing");
  r->stored.colours = n;
  for (int i = 0; i < n; i++)
    memcpy(r->stored.colour[i], (png_byte[]){palette[i].red, palette[i].green, palette[i].blue}, 3);
}

/* An EXIF block behind the pixels comes too late to turn them: the shape was told before. */
static void read_exif(Reader *r, bool before_pixels) {
  png_bytep exif;
  png_uint_32 size;
  if (!png_get_eXIf_1(r->png, r->info, &size, &exif)) return;
  int orientation = exif_orientation(exif, size);
  if (!orientation) note(r->wish->notes, "%s: its damaged EXIF block is left out", r->path);
  if (before_pixels) r->stored.orientation = orientation;
  else if (orientation > 1)
    note(r->wish->notes,
         "%s: read as it lies; the orientation in the EXIF block behind its pixels is left out", r->path);
}

static bool check_size(const Reader *r, double row_bits) {
  png_uint_32 h = png_get_image_height(r->png, r->info), w = png_get_image_width(r->png, r->info);
  if (w > PICTURE_MAX_SIDE || h > PICTURE_MAX_SIDE)
    return err_set(r->err, "%s: %u x %u pixels; at most %d a side are read", r->path, h, w, PICTURE_MAX_SIDE);
  return file_could_hold(r->path, h * row_bits / 8) ||
         err_set(r->err, "%s: a damaged PNG file: too short for its %u x %u pixels", r->path, h, w);
}

static bool read_header(Reader *r) {
  png_set_user_limits(r->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* check_size says it better */
  png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_AS_DEFAULT, (png_const_bytep) "eXIf", 1);
  png_read_info(r->png, r->info);
  int type = png_get_color_type(r->png, r->info);
  int64_t h = png_get_image_height(r->png, r->info), w = png_get_image_width(r->png, r->info);
  Stored *s = &r->stored;
  s->bits = png_get_bit_depth(r->png, r->info);
  r->samples = png_get_channels(r->png, r->info);
  s->image = (Image){.spatial = 2, .channels = r->samples >= 3 ? 3 : 1, .full = (1 << s->bits) - 1};
  s->image.grid = grid_plain((int64_t[]){h, w, 1}, NULL);
  if (type == PNG_COLOR_TYPE_PALETTE) read_palette(r);
  read_exif(r, true);
  return check_size(r, (double)w * s->bits * r->samples);
}

/* ---- pixels ---- */

static bool read_rows(Reader *r) {
  int64_t h = r->stored.image.grid.dim[0];
  png_set_packing(r->png); /* samples of 1, 2 and 4 bits: a byte each, the number as it is */
  png_set_interlace_handling(r->png);
  png_read_update_info(r->png, r->info);
  r->pitch = png_get_rowbytes(r->png, r->info);
  r->byte = calloc((size_t)h, r->pitch), r->row = malloc((size_t)h * sizeof *r->row);
  if (!r->byte || !r->row) return err_memory(r->err, r->path, h * (int64_t)r->pitch);
  for (int64_t y = 0; y < h; y++) r->row[y] = r->byte + (size_t)y * r->pitch;
  png_read_image(r->png, r->row);
  png_read_end(r->png, r->info);
  read_exif(r, false);
  return true;
}

static unsigned sample(const Reader *r, int64_t y, int64_t x, int c) {
  const png_byte *p = r->row[y];
  size_t i = (size_t)x * (size_t)r->samples + (size_t)c;
  return r->stored.bits == 16 ? (unsigned)p[2 * i] << 8 | p[2 * i + 1] : p[i];
}

/* The channels out of the samples; alpha, the last of an even number of them, is only looked at. */
static bool take_channels(Reader *r) {
  Image *image = &r->stored.image;
  int64_t h = image->grid.dim[0], w = image->grid.dim[1];
  bool see_through = false;
  if (!image_alloc(image, r->path, r->err)) return false;
  for (int64_t y = 0; y < h; y++)
    for (int64_t x = 0; x < w; x++) {
      for (int c = 0; c < image->channels; c++) image->value[(c * h + y) * w + x] = (float)sample(r, y, x, c);
      if (r->samples % 2 == 0 && sample(r, y, x, r->samples - 1) < image->full) see_through = true;
    }
  if (see_through)
    note(r->wish->notes,
         "pictures with transparent parts are read without them: the colours that are stored");
  return true;
}

static bool decode(Reader *r, Image *out) {
  r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, failed, warned);
  r->info = r->png ? png_create_info_struct(r->png) : NULL;
  if (!r->info) return err_memory(r->err, r->path, 0);
  png_set_read_fn(r->png, r, more);
  bool ok = guarded(r, read_header);
  if (ok && !r->wish->header) ok = guarded(r, read_rows) && take_channels(r);
  return ok && stored_deliver(&r->stored, r->path, r->wish, out, r->err);
}

static bool read_png(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  Reader r = {.path = path, .wish = wish, .err = err, .file = fopen(path, "rbe")};
  *out = (Image){.spatial = 2};
  if (!r.file) return err_sys(err, "%s", path);
  bool ok = decode(&r, out);
  if (!ok) image_free(&r.stored.image);
  png_destroy_read_struct(&r.png, &r.info, NULL);
  fclose(r.file);
  free(r.byte), free(r.row);
  return ok;
}

/* ---- masks ---- */

static bool write_mask(const char *path, const char *like, const Written *what, char err[ERR_MAX]) {
  int64_t n = grid_count(&what->grid);
  (void)like;
  int bytes = mask_bytes(what, path, "PNG", err);
  if (!bytes) return false;
  uint8_t *grey = malloc((size_t)(n * bytes));
  if (!grey) return err_memory(err, path, n * bytes);
  for (int64_t i = 0; i < n; i++) {
    int32_t v = mask_value(what, what->mask[i]);
    if (bytes == 2) grey[2 * i] = (uint8_t)(v >> 8), grey[2 * i + 1] = (uint8_t)v;
    else grey[i] = (uint8_t)v;
  }
  bool ok = bytes == 2 ? png_write_gray16(path, grey, what->grid.dim[0], what->grid.dim[1], err)
                       : png_write_gray(path, grey, what->grid.dim[0], what->grid.dim[1], err);
  free(grey);
  return ok;
}

const Format format_png = {.name = "PNG",
                           .ending = {".png"},
                           .holds = HOLDS_PICTURE,
                           .magic = "\x89PNG\r\n\x1a\n",
                           .read = read_png,
                           .write = write_mask};
