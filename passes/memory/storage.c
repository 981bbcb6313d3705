/* storage.c - which values lie inside of others: operands of concatenations and results of slices
 * (storage.h). */
#include "passes/memory/storage.h"
#include "passes/graph/order.h"
#include "passes/graph/order.h"
#include <string.h>

/* The region of a value that a piece takes: from index `lo` of `axis` on. */
typedef struct {
  int whole, part, axis;
  int64_t lo;
} Region;

static Region slice_region(const Fn *f, int slice) {
  const Node *n = &f->node[slice];
  return (Region){n->in[0], slice, n->at.axis, n->at.lo};
}

static Region concat_region(const Fn *f, int concat, int k) {
  const Node *n = &f->node[concat];
  Region r = {concat, n->in[k], n->at.axis, 0};
  for (int i = 0; i < k; i++) r.lo += f->node[n->in[i]].type.dim[n->at.axis];
  return r;
}

/* Storage of the region's part, given that of the whole. */
static Storage inside(const Fn *f, const Storage *whole, const Region *r) {
  const Type *t = &f->node[r->part].type;
  Storage s = {.owner = whole->owner, .offset = whole->offset + r->lo * whole->stride[r->axis]};
  for (int a = 0; a < t->rank; a++) s.stride[a] = t->dim[a] > 1 ? whole->stride[a] : 0;
  return s;
}

static Storage own(const Fn *f, int node) {
  const Node *n = &f->node[node];
  Storage s = {.owner = value_source(f, node)};
  for (int a = 0; a < n->type.rank; a++) s.stride[a] = order_stride(n->type, n->order, a);
  return s;
}

static bool same(const Storage *a, const Storage *b) {
  return a->owner == b->owner && a->offset == b->offset && !memcmp(a->stride, b->stride, sizeof a->stride);
}

bool storage_in_place(const Fn *f, const Storage *s, int node, int k) {
  Region r = f->node[node].op == OP_slice ? slice_region(f, node) : concat_region(f, node, k);
  Storage want = inside(f, &s[r.whole], &r);
  return same(&s[r.part], &want);
}

/* ---- who can do with a view ---- */

/* Whether movement kernels take strides and offsets of all their operands and of the result. */
static bool moves_strided(Op op) {
  switch (op) {
  case OP_concat:
  case OP_slice:
  case OP_pad:
  case OP_upsample:
  case OP_sumpool:
  case OP_maxpool:
  case OP_maxpool_dx:
  case OP_resize:
  case OP_resize_dx: return true;
  default: return false;
  }
}

/* Whether node n, which is in a contraction's group, is computed before the contraction. */
static bool is_prologue(const Fn *f, const Group *g, int n) {
  for (int x = f->node[g->anchor].in[0]; f->node[x].group == f->node[n].group; x = f->node[x].in[0])
    if (x == n) return true;
  return false;
}

static bool reads_strided(const Fn *f, int reader) {
  const Node *n = &f->node[reader];
  if (n->group < 0) return false; /* a view by reshape */
  const Group *g = &f->group[n->group];
  switch (g->kind) {
  case G_MAP: return true;
  case G_CONV:
  case G_DEPTHWISE:
  case G_DYBAC: return reader != g->anchor && !is_prologue(f, g, reader);
  case G_MOVE: return moves_strided(n->op);
  default: return false;
  }
}

static bool writes_strided(const Fn *f, int node) {
  const Node *n = &f->node[node];
  if (n->group < 0) return false;
  switch (f->group[n->group].kind) {
  case G_MAP: return op_info[n->op].cls == EW || n->op == OP_broadcast;
  case G_CONV:
  case G_DEPTHWISE:
  case G_DYBAC: return true;
  case G_MOVE: return moves_strided(n->op);
  default: return false;
  }
}

/* Nodes that something needs densely: an output, a stored value, what a reader cannot take strided. */
static bool *needed_dense(const Fn *f) {
  bool *dense = arena_alloc(f->prog->arena, (size_t)f->n + 1);
  for (int i = 0; i < f->n; i++)
    for (int k = 0; k < f->node[i].nin; k++)
      if (!reads_strided(f, i)) dense[f->node[i].in[k]] = true;
  for (int i = 0; i < f->nout; i++) dense[f->out[i].node] = true;
  for (int i = 0; i < f->nstore; i++) dense[f->store[i].node] = true;
  return dense;
}

/* Whether the strides keep the promises of storage.h. */
static bool walks_well(const Node *n, const Storage *s) {
  int64_t run = 1;
  for (int i = n->type.rank - 1; i >= 0; i--) {
    int a = n->order[i];
    if (n->type.dim[a] == 1) continue;
    if (s->stride[a] != run) break;
    run *= n->type.dim[a];
  }
  int64_t step = 0; /* of the next spatial axis outwards */
  for (int a = n->type.rank - 1; a >= 2; a--) {
    if (n->type.dim[a] == 1) continue;
    if (step && s->stride[a] != step) return false;
    step = s->stride[a] * n->type.dim[a];
  }
  return run >= STORAGE_RUN;
}

static bool fits(const Fn *f, const Storage *whole, const Region *r) {
  const Node *part = &f->node[r->part], *all = &f->node[r->whole];
  Storage s = inside(f, whole, r);
  return part->type.dt == all->type.dt && order_same(part->type, part->order, all->order) &&
         walks_well(part, &s);
}

Storage *storage_of_values(const Fn *f) {
  Storage *s = arena_alloc(f->prog->arena, ((size_t)f->n + 1) * sizeof *s);
  bool *dense = needed_dense(f), *placed = arena_alloc(f->prog->arena, (size_t)f->n + 1);
  for (int i = 0; i < f->n; i++) s[i] = own(f, i);
  for (int i = f->n - 1; i >= 0;
       i--) { /* a concatenation that lies in another one is placed before its operands */
    if (f->node[i].op != OP_concat || f->node[i].group < 0) continue;
    for (int k = 0; k < f->node[i].nin; k++) {
      Region r = concat_region(f, i, k);
      if (dense[r.part] || placed[r.part] || !writes_strided(f, r.part) || !fits(f, &s[i], &r)) continue;
      s[r.part] = inside(f, &s[i], &r);
      placed[r.part] = true;
    }
  }
  for (int i = 0; i < f->n; i++) {
    if (f->node[i].op != OP_slice || f->node[i].group < 0) continue;
    Region r = slice_region(f, i);
    if (!dense[i] && !placed[i] && fits(f, &s[r.whole], &r)) s[i] = inside(f, &s[r.whole], &r);
  }
  return s;
}
