/* restore.h - probabilities on the prepared grid as classes (and probabilities) on the file's: linear between
 * elements, then the largest one, the first among equals. What was cropped away is class 0. */
#ifndef NETRUN_RESTORE_H
#define NETRUN_RESTORE_H
#include "runtime/base/pool.h"
#include "runtime/eval/slide.h"

/* Of every element of one axis of the file: the elements along the prepared axis it lies between. */
typedef struct {
  int64_t k, next; /* k < 0: cropped away */
  float f;         /* of next */
} Between;

typedef struct {
  const Place *place;
  Pool *pool;
  int64_t classes;
  uint8_t *mask;  /* (own), or NULL */
  float *prob;    /* (classes, own), or NULL */
  uint8_t *small; /* classes on the prepared grid, or NULL */
  Between *at[3]; /* by axis of the file */
  int where[3];   /* the prepared axis that a file's axis is */
} Restore;

bool restore_new(Restore *r, const Place *place, int64_t classes, Pool *pool, char err[ERR_MAX]);
void restore_free(Restore *r);
/* Writes all elements of the file that lie between finished planes. */
void restore_planes(Restore *r, const Slab *slab);
/* What no plane tells: elements that were cropped away. To be called once. */
void restore_rest(Restore *r);
#endif
