/* fold_constants.h - constant folding of values that are one number repeated. */
#ifndef NETC_SIMPLIFY_FOLD_H
#define NETC_SIMPLIFY_FOLD_H
#include "ir/ir.h"

/* True when every element of node n (not yet part of f, its operands are) is the same known number; sets *v.
 */
bool fold_splat(const Fn *f, const Node *n, double *v);
#endif
