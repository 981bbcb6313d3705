/* raster.c - PNG and JPEG files to bytes through libpng and libjpeg. */
#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
#include "runtime/base/file.h"
#include "runtime/io/raster.h"

enum { MAX_SIDE = 1 << 16 };

void raster_free(Raster *r) {
  free(r->byte);
  r->byte = NULL;
}

static bool read_png(const char *path, FILE *f, Raster *out, char err[ERR_MAX]) {
  png_image image = {.version = PNG_IMAGE_VERSION};
  if (!png_image_begin_read_from_stdio(&image, f)) {
    snprintf(err, ERR_MAX, "%s: not a readable PNG file: %s", path, image.message);
    return false;
  }
  bool colour = image.format & PNG_FORMAT_FLAG_COLOR;
  image.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  if (image.width > MAX_SIDE || image.height > MAX_SIDE) {
    snprintf(err, ERR_MAX, "%s: %u x %u pixels; at most %d a side are read", path, image.height, image.width,
             MAX_SIDE);
    png_image_free(&image);
    return false;
  }
  /* at least one bit a pixel, before compression */
  if (!file_could_hold(path, (double)image.width * image.height / 8)) {
    snprintf(err, ERR_MAX, "%s: too short for its %u x %u pixels", path, image.height, image.width);
    png_image_free(&image);
    return false;
  }
  *out = (Raster){
      .h = image.height, .w = image.width, .c = colour ? 3 : 1, .byte = malloc(PNG_IMAGE_SIZE(image))};
  if (out->byte && png_image_finish_read(&image, NULL, out->byte, 0, NULL)) return true;
  snprintf(err, ERR_MAX, "%s: %s", path, out->byte ? image.message : "not enough memory");
  png_image_free(&image);
  raster_free(out);
  return false;
}

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
    snprintf(err, ERR_MAX, "%s: not a readable JPEG file: %s", path, reason);
    jpeg_destroy_decompress(&jpeg);
    raster_free(out);
    return false;
  }
  jpeg_stdio_src(&jpeg, f);
  jpeg_read_header(&jpeg, TRUE);
  jpeg.out_color_space = jpeg.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  /* a block of 8 x 8 takes a bit, an eighth of one at the very least: 1032 * 4 pixels a byte */
  if (!file_could_hold(path, (double)jpeg.image_width * jpeg.image_height / 4)) {
    snprintf(err, ERR_MAX, "%s: too short for its %u x %u pixels", path, jpeg.image_height, jpeg.image_width);
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
    snprintf(err, ERR_MAX, "%s: %s", path,
             out->byte ? "the JPEG data are damaged or end early" : "not enough memory");
  jpeg_destroy_decompress(&jpeg);
  if (!whole) raster_free(out);
  return whole;
}

bool raster_read(const char *path, Raster *out, char err[ERR_MAX]) {
  uint8_t magic[8] = {0};
  FILE *f = fopen(path, "rb");
  *out = (Raster){0};
  if (!f) return snprintf(err, ERR_MAX, "%s: %s", path, strerror(errno)), false;
  size_t got = fread(magic, 1, sizeof magic, f);
  rewind(f);
  bool ok = false;
  if (got == 8 && !png_sig_cmp(magic, 0, 8)) ok = read_png(path, f, out, err);
  else if (got >= 3 && magic[0] == 0xff && magic[1] == 0xd8 && magic[2] == 0xff)
    ok = read_jpeg(path, f, out, err);
  else snprintf(err, ERR_MAX, "%s: neither PNG nor JPEG; convert it to one of them", path);
  fclose(f);
  return ok;
}
