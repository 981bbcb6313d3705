/* test_map_graphs.c - random graphs of maps (tests/ir/gen_maps.h) through all passes and the emitters: in
 * turn exact integers, real numbers, and real numbers with gradients. tests/codegen/gpu/test_gpu_map_graphs.c
 * is the same for the kernels of a GPU.
 *
 *   GEN_GRAPHS=5000 build/tests/test_map_graphs                 many more than ctest has time for
 *   GEN_FROM=317 GEN_GRAPHS=1 build/tests/test_map_graphs       one that failed, again */
#include "tests/test.h"
#include "tests/codegen/emit/run_passes.h"
#include "tests/codegen/module/run_plan.h"
#include "tests/ir/gen_maps.h"
#ifndef GRAPHS
#define GRAPHS 32
#endif

static int setting(const char *name, int otherwise) {
  const char *text = getenv(name);
  return text ? atoi(text) : otherwise;
}

typedef struct {
  Arena *arena;
  Fn *f;
  bool exact;
} Graph;

static Graph make_graph(int seed) {
  Graph m = {.arena = arena_new(), .exact = seed % 3 == 0};
  Gen g = gen_new(prog_new(m.arena), (uint64_t)seed, GEN_INT | GEN_RAND | (m.exact ? GEN_EXACT : 0));
  m.f = gen_maps(&g, arena_printf(m.arena, "map graph %d", seed), 8 + seed % 32);
  if (m.f && seed % 3 == 2) gen_maps_loss(&g);
  if (g.f->err[0]) fail_msg("map graph %d: %s", seed, g.f->err);
  return m;
}

static void each_graph(void (*check)(const Graph *), int share) {
  int from = setting("GEN_FROM", 0), graphs = setting("GEN_GRAPHS", GRAPHS);
  fill_lo = -1, fill_hi = 1;
  for (int seed = from; seed < from + graphs; seed++) {
    if (seed % share) continue;
    Graph m = make_graph(seed);
    check(&m);
    arena_free(m.arena);
  }
}

static void check_launches(const Graph *m) {
  RunCase c = {.seed = 7, .iteration = 3, .fill = run_fill_int, .what = m->f->name};
  if (!m->exact) c.tolerance = 5e-5, c.fill = fill_range;
  check_fn(m->f, c, m->exact ? 0 : 1e-4);
}

TEST(random_graphs_of_maps_agree) { each_graph(check_launches, 1); }

#ifndef ON_GPU
/* All launches over one arena, where values lie over others that are done with. */
static void check_planned(const Graph *m) {
  Program *p = m->f->prog;
  p->fn[0] = m->f;
  plan_run_filled(p, m->f->name, m->exact ? 0 : 5e-5, 2, m->exact ? run_fill_int : fill_range);
}

TEST(random_graphs_of_maps_agree_in_one_arena) { each_graph(check_planned, 4); }
#endif

RUN_TESTS(NULL, NULL)
