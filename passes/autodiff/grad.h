/* grad.h - what the gradient rules (grad_*.c) share with the sweep that calls them (autodiff.c).
 *
 * A rule is called with a node of the function, the id of its result and the adjoint dy of that result, and
 * gives each operand its share with grad_give(). Operands that do not lead to a wanted value need nothing: a
 * rule may ask grad_wants() first to save building nodes in vain; what is built in vain is dropped by
 * simplify. */
#ifndef NETC_GRAD_H
#define NETC_GRAD_H
#include "ir/ir.h"

typedef struct {
  Fn *f;
  int *adjoint; /* per node up to the loss, -1 = none yet */
  bool *need;   /* a wanted value, or computed from one */
  int loss;
} Sweep;

typedef void GradRule(Sweep *s, const Node *n, int y, int dy);

bool grad_wants(const Sweep *s, const Node *n, int operand);
/* Adds g, summed down to the operand's shape, to the operand's adjoint. */
void grad_give(Sweep *s, const Node *n, int operand, int g);

/* One rule per name in ir/ops.def's gradient column. */
/* clang-format off */
#define GRAD_RULES(X) \
  X(neg) X(abs) X(exp) X(log) X(sqrt) X(rsqrt) X(cos) X(sin) X(sigmoid) X(tanh) X(relu) X(leaky) X(powc) \
  X(cast) X(add) X(sub) X(mul) X(div) X(min) X(max) X(select) X(sum) X(amax) X(amin) X(softmax) \
  X(log_softmax) X(batchnorm) X(conv) X(conv_dx) X(conv_dw) X(dwconv) X(dwconv_dx) X(dwconv_dw) \
  X(matmul) X(inner) X(reshape) X(broadcast) X(concat) X(slice) X(pad) X(upsample) X(sumpool) X(maxpool) \
  X(resize) X(resize_dx) X(orient)
/* clang-format on */
#define X(name) GradRule grad_##name;
GRAD_RULES(X)
#undef X
#define grad_zero NULL /* not differentiable: the sweep stops there */
#endif
