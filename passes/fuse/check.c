/* check.c - tests every promise of fuse.h on a fused function. Written from the promises, not from the
 * pass. */
#include "passes/fuse/check.h"
#include "passes/graph/order.h"
#include "passes/graph/rewrite.h"
#include <stdarg.h>

typedef struct {
  const Fn *f;
  const GroupInfo *g;
  char *err;
} Check;

__attribute__((format(printf, 3, 4))) static bool broken(const Check *c, int node, const char *fmt, ...) {
  const Node *n = &c->f->node[node];
  ir_error(c->err, "%.40s: group %d, node %%%d (%s): ", c->f->name, n->group, node, op_info[n->op].name);
  va_list ap;
  va_start(ap, fmt);
  ir_verror_more(c->err, fmt, ap);
  va_end(ap);
  return false;
}

static bool needs_no_group(const Fn *f, int i) {
  const Node *n = &f->node[i];
  if (n->op == OP_var || n->op == OP_input) return true;
  if (n->op == OP_const) return n->type.rank == 0;
  return value_source(f, i) != i;
}

static bool broadcasts_to(Type t, Type d) {
  if (t.rank == 0) return true;
  if (t.rank != d.rank) return false;
  for (int i = 0; i < t.rank; i++)
    if (t.dim[i] != 1 && t.dim[i] != d.dim[i]) return false;
  return true;
}

/* Groups run in order, and a leaf is in the group that reads it. */
static bool check_operands(const Check *c, int i) {
  const Fn *f = c->f;
  const Node *n = &f->node[i];
  for (int k = 0; k < n->nin; k++) {
    int x = n->in[k], src = value_source(f, x), from = f->node[src].group;
    if (n->group < 0 || (src == x && from == n->group)) continue;
    if (from >= n->group)
      return broken(c, i, "operand %%%d comes from group %d, which does not run before", x, from);
    if (is_free_leaf(&f->node[src]) && f->node[src].type.rank > 0)
      return broken(c, i, "leaf %%%d is in another group", x);
  }
  return true;
}

/* One order for everything of shape D, so that a map walks all of it alike. */
static bool check_order(const Check *c, int i, Type d, const uint8_t **order) {
  const Node *n = &c->f->node[i];
  if (is_free_leaf(n) || !shape_eq(n->type, d)) return true;
  if (!*order) *order = n->order;
  return order_same(d, n->order, *order) || broken(c, i, "its memory order differs from its group's");
}

static bool unrolled(const Fn *f, const Node *n) {
  Type x = f->node[n->in[0]].type;
  unsigned axes = op_info[n->op].attrs & A_AXES ? n->at.axes : 1u << n->at.axis;
  return axes == 2 && x.dim[1] <= MAP_UNROLL_C;
}

static bool check_map(const Check *c, const GroupInfo *g, bool *after_red) {
  const Fn *f = c->f;
  const uint8_t *order = NULL;
  for (int i = 0; i < g->nnode; i++) {
    int id = g->node[i];
    const Node *n = &f->node[id];
    OpClass cls = op_info[n->op].cls;
    if (cls != EW && cls != RED && n->op != OP_broadcast && !is_free_leaf(n))
      return broken(c, id, "does not belong into a map");
    if (!broadcasts_to(n->type, g->domain)) return broken(c, id, "does not broadcast to the map's domain");
    if (!check_order(c, id, g->domain, &order)) return false;
    for (int k = 0; k < n->nin; k++) {
      const Node *x = &f->node[n->in[k]];
      if (!broadcasts_to(x->type, g->domain)) return broken(c, id, "operand %d is larger than the domain", k);
      if (!check_order(c, n->in[k], g->domain, &order)) return false;
      if (x->group != n->group) continue;
      after_red[id] |= after_red[n->in[k]];
      if (op_info[x->op].cls == RED && !unrolled(f, x)) after_red[id] = true;
    }
    if (after_red[id]) return broken(c, id, "depends on a reduction of its own map");
    if (cls == RED && !shape_eq(f->node[n->in[0]].type, g->domain))
      return broken(c, id, "reduces another shape than the domain");
    if ((n->op == OP_argmax || n->op == OP_argmin) && !unrolled(f, n))
      return broken(c, id, "is not unrolled");
  }
  return true;
}

static bool is_gate(const Fn *f, const Node *n) {
  Type a = f->node[n->in[0]].type, b = f->node[n->in[1]].type;
  return n->op == OP_mul && !shape_eq(a, b) && (a.dim[1] == 1 || b.dim[1] == 1) && spatial_axes(a) &&
         type_count(a) / a.dim[1] == type_count(b) / b.dim[1];
}

/* Whether id is what a contraction of this kind may compute for itself: *next is the node that must read it.
 */
static bool is_prologue(const Fn *f, const GroupInfo *g, int id, int reader) {
  const Node *n = &f->node[id], *r = &f->node[reader];
  if (r->in[0] != id || r->in[1] == id) return false;
  bool deep = g->kind == G_DYBAC || g->kind == G_WGRAD;
  if (n->op == OP_dwconv) return deep && reader == g->anchor;
  if (!is_gate(f, n)) return false;
  return deep ? r->op == OP_dwconv
              : (g->kind == G_DEPTHWISE || g->kind == G_DEPTHWISE_WGRAD) && reader == g->anchor;
}

static bool operand_fits(Type t, Type r) {
  if (t.rank == 0 || shape_eq(t, r)) return true;
  bool ones = broadcasts_to(t, r);
  for (int i = 2; i < t.rank; i++) ones &= t.dim[i] == 1;
  return ones || (t.rank == r.rank && t.dim[1] == 1 && type_count(t) == type_count(r) / r.dim[1]);
}

static bool check_epilogue(const Check *c, const GroupInfo *g, int id) {
  const Fn *f = c->f;
  const Node *n = &f->node[id], *anchor = &f->node[g->anchor];
  if (g->kind != G_CONV && g->kind != G_DEPTHWISE && g->kind != G_DYBAC)
    return broken(c, id, "this kind has no epilogue");
  if (op_info[n->op].cls != EW || !shape_eq(n->type, anchor->type))
    return broken(c, id, "an epilogue is elementwise and of the anchor's shape");
  if (!order_same(n->type, n->order, anchor->order))
    return broken(c, id, "its memory order differs from the anchor's");
  for (int k = 0; k < n->nin; k++) {
    const Node *x = &f->node[n->in[k]];
    if (is_free_leaf(x)) continue;
    if (!operand_fits(x->type, n->type)) return broken(c, id, "operand %d does not fit an epilogue", k);
    if (shape_eq(x->type, n->type) && !order_same(x->type, x->order, n->order))
      return broken(c, id, "operand %d lies in another memory order", k);
  }
  return true;
}

static bool check_anchored(const Check *c, const GroupInfo *g) {
  const Fn *f = c->f;
  int reader = g->anchor, prologue[2] = {-1, -1}, np = 0;
  for (int x = f->node[g->anchor].nin ? f->node[g->anchor].in[0] : -1;
       x >= 0 && f->node[x].group == f->node[g->anchor].group;) {
    if (np == 2 || !is_prologue(f, g, x, reader))
      return broken(c, x, "cannot be computed by its contraction");
    prologue[np++] = reader = x;
    x = f->node[x].op == OP_dwconv ? f->node[x].in[0] : -1;
  }
  for (int i = 0; i < g->nnode; i++) {
    int id = g->node[i];
    if (id == g->anchor || id == prologue[0] || id == prologue[1] || is_free_leaf(&f->node[id])) continue;
    if (!check_epilogue(c, g, id)) return false;
  }
  for (int i = 0; i < g->nout; i++)
    if (g->out[i] == prologue[0] || g->out[i] == prologue[1]) return broken(c, g->out[i], "is stored");
  if (g->kind == G_DYBAC && np == 0) return broken(c, g->anchor, "dybac without a depthwise convolution");
  return true;
}

static bool kind_fits(int kind, const Node *n) {
  switch (kind) {
  case G_CONV: return n->op == OP_conv || n->op == OP_conv_dx;
  case G_WGRAD: return n->op == OP_conv_dw;
  case G_DEPTHWISE: return n->op == OP_dwconv || n->op == OP_dwconv_dx;
  case G_DEPTHWISE_WGRAD: return n->op == OP_dwconv_dw;
  case G_DYBAC: return n->op == OP_conv;
  case G_MATMUL: return n->op == OP_matmul || n->op == OP_inner;
  case G_MOVE:
    return (op_info[n->op].cls == MOVE && n->op != OP_broadcast) || n->op == OP_argmax || n->op == OP_argmin;
  default: return false;
  }
}

bool fuse_check(const Fn *f, char err[IR_ERR]) {
  Check c = {f, group_values(f), err};
  bool *after_red = arena_alloc(f->prog->arena, (size_t)f->n + 1);
  for (int i = 0; i < f->n; i++) {
    int g = f->node[i].group;
    if (g >= f->ngroup) return broken(&c, i, "no such group");
    if ((g < 0) != needs_no_group(f, i)) return broken(&c, i, g < 0 ? "has no group" : "needs no group");
    if (!check_operands(&c, i)) return false;
  }
  for (int i = 0; i < f->ngroup; i++) {
    const GroupInfo *g = &c.g[i];
    if (!g->nnode || !g->nout) return ir_error(err, "%.60s: group %d is empty or stores nothing", f->name, i);
    if (g->nin + g->nout > 38) return broken(&c, g->node[0], "%d arguments", g->nin + g->nout);
    if (g->kind == G_MAP) {
      if (g->anchor >= 0) return broken(&c, g->anchor, "a map has no anchor");
      if (!check_map(&c, g, after_red)) return false;
      continue;
    }
    if (g->anchor < 0 || f->node[g->anchor].group != i || !kind_fits(g->kind, &f->node[g->anchor]))
      return broken(&c, g->node[0], "its group's anchor is wrong");
    if (!check_anchored(&c, g)) return false;
  }
  for (int i = 0; i < f->nstore; i++)
    if (f->node[f->store[i].node].group < 0)
      return broken(&c, f->store[i].node, "is stored but no group computes it");
  for (int i = 0; i < f->nout; i++)
    if (f->node[f->out[i].node].group < 0)
      return broken(&c, f->out[i].node, "is an output but no group computes it");
  return true;
}
