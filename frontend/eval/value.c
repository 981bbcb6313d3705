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
  static const char *const name[] = {
      [V_POISON] = "an error",  [V_NONE] = "none",           [V_NUM] = "a number",
      [V_BOOL] = "on/off",      [V_STR] = "a string",        [V_LIST] = "a list",
      [V_TENSOR] = "a tensor",  [V_BLOCK] = "a block",       [V_NET] = "a net",
      [V_INST] = "a network",   [V_BUILTIN] = "a function",  [V_BATCH] = "a batch",
      [V_OPT] = "an optimiser", [V_INIT] = "an initialiser", [V_AUGMENT] = "an augmentation"};
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

/* Stops when the text is full, so that lists that share parts cannot run away. */
static void show(Eval *c, Text *t, Value v, int depth) {
  char num[40];
  if (t->used + 1 >= t->cap) return;
  switch (v.kind) {
  case V_NUM:
    snprintf(num, sizeof num, "%.15g", v.u.num);
    if (strtod(num, NULL) != v.u.num) snprintf(num, sizeof num, "%.17g", v.u.num);
    put(t, num);
    break;
  case V_BOOL: put(t, v.u.num != 0 ? "on" : "off"); break;
  case V_STR: put(t, "\""), put(t, v.u.str), put(t, "\""); break;
  case V_LIST:
    put(t, "[");
    for (int i = 0; i < v.u.list->n && depth < 16; i++) {
      if (i) put(t, ",");
      show(c, t, v.u.list->v[i], depth + 1);
    }
    put(t, "]");
    break;
  case V_AUGMENT: put(t, augment_str(c, v.u.augment)); break;
  default: put(t, kind_str(v));
  }
}

const char *value_str(Eval *c, Value v) {
  enum { ROOM = 2048 };
  Text t = {arena_alloc(c->arena, ROOM), 0, ROOM};
  show(c, &t, v, 0);
  return t.p;
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
  case V_NONE:
  case V_POISON: return true;
  default: return a.u.def == b.u.def;
  }
}
