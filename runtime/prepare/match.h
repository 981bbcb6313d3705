/* match.h - a mask is brought onto its image's grid in space. */
#ifndef NETRUN_MATCH_H
#define NETRUN_MATCH_H
#include "runtime/base/err.h"
#include "runtime/base/notes.h"
#include "runtime/image/grid.h"
#include "runtime/prepare/recipe.h"

/* What is matched: of masks the nearest voxel counts, channels are interpolated linearly. */
typedef enum { MATCH_MASK, MATCH_CHANNEL } Matched;

/* Reorders (or, with GRID_RESAMPLE, resamples) the mask's values to the image's grid, in place of the old
 * ones. Grids agree when their corners lie within a tenth of a voxel. A file that does not say where it
 * lies is taken to lie on the image's grid when extents agree. */
bool match_grids(const Grid *image, Image *mask, OtherGrid other, const char *image_path, const char *path,
                 Matched matched, Notes *notes, char err[ERR_MAX]);
#endif
