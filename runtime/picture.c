/* picture.c - PNG files and the overlay of image, truth and prediction. Curves are in curves.c. */
#include <errno.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "picture.h"

static bool write_png(const char *path, const uint8_t *bytes, int64_t h, int64_t w, uint32_t format,
                      char err[ERR_MAX]) {
  char temp[4096];
  if (snprintf(temp, sizeof temp, "%s.part", path) >= (int)sizeof temp)
    return snprintf(err, ERR_MAX, "%.200s...: path too long", path), false;
  png_image image = {
      .version = PNG_IMAGE_VERSION, .width = (uint32_t)w, .height = (uint32_t)h, .format = format};
  if (!png_image_write_to_file(&image, temp, 0, bytes, 0, NULL)) {
    snprintf(err, ERR_MAX, "%s: cannot write picture: %s", path, image.message);
    unlink(temp);
    return false;
  }
  if (rename(temp, path)) return snprintf(err, ERR_MAX, "%s: %s", path, strerror(errno)), unlink(temp), false;
  return true;
}

bool png_write_rgb(const char *path, const uint8_t *rgb, int64_t h, int64_t w, char err[ERR_MAX]) {
  return write_png(path, rgb, h, w, PNG_FORMAT_RGB, err);
}

bool png_write_gray(const char *path, const uint8_t *gray, int64_t h, int64_t w, char err[ERR_MAX]) {
  return write_png(path, gray, h, w, PNG_FORMAT_GRAY, err);
}

/* Brightness of the image between its least and greatest value, as bytes; up to three channels give colour. */
static void image_panel(uint8_t *rgb, int64_t pitch, const float *image, int channels, int64_t h, int64_t w) {
  float lo = INFINITY, hi = -INFINITY;
  int64_t n = h * w;
  int used = channels >= 3 ? 3 : 1;
  for (int64_t i = 0; i < n * used; i++) lo = fminf(lo, image[i]), hi = fmaxf(hi, image[i]);
  float scale = hi > lo ? 255 / (hi - lo) : 0;
  for (int64_t i = 0; i < n; i++)
    for (int c = 0; c < 3; c++)
      rgb[(i / w * pitch + i % w) * 3 + c] =
          (uint8_t)lrintf((image[(used == 3 ? c : 0) * n + i] - lo) * scale);
}

/* Elements of the mask with a neighbour outside it. */
static bool outline(const uint8_t *mask, int64_t h, int64_t w, int64_t y, int64_t x) {
  if (!mask[y * w + x]) return false;
  return y == 0 || x == 0 || y + 1 == h || x + 1 == w || !mask[(y - 1) * w + x] || !mask[(y + 1) * w + x] ||
         !mask[y * w + x - 1] || !mask[y * w + x + 1];
}

static void draw_outline(uint8_t *rgb, int64_t pitch, const uint8_t *mask, int64_t h, int64_t w,
                         const uint8_t colour[3]) {
  for (int64_t y = 0; y < h; y++)
    for (int64_t x = 0; x < w; x++)
      if (outline(mask, h, w, y, x)) memcpy(rgb + (y * pitch + x) * 3, colour, 3);
}

bool picture_overlay(const char *path, const float *image, int channels, int64_t h, int64_t w,
                     const uint8_t *truth, const uint8_t *pred, char err[ERR_MAX]) {
  static const uint8_t green[3] = {60, 220, 60}, red[3] = {240, 50, 50};
  int64_t gap = 4, pitch = 3 * w + 2 * gap;
  uint8_t *rgb = malloc((size_t)(h * pitch * 3));
  if (!rgb)
    return snprintf(err, ERR_MAX, "%s: not enough memory for a picture of %lld x %lld", path, (long long)h,
                    (long long)w),
           false;
  memset(rgb, 255, (size_t)(h * pitch * 3));
  for (int panel = 0; panel < 3; panel++)
    image_panel(rgb + panel * (w + gap) * 3, pitch, image, channels, h, w);
  for (int panel = 1; panel < 3; panel++)
    if (truth) draw_outline(rgb + panel * (w + gap) * 3, pitch, truth, h, w, green);
  draw_outline(rgb + 2 * (w + gap) * 3, pitch, pred, h, w, red);
  bool ok = png_write_rgb(path, rgb, h, pitch, err);
  free(rgb);
  return ok;
}
