/* sum_parts.c - adding partial results in order (sum_parts.h). */
#include "codegen/emit/core/sum_parts.h"
#include "codegen/util/ints.h"

/* The vector, or element, at `at` of all parts, n elements apart, into local `sum`: a loop over parts. */
static void sum_at(KFn *k, KV sum, KV from, KV at, int64_t parts, int64_t n, bool vec, KV mask) {
  k_set(k, sum, load_lanes(k, from, at, 1, vec, mask));
  KV p = k_for(k, k_i64(k, 1), k_i64(k, parts), 1);
  KV further = k_add(k, at, k_mul(k, p, k_i64(k, n)));
  k_set(k, sum, k_add(k, k_get(k, sum), load_lanes(k, from, further, 1, vec, mask)));
  k_end(k);
}

/* All vectors are masked: one loop does for whole ones and the last. */
static void masked_kernel(Build *b, int64_t n, int64_t parts, int isa) {
  KFn *k = build_kernel(b, isa);
  int64_t chunk = b->e->machine->task_visits;
  KV from = 0, to = 1, start = k_mul(k, k_task(k), k_i64(k, chunk));
  KV end = k_min(k, k_add(k, start, k_i64(k, chunk)), k_i64(k, n));
  KV sum = k_local(k, K_F32, true, "sum");
  KV i = k_for(k, start, end, k->lanes), mask = k_first_lanes(k, k_sub(k, end, i));
  sum_at(k, sum, from, i, parts, n, true, mask);
  k_store_masked(k, to, i, k_get(k, sum), mask);
  k_end(k);
}

void sum_parts(Emit *e, const GroupInfo *g, int64_t n, const int64_t *parts, int ws, int out) {
  int64_t most = 1;
  for (int isa = 0; isa < e->machine->isas; isa++) most = max64(most, parts[isa]);
  Build b = build_begin(e, g, "reduce", "sum_parts:n%ld_parts%ld:f32", (long)n, (long)most);
  build_arg(&b, ws, false);
  build_arg(&b, out, true);
  b.kernel.flops = n * (most - 1);
  b.kernel.bytes = 4 * n * (most + 1);
  EACH_ISA (isa, &b) masked_kernel(&b, n, parts[isa], isa);
  build_end(&b, ceil_div(n, e->machine->task_visits));
}

typedef struct {
  KV from, to;
  int64_t parts, n;
} Parts;

static void sum_body(void *ctx, KFn *k, const Spot *s) {
  const Parts *p = ctx;
  KV sum = k_local(k, K_F32, s->vec, "acc");
  sum_at(k, sum, p->from, s->at[0], p->parts, p->n, s->vec, s->mask);
  store_lanes(k, p->to, s->at[0], 1, k_get(k, sum), s->vec, s->mask);
}

/* Whole vectors have no mask here, the last one has code of its own. */
void sum_parts_plain(Emit *e, const GroupInfo *g, int64_t n, int64_t parts, int ws, int out) {
  Build b = build_begin(e, g, "reduce", "reduce:parts%lld_n%lld:f32", (long long)parts, (long long)n);
  int from = build_arg(&b, ws, false), to = build_arg(&b, out, true);
  Box box = {.rank = 1, .chunk = e->machine->task_visits, .extent = {n}};
  EACH_ISA (isa, &b) {
    KFn *k = build_kernel(&b, isa);
    Parts p = {from, to, parts, n};
    visit(k, &box, k_task(k), true, sum_body, &p);
  }
  b.kernel.flops = (parts - 1) * n;
  b.kernel.bytes = (parts + 1) * n * 4;
  build_end(&b, visit_tasks(&box));
}

KV sum_parts_loaded(KFn *k, KV sums, KV at, int64_t first, int64_t apart, int64_t parts, KV mask) {
  if (parts < 1) return k_splat(k, k_f32(k, 0));
  KV part[SUM_MOST_PARTS];
  for (int64_t i = 0; i < parts; i++)
    part[i] = load_lanes(k, sums, k_add(k, at, k_i64(k, first + i * apart)), 1, true, mask);
  KV sum = part[0];
  for (int64_t i = 1; i < parts; i++) sum = k_add(k, sum, part[i]);
  return sum;
}
