/* raster.h - files of images and volumes as plain arrays: what the formats (format.h) make. Errors name the
 * file. */
#ifndef NETRUN_RASTER_H
#define NETRUN_RASTER_H
#include <stdbool.h>
#include <stdint.h>
#include "runtime/base/err.h"

/* An image of 8-bit samples: (h,w,c) interleaved, c 1 or 3. */
typedef struct {
  int64_t h, w;
  int c;
  uint8_t *byte;
} Raster;

bool raster_read(const char *path, Raster *out, char err[ERR_MAX]); /* its format is told by its content */
void raster_free(Raster *r);

/* A volume (X,Y,Z) row-major: Z innermost, as the literature's HDF5 files hold it. */
typedef struct {
  int64_t dim[3];
  double spacing[3];
  float *value;
} Volume;

#define VOLUME_MAX_ELEMENTS ((int64_t)1 << 33)

void volume_free(Volume *v);
#endif
