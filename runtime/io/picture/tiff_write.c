/* tiff_write.c - masks as TIFF: a picture, or a volume with a page for each slice and its spacing as ImageJ
 * has it. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "runtime/io/picture/tiff_page.h"

/* Row y of slice z of a volume (x,y,z), or of a picture (y,x). */
static void put_row(const Written *what, int bytes, int64_t y, int64_t z, void *row) {
  const int64_t *dim = what->grid.dim;
  int64_t w = what->spatial == 3 ? dim[0] : dim[1];
  for (int64_t x = 0; x < w; x++) {
    int32_t v = mask_value(what, what->mask[what->spatial == 3 ? (x * dim[1] + y) * dim[2] + z : y * w + x]);
    if (bytes == 2) ((uint16_t *)row)[x] = (uint16_t)v;
    else ((uint8_t *)row)[x] = (uint8_t)v;
  }
}

static void describe(const TiffFile *f, const Written *what, int bytes, int64_t z) {
  const Grid *g = &what->grid;
  char text[TIFF_TEXT];
  bool volume = what->spatial == 3;
  TIFFSetField(f->tiff, TIFFTAG_IMAGEWIDTH, (uint32_t)g->dim[volume ? 0 : 1]);
  TIFFSetField(f->tiff, TIFFTAG_IMAGELENGTH, (uint32_t)g->dim[volume ? 1 : 0]);
  TIFFSetField(f->tiff, TIFFTAG_BITSPERSAMPLE, 8 * bytes);
  TIFFSetField(f->tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
  TIFFSetField(f->tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
  TIFFSetField(f->tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  TIFFSetField(f->tiff, TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE);
  TIFFSetField(f->tiff, TIFFTAG_ROWSPERSTRIP, TIFFDefaultStripSize(f->tiff, 0));
  if (!volume) return;
  TIFFSetField(f->tiff, TIFFTAG_SUBFILETYPE, FILETYPE_PAGE);
  TIFFSetField(f->tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_NONE);
  TIFFSetField(f->tiff, TIFFTAG_XRESOLUTION, 1 / grid_spacing(g, 0));
  TIFFSetField(f->tiff, TIFFTAG_YRESOLUTION, 1 / grid_spacing(g, 1));
  if (z == 0) TIFFSetField(f->tiff, TIFFTAG_IMAGEDESCRIPTION, tiff_stack_text(g, text));
}

static bool put_pages(TiffFile *f, const Written *what, int bytes, void *row) {
  const int64_t *dim = what->grid.dim;
  int64_t h = what->spatial == 3 ? dim[1] : dim[0], pages = what->spatial == 3 ? dim[2] : 1;
  for (int64_t z = 0; z < pages; z++) {
    describe(f, what, bytes, z);
    for (int64_t y = 0; y < h; y++) {
      put_row(what, bytes, y, z, row);
      if (TIFFWriteScanline(f->tiff, row, (uint32_t)y, 0) < 0) return false;
    }
    if (!TIFFWriteDirectory(f->tiff)) return false;
  }
  return TIFFFlush(f->tiff) && !*f->reason;
}

static bool put_file(const char *temp, const char *path, const Written *what, int bytes, char err[ERR_MAX]) {
  const Wish wish = {.notes = NULL};
  TiffFile f;
  void *row = malloc((size_t)(what->grid.dim[what->spatial == 3 ? 0 : 1] * bytes));
  if (!row) return err_memory(err, path, what->grid.dim[1] * bytes);
  bool ok = tiff_create(&f, temp, &wish, (double)grid_count(&what->grid) * bytes, err);
  if (ok && !put_pages(&f, what, bytes, row))
    ok = err_set(err, "%s: cannot write the mask: %s", path, *f.reason ? f.reason : "no reason given");
  if (f.tiff) TIFFClose(f.tiff);
  free(row);
  return ok;
}

bool tiff_write(const char *path, const char *like, const Written *what, char err[ERR_MAX]) {
  char temp[4096];
  (void)like;
  if (what->grid.placed)
    return err_set(err, "%s: TIFF does not hold where a volume lies; give the name a .nii.gz ending", path);
  int bytes = mask_bytes(what, path, "TIFF", err);
  if (!bytes) return false;
  if (snprintf(temp, sizeof temp, "%s.part", path) >= (int)sizeof temp)
    return err_set(err, "%.200s...: path too long", path);
  bool ok = put_file(temp, path, what, bytes, err);
  if (ok && rename(temp, path)) ok = err_sys(err, "%s", path);
  if (!ok) unlink(temp);
  return ok;
}
