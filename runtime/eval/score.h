/* score.h - metrics of masks with any number of classes. */
#ifndef NETRUN_SCORE_H
#define NETRUN_SCORE_H
#include "runtime/metrics/metrics.h"

/* out has `classes` entries (2..255): [c] is class c against all others, and [0] the mean over the foreground
 * classes 1.., of each metric over those where it is defined; counts in [0] are sums. */
bool score_masks(const MaskPair *m, int64_t classes, const MetricOptions *o, Metrics *out, char err[ERR_MAX]);
/* of[0] from of[1..classes - 1]. */
void score_average(Metrics *of, int64_t classes);
#endif
