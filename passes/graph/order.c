/* order.c - memory orders of tensors: which axis is outermost, which innermost. */
#include "passes/graph/order.h"
#include <string.h>

int64_t order_stride(Type t, const uint8_t *order, int axis) {
  if (t.dim[axis] == 1) return 0;
  int64_t stride = 1;
  for (int k = t.rank - 1; k >= 0 && order[k] != axis; k--) stride *= t.dim[order[k]];
  return stride;
}

void order_identity(uint8_t *order) {
  for (int k = 0; k < MAX_RANK; k++) order[k] = (uint8_t)k;
}

void order_channels_last(uint8_t *order, int rank) {
  order_identity(order);
  if (rank < 3) return;
  for (int k = 1; k < rank - 1; k++) order[k] = (uint8_t)(k + 1);
  order[rank - 1] = 1;
}

void order_weights(uint8_t *order, int rank) {
  order_identity(order);
  if (rank < 2) return;
  for (int k = 0; k < rank - 2; k++) order[k] = (uint8_t)(k + 2);
  order[rank - 2] = 1;
  order[rank - 1] = 0;
}

void order_default(uint8_t *order, int rank) {
  if (rank >= 4) order_channels_last(order, rank);
  else order_identity(order);
}

/* Lists the axes of extent > 1 from outermost to innermost; returns how many there are. */
static int wide_axes(Type t, const uint8_t *order, int *axis) {
  int n = 0;
  for (int k = 0; k < t.rank; k++)
    if (t.dim[order[k]] > 1) axis[n++] = order[k];
  return n;
}

bool order_same(Type t, const uint8_t *a, const uint8_t *b) {
  int x[MAX_RANK], y[MAX_RANK], n = wide_axes(t, a, x);
  return n == wide_axes(t, b, y) && !memcmp(x, y, (size_t)n * sizeof *x);
}

/* Where axis i of t stands among its axes of extent > 1. */
static int wide_rank(Type t, int i) {
  int r = 0;
  for (int k = 0; k < i; k++) r += t.dim[k] > 1;
  return r;
}

bool reshape_drops_ones(Type x, Type y) {
  int i = 0, j = 0;
  for (;;) {
    while (i < x.rank && x.dim[i] == 1) i++;
    while (j < y.rank && y.dim[j] == 1) j++;
    if (i == x.rank || j == y.rank) return x.dt == y.dt && i == x.rank && j == y.rank;
    if (x.dim[i++] != y.dim[j++]) return false;
  }
}

bool reshape_is_view(const Node *x, const Node *y) {
  if (!reshape_drops_ones(x->type, y->type)) return false;
  int a[MAX_RANK], b[MAX_RANK], n = wide_axes(x->type, x->order, a);
  wide_axes(y->type, y->order, b);
  for (int k = 0; k < n; k++)
    if (wide_rank(x->type, a[k]) != wide_rank(y->type, b[k])) return false;
  return true;
}

void order_of_view(const Node *x, Type y, uint8_t *order) {
  Node n = {.type = y};
  order_default(n.order, y.rank);
  bool fits = reshape_is_view(x, &n);
  if (!fits) {
    order_weights(n.order, y.rank);
    fits = reshape_is_view(x, &n);
  }
  if (!fits) { /* axes of extent 1 outermost, then the others as x has them */
    int wide[MAX_RANK], a[MAX_RANK], m = 0, at = 0, nwgmma = wide_axes(x->type, x->order, a);
    for (int i = 0; i < y.rank; i++) {
      if (y.dim[i] > 1) wide[m++] = i;
      else n.order[at++] = (uint8_t)i;
    }
    for (int k = 0; k < nwgmma; k++) n.order[at++] = (uint8_t)wide[wide_rank(x->type, a[k])];
  }
  memcpy(order, n.order, sizeof n.order);
}
