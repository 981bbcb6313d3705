/* jpeg.c - JPEG through libjpeg. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <jpeglib.h>
#include "runtime/base/file.h"
#include "runtime/io/format.h"

/* libjpeg reports errors by a callback that must not return. */
typedef struct {
  struct jpeg_error_mgr mgr;
  jmp_buf back;
} JpegError;

static void jpeg_fail(j_common_ptr c) {
  JpegError *e = (JpegError *)(void *)c->err;
  longjmp(e->back, 1);
}

static void jpeg_warn(j_common_ptr c, int level) {
  if (level < 0) c->err->num_warnings++; /* corrupt data: counted, and refused below */
}

static bool decode(const char *path, FILE *f, const Wish *wish, Image *volatile out, char err[ERR_MAX]) {
  struct jpeg_decompress_struct jpeg;
  JpegError error;
  char reason[JMSG_LENGTH_MAX];
  jpeg.err = jpeg_std_error(&error.mgr);
  error.mgr.error_exit = jpeg_fail, error.mgr.emit_message = jpeg_warn;
  jpeg_create_decompress(&jpeg);
  if (setjmp(error.back)) {
    error.mgr.format_message((j_common_ptr)&jpeg, reason);
    err_set(err, "%s: not a readable JPEG file: %s", path, reason);
    jpeg_destroy_decompress(&jpeg);
    image_free(out);
    return false;
  }
  jpeg_stdio_src(&jpeg, f);
  jpeg_read_header(&jpeg, TRUE);
  jpeg.out_color_space = jpeg.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  /* a block of 8 x 8 takes a bit, an eighth of one at the very least: 1032 * 4 pixels a byte */
  if (!file_could_hold(path, (double)jpeg.image_width * jpeg.image_height / 4)) {
    err_set(err, "%s: too short for its %u x %u pixels", path, jpeg.image_height, jpeg.image_width);
    jpeg_destroy_decompress(&jpeg);
    return false;
  }
  jpeg_start_decompress(&jpeg);
  int stored = jpeg.output_components;
  *out = (Image){.spatial = 2, .channels = wish->as == READ_NUMBERS ? 1 : stored};
  out->grid = grid_plain((int64_t[]){jpeg.output_height, jpeg.output_width, 1}, NULL);
  if (wish->header) return jpeg_destroy_decompress(&jpeg), true;
  JSAMPARRAY row =
      jpeg.mem->alloc_sarray((j_common_ptr)&jpeg, JPOOL_IMAGE, jpeg.output_width * (JDIMENSION)stored, 1);
  bool ok = image_alloc(out, path, err);
  int64_t n = grid_count(&out->grid), w = jpeg.output_width;
  while (ok && jpeg.output_scanline < jpeg.output_height) {
    int64_t y = jpeg.output_scanline;
    jpeg_read_scanlines(&jpeg, row, 1);
    for (int64_t i = 0; i < w * out->channels; i++)
      out->value[i / w * n + y * w + i % w] = row[0][i % w * stored + i / w];
  }
  if (ok && error.mgr.num_warnings) ok = err_set(err, "%s: the JPEG data are damaged or end early", path);
  jpeg_destroy_decompress(&jpeg);
  if (!ok) image_free(out);
  return ok;
}

static bool read_jpeg(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  FILE *f = fopen(path, "rb");
  if (!f) return err_sys(err, "%s", path);
  bool ok = decode(path, f, wish, out, err);
  fclose(f);
  return ok;
}

const Format format_jpeg = {.name = "JPEG",
                            .ending = {".jpg", ".jpeg"},
                            .holds = HOLDS_PICTURE,
                            .magic = "\xff\xd8\xff",
                            .lossy = true,
                            .read = read_jpeg};
