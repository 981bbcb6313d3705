/* values.c - what each group of a fused function reads and stores, from Node.group alone. */
#include "passes/fuse/fuse.h"
#include "passes/graph/order.h"
#include <string.h>

const char *const group_kind_name[G_KINDS] = {"map",   "conv",  "conv_dw", "dw",
                                              "dw_dw", "dybac", "matmul",  "move"};

int value_source(const Fn *f, int node) {
  while (f->node[node].op == OP_reshape && reshape_is_view(&f->node[f->node[node].in[0]], &f->node[node]))
    node = f->node[node].in[0];
  return node;
}

static void push(Arena *a, int **list, int *n, int *cap, int v) { *ARENA_PUSH(a, *list, *n, *cap) = v; }

/* The smallest shape that t and d broadcast to. */
static void widen(Type *d, Type t) {
  if (t.rank > d->rank) *d = t;
  for (int i = 0; i < t.rank && t.rank == d->rank; i++)
    if (t.dim[i] > d->dim[i]) d->dim[i] = t.dim[i];
}

static bool lies_in_memory(const Node *n) { return n->op == OP_var || n->op == OP_input; }

/* Marks sources that another group, a store or an output reads. */
static bool *materialised(const Fn *f) {
  bool *m = arena_alloc(f->prog->arena, (size_t)f->n + 1);
  for (int i = 0; i < f->n; i++) {
    const Node *n = &f->node[i];
    for (int k = 0; k < n->nin && n->group >= 0; k++) {
      int src = value_source(f, n->in[k]);
      if (f->node[src].group != n->group || src != n->in[k]) m[src] = true;
    }
  }
  for (int i = 0; i < f->nstore; i++) m[value_source(f, f->store[i].node)] = true;
  for (int i = 0; i < f->nout; i++) m[value_source(f, f->out[i].node)] = true;
  return m;
}

GroupInfo *group_values(const Fn *f) {
  Arena *a = f->prog->arena;
  GroupInfo *g = arena_alloc(a, ((size_t)f->ngroup + 1) * sizeof *g);
  struct {
    int node, in, out;
  } *cap = arena_alloc(a, ((size_t)f->ngroup + 1) * sizeof *cap);
  int *seen =
      arena_alloc(a, ((size_t)f->n + 1) * sizeof *seen); /* 1 + the last group that listed it as input */
  bool *stored = materialised(f);
  for (int i = 0; i < f->ngroup; i++)
    g[i] = (GroupInfo){.kind = f->group[i].kind, .anchor = f->group[i].anchor};
  for (int i = 0; i < f->n; i++) {
    int id = f->node[i].group;
    if (id < 0) continue;
    push(a, &g[id].node, &g[id].nnode, &cap[id].node, i);
    if (stored[i]) push(a, &g[id].out, &g[id].nout, &cap[id].out, i);
  }
  for (int id = 0; id < f->ngroup; id++) {
    g[id].domain = g[id].anchor >= 0 ? f->node[g[id].anchor].type : type_scalar();
    for (int i = 0; i < g[id].nnode; i++) {
      const Node *n = &f->node[g[id].node[i]];
      if (g[id].anchor < 0) widen(&g[id].domain, n->type);
      for (int k = 0; k < n->nin; k++) {
        int src = value_source(f, n->in[k]);
        if (g[id].anchor < 0) widen(&g[id].domain, f->node[n->in[k]].type);
        bool inside = src == n->in[k] && f->node[src].group == id;
        if (inside || seen[src] == id + 1 || (f->node[src].group < 0 && !lies_in_memory(&f->node[src])))
          continue;
        seen[src] = id + 1;
        push(a, &g[id].in, &g[id].nin, &cap[id].in, src);
      }
    }
    g[id].domain.dt = g[id].anchor >= 0 ? g[id].domain.dt : F32;
  }
  return g;
}
