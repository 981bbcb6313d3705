/* results.h - the metrics of all items of an evaluation, and what they come to.
 *
 *   Results r = {.classes = 3, .cases = d->ncase};
 *   results_add(&r, name, item->patient, metrics, err);       // for each item; metrics as score_masks gives
 *   results_statistics(&r, 0, METRIC_di, &s, err);            // of the means over the foreground classes
 *   results_free(&r); */
#ifndef NETRUN_RESULTS_H
#define NETRUN_RESULTS_H
#include "runtime/eval/metrics.h"

typedef struct {
  char *name;
  int patient;
  Metrics *of; /* by class; [0] is the mean over the foreground classes */
} Result;

typedef struct {
  const char *unit; /* what an item is: image, slice or volume */
  int64_t classes;
  int cases; /* patients; those of items are 0..cases-1 */
  int items, room;
  Result *item;
} Results;

/* Copies all it is given: metrics has `classes` entries. */
bool results_add(Results *r, const char *name, int patient, const Metrics *metrics, char err[ERR_MAX]);
void results_free(Results *r);

/* Of a metric over the items where it is defined; what is not defined is NaN. */
typedef struct {
  int n, cases;     /* items, and how many cases they belong to */
  double mean, sd;  /* n - 1 */
  double low, high; /* the interval of bootstrap.h for the mean */
} Statistics;
/* c: a class, or 0 for the mean over the foreground classes. */
bool results_statistics(const Results *r, int64_t c, int metric, Statistics *out, char err[ERR_MAX]);
double results_mean(const Results *r, int64_t c, int metric);
/* How many items' truth has no element of class c. */
int results_without(const Results *r, int64_t c);
#endif
