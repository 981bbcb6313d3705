/* expr.h - the inside of Expr (emit.h), for expr.c, expr_ops.c and the map emitter.
 *
 * A walk is how an array is stepped through: the element it starts at, and element strides along the logical axes, 0
 * where it has extent 1. A place has a coordinate per logical axis; the element there is base + sum stride * coord. Axes that a map folds
 * into one loop share the coordinate of their innermost one, the others' being 0: the strides make that come
 * out right.
 *
 * Slots are places evaluated side by side: nv neighbouring vectors times nu coordinates along an unrolled
 * axis. Slot (i, u) has number i * nu + u. A node that does not vary along i or u is computed once, in the
 * first slot it could stand in (its home).
 */
#ifndef NETC_EXPR_H
#define NETC_EXPR_H
#include "codegen/emit/core/emit.h"

typedef struct {
  int64_t base, stride[MAX_RANK];
} Walk;

enum { VARY_I = 1, VARY_U = 2, VARY_ALL = 3 };

struct Expr {
  Emit *e;
  const GroupInfo *g;
  Build *b;
  KFn *k;
  int group;       /* number of the group */
  int nid, *id;    /* nodes of the group and their operands, ascending: the local number is the index */
  uint8_t *vary;   /* per local number: VARY_* */
  int nv, nu, cur; /* slots, and the one in use */
  Coord *place;    /* per slot */
  KV *val,
      *cond; /* per slot and local number: value, and for comparisons the i1 it came from; K_NONE = unknown */
};

/* A node the group does not compute: read from a buffer, or a constant. */
bool expr_outside(const Expr *x, int node);
int expr_local(const Expr *x, int node);
/* Room for nv * nu slots; forgets all values. */
void expr_slots(Expr *x, int nv, int nu);
int expr_home(const Expr *x, int local, int slot);
KV expr_value_in(Expr *x, int slot, int node);

Walk walk_of(const Emit *e, int node); /* by its storage */
Walk walk_row_major(Type t);
Walk walk_iota(const Node *n);
/* Element of the walk at place p, plus `at` (i64). */
KV walk_at(KFn *k, const Walk *w, const Coord *p, KV at);
KV walk_load(KFn *k, KV buf, const Walk *w, const Coord *p);
void walk_store(KFn *k, KV buf, const Walk *w, const Coord *p, KV base, KV v);

/* expr_ops.c: the elementwise op of node n on values in[]; `cond`: i1 form of in[0] or K_NONE. A comparison
 * gives i1. */
KV expr_op(Expr *x, const Node *n, const KV *in, KV cond);
/* cond ? a : b, splat where one of them is a vector. */
KV expr_pick(KFn *k, KV cond, KV a, KV b);
#endif
