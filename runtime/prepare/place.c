/* place.c - from the prepared grid back to the file's, and slices of it. */
#include "runtime/prepare/prepare.h"

Place place_same(const Grid *g) {
  Place p = {.slices = 2};
  for (int a = 0; a < 3; a++) p.own[a] = p.dim[a] = p.crop_dim[a] = g->dim[a], p.axis[a] = a, p.step[a] = 1;
  return p;
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
