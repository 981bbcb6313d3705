/* write.c - writes a fused function anew with copies of groups, cut down to the values that are computed
 * again, in front of their readers. */
#include "passes/remat/work.h"
#include "passes/graph/rewrite.h"
#include <string.h>

void remat_closure(const Remat *r, int node, int *seen, int mark) {
  const Fn *f = r->f;
  const Node *n = &f->node[node];
  seen[node] = mark;
  for (int k = 0; k < n->nin; k++) {
    int x = n->in[k];
    if (f->node[x].group != n->group || seen[x] == mark) continue;
    if (r->g[n->group].anchor >= 0 && r->value_of[x] >= 0) continue;
    remat_closure(r, x, seen, mark);
  }
}

typedef struct {
  Remat *r;
  Fn *to;
  int *now;   /* per old node: the new node that holds its value at present, -1 = none */
  int *of;    /* per old view: the new node it was made of */
  int *seen;  /* == mark: node of the kernel being written */
  int *local; /* its new node there */
  int mark;
} Emitter;

/* The new node of an old one that lies outside the kernel being written. */
static int outside(Emitter *e, int v) {
  const Node *n = &e->r->f->node[v];
  int in[MAX_IN] = {0};
  if (n->group >= 0) return e->now[v];
  if (!n->nin) return e->now[v] >= 0 ? e->now[v] : (e->now[v] = ir_clone(e->to, n, in));
  in[0] = outside(e, n->in[0]); /* a view */
  if (in[0] < 0 || (e->now[v] >= 0 && e->of[v] == in[0])) return in[0] < 0 ? -1 : e->now[v];
  e->of[v] = in[0];
  return e->now[v] = ir_clone(e->to, n, in);
}

/* Writes the marked nodes of group g as a kernel. */
static bool write_kernel(Emitter *e, int g) {
  const Fn *f = e->r->f;
  const GroupInfo *info = &e->r->g[g];
  bool anchored = info->anchor >= 0 && e->seen[info->anchor] == e->mark;
  *ARENA_PUSH(e->r->arena, e->to->group, e->to->ngroup, e->to->capgroup) =
      (Group){anchored ? info->kind : G_MAP, -1};
  for (int i = 0; i < info->nnode; i++) {
    int v = info->node[i], in[MAX_IN];
    const Node *n = &f->node[v];
    if (e->seen[v] != e->mark) continue;
    for (int k = 0; k < n->nin; k++) {
      bool inside = f->node[n->in[k]].group == g && e->seen[n->in[k]] == e->mark;
      if ((in[k] = inside ? e->local[n->in[k]] : outside(e, n->in[k])) < 0) return false;
    }
    if ((e->local[v] = ir_clone(e->to, n, in)) < 0) return false;
    e->to->node[e->local[v]].group = e->to->ngroup - 1;
    if (v == info->anchor) e->to->group[e->to->ngroup - 1].anchor = e->local[v];
  }
  return true;
}

/* Kernel of the arrays that are made at `key`; none when nobody wants its results any more. */
static bool write_step(Emitter *e, const int *first, const int *next, int64_t key) {
  Remat *r = e->r;
  int g = remat_group(r, key);
  bool any = false;
  e->mark++;
  for (int i = first[g]; i >= 0; i = next[i]) {
    if (r->array[i].make != key) continue;
    remat_closure(r, r->value[r->array[i].value].node, e->seen, e->mark);
    any = true;
  }
  if (any && !write_kernel(e, g)) return false;
  for (int i = first[g]; i >= 0; i = next[i]) {
    int v = r->value[r->array[i].value].node;
    if (r->array[i].make == key) e->now[v] = e->local[v];
  }
  return true;
}

Fn *remat_emit(Remat *r, char err[IR_ERR]) {
  const Fn *f = r->f;
  Rewrite w = rewrite_begin(f);
  size_t n = (size_t)f->n + 1;
  Emitter e = {.r = r, .to = w.to, .now = w.map};
  e.of = arena_alloc(r->arena, n * sizeof *e.of);
  e.seen = arena_alloc(r->arena, n * sizeof *e.seen);
  e.local = arena_alloc(r->arena, n * sizeof *e.local);
  /* arrays by group */
  int *first = arena_alloc(r->arena, ((size_t)f->ngroup + 1) * sizeof *first);
  int *next = arena_alloc(r->arena, ((size_t)r->narray + 1) * sizeof *next);
  memset(first, -1, ((size_t)f->ngroup + 1) * sizeof *first);
  for (int i = 0; i < r->narray; i++) {
    int g = r->value[r->array[i].value].group;
    if (g < 0) continue;
    next[i] = first[g];
    first[g] = i;
  }
  bool ok = true;
  for (int g = 0, c = 0; g < f->ngroup && ok; g++) {
    for (; c < r->ncopy && remat_slot(r, r->copy[c]) == g && ok; c++)
      ok = write_step(&e, first, next, r->copy[c]);
    ok = ok && write_step(&e, first, next, remat_key(r, g, g));
  }
  for (int i = 0; i < f->n; i++) /* inputs nobody reads stay, so that the host finds them */
    if (f->node[i].op == OP_input && w.map[i] < 0) outside(&e, i);
  return rewrite_end(&w, err);
}
