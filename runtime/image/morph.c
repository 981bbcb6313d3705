/* morph.c - hole filling and connected components of masks, by flood fill with an explicit stack. */
#include <stdlib.h>
#include <string.h>
#include "runtime/image/image.h"

typedef struct {
  int spatial;
  int64_t dim[3], total; /* always three axes; leading ones 1 */
  int64_t *stack, depth;
} Flood;

static bool flood_new(Flood *f, int spatial, const int64_t *dim) {
  *f = (Flood){.spatial = spatial, .dim = {1, 1, 1}, .total = 1};
  for (int a = 0; a < spatial; a++) f->dim[3 - spatial + a] = dim[a], f->total *= dim[a];
  f->stack = malloc((size_t)f->total * sizeof *f->stack); /* each element is pushed at most once */
  return f->stack;
}

/* Marks in `label` (0 = unseen) with `id` everything connected to `start` where mask == value; by faces, or
 * by corners too. Returns the number of elements. */
static int64_t flood_from(Flood *f, const uint8_t *mask, int value, int64_t start, int corners,
                          int32_t *label, int32_t id) {
  int64_t count = 0, h = f->dim[1], w = f->dim[2];
  f->stack[f->depth++] = start, label[start] = id;
  while (f->depth) {
    int64_t i = f->stack[--f->depth], x = i % w, y = i / w % h, z = i / (w * h);
    count++;
    for (int dz = -1; dz <= 1; dz++)
      for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++) {
          if (!corners && abs(dx) + abs(dy) + abs(dz) != 1) continue;
          if (z + dz < 0 || z + dz >= f->dim[0] || y + dy < 0 || y + dy >= h || x + dx < 0 || x + dx >= w)
            continue;
          int64_t j = i + (dz * h + dy) * w + dx;
          if (!label[j] && (mask[j] != 0) == value) label[j] = id, f->stack[f->depth++] = j;
        }
  }
  return count;
}

static bool on_border(const Flood *f, int64_t i) {
  int64_t w = f->dim[2], h = f->dim[1], x = i % w, y = i / w % h, z = i / (w * h);
  return x == 0 || x == w - 1 || y == 0 || y == h - 1 || (f->spatial == 3 && (z == 0 || z == f->dim[0] - 1));
}

bool fill_holes(uint8_t *mask, int spatial, const int64_t *dim) {
  Flood f;
  bool ok = flood_new(&f, spatial, dim);
  int32_t *outer = ok ? calloc((size_t)f.total, sizeof *outer) : NULL;
  if (outer) {
    for (int64_t i = 0; i < f.total; i++)
      if (!mask[i] && !outer[i] && on_border(&f, i)) flood_from(&f, mask, 0, i, 0, outer, 1);
    for (int64_t i = 0; i < f.total; i++)
      if (!mask[i] && !outer[i]) mask[i] = 1;
  }
  ok = outer;
  free(outer), free(f.stack);
  return ok;
}

bool largest_component(uint8_t *mask, int spatial, const int64_t *dim) {
  Flood f;
  bool ok = flood_new(&f, spatial, dim);
  int32_t *label = ok ? calloc((size_t)f.total, sizeof *label) : NULL, n = 0, best = 0;
  if (label) {
    int64_t most = 0;
    for (int64_t i = 0; i < f.total; i++) {
      if (!mask[i] || label[i]) continue;
      int64_t size = flood_from(&f, mask, 1, i, 1, label, ++n);
      if (size > most) most = size, best = n;
    }
    for (int64_t i = 0; i < f.total; i++) mask[i] = label[i] && label[i] == best ? mask[i] : 0;
  }
  ok = label;
  free(label), free(f.stack);
  return ok;
}

bool drop_components(uint8_t *mask, int spatial, const int64_t *dim, double least) {
  Flood f;
  bool ok = flood_new(&f, spatial, dim);
  int32_t *label = ok ? calloc((size_t)f.total, sizeof *label) : NULL, n = 0, room = 0;
  int64_t *size = NULL; /* of component n: size[n - 1] */
  ok = label;
  for (int64_t i = 0; ok && i < f.total; i++) {
    if (!mask[i] || label[i]) continue;
    if (n == room) {
      int64_t *more = realloc(size, (size_t)(room = 2 * room + 64) * sizeof *more);
      if (!(ok = more)) break;
      size = more;
    }
    size[n] = flood_from(&f, mask, 1, i, 1, label, n + 1);
    n++;
  }
  for (int64_t i = 0; ok && i < f.total; i++)
    if (label[i] && (double)size[label[i] - 1] < least) mask[i] = 0;
  free(size), free(label), free(f.stack);
  return ok;
}
