/* memory.h - what predicting a file will take, told by its header before it is read. */
#ifndef NETRUN_EVAL_MEMORY_H
#define NETRUN_EVAL_MEMORY_H
#include <stdio.h>
#include "runtime/predict/predictor.h"

typedef struct {
  bool overlay, clean; /* what is wanted beside the mask */
  /* In bytes. */
  int64_t before;  /* of the process, before the first file is read */
  int64_t reading; /* the file's values, and their copy in the module's order and spacing */
  int64_t image, mask, small, sums, net; /* while the network runs */
  int64_t after;                         /* cleaning and writing: the image is gone, but for overlays */
  int64_t peak;                          /* the most of all that, at any one time */
} Plan;

/* Chooses p->tiles so that the peak stays below `limit` bytes (0: one tile); false and a message where it
 * cannot, or where the header cannot be read. Probabilities lie in a file (runtime/base/scratch.h), whose
 * pages the system writes there when memory is short, and are not counted. */
bool plan_memory(Predictor *p, const Files *files, Plan *plan, int64_t limit, char err[ERR_MAX]);
/* "case7.nii.gz: 2.31 GiB of memory at most (..)" */
void plan_print(const Plan *plan, const char *path, FILE *out);
#endif
