/* surface.h - the surfaces of two masks and the distances between them. Two notions are in use:
 *
 * - elements (Heimann et al., IEEE TMI 2009; MedPy): a surface consists of the mask's elements with a
 *   face-neighbour that is background or beyond the array. Distances are between centres of elements.
 * - pieces (Nikolov et al., JMIR 2021; DeepMind's surface-distance): a surface consists of pieces, as in
 *   area.h, at the corners between elements; beyond the array is background. Distances are between corners.
 *
 * Both need the box that holds both masks, and nothing outside it. Index 0 is the prediction, 1 the truth. */
#ifndef NETRUN_SURFACE_H
#define NETRUN_SURFACE_H
#include "runtime/metrics/metrics.h"

typedef struct {
  int64_t low[3], high[3]; /* high is the first outside; nothing in it: high <= low */
} Box;

/* Class c of a pair of masks, cut out. */
typedef struct Surfaces Surfaces;
/* The box must hold all elements of the class. NULL when there is no memory. */
Surfaces *surfaces_new(const MaskPair *m, uint8_t c, const Box *box);
void surfaces_free(Surfaces *s);

typedef struct {
  int64_t n[2];  /* elements of either surface */
  double sum[2]; /* of their distances to the other surface */
  double *all;   /* these distances, n[0] + n[1], ascending; the caller frees them */
} SurfaceDistances;
/* Both masks must have elements. false when there is no memory. */
bool surface_distances(Surfaces *s, SurfaceDistances *out);

typedef struct {
  double area[2];   /* of either surface: mm^2, in 2-D mm */
  double within[2]; /* of its pieces that are no farther than the tolerance from the other surface */
} SurfaceAreas;
/* Where a mask is empty, nothing of the other is within. false when there is no memory. */
bool surface_areas(Surfaces *s, double tolerance, SurfaceAreas *out);
#endif
