/* clean.c - components and holes of predicted masks, each class in its own box: what lies outside of it is
 * background that reaches the border, and takes no memory. */
#include "runtime/eval/clean.h"
#include <stdlib.h>
#include "runtime/image/image.h"

Cleaning cleaning_of(const NetcPrepare *p) {
  if (!p) return (Cleaning){.drop = 0};
  return (Cleaning){
      .largest = p->post & NETC_POST_LARGEST, .fill = p->post & NETC_POST_FILL, .drop = p->drop};
}

bool cleaning_wanted(const Cleaning *c) { return c->largest || c->fill || c->drop > 0; }

typedef struct {
  int64_t from[3], dim[3]; /* of the mask */
} Box;

/* The box of class c; false: there is none of it. */
static bool box_of(const uint8_t *mask, const int64_t dim[3], uint8_t c, Box *b) {
  int64_t from[3] = {dim[0], dim[1], dim[2]}, to[3] = {0, 0, 0};
  for (int64_t i = 0; i < dim[0]; i++)
    for (int64_t j = 0; j < dim[1]; j++)
      for (int64_t k = 0; k < dim[2]; k++) {
        if (*mask++ != c) continue;
        const int64_t at[3] = {i, j, k};
        for (int a = 0; a < 3; a++)
          from[a] = at[a] < from[a] ? at[a] : from[a], to[a] = at[a] >= to[a] ? at[a] + 1 : to[a];
      }
  for (int a = 0; a < 3; a++) b->from[a] = from[a], b->dim[a] = to[a] - from[a];
  return to[0] > 0;
}

static bool clean_one(uint8_t *one, int spatial, const int64_t *dim, const Cleaning *how, double voxel) {
  return (!how->largest || largest_component(one, spatial, dim)) &&
         (!(how->drop > 0) || drop_components(one, spatial, dim, how->drop / voxel)) &&
         (!how->fill || fill_holes(one, spatial, dim));
}

static bool clean_class(uint8_t *mask, const int64_t dim[3], uint8_t c, const Box *b, int spatial,
                        const Cleaning *how, double voxel) {
  int64_t n = b->dim[0] * b->dim[1] * b->dim[2], e = 0;
  uint8_t *one = malloc((size_t)n), *row;
  if (!one) return false;
  for (int pass = 0; pass < 2; pass++) {
    e = 0;
    for (int64_t i = 0; i < b->dim[0]; i++)
      for (int64_t j = 0; j < b->dim[1]; j++) {
        row = mask + ((b->from[0] + i) * dim[1] + b->from[1] + j) * dim[2] + b->from[2];
        for (int64_t k = 0; k < b->dim[2]; k++, e++) {
          if (!pass) one[e] = row[k] == c;
          else if (row[k] == c && !one[e]) row[k] = 0;
          else if (row[k] == 0 && one[e]) row[k] = c;
        }
      }
    if (!pass && !clean_one(one, spatial, b->dim, how, voxel)) return free(one), false;
  }
  free(one);
  return true;
}

bool clean_mask(uint8_t *mask, int64_t classes, int spatial, const Grid *grid, const Cleaning *how,
                char err[ERR_MAX]) {
  double voxel = 1;
  Box b;
  for (int a = 0; a < spatial; a++) voxel *= grid_spacing(grid, a);
  for (int64_t c = 1; cleaning_wanted(how) && c < classes; c++)
    if (box_of(mask, grid->dim, (uint8_t)c, &b) &&
        !clean_class(mask, grid->dim, (uint8_t)c, &b, spatial, how, voxel > 0 ? voxel : 1))
      return err_memory(err, "cleaning a mask", b.dim[0] * b.dim[1] * b.dim[2] * 13);
  return true;
}
