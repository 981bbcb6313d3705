/* rewrite.c - see rewrite.h. */
#include "passes/graph/rewrite.h"
#include <string.h>

Rewrite rewrite_begin(const Fn *f) {
  Rewrite r = {f, fn_like(f), arena_alloc(f->prog->arena, ((size_t)f->n + 1) * sizeof(int))};
  memset(r.map, -1, (size_t)f->n * sizeof *r.map);
  return r;
}

int rewrite_copy(Rewrite *r, int i) {
  const Node *n = &r->from->node[i];
  int in[MAX_IN];
  for (int k = 0; k < n->nin; k++) in[k] = r->map[n->in[k]];
  return ir_clone(r->to, n, in);
}

Fn *rewrite_end(Rewrite *r, char err[IR_ERR]) {
  const Fn *f = r->from;
  bool ok = !r->to->err[0];
  for (int i = 0; ok && i < f->nstore; i++) {
    ok = r->map[f->store[i].node] >= 0;
    if (ok) fn_store(r->to, f->store[i].var, r->map[f->store[i].node]);
  }
  for (int i = 0; ok && i < f->nout; i++) {
    ok = r->map[f->out[i].node] >= 0;
    if (ok) fn_output(r->to, f->out[i].name, r->map[f->out[i].node]);
  }
  if (ok) return r->to;
  ir_error(err, "%.60s: %s", f->name, r->to->err[0] ? r->to->err : "a result lost its node while rewriting");
  return NULL;
}

bool *live_nodes(const Fn *f) {
  bool *live = arena_alloc(f->prog->arena, (size_t)f->n + 1);
  for (int i = 0; i < f->nstore; i++) live[f->store[i].node] = true;
  for (int i = 0; i < f->nout; i++) live[f->out[i].node] = true;
  for (int i = f->n - 1; i >= 0; i--) {
    if (!live[i]) continue;
    for (int k = 0; k < f->node[i].nin; k++) live[f->node[i].in[k]] = true;
  }
  return live;
}

Uses fn_uses(const Fn *f) {
  int edges = 0;
  for (int i = 0; i < f->n; i++) edges += f->node[i].nin;
  Uses u = {arena_alloc(f->prog->arena, ((size_t)f->n + 2) * sizeof(int)),
            arena_alloc(f->prog->arena, ((size_t)edges + 1) * sizeof(int))};
  for (int i = 0; i < f->n; i++)
    for (int k = 0; k < f->node[i].nin; k++) u.first[f->node[i].in[k] + 2]++;
  for (int i = 0; i < f->n; i++) u.first[i + 2] += u.first[i + 1];
  /* first[i+1] is the fill position of node i; when all is filled it is the start of node i+1. */
  for (int i = 0; i < f->n; i++)
    for (int k = 0; k < f->node[i].nin; k++) u.reader[u.first[f->node[i].in[k] + 1]++] = i;
  return u;
}

bool is_free_leaf(const Node *n) { return n->op == OP_const || n->op == OP_iota || n->op == OP_rand; }
