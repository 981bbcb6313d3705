/* view.h - where in its image a sample lies: one affine map of flips, quarter turns, window, rotation and
 * scale, drawn for each sample. */
#ifndef NETRUN_VIEW_H
#define NETRUN_VIEW_H
#include "runtime/batch/draw.h"

/* Always three axes; those that a 2-D module lacks come first and have extent 1. The map is that of NetcView:
 * the sample's element o is the image's place start + scale * (from + by . o). */
typedef struct {
  int first; /* axis that the module has */
  int64_t size[3], dim[3];
  NetcView of;
  bool whole; /* places are elements: by has -1, 0 and 1 alone, the rest is whole */
} View;

/* The steps of a list that say where a sample is taken; NULL inside: not in the list. */
typedef struct {
  Step flip, rot90, crop, rotate, scale, elastic;
} Placing;

/* dim: the image's extents, `spatial` of them. voxel: element of the image (always three axes) that the
 * sample shall have, as near its middle as the image's borders allow; NULL: none. */
View view_draw(const Placing *p, int spatial, const int64_t *size, const int64_t *dim, const int64_t *voxel,
               const Chance *d);
/* Turns the view around its middle, by degrees in the planes of axes (first, first + 1) and, in 3-D, (0, 2)
 * and (1, 2), and enlarges what it shows. */
void view_turn(View *v, const double degrees[3], double enlarge);
/* The place that the map sends o to. */
void view_place(const View *v, const double o[3], double at[3]);
#endif
