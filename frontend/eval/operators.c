/* operators.c - what + - * / and the rest mean for numbers, strings, lists and tensors. */
#include "frontend/eval/eval.h"
#include <math.h>
#include <string.h>

Type value_type(Eval *c, Value v) { return c->fn->node[v.u.node].type; }

Value eval_node(Eval *c, const Ast *at, int node) {
  if (node < 0) return eval_fail(c, at, "%s", c->fn->err);
  if (c->fn->n > MAX_NODES) {
    c->stopped = true;
    return eval_fail(c, at, "the program needs more than %d graph nodes", MAX_NODES);
  }
  return (Value){V_TENSOR, {.node = node}};
}

static bool need_fn(Eval *c, const Ast *at) {
  if (c->fn) {
    c->fn->loc = eval_loc(c, at);
    return true;
  }
  return eval_error(c, at, "tensors exist only inside train, predict and forward");
}

int value_f32(Eval *c, const Ast *at, const char *what, Value v) {
  if (v.kind == V_POISON || !need_fn(c, at)) return -1;
  if (v.kind == V_NUM || v.kind == V_BOOL) return ir_const(c->fn, v.u.num);
  if (v.kind != V_TENSOR) {
    eval_fail(c, at, "%s must be a tensor or a number, it is %s", what, kind_str(v));
    return -1;
  }
  return value_type(c, v).dt == F32 ? v.u.node : ir_cast(c->fn, v.u.node, F32);
}

static bool is_i32(Eval *c, Value v) { return v.kind == V_TENSOR && value_type(c, v).dt == I32; }

/* A whole number that i32 can hold, against an i32 tensor, stays an integer: labels compare exactly. */
static int as_i32(Eval *c, Value v) {
  if (is_i32(c, v)) return v.u.node;
  if (v.kind != V_NUM || v.u.num != floor(v.u.num) || fabs(v.u.num) > 1e9) return -1;
  return ir_splat(c->fn, v.u.num, type_i32(0));
}

Value eval_elementwise(Eval *c, const Ast *at, Op op, Value a, Value b) {
  if (a.kind == V_POISON || b.kind == V_POISON || !need_fn(c, at)) return v_poison();
  int x, y;
  bool compare = op == OP_lt || op == OP_le || op == OP_eq;
  if (compare && (is_i32(c, a) || is_i32(c, b)) && (x = as_i32(c, a)) >= 0 && (y = as_i32(c, b)) >= 0)
    return eval_node(c, at, ir_binary(c->fn, op, x, y));
  x = value_f32(c, at, "the left side", a);
  y = value_f32(c, at, "the right side", b);
  if (x < 0 || y < 0) return v_poison();
  return eval_node(c, at, ir_binary(c->fn, op, x, y));
}

bool eval_truth(Eval *c, const Ast *at, Value v, bool *ok) {
  *ok = v.kind == V_BOOL || v.kind == V_NUM;
  if (*ok) return v.u.num != 0;
  if (v.kind == V_TENSOR)
    eval_fail(c, at,
              "a condition must be known when compiling; this is a tensor: choose with select(mask, a, b)");
  else if (v.kind != V_POISON) eval_fail(c, at, "a condition must be on or off, this is %s", kind_str(v));
  return false;
}

/* ---- numbers ---- */

static Value number_binary(Eval *c, const Ast *at, Oper op, double x, double y) {
  switch (op) {
  case B_ADD: return v_num(x + y);
  case B_SUB: return v_num(x - y);
  case B_MUL: return v_num(x * y);
  case B_DIV:
  case B_FLOORDIV:
  case B_MOD:
    if (y == 0) return eval_fail(c, at, "division by zero");
    return v_num(op == B_DIV ? x / y : op == B_FLOORDIV ? floor(x / y) : x - floor(x / y) * y);
  case B_POW: return v_num(pow(x, y));
  case B_LT: return v_bool(x < y);
  case B_LE: return v_bool(x <= y);
  case B_GT: return v_bool(x > y);
  default: return v_bool(x >= y);
  }
}

static Value number(Eval *c, const Ast *at, Oper op, double x, double y) {
  Value v = number_binary(c, at, op, x, y);
  if (v.kind == V_NUM && !isfinite(v.u.num))
    return eval_fail(c, at, "%g %s %g is not a finite number", x, oper_name[op], y);
  return v;
}

/* ---- tensors ---- */

static Value not_of(Eval *c, const Ast *at, Value v) {
  if (v.kind == V_POISON) return v;
  return eval_elementwise(c, at, OP_sub, v_num(1), v);
}

static Value tensor_binary(Eval *c, const Ast *at, Oper op, Value a, Value b) {
  switch (op) {
  case B_ADD: return eval_elementwise(c, at, OP_add, a, b);
  case B_SUB: return eval_elementwise(c, at, OP_sub, a, b);
  case B_MUL: return eval_elementwise(c, at, OP_mul, a, b);
  case B_DIV: return eval_elementwise(c, at, OP_div, a, b);
  case B_LT: return eval_elementwise(c, at, OP_lt, a, b);
  case B_LE: return eval_elementwise(c, at, OP_le, a, b);
  case B_GT: return eval_elementwise(c, at, OP_lt, b, a);
  case B_GE: return eval_elementwise(c, at, OP_le, b, a);
  case B_EQ: return eval_elementwise(c, at, OP_eq, a, b);
  case B_NE: return not_of(c, at, eval_elementwise(c, at, OP_eq, a, b));
  case B_POW:
    if (b.kind == V_NUM) {
      int x = value_f32(c, at, "the base", a);
      return x < 0 ? v_poison() : eval_node(c, at, ir_powc(c->fn, x, b.u.num));
    }
    return eval_fail(c, at, "the exponent of ** must be a number; write exp(y * log(x)) for a tensor y");
  default: break;
  }
  Value q = eval_elementwise(c, at, OP_div, a, b);
  if (q.kind == V_POISON) return q;
  q = eval_node(c, at, ir_unary(c->fn, OP_floor, q.u.node));
  return op == B_FLOORDIV ? q : eval_elementwise(c, at, OP_sub, a, eval_elementwise(c, at, OP_mul, q, b));
}

/* ---- strings and lists ---- */

static Value join_strings(Eval *c, const Ast *at, Value a, Value b) {
  const char *x = a.kind == V_STR ? a.u.str : value_str(c, a),
             *y = b.kind == V_STR ? b.u.str : value_str(c, b);
  if (strlen(x) + strlen(y) > MAX_STRING)
    return eval_fail(c, at, "the string grows beyond %d characters", MAX_STRING);
  return v_str(arena_printf(c->arena, "%s%s", x, y));
}

static Value join_lists(Eval *c, const Ast *at, const List *a, const List *b) {
  int n = a->n + b->n;
  if (n > MAX_LIST) return eval_fail(c, at, "the list grows beyond %d elements", MAX_LIST);
  if (!eval_charge(c, at, n)) return v_poison();
  List *l = arena_alloc(c->arena, sizeof *l + (size_t)n * sizeof *l->v);
  l->n = n;
  if (a->n) memcpy(l->v, a->v, (size_t)a->n * sizeof *l->v);
  if (b->n) memcpy(l->v + a->n, b->v, (size_t)b->n * sizeof *l->v);
  return (Value){V_LIST, {.list = l}};
}

static bool numeric(Value v) { return v.kind == V_NUM || v.kind == V_BOOL; }
static bool arithmetic(Value v) { return numeric(v) || v.kind == V_TENSOR; }

Value value_binary(Eval *c, const Ast *at, Oper op, Value a, Value b) {
  if (a.kind == V_POISON || b.kind == V_POISON) return v_poison();
  if ((a.kind == V_TENSOR || b.kind == V_TENSOR) && arithmetic(a) && arithmetic(b))
    return tensor_binary(c, at, op, a, b);
  if (op == B_EQ || op == B_NE) return v_bool(value_equal(c, at, a, b) == (op == B_EQ));
  if (a.kind == V_NUM && b.kind == V_NUM) return number(c, at, op, a.u.num, b.u.num);
  if (op == B_ADD && (a.kind == V_STR || b.kind == V_STR) && (numeric(a) || numeric(b) || a.kind == b.kind))
    return join_strings(c, at, a, b);
  if (op == B_ADD && a.kind == V_LIST && b.kind == V_LIST) return join_lists(c, at, a.u.list, b.u.list);
  return eval_fail(c, at, "'%s' does not apply to %s and %s", oper_name[op], kind_str(a), kind_str(b));
}

Value value_unary(Eval *c, const Ast *at, Oper op, Value a) {
  if (a.kind == V_POISON) return a;
  if (op == B_NOT) {
    bool ok, t = eval_truth(c, at, a, &ok);
    return ok ? v_bool(!t) : v_poison();
  }
  if (a.kind == V_NUM) return v_num(-a.u.num);
  if (a.kind != V_TENSOR) return eval_fail(c, at, "'-' does not apply to %s", kind_str(a));
  int x = value_f32(c, at, "the operand", a);
  return x < 0 ? v_poison() : eval_node(c, at, ir_unary(c->fn, OP_neg, x));
}

/* ---- subscripts ---- */

/* A bound of a slice: negative ones count from the end; kept within 0..n for lists. */
static bool bound(Eval *c, const Ast *e, int64_t n, int64_t open, int64_t *out) {
  *out = open;
  if (!e) return true;
  Value v = eval_expr(c, e);
  if (v.kind == V_POISON) return false;
  if (v.kind != V_NUM || v.u.num != floor(v.u.num) || fabs(v.u.num) > 1e15)
    return eval_error(c, e, "a bound must be a whole number, this is %s",
                      v.kind == V_NUM ? value_str(c, v) : kind_str(v));
  *out = (int64_t)v.u.num + (v.u.num < 0 ? n : 0);
  return true;
}

static int64_t clamp(int64_t x, int64_t lo, int64_t hi) { return x < lo ? lo : x > hi ? hi : x; }

static Value index_list(Eval *c, const Ast *s, const List *l) {
  int64_t lo, hi;
  if (s->kind == N_SLICE) {
    if (!bound(c, s->a, l->n, 0, &lo) || !bound(c, s->b, l->n, l->n, &hi)) return v_poison();
    lo = clamp(lo, 0, l->n), hi = clamp(hi, lo, l->n);
    return eval_charge(c, s, (int)(hi - lo)) ? v_list(c, (int)(hi - lo), l->v + lo) : v_poison();
  }
  if (!bound(c, s, l->n, 0, &lo)) return v_poison();
  if (lo < 0 || lo >= l->n)
    return eval_fail(c, s, "index %lld is outside the list of %d elements",
                     (long long)(lo < 0 ? lo - l->n : lo), l->n);
  return l->v[lo];
}

static Value index_tensor(Eval *c, const Ast *at, Value v) {
  int axis = 0;
  for (const Ast *s = at->list; s; s = s->next, axis++) {
    Type t = value_type(c, v);
    char buf[96];
    if (axis >= t.rank)
      return eval_fail(c, s, "subscript %d of a tensor %s of rank %d", axis + 1, type_str(t, buf), t.rank);
    if (s->kind != N_SLICE)
      return eval_fail(c, s, "a tensor is sliced, not indexed: write i:i+1 to keep axis %d with extent 1",
                       axis);
    int64_t lo, hi;
    if (!bound(c, s->a, t.dim[axis], 0, &lo) || !bound(c, s->b, t.dim[axis], t.dim[axis], &hi))
      return v_poison();
    if (lo == 0 && hi == t.dim[axis]) continue;
    if (!need_fn(c, at)) return v_poison();
    v = eval_node(c, s, ir_slice(c->fn, v.u.node, axis, lo, hi));
    if (v.kind == V_POISON) return v;
  }
  return v;
}

Value index_value(Eval *c, const Ast *at, Value v) {
  if (v.kind == V_POISON) return v;
  if (v.kind == V_TENSOR) return index_tensor(c, at, v);
  if (v.kind != V_LIST) return eval_fail(c, at, "%s has no elements to index", kind_str(v));
  if (at->list->next) return eval_fail(c, at, "a list takes one subscript");
  return index_list(c, at->list, v.u.list);
}
