/* score.h - metrics of masks with any number of classes, their means, and cleaning of predictions. */
#ifndef NETRUN_SCORE_H
#define NETRUN_SCORE_H
#include "runtime/base/err.h"
#include "runtime/eval/metrics.h"

/* Classes 0..classes-1 per element. Two classes: metrics of class 1. More: the mean over the foreground
 * classes, each against all others; a distance is the mean over the classes where it is defined. */
bool score_masks(const uint8_t *pred, const uint8_t *truth, int64_t classes, int spatial, const int64_t *dim,
                 const double *spacing, Metrics *out, char err[ERR_MAX]);
/* In place, class by class: `largest` keeps its largest component, `fill` fills its holes with it. */
bool clean_mask(uint8_t *mask, int64_t classes, int spatial, const int64_t *dim, bool fill, bool largest,
                char err[ERR_MAX]);

/* Mean and standard deviation (n - 1) of each metric over the items where it is defined. */
typedef struct {
  int items, n[METRIC_COUNT];
  double mean[METRIC_COUNT], squares[METRIC_COUNT]; /* squares: of differences from the mean (Welford) */
} Summary;
void summary_add(Summary *s, const Metrics *m);
double summary_mean(const Summary *s, int metric);
double summary_sd(const Summary *s, int metric);
#endif
