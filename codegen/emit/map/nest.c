/* nest.c - the loops of a sweep, written into one kernel.
 *
 * enter(level) writes what happens once per iteration of the loops outside of `level`: values that vary no
 * further inwards, accumulators of the reductions that live from here on, then the next loop, or at the
 * innermost level the body. Loops over the lanes come in blocks of nv vectors and a rest whose last vector
 * may be masked.
 *
 * Sums of many floats lose digits when added one by one; so where more than MAP_RUN additions would go into
 * one accumulator, the loop is cut into runs that start from zero and are added to a total when they end. */
#include <math.h>
#include "codegen/emit/map/map.h"

typedef struct {
  Emit *e;
  const Fn *f;
  const Sweep *s;
  Expr *x;
  KFn *k;
  unsigned *vary;                  /* per local number: dims */
  int *level;                      /* per local number: loops it lies in */
  bool *frontier;                  /* per local number: read by something further inwards */
  KV from[MAX_RANK], to[MAX_RANK]; /* per dim: the task's range */
  bool fixed[MAX_RANK];            /* the range is one element */
  int nvec;                        /* vectors of the current block */
  KV mask;                         /* of its last vector */
  int run_level;                   /* loop that is cut into runs, -1 = none */
  int64_t run;                     /* iterations of a run */
  Accumulators *acc;               /* per reduction */
} Nest;

static void enter(Nest *m, int level);

static int loop_count(const Nest *m) { return m->s->nloop; }

static int slots(const Nest *m) { return m->s->nv * m->s->nu; }

/* ---- coordinates ---- */

static void set_coord(Nest *m, int d, KV at) {
  const Sweep *s = m->s;
  for (int slot = 0; slot < slots(m); slot++) {
    Coord *p = &m->x->place[slot];
    int i = slot / s->nu;
    p->coord[s->dim[d].axis] = d == s->v ? k_add(m->k, at, k_i64(m->k, (int64_t)i * m->k->lanes)) : at;
    if (d == s->v) p->mask = i == m->nvec - 1 ? m->mask : K_NONE;
  }
}

static void first_places(Nest *m) {
  const Sweep *s = m->s;
  for (int slot = 0; slot < slots(m); slot++) {
    Coord p = {.vec = s->v >= 0,
               .vec_axis = s->v >= 0 ? s->dim[s->v].axis : 0,
               .mask = K_NONE,
               .domain = s->domain,
               .order = s->order};
    for (int a = 0; a < MAX_RANK; a++) p.coord[a] = k_i64(m->k, 0);
    if (s->u >= 0) p.coord[s->dim[s->u].axis] = k_i64(m->k, slot % s->nu);
    m->x->place[slot] = p;
  }
}

/* Which part of each dim this task takes, from its number: the last split varies fastest. */
static void task_ranges(Nest *m) {
  const Sweep *s = m->s;
  KFn *k = m->k;
  for (int d = 0; d < s->ndim; d++) m->from[d] = k_i64(k, 0), m->to[d] = k_i64(k, s->dim[d].extent);
  KV rest = s->tasks > 1 ? k_task(k) : k_i64(k, 0);
  for (int i = s->nsplit - 1; i >= 0; i--) {
    const Split *p = &s->split[i];
    KV c = i ? k_rem(k, rest, k_i64(k, p->count)) : rest;
    if (i) rest = k_div(k, rest, k_i64(k, p->count));
    m->from[p->dim] = k_mul(k, c, k_i64(k, p->chunk));
    m->fixed[p->dim] = p->chunk == 1;
    KV end = k_add(k, m->from[p->dim], k_i64(k, p->chunk));
    m->to[p->dim] = p->chunk * p->count == s->dim[p->dim].extent ? end : k_min(k, end, m->to[p->dim]);
  }
}

/* Number of this task's partial result of reduction r. */
static KV part_number(Nest *m, const Reduction *r) {
  KFn *k = m->k;
  KV n = k_i64(k, 0);
  for (int i = 0; i < m->s->nsplit; i++) {
    const Split *p = &m->s->split[i];
    if (r->kept >> p->dim & 1) continue;
    n = k_add(k, k_mul(k, n, k_i64(k, p->count)), k_div(k, m->from[p->dim], k_i64(k, p->chunk)));
  }
  return n;
}

/* ---- values ---- */

static void find_levels(Nest *m) {
  Expr *x = m->x;
  const Sweep *s = m->s;
  m->vary = map_vary(x, s);
  m->level = arena_alloc(m->e->arena, sizeof *m->level * (size_t)x->nid);
  m->frontier = arena_alloc(m->e->arena, sizeof *m->frontier * (size_t)x->nid);
  for (int i = 0; i < x->nid; i++) {
    for (int l = 0; l < s->nloop; l++)
      if (m->vary[i] >> s->loop[l] & 1) m->level[i] = l + 1;
    x->vary[i] = 0;
    if (s->v >= 0 && m->vary[i] >> s->v & 1) x->vary[i] |= VARY_I;
    if (s->u >= 0 && m->vary[i] >> s->u & 1) x->vary[i] |= VARY_U;
  }
  for (int i = 0; i < s->ncone; i++) {
    const Node *n = &m->f->node[s->cone[i]];
    int at = m->level[expr_local(x, s->cone[i])];
    bool ends = op_info[n->op].cls == RED && !map_in_place(m->f, n); /* read by the body */
    for (int j = 0; j < n->nin; j++) {
      int in = expr_local(x, n->in[j]);
      if (m->level[in] < (ends ? s->nloop : at)) m->frontier[in] = true;
    }
  }
  for (int i = 0; i < s->nstore; i++) m->frontier[expr_local(x, s->store[i])] = true;
}

static void forget_from(Nest *m, int level) {
  Expr *x = m->x;
  for (int i = 0; i < x->nid; i++)
    for (int slot = 0; m->level[i] >= level && slot < slots(m); slot++)
      x->val[slot * x->nid + i] = x->cond[slot * x->nid + i] = K_NONE;
}

/* A reduction over the unrolled channels (or over nothing) in slots i*nu.. */
static KV value_across(Nest *m, const Node *n, int i) {
  Expr *x = m->x;
  KFn *k = m->k;
  bool arg = n->op == OP_argmax || n->op == OP_argmin;
  int64_t c = m->f->node[n->in[0]].type.dim[1];
  KV best = expr_value_in(x, i * m->s->nu, n->in[0]), index = k_i32(k, 0);
  for (int u = 1; u < c; u++) {
    KV v = expr_value_in(x, i * m->s->nu + u, n->in[0]);
    KV better = !arg ? K_NONE : n->op == OP_argmax ? k_lt(k, best, v) : k_lt(k, v, best);
    if (arg) index = expr_pick(k, better, k_i32(k, u), index), best = expr_pick(k, better, v, best);
    else best = reduce_two(k, n->op, best, v);
  }
  return arg ? index : best;
}

static void give_in_place(Nest *m, int local) {
  Expr *x = m->x;
  const Node *n = &m->f->node[x->id[local]];
  bool across = map_reduced_axes(m->f, n) != 0, arg = n->op == OP_argmax || n->op == OP_argmin;
  int nvec = x->vary[local] & VARY_I ? m->nvec : 1, nu = x->vary[local] & VARY_U ? m->s->nu : 1;
  for (int i = 0; i < nvec; i++)
    for (int u = 0; u < nu; u++) {
      KV v = across ? value_across(m, n, i)
             : arg  ? k_i32(m->k, 0)
                    : expr_value_in(x, i * m->s->nu + u, n->in[0]);
      x->val[(i * m->s->nu + u) * x->nid + local] = v;
    }
}

/* Values that are known once the loops outside of `level` are: all that something further inwards reads. */
static void settle(Nest *m, int level) {
  Expr *x = m->x;
  const Sweep *s = m->s;
  forget_from(m, level);
  for (int c = 0, l = 0; c < s->ncone || l < s->nload;) {
    bool load = c == s->ncone || (l < s->nload && s->load[l] < s->cone[c]);
    int node = load ? s->load[l++] : s->cone[c++], local = expr_local(x, node);
    if (m->level[local] != level) continue;
    if (!load && map_in_place(m->f, &m->f->node[node])) give_in_place(m, local);
    else if (level < s->nloop && m->frontier[local])
      for (int slot = 0; slot < m->nvec * s->nu; slot++) expr_value_in(x, slot, node);
  }
}

/* ---- accumulators ---- */

static bool has_u(const Nest *m, const Reduction *r) { return m->s->u >= 0 && r->kept >> m->s->u & 1; }
static bool has_v(const Nest *m, const Reduction *r) { return m->s->v >= 0 && r->kept >> m->s->v & 1; }

/* Vectors with an accumulator each: those of the block where the lanes are kept, else of any block. */
static int acc_vectors(const Nest *m, const Reduction *r) { return has_v(m, r) ? m->nvec : m->s->nv; }
static int acc_slot(const Nest *m, const Reduction *r, int i, int u) {
  return has_u(m, r) ? i * m->s->nu + u : i * m->s->nu;
}

static bool in_runs(const Nest *m, const Reduction *r) {
  return m->run_level >= r->level && m->f->node[r->node].op == OP_sum;
}

static KV new_accumulator(Nest *m) { return k_local(m->k, K_F32, m->s->v >= 0, "acc"); }

static void reset(Nest *m, KV local, const Node *n) {
  KV zero = reduce_identity(m->k, n->op);
  k_set(m->k, local, m->s->v >= 0 ? k_splat(m->k, zero) : zero);
}

static void start_reductions(Nest *m, int level) {
  for (int i = 0; i < m->s->nred; i++) {
    const Reduction *r = &m->s->red[i];
    const Node *n = &m->f->node[r->node];
    if (r->level != level) continue;
    for (int v = 0; v < acc_vectors(m, r); v++)
      for (int u = 0; u < (has_u(m, r) ? m->s->nu : 1); u++) {
        int slot = acc_slot(m, r, v, u);
        m->acc[i].total[slot] = new_accumulator(m);
        reset(m, m->acc[i].total[slot], n);
        m->acc[i].run[slot] = in_runs(m, r) ? new_accumulator(m) : m->acc[i].total[slot];
      }
  }
}

/* Begin (or end) a run of every reduction that goes by runs. */
static void each_run(Nest *m, bool begin) {
  for (int i = 0; i < m->s->nred; i++) {
    const Reduction *r = &m->s->red[i];
    if (!in_runs(m, r)) continue;
    for (int v = 0; v < acc_vectors(m, r); v++)
      for (int u = 0; u < (has_u(m, r) ? m->s->nu : 1); u++) {
        KV total = m->acc[i].total[acc_slot(m, r, v, u)], run = m->acc[i].run[acc_slot(m, r, v, u)];
        if (begin) reset(m, run, &m->f->node[r->node]);
        else k_set(m->k, total, k_add(m->k, k_get(m->k, total), k_get(m->k, run)));
      }
  }
}

static void accumulate(Nest *m, int red, int i, int u) {
  const Reduction *r = &m->s->red[red];
  const Node *n = &m->f->node[r->node];
  KFn *k = m->k;
  int slot = i * m->s->nu + u;
  KV v = expr_value_in(m->x, slot, n->in[0]), mask = m->x->place[slot].mask;
  if (mask != K_NONE) v = expr_pick(k, mask, v, reduce_identity(k, n->op));
  KV local = m->acc[red].run[acc_slot(m, r, i, u)];
  k_set(k, local, reduce_two(k, n->op, k_get(k, local), v));
}

/* Write a reduction's result, or this task's part of it, at the place of slot (i, u). */
static void put_result(Nest *m, const Reduction *r, const Coord *p, KV v) {
  const Node *n = &m->f->node[r->node];
  Walk w = walk_of(m->e, r->node);
  KV base = k_i64(m->k, 0);
  if (r->parts > 1) base = k_mul(m->k, part_number(m, r), k_i64(m->k, type_count(n->type)));
  walk_store(m->k, r->arg, &w, p, base, v);
}

static void finish_reductions(Nest *m, int level) {
  for (int i = 0; i < m->s->nred; i++) {
    const Reduction *r = &m->s->red[i];
    Op op = m->f->node[r->node].op;
    if (r->level != level) continue;
    for (int u = 0; u < (has_u(m, r) ? m->s->nu : 1); u++) {
      KV all = K_NONE;
      for (int v = 0; v < acc_vectors(m, r); v++) {
        KV one = k_get(m->k, m->acc[i].total[acc_slot(m, r, v, u)]);
        if (has_v(m, r)) put_result(m, r, &m->x->place[v * m->s->nu + u], one);
        else all = all == K_NONE ? one : reduce_two(m->k, op, all, one);
      }
      if (has_v(m, r)) continue;
      Coord p = m->x->place[u];
      if (p.vec) all = reduce_lanes(m->k, op, all);
      p.vec = false, p.mask = K_NONE;
      put_result(m, r, &p, all);
    }
  }
}

/* ---- loops ---- */

/* All values before the first store: a result may lie over an input. */
static void body(Nest *m) {
  const Sweep *s = m->s;
  Expr *x = m->x;
  for (int i = 0; i < s->nstore; i++)
    for (int slot = 0; slot < m->nvec * s->nu; slot++) expr_value_in(x, slot, s->store[i]);
  for (int slot = 0; slot < m->nvec * s->nu; slot++) {
    for (int i = 0; i < s->nred; i++) {
      Type t = m->f->node[m->f->node[s->red[i].node].in[0]].type;
      bool once = s->u >= 0 && t.dim[s->dim[s->u].axis] == 1;
      if (!once || slot % s->nu == 0) accumulate(m, i, slot / s->nu, slot % s->nu);
    }
  }
  for (int i = 0; i < s->nstore; i++) {
    bool once = s->u >= 0 && m->f->node[s->store[i]].type.dim[s->dim[s->u].axis] == 1;
    for (int slot = 0; slot < m->nvec * s->nu; slot += once ? s->nu : 1) {
      x->cur = slot;
      expr_store(x, s->store[i], expr_value_in(x, slot, s->store[i]));
    }
  }
  x->cur = 0;
}

/* A counted loop around enter(level + 1), in runs where asked. `at` is where the coordinate goes. */
static void counted(Nest *m, int level, KV from, KV to, int64_t step) {
  KFn *k = m->k;
  int d = m->s->loop[level];
  bool runs = level == m->run_level;
  if (runs) {
    from = k_for(k, from, to, step * m->run);
    to = k_min(k, k_add(k, from, k_i64(k, step * m->run)), to);
    each_run(m, true);
  }
  set_coord(m, d, k_for(k, from, to, step));
  enter(m, level + 1);
  k_end(k);
  if (runs) {
    each_run(m, false);
    k_end(k);
  }
}

/* The loop over the lanes: full blocks, then what is left of the dim, the same for whoever has its end. */
static void lane_loop(Nest *m, int level) {
  const Sweep *s = m->s;
  KFn *k = m->k;
  int d = s->loop[level];
  int64_t extent = s->dim[d].extent, block = (int64_t)s->nv * k->lanes, rest = extent % block,
          full = extent - rest;
  KV all = k_i64(k, extent), to = m->to[d];
  int64_t whole;
  bool split = !k_is_const(k, to, &whole);
  m->nvec = s->nv, m->mask = K_NONE;
  if (full) counted(m, level, m->from[d], rest ? k_min(k, to, k_i64(k, full)) : to, block);
  if (!rest) return;
  if (split) k_if(k, k_eq(k, to, all));
  m->nvec = (int)((rest + k->lanes - 1) / k->lanes);
  m->mask = rest % k->lanes ? k_first_lanes(k, k_i64(k, rest % k->lanes)) : K_NONE;
  bool runs = level == m->run_level;
  if (runs) each_run(m, true);
  set_coord(m, d, k_i64(k, full));
  enter(m, level + 1);
  if (runs) each_run(m, false);
  if (split) k_end(k);
}

static void enter(Nest *m, int level) {
  settle(m, level);
  start_reductions(m, level);
  if (level == loop_count(m)) body(m);
  else {
    int d = m->s->loop[level];
    if (d == m->s->v) lane_loop(m, level);
    else if (!m->fixed[d]) counted(m, level, m->from[d], m->to[d], 1);
    else {
      set_coord(m, d, m->from[d]);
      enter(m, level + 1);
    }
  }
  finish_reductions(m, level);
}

/* The innermost loop within which more than MAP_RUN additions meet in one accumulator. */
static void choose_runs(Nest *m) {
  const Sweep *s = m->s;
  int64_t inside = 1;
  m->run_level = -1;
  for (int l = s->nloop - 1; l >= 0; l--) {
    int d = s->loop[l];
    int64_t n = s->dim[d].extent;
    for (int i = 0; i < s->nsplit; i++)
      if (s->split[i].dim == d) n = s->split[i].chunk;
    if (d == s->v) n /= (int64_t)s->nv * m->k->lanes;
    if (n > 1 && n * inside > 2 * MAP_RUN) {
      m->run_level = l;
      m->run = MAP_RUN / inside > 1 ? MAP_RUN / inside : 1;
      return;
    }
    inside *= n > 1 ? n : 1;
  }
}

/* Where lanes are walked outside of another loop, a block is what each step of that loop touches: at least
 * 256 bytes. */
static int block_vectors(const Sweep *s, const KFn *k) {
  bool outside = s->nloop > 1 && s->loop[s->nloop - 1] != s->v;
  return outside && s->nu == 1 && s->nv == 4 && k->lanes == 8 ? 8 : s->nv;
}

void map_nest(Emit *e, const Sweep *sweep, Expr *x) {
  Sweep *s = arena_alloc(e->arena, sizeof *s);
  *s = *sweep;
  s->nv = block_vectors(s, x->k);
  Nest m = {.e = e, .f = e->fn, .s = s, .x = x, .k = x->k, .nvec = s->nv, .mask = K_NONE};
  m.acc = arena_alloc(e->arena, sizeof *m.acc * (size_t)(s->nred ? s->nred : 1));
  expr_slots(x, s->nv, s->nu);
  find_levels(&m);
  first_places(&m);
  task_ranges(&m);
  choose_runs(&m);
  enter(&m, 0);
}
