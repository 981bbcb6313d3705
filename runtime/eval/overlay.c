/* overlay.c - a plane of a volume, as a picture with outlines. */
#include <stdlib.h>
#include "runtime/base/err.h"
#include "runtime/eval/overlay.h"
#include "runtime/io/picture.h"

/* The plane (Y,X) of a volume (X,Y,Z) at z. */
static void plane_bytes(const uint8_t *v, const int64_t *dim, int64_t z, uint8_t *out) {
  for (int64_t y = 0; y < dim[1]; y++)
    for (int64_t x = 0; x < dim[0]; x++) out[y * dim[0] + x] = v[(x * dim[1] + y) * dim[2] + z];
}

static int64_t fullest_plane(const uint8_t *mask, const int64_t *dim) {
  int64_t best = dim[2] / 2, most = 0;
  for (int64_t z = 0; z < dim[2]; z++) {
    int64_t n = 0;
    for (int64_t i = 0; i < dim[0] * dim[1]; i++) n += mask[i * dim[2] + z] != 0;
    if (n > most) most = n, best = z;
  }
  return best;
}

int64_t fullest_slice(const uint8_t *mask, int64_t n, int64_t plane) {
  int64_t best = n / 2, most = 0;
  for (int64_t z = 0; z < n; z++) {
    int64_t count = 0;
    for (int64_t i = 0; i < plane; i++) count += mask[z * plane + i] != 0;
    if (count > most) most = count, best = z;
  }
  return best;
}

bool overlay_volume(const char *path, const float *image, const int64_t *dim, const uint8_t *truth,
                    const uint8_t *pred, char err[ERR_MAX]) {
  int64_t n = dim[0] * dim[1], z = fullest_plane(truth ? truth : pred, dim);
  float *plane = malloc((size_t)n * sizeof *plane);
  uint8_t *t = malloc((size_t)n * 2), *p = t ? t + n : NULL;
  bool ok = plane && t;
  if (ok) {
    for (int64_t y = 0; y < dim[1]; y++)
      for (int64_t x = 0; x < dim[0]; x++) plane[y * dim[0] + x] = image[(x * dim[1] + y) * dim[2] + z];
    if (truth) plane_bytes(truth, dim, z, t);
    plane_bytes(pred, dim, z, p);
    ok = picture_overlay(path, plane, 1, dim[1], dim[0], truth ? t : NULL, p, err);
  } else err_memory(err, path, n * 6);
  free(plane), free(t);
  return ok;
}
