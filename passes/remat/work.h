/* work.h - recomputation, shared by the files of pass `remat`: remat.c chooses, walk.c says what a choice
 * means, write.c writes the function.
 *
 * A value is an array that one group stores and others read. A *cut* of a value is a moment: whoever reads
 * the value later reads a copy, computed again by the same expression in a kernel of its own just before the
 * first of them, so that in between it needs no memory. A copy reads what the expression reads, which may
 * have to live longer for it, or have cuts too.
 *
 * Moments are keys on one line. Before each group r there is a slot for copies, in which they stand in the
 * order of the groups that made the originals: key(r, p) = r * (groups + 1) + p for a copy of a value of
 * group p, key(r, r) for group r itself, key(groups, groups) for the end. So copies of one group's values in
 * one slot are one kernel, and a copy stands behind the copies it reads. */
#ifndef NETC_REMAT_WORK_H
#define NETC_REMAT_WORK_H
#include "passes/fuse/fuse.h"
#include "passes/remat/remat.h"

enum { REMAT_CUTS = 6 }; /* most cuts of a value */

typedef struct {
  int node, group;  /* group that makes it; -1 = an input of the function */
  int64_t bytes;    /* 0 for what is stored to a variable: it lies there */
  int nread, *read; /* groups that read it, ascending */
  bool kept;        /* read when the function is done */
  bool again;       /* may be computed again */
  int nsrc, *src;   /* values that computing it again reads */
  double seconds;   /* to compute it again, by nominal rates */
  int ncut;
  int64_t cut[REMAT_CUTS]; /* ascending */
  int first_use;           /* of copies made by others; index into Remat.use, -1 = none */
} RematValue;

typedef struct {
  int64_t key;
  int next;
} RematUse;

/* One of the arrays that hold a value, one after another: written at make, read until last. */
typedef struct {
  int value;
  int64_t make, last;
} RematArray;

typedef struct {
  int value;
  int64_t key;
} RematCut;

struct Remat {
  const Fn *f;
  Arena *arena;
  GroupInfo *g;
  int64_t slots; /* groups + 1 */
  RematValue *value;
  int nvalue, capvalue;
  int *value_of; /* per node, -1 = none */
  RematCut *cut; /* in the order they were made */
  int ncut, capcut;
  /* of the last walk */
  RematUse *use;
  int nuse, capuse;
  RematArray *array;
  int narray, caparray;
  int64_t *copy; /* keys of kernels with copies, ascending */
  int ncopy, capcopy;
  int64_t *key; /* scratch: uses of a value */
  int capkey;
  int64_t peak, peak_key;
  double seconds, base_seconds; /* of copies; of the function without them */
};

static inline int64_t remat_key(const Remat *r, int64_t slot, int group) { return slot * r->slots + group; }
static inline int remat_slot(const Remat *r, int64_t key) { return (int)(key / r->slots); }
static inline int remat_group(const Remat *r, int64_t key) { return (int)(key % r->slots); }

/* ---- walk.c ---- */
Remat *remat_new(const Fn *f);
void remat_add(Remat *r, int value, int64_t key);
void remat_take_back(Remat *r, int ncut); /* keeps the first ncut */
/* Arrays, copies, peak and seconds of the present cuts. */
void remat_walk(Remat *r);
/* Keys at which v is read by the last walk's groups and copies, ascending; returns their number. */
int remat_uses(Remat *r, int v, int64_t **key);

/* ---- write.c ---- */
/* Marks the nodes of its group that `node` is computed again from, itself included. Behind a contraction
 * these end at what its group stores: relu of a stored convolution is a map over that. */
void remat_closure(const Remat *r, int node, int *seen, int mark);
Fn *remat_emit(Remat *r, char err[IR_ERR]);
#endif
