/* remat.h - pass `remat`: values of the forward pass that are computed again for the backward pass instead of
 * kept, until a function fits a memory. The terms (value, cut, slot) stand in work.h. */
#ifndef NETC_REMAT_H
#define NETC_REMAT_H
#include "ir/ir.h"

typedef struct Remat Remat; /* work.h */

/* What the cuts so far lead to. */
typedef struct {
  int ncut;
  int64_t peak;   /* bytes */
  double seconds; /* of recomputation */
} RematLevel;

/* All levels from no recomputation on, each with a lower peak than the one before; stops behind the first
 * that takes more than `most` of the function's own time. */
#define REMAT_ALL 1e30
typedef struct {
  Remat *r;
  RematLevel *level;
  int n;
} RematLadder;
RematLadder remat_ladder(const Fn *fused, double most);
int remat_free_level(const RematLadder *l);
Fn *remat_apply(const RematLadder *l, int level, char err[IR_ERR]);

Fn *pass_remat(Fn *f, char err[IR_ERR]);
#endif
