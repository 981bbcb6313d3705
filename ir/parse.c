/* parse.c - reads the text form of programs (docs/ir.md): recursive descent straight over the characters
 * (tokens.h). A node is built by ir_node(), which checks it; a type written behind a node must be the one
 * inferred. */
#include "ir/tokens.h"
#include <limits.h>
#include <string.h>

enum { WORD_MAX = 64 };

static Type type(Parser *p) {
  Type t = {.dt = (DType)choice(p, word_dtype, "an element type")};
  const char *from = p->at;
  t.rank = integers(p, t.dim, MAX_RANK, 1, INT32_MAX);
  if (!p->bad && !type_valid(t)) fail_at(p, from, "a tensor may have 2^40 elements at most");
  return t;
}

/* order [..]: a permutation of the axes; behind the rank the identity. */
static void order(Parser *p, uint8_t out[MAX_RANK], int rank) {
  int64_t list[MAX_RANK];
  unsigned seen = 0;
  const char *from = p->at;
  int n = integers(p, list, rank, 0, MAX_RANK - 1);
  for (int i = 0; i < n; i++) seen |= 1u << list[i];
  if (n != rank || seen != (1u << rank) - 1)
    fail_at(p, from, "the order must name each of %d axes once", rank);
  for (int i = 0; !p->bad && i < rank; i++) out[i] = (uint8_t)list[i];
}

/* ---- %names ---- */

static uint32_t hash(const char *s, size_t n) {
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 16777619u;
  return h;
}

/* The slot of a name, or the free one where it belongs. */
static Slot *find_slot(Slot *slot, int nslot, const char *name, size_t len) {
  uint32_t i = hash(name, len);
  for (;; i++) {
    Slot *s = &slot[i & (uint32_t)(nslot - 1)];
    if (!s->name || (strlen(s->name) == len && !memcmp(s->name, name, len))) return s;
  }
}

static void define(Parser *p, const char *name, int id) {
  if (2 * (p->used + 1) > p->nslot) {
    int n = p->nslot ? 2 * p->nslot : 64;
    Slot *bigger = arena_alloc(p->arena, (size_t)n * sizeof *bigger);
    for (int i = 0; i < p->nslot; i++)
      if (p->slot[i].name) *find_slot(bigger, n, p->slot[i].name, strlen(p->slot[i].name)) = p->slot[i];
    p->slot = bigger;
    p->nslot = n;
  }
  *find_slot(p->slot, p->nslot, name, strlen(name)) = (Slot){name, id};
  p->used++;
}

/* %name: its length, with the parser behind it and *name at its first character. */
static size_t node_name(Parser *p, const char **name) {
  size_t n = 0;
  expect(p, '%');
  *name = p->at;
  while (!p->bad && word_char(p->at[n])) n++;
  if (!n) FAIL(p, "expected a name behind %%");
  p->at += n;
  return n;
}

static int lookup(Parser *p, const char *name, size_t n) {
  if (!p->nslot) return -1;
  const Slot *s = find_slot(p->slot, p->nslot, name, n);
  return s->name ? s->id : -1;
}

/* A node defined before. */
static int node_ref(Parser *p) {
  const char *name;
  size_t n = node_name(p, &name);
  if (p->bad) return 0;
  int id = lookup(p, name, n);
  if (id < 0)
    fail_at(p, name, "%%%.*s is not defined before this place", (int)(n < WORD_MAX ? n : WORD_MAX), name);
  return id < 0 ? 0 : id;
}

/* ---- nodes ---- */

static void spatial(Parser *p, int64_t *list) { integers(p, list, MAX_SPATIAL, 0, INT32_MAX); }

static void axes(Parser *p, unsigned *mask) {
  int64_t list[MAX_RANK];
  int n = integers(p, list, MAX_RANK, 0, MAX_RANK - 1);
  for (int i = 0; i < n; i++) *mask |= 1u << list[i];
}

static void attribute(Parser *p, Op op, Attrs *at) {
  static const struct {
    const char *name;
    unsigned bit;
  } known[] = {{"value", A_VALUE}, {"axis", A_AXIS}, {"axes", A_AXES}, {"stride", A_STRIDE},
               {"pad", A_PAD},     {"size", A_SIZE}, {"lo", A_RANGE},  {"hi", A_RANGE},
               {"mode", A_MODE},   {"site", A_SITE}, {"bf16", A_BF16}};
  enum { VALUE, AXIS, AXES, STRIDE, PAD, SIZE, LO, HI, MODE, SITE, OPERANDS_BF16, KNOWN };
  skip_space(p);
  const char *from = p->at;
  int i = 0;
  while (i < KNOWN && !accept_word(p, known[i].name)) i++;
  if (i == KNOWN || !(op_info[op].attrs & known[i].bit)) {
    fail_at(p, from, "%s has no such attribute", op_info[op].name);
    return;
  }
  expect(p, '=');
  switch (i) {
  case VALUE: at->value = number(p); break;
  case AXIS: at->axis = (int)integer(p, 0, MAX_RANK - 1); break;
  case AXES: axes(p, &at->axes); break;
  case STRIDE: spatial(p, at->geom.stride); break;
  case PAD: spatial(p, at->geom.pad); break;
  case SIZE: spatial(p, at->size); break;
  case LO: at->lo = integer(p, 0, INT32_MAX); break;
  case HI: at->hi = integer(p, 0, INT32_MAX); break;
  case MODE: at->mode = (int)integer(p, 0, INT_MAX); break;
  case OPERANDS_BF16: at->bf16 = (int)integer(p, 0, 1); break;
  default: at->site = integer(p, INT64_MIN, INT64_MAX); break;
  }
}

static Op operation(Parser *p) {
  char word[WORD_MAX] = "";
  size_t n = word_length(p);
  memcpy(word, p->at, n < WORD_MAX ? n : 0);
  int op = op_by_name(word);
  if (op < 0) FAIL(p, "unknown operation '%s'; docs/ops.md lists them", word);
  else p->at += n;
  return op < 0 ? OP_const : (Op)op;
}

/* NAME = OP %a %b "sym" {attributes} : TYPE order [..] group N; all behind OP may be left out where not
 * needed. */
static void node(Parser *p, Fn *f) {
  const char *from, *start;
  size_t len = node_name(p, &from);
  if (p->bad) return;
  if (lookup(p, from, len) >= 0) fail_at(p, from, "the name is used twice");
  const char *name = arena_strndup(p->arena, from, len);
  expect(p, '=');
  skip_space(p);
  start = p->at;
  Op op = operation(p);
  Attrs at = {0};
  Type want = {0};
  int in[MAX_IN], nin = 0;
  while (!p->bad && (skip_space(p), *p->at == '%') && nin < MAX_IN) {
    /* an operand, unless it is the next node's `%name =` */
    const char *here = p->at, *next;
    node_name(p, &next);
    bool defines = accept(p, '=');
    p->at = here;
    if (defines) break;
    in[nin++] = node_ref(p);
  }
  if (op_info[op].attrs & A_SYM) at.sym = string(p);
  if (accept(p, '{')) {
    do attribute(p, op, &at);
    while (accept(p, ','));
    expect(p, '}');
  }
  int var = op == OP_var && !p->bad ? prog_find_var(p->prog, at.sym) : -1;
  bool typed = accept(p, ':');
  if (typed) want = type(p);
  else if (var >= 0) want = p->prog->var[var].type;
  if (p->bad) return;
  int id = ir_node(f, op, nin, in, &at, typed || var >= 0 ? &want : NULL);
  if (id < 0) {
    fail_at(p, start, "%s", f->err);
    return;
  }
  char was[96], is[96];
  Node *n = &f->node[id];
  if (want.dt == BF16 && type_eq(type_widened(want), n->type)) n->type.dt = BF16;
  if (typed && !type_eq(want, n->type))
    fail_at(p, start, "%s gives %s, not %s", op_info[op].name, type_str(n->type, is), type_str(want, was));
  if (accept_word(p, "order")) order(p, n->order, n->type.rank);
  if (accept_word(p, "group")) n->group = (int)integer(p, 0, INT_MAX - 1);
  define(p, name, id);
}

/* ---- functions ---- */

static void kernel(Parser *p, Fn *f) {
  if (integer(p, 0, INT_MAX) != f->ngroup)
    FAIL(p, "kernels are numbered 0, 1, ..; this must be %d", f->ngroup);
  expect_word(p, "kind");
  Group g = {.kind = (int)integer(p, 0, INT_MAX), .anchor = -1};
  if (accept_word(p, "anchor")) g.anchor = node_ref(p);
  if (!p->bad) *ARENA_PUSH(p->arena, f->group, f->ngroup, f->capgroup) = g;
}

static void store(Parser *p, Fn *f) {
  skip_space(p);
  const char *from = p->at;
  const char *name = string(p);
  int var = p->bad ? -1 : prog_find_var(p->prog, name);
  if (var < 0) fail_at(p, from, "no variable has this name");
  expect(p, '=');
  int id = node_ref(p);
  if (!p->bad) fn_store(f, var, id);
}

static void output(Parser *p, Fn *f) {
  const char *name = string(p);
  expect(p, '=');
  int id = node_ref(p);
  if (!p->bad) fn_output(f, name, id);
}

static void function(Parser *p) {
  FnKind kind = (FnKind)choice(p, word_fn, "a kind of function");
  const char *from = p->at;
  const char *name = string(p);
  if (!p->bad && prog_find_fn(p->prog, name)) fail_at(p, from, "two functions have this name");
  if (p->bad) return;
  Fn *f = fn_new(p->prog, name, kind);
  p->slot = NULL;
  p->nslot = p->used = 0;
  expect(p, '{');
  while (!p->bad && !accept(p, '}')) {
    if (accept_word(p, "kernel")) kernel(p, f);
    else if (accept_word(p, "store")) store(p, f);
    else if (accept_word(p, "output")) output(p, f);
    else node(p, f);
  }
}

/* ---- programs ---- */

static void program(Parser *p) {
  p->prog->source = string(p);
  for (;;) {
    if (accept_word(p, "classes")) p->prog->classes = integer(p, 0, INT32_MAX);
    else if (accept_word(p, "epoch_iterations")) p->prog->epoch_iterations = integer(p, 0, INT64_MAX);
    else if (accept_word(p, "max_iterations")) p->prog->max_iterations = integer(p, 0, INT64_MAX);
    else if (accept_word(p, "storage")) p->prog->storage = (DType)choice(p, word_dtype, "an element type");
    else if (accept_word(p, "winograd")) p->prog->winograd = choice(p, word_switch, "on or off");
    else if (accept_word(p, "tf32")) p->prog->tf32 = choice(p, word_switch, "on or off");
    else if (accept_word(p, "sites")) p->prog->sites = integer(p, 0, INT64_MAX);
    else return;
  }
}

static void net(Parser *p) {
  const char *name = string(p);
  if (p->bad) return;
  int i = prog_net(p->prog, name);
  if (accept_word(p, "macs")) p->prog->net[i].macs = integer(p, 0, INT64_MAX);
}

static void init(Parser *p, Init *i) {
  i->kind = (InitKind)choice(p, word_init, "how it starts");
  if (i->kind == INIT_COPY) i->from = string(p);
  else i->a = number(p);
  if (i->kind == INIT_UNIFORM || i->kind == INIT_NORMAL) i->b = number(p);
}

static void variable(Parser *p) {
  skip_space(p);
  const char *from = p->at;
  Var v = {.name = string(p), .net = -1};
  for (int i = 0; i < MAX_RANK; i++) v.order[i] = (uint8_t)i;
  expect(p, ':');
  v.type = type(p);
  for (bool more = true; more && !p->bad;) {
    if (accept_word(p, "init")) {
      init(p, &v.init);
    } else if (accept_word(p, "role")) {
      v.role = (Role)choice(p, word_role, "a role");
    } else if (accept_word(p, "net")) {
      const char *name = string(p);
      if (!p->bad) v.net = prog_net(p->prog, name);
    } else if (accept_word(p, "order")) {
      order(p, v.order, v.type.rank);
    } else {
      more = false;
    }
  }
  if (!p->bad && prog_var(p->prog, v) < 0) fail_at(p, from, "two variables have this name");
}

/* WORD, or WORD(parameters.., p). */
static Augment augment(Parser *p) {
  int kind = 0;
  while (kind < AUGMENTS && !accept_word(p, augment_info[kind].word)) kind++;
  if (kind == AUGMENTS) FAIL(p, "expected an augmentation: one of %s", augment_words(p->arena, false));
  Augment a = augment_of(p->bad ? AUG_FLIP : (AugmentKind)kind, 0, NULL);
  if (p->bad || !accept(p, '(')) return a;
  for (int i = 0; i < augment_params(a.kind); i++) a.value[i] = number(p), expect(p, ',');
  a.p = number(p);
  expect(p, ')');
  return a;
}

static const Augment *augments(Parser *p, bool strong, int *n) {
  Augment *list = arena_alloc(p->arena, AUGMENT_MOST * sizeof *list);
  const char *from = p->at;
  char why[IR_ERR] = "";
  expect(p, '[');
  do {
    if (*n == AUGMENT_MOST) FAIL(p, "at most %d augmentations are possible", AUGMENT_MOST);
    if (!p->bad) list[(*n)++] = augment(p);
  } while (accept(p, ','));
  expect(p, ']');
  if (!p->bad && !augment_list_check(list, *n, strong, why)) fail_at(p, from, "%s", why);
  return list;
}

static void stream(Parser *p) {
  Stream s = {.name = string(p)};
  if (accept_word(p, "source")) s.source = (StreamSource)choice(p, word_source, "a source");
  if (accept_word(p, "augment")) s.augment = augments(p, false, &s.naugment);
  if (accept_word(p, "strong")) s.strong = augments(p, true, &s.nstrong);
  if (accept_word(p, "foreground")) s.foreground = number(p);
  if (!(s.foreground >= 0 && s.foreground <= 1)) FAIL(p, "foreground must be from 0 to 1");
  expect(p, '{');
  while (!p->bad && !accept(p, '}')) {
    Field fd = {.kind = (FieldKind)choice(p, word_field, "a field")};
    fd.name = string(p);
    expect(p, ':');
    fd.type = type(p);
    if (s.nfield == 4) FAIL(p, "a stream has 4 fields at most");
    if (!p->bad) s.field[s.nfield++] = fd;
  }
  if (!p->bad) *ARENA_PUSH(p->arena, p->prog->stream, p->prog->nstream, p->prog->capstream) = s;
}

Program *ir_parse(Arena *a, const char *text, char err[IR_ERR]) {
  Parser p = {.arena = a, .prog = prog_new(a), .text = text, .at = text, .err = err};
  while (!p.bad && (skip_space(&p), *p.at)) {
    if (accept_word(&p, "program")) program(&p);
    else if (accept_word(&p, "net")) net(&p);
    else if (accept_word(&p, "var")) variable(&p);
    else if (accept_word(&p, "stream")) stream(&p);
    else if (accept_word(&p, "prepare")) prepare_parse(&p);
    else if (accept_word(&p, "validate")) validation_parse(&p);
    else if (accept_word(&p, "fn")) function(&p);
    else FAIL(&p, "expected program, net, var, stream, prepare, validate or fn");
  }
  return p.bad ? NULL : p.prog;
}
