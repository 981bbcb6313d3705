/* places.h - from what a header says of places to a grid. */
#ifndef NETRUN_PLACES_H
#define NETRUN_PLACES_H
#include "runtime/base/notes.h"
#include "runtime/image/grid.h"

/* Every voxel has a place of its own: numbers, and axes that span the space. */
bool gives_places(const Grid *g);
/* A step as a header has it: positive; else its absolute value, or 1 where it is none, and a note. */
double step_of(double step, int axis, const char *path, Notes *notes);
/* The grid of a volume whose axes are vectors [axis][component] in mm, in a space whose components grow
 * towards the letters of `space`, as "LPS". Where they give no places: a note, and the lengths alone. */
Grid grid_in_space(const int64_t dim[3], double vector[3][3], const double origin[3], const char *space,
                   const char *path, Notes *notes);
/* The reverse for a file of space LPS: directions of length 1, steps and origin. */
void grid_in_lps(const Grid *g, double direction[3][3], double step[3], double origin[3]);
#endif
