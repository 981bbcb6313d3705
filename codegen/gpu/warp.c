/* warp.c - what the lanes of a warp do together, but for shuffles: registers that hold matrices, their products, asynchronous
 * copies. Registers are an array on the thread's stack whose elements are named by constants, so that nothing of it is left. */
#include "codegen/gpu/leaves.h"

LLVMValueRef simt_reg(Lower *l, LLVMTypeRef t, LLVMValueRef regs, int64_t i) {
  LLVMValueRef at = lower_i64(l, i);
  return LLVMBuildGEP2(l->b, t, regs, &at, 1, "");
}

static LLVMValueRef registers(Lower *l, const KIns *i) {
  LLVMTypeRef t = LLVMArrayType2(lower_base_type(l->c, (KBase)i->type.base), (uint64_t)i->imm);
  return LLVMBuildAlloca(l->entry, t, i->name ? i->name : "");
}

static LLVMValueRef wide(Lower *l, LLVMValueRef v) {
  return LLVMBuildSExt(l->b, v, LLVMInt64TypeInContext(l->c), "");
}

static void wgmma(SimtLower *s, int ins, LLVMValueRef sum, LLVMValueRef a, LLVMValueRef b) {
  const KIns *i = &s->l.k->ins[ins];
  bool in_registers = s->l.k->ins[i->in[1]].type.kind == KIND_REGS;
  s->leaf->wgmma(s, ins, i->op != K_wgmma_tf32, sum, in_registers ? a : NULL, in_registers ? NULL : a, b);
}

bool simt_warp(SimtLower *s, int ins, LLVMValueRef *out) {
  Lower *l = &s->l;
  const KIns *i = &l->k->ins[ins];
  LLVMValueRef v[4];
  for (int o = 0; o < 4; o++) v[o] = i->in[o] >= 0 ? l->v[i->in[o]] : NULL;
  KBase base = i->in[0] >= 0 ? (KBase)l->k->ins[i->in[0]].type.base : K_VOID;
  LLVMTypeRef t = lower_base_type(l->c, base);
  switch (i->op) {
  case K_tf32: *out = s->leaf->tf32(s, v[0]); return true;
  case K_regs: *out = registers(l, i); return true;
  case K_reg: *out = LLVMBuildLoad2(l->b, t, simt_reg(l, t, v[0], i->imm), ""); return true;
  case K_set_reg: LLVMBuildStore(l->b, v[1], simt_reg(l, t, v[0], i->imm)); return true;
  case K_load_matrix:
  case K_load_matrix_transposed:
    s->leaf->load_matrix(s, ins, v[0], i->in[1], wide(l, v[2]), i->imm, i->op == K_load_matrix_transposed);
    return true;
  case K_mma_tf32:
  case K_mma_bf16:
    s->leaf->mma(s, ins, i->op == K_mma_bf16, v[0], v[1],
                 simt_reg(l, LLVMInt32TypeInContext(l->c), v[2], i->imm));
    return true;
  case K_copy_async:
    s->leaf->copy_async(s, ins, i->in[0], wide(l, v[1]), i->in[2], wide(l, v[3]), i->imm);
    return true;
  case K_commit: s->leaf->commit(s, ins); return true;
  case K_wait_group: s->leaf->wait_group(s, ins, i->imm); return true;
  case K_matrix: *out = s->leaf->matrix(s, ins, i->in[0], v[1], i->imm); return true;
  case K_proxy_fence:
  case K_wgmma_fence:
  case K_wgmma_wait: s->leaf->order(s, ins, i->op); return true;
  case K_wgmma_tf32:
  case K_wgmma_bf16:
  case K_wgmma_bf16_transposed: wgmma(s, ins, v[0], v[1], v[2]); return true;
  default: return false;
  }
}
