/* picture.h - PNG files as they are written: masks, and overlays of image, truth and prediction. */
#ifndef NETRUN_PICTURE_H
#define NETRUN_PICTURE_H
#include <stdbool.h>
#include <stdint.h>
#include "runtime/base/err.h"

/* rgb: (H,W,3) bytes. Written to a temporary name first, then renamed. */
bool png_write_rgb(const char *path, const uint8_t *rgb, int64_t h, int64_t w, char err[ERR_MAX]);
bool png_write_gray(const char *path, const uint8_t *gray, int64_t h, int64_t w, char err[ERR_MAX]);
/* gray: (H,W) samples of two bytes, the high one first. */
bool png_write_gray16(const char *path, const uint8_t *gray, int64_t h, int64_t w, char err[ERR_MAX]);
/* Three panels side by side: the image, the image with the truth's outline (green), with the prediction's
 * (red) over it. image (C,H,W) float of any range, truth may be NULL. */
bool picture_overlay(const char *path, const float *image, int channels, int64_t h, int64_t w,
                     const uint8_t *truth, const uint8_t *pred, char err[ERR_MAX]);
#endif
