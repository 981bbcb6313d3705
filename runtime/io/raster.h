/* raster.h - files of images and volumes as plain arrays; the layer below runtime/data/data.h. Errors name the file. */
#ifndef NETRUN_RASTER_H
#define NETRUN_RASTER_H
#include "runtime/data/data.h"

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

/* Scales a (h,w) plane to (oh,ow): a triangle filter as wide as the step, so that shrinking averages and
 * growing interpolates linearly (half-pixel centres). false when memory is lacking. */
bool resize_plane(const float *in, int64_t h, int64_t w, float *out, int64_t oh, int64_t ow);
/* Nearest element, half-pixel centres. */
void resize_nearest(const uint8_t *in, int64_t h, int64_t w, uint8_t *out, int64_t oh, int64_t ow);

/* In place: (x - mean) / standard deviation; a constant array becomes 0. */
void standardise(float *v, int64_t n);
/* false and a message naming the file and the first bad element when a value is not finite. */
bool check_finite(const float *v, int64_t n, const char *path, char err[ERR_MAX]);
#endif
