/* one_arena.h - an arena for the tests of a file, anew for each. */
#ifndef NETC_ONE_ARENA_H
#define NETC_ONE_ARENA_H
#include "ir/mem.h"

static Arena *arena;
static inline int set_up(void **state) {
  (void)state;
  arena = arena_new();
  return 0;
}
static inline int tear_down(void **state) {
  (void)state;
  arena_free(arena);
  return 0;
}
#endif
