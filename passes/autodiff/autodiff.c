/* autodiff.c - pass `autodiff`: reverse-mode differentiation.
 *
 * All `grad` nodes of one loss are solved by one sweep from the loss back over the nodes that are both below
 * the loss and computed from a wanted value; the sweep's nodes stand where the first of those grads stood.
 * The sweep runs over the function being built, in which earlier grads are ordinary nodes already, so a loss
 * may itself depend on gradients.
 *
 * Contributions to an adjoint are added in the order of the reverse sweep: the sum is the same in every
 * run. */
#include "passes/autodiff/autodiff.h"
#include "passes/autodiff/grad.h"
#include "passes/graph/rewrite.h"
#include <string.h>

static GradRule *const rules[OP_COUNT] = {
#define OP(name, min_in, max_in, attrs, cls, cost, shape, grad, form, meaning) [OP_##name] = grad_##grad,
#include "ir/ops.def"
};

bool grad_wants(const Sweep *s, const Node *n, int operand) { return s->need[n->in[operand]]; }

void grad_give(Sweep *s, const Node *n, int operand, int g) {
  int x = n->in[operand];
  if (!s->need[x] || g < 0) return;
  g = ir_sum_to(s->f, g, s->f->node[x].type);
  s->adjoint[x] = s->adjoint[x] < 0 ? g : ir_add(s->f, s->adjoint[x], g);
}

/* Completes s->need, in which the wanted values are marked: a node is needed when an operand is, and its op
 * lets the gradient through. */
static void mark_paths(Sweep *s, int loss) {
  for (int i = 0; i <= loss; i++) {
    const Node *n = &s->f->node[i];
    if (!rules[n->op] || n->type.dt != F32) continue;
    for (int k = 0; k < n->nin; k++) s->need[i] |= s->need[n->in[k]];
  }
}

static void sweep_back(Sweep *s, int loss) {
  const Loc *loc = s->f->loc;
  s->adjoint[loss] = ir_const(s->f, 1);
  for (int i = loss; i >= 0 && !s->f->err[0]; i--) {
    Node n = s->f->node[i]; /* by value: the rule appends nodes, which may move the array */
    if (s->adjoint[i] < 0 || !s->need[i] || !rules[n.op]) continue;
    s->f->loc = n.loc;
    rules[n.op](s, &n, i, s->adjoint[i]);
  }
  s->f->loc = loc;
}

/* Maps every grad of old node `loss` whose w has been rewritten; the others come after the loss and get zeros
 * later. */
static void solve(Rewrite *r, int loss) {
  const Fn *f = r->from;
  int top = r->map[loss];
  size_t n = (size_t)top + 1;
  Sweep s = {r->to, arena_alloc(f->prog->arena, n * sizeof(int)), arena_alloc(f->prog->arena, n), top};
  memset(s.adjoint, -1, n * sizeof *s.adjoint);
  for (int i = loss + 1; i < f->n; i++) {
    const Node *g = &f->node[i];
    int w = g->op == OP_grad && g->in[0] == loss ? r->map[g->in[1]] : -1;
    if (w >= 0 && w <= top) s.need[w] = true;
  }
  mark_paths(&s, top);
  sweep_back(&s, top);
  for (int i = loss + 1; i < f->n; i++) {
    const Node *g = &f->node[i];
    int w = g->op == OP_grad && g->in[0] == loss ? r->map[g->in[1]] : -1;
    if (w >= 0 && w <= top && s.adjoint[w] >= 0) r->map[i] = s.adjoint[w];
  }
}

Fn *pass_autodiff(Fn *f, char err[IR_ERR]) {
  Rewrite r = rewrite_begin(f);
  bool *solved = arena_alloc(f->prog->arena, (size_t)f->n + 1);
  for (int i = 0; i < f->n && !r.to->err[0]; i++) {
    const Node *n = &f->node[i];
    if (n->op != OP_grad) {
      r.map[i] = rewrite_copy(&r, i);
      continue;
    }
    if (!solved[n->in[0]]) solve(&r, n->in[0]);
    solved[n->in[0]] = true;
    if (r.map[i] < 0 && !r.to->err[0]) r.map[i] = ir_splat(r.to, 0, n->type); /* no path */
  }
  return rewrite_end(&r, err);
}
