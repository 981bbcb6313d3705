/* eval.h - predictions of a data set's items against their masks. */
#ifndef NETRUN_EVAL_H
#define NETRUN_EVAL_H
#include <stdio.h>
#include "runtime/eval/clean.h"
#include "runtime/predict/predictor.h"
#include "runtime/eval/report.h"

typedef struct {
  Split split;
  bool by_slice;  /* a 2-D module on volumes: a row per slice; else per volume */
  Cleaning clean; /* of predictions, before scoring */
  MetricOptions metrics;
  const char *out;                /* directory for eval.csv, eval.json and pictures; NULL: none of them */
  const char *weights;            /* their file, for the report; NULL: not known */
  const char *const *class_names; /* by class, or a word and the regions; NULL: they are called by numbers */
  int overlays;                   /* pictures of so many items, spread evenly over the split */
  FILE *progress;                 /* NULL: silent */
  const char *const *mask;        /* NULL: predict; else by item a mask to score instead, NULL: left out. Of a
                                   * volume's slices the first item's is the whole volume's */
  const char *masks;              /* their folder, for the report */
} EvalOptions;

/* Predictions are brought to the files' own grids and scored there. *out is to be freed by results_free,
 * after a failure too. */
bool eval_run(Predictor *p, const Dataset *d, const EvalOptions *o, Results *out, char err[ERR_MAX]);
/* What a report says about such a run. */
ReportAbout eval_about(const Predictor *p, const Dataset *d, const EvalOptions *o);
extern const char *const split_name[3]; /* train, val, test */
bool split_named(const char *name, Split *out, char err[ERR_MAX]);
#endif
