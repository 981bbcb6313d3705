/* sum_parts.h - adding partial results in order. Where a summed axis is cut into parts, so that there are
 * tasks enough, every part has a workspace of its own, part after part, and a launch behind adds them: the
 * first and the second, to that the third, and so on. Which part was done first does not matter then, and the
 * sum follows from the shape. */
#ifndef NETC_SUM_PARTS_H
#define NETC_SUM_PARTS_H
#include "codegen/emit/core/box.h"

enum { SUM_MOST_PARTS = 32 }; /* of sum_parts_loaded */

/* Appends the launch that adds the parts of n elements each, parts[isa] of them, of workspace ws: buffer out.
 * For weight gradients, whose parts may differ between instruction sets. */
void sum_parts(Emit *e, const GroupInfo *g, int64_t n, const int64_t *parts, int ws, int out);
/* The same for parts that are as many for every set. */
void sum_parts_plain(Emit *e, const GroupInfo *g, int64_t n, int64_t parts, int ws, int out);

/* Code of a kernel that has more to do with a sum than to store it: the vector at elements first, first +
 * apart, .. of `sums`, each further by `at`. Loads come before all additions, so that all are on their way at
 * once. No parts: 0. */
KV sum_parts_loaded(KFn *k, KV sums, KV at, int64_t first, int64_t apart, int64_t parts, KV mask);
#endif
