/* info.c - what is known of ops and types without a kernel: the op table (kir.def) as data, and the names of
 * types, for the builder, the text form, the verifier and whoever reports an error. */
#include "codegen/kir/internal.h"

const KOpInfo kop_info[K_OP_COUNT] = {
#define KOP(name, operands, kind, meaning) {#name, operands, #kind},
#include "codegen/kir/kir.def"
};

static const char *const base_name[][4] = {
    /* value, vector, buffer, local */
    [K_I1] = {"i1", "i1v", "i1*", "i1 local"},           [K_I32] = {"i32", "i32v", "i32*", "i32 local"},
    [K_I64] = {"i64", "i64v", "i64*", "i64 local"},      [K_F32] = {"f32", "f32v", "f32*", "f32 local"},
    [K_F64] = {"f64", "f64v", "f64*", "f64 local"},      [K_VOID] = {"void", "void", "void", "void"},
    [K_BF16] = {"bf16", "bf16v", "bf16*", "bf16 local"},
};

const char *kir_type_str(KType t) {
  static const char *const vector_local[] = {"i1v local", "i32v local", "i64v local", "f32v local",
                                             "f64v local"};
  if (t.base > K_BF16) return "?";
  if (t.kind == KIND_REGS) return t.base == K_I32 ? "i32 regs" : "f32 regs";
  if (t.kind == KIND_LOCAL) return t.vec && t.base < K_VOID ? vector_local[t.base] : base_name[t.base][3];
  return base_name[t.base][t.kind == KIND_BUFFER ? 2 : t.vec != 0];
}
