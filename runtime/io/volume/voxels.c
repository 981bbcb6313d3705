/* voxels.c - arrays of voxels to images: sixteen planes at a time, transposed in tiles that stay in the
 * cache. */
#include "runtime/io/volume/source.h"
#include <stdlib.h>
#include <string.h>

enum { SLAB = 16, TILE = 256, PITCH = TILE + 16 /* rows of a tile in different sets of the cache */ };

int64_t voxels_channels(const Voxels *v) { return v->channel[1] * v->channel[2] * v->channel[3] * v->kept; }

typedef struct {
  const Voxels *v;
  const Wish *wish;
  Image *out;
  Source source;
  uint8_t *slab;
} Reader;

/* Rows of `planes` planes, x apart, to places z apart. */
static void scatter(const float *tile, int64_t width, int planes, float *to, int64_t step) {
  for (int64_t x = 0; x < width; x++)
    for (int k = 0; k < planes; k++) to[x * step + k] = tile[k * PITCH + x];
}

static bool exact(const Reader *r, const uint8_t *row, int64_t width, char err[ERR_MAX]) {
  const Voxels *v = r->v;
  const ElementInfo *e = &element_table[v->type];
  long double value = 0;
  if (r->wish->as != READ_NUMBERS || ((e->bytes < 4 || v->type == ELEMENT_F32) && !v->scale.on)) return true;
  if (e->first_rounded(row, v->channel[0], width, &v->scale, &value) < 0) return true;
  return err_set(err, "%s: the number %.0Lf is not exact in single precision; a mask's are read up to 2^24",
                 r->source.stream.path, value);
}

/* One row of voxels in each of `planes` planes of the slab; place: of its first element, counted in elements
 * of a plane. */
static bool rows_to_image(const Reader *r, int64_t place, int planes, int64_t plane, float *to,
                          char err[ERR_MAX]) {
  const Voxels *v = r->v;
  const ElementInfo *e = &element_table[v->type];
  const int64_t *dim = r->out->grid.dim, step = dim[1] * dim[2];
  float tile[SLAB * PITCH];
  for (int64_t x = 0; x < dim[0]; x += TILE) {
    int64_t width = dim[0] - x < TILE ? dim[0] - x : TILE;
    for (int k = 0; k < planes; k++) {
      const uint8_t *row = r->slab + (k * plane + place + x * v->channel[0]) * e->bytes;
      if (!exact(r, row, width, err)) return false;
      e->to_floats(row, v->channel[0], width, &v->scale, tile + k * PITCH);
    }
    scatter(tile, width, planes, to + x * step, step);
  }
  return true;
}

/* `planes` planes from z on, of one frame (the slowest channel axis). */
static bool slab_to_image(const Reader *r, int64_t frame, int64_t z, int planes, int64_t plane,
                          char err[ERR_MAX]) {
  const int64_t *c = r->v->channel, *dim = r->out->grid.dim, n = grid_count(&r->out->grid);
  for (int64_t outer = 0; outer < c[2]; outer++)
    for (int64_t y = 0; y < dim[1]; y++)
      for (int64_t inner = 0; inner < c[1]; inner++)
        for (int64_t first = 0; first < r->v->kept; first++) {
          int64_t channel = ((frame * c[2] + outer) * c[1] + inner) * r->v->kept + first;
          int64_t place = ((outer * dim[1] + y) * c[1] + inner) * dim[0] * c[0] + first;
          float *to = r->out->value + channel * n + y * dim[2] + z;
          if (!rows_to_image(r, place, planes, plane, to, err)) return false;
        }
  return true;
}

static bool read_slabs(Reader *r, char err[ERR_MAX]) {
  const Voxels *v = r->v;
  const int64_t *dim = r->out->grid.dim;
  int64_t plane = dim[0] * dim[1] * v->channel[0] * v->channel[1] * v->channel[2];
  int size = element_table[v->type].bytes, most = dim[2] < SLAB ? (int)dim[2] : SLAB;
  r->slab = malloc((size_t)(plane * most * size));
  if (!r->slab) return err_memory(err, v->file[0], plane * most * size);
  for (int64_t frame = 0; frame < v->channel[3]; frame++)
    for (int64_t z = 0; z < dim[2]; z += most) {
      int planes = dim[2] - z < most ? (int)(dim[2] - z) : most;
      if (!source_fetch(&r->source, r->slab, plane * planes * (v->text ? 1 : size), err)) return false;
      if (v->swap) element_swap(r->slab, size, plane * planes);
      if (!slab_to_image(r, frame, z, planes, plane, err)) return false;
    }
  return source_end(&r->source, err);
}

/* One channel of a mask's numbers; three of its colours. */
static bool as_wished(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  int64_t n = grid_count(&out->grid);
  if (wish->as == READ_COLOURS && out->channels != 3)
    return err_set(err, "%s: expected colours, found %d channel%s", path, out->channels,
                   out->channels > 1 ? "s" : "");
  if (wish->as != READ_NUMBERS || out->channels == 1) return true;
  for (int c = 1; c < out->channels; c++)
    for (int64_t i = 0; i < n; i++)
      if (out->value[c * n + i] != out->value[i])
        return err_set(err, "%s: expected one number for each voxel of a mask, found %d channels that differ",
                       path, out->channels);
  float *less = realloc(out->value, (size_t)n * sizeof *less);
  if (less) out->value = less;
  out->channels = 1;
  return true;
}

bool voxels_read(const char *path, const Voxels *v, const Wish *wish, Image *out, char err[ERR_MAX]) {
  const int64_t *dim = out->grid.dim, *c = v->channel;
  double stored = (double)c[0] * (double)c[1] * (double)c[2] * (double)c[3], n = stored;
  for (int a = 0; a < 3; a++) n *= dim[a] > 0 ? (double)dim[a] : 0;
  if (!(n > 0) || n > (double)VOLUME_MAX_ELEMENTS)
    return err_set(err, "%s: %lld x %lld x %lld voxels of %.0f channels; 1 to 2^33 numbers are read", path,
                   (long long)dim[0], (long long)dim[1], (long long)dim[2], stored);
  if (voxels_channels(v) > INT32_MAX) return err_set(err, "%s: %.0f channels are too many", path, stored);
  if (v->kept < c[0]) note(wish->notes, "%s: alpha is left out; colours are the stored ones", path);
  out->channels = (int)voxels_channels(v);
  if (wish->header) return out->channels = wish->as == READ_NUMBERS ? 1 : out->channels, true;
  Reader r = {.v = v, .wish = wish, .out = out};
  bool ok = source_open(&r.source, path, v, (int64_t)n, wish->notes, err) && image_alloc(out, path, err) &&
            read_slabs(&r, err) && as_wished(path, wish, out, err);
  source_close(&r.source);
  free(r.slab);
  if (!ok) image_free(out);
  return ok;
}
