/* order.h - memory orders of tensors: which axis is outermost, which innermost. */
#ifndef NETC_ORDER_H
#define NETC_ORDER_H
#include "ir/ir.h"

/* Memory order (pass layout). order[] lists the axes from outermost to innermost in memory:
 *   rank >= 4 (images and everything shaped like them): 0,2,3,..,1, channels last;
 *   weights of conv/conv_dx, results of conv_dw, and what is elementwise on them: 2,3,..,1,0 (K..., C, O),
 *   the output channel innermost;
 *   dwconv weights (N,C,K) are channels last by the first rule; rank <= 3: 0,1,2 row-major.
 * A variable has one order for the whole program; its stores have the same. Elementwise nodes of full shape
 * agree with their operands. reshape that only inserts or drops axes of extent 1 is a view: its order follows
 * its operand so that the memory is the same. Any other reshape copies. */
/* Elements between neighbours along the axis; 0 where its extent is 1. */
int64_t order_stride(Type t, const uint8_t *order, int axis);
void order_identity(uint8_t *order);
void order_channels_last(uint8_t *order, int rank);
void order_weights(uint8_t *order, int rank);
/* true when x and y = reshape(x) lie in memory identically. */
bool reshape_is_view(const Node *x, const Node *y);

/* Channels last from rank 4 on, else row-major. */
void order_default(uint8_t *order, int rank);
/* True when both orders place the elements of a tensor of type t identically (axes of extent 1 do not count).
 */
bool order_same(Type t, const uint8_t *a, const uint8_t *b);
/* True when the two types differ by axes of extent 1 only. */
bool reshape_drops_ones(Type x, Type y);
/* The order that makes a reshape of x to type y, which drops or inserts axes of extent 1, a view. */
void order_of_view(const Node *x, Type y, uint8_t *order);
#endif
