/* expr_ops.c - what each elementwise op is at the kernel level. */
#include <math.h>
#include "codegen/emit/core/expr.h"

/* After a mistake (k->err) values are K_NONE. */
static bool is_vec(const KFn *k, KV v) { return v >= 0 && k->ins[v].type.vec; }
static KBase base_of(const KFn *k, KV v) { return v >= 0 ? (KBase)k->ins[v].type.base : K_F32; }

KV expr_pick(KFn *k, KV cond, KV a, KV b) {
  if (is_vec(k, cond) || is_vec(k, a) || is_vec(k, b)) {
    if (!is_vec(k, cond)) cond = k_splat(k, cond);
    if (!is_vec(k, a)) a = k_splat(k, a);
    if (!is_vec(k, b)) b = k_splat(k, b);
  }
  return k_select(k, cond, a, b);
}

/* x^n for n >= 1 by squaring. */
static KV int_power(KFn *k, KV x, int n) {
  KV r = K_NONE;
  for (;; x = k_mul(k, x, x)) {
    if (n & 1) r = r == K_NONE ? x : k_mul(k, r, x);
    if (!(n >>= 1)) return r;
  }
}

static KV power(KFn *k, KV x, double e) {
  KV one = k_f32(k, 1);
  if (e == 0) return one;
  if (e < 0) return k_div(k, one, power(k, x, -e));
  if (e == 0.5) return k_un(k, K_sqrt, x);
  if (e == floor(e) && e <= 1024) return int_power(k, x, (int)e);
  /* e^(e log x), and 0 at x = 0, where the logarithm is not a number to multiply with */
  KV zero = k_f32(k, 0);
  KV p = k_un(k, K_exp, k_mul(k, k_f32(k, e), k_un(k, K_log, x)));
  return expr_pick(k, k_le(k, x, zero), zero, p);
}

static KV convert(KFn *k, KV v, DType to) {
  KBase base = to == I32 ? K_I32 : K_F32;
  return base_of(k, v) == base ? v : k_cast(k, base, v);
}

static KV zero_of(KFn *k, KV v) { return base_of(k, v) == K_I32 ? k_i32(k, 0) : k_f32(k, 0); }

static KV choose(KFn *k, const KV *in, KV cond) {
  if (cond != K_NONE) return expr_pick(k, cond, in[1], in[2]);
  return expr_pick(k, k_eq(k, in[0], zero_of(k, in[0])), in[2], in[1]);
}

KV expr_op(Expr *x, const Node *n, const KV *in, KV cond) {
  KFn *k = x->k;
  KV a = in[0], b = n->nin > 1 ? in[1] : K_NONE;
  switch (n->op) {
  case OP_neg: return k_un(k, K_neg, a);
  case OP_abs: return n->type.dt == I32 ? k_max(k, a, k_un(k, K_neg, a)) : k_un(k, K_abs, a);
  case OP_exp: return k_un(k, K_exp, a);
  case OP_log: return k_un(k, K_log, a);
  case OP_sqrt: return k_un(k, K_sqrt, a);
  case OP_rsqrt: return k_div(k, k_f32(k, 1), k_un(k, K_sqrt, a));
  case OP_floor: return k_un(k, K_floor, a);
  case OP_cos: return k_un(k, K_cos, a);
  case OP_sin: return k_un(k, K_sin, a);
  case OP_sigmoid: return k_un(k, K_sigmoid, a);
  case OP_tanh: return k_un(k, K_tanh, a);
  case OP_relu: return k_max(k, a, zero_of(k, a));
  case OP_leaky: return expr_pick(k, k_lt(k, k_f32(k, 0), a), a, k_mul(k, a, k_f32(k, n->at.value)));
  case OP_powc: return power(k, a, n->at.value);
  case OP_cast: return convert(k, a, n->type.dt);
  case OP_stop: return a;
  case OP_add: return k_add(k, a, b);
  case OP_sub: return k_sub(k, a, b);
  case OP_mul: return k_mul(k, a, b);
  case OP_div: return k_div(k, a, b);
  case OP_min: return k_min(k, a, b);
  case OP_max: return k_max(k, a, b);
  case OP_lt: return k_lt(k, a, b);
  case OP_le: return k_le(k, a, b);
  case OP_eq: return k_eq(k, a, b);
  case OP_select: return choose(k, in, cond);
  default: break;
  }
  if (!x->e->err[0]) ir_error(x->e->err, "op %s has no elementwise form", op_info[n->op].name);
  return k_f32(k, 0);
}
