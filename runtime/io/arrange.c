/* arrange.c - the order of axes, and the channels of masks. */
#include "runtime/io/arrange.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

Strides strides_of(const Image *image) {
  const int64_t *n = image->grid.dim;
  return (Strides){n[0] * n[1] * n[2], {n[1] * n[2], n[2], 1}};
}

enum { TILE = 16 }; /* floats of a cache line */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* A cube of the image: the lines of the cache that hold it are used whole in both orders. */
static void arrange_cube(const float *from, const int64_t s[3], const int64_t at[3], const int64_t n[3],
                         float *to) {
  int64_t end[3];
  for (int a = 0; a < 3; a++) end[a] = least(at[a] + TILE, n[a]);
  for (int64_t i = at[0]; i < end[0]; i++)
    for (int64_t j = at[1]; j < end[1]; j++) {
      const float *line = from + i * s[0] + j * s[1];
      float *out = to + (i * n[1] + j) * n[2];
      for (int64_t k = at[2]; k < end[2]; k++) out[k] = line[k * s[2]];
    }
}

void arrange(const float *from, Strides strides, Image *image) {
  const int64_t *n = image->grid.dim;
  for (int c = 0; c < image->channels; c++)
    for (int64_t i = 0; i < n[0]; i += TILE)
      for (int64_t j = 0; j < n[1]; j += TILE)
        for (int64_t k = 0; k < n[2]; k += TILE)
          arrange_cube(from + c * strides.channel, strides.axis, (int64_t[]){i, j, k}, n,
                       image->value + c * grid_count(&image->grid));
}

/* ---- masks ---- */

/* Numbers that a float holds without doubt: below 2^24. */
static bool exact(const Image *image, const char *what, char err[ERR_MAX]) {
  int64_t n = grid_count(&image->grid) * image->channels;
  for (int64_t i = 0; i < n; i++)
    if (fabsf(image->value[i]) >= 0x1p24f)
      return err_set(err, "%s: a mask's numbers must be below 16777216; element %lld is %.9g", what,
                     (long long)i, (double)image->value[i]);
  return true;
}

static bool one_channel(Image *image, const char *what, char err[ERR_MAX]) {
  size_t bytes = (size_t)grid_count(&image->grid) * sizeof *image->value;
  for (int c = 1; image->value && c < image->channels; c++)
    if (memcmp(image->value, image->value + c * grid_count(&image->grid), bytes))
      return err_set(
          err,
          "%s: has %d channels, which differ; a mask of numbers has one (a mask of colours needs a "
          "colour table)",
          what, image->channels);
  image->channels = 1;
  return true;
}

static bool three_channels(Image *image, const char *what, char err[ERR_MAX]) {
  if (image->channels == 3) return true;
  if (image->channels != 1)
    return err_set(err, "%s: has %d channels; a mask of colours has three", what, image->channels);
  int64_t n = grid_count(&image->grid);
  image->channels = 3;
  if (!image->value) return true;
  float *wider = realloc(image->value, (size_t)n * 3 * sizeof *wider);
  if (!wider) return err_memory(err, what, n * 3 * (int64_t)sizeof *wider);
  memcpy(wider + n, wider, (size_t)n * sizeof *wider);
  memcpy(wider + 2 * n, wider, (size_t)n * sizeof *wider);
  image->value = wider;
  return true;
}

bool mask_channels(Image *image, ReadAs as, const char *what, char err[ERR_MAX]) {
  if (as == READ_IMAGE) return true;
  if (as == READ_COLOURS) return three_channels(image, what, err);
  return (!image->value || exact(image, what, err)) && one_channel(image, what, err);
}
