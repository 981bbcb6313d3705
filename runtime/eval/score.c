/* score.c - metrics of masks with several classes, and cleaning of masks. */
#include <math.h>
#include <stdlib.h>
#include "runtime/eval/score.h"

static int64_t count_of(int spatial, const int64_t *dim) {
  int64_t n = 1;
  for (int a = 0; a < spatial; a++) n *= dim[a];
  return n;
}

void score_average(Metrics *of, int64_t classes) {
  of[0] = (Metrics){.pred = 0};
  for (int64_t c = 1; c < classes; c++) of[0].pred += of[c].pred, of[0].truth += of[c].truth;
  for (int i = 0; i < METRIC_COUNT; i++) {
    double sum = 0;
    int defined = 0;
    for (int64_t c = 1; c < classes; c++)
      if (!isnan(of[c].value[i])) sum += of[c].value[i], defined++;
    of[0].value[i] = defined ? sum / defined : NAN;
  }
}

bool score_masks(const MaskPair *m, int64_t classes, const MetricOptions *o, Metrics *out,
                 char err[ERR_MAX]) {
  if (classes > NETC_MAX_CLASSES)
    return err_set(err,
                   "masks of %lld classes cannot be scored: %d is the most, as %d in the truth means "
                   "that an element is ignored",
                   (long long)classes, NETC_MAX_CLASSES, CLASS_IGNORE);
  for (int64_t c = 1; c < classes; c++)
    if (!metrics_of(m, (uint8_t)c, o, &out[c]))
      return err_memory(err, "the metrics of a mask", count_of(m->spatial, m->dim) * 12);
  score_average(out, classes);
  return true;
}
