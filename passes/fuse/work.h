/* work.h - the decisions of pass `fuse`, shared by the files that make them and the one that carries
 * them out.
 *
 * Every node gets a place: in memory already (variables, inputs), a view, a root (computed by one group and
 * possibly stored), or inline (computed again by each group that reads it). Roots are put into groups one
 * after another in program order. Groups have positions on a line; every group reads only groups before it,
 * so no cycle can arise. A root may join a group when all it reads lies before that group's position, or when
 * nobody has read the group yet, for then it can be moved to the end of the line. */
#ifndef NETC_FUSE_WORK_H
#define NETC_FUSE_WORK_H
#include "passes/fuse/fuse.h"
#include "passes/graph/order.h"
#include "passes/graph/rewrite.h"

enum {
  MAX_FRONT = 24,    /* values an inline expression may read before it is cut */
  MAX_GROUP_IO = 30, /* inputs and results of a map; a kernel has at most 40 arguments */
  MAX_GROUP_NODES = 200
};

typedef enum {
  P_DEAD,
  P_MEMORY, /* var, input; const of rank 0 */
  P_LEAF,   /* iota, rand, const: computed wherever read */
  P_VIEW,
  P_INLINE,
  P_ROOT
} Placement;

/* What an inline expression reads: operands that are roots, memory or views of these. */
typedef struct {
  int n, id[MAX_FRONT];
  int cone;      /* nodes in the expression, shared ones counted more than once */
  bool heavy;    /* holds an op that costs much more than a load */
  bool pure;     /* all nodes are elementwise of one shape, so that a contraction's epilogue may hold it */
  bool overflow; /* more than MAX_FRONT values */
} Front;

typedef struct {
  int kind, anchor;
  Type domain;
  uint8_t order[MAX_RANK];
  int pos;
  bool consumed; /* another group reads a result */
  bool fixed;    /* holds a reduction, whose operand has the shape of the domain: it may not grow */
  int nroot, *root, caproot;
  int nin, *in, capin; /* sources of what it reads from other groups and from memory */
  int cone;
} Work;

enum { NREADERS = 4, NRECENT = 16 };

typedef struct {
  const Fn *f;
  Arena *arena;
  Uses uses;
  bool *live, *kept; /* kept: stored or an output */
  bool *fold;        /* mul by (N,1,S), or dwconv, that contractions compute for themselves */
  Placement *place;
  Front **front;           /* of inline nodes */
  int *group;              /* of roots */
  int (*reader)[NREADERS]; /* per source: the last maps that read it, -1 = none */
  Work *work;
  int nwork, capwork;
  int recent[NRECENT], nrecent; /* the last maps over small domains */
  int now;                      /* last position handed out */
} Fuse;

/* ---- rules.c: what may be where ---- */
bool is_unrolled_red(const Fn *f,
                     const Node *n); /* reduction over axis 1 only, of at most MAP_UNROLL_C elements */
bool is_map_red(const Fn *f, const Node *n); /* reduction a map computes (the others are G_MOVE) */
bool is_elementwise(const Node *n);          /* EW or broadcast */
bool is_view(const Fn *f, const Node *n);
bool is_spatial_gate(const Fn *f, const Node *n); /* mul of x by (N,1,S) or the reverse */
/* Whether operand `v` of node `c` is folded into c's kernel when fold[v] is set: gates into depthwise
 * convolutions, depthwise convolutions into 1x1 convolutions and their weight gradients. */
bool folds_into(const Fn *f, int v, int c);
bool *find_folds(const Fn *f, const Uses *uses, const bool *live, const bool *kept);
bool unrolls_with(Type narrow, Type wide); /* equal but for axis 1, which is 1 against 2..MAP_UNROLL_C */
bool epilogue_operand(Type operand, Type result);

/* ---- write.c ---- */
Fn *fuse_emit(Fuse *z, char err[IR_ERR]);
#endif
