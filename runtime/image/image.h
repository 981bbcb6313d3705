/* image.h - operations on planes and masks in memory: scaling, normalisation, holes, components. */
#ifndef NETRUN_IMAGE_H
#define NETRUN_IMAGE_H
#include <stdbool.h>
#include <stdint.h>
#include "runtime/base/err.h"

/* ---- resample.c ---- */

/* Scales a (h,w) plane to (oh,ow), half-pixel centres: shrinking averages over the area an element covers,
 * growing interpolates linearly. false when memory is lacking. */
bool resize_plane(const float *in, int64_t h, int64_t w, float *out, int64_t oh, int64_t ow);
/* Nearest element, half-pixel centres. */
void resize_nearest(const uint8_t *in, int64_t h, int64_t w, uint8_t *out, int64_t oh, int64_t ow);
void resize_nearest_values(const float *in, int64_t h, int64_t w, float *out, int64_t oh, int64_t ow);

/* In place: (x - mean) / standard deviation; a constant array becomes 0. */
void standardise(float *v, int64_t n);

/* ---- morph.c: masks of `spatial` axes (2 or 3) ---- */

/* In place: background not connected (4- or 6-) to the border becomes foreground; keeps the largest
 * 8-/26-connected component. */
bool fill_holes(uint8_t *mask, int spatial, const int64_t *dim);
bool largest_component(uint8_t *mask, int spatial, const int64_t *dim);
/* In place: components of fewer than `least` elements become background. */
bool drop_components(uint8_t *mask, int spatial, const int64_t *dim, double least);
#endif
