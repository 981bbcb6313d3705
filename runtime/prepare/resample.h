/* resample.h - volumes on another grid along the same axes. Along an axis, element m of the result is what
 * the input has at from + step * m, in its elements; places beyond the border take the border's value. */
#ifndef NETRUN_RESAMPLE_H
#define NETRUN_RESAMPLE_H
#include <stdbool.h>
#include <stdint.h>
#include "runtime/prepare/recipe.h"

typedef struct {
  int64_t n; /* elements of the result */
  double from, step;
} Axis;

/* One channel: in (dim) to out (axis[0].n, axis[1].n, axis[2].n). Axes that are left as they are (from 0,
 * step 1, n = dim) cost nothing. false without memory. */
bool resample_volume(const float *in, const int64_t dim[3], const Axis axis[3], NetcOrder order, float *out);
/* Elements of the arrays that it makes meanwhile, at most at a time. */
int64_t resample_room(const int64_t dim[3], const Axis axis[3]);
/* Classes: the nearest element, or with NETC_ORDER_LINEAR the class with the greatest weight among the
 * neighbours (the nearest one's among equals). */
void resample_classes(const uint8_t *in, const int64_t dim[3], const Axis axis[3], NetcOrder order,
                      uint8_t *out);
#endif
