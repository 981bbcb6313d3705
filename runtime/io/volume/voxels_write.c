/* voxels_write.c - masks and probabilities as arrays of voxels with x innermost. */
#include "runtime/io/volume/voxels.h"
#include <stdlib.h>

/* Planes at a time: what a line of the cache holds of z. */
enum { PLANES = 64, PLANES_F32 = 16, TILE = 256, PITCH = TILE + 16 };

Element voxels_type(const Written *what) {
  if (!what->mask) return ELEMENT_F32;
  Element type = ELEMENT_U8;
  for (int64_t k = 0; what->value && k < what->classes; k++) {
    int32_t v = what->value[k];
    if (v < INT16_MIN || v > INT16_MAX) return ELEMENT_I32;
    if (v < 0 || v > UINT8_MAX) type = ELEMENT_I16;
  }
  return type;
}

typedef struct {
  const Written *what;
  Element type;
  int64_t step; /* elements between neighbours along x in the slab */
  void *slab;
} Writer;

/* Classes as the numbers that stand for them. */
static void classes_to_row(const Writer *w, const uint8_t *class, int64_t n, int64_t at) {
  const int32_t *value = w->what->value;
  for (int64_t x = 0; x < n; x++) {
    int32_t v = value ? value[class[x]] : class[x];
    int64_t i = at + x * w->step;
    if (w->type == ELEMENT_U8) ((uint8_t *)w->slab)[i] = (uint8_t)v;
    else if (w->type == ELEMENT_I16) ((int16_t *)w->slab)[i] = (int16_t)v;
    else ((int32_t *)w->slab)[i] = v;
  }
}

/* Row y, columns x.., of `planes` planes from z on. at: of the first in the slab; plane: elements of one. */
static void mask_rows(const Writer *w, const uint8_t *from, int64_t n, int planes, int64_t at,
                      int64_t plane) {
  const int64_t *dim = w->what->grid.dim, step = dim[1] * dim[2];
  uint8_t tile[PLANES * PITCH];
  for (int64_t x = 0; x < n; x++)
    for (int k = 0; k < planes; k++) tile[k * PITCH + x] = from[x * step + k];
  for (int k = 0; k < planes; k++) classes_to_row(w, tile + k * PITCH, n, at + k * plane);
}

static void float_rows(const Writer *w, const float *from, int64_t n, int planes, int64_t at, int64_t plane) {
  const int64_t *dim = w->what->grid.dim, step = dim[1] * dim[2];
  float tile[PLANES_F32 * PITCH], *out = w->slab;
  for (int64_t x = 0; x < n; x++)
    for (int k = 0; k < planes; k++) tile[k * PITCH + x] = from[x * step + k];
  for (int k = 0; k < planes; k++)
    for (int64_t x = 0; x < n; x++) out[at + k * plane + x * w->step] = tile[k * PITCH + x];
}

/* Channel c of `planes` planes from z on, into the slab's element `inner` of each voxel. */
static void fill_slab(const Writer *w, int64_t c, int64_t z, int planes, int64_t inner) {
  const int64_t *dim = w->what->grid.dim;
  int64_t plane = dim[0] * dim[1] * w->step;
  for (int64_t y = 0; y < dim[1]; y++)
    for (int64_t x = 0; x < dim[0]; x += TILE) {
      int64_t n = dim[0] - x < TILE ? dim[0] - x : TILE, at = (y * dim[0] + x) * w->step + inner;
      int64_t from = ((c * dim[0] + x) * dim[1] + y) * dim[2] + z;
      if (w->what->mask) mask_rows(w, w->what->mask + from, n, planes, at, plane);
      else float_rows(w, w->what->prob + from, n, planes, at, plane);
    }
}

bool voxels_write(Sink *sink, const Written *what, Element type, bool interleaved, char err[ERR_MAX]) {
  const int64_t *dim = what->grid.dim, channels = what->mask ? 1 : what->channels;
  int most = what->mask ? PLANES : PLANES_F32, size = element_table[type].bytes;
  if (dim[2] < most) most = (int)dim[2];
  Writer w = {.what = what, .type = type, .step = interleaved ? channels : 1};
  int64_t plane = dim[0] * dim[1] * w.step, frames = channels / w.step;
  w.slab = malloc((size_t)(plane * most * size));
  if (!w.slab) return err_memory(err, sink->out.path, plane * most * size);
  bool ok = true;
  for (int64_t frame = 0; frame < frames; frame++)
    for (int64_t z = 0; ok && z < dim[2]; z += most) {
      int planes = dim[2] - z < most ? (int)(dim[2] - z) : most;
      for (int64_t c = 0; c < w.step; c++) fill_slab(&w, frame + c, z, planes, c);
      ok = sink_write(sink, w.slab, (size_t)(plane * planes * size));
    }
  free(w.slab);
  return true;
}
