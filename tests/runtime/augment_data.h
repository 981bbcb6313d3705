/* augment_data.h - data sets that the tests of batches write: pictures and volumes of numbers that have a
 * pattern nowhere, with masks. */
#ifndef NETC_AUGMENT_DATA_H
#define NETC_AUGMENT_DATA_H
#include <hdf5.h>
#include <string.h>
#include <sys/stat.h>
#include "tests/scratch.h"
#include "ir/philox.h"
#include "runtime/data/data.h"
#include "runtime/io/picture.h"

static char err[ERR_MAX];

static inline uint8_t noise_byte(uint64_t item, uint64_t i) {
  uint32_t x[4];
  philox_at(x, 5, 0, item, i);
  return (uint8_t)(x[0] >> 24);
}

/* Gray pictures of h x w; their masks are 255 in a box. */
static inline void write_noise_pictures(int n, int h, int w) {
  char name[64];
  uint8_t gray[4096], mask[4096];
  mkdir(in_root("images"), 0777), mkdir(in_root("masks"), 0777);
  for (int k = 0; k < n; k++) {
    for (int i = 0; i < h * w; i++) {
      gray[i] = noise_byte((uint64_t)k, (uint64_t)i);
      mask[i] = i / w >= 2 + k % 4 && i / w < h - 5 && i % w >= 3 && i % w < w / 2 ? 255 : 0;
    }
    snprintf(name, sizeof name, "images/case%02d.png", k);
    if (!png_write_gray(in_root(name), gray, h, w, err)) fail_msg("%s", err);
    snprintf(name, sizeof name, "masks/case%02d.png", k);
    if (!png_write_gray(in_root(name), mask, h, w, err)) fail_msg("%s", err);
  }
}

static inline void write_volume(const char *name, const float *image, const uint8_t *label,
                                const hsize_t *dim) {
  hid_t f = H5Fcreate(in_root(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  hid_t s = H5Screate_simple(3, dim, NULL);
  hid_t a = H5Dcreate2(f, "image", H5T_IEEE_F32LE, s, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  hid_t b = H5Dcreate2(f, "label", H5T_STD_U8LE, s, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  assert_true(H5Dwrite(a, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, image) >= 0);
  assert_true(H5Dwrite(b, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, label) >= 0);
  H5Dclose(a), H5Dclose(b), H5Sclose(s), H5Fclose(f);
}

/* Volumes of 12 x 13 x 10, taken as they are: numbers of [-1, 1), classes 0 to 2. */
static inline void write_noise_volumes(int n) {
  const hsize_t dim[3] = {12, 13, 10};
  float image[1560];
  uint8_t label[1560];
  char name[64];
  for (int k = 0; k < n; k++) {
    for (int i = 0; i < 1560; i++) {
      image[i] = (float)noise_byte((uint64_t)k, (uint64_t)i) / 128 - 1;
      label[i] = (uint8_t)(noise_byte(100 + (uint64_t)k, (uint64_t)i) % 3);
    }
    snprintf(name, sizeof name, "case%d", k), mkdir(in_root(name), 0777);
    snprintf(name, sizeof name, "case%d/mri_norm2.h5", k), write_volume(name, image, label, dim);
  }
}

/* A fresh directory; the one before it goes. */
FIXTURE(fresh) {
  if (scratch_tear_down(state)) return -1;
  strcpy(root + strlen(root) - 6, "XXXXXX");
  return scratch_set_up(state);
}

static inline Dataset *open_data(const char *kind, const DataShape *shape) {
  char spec[128];
  snprintf(spec, sizeof spec, "%s:%s", kind, root);
  Dataset *d = data_open(spec, shape, err);
  if (!d) fail_msg("%s", err);
  return d;
}

static inline uint64_t fnv(uint64_t h, const void *data, size_t n) {
  for (const uint8_t *p = data; n > 0; n--) h = (h ^ *p++) * 1099511628211u;
  return h;
}
#endif
