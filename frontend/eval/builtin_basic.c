/* builtin_basic.c - functions of compile-time values: lists, shapes, messages. */
#include "frontend/eval/eval.h"
#include <string.h>

static Value bi_len(Eval *c, const Ast *at, Value *arg) {
  if (arg[0].kind == V_LIST) return v_num(arg[0].u.list->n);
  if (arg[0].kind == V_STR) return v_num((double)strlen(arg[0].u.str));
  return eval_fail(c, at, "len: %s has no length; a tensor has shape(x)", kind_str(arg[0]));
}

static Value bi_range(Eval *c, const Ast *at, Value *arg) {
  int64_t lo = 0, hi, step = 1;
  const int64_t far = 1000000000;
  if (!arg_int(c, at, "a bound", arg[0], -far, far, &hi)) return v_poison();
  if (arg_given(arg[1])) {
    lo = hi;
    if (!arg_int(c, at, "a bound", arg[1], -far, far, &hi)) return v_poison();
  }
  if (arg_given(arg[2]) && !arg_int(c, at, "the step", arg[2], -far, far, &step)) return v_poison();
  if (step == 0) return eval_fail(c, at, "range: the step is 0");
  int64_t n = step > 0 ? (hi - lo + step - 1) / step : (lo - hi - step - 1) / -step;
  if (n < 0) n = 0;
  if (n > MAX_LIST)
    return eval_fail(c, at, "range: %lld elements, at most %d are possible", (long long)n, MAX_LIST);
  if (!eval_charge(c, at, (int)n)) return v_poison();
  List *l = arena_alloc(c->arena, sizeof *l + (size_t)n * sizeof *l->v);
  for (l->n = 0; l->n < n; l->n++) l->v[l->n] = v_num((double)(lo + l->n * step));
  return (Value){V_LIST, {.list = l}};
}

static const List *need_list(Eval *c, const Ast *at, const char *who, Value v) {
  if (v.kind == V_LIST) return v.u.list;
  eval_fail(c, at, "%s needs a list, this is %s", who, kind_str(v));
  return NULL;
}

static Value bi_reverse(Eval *c, const Ast *at, Value *arg) {
  const List *l = need_list(c, at, "reverse", arg[0]);
  if (!l || !eval_charge(c, at, l->n)) return v_poison();
  List *r = arena_alloc(c->arena, sizeof *r + (size_t)l->n * sizeof *r->v);
  for (; r->n < l->n; r->n++) r->v[r->n] = l->v[l->n - 1 - r->n];
  return (Value){V_LIST, {.list = r}};
}

static Value bi_zip(Eval *c, const Ast *at, Value *arg) {
  const List *of = arg[0].u.list;
  if (of->n == 0) return eval_fail(c, at, "zip needs lists");
  for (int i = 0; i < of->n; i++) {
    const List *l = need_list(c, at, "zip", of->v[i]);
    if (!l) return v_poison();
    if (l->n != of->v[0].u.list->n)
      return eval_fail(c, at, "zip: the lists have %d and %d elements", of->v[0].u.list->n, l->n);
  }
  int n = of->v[0].u.list->n;
  if (!eval_charge(c, at, n * of->n)) return v_poison();
  List *out = arena_alloc(c->arena, sizeof *out + (size_t)n * sizeof *out->v);
  for (; out->n < n; out->n++) {
    Value row[MAX_ARGS];
    for (int i = 0; i < of->n; i++) row[i] = of->v[i].u.list->v[out->n];
    out->v[out->n] = v_list(c, of->n, row);
  }
  return (Value){V_LIST, {.list = out}};
}

static bool need_tensor(Eval *c, const Ast *at, const char *who, Value v) {
  if (v.kind == V_TENSOR) return true;
  return eval_error(c, at, "%s needs a tensor, this is %s", who, kind_str(v));
}

static Value bi_shape(Eval *c, const Ast *at, Value *arg) {
  return need_tensor(c, at, "shape", arg[0]) ? shape_list(c, value_type(c, arg[0])) : v_poison();
}

static Value bi_dims(Eval *c, const Ast *at, Value *arg) {
  if (!need_tensor(c, at, "dims", arg[0])) return v_poison();
  int rank = value_type(c, arg[0]).rank;
  return v_num(rank > 2 ? rank - 2 : 0);
}

static Value bi_channels(Eval *c, const Ast *at, Value *arg) {
  if (!need_tensor(c, at, "channels", arg[0])) return v_poison();
  Type t = value_type(c, arg[0]);
  char buf[96];
  if (t.rank < 2) return eval_fail(c, at, "channels: %s has no channel axis", type_str(t, buf));
  return v_num((double)t.dim[1]);
}

static Value bi_size(Eval *c, const Ast *at, Value *arg) {
  if (!need_tensor(c, at, "size_of", arg[0])) return v_poison();
  Type t = value_type(c, arg[0]);
  Value all = shape_list(c, t);
  return t.rank > 2 ? v_list(c, t.rank - 2, all.u.list->v + 2) : v_list(c, 0, NULL);
}

static Value bi_error(Eval *c, const Ast *at, Value *arg) {
  const char *s;
  if (!arg_str(c, at, "the message", arg[0], &s)) return v_poison();
  return eval_fail(c, at, "%s", s);
}

static Value bi_str(Eval *c, const Ast *at, Value *arg) {
  (void)at;
  return v_str(arg[0].kind == V_STR ? arg[0].u.str : value_str(c, arg[0]));
}

static Value bi_known(Eval *c, const Ast *at, Value *arg) {
  (void)c, (void)at;
  return v_bool(arg[0].kind != V_TENSOR);
}

const Builtin builtins_basic[] = {
    {"len", "list", false, bi_len},         {"range", "first end? step?", false, bi_range},
    {"reverse", "list", false, bi_reverse}, {"zip", "*lists", false, bi_zip},
    {"shape", "x", false, bi_shape},        {"channels", "x", false, bi_channels},
    {"dims", "x", false, bi_dims},          {"size_of", "x", false, bi_size},
    {"str", "value", false, bi_str},        {"known", "value", false, bi_known},
    {"error", "message", false, bi_error},  {NULL, NULL, false, NULL},
};
