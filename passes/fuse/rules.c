/* rules.c - predicates of pass `fuse`: which node may be computed where. */
#include "passes/fuse/work.h"

bool is_elementwise(const Node *n) { return op_info[n->op].cls == EW || n->op == OP_broadcast; }

bool is_unrolled_red(const Fn *f, const Node *n) {
  if (op_info[n->op].cls != RED) return false;
  Type x = f->node[n->in[0]].type;
  bool axis1 = op_info[n->op].attrs & A_AXES ? n->at.axes == 2 : n->at.axis == 1;
  return axis1 && x.rank >= 2 && x.dim[1] <= MAP_UNROLL_C;
}

bool is_map_red(const Fn *f, const Node *n) {
  if (op_info[n->op].cls != RED) return false;
  return (n->op != OP_argmax && n->op != OP_argmin) || is_unrolled_red(f, n);
}

bool is_view(const Fn *f, const Node *n) {
  return n->op == OP_reshape && reshape_is_view(&f->node[n->in[0]], n);
}

static bool is_spatial_map(Type s, Type x) {
  if (s.rank != x.rank || s.rank < 3 || s.dim[1] != 1 || x.dim[1] == 1) return false;
  for (int i = 0; i < s.rank; i++)
    if (i != 1 && s.dim[i] != x.dim[i]) return false;
  return true;
}

bool is_spatial_gate(const Fn *f, const Node *n) {
  if (n->op != OP_mul) return false;
  Type a = f->node[n->in[0]].type, b = f->node[n->in[1]].type;
  return is_spatial_map(a, b) || is_spatial_map(b, a);
}

bool folds_into(const Fn *f, int v, int c) {
  const Node *n = &f->node[v], *m = &f->node[c];
  if (m->nin != 2 || m->in[0] != v || m->in[1] == v) return false;
  if (is_spatial_gate(f, n)) return m->op == OP_dwconv || m->op == OP_dwconv_dw || m->op == OP_dwconv_dx;
  return n->op == OP_dwconv && (m->op == OP_conv || m->op == OP_conv_dw) && node_is_pointwise(f, m);
}

bool *find_folds(const Fn *f, const Uses *uses, const bool *live, const bool *kept) {
  bool *fold = arena_alloc(f->prog->arena, (size_t)f->n + 1);
  for (int v = 0; v < f->n; v++) {
    bool gate = is_spatial_gate(f, &f->node[v]), dw = f->node[v].op == OP_dwconv;
    if (!live[v] || kept[v] || !(gate || dw)) continue;
    if (is_free_leaf(&f->node[f->node[v].in[0]]) || is_free_leaf(&f->node[f->node[v].in[1]])) continue;
    int folded = 0, other = 0;
    for (int u = uses->first[v]; u < uses->first[v + 1]; u++) {
      if (!live[uses->reader[u]]) continue;
      if (folds_into(f, v, uses->reader[u])) folded++;
      else other++;
    }
    /* A gate is elementwise, others may compute it too; a depthwise result others read is stored anyway. */
    fold[v] = folded > 0 && (gate || other == 0);
  }
  return fold;
}

bool unrolls_with(Type narrow, Type wide) {
  if (narrow.rank != wide.rank || narrow.rank < 2) return false;
  for (int i = 0; i < narrow.rank; i++)
    if (i != 1 && narrow.dim[i] != wide.dim[i]) return false;
  return narrow.dim[1] == 1 && wide.dim[1] > 1 && wide.dim[1] <= MAP_UNROLL_C;
}

/* Whole, scalar, (1,C,1..), (N,C,1..) or (N,1,S). */
bool epilogue_operand(Type t, Type r) {
  if (t.rank == 0 || shape_eq(t, r)) return true;
  if (t.rank != r.rank) return false;
  bool ones = true, full = true; /* of the spatial axes */
  for (int i = 2; i < t.rank; i++) ones &= t.dim[i] == 1, full &= t.dim[i] == r.dim[i];
  bool n = t.dim[0] == r.dim[0], c = t.dim[1] == r.dim[1];
  if (ones && (n || t.dim[0] == 1) && (c || t.dim[1] == 1)) return true;
  return full && n && t.dim[1] == 1;
}
