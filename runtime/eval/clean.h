/* clean.h - what is done to predicted masks before they are written or scored. */
#ifndef NETRUN_CLEAN_H
#define NETRUN_CLEAN_H
#include "runtime/image/grid.h"
#include "runtime/prepare/recipe.h"

/* Class by class, in this order: the largest component alone is kept; components smaller than `drop` mm^3
 * (mm^2 of pictures) are dropped; holes are filled. Components touch by corners, holes do not leak through
 * them. */
typedef struct {
  bool largest, fill;
  double drop; /* 0: none */
} Cleaning;

/* What a module's statement says; p NULL: nothing. */
Cleaning cleaning_of(const NetcPrepare *p);
bool cleaning_wanted(const Cleaning *c);
/* In place. A hole that another class fills stays that class. */
bool clean_mask(uint8_t *mask, int64_t classes, int spatial, const Grid *grid, const Cleaning *how,
                char err[ERR_MAX]);
#endif
