/* bootstrap.h - an interval for a mean, by resampling. */
#ifndef NETRUN_BOOTSTRAP_H
#define NETRUN_BOOTSTRAP_H
#include <stdbool.h>

enum { BOOTSTRAP_RESAMPLES = 10000, BOOTSTRAP_PERCENT = 95 };

/* The values of one case: a patient, of whom there may be many slices. */
typedef struct {
  double sum;
  int n;
} CaseValues;

/* The percentile interval (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13) of the
 * mean of all values, whole cases being drawn: of[0..cases-1] with n > 0 each. Draw j of resample b is case
 * floor(x cases / 2^32), x the word j % 4 of Philox at (seed 0, iteration b, site 0, index j / 4); the bounds
 * are the 2.5th and the 97.5th percentile of the means of the resamples. So the same values in the same order
 * give the same bits everywhere. Of fewer than two cases both bounds are NaN. false when there is no
 * memory. */
bool bootstrap_mean(const CaseValues *of, int cases, double *low, double *high);
#endif
