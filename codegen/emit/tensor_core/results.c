/* results.c - convolutions on tensor cores: what becomes of results (gemm_conv.h).
 *
 * The epilogue is that of all contractions (expr_epilogue), given a row of 32 channels. Where the summed axis is cut, blocks store
 * partial sums, f32, part after part, and a launch of its own adds them: a warp has 32 channels of some rows, fetches them of all parts
 * and adds these in order, so that the sum is the same whichever block was done first.
 */
#include "codegen/emit/core/epilogue.h"
#include "codegen/emit/core/sum_parts.h"
#include "codegen/emit/tensor_core/gemm_conv.h"
#include "codegen/util/ints.h"

/* ---- where rows lie ---- */

/* Does the value lie in memory pixel after pixel, or not depend on pixels at all? */
static bool lies_linear(const Emit *e, int node) {
  const Type *t = &e->fn->node[node].type;
  const int64_t *stride = e->storage[node].stride;
  int64_t want = 0;
  bool none = true;
  for (int a = 0; a < t->rank; a++) none = none && (a == 1 || stride[a] == 0);
  for (int a = t->rank - 1; a >= 0 && !none; a--) {
    if (a == 1 || t->dim[a] == 1) continue;
    if (want && stride[a] != want) return false;
    want = stride[a] * t->dim[a];
  }
  return true;
}

bool tc_results_linear(const Emit *e, const GroupInfo *g) {
  const Fn *f = e->fn;
  if (!epilogue_renumbers(f, g, 0)) return false;
  for (int i = 0; i < g->nnode; i++) {
    const Node *nd = &f->node[g->node[i]];
    for (int j = 0; j < nd->nin && g->node[i] != g->anchor; j++)
      if (f->node[nd->in[j]].group != f->node[g->anchor].group && !lies_linear(e, nd->in[j])) return false;
  }
  for (int i = 0; i < g->nout; i++)
    if (!lies_linear(e, g->out[i])) return false;
  return true;
}

void tc_results_begin(Build *bd, const GroupInfo *g, const TcConv *cv, KFn *k, TcCode *c) {
  const Node *nd = &bd->e->fn->node[g->anchor];
  c->c = cv, c->g = g;
  c->x = expr_new(bd->e, g, bd, k);
  c->place = (Coord){.vec = true, .vec_axis = 1, .mask = K_NONE, .domain = nd->type, .order = nd->order};
  c->image = k_local(k, K_I64, false, "image");
  for (int a = 0; a < cv->s.ns; a++) c->q[a] = k_local(k, K_I64, false, "q");
}

void tc_results_from(TcCode *c, KFn *k, KV first) {
  if (c->c->linear) return;
  KV rest = k_add(k, c->row0, first);
  for (int a = c->c->s.ns - 1; a >= 0; a--) {
    k_set(k, c->q[a], k_rem(k, rest, k_i64(k, c->p->axis[a].count)));
    rest = k_div(k, rest, k_i64(k, c->p->axis[a].count));
  }
  k_set(k, c->image, rest);
}

void tc_results_next(TcCode *c, KFn *k) {
  if (c->c->linear) return;
  KV zero = k_i64(k, 0), carry = k_i64(k, 1);
  for (int a = c->c->s.ns - 1; a >= 0; a--) {
    KV q = k_add(k, k_get(k, c->q[a]), carry), full = k_eq(k, q, k_i64(k, c->p->axis[a].count));
    k_set(k, c->q[a], k_select(k, full, zero, q));
    carry = k_select(k, full, k_i64(k, 1), zero);
  }
  k_set(k, c->image, k_add(k, k_get(k, c->image), carry));
}

static void set_place(TcCode *c, KFn *k, KV row) {
  Coord *pl = &c->place;
  int last = pl->domain.rank - 1;
  for (int a = 0; a <= last; a++) pl->coord[a] = k_i64(k, 0);
  if (c->c->linear) {
    /* The innermost axis of pixels counts them all. */
    while (last > 0 && (last == 1 || pl->domain.dim[last] == 1)) last--;
    pl->coord[last] = row;
    return;
  }
  pl->coord[0] = k_get(k, c->image);
  for (int a = 0; a < c->c->s.ns; a++) {
    const TcAxis *x = &c->p->axis[a];
    pl->coord[2 + a] = k_add(k, k_mul(k, k_get(k, c->q[a]), k_i64(k, x->ostep)), k_i64(k, x->out0));
  }
}

void tc_results_put(TcCode *c, KFn *k, KV row, KV channel, int few, KV value) {
  int64_t cout = c->c->s.cout;
  c->place.mask = K_NONE;
  if (cout % few || few < 32)
    c->place.mask = k_first_lanes(k, k_min(k, k_sub(k, k_i64(k, cout), channel), k_i64(k, few)));
  set_place(c, k, row);
  c->place.coord[1] = channel;
  expr_at(c->x, &c->place);
  expr_epilogue(c->x, c->g, value);
}

/* ---- arguments ---- */

/* ---- the launch that adds parts ---- */

enum { LANES = 32 };

/* Rows of a task: few, for many warps to wait for memory. */
static int64_t task_rows(const Machine *m, const TcConv *c) {
  enum { MOST = 16 };
  int64_t lines = 0;
  for (int i = 0; i < c->nphase; i++) lines += c->phase[i].rows * ceil_div(c->s.cout, LANES);
  int64_t rows = lines / m->tasks;
  return rows < 1 ? 1 : rows > MOST ? MOST : rows;
}

/* A phase without taps has no parts. */
static KV sum_of_parts(const TcCode *c, KFn *k, KV sums, KV row, KV channel) {
  int64_t cols = c->c->s.cout;
  KV at = k_add(k, k_mul(k, row, k_i64(k, cols)), channel);
  KV mask = cols % LANES ? k_first_lanes(k, k_sub(k, k_i64(k, cols), channel)) : K_NONE;
  return sum_parts_loaded(k, sums, at, c->p->sums, c->p->rows * cols, c->p->parts, mask);
}

static void sum_rows(TcCode *c, KFn *k, KV sums, KV number, int64_t rows) {
  KV chunks = k_i64(k, ceil_div(c->c->s.cout, LANES)), first = k_i64(k, 0);
  KV channel = k_mul(k, k_rem(k, number, chunks), k_i64(k, LANES));
  c->row0 = k_mul(k, k_div(k, number, chunks), k_i64(k, rows));
  tc_results_from(c, k, first);
  KV end = k_i64(k, rows);
  if (c->p->rows % rows) end = k_min(k, end, k_sub(k, k_i64(k, c->p->rows), c->row0));
  KV row = k_add(k, c->row0, rows > 1 ? k_for(k, first, end, 1) : first);
  tc_results_put(c, k, row, channel, LANES, sum_of_parts(c, k, sums, row, channel));
  tc_results_next(c, k);
  if (rows > 1) k_end(k);
}

void tc_results_sum(Emit *e, const GroupInfo *g, const TcConv *cv, int ws) {
  int64_t rows = task_rows(e->machine, cv), tasks = 0, most = 0;
  for (int i = 0; i < cv->nphase; i++)
    if (cv->phase[i].parts > most) most = cv->phase[i].parts;
  Build b = build_begin(e, g, "reduce", "sum_parts:%s:%s:parts%ld", conv_describe(e->arena, &cv->s),
                        cv->s.dgrad ? "bwd_d" : "fwd", (long)most);
  KV sums = build_arg(&b, ws, false);
  b.kernel.bytes = 4 * cv->sums;
  b.kernel.flops = cv->sums - type_count(e->fn->node[g->anchor].type);
  epilogue_args(&b, g);
  KFn *k = build_kernel(&b, 0);
  TcCode c = {0};
  tc_results_begin(&b, g, cv, k, &c);
  for (int i = 0; i < cv->nphase; i++) {
    c.p = &cv->phase[i];
    int64_t mine = ceil_div(c.p->rows, rows) * ceil_div(cv->s.cout, LANES);
    KV number = k_sub(k, k_task(k), k_i64(k, tasks));
    if (cv->nphase > 1) k_if(k, k_and(k, k_le(k, k_i64(k, 0), number), k_lt(k, number, k_i64(k, mine))));
    sum_rows(&c, k, sums, number, rows);
    if (cv->nphase > 1) k_end(k);
    tasks += mine;
  }
  build_end(&b, tasks);
}
