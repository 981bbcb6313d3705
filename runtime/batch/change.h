/* change.h - augmentations that change an image's numbers and leave everything in its place
 * (ir/augment.def, VALUE). */
#ifndef NETRUN_CHANGE_H
#define NETRUN_CHANGE_H
#include "runtime/batch/draw.h"

/* A sample's image: `channels` planes of n elements, of three axes. */
typedef struct {
  float *plane;
  int channels;
  int64_t n, size[3];
  float *scratch; /* picture_scratch floats */
} Picture;

/* Room that picture_change wants for a plane of this size. */
int64_t picture_scratch(const int64_t size[3]);
/* Those steps of the list that fall to this sample, in the order of the list. */
void picture_change(const Picture *p, const Step *step, int steps, const Chance *d);
/* Deviation of the sample's noise by this step; 0: it has none. */
double noise_deviation(const Step *s, const Chance *d);

/* noise.c: adds noise to x[i] by the numbers first + i step and the one behind it, of a site. */
void noise_add(float *x, int64_t n, uint64_t first, uint64_t step, uint64_t site, double deviation,
               const Chance *d);

/* filter.c: what resamples a plane, axis by axis. */
/* A Gaussian of deviation sigma[a] elements along axis a, cut at 4 sigma and summing to 1; the plane goes on
 * mirrored beyond its rim. */
void plane_blur(float *plane, const int64_t size[3], const double sigma[3], float *scratch);
/* Taken at `factor` of its extents, the nearest elements, and brought back linearly. */
void plane_coarsen(float *plane, const int64_t size[3], double factor, float *scratch);
#endif
