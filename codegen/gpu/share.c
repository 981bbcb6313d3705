/* share.c - which kernels share a code (share.h).
 *
 * The form of a kernel is its instructions, numbered without the literals, with what they operate on: another
 * instruction, a literal that has to stay, or a place for one. Kernels of equal form are one group. A place
 * where two of them differ becomes a parameter, and places that differ alike become the same one: extents,
 * strides and offsets of a shape come in many copies. */
#include "codegen/gpu/share.h"
#include <stdlib.h>
#include <string.h>
#include "codegen/kir/internal.h"
#include "codegen/gpu/simt.h"

/* On the least of the devices that run the texts (300 GB/s, 8 TFLOP/s) this takes no longer than a launch
 * does by itself. */
enum { LIGHT_BYTES = 1 << 20, LIGHT_FLOPS = 16 << 20 };
/* No device does less arithmetic in the time of a byte's way from memory. */
enum { MEMORY_INTENSITY = 8 };
/* Offsets that are parameters are added, or kept in registers, where numbers are part of an access: a kernel
 * that waits for memory has no more of them than this. */
enum { MEMORY_PARAMS = 12 };
/* Loops of so few turns are written out by the device's compiler. */
enum { SHORT_LOOP = 64 };

ShareMode share_mode(int64_t flops, int64_t bytes) {
  if (flops <= LIGHT_FLOPS && bytes <= LIGHT_BYTES) return SHARE_LIGHT;
  return flops <= MEMORY_INTENSITY * bytes ? SHARE_MEMORY : SHARE_HEAVY;
}

/* A kernel and its form. */
typedef struct {
  const KFn *k; /* prepared */
  ShareMode mode;
  uint8_t *inner; /* per instruction: in a loop, in one that holds no other */
  Bytes form;
  uint64_t *word; /* of the literals in the form's places, in order */
  int nword, capword;
  int next; /* kernel of the same group, -1: none */
} Shape;

enum { LOOP = 1, INNERMOST = 2 };

/* ---- which literals may be parameters ---- */

static void find_loops(Arena *a, Shape *s) {
  enum { DEPTH = 64 };
  const KFn *k = s->k;
  int open[DEPTH], depth = 0, loops = 0;
  bool holds[DEPTH];
  s->inner = arena_alloc(a, (size_t)k->n + 1);
  for (int v = 0; v < k->n; v++) {
    KOp op = k->ins[v].op;
    if (loops) s->inner[v] |= LOOP;
    if (op == K_for) {
      for (int d = 0; d < depth; d++) holds[d] = true;
      loops++;
    }
    if (op == K_for || op == K_if) open[depth] = v, holds[depth++] = false;
    if (op != K_end) continue;
    int begin = open[--depth];
    if (k->ins[begin].op != K_for) continue;
    loops--;
    for (int u = begin + 1; u < v && !holds[depth]; u++) s->inner[u] |= INNERMOST;
    if (!holds[depth]) s->inner[begin] |= INNERMOST; /* of its own body: see short_loop */
  }
}

/* What the device's compiler does better when it knows the number: offsets within the innermost loop become
 * part of the access, a division becomes a multiplication, a short loop is written out. */
static bool is_known_better(const Shape *s, int ins, int operand) {
  const KFn *k = s->k;
  const KIns *i = &k->ins[ins];
  bool integer = k->ins[i->in[operand]].type.base <= K_I64;
  if (i->op == K_for) {
    int64_t lo, hi, step;
    return s->inner[ins] & INNERMOST && k_is_const(k, i->in[0], &lo) && k_is_const(k, i->in[1], &hi) &&
           k_is_const(k, i->in[2], &step) && hi - lo <= SHORT_LOOP * step;
  }
  if (i->op == K_div || i->op == K_rem) return integer && (i->type.vec || s->inner[ins] & LOOP);
  return s->mode == SHARE_HEAVY && integer && s->inner[ins] & INNERMOST;
}

/* May the operand, a literal, be something else? Of operations that this list does not know it may not. */
static bool is_value(const KIns *i, int operand) {
  switch (i->op) {
  case K_splat:
  case K_cast:
  case K_add:
  case K_sub:
  case K_mul:
  case K_div:
  case K_rem:
  case K_fma:
  case K_min:
  case K_max:
  case K_and:
  case K_or:
  case K_xor:
  case K_mulhi:
  case K_lt:
  case K_le:
  case K_eq:
  case K_select:
  case K_set: return true;
  case K_load:
  case K_load_masked:
  case K_store:
  case K_store_masked: return operand == 1;
  case K_for: return operand < 2;
  default: return false;
  }
}

/* A kernel with a form for sm_90a keeps its numbers: the form would have to have the same ones as
 * parameters. */
static bool is_place(const Shape *s, int ins, int operand) {
  const KIns *i = &s->k->ins[ins];
  if (s->k->sm90) return false;
  if (s->k->ins[i->in[operand]].type.base == K_I1 || !is_value(i, operand)) return false;
  return s->mode >= SHARE_LIGHT || !is_known_better(s, ins, operand);
}

/* ---- forms ---- */

static uint64_t word_of(const KIns *literal) {
  uint64_t w = 0;
  float f = (float)literal->fimm;
  if (literal->type.base == K_F64) memcpy(&w, &literal->fimm, sizeof w);
  else if (literal->type.base == K_F32) memcpy(&w, &f, sizeof f);
  else w = (uint64_t)literal->imm;
  return w;
}

enum { PLACE, LITERAL, VALUE }; /* what an operand is: the last by its distance */

static void add_operand(Arena *a, Shape *s, const int *number, int ins, int operand) {
  const KFn *k = s->k;
  const KIns *o = &k->ins[k->ins[ins].in[operand]];
  if (o->op != K_const) {
    bytes_number(&s->form, VALUE + (uint64_t)(number[ins] - number[k->ins[ins].in[operand]]));
    return;
  }
  bool place = is_place(s, ins, operand);
  bytes_number(&s->form, place ? PLACE : LITERAL);
  bytes_number(&s->form, o->type.base);
  if (place) *ARENA_PUSH(a, s->word, s->nword, s->capword) = word_of(o);
  else bytes_number(&s->form, word_of(o));
}

static void make_form(Arena *a, Shape *s) {
  const KFn *k = s->k;
  int *number = arena_alloc(a, ((size_t)k->n + 1) * sizeof *number), n = 0;
  bytes_number(&s->form, (uint64_t)k->warps);
  for (int v = 0; v < k->n; v++) {
    const KIns *i = &k->ins[v];
    number[v] = n;
    if (i->op == K_const) continue;
    n++;
    bytes_number(&s->form, (uint64_t)i->op);
    bytes_number(&s->form, (uint64_t)i->type.base | (uint64_t)i->type.kind << 3 | (uint64_t)i->type.vec << 5);
    bytes_number(&s->form, (uint64_t)i->imm);
    for (int o = 0; o < kop_info[i->op].operands; o++) add_operand(a, s, number, v, o);
  }
  if (k->sm90) kir_code(k->sm90, &s->form);
}

/* ---- groups ---- */

/* Kernels of a form, in a chain from the first. */
typedef struct {
  int first, last, size;
} Group;

typedef struct {
  Arena *arena;
  Shape *shape;
  int *slot; /* by hash: group + 1, 0 = free */
  size_t mask;
  Group *group;
  int n, cap;
} Groups;

static void insert(Groups *g, int kernel) {
  Shape *s = &g->shape[kernel];
  size_t at = hash_bytes(s->form.data, s->form.n).low & g->mask;
  for (; g->slot[at]; at = (at + 1) & g->mask) {
    Group *known = &g->group[g->slot[at] - 1];
    if (!bytes_equal(&g->shape[known->first].form, &s->form)) continue;
    known->last = g->shape[known->last].next = kernel, known->size++;
    return;
  }
  *ARENA_PUSH(g->arena, g->group, g->n, g->cap) = (Group){kernel, kernel, 1};
  g->slot[at] = g->n;
}

/* Do all kernels of the group have the same in the place? */
static bool same_word(const Groups *g, const Group *group, int place) {
  const Shape *first = &g->shape[group->first];
  for (int i = first->next; i >= 0; i = g->shape[i].next)
    if (g->shape[i].word[place] != first->word[place]) return false;
  return true;
}

static bool same_words(const Groups *g, const Group *group, int a, int b) {
  for (int i = group->first; i >= 0; i = g->shape[i].next)
    if (g->shape[i].word[a] != g->shape[i].word[b]) return false;
  return true;
}

static int most_parameters(ShareMode mode) { return mode == SHARE_MEMORY ? MEMORY_PARAMS : NETC_MAX_PARAMS; }

enum { TOO_MANY = NETC_MAX_PARAMS + 1 };

/* Numbers the parameters: of[place] or -1; their first places. Returns how many, or TOO_MANY. */
static int number_parameters(const Groups *g, const Group *group, int *of, int *place) {
  const Shape *first = &g->shape[group->first];
  int n = 0, most = most_parameters(first->mode);
  for (int p = 0; p < first->nword; p++) {
    of[p] = -1;
    if (first->mode != SHARE_ALL && same_word(g, group, p)) continue;
    int k = 0;
    while (k < n && !same_words(g, group, place[k], p)) k++;
    if (k == most && first->mode != SHARE_ALL) return TOO_MANY;
    if (k == most) continue;
    if (k == n) place[n++] = p;
    of[p] = k;
  }
  return n;
}

static KFn *copy_of(Arena *a, const KFn *k) {
  KFn *out = k_new(a, k->name, k->lanes);
  out->nregs = k->nregs, out->warps = k->warps, out->nargs = k->nargs, out->nparams = k->nparams;
  for (int v = 0; v < k->n; v++) kir_append(out, &k->ins[v]);
  return out;
}

/* The group's code: its first kernel, with parameters in the places. */
static KFn *make_code(const Groups *g, const Group *group, const int *of, int nparams) {
  const Shape *s = &g->shape[group->first];
  const KFn *k = s->k;
  KFn *out = k_new(g->arena, k->name, k->lanes);
  out->nregs = k->nregs, out->warps = k->warps, out->nargs = k->nargs, out->nparams = nparams;
  KV *map = arena_alloc(g->arena, ((size_t)k->n + 1) * sizeof *map);
  int place = 0;
  for (int v = 0; v < k->n; v++) {
    KIns ins = k->ins[v];
    if (ins.op == K_const) continue;
    for (int o = 0; o < kop_info[ins.op].operands; o++) {
      const KIns *from = &k->ins[ins.in[o]];
      if (from->op != K_const) ins.in[o] = map[ins.in[o]];
      else if (is_place(s, v, o) && of[place++] >= 0)
        ins.in[o] = k_param(out, (KBase)from->type.base, of[place - 1]);
      else ins.in[o] = kir_append(out, from);
    }
    map[v] = kir_append(out, &ins);
  }
  if (k->sm90) out->sm90 = copy_of(g->arena, k->sm90);
  return out;
}

static void finish(Groups *g, int number, SharedCodes *out) {
  const Group *group = &g->group[number];
  int places = g->shape[group->first].nword;
  int *of = arena_alloc(g->arena, ((size_t)places + 1) * sizeof *of);
  int *place = arena_alloc(g->arena, (NETC_MAX_PARAMS + 1) * sizeof *place);
  int n = number_parameters(g, group, of, place);
  for (int i = group->first; i >= 0; i = g->shape[i].next) {
    out->of[i] = out->n;
    out->param[i] = arena_alloc(g->arena, ((size_t)n + 1) * sizeof **out->param);
    for (int p = 0; p < n; p++) out->param[i][p] = g->shape[i].word[place[p]];
  }
  out->code[out->n++] = make_code(g, group, of, n);
}

/* Kernels that would need too many parameters keep their numbers: those with the same ones share a code. */
static void keep_words(Groups *g, int number) {
  int i = g->group[number].first, next;
  g->group[number].size = 0;
  for (; i >= 0; i = next) {
    Shape *s = &g->shape[i];
    next = s->next, s->next = -1;
    for (int p = 0; p < s->nword; p++) bytes_number(&s->form, s->word[p]);
    bytes_number(&s->form, UINT64_MAX); /* no other form ends so */
    insert(g, i);
  }
}

static void split_groups(Groups *g) {
  int before = g->n, room = 1;
  for (int i = 0; i < before; i++)
    if (g->shape[g->group[i].first].nword > room) room = g->shape[g->group[i].first].nword;
  int *of = arena_alloc(g->arena, (size_t)room * sizeof *of);
  int *place = arena_alloc(g->arena, (NETC_MAX_PARAMS + 1) * sizeof *place);
  for (int i = 0; i < before; i++)
    if (number_parameters(g, &g->group[i], of, place) == TOO_MANY) keep_words(g, i);
}

SharedCodes share_kernels(Arena *a, const KFn *const *kernel, const ShareMode *mode, int n) {
  Arena *own = arena_new();
  Groups g = {.arena = a, .mask = 63};
  while (g.mask < 4 * (size_t)n) g.mask = 2 * g.mask + 1;
  g.slot = arena_alloc(own, (g.mask + 1) * sizeof *g.slot);
  g.shape = arena_alloc(own, ((size_t)n + 1) * sizeof *g.shape);
  for (int i = 0; i < n; i++) {
    g.shape[i] = (Shape){.k = simt_prepare(own, kernel[i]), .mode = mode[i], .next = -1};
    find_loops(own, &g.shape[i]);
    make_form(own, &g.shape[i]);
    insert(&g, i);
  }
  split_groups(&g);
  SharedCodes out = {.n = 0};
  out.code = arena_alloc(a, ((size_t)g.n + 1) * sizeof *out.code);
  out.of = arena_alloc(a, ((size_t)n + 1) * sizeof *out.of);
  out.param = arena_alloc(a, ((size_t)n + 1) * sizeof *out.param);
  for (int i = 0; i < g.n; i++)
    if (g.group[i].size) finish(&g, i, &out);
  for (int i = 0; i < n; i++) bytes_free(&g.shape[i].form);
  arena_free(own);
  return out;
}
