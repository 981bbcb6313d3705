/* reduce.c - what reductions are made of, and the launch that joins the partial results of tasks. */
#include <math.h>
#include "codegen/emit/map/map.h"

KV reduce_identity(KFn *k, Op op) {
  return k_f32(k, op == OP_sum ? 0 : op == OP_amax ? -INFINITY : INFINITY);
}

KV reduce_two(KFn *k, Op op, KV a, KV b) {
  return op == OP_sum ? k_add(k, a, b) : op == OP_amax ? k_max(k, a, b) : k_min(k, a, b);
}

KV reduce_lanes(KFn *k, Op op, KV v) {
  return k_un(k, op == OP_sum ? K_hsum : op == OP_amax ? K_hmax : K_hmin, v);
}

/* ---- joining ---- */

enum { JOIN_GRAIN = 256 }; /* results a task joins where there are many */

/* Result elements at..: parts 0, 1, .. in this order, sums in double. */
static void join_at(KFn *k, const Fn *f, const Reduction *r, KV work, KV out, KV at, bool vec, KV mask) {
  const Node *n = &f->node[r->node];
  bool wide = n->op == OP_sum;
  KV local = k_local(k, wide ? K_F64 : K_F32, vec, "join");
  KV zero = wide ? k_f64(k, 0) : reduce_identity(k, n->op);
  k_set(k, local, vec ? k_splat(k, zero) : zero);
  KV p = k_for(k, k_i64(k, 0), k_i64(k, r->parts), 1);
  KV from = k_add(k, k_mul(k, p, k_i64(k, type_count(n->type))), at);
  KV v = mask == K_NONE ? k_load(k, work, from, vec) : k_load_masked(k, work, from, mask);
  if (wide) v = k_cast(k, K_F64, v);
  k_set(k, local, reduce_two(k, n->op, k_get(k, local), v));
  k_end(k);
  v = k_get(k, local);
  if (wide) v = k_cast(k, K_F32, v);
  if (mask == K_NONE) k_store(k, out, at, v);
  else k_store_masked(k, out, at, v, mask);
}

/* Results from..to of reduction r; the last vector of all of them may be short. */
static void join_range(KFn *k, const Fn *f, const Reduction *r, KV work, KV out, KV from, KV to) {
  int64_t n = type_count(f->node[r->node].type), rest = n % k->lanes, full = n - rest, whole;
  if (n == 1) {
    join_at(k, f, r, work, out, k_i64(k, 0), false, K_NONE);
    return;
  }
  if (full) {
    KV at = k_for(k, from, rest ? k_min(k, to, k_i64(k, full)) : to, k->lanes);
    join_at(k, f, r, work, out, at, true, K_NONE);
    k_end(k);
  }
  if (!rest) return;
  bool split = !k_is_const(k, to, &whole);
  if (split) k_if(k, k_eq(k, to, k_i64(k, n)));
  join_at(k, f, r, work, out, k_i64(k, full), true, k_first_lanes(k, k_i64(k, rest)));
  if (split) k_end(k);
}

/* One launch for reductions first..last-1: one task, or many where a single reduction has many results. */
static void join_launch(Emit *e, const GroupInfo *g, Reduction *const *red, int n) {
  int64_t count = type_count(e->fn->node[red[0]->node].type), tasks = 1;
  if (n == 1 && count > JOIN_GRAIN) tasks = (count + JOIN_GRAIN - 1) / JOIN_GRAIN;
  Build b =
      build_begin(e, g, "reduce", "reduce:p%lld_r%lld:x%d:", (long long)red[0]->parts, (long long)count, n);
  for (int i = 0; i < n; i++) {
    int64_t size = type_count(e->fn->node[red[i]->node].type);
    build_arg(&b, red[i]->work, false);
    build_arg(&b, emit_buffer(e, red[i]->node), true);
    b.kernel.flops += size * red[i]->parts;
    b.kernel.bytes += 4 * size * (red[i]->parts + 1);
  }
  EACH_ISA (isa, &b) {
    KFn *k = build_kernel(&b, isa);
    KV from = k_i64(k, 0);
    if (tasks > 1) from = k_mul(k, k_task(k), k_i64(k, JOIN_GRAIN));
    for (int i = 0; i < n; i++) {
      KV all = k_i64(k, type_count(e->fn->node[red[i]->node].type));
      KV to = tasks > 1 ? k_min(k, k_add(k, from, k_i64(k, JOIN_GRAIN)), all) : all;
      join_range(k, e->fn, red[i], 2 * i, 2 * i + 1, from, to);
    }
  }
  build_end(&b, tasks);
}

void map_join_parts(Emit *e, const GroupInfo *g, const Sweep *s) {
  Reduction *small[NETC_MAX_ARGS / 2];
  int n = 0;
  for (int i = 0; i < s->nred; i++) {
    Reduction *r = &s->red[i];
    if (r->parts == 1) continue;
    if (type_count(e->fn->node[r->node].type) > JOIN_GRAIN) join_launch(e, g, &r, 1);
    else small[n++] = r;
    if (n == NETC_MAX_ARGS / 2) join_launch(e, g, small, n), n = 0;
  }
  if (n) join_launch(e, g, small, n);
}
