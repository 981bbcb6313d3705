/* one_arena.h - an arena for the tests of a file, anew for each ARENA_TEST, or for all of them together. */
#ifndef NETC_ONE_ARENA_H
#define NETC_ONE_ARENA_H
#include "tests/test.h"
#include "ir/mem.h"

static Arena *arena;

FIXTURE(arena_set_up) { return (arena = arena_new()) ? 0 : -1; }

FIXTURE(arena_tear_down) {
  arena_free(arena);
  return 0;
}

#define ARENA_TEST(name) TEST_WITH(arena_set_up, arena_tear_down, name)
#endif
