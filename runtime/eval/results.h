/* results.h - the metrics of all items of an evaluation, and what they come to.
 *
 *   Results r = {.classes = 3, .cases = d->ncase};
 *   results_add(&r, name, item->patient, metrics, err);       // for each item; metrics as score_masks gives
 *   results_summarise(&r, err);
 *   results_of(&r, 0, METRIC_di)->mean                        // of the means over the foreground classes
 *   results_free(&r); */
#ifndef NETRUN_RESULTS_H
#define NETRUN_RESULTS_H
#include "runtime/metrics/metrics.h"

typedef struct {
  char *name;
  int patient;
  Metrics *of; /* by class; [0] is the mean over the foreground classes */
} Result;

/* Of a metric over the items where it is defined; what is not defined is NaN. */
typedef struct {
  int n, cases;     /* items, and how many cases they belong to */
  double mean, sd;  /* n - 1 */
  double low, high; /* the interval of bootstrap.h for the mean */
} Statistics;

typedef struct {
  const char *unit; /* what an item is: image, slice or volume */
  int64_t classes;
  int cases; /* patients; those of items are 0..cases-1 */
  int items, room;
  Result *item;
  Statistics *statistics; /* NULL: not made of the items there are */
} Results;

/* Copies all it is given: metrics has `classes` entries. */
bool results_add(Results *r, const char *name, int patient, const Metrics *metrics, char err[ERR_MAX]);
void results_free(Results *r);

/* Statistics of all columns, for results_of; intervals take a while. */
bool results_summarise(Results *r, char err[ERR_MAX]);
/* c: a class, or 0 for the mean over the foreground classes. */
const Statistics *results_of(const Results *r, int64_t c, int metric);
/* As in results_of, without results_summarise. */
double results_mean(const Results *r, int64_t c, int metric);
/* How many items' truth has no element of class c, of those where it is told. */
int results_without(const Results *r, int64_t c);
/* How many items' truth does not tell class c (Metrics.left_out). */
int results_untold(const Results *r, int64_t c);
#endif
