/* passes.h - graph to graph. Every pass takes a function and returns a new one (or the same); a pass never
 * edits nodes another function holds. The pipeline is the table in pipeline.c; `netc --dump-after=NAME`
 * prints after one.
 *
 *   canon     before autodiff: rewrites whose gradient is cheaper than the original's
 *             (dwconv(x*g[N,C,1..], w) -> dwconv(x, w*g)).
 *   autodiff  replaces every `grad loss w` by the nodes that compute it. Needs: no COMP expanded yet. Leaves
 *             no META.
 *   simplify  common subexpressions, dead nodes, constant folding, identities. Keeps values bit for bit.
 *   expand    rewrites COMP ops into EW and RED. Leaves no COMP and no `stop`.
 *   moments   mean and variance of large values in one sweep instead of two.
 *   layout    sets Node.order and Var.order (passes/graph/order.h).
 *   schedule  reorders nodes so that large values live shortly: each forward pass shortly before its backward
 *             one.
 *   fuse      sets Node.group and Fn.group (passes/fuse/fuse.h). May clone cheap nodes so that each is in one
 *             group.
 *   precision when Program.storage is BF16, gives large stored activations and their gradients type bf16.
 *   remat     computes values again for the backward pass instead of keeping them (passes/remat/remat.h).
 *             Promises of passes/fuse/fuse.h hold. */
#ifndef NETC_PASSES_H
#define NETC_PASSES_H
#include "ir/ir.h"

typedef struct Pass {
  const char *name;
  Fn *(*run)(Fn *f, char err[IR_ERR]); /* NULL and a message on failure */
  const char *doc;
} Pass;
extern const Pass pass_table[]; /* in pipeline order, ends with name == NULL */

Fn *pass_canon(Fn *f, char err[IR_ERR]);
Fn *pass_simplify(Fn *f, char err[IR_ERR]);
Fn *pass_expand(Fn *f, char err[IR_ERR]);
Fn *pass_moments(Fn *f, char err[IR_ERR]);
Fn *pass_layout(Fn *f, char err[IR_ERR]);
Fn *pass_schedule(Fn *f, char err[IR_ERR]);
Fn *pass_precision(Fn *f, char err[IR_ERR]);
bool precision_allows(Op op); /* may results of this op be stored as bf16? */
/* Gives the marked nodes of a fused function, and views of them, type bf16, and says which contractions round
 * their operands; edits f. */
void precision_set(Fn *f, const bool *bf16);

typedef struct {
  const char *dump_after; /* pass name, "all", or NULL */
  FILE *dump;             /* where dumps go */
  bool verify;            /* run the verifier after every pass */
  Fn **fused;             /* where not NULL: the functions as they were before pass remat */
} PassOptions;
/* Run the whole pipeline on every function of the program. false and a message on failure. */
bool passes_run(Program *p, const PassOptions *opt, char err[IR_ERR]);
#endif
