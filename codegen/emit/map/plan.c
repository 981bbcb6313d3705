/* plan.c - which sweeps a map group needs, and the shape of each: folded dims, lanes, loop order, tasks. */
#include <stdlib.h>
#include "codegen/emit/map/map.h"
#include "ir/ints.h"

static bool in_group(const Fn *f, const GroupInfo *g, int node) {
  return f->node[node].group == f->node[g->node[0]].group;
}

unsigned map_reduced_axes(const Fn *f, const Node *red) {
  Type t = f->node[red->in[0]].type;
  unsigned given = red->op == OP_argmax || red->op == OP_argmin ? 1u << red->at.axis : red->at.axes, axes = 0;
  for (int a = 0; a < t.rank; a++)
    if (given >> a & 1 && t.dim[a] > 1) axes |= 1u << a;
  return axes;
}

bool map_in_place(const Fn *f, const Node *n) {
  if (op_info[n->op].cls != RED) return false;
  unsigned axes = map_reduced_axes(f, n);
  return axes == 0 || (axes == 2 && f->node[n->in[0]].type.dim[1] <= MAP_UNROLL_C);
}

static bool unrolls(const Fn *f, const Node *n) { return map_in_place(f, n) && map_reduced_axes(f, n); }

/* ---- cones ---- */

enum { UNUSED, COMPUTED, READ };

/* e->mark, cleared for the group's nodes and their operands. */
static uint8_t *fresh_marks(Emit *e, const GroupInfo *g) {
  for (int i = 0; i < g->nnode; i++) {
    const Node *n = &e->fn->node[g->node[i]];
    e->mark[g->node[i]] = UNUSED;
    for (int j = 0; j < n->nin; j++) e->mark[n->in[j]] = UNUSED;
  }
  return e->mark;
}

/* Marks what `node` needs. */
static void mark_cone(const Fn *f, const GroupInfo *g, int node, uint8_t *mark) {
  mark[node] = COMPUTED;
  for (int i = g->nnode - 1; i >= 0; i--) { /* operands have smaller ids, so one way down sees all */
    if (!mark[g->node[i]]) continue;
    const Node *n = &f->node[g->node[i]];
    for (int j = 0; j < n->nin; j++)
      if (in_group(f, g, n->in[j])) mark[n->in[j]] = COMPUTED;
      else if (f->node[n->in[j]].op != OP_const) mark[n->in[j]] = READ;
  }
}

static int ascending(const void *a, const void *b) {
  int x = *(const int *)a, y = *(const int *)b;
  return (x > y) - (x < y);
}

static void list_cone(Emit *e, const GroupInfo *g, Sweep *s) {
  const Fn *f = e->fn;
  uint8_t *mark = fresh_marks(e, g);
  for (int i = 0; i < s->nstore; i++) mark_cone(f, g, s->store[i], mark);
  for (int i = 0; i < s->nred; i++) mark_cone(f, g, s->red[i].node, mark);
  s->ncone = s->nload = 0;
  for (int i = 0; i < g->nnode; i++) {
    const Node *n = &f->node[g->node[i]];
    if (mark[g->node[i]] != COMPUTED) continue;
    s->cone[s->ncone++] = g->node[i];
    for (int j = 0; j < n->nin; j++)
      if (mark[n->in[j]] == READ) s->load[s->nload++] = n->in[j], mark[n->in[j]] = UNUSED;
  }
  qsort(s->load, (size_t)s->nload, sizeof(int), ascending);
}

/* ---- domains ---- */

static bool terminal(const Fn *f, int node) {
  return op_info[f->node[node].op].cls == RED && !map_in_place(f, &f->node[node]);
}

/* The shape that must be walked for result `out`; sets *unrolled when a channel reduction inside widens it.
 */
static Type needed_domain(Emit *e, const GroupInfo *g, int out, bool *unrolled) {
  const Fn *f = e->fn;
  Type t = f->node[terminal(f, out) ? f->node[out].in[0] : out].type;
  uint8_t *mark = fresh_marks(e, g);
  mark_cone(f, g, out, mark);
  *unrolled = false;
  for (int i = 0; i < g->nnode; i++) {
    const Node *n = &f->node[g->node[i]];
    if (mark[g->node[i]] != COMPUTED || !unrolls(f, n)) continue;
    *unrolled = true;
    t.dim[1] = f->node[n->in[0]].type.dim[1];
  }
  return t;
}

static bool equal_but_channels(Type a, Type b) {
  a.dim[1] = b.dim[1];
  return shape_eq(a, b);
}

/* A node of the domain's shape says in which order the domain lies in memory; where there is none (the domain
 * joins shapes that are all smaller), the order its rank would have. */
static const uint8_t *domain_order(Emit *e, const Sweep *s) {
  const Fn *f = e->fn;
  const uint8_t *any = NULL;
  for (int i = 0; i < s->nstore; i++)
    if (shape_eq(f->node[s->store[i]].type, s->domain)) return f->node[s->store[i]].order;
  for (int i = 0; i < s->nload; i++)
    if (shape_eq(f->node[s->load[i]].type, s->domain)) return f->node[s->load[i]].order;
  for (int i = 0; i < s->ncone && !any; i++)
    if (shape_eq(f->node[s->cone[i]].type, s->domain)) any = f->node[s->cone[i]].order;
  if (any) return any;
  uint8_t *order = arena_alloc(e->arena, MAX_RANK);
  if (s->domain.rank >= 4) order_channels_last(order, s->domain.rank);
  else order_identity(order);
  return order;
}

/* ---- dims ---- */

static bool walk_of_leaf(const Node *n, Walk *w) {
  if (n->op == OP_iota) *w = walk_iota(n);
  else if (n->op == OP_rand) *w = walk_row_major(n->type);
  else return false;
  return true;
}

static bool folds(const Walk *w, const Dim *outer, const Dim *inner) {
  int64_t o = w->stride[outer->axis], i = w->stride[inner->axis];
  return o == 0 ? i == 0 : i != 0 && o == i * inner->extent;
}

static bool all_fold(const Emit *e, const Sweep *s, const Dim *outer, const Dim *inner) {
  Walk w;
  bool ok = true;
  for (int i = 0; i < s->nstore; i++) w = walk_of(e, s->store[i]), ok = ok && folds(&w, outer, inner);
  for (int i = 0; i < s->nred; i++) w = walk_of(e, s->red[i].node), ok = ok && folds(&w, outer, inner);
  for (int i = 0; i < s->nload; i++) w = walk_of(e, s->load[i]), ok = ok && folds(&w, outer, inner);
  for (int i = 0; i < s->ncone; i++)
    if (walk_of_leaf(&e->fn->node[s->cone[i]], &w)) ok = ok && folds(&w, outer, inner);
  return ok;
}

static void fold_dims(const Emit *e, Sweep *s, bool keep_channels) {
  s->ndim = 0;
  for (int i = 0; i < s->domain.rank; i++) {
    int a = s->order[i];
    Dim d = {a, s->domain.dim[a]};
    if (d.extent == 1) continue;
    Dim *last = s->ndim ? &s->dim[s->ndim - 1] : NULL;
    bool apart = !last || (keep_channels && (a == 1 || last->axis == 1));
    if (apart || !all_fold(e, s, last, &d)) s->dim[s->ndim++] = d;
    else last->axis = a, last->extent *= d.extent;
  }
}

static int dim_of_axis(const Sweep *s, int axis) {
  for (int d = 0; d < s->ndim; d++)
    if (s->dim[d].axis == axis) return d;
  return -1;
}

/* Tasks worth starting for the work there is. */
static int64_t tasks_wanted(const Emit *e, const Sweep *s) {
  const Fn *f = e->fn;
  int64_t arrays = s->nstore, n = type_count(s->domain);
  for (int i = 0; i < s->nload; i++) arrays += type_count(f->node[s->load[i]].type) == n;
  int64_t want = n * (4 * arrays + s->weight) / e->machine->task_cost;
  return want < 1 ? 1 : want > e->machine->tasks ? e->machine->tasks : want;
}

/* u: the channels where reductions need them side by side, else an innermost dim too short for the lanes.
 * v: the innermost other dim that fills them, else the longest. */
static void choose_lanes(const Emit *e, Sweep *s, bool unrolled) {
  s->u = unrolled ? dim_of_axis(s, 1) : -1;
  if (!unrolled && s->ndim > 1 && s->dim[s->ndim - 1].extent < 8) s->u = s->ndim - 1;
  s->v = -1;
  for (int d = s->ndim - 1; d >= 0; d--) {
    if (d == s->u) continue;
    if (s->v < 0 || s->dim[d].extent > s->dim[s->v].extent) s->v = d;
    if (s->dim[s->v].extent >= 8) break;
  }
  s->nu = s->u < 0 ? 1 : (int)s->dim[s->u].extent;
  s->nv = s->nu == 1 ? 4 : s->nu == 2 ? 2 : 1;
  while (s->nv > 1 && s->weight * s->nv * s->nu > 400) s->nv /= 2;
  if (s->v < 0 || tasks_wanted(e, s) == 1) s->nv = 1; /* where time does not matter, short code does */
}

/* Of the code of a node: even a leaf, which costs nothing, is there. */
static int64_t op_weight(Op op) { return max64(op_info[op].cost, 1); }

/* ---- loop order ---- */

static void set_kept(const Emit *e, Sweep *s) {
  for (int i = 0; i < s->nred; i++) {
    Walk w = walk_of(e, s->red[i].node);
    s->red[i].kept = 0;
    for (int d = 0; d < s->ndim; d++)
      if (w.stride[s->dim[d].axis]) s->red[i].kept |= 1u << d;
  }
}

/* Kept sets (but for u, which is in registers) that contain one another can share a loop nest. */
static bool kept_nest(const Sweep *s) {
  unsigned loops = s->u < 0 ? ~0u : ~(1u << s->u);
  for (int i = 0; i < s->nred; i++)
    for (int j = 0; j < i; j++) {
      unsigned a = s->red[i].kept & loops, b = s->red[j].kept & loops;
      if ((a & b) != a && (a & b) != b) return false;
    }
  return true;
}

/* Number of reductions that keep dim d: those dims come first. */
static int keepers(const Sweep *s, int d) {
  int n = 0;
  for (int i = 0; i < s->nred; i++) n += s->red[i].kept >> d & 1;
  return n;
}

/* Values that vary along the lanes but not along dim `outer`, worth holding in registers while it is walked.
 */
static bool has_invariants(const Emit *e, const Sweep *s, int outer) {
  for (int i = 0; i < s->nload; i++) {
    Walk w = walk_of(e, s->load[i]);
    if (w.stride[s->dim[s->v].axis] && !w.stride[s->dim[outer].axis]) return true;
  }
  return false;
}

static void order_loops(const Emit *e, Sweep *s) {
  s->nloop = 0;
  for (int d = 0; d < s->ndim; d++) { /* stable insertion by keepers */
    if (d == s->u) continue;
    int at = s->nloop++;
    for (; at > 0 && keepers(s, s->loop[at - 1]) < keepers(s, d); at--) s->loop[at] = s->loop[at - 1];
    s->loop[at] = d;
  }
  int n = s->nloop;
  if (n > 1 && s->loop[n - 1] == s->v && keepers(s, s->v) == keepers(s, s->loop[n - 2]) &&
      s->dim[s->v].extent <= 4096 && has_invariants(e, s, s->loop[n - 2]))
    s->loop[n - 1] = s->loop[n - 2], s->loop[n - 2] = s->v;
  for (int i = 0; i < s->nred; i++) {
    Reduction *r = &s->red[i];
    for (r->level = 0; r->level < n && r->kept >> s->loop[r->level] & 1;) r->level++;
  }
}

/* ---- tasks: by shapes alone, so that sums come out the same on every machine ---- */

static int64_t dim_units(const Sweep *s, int d) {
  return d == s->v ? ceil_div(s->dim[d].extent, MAP_GRAIN) : s->dim[d].extent;
}

/* Dims that may be divided: where those every reduction keeps are long enough only those, so that no partial
 * results arise; else all, outermost in memory first. */
static unsigned split_candidates(const Sweep *s) {
  unsigned kept = 0, all = 0;
  int64_t units = 1;
  for (int d = 0; d < s->ndim; d++) {
    if (d == s->u) continue;
    all |= 1u << d;
    if (keepers(s, d) == s->nred) kept |= 1u << d, units *= dim_units(s, d);
  }
  return units >= 16 ? kept : all;
}

static void split_tasks(const Emit *e, Sweep *s) {
  int64_t need = tasks_wanted(e, s);
  unsigned candidates = split_candidates(s);
  s->nsplit = 0;
  s->tasks = 1;
  for (int d = 0; d < s->ndim && need > 1; d++) {
    int64_t units = dim_units(s, d), grain = d == s->v ? MAP_GRAIN : 1;
    if (!(candidates >> d & 1) || units == 1) continue;
    int64_t chunk = units <= need ? 1 : ceil_div(units, need), count = ceil_div(units, chunk);
    s->split[s->nsplit++] = (Split){d, chunk * grain, count};
    s->tasks *= count;
    need = ceil_div(need, count);
  }
  for (int i = 0; i < s->nred; i++) {
    s->red[i].parts = 1;
    for (int j = 0; j < s->nsplit; j++)
      if (!(s->red[i].kept >> s->split[j].dim & 1)) s->red[i].parts *= s->split[j].count;
  }
}

/* ---- sweeps ---- */

/* Lays out sweep s for the results it lists; false when they cannot share one. */
static bool lay_out(Emit *e, const GroupInfo *g, Sweep *s, bool unrolled) {
  const Fn *f = e->fn;
  list_cone(e, g, s);
  if (s->nload + s->nstore + 2 * s->nred > NETC_MAX_ARGS && s->nstore + s->nred > 1) return false;
  s->order = domain_order(e, s);
  s->weight = 0;
  for (int i = 0; i < s->ncone; i++) s->weight += op_weight(f->node[s->cone[i]].op);
  fold_dims(e, s, unrolled);
  choose_lanes(e, s, unrolled);
  set_kept(e, s);
  if (!kept_nest(s)) return false;
  order_loops(e, s);
  split_tasks(e, s);
  return true;
}

static void add_result(const Fn *f, Sweep *s, int out) {
  if (terminal(f, out)) s->red[s->nred++] = (Reduction){.node = out};
  else s->store[s->nstore++] = out;
}

static bool check_results(Emit *e, const GroupInfo *g) {
  for (int i = 0; i < g->nnode; i++) {
    const Node *n = &e->fn->node[g->node[i]];
    if ((n->op != OP_argmax && n->op != OP_argmin) || map_in_place(e->fn, n)) continue;
    return ir_error(e->err, "%s over axis %d with %lld values is no map: it belongs in a group of its own",
                    op_info[n->op].name, n->at.axis, (long long)e->fn->node[n->in[0]].type.dim[n->at.axis]);
  }
  return true;
}

static void place_result(Emit *e, const GroupInfo *g, Sweep *list, int *count, int out, Type domain,
                         bool unrolled) {
  for (int i = 0; i < *count; i++) {
    Sweep *s = &list[i];
    if (!shape_eq(s->domain, domain)) continue;
    int nstore = s->nstore, nred = s->nred;
    add_result(e->fn, s, out);
    if (lay_out(e, g, s, unrolled)) return;
    s->nstore = nstore, s->nred = nred;
    lay_out(e, g, s, unrolled);
  }
  Sweep *s = &list[(*count)++];
  s->domain = domain;
  s->store = arena_alloc(e->arena, sizeof *s->store * (size_t)g->nout);
  s->red = arena_alloc(e->arena, sizeof *s->red * (size_t)g->nout);
  s->cone = arena_alloc(e->arena, sizeof *s->cone * (size_t)g->nnode);
  s->load = arena_alloc(e->arena, sizeof *s->load * (size_t)g->nnode * MAX_IN);
  add_result(e->fn, s, out);
  lay_out(e, g, s, unrolled);
}

Sweep *map_sweeps(Emit *e, const GroupInfo *g, int *count) {
  Type *domain = arena_alloc(e->arena, sizeof *domain * (size_t)(g->nout + 1));
  bool *unrolled = arena_alloc(e->arena, sizeof *unrolled * (size_t)(g->nout + 1));
  Sweep *list = arena_alloc(e->arena, sizeof *list * (size_t)(g->nout + 1));
  *count = 0;
  if (!check_results(e, g)) return NULL;
  for (int i = 0; i < g->nout; i++) domain[i] = needed_domain(e, g, g->out[i], &unrolled[i]);
  /* Values of one channel, or of all, that need no channel reduction ride along with those that do. */
  for (int i = 0; i < g->nout; i++)
    for (int j = 0; j < g->nout && !unrolled[i]; j++)
      if (unrolled[j] && domain[i].rank > 1 && equal_but_channels(domain[i], domain[j]) &&
          (domain[i].dim[1] == 1 || domain[i].dim[1] == domain[j].dim[1]))
        domain[i] = domain[j], unrolled[i] = true;
  for (int i = 0; i < g->nout; i++) place_result(e, g, list, count, g->out[i], domain[i], unrolled[i]);
  return list;
}

/* ---- variation ---- */

static unsigned walked_dims(const Sweep *s, const Walk *w) {
  unsigned dims = 0;
  for (int d = 0; d < s->ndim; d++)
    if (w->stride[s->dim[d].axis]) dims |= 1u << d;
  return dims;
}

/* Of a node of this group, from its operands'. Those a reduction in place runs over end with it. */
static unsigned computed_dims(const Expr *x, const Sweep *s, const Node *n, const unsigned *vary) {
  const Fn *f = x->e->fn;
  unsigned dims = 0;
  Walk w;
  if (walk_of_leaf(n, &w)) dims = walked_dims(s, &w);
  for (int j = 0; j < n->nin; j++) dims |= vary[expr_local(x, n->in[j])];
  unsigned ended = map_in_place(f, n) ? map_reduced_axes(f, n) : 0;
  for (int d = 0; d < s->ndim; d++)
    if (ended >> s->dim[d].axis & 1) dims &= ~(1u << d);
  return dims;
}

/* Of a value from memory its array says so, whatever made it. */
unsigned *map_vary(const Expr *x, const Sweep *s) {
  unsigned *vary = arena_alloc(x->e->arena, sizeof *vary * (size_t)x->nid);
  for (int i = 0; i < x->nid; i++) {
    const Node *n = &x->e->fn->node[x->id[i]];
    Walk w;
    if (n->op == OP_const) continue;
    if (!expr_outside(x, x->id[i])) vary[i] = computed_dims(x, s, n, vary);
    else w = walk_of(x->e, x->id[i]), vary[i] = walked_dims(s, &w);
  }
  return vary;
}
