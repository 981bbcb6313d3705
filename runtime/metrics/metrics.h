/* metrics.h - overlap and surface distance between a predicted and a true mask. The metrics are the rows of
 * ir/metrics.def and metrics.def; their definitions, with references, stand at their functions in
 * metrics.c. */
#ifndef NETRUN_METRICS_H
#define NETRUN_METRICS_H
#include <stdbool.h>
#include <stdint.h>
#include "runtime/base/err.h"
#include "runtime/prepare/recipe.h"

enum {
#define METRIC(name, column, made) METRIC_##name,
#include "ir/metrics.def"
#undef METRIC
  METRIC_COUNT
};

typedef enum { HIGHER, LOWER, NEARER } Better; /* NEARER zero */
typedef enum { COUNTS, DISTANCES, AREAS } MadeOf;
typedef enum { USUALLY, ASKED } Told;
typedef enum { ALL_IGNORED, BOTH_EMPTY, TRUTH_EMPTY, TRUTH_EVERYWHERE, ANY_EMPTY } Undefined;

typedef struct {
  const char *name, *column, *meaning;
  Better better;
  MadeOf made;
  Told told;
  Undefined undefined;
  double agreed; /* the value where the definition has none */
} MetricInfo;
extern const MetricInfo metric_info[METRIC_COUNT];

/* What is to be done where the definition of a metric divides nothing by nothing: take the agreed value, or
 * NaN; or leave out every class that the truth does not hold, all its metrics being NaN. */
typedef enum { EMPTY_ONE, EMPTY_NAN, EMPTY_SKIP } EmptyRule;
extern const char *const empty_name[3]; /* one, nan, skip */

typedef struct {
  uint32_t metrics; /* bit METRIC_name: it is wanted; 0: the usual ones */
  double tolerance; /* of metrics made of AREAS, in the units of spacing */
  EmptyRule empty;
} MetricOptions;

/* The metrics that o wants, as bits. */
uint32_t metrics_wanted(const MetricOptions *o);
/* Is one of them made of this? Of AREAS: the tolerance is needed. */
bool metrics_want(const MetricOptions *o, MadeOf made);
/* list: "all", or names and columns as in "di,95HD", small letters or capitals. The message for another word
 * lists the names. */
bool metrics_named(const char *list, uint32_t *out, char err[ERR_MAX]);
bool empty_named(const char *name, EmptyRule *out, char err[ERR_MAX]);

/* spatial 2 or 3; dim and spacing (mm) have `spatial` entries. One byte per element: its class. Elements
 * whose truth is CLASS_IGNORE are not counted, and background of both masks where surfaces are concerned. */
typedef struct {
  const uint8_t *pred, *truth;
  int spatial;
  const int64_t *dim;
  const double *spacing;
} MaskPair;

typedef struct {
  double value[METRIC_COUNT]; /* NaN where a metric is undefined or not wanted */
  int64_t pred, truth;        /* elements of either mask */
  int64_t left_out;           /* 1: the truth does not tell this class; values are NaN then, elements 0 */
} Metrics;

/* Of class c against all others; distances are in units of spacing. false when there is no memory: it takes
 * 12 bytes per element of the box that holds both masks, and their distances. */
bool metrics_of(const MaskPair *m, uint8_t c, const MetricOptions *o, Metrics *out);
#endif
