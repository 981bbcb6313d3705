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

static bool read_jpeg(const char *path, FILE *f, Raster *volatile out, char err[ERR_MAX]) {
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
    raster_free(out);
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
  size_t pitch = (size_t)jpeg.output_width * (size_t)jpeg.output_components;
  *out = (Raster){.h = jpeg.output_height,
                  .w = jpeg.output_width,
                  .c = jpeg.output_components,
                  .byte = malloc(pitch * jpeg.output_height)};
  while (out->byte && jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW row = out->byte + pitch * jpeg.output_scanline;
    jpeg_read_scanlines(&jpeg, &row, 1);
  }
  bool whole = out->byte && error.mgr.num_warnings == 0;
  if (!whole)
    err_set(err, "%s: %s", path, out->byte ? "the JPEG data are damaged or end early" : "not enough memory");
  jpeg_destroy_decompress(&jpeg);
  if (!whole) raster_free(out);
  return whole;
}

const Format format_jpeg = {.name = "JPEG",
                            .ending = {".jpg", ".jpeg"},
                            .holds = HOLDS_PICTURE,
                            .magic = "\xff\xd8\xff",
                            .picture = read_jpeg};
