/* png.c - PNG through libpng. */
#include <png.h>
#include <stdlib.h>
#include "runtime/base/file.h"
#include "runtime/io/format.h"
#include "runtime/io/picture.h"

enum { MAX_SIDE = 1 << 16 };

static bool read_png(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  png_image image = {.version = PNG_IMAGE_VERSION};
  if (!png_image_begin_read_from_file(&image, path))
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
  *out = (Image){.spatial = 2, .channels = wish->as == READ_NUMBERS || !colour ? 1 : 3};
  out->grid = grid_plain((int64_t[]){image.height, image.width, 1}, NULL);
  if (wish->header) return png_image_free(&image), true;
  int stored = colour ? 3 : 1;
  uint8_t *byte = malloc(PNG_IMAGE_SIZE(image));
  bool ok = byte && image_alloc(out, path, err);
  if (!byte) err_memory(err, path, (int64_t)PNG_IMAGE_SIZE(image));
  if (ok && !(ok = png_image_finish_read(&image, NULL, byte, 0, NULL)))
    err_set(err, "%s: %s", path, image.message);
  int64_t n = grid_count(&out->grid);
  for (int64_t i = 0; ok && i < n * out->channels; i++) out->value[i] = byte[i % n * stored + i / n];
  if (!ok) image_free(out);
  png_image_free(&image), free(byte);
  return ok;
}

/* Masks of two classes are 0 and 255, so that people see them. */
static bool write_mask(const char *path, const char *like, const Written *what, char err[ERR_MAX]) {
  int64_t n = grid_count(&what->grid);
  uint8_t *gray = malloc((size_t)n);
  (void)like;
  if (!gray) return err_memory(err, path, n);
  for (int64_t i = 0; i < n; i++)
    gray[i] = what->value          ? (uint8_t)what->value[what->mask[i]]
              : what->classes <= 2 ? (uint8_t)(what->mask[i] * 255)
                                   : what->mask[i];
  bool ok = png_write_gray(path, gray, what->grid.dim[0], what->grid.dim[1], err);
  free(gray);
  return ok;
}

const Format format_png = {.name = "PNG",
                           .ending = {".png"},
                           .holds = HOLDS_PICTURE,
                           .magic = "\x89PNG\r\n\x1a\n",
                           .read = read_png,
                           .write = write_mask};
