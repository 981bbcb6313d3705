/* regions.h - what is done with predicted masks, whose bytes are classes or bits of regions
 * (runtime/predict/decide.h): cleaned, scored, made classes. The regions are those of `prepare`; NULL:
 * bytes are classes. */
#ifndef NETRUN_REGIONS_H
#define NETRUN_REGIONS_H
#include "runtime/eval/clean.h"
#include "runtime/metrics/metrics.h"

/* As clean_mask (clean.h), of every class or, in its own copy of a byte for each element, of every region. */
bool clean_answer(uint8_t *mask, const NetcPrepare *regions, int64_t classes, int spatial, const Grid *grid,
                  const Cleaning *how, char err[ERR_MAX]);

/* How many metrics score_answer writes: one for each class, background included, or one for each region and
 * one before them. */
int64_t scored_parts(const NetcPrepare *regions, int64_t classes);
/* As score_masks (score.h); with regions m->pred has bits and m->truth classes, out[1 + r] is of region r and
 * out[0] the mean over the regions. It takes two bytes for each element then. */
bool score_answer(const MaskPair *m, const NetcPrepare *regions, int64_t classes, const MetricOptions *o,
                  Metrics *out, char err[ERR_MAX]);

/* Classes to the bits of the regions that they belong to, in place: what a mask file says of regions. */
void answer_bits(uint8_t *mask, const NetcPrepare *regions, int64_t n);

/* Leaves out of the metrics of score_answer the classes, or the regions with a class, that the
 * item's mask does not tell (Item.only); the mean is that of the others. */
void leave_out(Metrics *out, const NetcPrepare *regions, int64_t classes, const uint8_t *only);

/* Bits to classes, in place: an element's class is that of the last region it lies in that has one
 * (NetcRegion.cls), 0 if there is none. Classes stay. */
void answer_classes(uint8_t *mask, const NetcPrepare *regions, int64_t n);
#endif
