/* bf16.c - widening is a shift by 16 bits. Rounding to nearest even adds half of the last kept place, less
 * one when that place is even, and cuts; NaN is taken aside, as the addition could carry it into infinity or
 * past the sign. */
#include "codegen/llvm/bf16.h"
#include <string.h>

/* i32, or a vector of it, with as many lanes as `like`. */
static LLVMTypeRef int_like(LLVMTypeRef like, unsigned bits) {
  LLVMTypeRef t = LLVMIntTypeInContext(LLVMGetTypeContext(like), bits);
  return LLVMGetTypeKind(like) == LLVMVectorTypeKind ? LLVMVectorType(t, LLVMGetVectorSize(like)) : t;
}

static LLVMTypeRef float_like(LLVMTypeRef like) {
  LLVMTypeRef t = LLVMFloatTypeInContext(LLVMGetTypeContext(like));
  return LLVMGetTypeKind(like) == LLVMVectorTypeKind ? LLVMVectorType(t, LLVMGetVectorSize(like)) : t;
}

/* The literal in the type of v, in all lanes. */
static LLVMValueRef literal(LLVMValueRef v, unsigned value) {
  LLVMTypeRef t = LLVMTypeOf(v);
  if (LLVMGetTypeKind(t) != LLVMVectorTypeKind) return LLVMConstInt(t, value, false);
  LLVMValueRef lane[64], one = LLVMConstInt(LLVMGetElementType(t), value, false);
  unsigned n = LLVMGetVectorSize(t);
  for (unsigned i = 0; i < n; i++) lane[i] = one;
  return LLVMConstVector(lane, n);
}

LLVMValueRef llvm_bf16_widen(LLVMBuilderRef b, LLVMValueRef half) {
  LLVMValueRef x = LLVMBuildZExt(b, half, int_like(LLVMTypeOf(half), 32), "");
  return LLVMBuildBitCast(b, LLVMBuildShl(b, x, literal(x, 16), ""), float_like(LLVMTypeOf(half)), "");
}

/* Both halves of every lane get the bits and the lower half is cleared: one broadcast of 16 bits and one
 * `and`, where widening the scalar first would take it through an integer register. */
LLVMValueRef llvm_bf16_splat(LLVMBuilderRef b, LLVMValueRef half, int n) {
  LLVMContextRef c = LLVMGetTypeContext(LLVMTypeOf(half));
  LLVMTypeRef i32 = LLVMInt32TypeInContext(c), pairs = LLVMVectorType(LLVMTypeOf(half), 2 * (unsigned)n);
  LLVMValueRef poison = LLVMGetPoison(pairs), zeros = LLVMConstNull(LLVMVectorType(i32, 2 * (unsigned)n));
  LLVMValueRef one = LLVMBuildInsertElement(b, poison, half, LLVMConstInt(i32, 0, false), "");
  LLVMValueRef x = LLVMBuildShuffleVector(b, one, poison, zeros, "");
  x = LLVMBuildBitCast(b, x, LLVMVectorType(i32, (unsigned)n), "");
  x = LLVMBuildAnd(b, x, literal(x, 0xffff0000u), "");
  return LLVMBuildBitCast(b, x, LLVMVectorType(LLVMFloatTypeInContext(c), (unsigned)n), "");
}

/* The bits of v with the rounded upper half; the lower half is to be cut. */
static LLVMValueRef rounded_bits(LLVMBuilderRef b, LLVMValueRef v) {
  LLVMValueRef x = LLVMBuildBitCast(b, v, int_like(LLVMTypeOf(v), 32), "");
  LLVMValueRef odd = LLVMBuildAnd(b, LLVMBuildLShr(b, x, literal(x, 16), ""), literal(x, 1), "");
  LLVMValueRef near = LLVMBuildAdd(b, x, LLVMBuildAdd(b, odd, literal(x, 0x7fff), ""), "");
  LLVMValueRef quiet = LLVMBuildOr(b, x, literal(x, 0x400000), "");
  return LLVMBuildSelect(b, LLVMBuildFCmp(b, LLVMRealUNO, v, v, ""), quiet, near, "");
}

static LLVMModuleRef module_of(LLVMBuilderRef b) {
  return LLVMGetGlobalParent(LLVMGetBasicBlockParent(LLVMGetInsertBlock(b)));
}

static LLVMValueRef call(LLVMBuilderRef b, const char *name, LLVMTypeRef *over, size_t nover,
                         LLVMValueRef *args, unsigned nargs) {
  LLVMModuleRef m = module_of(b);
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  LLVMValueRef fn = LLVMGetIntrinsicDeclaration(m, id, over, nover);
  return LLVMBuildCall2(b, LLVMIntrinsicGetType(LLVMGetModuleContext(m), id, over, nover), fn, args, nargs,
                        "");
}

/* The instruction rounds 16 floats. A scalar takes the way of the first, so that it is rounded as in a
 * vector. */
static LLVMValueRef round_natively(LLVMBuilderRef b, LLVMValueRef v) {
  enum { LANES = 16 };
  LLVMContextRef c = LLVMGetTypeContext(LLVMTypeOf(v));
  LLVMValueRef zero = LLVMConstInt(LLVMInt32TypeInContext(c), 0, false);
  bool vec = LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMVectorTypeKind;
  LLVMTypeRef floats = LLVMVectorType(LLVMFloatTypeInContext(c), LANES);
  if (!vec) v = LLVMBuildInsertElement(b, LLVMConstNull(floats), v, zero, "");
  v = call(b, "llvm.x86.avx512bf16.cvtneps2bf16.512", NULL, 0, &v, 1);
  v = LLVMBuildBitCast(b, v, LLVMVectorType(LLVMInt16TypeInContext(c), LANES), "");
  return vec ? v : LLVMBuildExtractElement(b, v, zero, "");
}

LLVMValueRef llvm_bf16_round(LLVMBuilderRef b, LLVMValueRef v, bool native) {
  if (native) return llvm_bf16_widen(b, round_natively(b, v));
  LLVMValueRef x = rounded_bits(b, v);
  return LLVMBuildBitCast(b, LLVMBuildAnd(b, x, literal(x, 0xffff0000u), ""), LLVMTypeOf(v), "");
}

LLVMValueRef llvm_bf16_narrow(LLVMBuilderRef b, LLVMValueRef v, bool exact, bool native) {
  if (native && !exact) return round_natively(b, v);
  LLVMTypeRef wide = int_like(LLVMTypeOf(v), 32);
  LLVMValueRef x = exact ? LLVMBuildBitCast(b, v, wide, "") : rounded_bits(b, v);
  return LLVMBuildTrunc(b, LLVMBuildLShr(b, x, literal(x, 16), ""), int_like(LLVMTypeOf(v), 16), "");
}

LLVMValueRef llvm_bf16_pair(LLVMBuilderRef b, LLVMValueRef low, LLVMValueRef high) {
  enum { LANES = 16 };
  LLVMTypeRef i32 = LLVMInt32TypeInContext(LLVMGetTypeContext(LLVMTypeOf(low)));
  LLVMValueRef in[2] = {high, low}, turn[2 * LANES];
  LLVMValueRef halves = call(b, "llvm.x86.avx512bf16.cvtne2ps2bf16.512", NULL, 0, in, 2);
  for (unsigned i = 0; i < 2 * LANES; i++) turn[i] = LLVMConstInt(i32, i / 2 + i % 2 * LANES, false);
  LLVMValueRef order = LLVMConstVector(turn, 2 * LANES);
  halves = LLVMBuildShuffleVector(b, halves, LLVMGetPoison(LLVMTypeOf(halves)), order, "");
  return LLVMBuildBitCast(b, halves, LLVMVectorType(i32, LANES), "");
}

/* The halves of pairs, as floats: one is shifted to its place, the other is cleared of its neighbour. */
static LLVMValueRef low_half(LLVMBuilderRef b, LLVMValueRef pairs) {
  LLVMValueRef x = LLVMBuildShl(b, pairs, literal(pairs, 16), "");
  return LLVMBuildBitCast(b, x, float_like(LLVMTypeOf(pairs)), "");
}
static LLVMValueRef high_half(LLVMBuilderRef b, LLVMValueRef pairs) {
  LLVMValueRef x = LLVMBuildAnd(b, pairs, literal(pairs, 0xffff0000u), "");
  return LLVMBuildBitCast(b, x, float_like(LLVMTypeOf(pairs)), "");
}

LLVMValueRef llvm_bf16_dot2(LLVMBuilderRef b, LLVMValueRef pairs, LLVMValueRef other, LLVMValueRef c,
                            bool native) {
  LLVMTypeRef sum = LLVMTypeOf(c);
  if (native) {
    LLVMTypeRef halves =
        LLVMVectorType(LLVMBFloatTypeInContext(LLVMGetTypeContext(sum)), 2 * LLVMGetVectorSize(sum));
    LLVMValueRef in[3] = {c, LLVMBuildBitCast(b, pairs, halves, ""), LLVMBuildBitCast(b, other, halves, "")};
    return call(b, "llvm.x86.avx512bf16.dpbf16ps.512", NULL, 0, in, 3);
  }
  LLVMValueRef high[3] = {high_half(b, pairs), high_half(b, other), c};
  LLVMValueRef low[3] = {low_half(b, pairs), low_half(b, other), call(b, "llvm.fma", &sum, 1, high, 3)};
  return call(b, "llvm.fma", &sum, 1, low, 3);
}
