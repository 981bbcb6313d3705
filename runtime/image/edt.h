/* edt.h - exact Euclidean distance transform of a mask, in the units of spacing. */
#ifndef NETRUN_EDT_H
#define NETRUN_EDT_H
#include <stdbool.h>
#include <stdint.h>

/* out[i]: squared distance from element i to the nearest element where the mask is non-zero (0 there);
 * INFINITY everywhere when there is none. spatial 1..3; dim and spacing have `spatial` entries. false when
 * memory is lacking. */
bool edt_squared(const uint8_t *mask, int spatial, const int64_t *dim, const double *spacing, double *out);
/* Signed distance map (Luo et al., DTC, AAAI 2021): float in [-1,1] of the mask's extents. false when memory
 * is lacking. */
bool sdf_map(const uint8_t *mask, int spatial, const int64_t *dim, float *out);
#endif
