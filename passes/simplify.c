/* simplify.c - pass `simplify`: common subexpressions, dead nodes, constant folding, identities.
 *
 * One forward sweep reaches the fixed point: a node is rewritten after its operands, and each rule's result
 * is either an operand, an older node, or a node to which the rules were applied in turn. Values stay the
 * same bit for bit in float32 (the sign of a zero apart): folding happens only for operations whose float32
 * result is the rounded exact one. */
#include "passes/passes.h"
#include "passes/fold_constants.h"
#include "passes/graph/rewrite.h"
#include <string.h>

typedef struct {
  Fn *to;
  int *slot; /* open-addressed hash table of new nodes, -1 = free */
  unsigned mask;
  bool drop_stop;
} Simplify;

/* ---- common subexpressions ---- */

static uint64_t mix(uint64_t h, uint64_t v) {
  h = (h ^ v) * 0x9e3779b97f4a7c15u;
  return h ^ h >> 29;
}

static bool commutes(Op op) { return op == OP_add || op == OP_mul || op == OP_eq; }

/* Operands as compared: those of commuting ops sorted. */
static void key_operands(const Node *n, int *in) {
  memcpy(in, n->in, sizeof n->in);
  if (commutes(n->op) && in[0] > in[1]) in[0] = n->in[1], in[1] = n->in[0];
}

static uint64_t node_hash(const Node *n) {
  int in[MAX_IN];
  uint64_t value, h = mix((uint64_t)n->op, (uint64_t)n->type.dt * 8 + (uint64_t)n->type.rank);
  memcpy(&value, &n->at.value, sizeof value);
  key_operands(n, in);
  for (int k = 0; k < n->nin; k++) h = mix(h, (uint64_t)in[k]);
  for (int k = 0; k < n->type.rank; k++) h = mix(h, (uint64_t)n->type.dim[k]);
  h = mix(mix(mix(h, value), n->at.axes), (uint64_t)n->at.site * 31 + (uint64_t)n->at.axis);
  h = mix(h, (uint64_t)n->at.lo * 65537 + (uint64_t)n->at.hi);
  for (const char *s = n->at.sym; s && *s; s++) h = mix(h, (unsigned char)*s);
  return h;
}

static bool attrs_equal(const Attrs *a, const Attrs *b) {
  if (memcmp(&a->value, &b->value, sizeof a->value) || a->axis != b->axis || a->axes != b->axes) return false;
  if (memcmp(&a->geom, &b->geom, sizeof a->geom)) return false;
  if (memcmp(a->size, b->size, sizeof a->size) || a->lo != b->lo || a->hi != b->hi) return false;
  if (a->mode != b->mode || a->site != b->site || a->bf16 != b->bf16 || !a->sym != !b->sym) return false;
  return !a->sym || !strcmp(a->sym, b->sym);
}

static bool nodes_equal(const Node *a, const Node *b) {
  int x[MAX_IN], y[MAX_IN];
  if (a->op != b->op || a->nin != b->nin || !type_eq(a->type, b->type)) return false;
  key_operands(a, x);
  key_operands(b, y);
  return !memcmp(x, y, (size_t)a->nin * sizeof *x) && !memcmp(a->order, b->order, sizeof a->order) &&
         attrs_equal(&a->at, &b->at);
}

/* The last node appended, or an older equal one (then the last is taken back). */
static int unify(Simplify *s, int id) {
  Fn *to = s->to;
  if (id != to->n - 1) return id;
  unsigned at = (unsigned)node_hash(&to->node[id]) & s->mask;
  for (; s->slot[at] >= 0; at = (at + 1) & s->mask) {
    if (!nodes_equal(&to->node[s->slot[at]], &to->node[id])) continue;
    to->n--;
    return s->slot[at];
  }
  return s->slot[at] = id;
}

static int splat(Simplify *s, double v, Type t) { return unify(s, ir_splat(s->to, v, t)); }

/* ---- identities ---- */

static bool is_splat(const Fn *f, int id, double *v) {
  const Node *n = &f->node[id];
  *v = n->at.value;
  return n->op == OP_const;
}

static bool same_result(const Fn *f, int x, const Node *n) {
  return type_eq(f->node[x].type, n->type) && !memcmp(f->node[x].order, n->order, sizeof n->order);
}

/* An operand repeated to a shape the op would repeat it to anyway: read the smaller value. */
static void shrink_operands(Simplify *s, Node *n) {
  Fn *to = s->to;
  for (int k = 0; k < n->nin && n->nin > 1; k++) {
    const Node *x = &to->node[n->in[k]];
    int before = n->in[k], small = -1;
    Type t;
    if (x->op == OP_const && x->type.rank > 0) small = splat(s, x->at.value, (Type){.dt = x->type.dt});
    else if (x->op == OP_broadcast) small = x->in[0];
    if (small < 0) continue;
    n->in[k] = small;
    Type in[MAX_IN];
    char ignored[IR_ERR];
    for (int j = 0; j < n->nin; j++) in[j] = to->node[n->in[j]].type;
    if (!infer_type(n->op, n->nin, in, &n->at, &n->type, &t, ignored) || !type_eq(t, n->type))
      n->in[k] = before;
  }
}

static int binary_identity(const Fn *f, const Node *n) {
  double v;
  int a = n->in[0], b = n->in[1];
  switch (n->op) {
  case OP_add:
    if (is_splat(f, b, &v) && v == 0 && same_result(f, a, n)) return a;
    if (is_splat(f, a, &v) && v == 0 && same_result(f, b, n)) return b;
    return -1;
  case OP_mul:
    if (is_splat(f, b, &v) && v == 1 && same_result(f, a, n)) return a;
    if (is_splat(f, a, &v) && v == 1 && same_result(f, b, n)) return b;
    return -1;
  case OP_sub: return is_splat(f, b, &v) && v == 0 && same_result(f, a, n) ? a : -1;
  case OP_div: return is_splat(f, b, &v) && v == 1 && same_result(f, a, n) ? a : -1;
  case OP_min:
  case OP_max: return a == b ? a : -1;
  default: return -1;
  }
}

/* The piece of a concat that a slice cuts out exactly. */
static int slice_of_concat(const Fn *f, const Node *n) {
  const Node *x = &f->node[n->in[0]];
  int64_t at = 0;
  if (x->op != OP_concat || x->at.axis != n->at.axis) return -1;
  for (int k = 0; k < x->nin; k++) {
    int64_t end = at + f->node[x->in[k]].type.dim[n->at.axis];
    if (at == n->at.lo && end == n->at.hi) return x->in[k];
    at = end;
  }
  return -1;
}

/* An existing node of the same value, or -1. */
static int identity(const Simplify *s, const Node *n) {
  const Fn *f = s->to;
  int x = n->nin ? n->in[0] : -1;
  double v;
  switch (n->op) {
  case OP_stop: return s->drop_stop ? x : -1;
  case OP_neg: return f->node[x].op == OP_neg ? f->node[x].in[0] : -1;
  case OP_powc: return n->at.value == 1 ? x : -1;
  case OP_select:
    if (n->in[1] == n->in[2] && same_result(f, n->in[1], n)) return n->in[1];
    if (!is_splat(f, n->in[0], &v)) return -1;
    return same_result(f, n->in[v != 0 ? 1 : 2], n) ? n->in[v != 0 ? 1 : 2] : -1;
  case OP_slice:
    if (slice_of_concat(f, n) >= 0) return slice_of_concat(f, n);
    return same_result(f, x, n) ? x : -1;
  case OP_cast:
  case OP_sum:
  case OP_amax:
  case OP_amin:
  case OP_reshape:
  case OP_broadcast:
  case OP_pad:
  case OP_upsample:
  case OP_sumpool: return same_result(f, x, n) ? x : -1;
  case OP_concat: return n->nin == 1 ? x : -1;
  default: return n->nin == 2 ? binary_identity(f, n) : -1;
  }
}

/* Rules that give a simpler node instead of an older one; changes n. */
static void reduce_node(const Fn *f, Node *n) {
  if (!n->nin) return;
  const Node *x = &f->node[n->in[0]];
  if (op_info[n->op].attrs & A_AXES) /* axes of extent 1 need no reduction */
    for (int i = 0; i < x->type.rank; i++)
      if (x->type.dim[i] == 1) n->at.axes &= ~(1u << i);
  if ((n->op == OP_reshape || n->op == OP_broadcast) && x->op == n->op) n->in[0] = x->in[0];
  if (n->op == OP_slice && x->op == OP_slice && x->at.axis == n->at.axis) {
    n->in[0] = x->in[0];
    n->at.lo += x->at.lo;
    n->at.hi += x->at.lo;
  }
  if (n->op == OP_powc && n->at.value == 2) {
    n->op = OP_mul;
    n->at.value = 0;
    n->nin = 2;
    n->in[1] = n->in[0];
  }
}

/* The value of node `n` (operands are nodes of s->to), simplified. */
static int simplified(Simplify *s, Node n) {
  double v;
  reduce_node(s->to, &n);
  if (op_info[n.op].cls == EW) shrink_operands(s, &n);
  int old = identity(s, &n);
  if (old >= 0) return old;
  if (fold_splat(s->to, &n, &v)) return splat(s, v, n.type);
  int id = ir_clone(s->to, &n, n.in);
  return id < 0 ? id : unify(s, id);
}

/* Copies what stores and outputs need. */
static Fn *prune(const Fn *f, char err[IR_ERR]) {
  Rewrite r = rewrite_begin(f);
  const bool *live = live_nodes(f);
  for (int i = 0; i < f->n && !r.to->err[0]; i++)
    if (live[i]) r.map[i] = rewrite_copy(&r, i);
  return rewrite_end(&r, err);
}

Fn *pass_simplify(Fn *f, char err[IR_ERR]) {
  Rewrite r = rewrite_begin(f);
  const bool *live = live_nodes(f);
  Simplify s = {.to = r.to, .mask = 15, .drop_stop = true};
  while (s.mask < 4u * (unsigned)f->n) s.mask = s.mask * 2 + 1;
  s.slot = arena_alloc(f->prog->arena, ((size_t)s.mask + 1) * sizeof *s.slot);
  memset(s.slot, -1, ((size_t)s.mask + 1) * sizeof *s.slot);
  for (int i = 0; i < f->n; i++) s.drop_stop &= f->node[i].op != OP_grad;
  for (int i = 0; i < f->n && !r.to->err[0]; i++) {
    if (!live[i]) continue;
    Node n = f->node[i];
    for (int k = 0; k < n.nin; k++) n.in[k] = r.map[n.in[k]];
    r.map[i] = simplified(&s, n);
  }
  Fn *to = rewrite_end(&r, err);
  return to ? prune(to, err) : NULL;
}
