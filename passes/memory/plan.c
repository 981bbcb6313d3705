/* plan.c - static memory plan. Buffers are placed one after another, each in the tightest gap between the
 * already placed buffers that live at the same time. What order is best depends on the graph, so several are
 * tried and the smallest arena wins. In-place pairs of equal size are tried both ways: merged into one block
 * that lives through both, and apart. */
#include "passes/memory/plan.h"
#include "ir/ints.h"
#include "ir/mem.h"
#include <stdlib.h>
#include <string.h>

/* One or more buffers that share their place. */
typedef struct {
  int64_t size;
  int first, last;
  int64_t offset;
  int id;
} Block;

typedef int (*Compare)(const void *, const void *);

static int sign64(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int by_size(const void *pa, const void *pb) {
  const Block *a = pa, *b = pb;
  int c = sign64(b->size, a->size);
  if (!c) c = sign64(b->last - b->first, a->last - a->first);
  return c ? c : sign64(a->id, b->id);
}

static int by_lifetime(const void *pa, const void *pb) {
  const Block *a = pa, *b = pb;
  int c = sign64(b->last - b->first, a->last - a->first);
  if (!c) c = sign64(b->size, a->size);
  return c ? c : sign64(a->id, b->id);
}

static int by_first(const void *pa, const void *pb) {
  const Block *a = pa, *b = pb;
  int c = sign64(a->first, b->first);
  if (!c) c = sign64(b->size, a->size);
  return c ? c : sign64(a->id, b->id);
}

/* Whether buffer i may lie exactly on the buffer named by its `may_alias`. The donor must be older than i, so
 * that chains of such pairs are ordered in time. */
static bool may_overlay(const PlanBuf *buf, int n, int i) {
  int d = buf[i].may_alias;
  if (d < 0 || d >= n || d == i) return false;
  return buf[d].last == buf[i].first && buf[d].first < buf[i].first && buf[d].size >= buf[i].size;
}

/* Offset for block b in the tightest gap among placed blocks (sorted by offset) that live when b does; sets
 * *at to its rank in that list. */
static int64_t best_fit(Block *const *placed, int n, const Block *b, int *at) {
  int64_t end = 0, best = -1, best_gap = INT64_MAX;
  for (int i = 0; i < n; i++) {
    const Block *p = placed[i];
    if (p->last < b->first || p->first > b->last) continue;
    int64_t gap = p->offset - end;
    if (gap >= b->size && gap < best_gap) best = end, best_gap = gap;
    if (p->offset + p->size > end) end = p->offset + p->size;
  }
  if (best < 0) best = end;
  int lo = 0, hi = n;
  while (lo < hi) {
    int mid = (lo + hi) / 2;
    if (placed[mid]->offset <= best) lo = mid + 1;
    else hi = mid;
  }
  *at = lo;
  return best;
}

/* Places all blocks in the given order; returns the arena's size. */
static int64_t place(Block *block, int n, Compare order, Block **placed) {
  int64_t arena = 0;
  qsort(block, (size_t)n, sizeof *block, order);
  for (int i = 0; i < n; i++) {
    int at;
    block[i].offset = best_fit(placed, i, &block[i], &at);
    memmove(placed + at + 1, placed + at, sizeof *placed * (size_t)(i - at));
    placed[at] = &block[i];
    if (block[i].offset + block[i].size > arena) arena = block[i].offset + block[i].size;
  }
  return arena;
}

static int follow(const int *chain, int i) {
  while (chain[i] >= 0) i = chain[i];
  return i;
}

/* chain[i] = the donor i is merged with, or -1. A donor is taken by one buffer only. */
static void merge_may_alias(const PlanBuf *buf, int n, int *chain, bool *taken) {
  for (int i = 0; i < n; i++) {
    int d = buf[i].may_alias;
    if (!may_overlay(buf, n, i) || taken[d] ||
        round_up(buf[d].size, PLAN_ALIGN) != round_up(buf[i].size, PLAN_ALIGN))
      continue;
    chain[i] = d;
    taken[d] = true;
  }
}

static int make_blocks(const PlanBuf *buf, int n, const int *chain, Block *block, int *block_of) {
  int nblock = 0;
  for (int i = 0; i < n; i++) {
    if (chain[i] >= 0) continue;
    block_of[i] = nblock;
    block[nblock] = (Block){round_up(buf[i].size, PLAN_ALIGN), buf[i].first, buf[i].last, 0, nblock};
    nblock++;
  }
  for (int i = 0; i < n; i++) {
    if (chain[i] < 0) continue;
    Block *b = &block[block_of[i] = block_of[follow(chain, i)]];
    if (buf[i].last > b->last) b->last = buf[i].last;
  }
  return nblock;
}

int64_t plan_arena(PlanBuf *buf, int n) {
  if (n <= 0) return 0;
  static const Compare orders[] = {by_size, by_lifetime, by_first};
  Arena *a = arena_new();
  size_t count = (size_t)n;
  Block *block = arena_alloc(a, count * sizeof *block);
  Block **placed = arena_alloc(a, count * sizeof *placed);
  int *chain = arena_alloc(a, count * sizeof *chain), *block_of = arena_alloc(a, count * sizeof *block_of);
  int64_t *offset = arena_alloc(a, count * sizeof *offset), best = -1;
  memset(chain, -1, count * sizeof *chain);
  for (int merged = 0; merged < 2; merged++) {
    if (merged) merge_may_alias(buf, n, chain, arena_alloc(a, count));
    int nblock = make_blocks(buf, n, chain, block, block_of);
    for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
      int64_t size = place(block, nblock, orders[o], placed);
      if (best >= 0 && size >= best) continue;
      best = size;
      for (int i = 0; i < nblock; i++) offset[block[i].id] = block[i].offset;
      for (int i = 0; i < n; i++) buf[i].offset = offset[block_of[i]];
    }
  }
  arena_free(a);
  return best;
}

int64_t plan_lower_bound(const PlanBuf *buf, int n) {
  int end = 0;
  for (int i = 0; i < n; i++)
    if (buf[i].last + 1 > end) end = buf[i].last + 1;
  Arena *a = arena_new();
  int64_t *change = arena_alloc(a, ((size_t)end + 1) * sizeof *change), live = 0, most = 0;
  for (int i = 0; i < n; i++) {
    change[buf[i].first] += round_up(buf[i].size, PLAN_ALIGN);
    change[buf[i].last + 1] -= round_up(buf[i].size, PLAN_ALIGN);
  }
  for (int t = 0; t <= end; t++) {
    live += change[t];
    if (live > most) most = live;
  }
  arena_free(a);
  return most;
}

/* Buffers sorted by offset: two that share bytes are found by walking on from the lower one until its end. */
typedef struct {
  int64_t lo, hi;
  int id;
} Span;

static int by_offset(const void *pa, const void *pb) {
  const Span *a = pa, *b = pb;
  int c = sign64(a->lo, b->lo);
  return c ? c : sign64(a->id, b->id);
}

static bool overlay_is_legal(const PlanBuf *buf, int n, int i, int donor) {
  return buf[i].may_alias == donor && may_overlay(buf, n, i) && buf[i].offset == buf[donor].offset;
}

bool plan_check(const PlanBuf *buf, int n, int *a, int *b) {
  if (n <= 0) return true;
  Arena *arena = arena_new();
  Span *span = arena_alloc(arena, (size_t)n * sizeof *span);
  bool ok = true;
  for (int i = 0; i < n; i++) {
    span[i] = (Span){buf[i].offset, buf[i].offset + buf[i].size, i};
    if (ok && (buf[i].offset < 0 || buf[i].offset % PLAN_ALIGN)) *a = *b = i, ok = false;
  }
  qsort(span, (size_t)n, sizeof *span, by_offset);
  for (int i = 0; ok && i < n; i++) {
    for (int j = i + 1; ok && j < n && span[j].lo < span[i].hi; j++) {
      int p = span[i].id, q = span[j].id;
      bool meet = buf[p].first <= buf[q].last && buf[q].first <= buf[p].last;
      if (!meet || overlay_is_legal(buf, n, p, q) || overlay_is_legal(buf, n, q, p)) continue;
      *a = p < q ? p : q;
      *b = p < q ? q : p;
      ok = false;
    }
  }
  arena_free(arena);
  return ok;
}
