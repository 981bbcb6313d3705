/* build.c - the builder. Every function checks its operands; the first misuse is kept in k->err and the value
 * is K_NONE, which every later use of it accepts silently, so that emitters need no checks of their own. */
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include "ir/bf16.h"
#include "codegen/kir/kir.h"
#include "codegen/kir/internal.h"

static KV fail(KFn *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static KV fail(KFn *k, const char *fmt, ...) {
  if (k->err[0]) return K_NONE;
  va_list ap;
  va_start(ap, fmt);
  ir_verror_more(k->err, fmt, ap);
  va_end(ap);
  return K_NONE;
}

KFn *k_new(Arena *a, const char *name, int lanes) {
  KFn *k = arena_alloc(a, sizeof *k);
  k->arena = a;
  k->name = arena_strdup(a, name);
  k->lanes = lanes;
  k->nregs = lanes >= 16 ? 32 : 16;
  k->warps = 1;
  return k;
}

KType kt(KBase base, bool vec) { return (KType){(uint8_t)base, vec, KIND_VALUE}; }

KBase kir_element(const KFn *k, KV buf) {
  KBase base = (KBase)k->ins[buf].type.base;
  return base == K_BF16 ? K_F32 : base;
}

KV kir_append(KFn *k, const KIns *ins) {
  KIns *p = ARENA_PUSH(k->arena, k->ins, k->n, k->cap);
  *p = *ins;
  return k->n - 1;
}

static KV push(KFn *k, KOp op, KType type, KV a, KV b, KV c, KV d) {
  return kir_append(k, &(KIns){.op = op, .type = type, .in = {a, b, c, d}});
}

static bool ok(const KFn *k, KV v) { return v >= 0 && v < k->n; }

/* true when v is a value (not a buffer, not a local); says why not in k->err. */
static bool value(KFn *k, KV v, const char *who) {
  if (!ok(k, v)) {
    fail(k, "%s: operand is no value (an earlier step failed)", who);
    return false;
  }
  if (k->ins[v].type.kind != KIND_VALUE || k->ins[v].type.base == K_VOID) {
    fail(k, "%s: v%d is a %s, a value is needed", who, v,
         k->ins[v].type.kind == KIND_BUFFER  ? "buffer"
         : k->ins[v].type.kind == KIND_LOCAL ? "local (use k_get)"
                                             : "statement");
    return false;
  }
  return true;
}

static bool buffer(KFn *k, KV v, const char *who) {
  if (ok(k, v) && k->ins[v].type.kind == KIND_BUFFER) return true;
  fail(k, "%s: the first operand must be a buffer (k_arg or k_scratch)", who);
  return false;
}

static bool local(KFn *k, KV v, const char *who) {
  if (ok(k, v) && k->ins[v].type.kind == KIND_LOCAL) return true;
  fail(k, "%s: the first operand must be a local (k_local)", who);
  return false;
}

/* An element offset: scalar i64. */
static bool offset(KFn *k, KV v, const char *who) {
  if (!value(k, v, who)) return false;
  if (k->ins[v].type.base == K_I64 && !k->ins[v].type.vec) return true;
  fail(k, "%s: the element offset must be a scalar i64, v%d is %s", who, v, kir_type_str(k->ins[v].type));
  return false;
}

/* Lane-wise offsets: vector i32. A mask: i1 vector. */
static bool lanes_of(KFn *k, KV v, KBase base, const char *who) {
  if (!value(k, v, who)) return false;
  if (k->ins[v].type.base == base && k->ins[v].type.vec) return true;
  fail(k, "%s: needs a vector of %s, v%d is %s", who, kir_type_str(kt(base, false)), v,
       kir_type_str(k->ins[v].type));
  return false;
}

/* ---- leaves ---- */
static KV int_const(KFn *k, KBase base, int64_t v) {
  return kir_append(k, &(KIns){.op = K_const, .type = kt(base, false), .in = {-1, -1, -1, -1}, .imm = v});
}
static KV float_const(KFn *k, KBase base, double v) {
  return kir_append(k, &(KIns){.op = K_const, .type = kt(base, false), .in = {-1, -1, -1, -1}, .fimm = v});
}
KV k_i64(KFn *k, int64_t v) { return int_const(k, K_I64, v); }
KV k_i32(KFn *k, int32_t v) { return int_const(k, K_I32, v); }
KV k_f32(KFn *k, double v) { return float_const(k, K_F32, (double)(float)v); }
KV k_f64(KFn *k, double v) { return float_const(k, K_F64, v); }

KV k_arg(KFn *k, KBase base, const char *name) {
  KV v = push(k, K_arg, (KType){(uint8_t)base, 0, KIND_BUFFER}, -1, -1, -1, -1);
  k->ins[v].imm = k->nargs++;
  k->ins[v].name = arena_strdup(k->arena, name);
  return v;
}
KV k_task(KFn *k) { return push(k, K_task, kt(K_I64, false), -1, -1, -1, -1); }
KV k_thread(KFn *k) { return push(k, K_thread, kt(K_I64, false), -1, -1, -1, -1); }
KV k_seed(KFn *k, int which) {
  if (which < 0 || which > 2) return fail(k, "seed: word %d, there are 0 to 2", which);
  KV v = push(k, K_seed, kt(K_I32, false), -1, -1, -1, -1);
  k->ins[v].imm = which;
  return v;
}
KV k_param(KFn *k, KBase base, int number) {
  if (base < K_I32 || base > K_F64) return fail(k, "param: of %s", kir_type_str(kt(base, false)));
  KV v = push(k, K_param, kt(base, false), -1, -1, -1, -1);
  k->ins[v].imm = number;
  return v;
}
KV k_iota(KFn *k) { return push(k, K_iota, kt(K_I32, true), -1, -1, -1, -1); }

KV k_scratch(KFn *k, KBase base, int64_t n, const char *name) {
  if (n < 1) return fail(k, "scratch %s: %lld elements, needs at least one", name, (long long)n);
  KV v = push(k, K_scratch, (KType){(uint8_t)base, 0, KIND_BUFFER}, -1, -1, -1, -1);
  k->ins[v].imm = n;
  k->ins[v].name = arena_strdup(k->arena, name);
  return v;
}
KV k_local(KFn *k, KBase base, bool vec, const char *name) {
  if (base >= K_VOID)
    return fail(k, "local %s: %s is no type of values", name, kir_type_str(kt(base, false)));
  KV v = push(k, K_local, (KType){(uint8_t)base, vec, KIND_LOCAL}, -1, -1, -1, -1);
  k->ins[v].name = arena_strdup(k->arena, name);
  return v;
}

bool k_is_const(const KFn *k, KV v, int64_t *out) {
  if (!ok(k, v) || k->ins[v].op != K_const || k->ins[v].type.base > K_I64) return false;
  *out = k->ins[v].imm;
  return true;
}
static bool float_of(const KFn *k, KV v, double *out) {
  if (!ok(k, v) || k->ins[v].op != K_const || k->ins[v].type.base < K_F32) return false;
  *out = k->ins[v].fimm;
  return true;
}

/* ---- one operand ---- */
KV k_splat(KFn *k, KV a) {
  if (!value(k, a, "splat")) return K_NONE;
  if (k->ins[a].type.vec) return a;
  return push(k, K_splat, kt(k->ins[a].type.base, true), a, -1, -1, -1);
}

KV k_cast(KFn *k, KBase to, KV a) {
  if (!value(k, a, "cast")) return K_NONE;
  KType t = k->ins[a].type;
  if (t.base == to) return a;
  if (to == K_I1 || to >= K_VOID)
    return fail(k, "cast: cannot cast %s to %s, compare instead", kir_type_str(t),
                kir_type_str(kt(to, t.vec)));
  int64_t i;
  double f;
  if (k_is_const(k, a, &i)) {
    if (to == K_I32) return k_i32(k, (int32_t)i);
    if (to == K_I64) return k_i64(k, i);
    return to == K_F32 ? k_f32(k, (float)i) : k_f64(k, (double)i);
  }
  if (float_of(k, a, &f) && to >= K_F32) return to == K_F32 ? k_f32(k, f) : k_f64(k, f);
  return push(k, K_cast, kt(to, t.vec), a, -1, -1, -1);
}

KV k_bitcast(KFn *k, KBase to, KV a) {
  if (!value(k, a, "bitcast")) return K_NONE;
  KType t = k->ins[a].type;
  if (t.base == to) return a;
  if (!((t.base == K_I32 && to == K_F32) || (t.base == K_F32 && to == K_I32)))
    return fail(k, "bitcast: %s to %s, only i32 <-> f32", kir_type_str(t), kir_type_str(kt(to, t.vec)));
  return push(k, K_bitcast, kt(to, t.vec), a, -1, -1, -1);
}

/* Constants of unary ops; false: leave it to the machine. */
static bool fold_un(KFn *k, KOp op, KV a, KV *out) {
  double f;
  int64_t i;
  if (op == K_neg && k_is_const(k, a, &i) && k->ins[a].type.base != K_I1) {
    *out = int_const(k, k->ins[a].type.base, k->ins[a].type.base == K_I32 ? (int32_t)(0u - (uint32_t)i) : -i);
    return true;
  }
  if (!float_of(k, a, &f)) return false;
  if (op == K_neg) f = -f;
  else if (op == K_abs) f = fabs(f);
  else if (op == K_floor) f = floor(f);
  else if (op == K_bf16) f = bf16_round((float)f);
  else return false;
  *out = float_const(k, k->ins[a].type.base, f);
  return true;
}

KV k_un(KFn *k, KOp op, KV a) {
  const char *who = kop_info[op].name;
  if (!value(k, a, who)) return K_NONE;
  KType t = k->ins[a].type;
  switch (op) {
  case K_neg:
    if (t.base == K_I1) return fail(k, "neg: of an i1");
    break;
  case K_sqrt:
  case K_floor:
  case K_abs:
    if (t.base < K_F32) return fail(k, "%s: needs a float, got %s", who, kir_type_str(t));
    break;
  case K_exp:
  case K_log:
  case K_tanh:
  case K_sigmoid:
  case K_sin:
  case K_cos:
  case K_bf16:
    if (t.base != K_F32) return fail(k, "%s: needs f32, got %s", who, kir_type_str(t));
    break;
  case K_hsum:
  case K_hmax:
  case K_hmin:
    if (!t.vec) return fail(k, "%s: needs a vector, got %s", who, kir_type_str(t));
    if (t.base == K_I1) return fail(k, "%s: of an i1", who);
    return push(k, op, kt(t.base, false), a, -1, -1, -1);
  default: return fail(k, "%s is no unary operation", who);
  }
  KV folded;
  if (op == K_bf16 && k->ins[a].op == K_bf16) return a;
  if (fold_un(k, op, a, &folded)) return folded;
  return push(k, op, t, a, -1, -1, -1);
}

/* ---- two operands ---- */
/* Splats whichever is scalar when another of the n is a vector. */
static void promote(KFn *k, KV *v, int n) {
  bool vec = false;
  for (int i = 0; i < n; i++) vec |= k->ins[v[i]].type.vec;
  for (int i = 0; i < n && vec; i++) v[i] = k_splat(k, v[i]);
}

static bool is_compare(KOp op) { return op == K_lt || op == K_le || op == K_eq; }

/* Integer constants, computed with wrap-around in the width of the type. */
static bool fold_int(KOp op, KBase base, int64_t a, int64_t b, int64_t *out) {
  uint64_t ua = (uint64_t)a, ub = (uint64_t)b;
  bool narrow = base == K_I32;
  int width = narrow ? 32 : 64;
  switch (op) {
  case K_add: *out = (int64_t)(ua + ub); break;
  case K_sub: *out = (int64_t)(ua - ub); break;
  case K_mul: *out = (int64_t)(ua * ub); break;
  case K_mulhi: *out = (int64_t)((uint64_t)(uint32_t)ua * (uint32_t)ub >> 32); break;
  case K_div:
  case K_rem:
    if (b == 0 || b == -1) return false; /* traps or overflows: not at compile time */
    *out = op == K_div ? a / b : a % b;
    break;
  case K_min: *out = a < b ? a : b; break;
  case K_max: *out = a > b ? a : b; break;
  case K_and: *out = a & b; break;
  case K_or: *out = a | b; break;
  case K_xor: *out = a ^ b; break;
  case K_shl:
  case K_shr:
    if (b < 0 || b >= width) return false;
    *out = (int64_t)(op == K_shl ? ua << b : (narrow ? (uint64_t)(uint32_t)ua : ua) >> b);
    break;
  case K_lt: *out = a < b; return true;
  case K_le: *out = a <= b; return true;
  case K_eq: *out = a == b; return true;
  default: return false;
  }
  if (narrow) *out = (int32_t)*out;
  if (base == K_I1) *out &= 1;
  return true;
}

static bool fold_float(KOp op, KBase base, double a, double b, double *out) {
  switch (op) { /* a double result rounded to float equals the float operation for + - * / of floats */
  case K_add: *out = a + b; break;
  case K_sub: *out = a - b; break;
  case K_mul: *out = a * b; break;
  case K_div: *out = a / b; break;
  case K_min: *out = isnan(a) || a < b ? a : b; break;
  case K_max: *out = isnan(a) || a > b ? a : b; break;
  default: return false;
  }
  if (base == K_F32) *out = (double)(float)*out;
  return true;
}

/* x+0, x-0, x*1, x/1, x*0, x%1, x<<0, x>>0, and for i1: x and 1, x or 0. */
static bool identity(KFn *k, KOp op, KV a, KV b, KV *out) {
  int64_t c;
  KBase base = k->ins[a].type.base;
  if (base > K_I64) return false;
  if (k_is_const(k, a, &c)) {
    if ((op == K_add || op == K_or) && c == 0) return *out = b, true;
    if ((op == K_mul || (op == K_and && base == K_I1)) && c == 1) return *out = b, true;
    if ((op == K_mul || op == K_and) && c == 0 && !k->ins[b].type.vec) return *out = a, true;
  }
  if (!k_is_const(k, b, &c)) return false;
  if (c == 0 && (op == K_add || op == K_sub || op == K_or || op == K_shl || op == K_shr || op == K_xor))
    return *out = a, true;
  if (c == 1 && (op == K_mul || op == K_div || (op == K_and && base == K_I1))) return *out = a, true;
  if (k->ins[a].type.vec) return false;
  if (c == 0 && (op == K_mul || op == K_and)) return *out = b, true;
  if (c == 1 && op == K_rem) return *out = int_const(k, base, 0), true;
  return false;
}

/* Does the operation exist for this base type? */
static bool has_op(KOp op, KBase base) {
  switch (op) {
  case K_add:
  case K_sub:
  case K_mul:
  case K_div:
  case K_min:
  case K_max:
  case K_lt:
  case K_le: return base != K_I1;
  case K_rem:
  case K_shl:
  case K_shr: return base == K_I32 || base == K_I64;
  case K_mulhi: return base == K_I32;
  case K_and:
  case K_or:
  case K_xor: return base <= K_I64;
  case K_eq: return true;
  default: return false;
  }
}

KV k_bin(KFn *k, KOp op, KV a, KV b) {
  const char *who = kop_info[op].name;
  if (!value(k, a, who) || !value(k, b, who)) return K_NONE;
  KBase base = k->ins[a].type.base;
  if (base != k->ins[b].type.base)
    return fail(k, "%s: v%d is %s, v%d is %s; cast one of them", who, a, kir_type_str(k->ins[a].type), b,
                kir_type_str(k->ins[b].type));
  if (!has_op(op, base)) return fail(k, "%s: not for %s", who, kir_type_str(k->ins[a].type));
  int64_t ia, ib, i;
  double fa, fb, f;
  if (k_is_const(k, a, &ia) && k_is_const(k, b, &ib) && fold_int(op, base, ia, ib, &i))
    return int_const(k, is_compare(op) ? K_I1 : base, i);
  if (float_of(k, a, &fa) && float_of(k, b, &fb) && fold_float(op, base, fa, fb, &f))
    return float_const(k, base, f);
  KV same;
  if (identity(k, op, a, b, &same)) return same;
  KV v[2] = {a, b};
  promote(k, v, 2);
  KType t = k->ins[v[0]].type;
  if (is_compare(op)) t.base = K_I1;
  return push(k, op, t, v[0], v[1], -1, -1);
}

KV k_add(KFn *k, KV a, KV b) { return k_bin(k, K_add, a, b); }
KV k_sub(KFn *k, KV a, KV b) { return k_bin(k, K_sub, a, b); }
KV k_mul(KFn *k, KV a, KV b) { return k_bin(k, K_mul, a, b); }
KV k_div(KFn *k, KV a, KV b) { return k_bin(k, K_div, a, b); }
KV k_rem(KFn *k, KV a, KV b) { return k_bin(k, K_rem, a, b); }
KV k_min(KFn *k, KV a, KV b) { return k_bin(k, K_min, a, b); }
KV k_max(KFn *k, KV a, KV b) { return k_bin(k, K_max, a, b); }
KV k_lt(KFn *k, KV a, KV b) { return k_bin(k, K_lt, a, b); }
KV k_le(KFn *k, KV a, KV b) { return k_bin(k, K_le, a, b); }
KV k_eq(KFn *k, KV a, KV b) { return k_bin(k, K_eq, a, b); }
KV k_and(KFn *k, KV a, KV b) { return k_bin(k, K_and, a, b); }

/* ---- three operands, lanes ---- */
KV k_fma(KFn *k, KV a, KV b, KV c) {
  if (!value(k, a, "fma") || !value(k, b, "fma") || !value(k, c, "fma")) return K_NONE;
  KBase base = k->ins[a].type.base;
  if (base < K_F32 || base != k->ins[b].type.base || base != k->ins[c].type.base)
    return fail(k, "fma: needs three floats of one type, got %s, %s, %s", kir_type_str(k->ins[a].type),
                kir_type_str(k->ins[b].type), kir_type_str(k->ins[c].type));
  KV v[3] = {a, b, c};
  promote(k, v, 3);
  return push(k, K_fma, k->ins[v[0]].type, v[0], v[1], v[2], -1);
}

KV k_select(KFn *k, KV m, KV a, KV b) {
  if (!value(k, m, "select") || !value(k, a, "select") || !value(k, b, "select")) return K_NONE;
  if (k->ins[m].type.base != K_I1)
    return fail(k, "select: the condition v%d is %s, must be i1", m, kir_type_str(k->ins[m].type));
  if (k->ins[a].type.base != k->ins[b].type.base)
    return fail(k, "select: v%d is %s, v%d is %s", a, kir_type_str(k->ins[a].type), b,
                kir_type_str(k->ins[b].type));
  KV v[3] = {m, a, b};
  int64_t c;
  if (k_is_const(k, m, &c)) {
    promote(k, v + 1, 2);
    return c ? v[1] : v[2];
  }
  promote(k, v, 3);
  return push(k, K_select, k->ins[v[1]].type, v[0], v[1], v[2], -1);
}

KV k_pair(KFn *k, KV low, KV high) {
  if (!value(k, low, "pair") || !value(k, high, "pair")) return K_NONE;
  if (k->ins[low].type.base != K_F32 || k->ins[high].type.base != K_F32)
    return fail(k, "pair: needs two f32, got %s, %s", kir_type_str(k->ins[low].type),
                kir_type_str(k->ins[high].type));
  KV v[2] = {low, high};
  promote(k, v, 2);
  return push(k, K_pair, kt(K_I32, k->ins[v[0]].type.vec), v[0], v[1], -1, -1);
}

KV k_load_pair(KFn *k, KV buf, KV at) {
  if (!buffer(k, buf, "load_pair") || !offset(k, at, "load_pair")) return K_NONE;
  if (k->ins[buf].type.base != K_BF16)
    return fail(k, "load_pair: the buffer is %s, must be bf16*", kir_type_str(k->ins[buf].type));
  return push(k, K_load_pair, kt(K_I32, false), buf, at, -1, -1);
}

KV k_dot2(KFn *k, KV a, KV b, KV c) {
  if (!value(k, a, "dot2") || !value(k, b, "dot2") || !value(k, c, "dot2")) return K_NONE;
  KV v[3] = {k_splat(k, a), k_splat(k, b), k_splat(k, c)};
  if (k->ins[a].type.base != K_I32 || k->ins[b].type.base != K_I32 || k->ins[c].type.base != K_F32)
    return fail(k, "dot2: needs two pairs (i32) and an f32, got %s, %s, %s", kir_type_str(k->ins[a].type),
                kir_type_str(k->ins[b].type), kir_type_str(k->ins[c].type));
  return push(k, K_dot2, kt(K_F32, true), v[0], v[1], v[2], -1);
}

bool kir_uses_bf16(const KFn *k) {
  for (int v = 0; v < k->n; v++) {
    const KIns *i = &k->ins[v];
    if (i->op == K_pair || i->op == K_dot2 || i->op == K_bf16) return true;
    bool stores =
        i->op == K_store || i->op == K_store_masked || i->op == K_scatter || i->op == K_scatter_masked;
    if (stores && k->ins[i->in[0]].type.base == K_BF16) return true;
  }
  return false;
}

KV k_lane(KFn *k, KV v, int lane) {
  if (!value(k, v, "lane")) return K_NONE;
  KType t = k->ins[v].type;
  if (!t.vec || lane < 0 || lane >= k->lanes)
    return fail(k, "lane %d of v%d (%s): a vector has lanes 0 to %d", lane, v, kir_type_str(t), k->lanes - 1);
  if (k->ins[v].op == K_splat) return k->ins[v].in[0];
  KV n = k_i32(k, lane);
  return push(k, K_lane, kt(t.base, false), v, n, -1, -1);
}

KV k_zip(KFn *k, KV a, KV b, bool high) {
  if (!value(k, a, "zip") || !value(k, b, "zip")) return K_NONE;
  KType t = k->ins[a].type, u = k->ins[b].type;
  if (!t.vec || !u.vec || t.base != u.base)
    return fail(k, "zip: v%d is %s, v%d is %s; needs two vectors of one type", a, kir_type_str(t), b,
                kir_type_str(u));
  return push(k, high ? K_zip_high : K_zip_low, t, a, b, -1, -1);
}

/* Zipping v[i] with v[i + lanes/2] turns bit strings (vector number, lane number) round by one place; after as many
 * times as a lane number has bits, the two have changed places. */
void k_transpose(KFn *k, KV *v) {
  KV from[16];
  int n = k->lanes;
  for (int turn = 1; turn < n; turn *= 2) {
    for (int i = 0; i < n; i++) from[i] = v[i];
    for (int i = 0; i < n; i++) v[i] = k_zip(k, from[i / 2], from[i / 2 + n / 2], i % 2);
  }
}

KV k_first_lanes(KFn *k, KV n) {
  if (!value(k, n, "first_lanes")) return K_NONE;
  if (k->ins[n].type.base == K_I64) n = k_cast(k, K_I32, k_min(k, n, k_i64(k, k->lanes)));
  return k_lt(k, k_iota(k), n);
}

/* ---- memory ---- */
KV k_load(KFn *k, KV buf, KV at, bool vec) {
  if (!buffer(k, buf, "load") || !offset(k, at, "load")) return K_NONE;
  return push(k, K_load, kt(kir_element(k, buf), vec), buf, at, -1, -1);
}
KV k_load_masked(KFn *k, KV buf, KV at, KV mask) {
  const char *who = "load_masked";
  if (!buffer(k, buf, who) || !offset(k, at, who) || !lanes_of(k, mask, K_I1, who)) return K_NONE;
  return push(k, K_load_masked, kt(kir_element(k, buf), true), buf, at, mask, -1);
}
KV k_gather(KFn *k, KV buf, KV at) {
  if (!buffer(k, buf, "gather") || !lanes_of(k, at, K_I32, "gather")) return K_NONE;
  return push(k, K_gather, kt(kir_element(k, buf), true), buf, at, -1, -1);
}
KV k_gather_masked(KFn *k, KV buf, KV at, KV mask) {
  const char *who = "gather_masked";
  if (!buffer(k, buf, who) || !lanes_of(k, at, K_I32, who) || !lanes_of(k, mask, K_I1, who)) return K_NONE;
  return push(k, K_gather_masked, kt(kir_element(k, buf), true), buf, at, mask, -1);
}

/* A value to be stored: of the buffer's base type. */
static bool stored(KFn *k, KV buf, KV v, const char *who) {
  if (!buffer(k, buf, who) || !value(k, v, who)) return false;
  if (kir_element(k, buf) == k->ins[v].type.base) return true;
  fail(k, "%s: the buffer holds %s, v%d is %s", who, kir_type_str(kt(kir_element(k, buf), false)), v,
       kir_type_str(k->ins[v].type));
  return false;
}
void k_store(KFn *k, KV buf, KV at, KV v) {
  if (!stored(k, buf, v, "store") || !offset(k, at, "store")) return;
  push(k, K_store, kt(K_VOID, false), buf, at, v, -1);
}
void k_nontemporal(KFn *k, KV buf) {
  if (!buffer(k, buf, "stream")) return;
  if (k->ins[buf].op != K_arg) fail(k, "stream: v%d is no argument", buf);
  else k->nontemporal |= UINT64_C(1) << k->ins[buf].imm;
}
void k_opaque_counters(KFn *k) { k->opaque = true; }
static void prefetch(KFn *k, KV buf, KV at, bool near) {
  if (!buffer(k, buf, "prefetch") || !offset(k, at, "prefetch")) return;
  KV v = push(k, K_prefetch, kt(K_VOID, false), buf, at, -1, -1);
  k->ins[v].imm = near;
}

void k_prefetch(KFn *k, KV buf, KV at) { prefetch(k, buf, at, false); }
void k_prefetch_near(KFn *k, KV buf, KV at) { prefetch(k, buf, at, true); }
void k_store_masked(KFn *k, KV buf, KV at, KV v, KV mask) {
  const char *who = "store_masked";
  if (!stored(k, buf, v, who) || !offset(k, at, who) || !lanes_of(k, mask, K_I1, who)) return;
  v = k_splat(k, v);
  push(k, K_store_masked, kt(K_VOID, false), buf, at, v, mask);
}
void k_scatter(KFn *k, KV buf, KV at, KV v) {
  if (!stored(k, buf, v, "scatter") || !lanes_of(k, at, K_I32, "scatter")) return;
  v = k_splat(k, v);
  push(k, K_scatter, kt(K_VOID, false), buf, at, v, -1);
}
void k_scatter_masked(KFn *k, KV buf, KV at, KV v, KV mask) {
  const char *who = "scatter_masked";
  if (!stored(k, buf, v, who) || !lanes_of(k, at, K_I32, who) || !lanes_of(k, mask, K_I1, who)) return;
  v = k_splat(k, v);
  push(k, K_scatter_masked, kt(K_VOID, false), buf, at, v, mask);
}

KV k_get(KFn *k, KV l) {
  if (!local(k, l, "get")) return K_NONE;
  return push(k, K_get, kt(k->ins[l].type.base, k->ins[l].type.vec), l, -1, -1, -1);
}
void k_set(KFn *k, KV l, KV v) {
  if (!local(k, l, "set") || !value(k, v, "set")) return;
  if (k->ins[l].type.vec) v = k_splat(k, v);
  KType t = k->ins[v].type;
  if (t.base != k->ins[l].type.base || t.vec != k->ins[l].type.vec) {
    fail(k, "set: local %s is %s, v%d is %s", k->ins[l].name,
         kir_type_str(kt(k->ins[l].type.base, k->ins[l].type.vec)), v, kir_type_str(t));
    return;
  }
  push(k, K_set, kt(K_VOID, false), l, v, -1, -1);
}
void k_barrier(KFn *k) { push(k, K_barrier, kt(K_VOID, false), -1, -1, -1, -1); }
void k_sync(KFn *k) { push(k, K_sync, kt(K_VOID, false), -1, -1, -1, -1); }

/* ---- blocks ---- */
KV k_for(KFn *k, KV lo, KV hi, int64_t step) {
  bool good = offset(k, lo, "for") && offset(k, hi, "for");
  if (good && step < 1) {
    fail(k, "for: step %lld, must be positive", (long long)step);
    good = false;
  }
  if (!good) return K_NONE;
  KV s = k_i64(k, step);
  return push(k, K_for, kt(K_I64, false), lo, hi, s, -1);
}
void k_if(KFn *k, KV cond) {
  if (!value(k, cond, "if")) return;
  KType t = k->ins[cond].type;
  if (t.base != K_I1 || t.vec) {
    fail(k, "if: the condition v%d is %s, must be a scalar i1", cond, kir_type_str(t));
    return;
  }
  push(k, K_if, kt(K_VOID, false), cond, -1, -1, -1);
}
void k_else(KFn *k) { push(k, K_else, kt(K_VOID, false), -1, -1, -1, -1); }
void k_end(KFn *k) { push(k, K_end, kt(K_VOID, false), -1, -1, -1, -1); }
