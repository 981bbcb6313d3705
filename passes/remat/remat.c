/* remat.c - pass `remat`: values of the forward pass that are computed again for the backward pass instead of
 * kept.
 *
 * It runs on groups, behind `fuse`: there lifetimes are those of the memory plan, and a copy of a group is
 * the same kernel, or a part of it, so that values stay the same bit for bit. Only expressions whose bits do
 * not depend on the kernel around them are copied: no sums over pixels.
 *
 * Cuts (remat.h) are made one after another, each at the moment at which most bytes are alive: of the values
 * that are alive but not used there, the one that frees most bytes per second of recomputation, along with
 * what it needs and would have to be kept for it. This sequence does not depend on any budget; a budget only
 * says how far to go. So a smaller budget never gives a larger plan. */
#include "passes/remat/work.h"
#include <stdlib.h>
#include <string.h>

/* A cut and those it entails. */
typedef struct {
  int *value, n, cap; /* cut at the peak */
  int64_t saved;
  double seconds;
} Move;

typedef struct {
  Remat *r;
  int *stamp, round;  /* stamp[v] == round: the present move has met v */
  int *banned, tries; /* banned[v] == tries: cutting v at this peak did not help */
} Search;

/* Without a budget: recomputation may take this part of the estimated time, if it saves at least that part of
 * the peak. */
static const double FREE_SECONDS = 0.02, LEAST_SAVING = 0.1;

enum {
  MINOR = 16, /* what is this many times smaller than the value it is read for is rather kept */
  WORTH = 512 /* as is what is this many times smaller than the peak */
};

/* The part of value id's life around `key`: its reads (ascending, from..to-1), and when it is made. */
typedef struct {
  int64_t *key, make;
  int from, to;
} Span;

static Span span_at(Remat *r, int id, int64_t key) {
  const RematValue *v = &r->value[id];
  Span s = {.make = v->group < 0 ? 0 : remat_key(r, v->group, v->group)};
  int n = remat_uses(r, id, &s.key), c = 0;
  while (c < v->ncut && v->cut[c] < key) c++;
  if (c > 0)
    while (s.from < n && s.key[s.from] <= v->cut[c - 1]) s.from++;
  s.to = s.from;
  while (s.to < n && (c == v->ncut || s.key[s.to] <= v->cut[c])) s.to++;
  if (c > 0 && s.from < s.to) s.make = remat_key(r, remat_slot(r, s.key[s.from]), v->group);
  return s;
}

/* Value id is to be computed again at `at`, behind the peak: what is needed for that? */
static void entail(Search *z, Move *m, int id, int64_t at) {
  Remat *r = z->r;
  const RematValue *v = &r->value[id];
  z->stamp[id] = z->round;
  m->seconds += v->seconds;
  for (int i = 0; i < v->nsrc; i++) {
    int x = v->src[i];
    const RematValue *y = &r->value[x];
    if (z->stamp[x] == z->round) continue;
    Span s = span_at(r, x, at);
    bool made = s.from < s.to;
    if (made && s.key[s.to - 1] >= r->peak_key) continue; /* alive, or made again, behind the peak anyway */
    if (!y->again || y->bytes * MINOR < v->bytes) {
      z->stamp[x] = z->round;
      m->saved -= y->bytes;
      continue;
    }
    if (y->ncut == REMAT_CUTS) m->saved = INT64_MIN / 2;
    if (made) *ARENA_PUSH(r->arena, m->value, m->n, m->cap) = x;
    entail(z, m, x, remat_key(r, remat_slot(r, at), y->group));
  }
}

/* Cutting value id at the peak; saved <= 0 when that is not possible. */
static void consider(Search *z, Move *m, int id) {
  Remat *r = z->r;
  const RematValue *v = &r->value[id];
  m->n = 0, m->saved = 0, m->seconds = 0;
  if (!v->again || v->ncut == REMAT_CUTS || v->bytes * WORTH < r->peak || z->banned[id] == z->tries) return;
  Span s = span_at(r, id, r->peak_key);
  int next = s.from;
  while (next < s.to && s.key[next] <= r->peak_key) next++;
  if (next == s.to || next == s.from || s.make >= r->peak_key || s.key[next - 1] == r->peak_key) return;
  int64_t at = remat_key(r, remat_slot(r, s.key[next]), v->group);
  if (at <= r->peak_key) return;
  m->saved = v->bytes;
  *ARENA_PUSH(r->arena, m->value, m->n, m->cap) = id;
  z->round++;
  entail(z, m, id, at);
}

/* Bytes per second decide; among about equals the larger value, which makes fewer kernels. */
static bool better(const Move *a, const Move *b) {
  if (a->saved <= 0) return false;
  if (b->saved <= 0) return true;
  double x = (double)a->saved * b->seconds, y = (double)b->saved * a->seconds;
  return x > 1.05 * y || (x > 0.95 * y && a->saved > b->saved);
}

static Move best_move(Search *z) {
  Remat *r = z->r;
  Move best = {.saved = 0}, m = {.saved = 0};
  for (int i = 0; i < r->narray; i++) {
    const RematArray *a = &r->array[i];
    if (a->make >= r->peak_key || a->last <= r->peak_key) continue;
    consider(z, &m, a->value);
    if (!better(&m, &best)) continue;
    Move old = best;
    best = m;
    m = old;
  }
  return best;
}

/* Cuts once more; false when nothing is left that frees memory at the peak without raising it elsewhere. */
static bool cut_peak(Search *z) {
  Remat *r = z->r;
  int64_t peak = r->peak, key = r->peak_key;
  int before = r->ncut;
  z->tries++;
  for (;;) {
    Move m = best_move(z);
    if (m.saved <= 0) return false;
    for (int i = 0; i < m.n; i++) remat_add(r, m.value[i], key);
    remat_walk(r);
    if (r->peak < peak || (r->peak == peak && r->peak_key != key)) return true;
    z->banned[m.value[0]] = z->tries;
    remat_take_back(r, before);
    remat_walk(r);
  }
}

RematLadder remat_ladder(const Fn *fused, double most_seconds) {
  Arena *a = fused->prog->arena;
  RematLadder l = {.r = remat_new(fused)};
  size_t n = (size_t)l.r->nvalue + 1;
  Search z = {l.r, arena_alloc(a, n * sizeof(int)), 0, arena_alloc(a, n * sizeof(int)), 0};
  int cap = 0;
  remat_walk(l.r);
  do {
    if (l.n && l.r->peak >= l.level[l.n - 1].peak) continue;
    *ARENA_PUSH(a, l.level, l.n, cap) = (RematLevel){l.r->ncut, l.r->peak, l.r->seconds};
  } while (l.r->seconds <= most_seconds * l.r->base_seconds && cut_peak(&z));
  return l;
}

Fn *remat_apply(const RematLadder *l, int level, char err[IR_ERR]) {
  if (level == 0) return (Fn *)l->r->f;
  remat_take_back(l->r, l->level[level].ncut);
  remat_walk(l->r);
  return remat_emit(l->r, err);
}

int remat_free_level(const RematLadder *l) {
  int best = 0;
  for (int i = 0; i < l->n; i++)
    if (l->level[i].seconds <= FREE_SECONDS * l->r->base_seconds) best = i;
  return (double)l->level[best].peak <= (1 - LEAST_SAVING) * (double)l->level[0].peak ? best : 0;
}

Fn *pass_remat(Fn *f, char err[IR_ERR]) {
  RematLadder l = remat_ladder(f, FREE_SECONDS);
  return remat_apply(&l, remat_free_level(&l), err);
}
