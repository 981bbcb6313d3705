/* order.h - what passes need of memory orders beyond passes.h. */
#ifndef NETC_ORDER_H
#define NETC_ORDER_H
#include "passes/passes.h"

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
