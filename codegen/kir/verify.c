/* verify.c - what every kernel must satisfy before it is lowered, checked independently of the builder. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "codegen/kir/kir.h"
#include "codegen/kir/internal.h"
#include "codegen/kir/wgmma.h"

enum { MAX_DEPTH = 64 };

typedef struct {
  const KFn *k;
  int at;        /* instruction under check */
  bool *visible; /* per value: defined, and its block is still open */
  int open[MAX_DEPTH];
  int depth;
  char *err;
} Check;

static bool bad(Check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool bad(Check *c, const char *fmt, ...) {
  ir_error(c->err, "kernel %.60s, v%d = %s: ", c->k->name, c->at, kop_info[c->k->ins[c->at].op].name);
  va_list ap;
  va_start(ap, fmt);
  ir_verror_more(c->err, fmt, ap);
  va_end(ap);
  return false;
}

static KType type_of(const Check *c, int operand) { return c->k->ins[c->k->ins[c->at].in[operand]].type; }
static bool same(KType a, KType b) { return a.base == b.base && a.vec == b.vec && a.kind == b.kind; }

/* Operand must be a value of this type. */
static bool want(Check *c, int operand, KType t) {
  KType got = type_of(c, operand);
  return same(got, t) || bad(c, "operand %d is %s, must be %s", operand, kir_type_str(got), kir_type_str(t));
}
/* The result must be of this type. */
static bool gives(Check *c, KType t) {
  KType got = c->k->ins[c->at].type;
  return same(got, t) || bad(c, "result is %s, must be %s", kir_type_str(got), kir_type_str(t));
}
static bool is_kind(Check *c, int operand, int kind, const char *name) {
  return type_of(c, operand).kind == kind || bad(c, "operand %d must be a %s", operand, name);
}
static bool is_float(Check *c, KType t) {
  return t.base == K_F32 || t.base == K_F64 || bad(c, "not for %s", kir_type_str(t));
}

/* Values without operands hold anywhere after their line, others until their block closes. */
static bool scoped(KOp op) { return kop_info[op].operands > 0; }

static bool operands_visible(Check *c) {
  const KIns *i = &c->k->ins[c->at];
  for (int o = 0; o < 4; o++) {
    KV v = i->in[o];
    if (o >= kop_info[i->op].operands) {
      if (v != K_NONE) return bad(c, "has an operand too many (v%d)", v);
    } else if (v < 0 || v >= c->at) {
      return bad(c, "operand %d (v%d) is not defined before it", o, v);
    } else if (!c->visible[v]) {
      return bad(c, "operand %d (v%d) was defined in a block that is closed", o, v);
    } else if (c->k->ins[v].type.base == K_VOID) {
      return bad(c, "operand %d (v%d) is a statement", o, v);
    }
  }
  return true;
}

static bool check_memory(Check *c) {
  const KIns *i = &c->k->ins[c->at];
  if (!is_kind(c, 0, KIND_BUFFER, "buffer")) return false;
  KBase base = kir_element(c->k, i->in[0]);
  KType vec = kt(base, true), none = kt(K_VOID, false), at = kt(K_I64, false), lanes = kt(K_I32, true),
        mask = kt(K_I1, true);
  switch (i->op) {
  case K_load: return want(c, 1, at) && gives(c, kt(base, i->type.vec));
  case K_load_masked: return want(c, 1, at) && want(c, 2, mask) && gives(c, vec);
  case K_gather: return want(c, 1, lanes) && gives(c, vec);
  case K_gather_masked: return want(c, 1, lanes) && want(c, 2, mask) && gives(c, vec);
  case K_store: return want(c, 1, at) && want(c, 2, kt(base, type_of(c, 2).vec)) && gives(c, none);
  case K_store_masked: return want(c, 1, at) && want(c, 2, vec) && want(c, 3, mask) && gives(c, none);
  case K_scatter: return want(c, 1, lanes) && want(c, 2, vec) && gives(c, none);
  default: return want(c, 1, lanes) && want(c, 2, vec) && want(c, 3, mask) && gives(c, none);
  }
}

static bool check_pairs(Check *c) {
  const KIns *i = &c->k->ins[c->at];
  KType f32v = kt(K_F32, true), pairs = kt(K_I32, true);
  switch (i->op) {
  case K_pair: {
    KType t = kt(K_F32, i->type.vec);
    return want(c, 0, t) && want(c, 1, t) && gives(c, kt(K_I32, i->type.vec));
  }
  case K_load_pair:
    return (type_of(c, 0).base == K_BF16 || bad(c, "not for %s", kir_type_str(type_of(c, 0)))) &&
           is_kind(c, 0, KIND_BUFFER, "buffer") && want(c, 1, kt(K_I64, false)) && gives(c, kt(K_I32, false));
  default: return want(c, 0, pairs) && want(c, 1, pairs) && want(c, 2, f32v) && gives(c, f32v);
  }
}

static bool check_cast(Check *c) {
  const KIns *i = &c->k->ins[c->at];
  KType from = type_of(c, 0);
  if (from.kind != KIND_VALUE || !gives(c, kt((KBase)i->type.base, from.vec)))
    return bad(c, "changes the lanes");
  if (i->op == K_bitcast)
    return (from.base == K_I32 && i->type.base == K_F32) || (from.base == K_F32 && i->type.base == K_I32) ||
           bad(c, "%s to %s", kir_type_str(from), kir_type_str(i->type));
  return (i->type.base != K_I1 && i->type.base < K_VOID) || bad(c, "to %s", kir_type_str(i->type));
}

static bool check_arithmetic(Check *c) {
  const KIns *i = &c->k->ins[c->at];
  KType a = type_of(c, 0);
  if (a.kind != KIND_VALUE) return bad(c, "operand 0 is a %s", kir_type_str(a));
  for (int o = 1; o < kop_info[i->op].operands; o++)
    if (!want(c, o, a)) return false;
  switch (i->op) {
  case K_lt:
  case K_le:
    if (a.base == K_I1) return bad(c, "not for i1");
    return gives(c, kt(K_I1, a.vec));
  case K_eq: return gives(c, kt(K_I1, a.vec));
  case K_and:
  case K_or:
  case K_xor: return (a.base <= K_I64 || bad(c, "not for %s", kir_type_str(a))) && gives(c, a);
  case K_rem:
  case K_shl:
  case K_shr:
    return (a.base == K_I32 || a.base == K_I64 || bad(c, "not for %s", kir_type_str(a))) && gives(c, a);
  case K_mulhi: return (a.base == K_I32 || bad(c, "not for %s", kir_type_str(a))) && gives(c, a);
  case K_fma:
  case K_sqrt:
  case K_floor:
  case K_abs: return is_float(c, a) && gives(c, a);
  case K_exp:
  case K_log:
  case K_tanh:
  case K_sigmoid:
  case K_sin:
  case K_cos:
  case K_bf16: return (a.base == K_F32 || bad(c, "not for %s", kir_type_str(a))) && gives(c, a);
  case K_zip_low:
  case K_zip_high: return (a.vec || bad(c, "needs vectors")) && gives(c, a);
  case K_hsum:
  case K_hmax:
  case K_hmin:
    return ((a.vec && a.base != K_I1) || bad(c, "needs a vector of numbers")) &&
           gives(c, kt((KBase)a.base, false));
  default: return (a.base != K_I1 || bad(c, "not for i1")) && gives(c, a);
  }
}

static bool has_regs(Check *c, int operand, KBase base, int64_t first, int64_t n) {
  KV v = c->k->ins[c->at].in[operand];
  KType want_type = {(uint8_t)base, 1, KIND_REGS};
  return want(c, operand, want_type) &&
         ((first >= 0 && first <= c->k->ins[v].imm - n) ||
          bad(c, "operand %d has %lld registers", operand, (long long)c->k->ins[v].imm));
}

static bool is_scratch(Check *c, int operand) {
  return c->k->ins[c->k->ins[c->at].in[operand]].op == K_scratch ||
         bad(c, "operand %d must be scratch", operand);
}

static bool is_product(const KFn *k, int v) {
  return v >= 0 && v < k->n && k->ins[v].op >= K_wgmma_tf32 && k->ins[v].op <= K_wgmma_bf16_transposed;
}

/* A run is a fence, products, a wait, with nothing between: one instruction to the compiler of a GPU, which
 * can then not touch registers that are being added to (codegen/gpu/ptx.c). */
static bool check_run(Check *c) {
  const KFn *k = c->k;
  bool fence = k->ins[c->at].op == K_wgmma_fence, wait = k->ins[c->at].op == K_wgmma_wait;
  int next = c->at + 1, first = c->at;
  if (!wait && !is_product(k, next) && (fence || next >= k->n || k->ins[next].op != K_wgmma_wait))
    return bad(c, "must be followed by a %s", fence ? "product" : "product or wgmma_wait");
  while (first > 0 && is_product(k, first - 1)) first--;
  if (!fence && (first == 0 || k->ins[first - 1].op != K_wgmma_fence || (wait && first == c->at)))
    return bad(c, "must stand behind a wgmma_fence%s", wait ? " and products" : "");
  if (c->at - first > WGMMA_RUN) return bad(c, "more than %d products in a run", WGMMA_RUN);
  int64_t sums = 0;
  for (int v = first; v < c->at; v++) {
    int same = first;
    while (k->ins[same].in[0] != k->ins[v].in[0]) same++;
    if (same == v) sums += k->ins[k->ins[v].in[0]].imm;
  }
  return sums <= WGMMA_SUMS || bad(c, "more than %d registers of sums in a run", WGMMA_SUMS);
}

static bool check_wgmma(Check *c) {
  const KIns *i = &c->k->ins[c->at];
  KType none = kt(K_VOID, false), matrix = kt(K_I64, false);
  if (!gives(c, none)) return false;
  if (i->op == K_proxy_fence) return true;
  if (c->k->warps % WGMMA_WARPS) return bad(c, "is for blocks of fours of warps");
  if (is_product(c->k, c->at)) {
    int64_t n = 2 * c->k->ins[i->in[0]].imm;
    bool in_registers = type_of(c, 1).kind == KIND_REGS && i->op != K_wgmma_bf16_transposed;
    if (!has_regs(c, 0, K_F32, 0, 4)) return false;
    if (n % 8 || n > 256) return bad(c, "operand 0 has %d registers, must be 4, 8, .. 128", (int)n / 2);
    if (!(in_registers ? has_regs(c, 1, K_I32, 0, 4) : want(c, 1, matrix)) || !want(c, 2, matrix))
      return false;
  }
  return check_run(c);
}

/* What the lanes of a warp do together. */
static bool check_warp(Check *c) {
  const KIns *i = &c->k->ins[c->at];
  KType none = kt(K_VOID, false), offsets = kt(K_I32, true), f32v = kt(K_F32, true);
  if (c->k->lanes != 32) return bad(c, "is for 32 lanes");
  switch (i->op) {
  case K_tf32: return want(c, 0, f32v) && gives(c, f32v);
  case K_regs:
    return (i->type.kind == KIND_REGS && i->type.vec && (i->type.base == K_I32 || i->type.base == K_F32) &&
            i->imm >= 1 && i->imm <= 256) ||
           bad(c, "must be 1 to 256 registers of i32 or f32");
  case K_reg: {
    KBase base = (KBase)type_of(c, 0).base;
    return has_regs(c, 0, base, i->imm, 1) && gives(c, kt(base, true));
  }
  case K_set_reg: {
    KBase base = (KBase)type_of(c, 0).base;
    return has_regs(c, 0, base, i->imm, 1) && want(c, 1, kt(base, true)) && gives(c, none);
  }
  case K_gather_at:
    return is_kind(c, 0, KIND_BUFFER, "buffer") && want(c, 1, offsets) &&
           gives(c, kt(kir_element(c->k, i->in[0]), true));
  case K_load_matrix:
  case K_load_matrix_transposed:
    return has_regs(c, 0, K_I32, 0, 4) && is_scratch(c, 1) && want(c, 2, offsets) && gives(c, none);
  case K_mma_tf32:
  case K_mma_bf16:
    return has_regs(c, 0, K_F32, 0, 4) && has_regs(c, 1, K_I32, 0, 4) && has_regs(c, 2, K_I32, i->imm, 2) &&
           gives(c, none);
  case K_copy_async:
    return is_scratch(c, 0) && want(c, 1, offsets) && want(c, 3, offsets) && gives(c, none) &&
           (c->k->ins[i->in[2]].op == K_arg || bad(c, "operand 2 must be an argument")) &&
           (i->imm == 4 || i->imm == 8 || i->imm == 16 || bad(c, "copies 4, 8 or 16 bytes"));
  case K_matrix: return is_scratch(c, 0) && want(c, 1, kt(K_I64, false)) && gives(c, kt(K_I64, false));
  case K_proxy_fence:
  case K_wgmma_fence:
  case K_wgmma_wait:
  case K_wgmma_tf32:
  case K_wgmma_bf16:
  case K_wgmma_bf16_transposed: return check_wgmma(c);
  case K_wait_group: return (i->imm >= 0 || bad(c, "less than no group")) && gives(c, none);
  default: return gives(c, none);
  }
}

/* Closes the innermost block: what it defined is no longer visible. */
static bool close_block(Check *c, bool go_on) {
  if (c->depth == 0) return bad(c, "closes no block");
  int begin = c->open[--c->depth];
  if (go_on && c->k->ins[begin].op != K_if) return bad(c, "the innermost block is no `if`");
  for (int v = begin; v < c->at; v++)
    if (scoped(c->k->ins[v].op)) c->visible[v] = false;
  return true;
}

static bool check_block(Check *c) {
  const KIns *i = &c->k->ins[c->at];
  int64_t step;
  if (i->op == K_end) return close_block(c, false);
  if (i->op == K_else && !close_block(c, true)) return false;
  if (i->op == K_if && !want(c, 0, kt(K_I1, false))) return false;
  if (i->op == K_for) {
    KType t = kt(K_I64, false);
    if (!want(c, 0, t) || !want(c, 1, t) || !gives(c, t)) return false;
    if (!k_is_const(c->k, i->in[2], &step) || step < 1) return bad(c, "the step must be a positive constant");
  }
  if (c->depth == MAX_DEPTH) return bad(c, "more than %d nested blocks", MAX_DEPTH);
  c->open[c->depth++] = c->at;
  return true;
}

static bool check_ins(Check *c) {
  const KIns *i = &c->k->ins[c->at];
  int64_t lane;
  if (i->op >= K_OP_COUNT) return bad(c, "no such operation");
  if (!operands_visible(c)) return false;
  switch (i->op) {
  case K_const:
    return (i->type.kind == KIND_VALUE && !i->type.vec && i->type.base < K_VOID) || bad(c, "type");
  case K_arg:
  case K_scratch: return i->type.kind == KIND_BUFFER || bad(c, "must be a buffer");
  case K_local: return (i->type.kind == KIND_LOCAL && i->type.base < K_VOID) || bad(c, "must be a local");
  case K_task:
  case K_thread: return gives(c, kt(K_I64, false));
  case K_seed: return gives(c, kt(K_I32, false));
  case K_param:
    if (i->imm < 0 || i->imm >= c->k->nparams) return bad(c, "the launch has %d parameters", c->k->nparams);
    return (i->type.kind == KIND_VALUE && !i->type.vec && i->type.base >= K_I32 && i->type.base <= K_F64) ||
           bad(c, "type");
  case K_iota: return gives(c, kt(K_I32, true));
  case K_splat: return want(c, 0, kt((KBase)i->type.base, false)) && gives(c, kt((KBase)i->type.base, true));
  case K_cast:
  case K_bitcast: return check_cast(c);
  case K_select: {
    KType t = i->type;
    return want(c, 0, kt(K_I1, t.vec)) && want(c, 1, t) && want(c, 2, t);
  }
  case K_lane:
    return ((k_is_const(c->k, i->in[1], &lane) && lane >= 0 && lane < c->k->lanes) ||
            bad(c, "lane out of range")) &&
           want(c, 0, kt((KBase)i->type.base, true)) && gives(c, kt((KBase)i->type.base, false));
  case K_pair:
  case K_load_pair:
  case K_dot2: return check_pairs(c);
  case K_load:
  case K_load_masked:
  case K_gather:
  case K_gather_masked:
  case K_store:
  case K_store_masked:
  case K_scatter:
  case K_scatter_masked: return check_memory(c);
  case K_get:
    return is_kind(c, 0, KIND_LOCAL, "local") && gives(c, kt((KBase)type_of(c, 0).base, type_of(c, 0).vec));
  case K_set:
    return is_kind(c, 0, KIND_LOCAL, "local") && want(c, 1, kt((KBase)type_of(c, 0).base, type_of(c, 0).vec));
  case K_tf32:
  case K_regs:
  case K_reg:
  case K_set_reg:
  case K_gather_at:
  case K_load_matrix:
  case K_load_matrix_transposed:
  case K_mma_tf32:
  case K_mma_bf16:
  case K_copy_async:
  case K_commit:
  case K_wait_group:
  case K_matrix:
  case K_proxy_fence:
  case K_wgmma_fence:
  case K_wgmma_tf32:
  case K_wgmma_bf16:
  case K_wgmma_bf16_transposed:
  case K_wgmma_wait: return check_warp(c);
  case K_prefetch: return is_kind(c, 0, KIND_BUFFER, "buffer") && want(c, 1, kt(K_I64, false));
  case K_barrier:
  case K_sync: return true;
  case K_for:
  case K_if:
  case K_else:
  case K_end: return check_block(c);
  default: return check_arithmetic(c);
  }
}

static bool check_whole(Check *c) {
  int64_t scratch = 0;
  static const int64_t bytes[] = {
      [K_I1] = 1, [K_I32] = 4, [K_I64] = 8, [K_F32] = 4, [K_F64] = 8, [K_BF16] = 2};
  for (int v = 0, args = 0; v < c->k->n; v++) {
    const KIns *i = &c->k->ins[v];
    c->at = v;
    if (i->op == K_arg && i->imm != args++) return bad(c, "arguments must be numbered 0, 1, ..");
    if (i->op == K_scratch) scratch += i->imm * bytes[i->type.base];
    if (scratch > KIR_MAX_SCRATCH)
      return bad(c, "%lld bytes of scratch, at most %lld", (long long)scratch, (long long)KIR_MAX_SCRATCH);
  }
  return true;
}

static bool check_all(Check *c) {
  for (c->at = 0; c->at < c->k->n; c->at++) {
    if (!check_ins(c)) return false;
    c->visible[c->at] = true;
  }
  if (c->depth == 0) return true;
  c->at = c->open[c->depth - 1];
  return bad(c, "block is never closed");
}

bool kir_verify(const KFn *k, char err[IR_ERR]) {
  if (k->err[0]) return ir_error(err, "kernel %.60s: %s", k->name, k->err);
  if (k->lanes != 8 && k->lanes != 16 && k->lanes != 32)
    return ir_error(err, "kernel %.60s: %d lanes, must be 8, 16 or 32", k->name, k->lanes);
  Check c = {.k = k, .err = err};
  c.visible = calloc((size_t)k->n + 1, sizeof *c.visible);
  if (!c.visible) return ir_error(err, "kernel %.60s: no memory to verify it", k->name);
  bool good = check_all(&c) && check_whole(&c);
  free(c.visible);
  if (!good || !k->sm90) return good;
  if (k->sm90->nargs == k->nargs && k->sm90->warps == k->warps && !k->sm90->sm90)
    return kir_verify(k->sm90, err);
  return ir_error(err, "kernel %.60s: its form for sm_90a has other arguments or warps", k->name);
}
