/* raster.h - files of images and volumes as plain arrays; what format readers make. Errors name the file. */
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

bool raster_read(const char *path, Raster *out, char err[ERR_MAX]); /* PNG or JPEG, told apart by content */
void raster_free(Raster *r);

/* A volume (X,Y,Z) row-major: Z innermost, as the literature's HDF5 files hold it. */
typedef struct {
  int64_t dim[3];
  double spacing[3];
  float *value;
} Volume;

#define VOLUME_MAX_ELEMENTS ((int64_t)1 << 33)

bool volume_read_nifti(const char *path, Volume *out, char err[ERR_MAX]);
/* A 3-D data set of an HDF5 file, converted to float. */
bool volume_read_hdf5(const char *path, const char *dataset, Volume *out, char err[ERR_MAX]);
/* The same without the values. */
bool volume_shape_hdf5(const char *path, const char *dataset, Volume *out, char err[ERR_MAX]);
void volume_free(Volume *v);
bool is_nifti(const char *path);

/* Writes a mask (spatial 2: (H,W); 3: a volume, axes as data_load_file gave them) as PNG or NIfTI by the
 * extension of `path`, atomically. `like` is the file the mask belongs to: a NIfTI mask takes over its
 * geometry. */
bool mask_write(const char *path, const char *like, const uint8_t *mask, int spatial, const int64_t *dim,
                char err[ERR_MAX]);
#endif
