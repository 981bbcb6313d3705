/* storage.h - where the values of a fused function lie: most in memory of their own, some inside of another
 * value.
 *
 * A value that is only part of a concatenation is best written right where the concatenation holds it, and a
 * slice is best read where its operand holds it; then neither op moves anything. Such a value is a view: it
 * has an owner, the element of the owner it starts at, and the owner's strides. In memory order channels last
 * a piece of a channel concatenation has the pitch of all channels from pixel to pixel.
 *
 * Promises, which let emitters treat views like other values with other strides:
 *   - the owner lies densely in its memory order, and a view's axes are nested as in its own memory order;
 *   - a view's strides let its spatial axes be walked as one;
 *   - its innermost neighbours are neighbours in memory, at least STORAGE_RUN of them;
 *   - who writes a view is elementwise, the epilogue of a contraction, or movement that says it can
 *     (storage.c), and so is who reads it: operands of contractions, results of reductions, outputs and
 *     stored values are no views. */
#ifndef NETC_STORAGE_H
#define NETC_STORAGE_H
#include "passes/fuse/fuse.h"

enum { STORAGE_RUN = 8 };

/* Element (c0, c1, ..) lies `offset` + sum of stride[a] * c[a] elements into the memory of `owner`. */
typedef struct {
  int owner;
  int64_t offset, stride[MAX_RANK]; /* stride 0 along axes of extent 1 */
} Storage;

/* One per node. Views by reshape have the owner of what they view. Memory from the program's arena. */
Storage *storage_of_values(const Fn *f);
/* Whether operand k of concat `node` lies in its result, or (k = 0) the slice `node` in its operand: nothing
 * to do. */
bool storage_in_place(const Fn *f, const Storage *s, int node, int k);
#endif
