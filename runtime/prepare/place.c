/* place.c - from the prepared grid back to the file's, and slices of it. */
#include <math.h>
#include <stdlib.h>
#include "runtime/prepare/prepare.h"

Place place_same(const Grid *g) {
  Place p = {.slices = 2};
  for (int a = 0; a < 3; a++) p.own[a] = p.dim[a] = p.crop_dim[a] = g->dim[a], p.axis[a] = a, p.step[a] = 1;
  return p;
}

/* For every element of file axis s, the offset of its element along the prepared axis; -1: cropped away. */
static void offsets(const Place *p, int a, int64_t stride, int64_t *out) {
  int64_t n = p->own[p->axis[a]];
  for (int64_t i = 0; i < n; i++) {
    int64_t turned = p->step[a] < 0 ? n - 1 - i : i, in_box = turned - p->crop_from[a];
    int64_t k = (int64_t)floor(p->from[a] + p->step[a] * (double)i + 0.5);
    k = k < 0 ? 0 : k >= p->dim[a] ? p->dim[a] - 1 : k;
    out[i] = in_box < 0 || in_box >= p->crop_dim[a] ? -1 : k * stride;
  }
}

bool place_mask(const Place *p, const uint8_t *mask, uint8_t *own) {
  const int64_t stride[3] = {p->dim[1] * p->dim[2], p->dim[2], 1};
  int64_t *room = malloc((size_t)(p->own[0] + p->own[1] + p->own[2]) * sizeof *room), *at[3];
  if (!room) return false;
  at[0] = room, at[1] = room + p->own[0], at[2] = at[1] + p->own[1];
  for (int a = 0; a < 3; a++) offsets(p, a, stride[a], at[p->axis[a]]);
  for (int64_t i = 0; i < p->own[0]; i++)
    for (int64_t j = 0; j < p->own[1]; j++) {
      bool here = at[0][i] >= 0 && at[1][j] >= 0;
      const uint8_t *row = mask + (here ? at[0][i] + at[1][j] : 0);
      for (int64_t k = 0; k < p->own[2]; k++) *own++ = here && at[2][k] >= 0 ? row[at[2][k]] : 0;
    }
  free(room);
  return true;
}

Slices slices_of(const Place *p) {
  const int64_t stride[3] = {p->dim[1] * p->dim[2], p->dim[2], 1};
  int s = p->slices, w = s == 0 ? 1 : 0, h = s == 2 ? 1 : 2;
  return (Slices){.n = p->dim[s],
                  .h = p->dim[h],
                  .w = p->dim[w],
                  .slice_step = stride[s],
                  .h_step = stride[h],
                  .w_step = stride[w],
                  .h_axis = h,
                  .w_axis = w};
}
