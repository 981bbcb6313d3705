/* epilogue.c - the elementwise nodes behind a contraction (epilogue.h). */
#include <string.h>
#include "codegen/emit/core/epilogue.h"

/* ---- arguments ---- */

/* Is value `id` read by the epilogue only at the place that is being written? Not through a view, then. */
static bool read_in_place(const Fn *f, const GroupInfo *g, int id) {
  for (int i = 0; i < g->nnode; i++) {
    const Node *nd = &f->node[g->node[i]];
    for (int j = 0; j < nd->nin; j++)
      if (value_source(f, nd->in[j]) == id && (nd->in[j] != id || g->node[i] == g->anchor)) return false;
  }
  return true;
}

static bool own_memory(const Emit *e, int node) { return e->storage[node].owner == node; }

/* The result may take over the memory of an operand that has its type and order, and is read at its own place
 * only. With several results one might not depend on that operand, and its store could then be moved before
 * the load. */
static void offer_place(Build *b, const GroupInfo *g) {
  const Fn *f = b->e->fn;
  const Node *out = &f->node[g->out[0]];
  for (int i = 0; g->nout == 1 && i < g->nin; i++) {
    const Node *in = &f->node[g->in[i]];
    if (!type_eq(in->type, out->type) || memcmp(in->order, out->order, sizeof in->order)) continue;
    if (!read_in_place(f, g, g->in[i]) || !own_memory(b->e, g->in[i]) || !own_memory(b->e, g->out[0]))
      continue;
    int to = build_find_arg(b, emit_buffer(b->e, g->out[0]));
    b->launch.may_alias[to] = build_find_arg(b, emit_buffer(b->e, g->in[i]));
    return;
  }
}

/* Does a node of the group other than the anchor read it, as it is or through a view? */
static bool epilogue_reads(const Fn *f, const GroupInfo *g, int id) {
  for (int i = 0; i < g->nnode; i++) {
    const Node *nd = &f->node[g->node[i]];
    for (int j = 0; j < nd->nin && g->node[i] != g->anchor; j++)
      if (value_source(f, nd->in[j]) == id) return true;
  }
  return false;
}

void epilogue_args(Build *b, const GroupInfo *g) {
  Emit *e = b->e;
  for (int i = 0; i < g->nin; i++) {
    int buf = emit_buffer(e, g->in[i]);
    if (build_find_arg(b, buf) >= 0 || !epilogue_reads(e->fn, g, g->in[i])) continue;
    build_arg(b, buf, false);
    b->kernel.bytes += value_bytes(e, g->in[i]);
  }
  for (int i = 0; i < g->nout; i++) {
    build_arg(b, emit_buffer(e, g->out[i]), true);
    b->kernel.bytes += value_bytes(e, g->out[i]);
  }
  offer_place(b, g);
}

/* ---- places ---- */

bool epilogue_renumbers(const Fn *f, const GroupInfo *g, int first) {
  const Type *y = &f->node[g->anchor].type;
  for (int i = 0; i < g->nnode; i++) {
    const Node *nd = &f->node[g->node[i]];
    if (nd->op == OP_iota || nd->op == OP_rand) return false;
    for (int j = 0; j < nd->nin && g->node[i] != g->anchor; j++) {
      const Type *t = &f->node[nd->in[j]].type;
      bool all = true, none = true;
      for (int a = first; a < t->rank; a++) {
        if (a == 1 || y->dim[a] == 1) continue;
        all = all && t->dim[a] == y->dim[a];
        none = none && t->dim[a] == 1;
      }
      if (!all && !none) return false;
    }
  }
  return true;
}
