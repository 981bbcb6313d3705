/* write.c - carries out what pass `fuse` decided: writes the groups one after another in the order of
 * their positions, cloning inline nodes and leaves into every group that reads them. */
#include "passes/fuse/work.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
  Fuse *z;
  Fn *to;
  int *id;           /* per old node: the new node outside any group, or the root; -1 = not written yet */
  int *local, *seen; /* within the group being written: new node, and the group the entry is of */
  int *todo, ntodo;  /* old nodes of that group */
} Writer;

static bool belongs(const Writer *w, int g, int v) {
  const Fuse *z = w->z;
  return z->place[v] == P_INLINE || z->place[v] == P_LEAF || (z->place[v] == P_ROOT && z->group[v] == g);
}

/* Collects v and what the group computes to get it. */
static void collect(Writer *w, int g, int v) {
  if (w->seen[v] == g) return;
  w->seen[v] = g;
  w->local[v] = -1;
  w->todo[w->ntodo++] = v;
  const Node *n = &w->z->f->node[v];
  for (int k = 0; k < n->nin; k++)
    if (belongs(w, g, n->in[k])) collect(w, g, n->in[k]);
}

static int by_id(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* The new node of a value that lies in memory; variables, inputs and views are written at their first use. */
static int memory_value(Writer *w, int v) {
  const Node *n = &w->z->f->node[v];
  if (w->id[v] >= 0 || w->z->place[v] == P_ROOT) return w->id[v];
  int in[MAX_IN] = {0};
  if (n->nin) in[0] = memory_value(w, n->in[0]);
  return in[0] < 0 ? -1 : (w->id[v] = ir_clone(w->to, n, in));
}

static bool write_node(Writer *w, int g, int v) {
  const Node *n = &w->z->f->node[v];
  int in[MAX_IN];
  for (int k = 0; k < n->nin; k++) {
    in[k] = belongs(w, g, n->in[k]) ? w->local[n->in[k]] : memory_value(w, n->in[k]);
    if (in[k] < 0) return false;
  }
  int id = ir_clone(w->to, n, in);
  if (id < 0) return false;
  w->to->node[id].group = w->to->ngroup - 1;
  w->local[v] = id;
  if (w->z->place[v] == P_ROOT) w->id[v] = id;
  return true;
}

static bool write_group(Writer *w, int g, char err[IR_ERR]) {
  const Work *work = &w->z->work[g];
  w->ntodo = 0;
  for (int i = 0; i < work->nroot; i++) collect(w, g, work->root[i]);
  qsort(w->todo, (size_t)w->ntodo, sizeof *w->todo, by_id);
  *ARENA_PUSH(w->z->arena, w->to->group, w->to->ngroup, w->to->capgroup) = (Group){work->kind, -1};
  for (int i = 0; i < w->ntodo; i++) {
    if (write_node(w, g, w->todo[i])) continue;
    const Node *n = &w->z->f->node[w->todo[i]];
    return ir_error(err, "%.60s: fuse put %s %%%d into a %s group that runs before its operands; %s",
                    w->z->f->name, op_info[n->op].name, w->todo[i], group_kind_name[work->kind], w->to->err);
  }
  if (work->anchor >= 0) w->to->group[w->to->ngroup - 1].anchor = w->local[work->anchor];
  return true;
}

typedef struct {
  int pos, g;
} Slot;

static int by_pos(const void *a, const void *b) { return ((const Slot *)a)->pos - ((const Slot *)b)->pos; }

Fn *fuse_emit(Fuse *z, char err[IR_ERR]) {
  const Fn *f = z->f;
  size_t n = (size_t)f->n + 1;
  Writer w = {.z = z, .to = fn_like(f)};
  w.id = arena_alloc(z->arena, n * sizeof *w.id);
  w.local = arena_alloc(z->arena, n * sizeof *w.local);
  w.seen = arena_alloc(z->arena, n * sizeof *w.seen);
  w.todo = arena_alloc(z->arena, n * sizeof *w.todo);
  memset(w.id, -1, n * sizeof *w.id);
  memset(w.seen, -1, n * sizeof *w.seen);
  Slot *slot = arena_alloc(z->arena, ((size_t)z->nwork + 1) * sizeof *slot);
  for (int g = 0; g < z->nwork; g++) slot[g] = (Slot){z->work[g].pos, g};
  qsort(slot, (size_t)z->nwork, sizeof *slot, by_pos);
  for (int k = 0; k < z->nwork; k++)
    if (!write_group(&w, slot[k].g, err)) return NULL;
  for (int i = 0; i < f->nstore; i++) fn_store(w.to, f->store[i].var, w.id[f->store[i].node]);
  for (int i = 0; i < f->nout; i++) fn_output(w.to, f->out[i].name, w.id[f->out[i].node]);
  return w.to;
}
