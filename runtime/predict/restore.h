/* restore.h - scores on the prepared grid as what they decide (and scores) on the file's: linear between
 * elements, then decide.h. What was cropped away is class 0, or in no region. */
#ifndef NETRUN_RESTORE_H
#define NETRUN_RESTORE_H
#include "runtime/base/pool.h"
#include "runtime/predict/decide.h"
#include "runtime/predict/slide.h"

/* Of every element of one axis of the file: the elements along the prepared axis it lies between. */
typedef struct {
  int64_t k, next; /* k < 0: cropped away */
  float f;         /* of next */
} Between;

typedef struct {
  const Place *place;
  Pool *pool;
  Decision decision;
  uint8_t *mask;  /* (own), or NULL */
  float *prob;    /* (scores, own), or NULL */
  uint8_t *small; /* the same as mask on the prepared grid, or NULL */
  Between *at[3]; /* by axis of the file */
  int where[3];   /* the prepared axis that a file's axis is */
} Restore;

bool restore_new(Restore *r, const Place *place, Decision decision, Pool *pool, char err[ERR_MAX]);
void restore_free(Restore *r);
/* Writes all elements of the file that lie between finished planes. */
void restore_planes(Restore *r, const Slab *slab);
/* What no plane tells: elements that were cropped away. To be called once. */
void restore_rest(Restore *r);
#endif
