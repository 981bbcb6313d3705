/* test_mem.c - arenas: memory is zeroed and distinct whatever was released before; a random run of marks,
 * allocations, growing arrays and releases, small and of several chunks, beside what every live block should
 * hold. */
#include <stdint.h>
#include <string.h>
#include "tests/test.h"
#include "ir/mem.h"

static uint32_t state = 1;
static uint32_t below(uint32_t n) {
  state = state * 1664525u + 1013904223u;
  return (state >> 8) % n;
}

typedef struct {
  unsigned char *p;
  size_t n;
  unsigned char holds;
} Block;

static void check(const Block *b) {
  for (size_t i = 0; i < b->n; i += b->n < 4096 ? 1 : 509) assert_int_equal(b->p[i], b->holds);
  if (b->n) assert_int_equal(b->p[b->n - 1], b->holds);
}

static Block take(Arena *a, unsigned char holds) {
  size_t n = below(8) ? below(2000) : below(12) ? below(300000) : below(9000000);
  Block b = {arena_alloc(a, n), n, 0};
  assert_int_equal((uintptr_t)b.p % 16, 0);
  check(&b);
  b.holds = holds;
  memset(b.p, holds, n);
  return b;
}

TEST(released_memory_comes_back_zeroed_and_distinct) {
  enum { MOST = 400, MARKS = 8 };
  static Block block[MOST];
  ArenaMark mark[MARKS];
  int at[MARKS], nblock = 0, nmark = 0;
  Arena *parent = arena_new(), *a = arena_child(parent);
  for (int step = 0; step < 3000; step++) {
    uint32_t what = below(20);
    if (what == 0 && nmark < MARKS) {
      at[nmark] = nblock;
      mark[nmark++] = arena_mark(a);
    } else if ((what < 3 || nblock == MOST) && nmark) {
      nmark--;
      for (int i = 0; i < nblock; i++) check(&block[i]);
      arena_release(a, mark[nmark]);
      nblock = at[nmark];
    } else if (nblock < MOST) {
      block[nblock++] = take(a, (unsigned char)(1 + below(255)));
    }
  }
  for (int i = 0; i < nblock; i++) check(&block[i]);
  arena_free(parent);
}

TEST(arrays_grow_and_keep_their_elements) {
  Arena *a = arena_new();
  int *x = NULL, *y = NULL, nx = 0, ny = 0, capx = 0, capy = 0;
  for (int i = 0; i < 200000; i++) {
    *ARENA_PUSH(a, x, nx, capx) = i;
    if (i % 1000 == 0) *ARENA_PUSH(a, y, ny, capy) = -i; /* now and then something lies behind x */
  }
  for (int i = 0; i < nx; i++) assert_int_equal(x[i], i);
  for (int i = 0; i < ny; i++) assert_int_equal(y[i], -1000 * i);
  for (int i = nx; i < capx; i++) assert_int_equal(x[i], 0);
  arena_free(a);
}

RUN_TESTS(NULL, NULL)
