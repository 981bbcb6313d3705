/* intensity.h - the values a network sees, from those of a file (docs/data.md, Intensities). */
#ifndef NETRUN_INTENSITY_H
#define NETRUN_INTENSITY_H
#include "runtime/prepare/recipe.h"

/* In place, one channel of n elements. NETC_INTENSITY_AUTO has to be resolved first. */
void intensity_apply(float *v, int64_t n, const NetcIntensity *how);
/* What NETC_INTENSITY_AUTO means: for volumes, told by their values. prepared: the format's files come
 * normalised. */
NetcIntensity intensity_of_volume(const float *v, int64_t n, bool prepared);
/* For a picture of `channels` whose white is `full`. */
NetcIntensity intensity_of_picture(int channel, int channels, double full);
/* The range that slices of a volume are kept in, in 16 bits: where the scheme clips, or the CT window, or
 * with NETC_INTENSITY_AUTO the percentiles 0.1 and 99.9; else least and greatest value. false without
 * memory. */
bool intensity_range(const float *v, int64_t n, const NetcIntensity *how, float *lo, float *hi);
#endif
