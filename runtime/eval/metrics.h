/* metrics.h - overlap and surface distance between a predicted and a true mask (0 / non-zero bytes). The
 * metrics are the rows of metrics.def; their definitions, with references, stand at their functions in
 * metrics.c. */
#ifndef NETRUN_METRICS_H
#define NETRUN_METRICS_H
#include <stdbool.h>
#include <stdint.h>

enum {
#define METRIC(name, column, better, undefined, meaning) METRIC_##name,
#include "runtime/eval/metrics.def"
#undef METRIC
  METRIC_COUNT
};

typedef struct {
  double value[METRIC_COUNT]; /* NaN where a metric is undefined */
} Metrics;

typedef enum { HIGHER, LOWER } Better;
typedef enum { NEVER, EMPTY } Undefined; /* EMPTY: when the prediction or the truth has no surface */

typedef struct {
  const char *column, *meaning;
  Better better;
  Undefined undefined;
} MetricInfo;
extern const MetricInfo metric_info[METRIC_COUNT];

/* spatial 2 or 3; dim and spacing (mm) have `spatial` entries, distances are in units of spacing. false when
 * there is no memory. */
bool metrics_of(const uint8_t *pred, const uint8_t *truth, int spatial, const int64_t *dim,
                const double *spacing, Metrics *out);
#endif
