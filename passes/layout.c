/* layout.c - pass `layout`: memory orders.
 *
 * What must agree is found with union-find over the nodes of all functions and the variables: an elementwise
 * node and its operands of the same shape, a view and what it views, a variable and what is stored to it. A
 * class that holds a convolution weight or a conv_dw result has the weights order, every other class the
 * default of its rank. Ops that move data or contract images want the default on their operands; where such
 * an operand lies in a class of weights (or a weight comes out of such an op) a reshape to the same type,
 * another order, copies it. That is the only conversion there is. */
#include "passes/passes.h"
#include "passes/graph/order.h"
#include "passes/graph/rewrite.h"
#include <string.h>

enum { ANY, DEFAULT, WEIGHTS };

/* ---- classes ---- */

typedef struct {
  const Program *prog;
  int *parent;   /* variables first, then the nodes of each function */
  bool *weights; /* at the root: the class has the weights order */
} Classes;

static int class_find(Classes *c, int i) {
  while (c->parent[i] != i) i = c->parent[i] = c->parent[c->parent[i]];
  return i;
}

static void class_join(Classes *c, int i, int j) { c->parent[class_find(c, i)] = class_find(c, j); }

/* The order the op of n demands of operand k; ANY where it takes what comes. */
static int wanted_of_operand(const Node *n, int k) {
  switch (op_info[n->op].cls) {
  case CON: return (n->op == OP_conv || n->op == OP_conv_dx) && k == 1 ? WEIGHTS : DEFAULT;
  case MOVE: return n->op == OP_reshape || n->op == OP_broadcast ? ANY : DEFAULT;
  case RED: return n->op == OP_argmax || n->op == OP_argmin ? DEFAULT : ANY;
  default: return ANY;
  }
}

/* A reshape that can be a view: inserts or drops axes of extent 1. The same type is a conversion. */
static bool may_view(const Fn *f, const Node *n) {
  const Node *x = &f->node[n->in[0]];
  return n->op == OP_reshape && !type_eq(x->type, n->type) && reshape_drops_ones(x->type, n->type);
}

static void classes_of_fn(Classes *c, const Fn *f, int base) {
  for (int i = 0; i < f->n; i++) {
    const Node *n = &f->node[i];
    bool elementwise = op_info[n->op].cls == EW || n->op == OP_broadcast;
    for (int k = 0; k < n->nin; k++) {
      const Node *x = &f->node[n->in[k]];
      bool agree = (elementwise && shape_eq(x->type, n->type)) || may_view(f, n);
      if (agree && !is_free_leaf(x)) class_join(c, base + i, base + n->in[k]);
    }
    int var = n->op == OP_var ? prog_find_var(c->prog, n->at.sym) : -1;
    if (var >= 0) class_join(c, base + i, var);
  }
  for (int i = 0; i < f->nstore; i++)
    if (!is_free_leaf(&f->node[f->store[i].node])) class_join(c, base + f->store[i].node, f->store[i].var);
}

static void mark_weights(Classes *c, const Fn *f, int base) {
  for (int i = 0; i < f->n; i++) {
    const Node *n = &f->node[i];
    if (n->op == OP_conv_dw) c->weights[class_find(c, base + i)] = true;
    for (int k = 0; k < n->nin; k++)
      if (wanted_of_operand(n, k) == WEIGHTS) c->weights[class_find(c, base + n->in[k])] = true;
  }
}

static Classes classes_of(const Program *p) {
  int total = p->nvar;
  for (int i = 0; i < p->nfn; i++) total += p->fn[i]->n;
  Classes c = {p, arena_alloc(p->arena, ((size_t)total + 1) * sizeof(int)),
               arena_alloc(p->arena, (size_t)total + 1)};
  for (int i = 0; i < total; i++) c.parent[i] = i;
  for (int i = 0, base = p->nvar; i < p->nfn; base += p->fn[i++]->n) classes_of_fn(&c, p->fn[i], base);
  for (int i = 0, base = p->nvar; i < p->nfn; base += p->fn[i++]->n) mark_weights(&c, p->fn[i], base);
  return c;
}

static void set_order(uint8_t *order, int kind, int rank) {
  if (kind == WEIGHTS) order_weights(order, rank);
  else order_default(order, rank);
}

/* ---- rewriting ---- */

typedef struct {
  Rewrite r;
  Classes c;
  int base;  /* class index of node 0 */
  int *copy; /* per old node: its last conversion */
} Layout;

static bool in_weights(Layout *l, int i) { return l->c.weights[class_find(&l->c, l->base + i)]; }

/* Old node i as a new node in the given order: itself, or a converting copy. */
static int in_order(Layout *l, int i, const uint8_t *order) {
  Fn *to = l->r.to;
  int x = l->r.map[i];
  Type t = to->node[x].type;
  if (order_same(t, to->node[x].order, order)) return x;
  int had = l->copy[i];
  if (had >= 0 && order_same(t, to->node[had].order, order)) return had;
  int y = ir_reshape(to, x, t);
  if (y < 0) return y;
  memcpy(to->node[y].order, order, sizeof to->node[y].order);
  to->node[y].loc = to->node[x].loc;
  return l->copy[i] = y;
}

/* Order of the result of old node n, whose operands are placed. */
static void result_order(Layout *l, int i, uint8_t *order) {
  const Fn *f = l->r.from;
  const Node *n = &f->node[i];
  OpClass cls = op_info[n->op].cls;
  set_order(order, n->op == OP_conv_dw ? WEIGHTS : DEFAULT, n->type.rank);
  if (cls == CON || (cls == MOVE && n->op != OP_reshape && n->op != OP_broadcast)) return;
  if (cls == LEAF || in_weights(l, i)) {
    set_order(order, in_weights(l, i) ? WEIGHTS : DEFAULT, n->type.rank);
    return;
  }
  if (may_view(f, n)) {
    order_of_view(&l->r.to->node[l->r.map[n->in[0]]], n->type, order);
    return;
  }
  bool keeps =
      cls == RED; /* a reduction's result lies as its operand did; elementwise as its first full operand */
  for (int k = 0; k < n->nin && (cls == EW || cls == RED); k++) {
    const Node *x = &l->r.to->node[l->r.map[n->in[k]]];
    if (is_free_leaf(x) || x->type.rank != n->type.rank) continue;
    if (!keeps && !shape_eq(x->type, n->type)) continue;
    memcpy(order, x->order, sizeof x->order);
    return;
  }
}

static int place_node(Layout *l, int i) {
  const Fn *f = l->r.from;
  const Node *n = &f->node[i];
  uint8_t order[MAX_RANK];
  int in[MAX_IN];
  result_order(l, i, order);
  for (int k = 0; k < n->nin; k++) {
    const Node *x = &f->node[n->in[k]];
    uint8_t want[MAX_RANK];
    int kind = wanted_of_operand(n, k);
    in[k] = l->r.map[n->in[k]];
    if (kind != ANY) set_order(want, kind, x->type.rank);
    else if (op_info[n->op].cls == EW && shape_eq(x->type, n->type) && !is_free_leaf(x))
      memcpy(want, order, sizeof want);
    else continue; /* leaves are computed where they are read, in any order */
    if ((in[k] = in_order(l, n->in[k], want)) < 0) return -1;
  }
  int id = ir_clone(l->r.to, n, in);
  if (id >= 0) memcpy(l->r.to->node[id].order, order, sizeof order);
  return id;
}

Fn *pass_layout(Fn *f, char err[IR_ERR]) {
  Program *p = f->prog;
  Layout l = {.r = rewrite_begin(f), .c = classes_of(p), .base = p->nvar};
  int which = 0;
  while (which < p->nfn && p->fn[which] != f) l.base += p->fn[which++]->n;
  if (which == p->nfn) {
    ir_error(err, "%.60s: layout works on functions of the program only", f->name);
    return NULL;
  }
  l.copy = arena_alloc(p->arena, ((size_t)f->n + 1) * sizeof *l.copy);
  memset(l.copy, -1, (size_t)f->n * sizeof *l.copy);
  for (int v = 0; v < p->nvar; v++)
    set_order(p->var[v].order, l.c.weights[class_find(&l.c, v)] ? WEIGHTS : DEFAULT, p->var[v].type.rank);
  for (int i = 0; i < f->n; i++)
    if ((l.r.map[i] = place_node(&l, i)) < 0) break;
  Fn *to = rewrite_end(&l.r, err);
  for (int i = 0; to && i < to->nstore; i++) {
    int node = in_order(&l, f->store[i].node, p->var[to->store[i].var].order);
    if (node < 0) {
      ir_error(err, "%.60s: %s", f->name, to->err);
      return NULL;
    }
    to->store[i].node = node;
  }
  return to;
}
