/* build_warp.c - the builder of what a GPU's warps do together: registers that hold matrices, their products, copies that arrive
 * later (kir.h). As in build.c the first misuse is kept in k->err. */
#include "codegen/kir/internal.h"

static KV fail(KFn *k, const char *who, const char *what) {
  if (!k->err[0]) ir_error(k->err, "%s: %s", who, what);
  return K_NONE;
}

static bool known(const KFn *k, KV v) { return v >= 0 && v < k->n; }

static bool is_vector(KFn *k, KV v, KBase base, const char *who) {
  if (!known(k, v) || k->ins[v].type.kind != KIND_VALUE || !k->ins[v].type.vec || k->ins[v].type.base != base)
    return fail(k, who, base == K_I32 ? "needs a vector of i32" : "needs a vector of f32"), false;
  return true;
}

/* Registers first .. first + n - 1 of v, of this base type. */
static bool has_regs(KFn *k, KV v, KBase base, int64_t first, int n, const char *who) {
  if (!known(k, v) || k->ins[v].type.kind != KIND_REGS || k->ins[v].type.base != base)
    return fail(k, who, base == K_I32 ? "needs registers of i32" : "needs registers of f32"), false;
  if (first < 0 || first + n > k->ins[v].imm) return fail(k, who, "has not so many registers"), false;
  return true;
}

static bool is_scratch(KFn *k, KV v, const char *who) {
  if (known(k, v) && k->ins[v].op == K_scratch) return true;
  return fail(k, who, "needs scratch"), false;
}

static KV add(KFn *k, KOp op, KType type, int64_t imm, KV a, KV b, KV c, KV d) {
  if (k->lanes != 32) return fail(k, kop_info[op].name, "is for 32 lanes");
  return kir_append(k, &(KIns){.op = op, .type = type, .in = {a, b, c, d}, .imm = imm});
}

static KV statement(KFn *k, KOp op, int64_t imm, KV a, KV b, KV c, KV d) {
  return add(k, op, kt(K_VOID, false), imm, a, b, c, d);
}

KV k_tf32(KFn *k, KV a) {
  if (!is_vector(k, a, K_F32, "tf32")) return K_NONE;
  return add(k, K_tf32, kt(K_F32, true), 0, a, -1, -1, -1);
}

KV k_regs(KFn *k, KBase base, int n, const char *name) {
  if ((base != K_I32 && base != K_F32) || n < 1) return fail(k, "regs", "are of i32 or f32, at least one");
  KV v = add(k, K_regs, (KType){(uint8_t)base, 1, KIND_REGS}, n, -1, -1, -1, -1);
  if (v >= 0) k->ins[v].name = arena_strdup(k->arena, name);
  return v;
}

KV k_reg(KFn *k, KV regs, int i) {
  KBase base = known(k, regs) ? (KBase)k->ins[regs].type.base : K_I32;
  if (!has_regs(k, regs, base, i, 1, "reg")) return K_NONE;
  return add(k, K_reg, kt(base, true), i, regs, -1, -1, -1);
}

void k_set_reg(KFn *k, KV regs, int i, KV v) {
  KBase base = known(k, regs) ? (KBase)k->ins[regs].type.base : K_I32;
  if (!has_regs(k, regs, base, i, 1, "set_reg")) return;
  v = k_splat(k, v);
  if (is_vector(k, v, base, "set_reg")) statement(k, K_set_reg, i, regs, v, -1, -1);
}

KV k_gather_at(KFn *k, KV buf, KV at, int64_t further) {
  if (!known(k, buf) || k->ins[buf].type.kind != KIND_BUFFER) return fail(k, "gather_at", "needs a buffer");
  if (!is_vector(k, at, K_I32, "gather_at")) return K_NONE;
  return add(k, K_gather_at, kt(kir_element(k, buf), true), further, buf, at, -1, -1);
}

void k_load_matrix(KFn *k, KV regs, KV scratch, KV at, int64_t further, bool transposed) {
  KOp op = transposed ? K_load_matrix_transposed : K_load_matrix;
  const char *who = kop_info[op].name;
  if (has_regs(k, regs, K_I32, 0, 4, who) && is_scratch(k, scratch, who) && is_vector(k, at, K_I32, who))
    statement(k, op, further, regs, scratch, at, -1);
}

void k_mma(KFn *k, bool bf16, KV sum, KV a, KV b, int b_first) {
  KOp op = bf16 ? K_mma_bf16 : K_mma_tf32;
  const char *who = kop_info[op].name;
  if (has_regs(k, sum, K_F32, 0, 4, who) && has_regs(k, a, K_I32, 0, 4, who) &&
      has_regs(k, b, K_I32, b_first, 2, who))
    statement(k, op, b_first, sum, a, b, -1);
}

void k_copy_async(KFn *k, KV scratch, KV to, KV arg, KV from, int bytes) {
  const char *who = "copy_async";
  if (!is_scratch(k, scratch, who) || !is_vector(k, to, K_I32, who) || !is_vector(k, from, K_I32, who))
    return;
  if (!known(k, arg) || k->ins[arg].op != K_arg) fail(k, who, "copies from an argument");
  else if (bytes != 4 && bytes != 8 && bytes != 16) fail(k, who, "copies 4, 8 or 16 bytes");
  else statement(k, K_copy_async, bytes, scratch, to, arg, from);
}

void k_commit(KFn *k) { statement(k, K_commit, 0, -1, -1, -1, -1); }

void k_wait_group(KFn *k, int latest) {
  if (latest < 0) fail(k, "wait_group", "of so many groups less than none");
  else statement(k, K_wait_group, latest, -1, -1, -1, -1);
}

KV k_matrix(KFn *k, KV scratch, KV at, int64_t form) {
  if (!is_scratch(k, scratch, "matrix")) return K_NONE;
  KType want = kt(K_I64, false), got = known(k, at) ? k->ins[at].type : kt(K_VOID, false);
  if (got.base != want.base || got.vec || got.kind != KIND_VALUE)
    return fail(k, "matrix", "begins at an i64");
  return add(k, K_matrix, want, form, scratch, at, -1, -1);
}

void k_proxy_fence(KFn *k) { statement(k, K_proxy_fence, 0, -1, -1, -1, -1); }
void k_wgmma_fence(KFn *k) { statement(k, K_wgmma_fence, 0, -1, -1, -1, -1); }
void k_wgmma_wait(KFn *k) { statement(k, K_wgmma_wait, 0, -1, -1, -1, -1); }

static void product(KFn *k, KOp op, KV sum, KV a, KV b) {
  bool in_registers = known(k, a) && k->ins[a].type.kind == KIND_REGS;
  if (!has_regs(k, sum, K_F32, 0, 4, kop_info[op].name)) return;
  if (in_registers && !has_regs(k, a, K_I32, 0, 4, kop_info[op].name)) return;
  if (!known(k, a) || !known(k, b)) fail(k, kop_info[op].name, "needs two matrices");
  else statement(k, op, 0, sum, a, b, -1);
}

void k_wgmma(KFn *k, bool bf16, KV sum, KV a, KV b) {
  product(k, bf16 ? K_wgmma_bf16 : K_wgmma_tf32, sum, a, b);
}

void k_wgmma_transposed(KFn *k, KV sum, KV a, KV b) { product(k, K_wgmma_bf16_transposed, sum, a, b); }

bool kir_wgmma(const KFn *k) {
  for (int v = 0; v < k->n; v++)
    if (k->ins[v].op >= K_matrix && k->ins[v].op <= K_wgmma_wait) return true;
  return false;
}

bool kir_tensor(const KFn *k) {
  for (int v = 0; v < k->n; v++) switch (k->ins[v].op) {
    case K_tf32:
    case K_load_matrix:
    case K_load_matrix_transposed:
    case K_mma_tf32:
    case K_mma_bf16:
    case K_copy_async:
    case K_commit:
    case K_wait_group: return true;
    default: break;
    }
  return false;
}
