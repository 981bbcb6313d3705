/* expr.c - values of a group's elementwise nodes at a place: loads, memo, stores (emit.h, expr.h). */
#include <stdlib.h>
#include <string.h>
#include "codegen/emit/core/expr.h"

/* ---- walks ---- */

Walk walk_of(const Emit *e, int node) {
  const Storage *s = &e->storage[node];
  Walk w = {.base = s->offset};
  memcpy(w.stride, s->stride, sizeof w.stride);
  return w;
}

Walk walk_row_major(Type t) {
  Walk w = {0};
  int64_t step = 1;
  for (int a = t.rank - 1; a >= 0; step *= t.dim[a--]) w.stride[a] = t.dim[a] > 1 ? step : 0;
  return w;
}

Walk walk_iota(const Node *n) {
  Walk w = {0};
  if (n->type.dim[n->at.axis] > 1) w.stride[n->at.axis] = 1;
  return w;
}

KV walk_at(KFn *k, const Walk *w, const Coord *p, KV at) {
  at = k_add(k, at, k_i64(k, w->base));
  for (int a = 0; a < p->domain.rank; a++)
    if (w->stride[a]) at = k_add(k, at, k_mul(k, p->coord[a], k_i64(k, w->stride[a])));
  return at;
}

static int64_t lane_stride(const Walk *w, const Coord *p) { return p->vec ? w->stride[p->vec_axis] : 0; }

/* i32 element numbers of the lanes, `stride` apart from `at` on. */
static KV lane_offsets(KFn *k, KV at, int64_t stride) {
  KV lanes = k_mul(k, k_iota(k), k_splat(k, k_i32(k, (int32_t)stride)));
  return k_add(k, k_splat(k, k_cast(k, K_I32, at)), lanes);
}

KV walk_load(KFn *k, KV buf, const Walk *w, const Coord *p) {
  KV at = walk_at(k, w, p, k_i64(k, 0));
  int64_t stride = lane_stride(w, p);
  if (stride == 0) return k_load(k, buf, at, false);
  if (stride == 1) return p->mask == K_NONE ? k_load(k, buf, at, true) : k_load_masked(k, buf, at, p->mask);
  KV lanes = lane_offsets(k, at, stride);
  return p->mask == K_NONE ? k_gather(k, buf, lanes) : k_gather_masked(k, buf, lanes, p->mask);
}

void walk_store(KFn *k, KV buf, const Walk *w, const Coord *p, KV base, KV v) {
  KV at = walk_at(k, w, p, base);
  int64_t stride = lane_stride(w, p);
  if (at < 0 || v < 0) return; /* k->err says why */
  if (stride && !k->ins[v].type.vec) v = k_splat(k, v);
  KV lanes = stride > 1 ? lane_offsets(k, at, stride) : K_NONE;
  if (stride <= 1 && (stride == 0 || p->mask == K_NONE)) k_store(k, buf, at, v);
  else if (stride == 1) k_store_masked(k, buf, at, v, p->mask);
  else if (p->mask == K_NONE) k_scatter(k, buf, lanes, v);
  else k_scatter_masked(k, buf, lanes, v, p->mask);
}

/* ---- nodes and slots ---- */

static int ascending(const void *a, const void *b) {
  int x = *(const int *)a, y = *(const int *)b;
  return (x > y) - (x < y);
}

Expr *expr_new(Emit *e, const GroupInfo *g, Build *b, KFn *k) {
  Expr *x = arena_alloc(e->arena, sizeof *x);
  *x = (Expr){.e = e, .g = g, .b = b, .k = k, .group = e->fn->node[g->node[0]].group};
  x->id = arena_alloc(e->arena, sizeof(int) * (size_t)g->nnode * (MAX_IN + 1));
  int n = 0;
  for (int i = 0; i < g->nnode; i++) {
    const Node *node = &e->fn->node[g->node[i]];
    x->id[n++] = g->node[i];
    for (int j = 0; j < node->nin; j++) x->id[n++] = node->in[j];
  }
  qsort(x->id, (size_t)n, sizeof(int), ascending);
  for (int i = 0; i < n; i++)
    if (!i || x->id[i] != x->id[i - 1]) x->id[x->nid++] = x->id[i];
  x->vary = arena_alloc(e->arena, (size_t)x->nid);
  memset(x->vary, VARY_ALL, (size_t)x->nid);
  expr_slots(x, 1, 1);
  return x;
}

int expr_local(const Expr *x, int node) {
  const int *at = bsearch(&node, x->id, (size_t)x->nid, sizeof(int), ascending);
  return at ? (int)(at - x->id) : -1;
}

bool expr_outside(const Expr *x, int node) { return x->e->fn->node[node].group != x->group; }

static void forget(Expr *x) {
  size_t n = (size_t)x->nid * (size_t)x->nv * (size_t)x->nu;
  for (size_t i = 0; i < n; i++) x->val[i] = x->cond[i] = K_NONE;
}

void expr_slots(Expr *x, int nv, int nu) {
  size_t n = (size_t)nv * (size_t)nu;
  x->nv = nv, x->nu = nu, x->cur = 0;
  x->place = arena_alloc(x->e->arena, sizeof *x->place * n);
  x->val = arena_alloc(x->e->arena, sizeof *x->val * n * (size_t)x->nid);
  x->cond = arena_alloc(x->e->arena, sizeof *x->cond * n * (size_t)x->nid);
  forget(x);
}

void expr_at(Expr *x, const Coord *p) {
  forget(x);
  x->place[x->cur] = *p;
}

int expr_home(const Expr *x, int local, int slot) {
  int i = slot / x->nu, u = slot % x->nu;
  return (x->vary[local] & VARY_I ? i : 0) * x->nu + (x->vary[local] & VARY_U ? u : 0);
}

static KV *memo(const Expr *x, KV *table, int local, int slot) {
  return &table[(size_t)expr_home(x, local, slot) * (size_t)x->nid + (size_t)local];
}

void expr_give(Expr *x, int node, KV v) {
  int local = expr_local(x, node);
  if (local < 0) return; /* nothing in the group reads it */
  *memo(x, x->val, local, x->cur) = v;
}

/* ---- values ---- */

static KV bad(Expr *x, int node, const char *why) {
  if (!x->e->err[0])
    snprintf(x->e->err, sizeof x->e->err, "node %d (%s) in group %d: %s", node,
             op_info[x->e->fn->node[node].op].name, x->group, why);
  return k_f32(x->k, 0);
}

static KV constant(KFn *k, const Node *n) {
  return n->type.dt == I32 ? k_i32(k, (int32_t)n->at.value) : k_f32(k, n->at.value);
}

static KV load_node(Expr *x, int id) {
  const Node *n = &x->e->fn->node[id];
  if (n->op == OP_const) return constant(x->k, n);
  int arg = build_find_arg(x->b, emit_buffer(x->e, id));
  if (arg < 0) return bad(x, id, "it is read but is no argument of the kernel");
  Walk w = walk_of(x->e, id);
  return walk_load(x->k, arg, &w, &x->place[x->cur]);
}

/* Row-major index, or coordinate, of the place's lanes: vector of i32 where it varies along them, else i64.
 */
static KV lane_index(KFn *k, const Walk *w, const Coord *p) {
  KV at = walk_at(k, w, p, k_i64(k, 0));
  return lane_stride(w, p) ? lane_offsets(k, at, lane_stride(w, p)) : at;
}

static KV leaf_value(Expr *x, const Node *n) {
  const Coord *p = &x->place[x->cur];
  if (n->op == OP_const) return constant(x->k, n);
  Walk w = n->op == OP_iota ? walk_iota(n) : walk_row_major(n->type);
  KV index = lane_index(x->k, &w, p);
  if (n->op == OP_rand)
    return n->at.mode ? k_normal(x->k, n->at.site, index) : k_uniform(x->k, n->at.site, index);
  if (index >= 0 && x->k->ins[index].type.base == K_I64) index = k_cast(x->k, K_I32, index);
  return n->type.dt == I32 ? index : k_cast(x->k, K_F32, index);
}

static KV compute(Expr *x, int id) {
  const Node *n = &x->e->fn->node[id];
  KV in[MAX_IN], cond = K_NONE;
  if (expr_outside(x, id)) return load_node(x, id);
  if (n->op == OP_iota || n->op == OP_rand || n->op == OP_const) return leaf_value(x, n);
  if (op_info[n->op].cls != EW && n->op != OP_broadcast)
    return bad(x, id, "not elementwise, and its value was not given");
  for (int i = 0; i < n->nin; i++) in[i] = expr_value_in(x, x->cur, n->in[i]);
  if (n->op == OP_broadcast) return in[0];
  if (n->op == OP_select) cond = *memo(x, x->cond, expr_local(x, n->in[0]), x->cur);
  return expr_op(x, n, in, cond);
}

/* A value that is stored as bf16 is that for its readers in the group, too. What is loaded is one already. */
static KV rounded(Expr *x, int node, KV v) {
  bool bf16 = x->e->fn->node[node].type.dt == BF16 && !expr_outside(x, node);
  return bf16 ? k_un(x->k, K_bf16, v) : v;
}

/* Recursion is as deep as the group's longest chain. */
KV expr_value_in(Expr *x, int slot, int node) {
  int local = expr_local(x, node);
  if (local < 0) return bad(x, node, "it is not of the group");
  KV *v = memo(x, x->val, local, slot);
  if (*v != K_NONE) return *v;
  int back = x->cur;
  x->cur = expr_home(x, local, slot);
  KV made = compute(x, node);
  if (made >= 0 && x->k->ins[made].type.base == K_I1) {
    *memo(x, x->cond, local, slot) = made;
    made = k_cast(x->k, K_F32, made); /* 0 and 1 are bf16, too */
  } else {
    made = rounded(x, node, made);
  }
  x->cur = back;
  return *v = made;
}

KV expr_value(Expr *x, int node) { return expr_value_in(x, x->cur, node); }

void expr_store(Expr *x, int node, KV v) {
  int arg = build_find_arg(x->b, emit_buffer(x->e, node));
  if (arg < 0) {
    bad(x, node, "it is stored but is no argument of the kernel");
    return;
  }
  Walk w = walk_of(x->e, node);
  walk_store(x->k, arg, &w, &x->place[x->cur], k_i64(x->k, 0), v);
}

/* All values before the first store: an output may lie over an input. */
void expr_epilogue(Expr *x, const GroupInfo *g, KV v) {
  KV *out = arena_alloc(x->e->arena, sizeof *out * (size_t)(g->nout ? g->nout : 1));
  v = rounded(x, g->anchor, v);
  expr_give(x, g->anchor, v);
  for (int i = 0; i < g->nout; i++) out[i] = g->out[i] == g->anchor ? v : expr_value(x, g->out[i]);
  for (int i = 0; i < g->nout; i++) expr_store(x, g->out[i], out[i]);
}

void expr_prefetch(const Expr *x, const GroupInfo *g) {
  enum { LARGE = 1 << 20 };
  const Fn *f = x->e->fn;
  const Node *anchor = &f->node[g->anchor];
  for (int i = 0; i < x->nid; i++) {
    const Node *n = &f->node[x->id[i]];
    bool operand = false;
    for (int j = 0; j < anchor->nin; j++) operand = operand || anchor->in[j] == x->id[i];
    if (!expr_outside(x, x->id[i]) || operand || type_count(n->type) < LARGE ||
        type_count(n->type) != type_count(anchor->type))
      continue;
    int arg = build_find_arg(x->b, emit_buffer(x->e, x->id[i]));
    Walk w = walk_of(x->e, x->id[i]);
    if (arg >= 0) k_prefetch(x->k, arg, walk_at(x->k, &w, &x->place[x->cur], k_i64(x->k, 0)));
  }
}
