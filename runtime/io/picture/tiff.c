/* tiff.c - TIFF through libtiff. A page is a picture; several of one size are a volume: X = width,
 * Y = height, Z = page. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "runtime/io/picture/tiff_page.h"

typedef struct {
  TiffFile file;
  TiffPage page; /* of all pages */
  int pages;
  TiffStack stack;
} Reader;

/* ---- pages ---- */

/* Smaller versions of a picture and masks of transparency are no pages. */
static bool is_page(const Reader *r) {
  uint32_t kind = 0;
  TIFFGetFieldDefaulted(r->file.tiff, TIFFTAG_SUBFILETYPE, &kind);
  if (!(kind & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK))) return true;
  note(r->file.wish->notes, "%s: its smaller versions or masks of transparency are left out", r->file.path);
  return false;
}

static bool same_kind(const Reader *r, const TiffPage *p) {
  const TiffPage *first = &r->page;
  if (!memcmp(p, first, sizeof *p)) return true;
  if (p->h != first->h || p->w != first->w)
    return err_set(r->file.err,
                   "%s: page %d is %lld x %lld, page 1 %lld x %lld; the slices of a volume are of "
                   "one size",
                   r->file.path, r->pages + 1, (long long)p->h, (long long)p->w, (long long)first->h,
                   (long long)first->w);
  return p->samples == first->samples && p->bits == first->bits && p->format == first->format &&
                 p->photometric == first->photometric && p->colours == first->colours &&
                 !memcmp(p->colour, first->colour, sizeof p->colour)
             ? true
             : err_set(r->file.err, "%s: page %d has other numbers or colours than page 1", r->file.path,
                       r->pages + 1);
}

/* Is the current directory in the file as a whole? Where the place of the next one is cut off behind it,
 * libtiff takes it for the last. */
static bool ends_in_file(const Reader *r) {
  TIFF *tiff = r->file.tiff;
  bool big = TIFFIsBigTIFF(tiff);
  uint64_t at = TIFFCurrentDirOffset(tiff), n = 0;
  uint8_t count[8];
  struct stat st;
  size_t bytes = big ? 8 : 2;
  if (pread(TIFFFileno(tiff), count, bytes, (off_t)at) != (ssize_t)bytes) return false;
  for (size_t i = 0; i < bytes; i++) n = n << 8 | count[TIFFIsBigEndian(tiff) ? i : bytes - 1 - i];
  return !fstat(TIFFFileno(tiff), &st) && n < UINT32_MAX &&
         at + (big ? 8 + 20 * n + 8 : 2 + 12 * n + 4) <= (uint64_t)st.st_size;
}

/* Goes on to the next directory; false: the last one was read, or *ok is false. */
static bool next(Reader *r, bool *ok) {
  if (TIFFLastDirectory(r->file.tiff)) {
    if (!ends_in_file(r)) *ok = err_set(r->file.err, "%s: a damaged TIFF file: it ends early", r->file.path);
    return false;
  }
  if (!TIFFReadDirectory(r->file.tiff)) *ok = tiff_damaged(&r->file);
  return *ok;
}

static bool count_pages(Reader *r) {
  bool ok = true;
  TiffPage page;
  do {
    if (!is_page(r)) continue;
    if (!tiff_page(&r->file, &page)) return false;
    if (!r->pages) r->page = page;
    if (!same_kind(r, &page)) return false;
    r->pages++;
  } while (next(r, &ok));
  return ok && (r->pages > 0 || err_set(r->file.err, "%s: a TIFF file without a picture", r->file.path)) &&
         tiff_stack(&r->file, r->pages, &r->stack);
}

/* ---- a picture or a volume of them ---- */

static bool is_lossy(int compression) {
  return compression == COMPRESSION_JPEG || compression == COMPRESSION_OJPEG ||
         compression == COMPRESSION_WEBP;
}

static Image page_image(const Reader *r) {
  const TiffPage *p = &r->page;
  double mm[3] = {r->stack.mm[1], r->stack.mm[0], 1};
  return (Image){.spatial = 2,
                 .channels = p->channels,
                 .lossy = is_lossy(p->compression),
                 .full = p->full,
                 .grid = grid_plain((int64_t[]){p->h, p->w, 1}, mm)};
}

/* Is it credible that the file holds what its directories promise? Asked before memory is taken for it. */
static bool check_size(const Reader *r) {
  const TiffPage *p = &r->page;
  double n = (double)p->h * (double)p->w * r->pages, bytes = n * p->bits * p->samples / 8;
  /* A blank page shrinks without bound in some codecs: of 4 KB no more than 2 GB of floats are believed. */
  if (p->compression != COMPRESSION_NONE) bytes = n * p->channels * (double)sizeof(float) / 500000;
  if (n * p->channels > (double)VOLUME_MAX_ELEMENTS)
    return err_set(r->file.err, "%s: %d pages of %lld x %lld pixels are more than are read", r->file.path,
                   r->pages, (long long)p->h, (long long)p->w);
  struct stat st;
  if (stat(r->file.path, &st)) return err_sys(r->file.err, "%s", r->file.path);
  return bytes <= (double)st.st_size ||
         err_set(r->file.err, "%s: a damaged TIFF file: too short for its %d pages of %lld x %lld pixels",
                 r->file.path, r->pages, (long long)p->h, (long long)p->w);
}

/* The shape of the whole, upright. */
static bool describe(Reader *r, Image *out) {
  const TiffPage *p = &r->page;
  *out = page_image(r);
  out->channels *= r->stack.channels;
  if (r->stack.channels > 1 && p->channels > 1)
    return err_set(r->file.err, "%s: a stack of %d channels whose pages have %d each", r->file.path,
                   r->stack.channels, p->channels);
  if (r->stack.slices > 1) {
    picture_turn(out, p->orientation, r->file.path, r->file.err);
    double mm[3] = {grid_spacing(&out->grid, 1), grid_spacing(&out->grid, 0), r->stack.mm[2]};
    out->grid = grid_plain((int64_t[]){out->grid.dim[1], out->grid.dim[0], r->stack.slices}, mm);
    out->spatial = 3;
  }
  return check_size(r);
}

/* A picture's rows (y) and columns (x) as channel c, slice z of a volume (x,y,z). */
static void put_slice(const Image *picture, Image *volume, int c, int z) {
  const int64_t *dim = volume->grid.dim, n = dim[0] * dim[1];
  for (int64_t k = 0; k < picture->channels; k++)
    for (int64_t y = 0; y < dim[1]; y++)
      for (int64_t x = 0; x < dim[0]; x++)
        volume->value[(((c + k) * dim[0] + x) * dim[1] + y) * dim[2] + z] =
            picture->value[k * n + y * dim[0] + x];
}

/* Page number `page`: of a picture a channel, as it lies; of a volume a slice, upright. */
static bool read_page(Reader *r, Image *whole, int page) {
  const TiffPage *p = &r->page;
  int c = page % r->stack.channels, z = page / r->stack.channels;
  if (whole->spatial == 2) return tiff_page_values(&r->file, p, whole->value + c * p->h * p->w);
  Image picture = page_image(r);
  bool ok = image_alloc(&picture, r->file.path, r->file.err) &&
            tiff_page_values(&r->file, p, picture.value) &&
            picture_turn(&picture, p->orientation, r->file.path, r->file.err);
  if (ok) put_slice(&picture, whole, c, z);
  image_free(&picture);
  return ok;
}

static bool read_pages(Reader *r, Image *whole) {
  bool ok = image_alloc(whole, r->file.path, r->file.err) &&
            (TIFFSetDirectory(r->file.tiff, 0) || tiff_damaged(&r->file));
  int page = 0;
  while (ok && page < r->pages) {
    if (is_page(r)) ok = read_page(r, whole, page++);
    if (ok && page < r->pages && !next(r, &ok)) ok = tiff_damaged(&r->file);
  }
  return ok;
}

/* A mask whose zeros are shown white keeps its numbers; an image is turned to what viewers show. */
static void white_is_zero(const Reader *r, Image *whole) {
  if (r->page.photometric != PHOTOMETRIC_MINISWHITE || r->page.full <= 0) return;
  if (r->file.wish->as == READ_NUMBERS) {
    note(r->file.wish->notes, "%s: shows 0 as white; numbers are read as stored", r->file.path);
    return;
  }
  note(r->file.wish->notes, "TIFF images in which 0 is white are read with white as the greatest value");
  for (int64_t i = 0; whole->value && i < grid_count(&whole->grid) * whole->channels; i++)
    whole->value[i] = (float)(r->page.full - (double)whole->value[i]);
}

static bool read_tiff(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  Reader r = {.pages = 0};
  Stored s = {.colours = 0};
  *out = (Image){.spatial = 0};
  bool ok = tiff_open(&r.file, path, wish, err) && count_pages(&r) && describe(&r, &s.image) &&
            (wish->header || read_pages(&r, &s.image));
  if (r.file.tiff) TIFFClose(r.file.tiff);
  if (!ok) return image_free(&s.image), false;
  white_is_zero(&r, &s.image);
  s.bits = r.page.bits, s.colours = r.page.colours;
  s.orientation = s.image.spatial == 2 ? r.page.orientation : 0;
  memcpy(s.colour, r.page.colour, sizeof s.colour);
  return stored_deliver(&s, path, wish, out, err);
}

/* "II" or "MM" for the order of bytes, then 42, or 43 for files that may be longer than 4 GB. */
static bool is_tiff(const uint8_t *head, size_t size) {
  if (size < 4 || head[0] != head[1]) return false;
  int version = head[0] == 'I' ? head[2] | head[3] << 8 : head[0] == 'M' ? head[3] | head[2] << 8 : 0;
  return version == 42 || version == 43;
}

const Format format_tiff = {.name = "TIFF",
                            .ending = {".tif", ".tiff"},
                            .holds = HOLDS_EITHER,
                            .is = is_tiff,
                            .read = read_tiff,
                            .write = tiff_write};
