/* png.c - PNG through libpng. */
#include <png.h>
#include <stdlib.h>
#include "runtime/base/file.h"
#include "runtime/io/format.h"
#include "runtime/io/picture.h"

enum { MAX_SIDE = 1 << 16 };

static bool read_png(const char *path, FILE *f, Raster *out, char err[ERR_MAX]) {
  png_image image = {.version = PNG_IMAGE_VERSION};
  if (!png_image_begin_read_from_stdio(&image, f))
    return err_set(err, "%s: not a readable PNG file: %s", path, image.message);
  bool colour = image.format & PNG_FORMAT_FLAG_COLOR;
  image.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  if (image.width > MAX_SIDE || image.height > MAX_SIDE) {
    err_set(err, "%s: %u x %u pixels; at most %d a side are read", path, image.height, image.width, MAX_SIDE);
    png_image_free(&image);
    return false;
  }
  /* at least one bit a pixel, before compression */
  if (!file_could_hold(path, (double)image.width * image.height / 8)) {
    err_set(err, "%s: too short for its %u x %u pixels", path, image.height, image.width);
    png_image_free(&image);
    return false;
  }
  *out = (Raster){
      .h = image.height, .w = image.width, .c = colour ? 3 : 1, .byte = malloc(PNG_IMAGE_SIZE(image))};
  if (out->byte && png_image_finish_read(&image, NULL, out->byte, 0, NULL)) return true;
  err_set(err, "%s: %s", path, out->byte ? image.message : "not enough memory");
  png_image_free(&image);
  raster_free(out);
  return false;
}

/* With one class the mask is 0 and 255, so that people see it. */
static bool write_mask(const char *path, const char *like, const uint8_t *mask, const int64_t *dim,
                       char err[ERR_MAX]) {
  int64_t n = dim[0] * dim[1];
  uint8_t top = 0, *gray = malloc((size_t)n);
  (void)like;
  if (!gray) return err_memory(err, path, n);
  for (int64_t i = 0; i < n; i++) top = mask[i] > top ? mask[i] : top;
  for (int64_t i = 0; i < n; i++) gray[i] = top <= 1 ? (uint8_t)(mask[i] * 255) : mask[i];
  bool ok = png_write_gray(path, gray, dim[0], dim[1], err);
  free(gray);
  return ok;
}

const Format format_png = {.name = "PNG",
                           .ending = {".png"},
                           .holds = HOLDS_PICTURE,
                           .magic = "\x89PNG\r\n\x1a\n",
                           .picture = read_png,
                           .write = write_mask};
