/* metrics.h - spec 4.7: overlap and surface distance between a predicted and a true mask (0 / non-zero
 * bytes). DI Dice, JA Jaccard, AC accuracy, SE sensitivity, SP specificity, VOE 1-JA; ASD mean distance of
 * the prediction's surface to the truth's, ASSD pooled both ways, HD95 95th percentile of both ways together;
 * in units of spacing. */
#ifndef NETRUN_METRICS_H
#define NETRUN_METRICS_H
#include <stdbool.h>
#include <stdint.h>

typedef struct {
  double di, ja, ac, se, sp, voe, asd, assd, hd95; /* distances NaN where a surface is empty */
} Metrics;
enum { METRIC_COUNT = 9 };
extern const char
    *const metric_name[METRIC_COUNT]; /* DI JA AC SE SP VOE ASD ASSD 95HD, in the order of the struct */
double metric_value(const Metrics *m, int i);

/* spatial 2 or 3; dim and spacing have `spatial` entries. false when there is no memory. */
bool metrics_of(const uint8_t *pred, const uint8_t *truth, int spatial, const int64_t *dim,
                const double *spacing, Metrics *out);
#endif
