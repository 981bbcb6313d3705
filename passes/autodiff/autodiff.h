/* autodiff.h - pass `autodiff`: replaces every `grad loss w` by the nodes that compute it. */
#ifndef NETC_AUTODIFF_H
#define NETC_AUTODIFF_H
#include "ir/ir.h"

Fn *pass_autodiff(Fn *f, char err[IR_ERR]);
#endif
