/* schedule.c - pass `schedule`: an order of the nodes in which large values live shortly.
 *
 * In program order a training step runs all forward passes, then all backward ones, so the activations of
 * every forward pass wait for the others' gradients. But a sum of losses lets each pass be differentiated by
 * itself. So forward work is done on demand: a weight gradient calls for what it needs and does not have yet,
 * and that runs in program order; next comes the one that has least to call for. A reduction or weight
 * gradient, whose result is far smaller than what it reads, runs as soon as its operands are there, so that
 * nothing waits for it. What no weight gradient calls for (optimiser steps, averages, values to log) follows
 * at the end.
 *
 * Elementwise nodes are no steps of their own: fusion computes them where they are read. They count as there
 * when their operands are, and are written before their first reader. Where losses couple the forward passes
 * this gains nothing; the order with the lower peak is kept. */
#include "passes/graph/order.h"
#include "passes/passes.h"
#include "passes/graph/rewrite.h"
#include <limits.h>
#include <stdlib.h>

enum { SHRINKS = 8 }; /* a result this many times smaller than an operand is made early */

typedef struct {
  const Fn *f;
  Rewrite r;
  Uses uses;
  bool *live;
  int *pending;       /* operands that are not there yet */
  int *want, nwant;   /* work list of collect() */
  int *seen, round;   /* seen[v] == round: listed by the present collect() */
  int *early, nearly; /* shrinking nodes whose operands are there; a queue */
  int *there, nthere; /* work list of arrive() */
} Schedule;

static bool is_soft(const Fn *f, const Node *n) {
  OpClass cls = op_info[n->op].cls;
  if (n->op == OP_reshape) return reshape_is_view(&f->node[n->in[0]], n);
  return cls == EW || cls == LEAF || n->op == OP_broadcast;
}

static bool shrinks(const Fn *f, const Node *n) {
  for (int k = 0; k < n->nin; k++)
    if (SHRINKS * type_bytes(n->type) <= type_bytes(f->node[n->in[k]].type)) return !is_soft(f, n);
  return false;
}

/* Node v is there: so are the elementwise nodes for which it was the last operand missing, and so on. */
static void arrive(Schedule *s, int v) {
  s->there[s->nthere++] = v;
  while (s->nthere) {
    v = s->there[--s->nthere];
    for (int u = s->uses.first[v]; u < s->uses.first[v + 1]; u++) {
      int c = s->uses.reader[u];
      const Node *n = &s->f->node[c];
      if (--s->pending[c] || !s->live[c]) continue;
      if (is_soft(s->f, n)) s->there[s->nthere++] = c;
      else if (shrinks(s->f, n)) s->early[s->nearly++] = c;
    }
  }
}

static int by_id(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* Lists v and all it is computed from that is not written yet. Returns how many of them are steps; gives up
 * at `most`. */
static int collect(Schedule *s, int v, int most) {
  int steps = 0;
  s->nwant = 0;
  s->want[s->nwant++] = v;
  s->seen[v] = ++s->round;
  for (int i = 0; i < s->nwant && steps < most; i++) {
    const Node *n = &s->f->node[s->want[i]];
    steps += !is_soft(s->f, n);
    for (int k = 0; k < n->nin; k++) {
      int x = n->in[k];
      if (s->r.map[x] >= 0 || s->seen[x] == s->round) continue;
      s->seen[x] = s->round;
      s->want[s->nwant++] = x;
    }
  }
  return steps;
}

static bool write_node(Schedule *s, int v) {
  if (s->r.map[v] >= 0) return true;
  if ((s->r.map[v] = rewrite_copy(&s->r, v)) < 0) return false;
  if (!is_soft(s->f, &s->f->node[v])) arrive(s, v);
  return true;
}

/* Writes v and all it needs, in program order. */
static bool write_needed(Schedule *s, int v) {
  if (s->r.map[v] >= 0) return true;
  collect(s, v, INT_MAX);
  qsort(s->want, (size_t)s->nwant, sizeof *s->want, by_id);
  for (int i = 0; i < s->nwant; i++)
    if (!write_node(s, s->want[i])) return false;
  return true;
}

/* The same, then what shrinks and has become possible. */
static bool demand(Schedule *s, int v) {
  bool ok = write_needed(s, v);
  for (int i = 0; i < s->nearly && ok; i++) ok = write_needed(s, s->early[i]);
  s->nearly = 0;
  return ok;
}

/* The root that needs the fewest steps more; drops the ones already written. -1 = none is left. */
static int cheapest(Schedule *s, int *root, int *nroot) {
  int best = -1, least = INT_MAX, n = 0;
  for (int i = 0; i < *nroot; i++) {
    if (s->r.map[root[i]] >= 0) continue;
    root[n++] = root[i];
    int steps = collect(s, root[i], least);
    if (steps >= least) continue;
    least = steps;
    best = root[i];
  }
  *nroot = n;
  return best;
}

static Schedule schedule_new(const Fn *f) {
  Arena *a = f->prog->arena;
  size_t n = (size_t)f->n + 1;
  Schedule s = {.f = f, .r = rewrite_begin(f), .uses = fn_uses(f), .live = live_nodes(f)};
  s.pending = arena_alloc(a, n * sizeof *s.pending);
  s.want = arena_alloc(a, n * sizeof *s.want);
  s.seen = arena_alloc(a, n * sizeof *s.seen);
  s.early = arena_alloc(a, n * sizeof *s.early);
  s.there = arena_alloc(a, n * sizeof *s.there);
  for (int i = 0; i < f->n; i++) s.pending[i] = f->node[i].nin;
  for (int i = 0; i < f->n; i++)
    if (!f->node[i].nin) arrive(&s, i);
  s.nearly = 0; /* what reads leaves only can wait */
  return s;
}

/* ---- is it better? ---- */

/* Most bytes that live at a time in program order, about: steps are stored, and elementwise results that a
 * step other than a reduction reads; the others are computed where they are read. */
static int64_t peak_bytes(const Fn *f) {
  Arena *a = f->prog->arena;
  size_t n = (size_t)f->n + 1;
  bool *stored = arena_alloc(a, n);
  int *last = arena_alloc(a, n * sizeof *last);
  int64_t *change = arena_alloc(a, (n + 1) * sizeof *change), live = 0, most = 0;
  for (int i = 0; i < f->nstore; i++) last[f->store[i].node] = f->n;
  for (int i = 0; i < f->nout; i++) last[f->out[i].node] = f->n;
  for (int i = f->n - 1; i >= 0; i--) {
    const Node *v = &f->node[i];
    bool step = !is_soft(f, v);
    stored[i] |= step;
    for (int k = 0; k < v->nin; k++) {
      int x = v->in[k], until = stored[i] ? i : last[i];
      if (until > last[x]) last[x] = until;
      stored[x] |= step && op_info[v->op].cls != RED && op_info[f->node[x].op].cls == EW;
    }
    if (!stored[i]) continue;
    change[i] += type_bytes(v->type);
    change[last[i] + 1] -= type_bytes(v->type);
  }
  for (int i = 0; i < f->n; i++) {
    live += change[i];
    if (live > most) most = live;
  }
  return most;
}

Fn *pass_schedule(Fn *f, char err[IR_ERR]) {
  Schedule s = schedule_new(f);
  int *root = arena_alloc(f->prog->arena, ((size_t)f->n + 1) * sizeof *root), nroot = 0;
  for (int v = 0; v < f->n; v++)
    if (s.live[v] && (f->node[v].op == OP_conv_dw || f->node[v].op == OP_dwconv_dw)) root[nroot++] = v;
  bool ok = true;
  for (int v; ok && (v = cheapest(&s, root, &nroot)) >= 0;) ok = demand(&s, v);
  for (int v = 0; v < f->n && ok; v++)
    if (s.live[v]) ok = demand(&s, v);
  Fn *to = rewrite_end(&s.r, err);
  return to && peak_bytes(f) < peak_bytes(to) ? f : to;
}
