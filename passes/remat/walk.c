/* walk.c - the values of a fused function, and what a set of cuts means: which copies there are, how long
 * every array lives, how much memory is alive at a time. remat.h has the terms. */
#include "passes/remat/work.h"
#include "ir/ints.h"
#include "passes/fuse/work.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int compare_keys(const void *pa, const void *pb) {
  const int64_t *a = pa, *b = pb;
  return (*a > *b) - (*a < *b);
}

/* ---- costs: nominal rates of a core with AVX2, of which only the proportion matters ---- */

static double flops_of(const Fn *f, const Node *n) {
  OpClass cls = op_info[n->op].cls;
  int64_t count = type_count(cls == RED ? f->node[n->in[0]].type : n->type);
  if (cls == CON) count = 2 * node_macs(f, n);
  return op_info[n->op].cost * (double)count;
}

static double seconds_of(double flops, double bytes) {
  const double flop_rate = 80e9, byte_rate = 12e9;
  return flops / flop_rate > bytes / byte_rate ? flops / flop_rate : bytes / byte_rate;
}

/* ---- values ---- */

static int new_value(Remat *r, int node, int group) {
  RematValue *v = ARENA_PUSH(r->arena, r->value, r->nvalue, r->capvalue);
  int64_t bytes = type_bytes(r->f->node[node].type);
  *v = (RematValue){.node = node, .group = group, .bytes = round_up(bytes, 64), .first_use = -1};
  return r->value_of[node] = r->nvalue - 1;
}

/* Sources, cost, and whether the expression gives the same bits in a kernel of its own: sums over pixels
 * would be split into other parts there. */
static void describe(Remat *r, int id, int *seen) {
  const Fn *f = r->f;
  RematValue *v = &r->value[id];
  const GroupInfo *g = &r->g[v->group];
  int cap = 0;
  double flops = 0, bytes = (double)v->bytes;
  v->again = !v->kept;
  for (int i = 0; i < g->nnode; i++) {
    const Node *n = &f->node[g->node[i]];
    if (seen[g->node[i]] != id + 1) continue;
    if (op_info[n->op].cls == RED && !is_unrolled_red(f, n) && g->kind == G_MAP) v->again = false;
    flops += flops_of(f, n);
    for (int k = 0; k < n->nin; k++) {
      int src = value_source(f, n->in[k]), x = r->value_of[src];
      bool listed = seen[src] == id + 1;
      for (int s = 0; s < v->nsrc && !listed; s++) listed = v->src[s] == x;
      if (listed || (x < 0 && f->node[src].op != OP_var)) continue;
      bytes += (double)type_bytes(f->node[src].type);
      if (x >= 0) *ARENA_PUSH(r->arena, v->src, v->nsrc, cap) = x;
    }
  }
  v->seconds = seconds_of(flops, bytes);
}

static void collect_values(Remat *r) {
  const Fn *f = r->f;
  int *cap = arena_alloc(r->arena, ((size_t)f->n + 1) * sizeof *cap);
  int *seen = arena_alloc(r->arena, ((size_t)f->n + 1) * sizeof *seen);
  for (int i = 0; i < f->n; i++)
    if (f->node[i].op == OP_input) new_value(r, i, -1);
  for (int g = 0; g < f->ngroup; g++)
    for (int i = 0; i < r->g[g].nout; i++) new_value(r, r->g[g].out[i], g);
  for (int g = 0; g < f->ngroup; g++)
    for (int i = 0; i < r->g[g].nin; i++) {
      int v = r->value_of[r->g[g].in[i]];
      if (v >= 0) *ARENA_PUSH(r->arena, r->value[v].read, r->value[v].nread, cap[v]) = g;
    }
  for (int i = 0; i < f->nout; i++) {
    int v = r->value_of[value_source(f, f->out[i].node)];
    if (v >= 0) r->value[v].kept = true;
  }
  for (int i = 0; i < f->nstore; i++) {
    int node = value_source(f, f->store[i].node);
    if (r->value_of[node] < 0) continue;
    RematValue *v = &r->value[r->value_of[node]];
    v->kept = true;
    if (v->group >= 0) v->bytes = 0;
  }
  for (int v = 0; v < r->nvalue; v++) {
    if (r->value[v].group < 0) continue;
    remat_closure(r, r->value[v].node, seen, v + 1);
    describe(r, v, seen);
  }
}

static double group_seconds(const Remat *r, const GroupInfo *g) {
  const Fn *f = r->f;
  double flops = 0, bytes = 0;
  for (int i = 0; i < g->nnode; i++) flops += flops_of(f, &f->node[g->node[i]]);
  for (int i = 0; i < g->nin; i++) bytes += (double)type_bytes(f->node[g->in[i]].type);
  for (int i = 0; i < g->nout; i++) bytes += (double)type_bytes(f->node[g->out[i]].type);
  return seconds_of(flops, bytes);
}

Remat *remat_new(const Fn *f) {
  Arena *a = f->prog->arena;
  Remat *r = arena_alloc(a, sizeof *r);
  *r = (Remat){.f = f, .arena = a, .g = group_values(f), .slots = f->ngroup + 1};
  r->value_of = arena_alloc(a, ((size_t)f->n + 1) * sizeof *r->value_of);
  memset(r->value_of, -1, ((size_t)f->n + 1) * sizeof *r->value_of);
  collect_values(r);
  for (int g = 0; g < f->ngroup; g++) r->base_seconds += group_seconds(r, &r->g[g]);
  return r;
}

/* ---- cuts ---- */

static void insert_cut(RematValue *v, int64_t key) {
  int i = v->ncut++;
  for (; i > 0 && v->cut[i - 1] > key; i--) v->cut[i] = v->cut[i - 1];
  v->cut[i] = key;
}

void remat_add(Remat *r, int value, int64_t key) {
  *ARENA_PUSH(r->arena, r->cut, r->ncut, r->capcut) = (RematCut){value, key};
  insert_cut(&r->value[value], key);
}

void remat_take_back(Remat *r, int ncut) {
  for (int i = 0; i < r->ncut; i++) r->value[r->cut[i].value].ncut = 0;
  r->ncut = ncut;
  for (int i = 0; i < r->ncut; i++) insert_cut(&r->value[r->cut[i].value], r->cut[i].key);
}

/* ---- the walk ---- */

static void add_use(Remat *r, int value, int64_t key) {
  RematValue *v = &r->value[value];
  *ARENA_PUSH(r->arena, r->use, r->nuse, r->capuse) = (RematUse){key, v->first_use};
  v->first_use = r->nuse - 1;
}

int remat_uses(Remat *r, int id, int64_t **key) {
  const RematValue *v = &r->value[id];
  int n = 0;
  for (int i = 0; i < v->nread; i++)
    *ARENA_PUSH(r->arena, r->key, n, r->capkey) = remat_key(r, v->read[i], v->read[i]);
  for (int u = v->first_use; u >= 0; u = r->use[u].next)
    *ARENA_PUSH(r->arena, r->key, n, r->capkey) = r->use[u].key;
  if (v->kept) *ARENA_PUSH(r->arena, r->key, n, r->capkey) = remat_key(r, r->f->ngroup, r->f->ngroup);
  if (v->first_use >= 0) qsort(r->key, (size_t)n, sizeof *r->key, compare_keys);
  *key = r->key;
  return n;
}

/* The arrays of value id; its copies use other values. A copy that would be made while the array before it is
 * still read is left out: that lives on. */
static void make_arrays(Remat *r, int id) {
  RematValue *v = &r->value[id];
  int64_t *key;
  int n = remat_uses(r, id, &key), before = r->narray;
  for (int s = 0, from = 0; s <= v->ncut; s++) {
    int to = from;
    while (to < n && (s == v->ncut || key[to] <= v->cut[s])) to++;
    if (to == from) continue;
    int64_t make = v->group < 0 ? 0 : remat_key(r, v->group, v->group), last = key[to - 1];
    if (r->narray > before) {
      make = remat_key(r, remat_slot(r, key[from]), v->group);
      RematArray *old = &r->array[r->narray - 1];
      if (old->last >= make) {
        from = to;
        old->last = last;
        continue;
      }
      *ARENA_PUSH(r->arena, r->copy, r->ncopy, r->capcopy) = make;
      for (int i = 0; i < v->nsrc; i++) add_use(r, v->src[i], make);
      r->seconds += v->seconds;
    }
    *ARENA_PUSH(r->arena, r->array, r->narray, r->caparray) = (RematArray){id, make, last};
    from = to;
  }
}

static void sort_copies(Remat *r) {
  int n = 0;
  if (r->ncopy) qsort(r->copy, (size_t)r->ncopy, sizeof *r->copy, compare_keys);
  for (int i = 0; i < r->ncopy; i++)
    if (!n || r->copy[n - 1] != r->copy[i]) r->copy[n++] = r->copy[i];
  r->ncopy = n;
}

/* Number of the kernel at `key` among groups and copies. */
static int step_of(const Remat *r, int64_t key) {
  int lo = 0, hi = r->ncopy;
  while (lo < hi) {
    int mid = (lo + hi) / 2;
    if (r->copy[mid] < key) lo = mid + 1;
    else hi = mid;
  }
  return remat_slot(r, key) + lo;
}

static int64_t key_of(const Remat *r, int step) {
  for (int i = 0; i < r->ncopy; i++) {
    int at = step_of(r, r->copy[i]);
    if (at == step) return r->copy[i];
    if (at > step) return remat_key(r, step - i, step - i);
  }
  return remat_key(r, step - r->ncopy, step - r->ncopy);
}

static void find_peak(Remat *r, int64_t *change) {
  int nstep = r->f->ngroup + 1 + r->ncopy, at = 0;
  memset(change, 0, ((size_t)nstep + 1) * sizeof *change);
  for (int i = 0; i < r->narray; i++) {
    int64_t bytes = r->value[r->array[i].value].bytes;
    change[step_of(r, r->array[i].make)] += bytes;
    change[step_of(r, r->array[i].last) + 1] -= bytes;
  }
  r->peak = -1;
  int64_t live = 0;
  for (int i = 0; i < nstep; i++) {
    live += change[i];
    if (live > r->peak) r->peak = live, at = i;
  }
  r->peak_key = key_of(r, at);
}

void remat_walk(Remat *r) {
  r->nuse = r->narray = r->ncopy = 0;
  r->seconds = 0;
  for (int v = 0; v < r->nvalue; v++) r->value[v].first_use = -1;
  for (int v = r->nvalue - 1; v >= 0; v--) make_arrays(r, v); /* readers before what they read */
  sort_copies(r);
  int64_t *change = malloc(((size_t)r->f->ngroup + (size_t)r->ncopy + 3) * sizeof *change);
  if (!change) abort();
  find_peak(r, change);
  free(change);
}
