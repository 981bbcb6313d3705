/* sync.c - where a warp's lanes must wait for each other (simt.h).
 *
 * Two accesses of one buffer, in program order, need a sync between them when one of them stores and they may meet at an
 * element in different lanes. Lanes of an access are known: of a vector at element e, lane l is at e + l; a scalar
 * is loaded by all lanes and stored by one. So accesses whose elements differ by a known number are compared exactly; all
 * others are taken to meet. Arguments may lie over each other (KFn.may_alias), then element over element.
 *
 * The state while walking over the program is the set of accesses since the last sync on some path; loops
 * bring theirs around their back edges, which is repeated until nothing is added. What comes around is compared by value
 * only when the value was there before the loop began. A sync stands outside of loops that need it only when they begin.
 */
#include <string.h>
#include "codegen/kir/internal.h"
#include "codegen/gpu/simt.h"

typedef enum { ONE, RUN, ANY } Shape; /* a scalar; neighbours; wherever a vector of offsets says */

typedef struct {
  int ins;
  KV buf;
  bool write;
  Shape shape;
  KV root; /* the element is the value of root, K_NONE: 0, and off; of ANY the vector of offsets */
  int64_t off;
  int around; /* the outermost loop that brought it around; n: none did */
} Access;

enum {
  MAX_DEPTH = 64,
  HERE = 1,
  AROUND = 2
}; /* of a state's bytes: since the sync in this turn, in an earlier one */

typedef struct {
  int ins;
  uint8_t *before, *first; /* states: where the block began, and at the end of its first body */
} Open;

typedef struct {
  Arena *arena;
  const KFn *k;
  Access *access; /* in program order */
  int n, *write, nwrite;
  int *of; /* per instruction: its access, or -1 */
  uint8_t *state, **carried,
      *sync; /* per access; per loop's instruction: what comes around; per instruction */
  Open open[MAX_DEPTH];
  int depth;
  bool changed;
} Sync;

static bool access_of(const KFn *k, int ins, Access *a) {
  const KIns *i = &k->ins[ins];
  *a = (Access){.ins = ins, .buf = i->in[0], .root = i->in[1], .around = k->n};
  switch (i->op) {
  case K_load: a->shape = i->type.vec ? RUN : ONE; break;
  case K_load_masked: a->shape = RUN; break;
  case K_gather_at:
  case K_gather:
  case K_gather_masked: a->shape = ANY; break;
  case K_store: a->write = true, a->shape = k->ins[i->in[2]].type.vec ? RUN : ONE; break;
  case K_store_masked: a->write = true, a->shape = RUN; break;
  case K_scatter:
  case K_scatter_masked: a->write = true, a->shape = ANY; break;
  case K_load_matrix:
  case K_load_matrix_transposed: a->buf = i->in[1], a->root = i->in[2], a->shape = ANY; break;
  default: return false; /* copy_async, too: no sync orders what arrives later; wait_group and barrier do */
  }
  int64_t c;
  while (a->shape != ANY && a->root != K_NONE) {
    const KIns *at = &k->ins[a->root];
    if (k_is_const(k, a->root, &c)) a->off += c, a->root = K_NONE;
    else if (at->op == K_add && k_is_const(k, at->in[1], &c)) a->off += c, a->root = at->in[0];
    else if (at->op == K_add && k_is_const(k, at->in[0], &c)) a->off += c, a->root = at->in[1];
    else break;
  }
  return true;
}

static bool may_overlay(const KFn *k, KV a, KV b) {
  const KIns *x = &k->ins[a], *y = &k->ins[b];
  if (a == b) return true;
  if (x->op != K_arg || y->op != K_arg) return false;
  if (k->may_alias) return k->may_alias[x->imm] == y->imm || k->may_alias[y->imm] == x->imm;
  return (x->type.base == K_BF16) == (y->type.base == K_BF16);
}

/* May a, earlier, and b meet in different lanes? */
static bool meet(const KFn *k, const Access *a, const Access *b, bool around) {
  if (!(a->write || b->write) || !may_overlay(k, a->buf, b->buf)) return false;
  if (a->write && b->write && a->shape == ONE && b->shape == ONE) return false; /* the lane that stores */
  bool same = a->root == b->root && (!around || a->root < a->around);
  if (a->shape == ANY || b->shape == ANY) return !(same && a->shape == b->shape);
  if (!same) return true;
  int64_t d = b->off - a->off; /* b's first element, seen from a's */
  if (a->shape == RUN && b->shape == RUN) return d != 0 && d < SIMT_LANES && d > -SIMT_LANES;
  if (a->shape == ONE && b->shape == ONE) return d == 0;
  return a->shape == ONE ? d <= 0 && d > -SIMT_LANES : d >= 0 && d < SIMT_LANES;
}

static bool is_loop(const Sync *s, const Open *o) { return s->k->ins[o->ins].op == K_for; }

/* Before which instruction a sync may stand that parts access i from ins, later: not within a loop that i lies before, or that
 * does not bring it around. */
static int place(const Sync *s, int i, int ins, bool around) {
  int after = s->access[i].ins;
  for (int d = 0; around && d < s->depth; d++)
    if (is_loop(s, &s->open[d]) && s->carried[s->open[d].ins][i]) after = s->open[d].ins;
  for (int d = 0; d < s->depth; d++)
    if (is_loop(s, &s->open[d]) && s->open[d].ins > after) return s->open[d].ins;
  return ins;
}

/* -1: i and b need no sync between; else the place for it. */
static int parted(const Sync *s, const Access *b, int i) {
  const Access *a = &s->access[i];
  int at = -1;
  if (s->state[i] & HERE && meet(s->k, a, b, false)) at = place(s, i, b->ins, false);
  if (s->state[i] & AROUND && meet(s->k, a, b, true)) {
    int also = place(s, i, b->ins, true);
    if (also > at) at = also;
  }
  return at;
}

/* What of a state is left behind a sync before instruction `at`. */
static void forget(const Sync *s, uint8_t *state, int at) {
  for (int i = 0; i < s->n; i++) {
    if (!state[i]) continue;
    uint8_t left = s->access[i].ins > at ? state[i] & HERE : 0;
    for (int d = 0; d < s->depth && state[i] & AROUND; d++)
      if (is_loop(s, &s->open[d]) && s->open[d].ins >= at && s->carried[s->open[d].ins][i]) left |= AROUND;
    state[i] = left;
  }
}

static void put_sync(Sync *s, int at) {
  s->changed |= !s->sync[at];
  s->sync[at] = true;
  forget(s, s->state, at);
  for (int d = 0; d < s->depth; d++) {
    Open *o = &s->open[d];
    if (o->ins >= at) forget(s, o->before, at);
    if (o->ins >= at && o->first) forget(s, o->first, at);
  }
}

static void touch(Sync *s, int ins) {
  const Access *b = &s->access[s->of[ins]];
  if (s->sync[ins]) memset(s->state, 0, (size_t)s->n);
  int at = -1;
  for (int i = 0; i < (b->write ? s->n : s->nwrite); i++) {
    int p = parted(s, b, b->write ? i : s->write[i]);
    if (p > at) at = p;
  }
  if (at >= 0) put_sync(s, at);
  s->state[s->of[ins]] |= HERE;
}

static uint8_t *keep(const Sync *s, const uint8_t *state) {
  uint8_t *copy = arena_alloc(s->arena, (size_t)s->n + 1);
  memcpy(copy, state, (size_t)s->n);
  return copy;
}

static void join(uint8_t *into, const uint8_t *from, int n) {
  for (int i = 0; i < n; i++) into[i] |= from[i];
}

static void begin(Sync *s, int ins) {
  if (s->sync[ins]) memset(s->state, 0, (size_t)s->n);
  s->open[s->depth++] = (Open){.ins = ins, .before = keep(s, s->state)};
  if (s->k->ins[ins].op != K_for) return;
  if (!s->carried[ins]) s->carried[ins] = arena_alloc(s->arena, (size_t)s->n + 1);
  join(s->state, s->carried[ins], s->n);
}

static void other(Sync *s) {
  Open *o = &s->open[s->depth - 1];
  o->first = keep(s, s->state);
  memcpy(s->state, o->before, (size_t)s->n);
}

/* Behind the block: what either way leaves; a loop may have had no turn. */
static void end(Sync *s) {
  Open *o = &s->open[--s->depth];
  if (s->k->ins[o->ins].op == K_for)
    for (int i = 0; i < s->n; i++) {
      if (!s->state[i]) continue;
      uint8_t *c = &s->carried[o->ins][i];
      s->changed |= !*c || s->access[i].around > o->ins;
      *c = AROUND;
      if (s->access[i].around > o->ins) s->access[i].around = o->ins;
    }
  join(s->state, o->first ? o->first : o->before, s->n);
}

static void walk(Sync *s) {
  memset(s->state, 0, (size_t)s->n);
  for (int v = 0; v < s->k->n; v++) switch (s->k->ins[v].op) {
    case K_for:
    case K_if: begin(s, v); break;
    case K_else: other(s); break;
    case K_end: end(s); break;
    case K_barrier:
    case K_sync: memset(s->state, 0, (size_t)s->n); break;
    default:
      if (s->of[v] >= 0) touch(s, v);
    }
}

static void list_accesses(Sync *s) {
  size_t n = (size_t)s->k->n + 1;
  s->access = arena_alloc(s->arena, n * sizeof *s->access);
  s->write = arena_alloc(s->arena, n * sizeof *s->write);
  s->of = arena_alloc(s->arena, n * sizeof *s->of);
  s->carried = arena_alloc(s->arena, n * sizeof *s->carried);
  s->sync = arena_alloc(s->arena, n);
  for (int v = 0; v < s->k->n; v++) {
    s->of[v] = -1;
    if (!access_of(s->k, v, &s->access[s->n])) continue;
    if (s->access[s->n].write) s->write[s->nwrite++] = s->n;
    s->of[v] = s->n++;
  }
  s->state = arena_alloc(s->arena, (size_t)s->n + 1);
}

static KFn *with_syncs(Arena *a, const KFn *k, const uint8_t *sync) {
  KFn *out = k_new(a, k->name, k->lanes);
  out->nregs = k->nregs;
  out->warps = k->warps;
  out->may_alias = k->may_alias;
  out->nargs = k->nargs;
  out->nparams = k->nparams;
  KV *map = arena_alloc(a, ((size_t)k->n + 1) * sizeof *map);
  for (int v = 0; v < k->n; v++) {
    KIns ins = k->ins[v];
    for (int o = 0; o < 4; o++)
      if (ins.in[o] >= 0) ins.in[o] = map[ins.in[o]];
    if (sync[v]) k_sync(out);
    map[v] = kir_append(out, &ins);
  }
  return out;
}

KFn *simt_prepare(Arena *a, const KFn *kernel) {
  Arena *own = arena_new();
  Sync s = {.arena = own, .k = math_expand(own, kernel)};
  list_accesses(&s);
  do {
    s.changed = false;
    walk(&s);
  } while (s.changed);
  KFn *out = with_syncs(a, s.k, s.sync);
  if (kernel->sm90) out->sm90 = simt_prepare(a, kernel->sm90);
  arena_free(own);
  return out;
}
