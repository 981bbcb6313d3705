/* value.c - compile-time values: making, showing and comparing them. */
#include "frontend/eval/eval.h"
#include <stdlib.h>
#include <string.h>

Value v_num(double x) { return (Value){V_NUM, {.num = x}}; }
Value v_bool(bool on) { return (Value){V_BOOL, {.num = on}}; }
Value v_str(const char *s) { return (Value){V_STR, {.str = s}}; }
Value v_none(void) { return (Value){V_NONE, {.num = 0}}; }
Value v_poison(void) { return (Value){V_POISON, {.num = 0}}; }

Value v_list(Eval *c, int n, const Value *v) {
  List *l = arena_alloc(c->arena, sizeof *l + (size_t)n * sizeof *v);
  l->n = n;
  if (n) memcpy(l->v, v, (size_t)n * sizeof *v);
  return (Value){V_LIST, {.list = l}};
}

const char *kind_str(Value v) {
  static const char *const name[] = {[V_POISON] = "an error",
                                     [V_NONE] = "none",
                                     [V_NUM] = "a number",
                                     [V_BOOL] = "on/off",
                                     [V_STR] = "a string",
                                     [V_LIST] = "a list",
                                     [V_TENSOR] = "a tensor",
                                     [V_BLOCK] = "a block",
                                     [V_NET] = "a net",
                                     [V_INST] = "a network",
                                     [V_BUILTIN] = "a function",
                                     [V_BATCH] = "a batch",
                                     [V_OPT] = "an optimiser",
                                     [V_INIT] = "an initialiser",
                                     [V_MAP] = "a map",
                                     [V_INTENSITY] = "an intensity",
                                     [V_AUGMENT] = "an augmentation"};
  return name[v.kind];
}

Value shape_list(Eval *c, Type t) {
  Value v[MAX_RANK];
  for (int i = 0; i < t.rank; i++) v[i] = v_num((double)t.dim[i]);
  return v_list(c, t.rank, v);
}

typedef struct {
  char *p;
  size_t used, cap;
} Text;

static void put(Text *t, const char *s) {
  size_t n = strlen(s), room = t->cap - t->used - 1;
  if (n > room) n = room;
  memcpy(t->p + t->used, s, n);
  t->used += n;
  t->p[t->used] = 0;
}

static void put_number(Text *t, double x) {
  char num[40];
  snprintf(num, sizeof num, "%.15g", x);
  if (strtod(num, NULL) != x) snprintf(num, sizeof num, "%.17g", x);
  put(t, num);
}

/* As the call that makes it. */
static void put_intensity(Text *t, const Intensity *i) {
  put(t, word_intensity[i->kind]), put(t, "(");
  if (i->kind == INTENSITY_FIXED) {
    put_number(t, i->mean), put(t, ","), put_number(t, i->deviation);
    if (i->scale != 1) put(t, ",scale="), put_number(t, i->scale);
    if (i->clip) put(t, ",");
  }
  if (i->clip) put(t, "clip=["), put_number(t, i->lo), put(t, ","), put_number(t, i->hi), put(t, "]");
  put(t, ")");
}

/* As the call that makes it, or, where nothing is given, its word. */
static void put_augment(Text *t, const Augment *a) {
  const AugmentInfo *info = &augment_info[a->kind];
  if (augment_plain(a)) {
    put(t, "\""), put(t, info->word), put(t, "\"");
    return;
  }
  put(t, info->word), put(t, "(");
  for (int i = 0; i < augment_params(a->kind); i++) put_number(t, a->value[i]), put(t, ",");
  put(t, "p="), put_number(t, a->p), put(t, ")");
}

/* Stops when the text is full, so that lists that share parts cannot run away. */
static void show(Text *t, Value v, int depth) {
  if (t->used + 1 >= t->cap) return;
  switch (v.kind) {
  case V_NUM: put_number(t, v.u.num); break;
  case V_BOOL: put(t, v.u.num != 0 ? "on" : "off"); break;
  case V_STR: put(t, "\""), put(t, v.u.str), put(t, "\""); break;
  case V_LIST:
    put(t, "[");
    for (int i = 0; i < v.u.list->n && depth < 16; i++) {
      if (i) put(t, ",");
      show(t, v.u.list->v[i], depth + 1);
    }
    put(t, "]");
    break;
  case V_MAP:
    put(t, "{");
    for (int i = 0; i < v.u.map->n && depth < 16; i++) {
      if (i) put(t, ",");
      show(t, v.u.map->e[i].key, depth + 1), put(t, ":"), show(t, v.u.map->e[i].value, depth + 1);
    }
    put(t, "}");
    break;
  case V_INTENSITY: put_intensity(t, v.u.intensity); break;
  case V_AUGMENT: put_augment(t, v.u.augment); break;
  default: put(t, kind_str(v));
  }
}

const char *value_str(Eval *c, Value v) {
  enum { ROOM = 2048 };
  Text t = {arena_alloc(c->arena, ROOM), 0, ROOM};
  show(&t, v, 0);
  return t.p;
}

static bool intensity_equal(const Intensity *a, const Intensity *b) {
  return a->kind == b->kind && a->clip == b->clip && a->lo == b->lo && a->hi == b->hi && a->mean == b->mean &&
         a->deviation == b->deviation && a->scale == b->scale;
}

bool value_equal(Eval *c, const Ast *at, Value a, Value b) {
  if (a.kind != b.kind || !eval_charge(c, at, 1)) return false;
  switch (a.kind) {
  case V_NUM:
  case V_BOOL: return a.u.num == b.u.num;
  case V_STR: return !strcmp(a.u.str, b.u.str);
  case V_LIST:
    if (a.u.list->n != b.u.list->n) return false;
    if (++c->depth > MAX_DEPTH) return c->depth--, false;
    bool same = true;
    for (int i = 0; same && i < a.u.list->n; i++) same = value_equal(c, at, a.u.list->v[i], b.u.list->v[i]);
    c->depth--;
    return same;
  case V_INTENSITY: return intensity_equal(a.u.intensity, b.u.intensity);
  case V_NONE:
  case V_POISON: return true;
  default: return a.u.def == b.u.def;
  }
}
