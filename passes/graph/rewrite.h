/* rewrite.h - building a new function from an old one, node by node, with a map from old ids to new ones.
 *
 *   Rewrite r = rewrite_begin(f);
 *   for (int i = 0; i < f->n; i++) r.map[i] = rewrite_copy(&r, i);   // or whatever replaces node i
 *   return rewrite_end(&r, err);                                     // stores and outputs follow the map */
#ifndef NETC_REWRITE_H
#define NETC_REWRITE_H
#include "ir/ir.h"

typedef struct {
  const Fn *from;
  Fn *to;
  int *map; /* per old node: the new node that holds its value, -1 = none yet */
} Rewrite;

Rewrite rewrite_begin(const Fn *f);
/* Appends old node i with mapped operands; returns the new id. Does not touch the map. */
int rewrite_copy(Rewrite *r, int i);
/* Gives the new function the old one's stores and outputs. NULL and a message when a node could not be built.
 */
Fn *rewrite_end(Rewrite *r, char err[IR_ERR]);

/* Per node: whether a store, an output or a kept node needs it. From the arena of the program. */
bool *live_nodes(const Fn *f);
/* Which consumers read each node: reader[first[i]] .. reader[first[i+1]-1], in program order, a consumer once
 * per operand. */
typedef struct {
  int *first, *reader;
} Uses;
Uses fn_uses(const Fn *f);
/* const, iota, rand: cheaper to compute than to load. */
bool is_free_leaf(const Node *n);
#endif
