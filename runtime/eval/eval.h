/* eval.h - predictions of a data set's items against their masks. */
#ifndef NETRUN_EVAL_H
#define NETRUN_EVAL_H
#include <stdio.h>
#include "runtime/eval/predictor.h"
#include "runtime/eval/score.h"

typedef struct {
  Split split;
  bool by_slice;      /* a 2-D module on volumes: a row per slice; else per volume */
  bool fill, largest; /* clean_mask before scoring */
  const char *out;    /* directory for eval.csv and pictures; NULL: neither */
  int overlays;       /* pictures of so many items, spread evenly over the split */
  FILE *progress;     /* NULL: silent */
} EvalOptions;

/* Predictions are brought to the files' own grids and scored there. */
bool eval_run(Predictor *p, const Dataset *d, const EvalOptions *o, Summary *out, char err[ERR_MAX]);
extern const char *const split_name[3]; /* train, val, test */
bool split_named(const char *name, Split *out, char err[ERR_MAX]);
#endif
