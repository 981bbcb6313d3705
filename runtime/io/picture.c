/* picture.c - PNG files and the overlay of image, truth and prediction. Curves are in
 * runtime/train/curves.c. */
#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/io/picture.h"

enum { GAP = 4, PANEL = 256 }; /* pixels between panels; small images are enlarged to this height */

/* ---- PNG files ---- */

typedef struct {
  const char *path;
  char *err;
  FILE *file;
  const uint8_t *byte; /* samples as the file has them */
  int64_t h, w;
  int type, bits; /* of libpng */
} Picture;

static void failed(png_structp png, png_const_charp message) {
  Picture *p = png_get_error_ptr(png);
  err_set(p->err, "%s: cannot write picture: %s", p->path, message);
  png_longjmp(png, 1);
}

/* What libpng warns of while it writes is of no consequence for what is read back. */
static void warned(png_structp png, png_const_charp message) { (void)png, (void)message; }

/* libpng returns from errors to the setjmp here. */
static bool put(Picture *p, png_structp png, png_infop info) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_init_io(png, p->file);
  png_set_IHDR(png, info, (png_uint_32)p->w, (png_uint_32)p->h, p->bits, p->type, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  size_t pitch = png_get_rowbytes(png, info);
  for (int64_t y = 0; y < p->h; y++) png_write_row(png, p->byte + (size_t)y * pitch);
  png_write_end(png, info);
  return true;
}

static bool put_file(Picture *p, const char *temp) {
  p->file = fopen(temp, "wbe");
  if (!p->file) return err_sys(p->err, "%s: cannot write picture", p->path);
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, p, failed, warned);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  bool ok = info ? put(p, png, info) : err_memory(p->err, p->path, 0);
  png_destroy_write_struct(&png, &info);
  if (fclose(p->file) && ok) ok = err_sys(p->err, "%s: cannot write picture", p->path);
  return ok;
}

static bool write_png(Picture *p) {
  char temp[4096];
  if (snprintf(temp, sizeof temp, "%s.part", p->path) >= (int)sizeof temp)
    return err_set(p->err, "%.200s...: path too long", p->path);
  bool ok = put_file(p, temp);
  if (ok && rename(temp, p->path)) ok = err_sys(p->err, "%s", p->path);
  if (!ok) unlink(temp);
  return ok;
}

bool png_write_rgb(const char *path, const uint8_t *rgb, int64_t h, int64_t w, char err[ERR_MAX]) {
  return write_png(&(Picture){path, err, NULL, rgb, h, w, PNG_COLOR_TYPE_RGB, 8});
}

bool png_write_gray(const char *path, const uint8_t *gray, int64_t h, int64_t w, char err[ERR_MAX]) {
  return write_png(&(Picture){path, err, NULL, gray, h, w, PNG_COLOR_TYPE_GRAY, 8});
}

bool png_write_gray16(const char *path, const uint8_t *gray, int64_t h, int64_t w, char err[ERR_MAX]) {
  return write_png(&(Picture){path, err, NULL, gray, h, w, PNG_COLOR_TYPE_GRAY, 16});
}

/* ---- overlays ---- */

/* Where the panels lie: each shows every element as a square of `zoom` pixels. */
typedef struct {
  uint8_t *rgb;
  int64_t h, w, zoom, pitch; /* of the image in elements; pixels of a row of the picture */
} Canvas;

static void paint(const Canvas *c, int panel, int64_t y, int64_t x, const uint8_t colour[3]) {
  int64_t left = panel * (c->w * c->zoom + GAP) + x * c->zoom;
  for (int64_t py = y * c->zoom; py < (y + 1) * c->zoom; py++)
    for (int64_t px = left; px < left + c->zoom; px++) memcpy(c->rgb + (py * c->pitch + px) * 3, colour, 3);
}

/* Brightness of the image between its least and greatest value, as bytes; three channels give colour. */
static void image_panel(const Canvas *c, int panel, const float *image, int channels) {
  float lo = INFINITY, hi = -INFINITY;
  int64_t n = c->h * c->w;
  int used = channels >= 3 ? 3 : 1;
  for (int64_t i = 0; i < n * used; i++) lo = fminf(lo, image[i]), hi = fmaxf(hi, image[i]);
  float scale = hi > lo ? 255 / (hi - lo) : 0;
  for (int64_t i = 0; i < n; i++) {
    uint8_t colour[3];
    for (int k = 0; k < 3; k++)
      colour[k] = (uint8_t)lrintf((image[(used == 3 ? k : 0) * n + i] - lo) * scale);
    paint(c, panel, i / c->w, i % c->w, colour);
  }
}

/* Elements of the mask with a neighbour outside it. */
static bool outline(const uint8_t *mask, int64_t h, int64_t w, int64_t y, int64_t x) {
  if (!mask[y * w + x]) return false;
  return y == 0 || x == 0 || y + 1 == h || x + 1 == w || !mask[(y - 1) * w + x] || !mask[(y + 1) * w + x] ||
         !mask[y * w + x - 1] || !mask[y * w + x + 1];
}

static void draw_outline(const Canvas *c, int panel, const uint8_t *mask, const uint8_t colour[3]) {
  for (int64_t y = 0; y < c->h; y++)
    for (int64_t x = 0; x < c->w; x++)
      if (outline(mask, c->h, c->w, y, x)) paint(c, panel, y, x, colour);
}

bool picture_overlay(const char *path, const float *image, int channels, int64_t h, int64_t w,
                     const uint8_t *truth, const uint8_t *pred, char err[ERR_MAX]) {
  static const uint8_t green[3] = {60, 220, 60}, red[3] = {240, 50, 50};
  int64_t zoom = h < PANEL && w < PANEL ? (PANEL + h - 1) / h : 1;
  Canvas c = {.h = h, .w = w, .zoom = zoom, .pitch = 3 * w * zoom + 2 * GAP};
  size_t bytes = (size_t)(h * zoom * c.pitch * 3);
  c.rgb = malloc(bytes);
  if (!c.rgb)
    return err_set(err, "%s: not enough memory for a picture of %lld x %lld", path, (long long)h,
                   (long long)w);
  memset(c.rgb, 255, bytes);
  for (int panel = 0; panel < 3; panel++) image_panel(&c, panel, image, channels);
  for (int panel = 1; panel < 3; panel++)
    if (truth) draw_outline(&c, panel, truth, green);
  draw_outline(&c, 2, pred, red);
  bool ok = png_write_rgb(path, c.rgb, h * zoom, c.pitch, err);
  free(c.rgb);
  return ok;
}
