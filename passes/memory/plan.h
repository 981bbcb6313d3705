/* plan.h - static memory plan: intervals in, offsets out. Knows nothing of graphs.
 *
 * Time is the launch number. Buffer i lives from launch `first` (written) to `last` (last read), both included; two
 * buffers whose lives meet never share a byte, except where `may_alias` says that i may take over the place of a
 * buffer whose last read is the launch that writes i.
 */
#ifndef NETC_PLAN_H
#define NETC_PLAN_H
#include <stdint.h>
#include <stdio.h>
#include <stdbool.h>

typedef struct {
  int64_t size;    /* bytes, > 0 */
  int first, last; /* launches */
  int may_alias; /* index of a buffer this one may overlay when that dies at `first` and is at least as large; -1 */
  int64_t offset; /* result, a multiple of PLAN_ALIGN */
} PlanBuf;
enum { PLAN_ALIGN = 64 };

/* Fills offsets, returns the arena's size in bytes. Tries best-fit by size and by lifetime and keeps the smaller. */
int64_t plan_arena(PlanBuf *buf, int n);
/* Largest sum of live bytes at any launch: no plan without overlay can be smaller. */
int64_t plan_lower_bound(const PlanBuf *buf, int n);
/* Recomputes lifetimes independently; false and the offending pair when two live buffers overlap. */
bool plan_check(const PlanBuf *buf, int n, int *a, int *b);
#endif
