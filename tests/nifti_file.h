/* nifti_file.h - writes small NIfTI-1 files, byte for byte by the standard, for tests. */
#ifndef NETC_TEST_NIFTI_FILE_H
#define NETC_TEST_NIFTI_FILE_H
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "runtime/image/grid.h"

enum { NIFTI_U8 = 2, NIFTI_I16 = 4, NIFTI_F32 = 16 };

static inline void nifti_put(uint8_t *at, const void *value, size_t n) { memcpy(at, value, n); }

/* The header of an image on that grid; a grid that is not placed has its spacing alone. */
static inline void nifti_header(const Image *image, int type, uint8_t h[352]) {
  const Grid *g = &image->grid;
  const int32_t size = 348;
  const int16_t dim[8] = {image->channels > 1 ? 4 : 3,
                          (int16_t)g->dim[0],
                          (int16_t)g->dim[1],
                          (int16_t)g->dim[2],
                          (int16_t)image->channels,
                          1,
                          1,
                          1};
  const int16_t kind[2] = {(int16_t)type, (int16_t)(type == NIFTI_F32 ? 32 : type == NIFTI_I16 ? 16 : 8)};
  const float mm[8] = {1, (float)grid_spacing(g, 0), (float)grid_spacing(g, 1), (float)grid_spacing(g, 2), 1};
  const float begin = 352;
  const int16_t placed = g->placed;
  memset(h, 0, 352);
  nifti_put(h, &size, 4), nifti_put(h + 40, dim, 16), nifti_put(h + 70, kind, 4);
  nifti_put(h + 76, mm, 32), nifti_put(h + 108, &begin, 4), nifti_put(h + 254, &placed, 2);
  nifti_put(h + 148, "made by a test", 14);
  h[123] = 2; /* mm */
  for (int r = 0; r < 3; r++) {
    float row[4];
    for (int c = 0; c < 4; c++) row[c] = (float)g->to_mm[r][c];
    nifti_put(h + 280 + 16 * r, row, 16);
  }
  nifti_put(h + 344, "n+1", 4);
}

/* false when it cannot be written. */
static inline bool nifti_file(const char *path, const Image *image, int type) {
  uint8_t header[352];
  const int64_t *d = image->grid.dim;
  FILE *f = fopen(path, "wb");
  if (!f) return false;
  nifti_header(image, type, header);
  fwrite(header, 1, sizeof header, f);
  for (int64_t c = 0; c < image->channels; c++)
    for (int64_t z = 0; z < d[2]; z++)
      for (int64_t y = 0; y < d[1]; y++)
        for (int64_t x = 0; x < d[0]; x++) {
          float v = image->value[((c * d[0] + x) * d[1] + y) * d[2] + z];
          int16_t i16 = (int16_t)(type == NIFTI_F32 ? 0 : v);
          uint8_t u8 = (uint8_t)i16;
          if (type == NIFTI_F32) fwrite(&v, sizeof v, 1, f);
          else if (type == NIFTI_I16) fwrite(&i16, sizeof i16, 1, f);
          else fwrite(&u8, 1, 1, f);
        }
  bool ok = !ferror(f);
  return fclose(f) == 0 && ok;
}
#endif
