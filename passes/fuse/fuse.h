/* fuse.h - what pass `fuse` promises the code generator.
 *
 * After the pass every node belongs to exactly one group (Node.group >= 0), except nodes that need no kernel:
 * var, input, const of rank 0 used as an operand, and reshape views (group -1). Groups are numbered in an
 * order in which they can run; nodes of one group need not be adjacent in the list, but every operand of a
 * group is a result of an earlier group, a leaf, or inside the group. A value is materialised (has a buffer)
 * when a node of another group, a store or an output reads it; group_values() computes that.
 *
 * Leaves iota, rand and const, being free to recompute, are cloned into each group that reads them.
 * Elementwise nodes may be cloned too, when reading their operands again costs no more than reading them
 * would.
 *
 *   G_MAP       Anchor: -1. EW/RED/broadcast over one domain shape D: every node's shape broadcasts to D. RED
 *               nodes reduce an operand of shape D. No node depends on a RED of its own group, except where
 *               the RED runs over axis 1 only and C = dim 1 <= MAP_UNROLL_C (unrolled).
 *   G_CONV      Anchor: conv, conv_dx. EW epilogue on the anchor's result: shapes equal to it, operands of
 *               the result's shape or broadcast (1,C,1..), (N,C,1..), (N,1,S), scalars. One materialised
 *               result or several.
 *   G_WGRAD     Anchor: conv_dw. Nothing else, or for DyBAC the recomputed input: [mul x s(N,1,S)] dwconv ->
 *               x of conv_dw.
 *   G_DEPTHWISE Anchor: dwconv, dwconv_dx. Prologue mul x s(N,1,S) on the first operand; epilogue as G_CONV.
 *   G_DEPTHWISE_WGRAD  Anchor: dwconv_dw. Prologue mul x s(N,1,S) on x.
 *   G_DYBAC     Anchor: conv (1x1). DyBAC forward: [mul x s(N,1,S)] -> dwconv -> conv 1x1 (the anchor) ->
 *               epilogue. Neither the scaled input nor the depthwise result is stored.
 *   G_MATMUL    Anchor: matmul, inner. Nothing else.
 *   G_MOVE      Anchor: reshape (copy), concat, slice, pad, upsample, sumpool, maxpool, maxpool_dx, resize,
 *               resize_dx, orient, argmax/argmin where not unrolled. Nothing else. */
#ifndef NETC_FUSE_H
#define NETC_FUSE_H
#include "ir/ir.h"

enum { G_MAP, G_CONV, G_WGRAD, G_DEPTHWISE, G_DEPTHWISE_WGRAD, G_DYBAC, G_MATMUL, G_MOVE, G_KINDS };
extern const char *const group_kind_name[G_KINDS];
enum { MAP_UNROLL_C = 8 };

typedef struct {
  int kind, anchor;
  int nnode, *node; /* ids in program order */
  int nin,
      *in; /* materialised values the group reads: ids outside the group (views resolved to their source) */
  int nout, *out; /* nodes of the group that are materialised */
  Type domain;    /* G_MAP: D; else the anchor's type */
} GroupInfo;

/* One GroupInfo per group, in order; memory from the program's arena. */
GroupInfo *group_values(const Fn *f);
/* Follow reshape views (and nothing else) down to the node that owns the memory. */
int value_source(const Fn *f, int node);

Fn *pass_fuse(Fn *f, char err[IR_ERR]);
#endif
