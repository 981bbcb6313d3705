/* fuse.c - pass `fuse`: which node is computed in which kernel. The method is told in work.h, the
 * promises in fuse.h; write.c carries the decisions out. */
#include "passes/fuse/work.h"
#include <string.h>

/* ---- explicit copies ---- */

/* A store or an output must be computed by a group, and so must a leaf that is read from memory. Appends the
 * copy. */
static int copy_node(Rewrite *r, int *copy, int i) {
  if (copy[i] >= 0) return copy[i];
  Node n = r->to->node[r->map[i]];
  int id = ir_broadcast(r->to, r->map[i], n.type);
  if (id < 0) return id;
  memcpy(r->to->node[id].order, n.order, sizeof n.order);
  r->to->node[id].loc = n.loc;
  return copy[i] = id;
}

static bool reads_memory(const Fn *f, const Node *n) {
  OpClass cls = op_info[n->op].cls;
  return cls == CON || (cls == MOVE && n->op != OP_broadcast) || (cls == RED && !is_map_red(f, n));
}

static Fn *with_copies(const Fn *f, char err[IR_ERR]) {
  Rewrite r = rewrite_begin(f);
  int *copy = arena_alloc(f->prog->arena, ((size_t)f->n + 1) * sizeof *copy);
  memset(copy, -1, (size_t)f->n * sizeof *copy);
  for (int i = 0; i < f->n; i++) {
    const Node *n = &f->node[i];
    int in[MAX_IN];
    for (int k = 0; k < n->nin; k++) {
      bool leaf = is_free_leaf(&f->node[n->in[k]]) && reads_memory(f, n);
      in[k] = leaf ? copy_node(&r, copy, n->in[k]) : r.map[n->in[k]];
    }
    if ((r.map[i] = ir_clone(r.to, n, in)) < 0) break;
  }
  bool *kept = arena_alloc(f->prog->arena, (size_t)f->n + 1);
  for (int i = 0; i < f->nstore; i++) kept[f->store[i].node] = true;
  for (int i = 0; i < f->nout; i++) kept[f->out[i].node] = true;
  for (int i = 0; i < f->n && !r.to->err[0]; i++) {
    const Node *n = &f->node[i];
    if (kept[i] && (op_info[n->op].cls == LEAF || is_view(f, n))) r.map[i] = copy_node(&r, copy, i);
  }
  return rewrite_end(&r, err);
}

/* ---- what a value is needed for ---- */

typedef struct {
  bool memory;  /* something reads it from memory */
  bool crosses; /* an expression over a larger shape reads it */
  int readers;
  int last; /* a reader */
} Need;

static Need need_of(const Fuse *z, int v) {
  const Fn *f = z->f;
  Need need = {.memory = z->kept[v], .last = -1};
  for (int u = z->uses.first[v]; u < z->uses.first[v + 1]; u++) {
    int c = z->uses.reader[u];
    const Node *n = &f->node[c];
    if (!z->live[c]) continue;
    if (z->fold[v] && folds_into(f, v, c)) continue;
    if (need.last == c) continue;
    need.last = c;
    need.readers++;
    if (z->fold[c] || reads_memory(f, n)) need.memory = true;
    else if (is_elementwise(n) && !shape_eq(n->type, f->node[v].type))
      need.crosses |= !unrolls_with(f->node[v].type, n->type);
  }
  return need;
}

/* So dear that it is computed once, not again by every reader. */
static bool is_heavy(Op op) {
  enum { HEAVY = 10 };
  return op_info[op].cls == EW && op_info[op].cost >= HEAVY;
}

/* ---- fronts: what an inline expression reads ---- */

static void front_add(Front *fr, int id) {
  for (int i = 0; i < fr->n; i++)
    if (fr->id[i] == id) return;
  if (fr->n == MAX_FRONT) fr->overflow = true;
  else fr->id[fr->n++] = id;
}

static Front front_of(const Fuse *z, int v) {
  const Fn *f = z->f;
  const Node *n = &f->node[v];
  Front fr = {.cone = 1, .heavy = is_heavy(n->op), .pure = op_info[n->op].cls == EW};
  for (int k = 0; k < n->nin; k++) {
    int x = n->in[k];
    if (z->place[x] == P_INLINE) {
      const Front *sub = z->front[x];
      for (int i = 0; i < sub->n; i++) front_add(&fr, sub->id[i]);
      fr.cone += sub->cone;
      fr.heavy |= sub->heavy;
      fr.pure &= sub->pure && shape_eq(f->node[x].type, n->type);
      fr.overflow |= sub->overflow;
    } else if (z->place[x] == P_LEAF) {
      fr.cone++;
    } else if (!(z->place[x] == P_MEMORY && f->node[x].op == OP_const)) {
      front_add(&fr, x);
      fr.pure &= epilogue_operand(f->node[x].type, n->type);
    }
  }
  return fr;
}

static int source(const Fuse *z, int v) {
  while (z->place[v] == P_VIEW) v = z->f->node[v].in[0];
  return v;
}

static int64_t front_bytes(const Fuse *z, const Front *fr) {
  int64_t bytes = 0;
  for (int i = 0; i < fr->n; i++) bytes += type_bytes(z->f->node[fr->id[i]].type);
  return bytes;
}

/* ---- groups ---- */

static int new_group(Fuse *z, int kind, int anchor, Type domain, const uint8_t *order) {
  Work *w = ARENA_PUSH(z->arena, z->work, z->nwork, z->capwork);
  *w = (Work){.kind = kind, .anchor = anchor, .domain = domain, .pos = ++z->now};
  memcpy(w->order, order, sizeof w->order);
  if (kind == G_MAP && type_count(domain) <= 4096) z->recent[z->nrecent++ % NRECENT] = z->nwork - 1;
  return z->nwork - 1;
}

static bool work_reads(const Work *w, int src) {
  for (int i = 0; i < w->nin; i++)
    if (w->in[i] == src) return true;
  return false;
}

/* Group g reads value id. */
static void group_reads(Fuse *z, int g, int id) {
  int src = source(z, id);
  Work *w = &z->work[g];
  if (z->place[src] == P_ROOT) {
    if (z->group[src] == g) return;
    z->work[z->group[src]].consumed = true;
  }
  if (work_reads(w, src)) return;
  *ARENA_PUSH(z->arena, w->in, w->nin, w->capin) = src;
  if (w->kind != G_MAP) return;
  int *last = z->reader[src];
  memmove(last + 1, last, (NREADERS - 1) * sizeof *last);
  last[0] = g;
}

static void put(Fuse *z, int g, int v, const Front *fr) {
  Work *w = &z->work[g];
  z->place[v] = P_ROOT;
  z->group[v] = g;
  *ARENA_PUSH(z->arena, w->root, w->nroot, w->caproot) = v;
  if (!fr) return;
  w->cone += fr->cone;
  for (int i = 0; i < fr->n; i++) group_reads(z, g, fr->id[i]);
}

/* A root looking for a group. */
typedef struct {
  int v;
  Type domain; /* of the operand for a reduction */
  const uint8_t *order;
  bool fixed; /* a reduction: the map's domain must be just that */
  const Front *fr;
} Seeker;

static bool domain_fits(const Work *w, const Seeker *s) {
  if (w->domain.rank != s->domain.rank) return false; /* orders of other axes say nothing here */
  if (memcmp(w->order, s->order, sizeof w->order) && !order_same(w->domain, w->order, s->order)) return false;
  if (shape_eq(w->domain, s->domain)) return true;
  if (w->kind != G_MAP || memcmp(w->order, s->order, sizeof w->order)) return false;
  if (unrolls_with(s->domain, w->domain)) return !s->fixed;
  return unrolls_with(w->domain, s->domain) && !w->fixed;
}

/* The reduction v is a result of a group whose other members must not read it. */
static bool is_full_red(const Fuse *z, int v) {
  const Node *n = &z->f->node[v];
  return op_info[n->op].cls == RED && !is_unrolled_red(z->f, n);
}

/* Whether s may join g, and how many bytes of traffic that saves. */
static bool may_join(const Fuse *z, int g, const Seeker *s, int64_t *saved) {
  const Work *w = &z->work[g];
  const Node *n = &z->f->node[s->v];
  *saved = 0;
  if (w->kind == G_WGRAD || w->kind == G_DEPTHWISE_WGRAD || w->kind == G_MATMUL || w->kind == G_MOVE)
    return false;
  if (!domain_fits(w, s)) return false;
  if (w->kind != G_MAP && (!s->fr->pure || op_info[n->op].cls != EW)) return false;
  int fresh = 0;
  bool reads_group = false;
  for (int i = 0; i < s->fr->n; i++) {
    int id = s->fr->id[i], src = source(z, id);
    int64_t bytes = type_bytes(z->f->node[id].type);
    if (z->place[src] == P_ROOT && z->group[src] == g) {
      if (id != src || is_full_red(z, src)) return false;
      reads_group = true;
      *saved += bytes;
      continue;
    }
    if (z->place[src] == P_ROOT && w->consumed && z->work[z->group[src]].pos > w->pos) return false;
    if (work_reads(w, src)) *saved += bytes;
    else fresh++;
  }
  if (w->kind != G_MAP && !reads_group) return false;
  return w->nin + fresh + w->nroot + 1 <= MAX_GROUP_IO && w->cone + s->fr->cone <= MAX_GROUP_NODES;
}

static void consider(const Fuse *z, int g, const Seeker *s, int *best, int64_t *most) {
  int64_t saved;
  if (g < 0 || g == *best || !may_join(z, g, s, &saved) || saved < *most) return;
  if (saved == *most && *best >= 0 && z->work[*best].pos >= z->work[g].pos) return;
  *best = g;
  *most = saved;
}

/* The group that saves most by taking s; -1 = none saves anything. */
static int best_group(const Fuse *z, const Seeker *s) {
  int best = -1;
  int64_t most = 1;
  for (int i = 0; i < s->fr->n; i++) {
    int src = source(z, s->fr->id[i]);
    if (z->place[src] == P_ROOT) consider(z, z->group[src], s, &best, &most);
    for (int k = 0; k < NREADERS; k++) consider(z, z->reader[src][k], s, &best, &most);
  }
  if (best >= 0 || type_count(s->domain) > 4096) return best;
  most = 0; /* small ones save a launch by joining anyone */
  for (int k = 0; k < NRECENT; k++) consider(z, z->recent[k], s, &best, &most);
  return best;
}

/* Group of the contraction whose result only v reads, when v may be its epilogue; -1 = none. */
static int epilogue_group(const Fuse *z, const Seeker *s) {
  const Node *n = &z->f->node[s->v];
  int best = -1;
  if (z->fold[s->v]) return -1;
  for (int k = 0; k < n->nin; k++) {
    int x = n->in[k];
    int64_t saved;
    if (z->place[x] != P_ROOT || z->work[z->group[x]].kind == G_MAP) continue;
    Need need = need_of(z, x);
    if (z->kept[x] || need.readers != 1 || !may_join(z, z->group[x], s, &saved)) continue;
    if (best < 0 || z->work[z->group[x]].pos > z->work[best].pos) best = z->group[x];
  }
  return best;
}

static void join(Fuse *z, int g, const Seeker *s) {
  if (g < 0) g = new_group(z, G_MAP, -1, s->domain, s->order);
  Work *w = &z->work[g];
  for (int i = 0; i < s->fr->n; i++) {
    int src = source(z, s->fr->id[i]);
    if (z->place[src] == P_ROOT && z->work[z->group[src]].pos > w->pos) w->pos = ++z->now;
  }
  if (!shape_eq(w->domain, s->domain) && unrolls_with(w->domain, s->domain)) w->domain = s->domain;
  w->fixed |= s->fixed;
  put(z, g, s->v, s->fr);
}

/* ---- nodes ---- */

static void make_root(Fuse *z, int v, const Front *fr) {
  const Node *n = &z->f->node[v];
  Seeker s = {v, n->type, n->order, false, fr};
  int g = epilogue_group(z, &s);
  join(z, g >= 0 ? g : best_group(z, &s), &s);
}

static void visit_elementwise(Fuse *z, int v) {
  const Node *n = &z->f->node[v];
  Front fr = front_of(z, v);
  if (fr.overflow) {
    for (int k = 0; k < n->nin; k++)
      if (z->place[n->in[k]] == P_INLINE) make_root(z, n->in[k], z->front[n->in[k]]);
    fr = front_of(z, v);
  }
  Need need = need_of(z, v);
  bool costly = fr.heavy || 4 * front_bytes(z, &fr) > 5 * type_bytes(n->type);
  bool light = fr.n <= 1 && fr.cone == 1 && (n->op == OP_cast || n->op == OP_neg || n->op == OP_broadcast);
  bool root = need.memory || (need.crosses && !light) || (need.readers > 1 && costly) ||
              fr.n > MAX_FRONT * 2 / 3 || fr.cone > MAX_GROUP_NODES / 2;
  if (!root) {
    Seeker s = {v, n->type, n->order, false, &fr};
    root = epilogue_group(z, &s) >= 0;
  }
  if (root) {
    make_root(z, v, &fr);
    return;
  }
  z->place[v] = P_INLINE;
  z->front[v] = arena_alloc(z->arena, sizeof fr);
  *z->front[v] = fr;
}

static void visit_red(Fuse *z, int v) {
  const Node *n = &z->f->node[v], *x = &z->f->node[n->in[0]];
  Front fr = front_of(z, v);
  Seeker s = {v, x->type, x->order, true, &fr};
  join(z, best_group(z, &s), &s);
}

/* What the anchor of group g reads: its operands, and through folded ones theirs. */
static void anchor_reads(Fuse *z, int g, int v) {
  const Node *n = &z->f->node[v];
  for (int k = 0; k < n->nin; k++) {
    if (z->place[n->in[k]] == P_INLINE) anchor_reads(z, g, n->in[k]);
    else group_reads(z, g, n->in[k]);
  }
}

static int anchor_kind(const Fuse *z, const Node *n) {
  switch (n->op) {
  case OP_conv: return z->place[n->in[0]] == P_INLINE ? G_DYBAC : G_CONV;
  case OP_conv_dx: return G_CONV;
  case OP_conv_dw: return G_WGRAD;
  case OP_dwconv:
  case OP_dwconv_dx: return G_DEPTHWISE;
  case OP_dwconv_dw: return G_DEPTHWISE_WGRAD;
  case OP_matmul:
  case OP_inner: return G_MATMUL;
  default: return G_MOVE;
  }
}

static void visit_anchor(Fuse *z, int v) {
  const Node *n = &z->f->node[v];
  if (n->op == OP_dwconv && z->fold[v]) {
    z->place[v] = P_INLINE;
    return;
  }
  int g = new_group(z, anchor_kind(z, n), v, n->type, n->order);
  put(z, g, v, NULL);
  anchor_reads(z, g, v);
}

static bool visit(Fuse *z, int v, char err[IR_ERR]) {
  const Node *n = &z->f->node[v];
  if (!z->live[v]) return true;
  if (is_view(z->f, n)) {
    z->place[v] = P_VIEW;
    return true;
  }
  switch (op_info[n->op].cls) {
  case LEAF:
    z->place[v] = is_free_leaf(n) && !(n->op == OP_const && n->type.rank == 0) ? P_LEAF : P_MEMORY;
    return true;
  case EW: visit_elementwise(z, v); return true;
  case RED:
    if (is_map_red(z->f, n)) visit_red(z, v);
    else visit_anchor(z, v);
    return true;
  case MOVE:
    if (n->op == OP_broadcast) visit_elementwise(z, v);
    else visit_anchor(z, v);
    return true;
  case CON: visit_anchor(z, v); return true;
  default:
    ir_error(err, "%.60s: fuse met %s in node %%%d; run expand and autodiff before it", z->f->name,
             op_info[n->op].name, v);
    return false;
  }
}

static Fuse fuse_new(const Fn *f) {
  Arena *a = f->prog->arena;
  size_t n = (size_t)f->n + 1;
  Fuse z = {.f = f, .arena = a, .uses = fn_uses(f), .live = live_nodes(f), .kept = arena_alloc(a, n)};
  for (int i = 0; i < f->nstore; i++) z.kept[f->store[i].node] = true;
  for (int i = 0; i < f->nout; i++) z.kept[f->out[i].node] = true;
  z.fold = find_folds(f, &z.uses, z.live, z.kept);
  z.place = arena_alloc(a, n * sizeof *z.place);
  z.front = arena_alloc(a, n * sizeof *z.front);
  z.group = arena_alloc(a, n * sizeof *z.group);
  z.reader = arena_alloc(a, n * sizeof *z.reader);
  memset(z.group, -1, n * sizeof *z.group);
  memset(z.reader, -1, n * sizeof *z.reader);
  memset(z.recent, -1, sizeof z.recent);
  return z;
}

Fn *pass_fuse(Fn *f, char err[IR_ERR]) {
  Fn *ready = with_copies(f, err);
  if (!ready) return NULL;
  Fuse z = fuse_new(ready);
  for (int v = 0; v < ready->n; v++)
    if (!visit(&z, v, err)) return NULL;
  return fuse_emit(&z, err);
}
