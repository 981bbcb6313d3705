/* map.h - the inside of the map emitter.
 *
 * A sweep is one pass over a domain that stores some elementwise values and computes some reductions: one
 * launch, and a second small one where a reduction's tasks leave partial results. A group is mostly one
 * sweep; results that cannot share loops get further ones.
 *
 * The loops of a sweep run over `dims`: memory axes of extent > 1, neighbours folded into one where every
 * array of the sweep walks them alike. One dim runs along the lanes (v); a small one may be unrolled (u), its
 * values side by side in registers: that is how channel reductions inside a group (softmax) stay in one
 * kernel. The others are loops. Loops are ordered so that a reduction's kept dims lie outside of the ones it
 * sums over; its accumulators live from loop `level` inwards. */
#ifndef NETC_MAP_H
#define NETC_MAP_H
#include "codegen/emit/core/expr.h"

enum {
  MAP_GRAIN = 256, /* elements along the lanes that a task takes at least: a multiple of every block's */
  MAP_SLOTS = 8,   /* most slots of a block */
  MAP_RUN = 64     /* float additions into one accumulator before it is added to the next level's */
};

typedef struct {
  int axis; /* logical axis whose coordinate stands for the dim: the innermost of the folded ones */
  int64_t extent;
} Dim;

typedef struct {
  int node;
  unsigned kept; /* dims the result has */
  int level;     /* loops outside its accumulators */
  int64_t parts; /* partial results, 1 = the tasks write the result itself */
  int work, arg; /* workspace buffer of the partial results, and its argument number */
} Reduction;

typedef struct {
  int dim;
  int64_t chunk, count; /* the task takes [c * chunk, (c + 1) * chunk) of the dim, c < count */
} Split;

typedef struct {
  Type domain;
  const uint8_t *order;
  int nstore, *store; /* elementwise results, one value per place */
  int nred;
  Reduction *red;
  int ncone, *cone; /* nodes the sweep computes, ascending */
  int nload, *load; /* materialised values it reads, ascending */
  int ndim;
  Dim dim[MAX_RANK];         /* in memory order, outermost first */
  int u, v;                  /* -1 = none */
  int nloop, loop[MAX_RANK]; /* all dims but u, outermost first */
  int nv, nu;                /* vectors of a block, values of u: slots of Expr */
  int64_t weight;            /* operations per element, roughly */
  int nsplit;
  Split split[MAX_RANK];
  int64_t tasks;
} Sweep;

/* plan.c: the sweeps of a group. NULL and e->err on failure. */
Sweep *map_sweeps(Emit *e, const GroupInfo *g, int *count);
/* Axes of extent > 1 that a reduction runs over. */
unsigned map_reduced_axes(const Fn *f, const Node *red);
/* Reductions that end inside the registers of one place: over axis 1 unrolled, or over nothing. */
bool map_in_place(const Fn *f, const Node *n);
/* Dims along which the local nodes of x vary, by local number. */
unsigned *map_vary(const Expr *x, const Sweep *s);

/* nest.c: the loops of a sweep into a kernel. */
void map_nest(Emit *e, const Sweep *s, Expr *x);

/* reduce.c: accumulators of the reductions, and the launch that joins partial results. */
typedef struct {
  KV total[MAP_SLOTS]; /* locals, one per slot that accumulates */
  KV run[MAP_SLOTS];   /* where values are added: short runs on their way into total, or total itself */
} Accumulators;
KV reduce_identity(KFn *k, Op op); /* scalar */
KV reduce_two(KFn *k, Op op, KV a, KV b);
KV reduce_lanes(KFn *k, Op op, KV v);
void map_join_parts(Emit *e, const GroupInfo *g, const Sweep *s);
#endif
