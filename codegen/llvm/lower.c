/* lower.c - a kernel becomes one LLVM function; the switch in lower_ins is the whole of it. Vectors are
 * explicit types of `lanes` elements; locals are stack slots that sroa turns into registers; loops are
 * rotated (test at the bottom), so that what does not change in them can be moved out. No fast-math flag is
 * ever set: the same kernel gives the same bits on every machine with the same lanes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "codegen/llvm/bf16.h"
#include "codegen/llvm/lower.h"
#include "codegen/llvm/lower_internal.h"

LLVMTypeRef lower_base_type(LLVMContextRef c, KBase base) {
  switch (base) {
  case K_I1: return LLVMInt1TypeInContext(c);
  case K_BF16: return LLVMInt16TypeInContext(c); /* its bits: memory only */
  case K_I32: return LLVMInt32TypeInContext(c);
  case K_I64: return LLVMInt64TypeInContext(c);
  case K_F32: return LLVMFloatTypeInContext(c);
  case K_F64: return LLVMDoubleTypeInContext(c);
  default: return LLVMVoidTypeInContext(c);
  }
}

LLVMTypeRef lower_type(const Lower *l, KBase base, bool vec) {
  LLVMTypeRef t = lower_base_type(l->c, base);
  return vec && !l->own ? LLVMVectorType(t, (unsigned)l->k->lanes) : t;
}

LLVMValueRef lower_i32(const Lower *l, int64_t v) {
  return LLVMConstInt(LLVMInt32TypeInContext(l->c), (unsigned long long)v, true);
}
LLVMValueRef lower_i64(const Lower *l, int64_t v) {
  return LLVMConstInt(LLVMInt64TypeInContext(l->c), (unsigned long long)v, true);
}

/* Calls the intrinsic `name` overloaded on the n types. */
static LLVMValueRef intrinsic(Lower *l, const char *name, LLVMTypeRef *over, int nover, LLVMValueRef *args,
                              int nargs) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  LLVMValueRef fn = LLVMGetIntrinsicDeclaration(l->m, id, over, (size_t)nover);
  LLVMTypeRef type = LLVMIntrinsicGetType(l->c, id, over, (size_t)nover);
  return LLVMBuildCall2(l->b, type, fn, args, (unsigned)nargs, "");
}

static LLVMValueRef intrinsic1(Lower *l, const char *name, LLVMValueRef a) {
  LLVMTypeRef t = LLVMTypeOf(a);
  return intrinsic(l, name, &t, 1, &a, 1);
}

static LLVMValueRef splat(Lower *l, LLVMValueRef s) {
  unsigned lanes = (unsigned)l->k->lanes;
  LLVMTypeRef vec = LLVMVectorType(LLVMTypeOf(s), lanes);
  LLVMValueRef one = LLVMBuildInsertElement(l->b, LLVMGetPoison(vec), s, lower_i32(l, 0), "");
  LLVMValueRef zeros = LLVMConstNull(LLVMVectorType(LLVMInt32TypeInContext(l->c), lanes));
  return LLVMBuildShuffleVector(l->b, one, LLVMGetPoison(vec), zeros, "");
}

static LLVMValueRef iota(const Lower *l) {
  LLVMValueRef lane[16];
  for (int i = 0; i < l->k->lanes; i++) lane[i] = lower_i32(l, i);
  return LLVMConstVector(lane, (unsigned)l->k->lanes);
}

static bool is_float(KType t) { return t.base == K_F32 || t.base == K_F64; }

/* The first where it is smaller (larger), else the second, as x86's vmin and vmax: also where one is NaN. */
static LLVMValueRef smaller_or_second(Lower *l, bool is_fp, LLVMValueRef a, LLVMValueRef b, bool want_max) {
  LLVMValueRef c = is_fp ? LLVMBuildFCmp(l->b, want_max ? LLVMRealOGT : LLVMRealOLT, a, b, "")
                         : LLVMBuildICmp(l->b, want_max ? LLVMIntSGT : LLVMIntSLT, a, b, "");
  return LLVMBuildSelect(l->b, c, a, b, "");
}

LLVMValueRef lower_smaller(Lower *l, bool is_fp, LLVMValueRef a, LLVMValueRef b, bool want_max) {
  LLVMValueRef v = smaller_or_second(l, is_fp, a, b, want_max);
  return is_fp ? LLVMBuildSelect(l->b, LLVMBuildFCmp(l->b, LLVMRealUNO, a, a, ""), a, v, "") : v;
}

static bool is_number(const KFn *k, KV v) {
  const KIns *i = &k->ins[k->ins[v].op == K_splat ? k->ins[v].in[0] : v];
  return i->op == K_const && !isnan(i->fimm);
}

/* With a number, which goes first, one instruction is enough: a NaN can only be the second, and passes. */
static LLVMValueRef extreme(Lower *l, const KIns *i) {
  LLVMValueRef a = l->v[i->in[0]], b = l->v[i->in[1]];
  bool fp = is_float(i->type), max = i->op == K_max;
  if (is_number(l->k, i->in[1])) return smaller_or_second(l, fp, b, a, max);
  return is_number(l->k, i->in[0]) ? smaller_or_second(l, fp, a, b, max) : lower_smaller(l, fp, a, b, max);
}

/* Halves are combined until one lane is left: a fixed tree of log2(lanes) steps. */
static LLVMValueRef horizontal(Lower *l, KOp op, KType t, LLVMValueRef v) {
  for (int half = l->k->lanes / 2; half >= 1; half /= 2) {
    LLVMValueRef low[8], high[8], undef = LLVMGetPoison(LLVMTypeOf(v));
    for (int i = 0; i < half; i++) low[i] = lower_i32(l, i), high[i] = lower_i32(l, half + i);
    LLVMValueRef a = LLVMBuildShuffleVector(l->b, v, undef, LLVMConstVector(low, (unsigned)half), "");
    LLVMValueRef b = LLVMBuildShuffleVector(l->b, v, undef, LLVMConstVector(high, (unsigned)half), "");
    if (op != K_hsum) v = lower_smaller(l, is_float(t), a, b, op == K_hmax);
    else v = is_float(t) ? LLVMBuildFAdd(l->b, a, b, "") : LLVMBuildAdd(l->b, a, b, "");
  }
  return LLVMBuildExtractElement(l->b, v, lower_i32(l, 0), "");
}

static LLVMValueRef zip(Lower *l, LLVMValueRef a, LLVMValueRef b, bool high) {
  LLVMValueRef lane[16];
  int n = l->k->lanes;
  for (int i = 0; i < n; i++) lane[i] = lower_i32(l, i % 2 * n + (high ? n / 2 : 0) + i / 2);
  return LLVMBuildShuffleVector(l->b, a, b, LLVMConstVector(lane, (unsigned)n), "");
}

static LLVMValueRef cast(Lower *l, KType from, KType to, LLVMValueRef v) {
  LLVMTypeRef t = lower_type(l, (KBase)to.base, to.vec);
  if (from.base == K_I1)
    return is_float(to) ? LLVMBuildUIToFP(l->b, v, t, "") : LLVMBuildZExt(l->b, v, t, "");
  if (is_float(from)) {
    if (!is_float(to)) return LLVMBuildFPToSI(l->b, v, t, "");
    return from.base == K_F64 ? LLVMBuildFPTrunc(l->b, v, t, "") : LLVMBuildFPExt(l->b, v, t, "");
  }
  if (is_float(to)) return LLVMBuildSIToFP(l->b, v, t, "");
  return to.base == K_I32 ? LLVMBuildTrunc(l->b, v, t, "") : LLVMBuildSExt(l->b, v, t, "");
}

/* Upper half of the 64-bit product. */
static LLVMValueRef mulhi(Lower *l, KType t, LLVMValueRef a, LLVMValueRef b) {
  LLVMTypeRef wide = lower_type(l, K_I64, t.vec);
  LLVMValueRef p = LLVMBuildMul(l->b, LLVMBuildZExt(l->b, a, wide, ""), LLVMBuildZExt(l->b, b, wide, ""), "");
  LLVMValueRef s = t.vec && !l->own ? splat(l, lower_i64(l, 32)) : lower_i64(l, 32);
  return LLVMBuildTrunc(l->b, LLVMBuildLShr(l->b, p, s, ""), LLVMTypeOf(a), "");
}

static LLVMValueRef binary(Lower *l, KOp op, KType t, LLVMValueRef a, LLVMValueRef b) {
  LLVMBuilderRef B = l->b;
  bool f = is_float(t);
  switch (op) {
  case K_add: return f ? LLVMBuildFAdd(B, a, b, "") : LLVMBuildAdd(B, a, b, "");
  case K_sub: return f ? LLVMBuildFSub(B, a, b, "") : LLVMBuildSub(B, a, b, "");
  case K_mul: return f ? LLVMBuildFMul(B, a, b, "") : LLVMBuildMul(B, a, b, "");
  case K_mulhi: return mulhi(l, t, a, b);
  case K_div: return f ? LLVMBuildFDiv(B, a, b, "") : LLVMBuildSDiv(B, a, b, "");
  case K_rem: return LLVMBuildSRem(B, a, b, "");
  case K_and: return LLVMBuildAnd(B, a, b, "");
  case K_or: return LLVMBuildOr(B, a, b, "");
  case K_xor: return LLVMBuildXor(B, a, b, "");
  case K_shl: return LLVMBuildShl(B, a, b, "");
  case K_shr: return LLVMBuildLShr(B, a, b, "");
  case K_lt: return f ? LLVMBuildFCmp(B, LLVMRealOLT, a, b, "") : LLVMBuildICmp(B, LLVMIntSLT, a, b, "");
  case K_le: return f ? LLVMBuildFCmp(B, LLVMRealOLE, a, b, "") : LLVMBuildICmp(B, LLVMIntSLE, a, b, "");
  default: return f ? LLVMBuildFCmp(B, LLVMRealOEQ, a, b, "") : LLVMBuildICmp(B, LLVMIntEQ, a, b, "");
  }
}

static LLVMValueRef unary(Lower *l, KOp op, KType t, LLVMValueRef a) {
  switch (op) {
  case K_neg: return is_float(t) ? LLVMBuildFNeg(l->b, a, "") : LLVMBuildNeg(l->b, a, "");
  case K_sqrt: return intrinsic1(l, "llvm.sqrt", a);
  case K_floor: return intrinsic1(l, "llvm.floor", a);
  default: return intrinsic1(l, "llvm.fabs", a);
  }
}

/* ---- memory: every access is aligned to its element, no more ---- */
unsigned lower_element_bytes(KBase base) {
  return base == K_I64 || base == K_F64 ? 8 : base == K_I1 ? 1 : base == K_BF16 ? 2 : 4;
}

static LLVMValueRef address(Lower *l, KV buf, LLVMValueRef at) {
  return LLVMBuildGEP2(l->b, lower_base_type(l->c, (KBase)l->k->ins[buf].type.base), l->v[buf], &at, 1, "");
}

/* What lies in memory; bf16 as its bits. */
static LLVMValueRef load_elements(Lower *l, const KIns *i) {
  KBase base = (KBase)l->k->ins[i->in[0]].type.base;
  LLVMTypeRef t = lower_type(l, base, i->type.vec);
  LLVMValueRef p = address(l, i->in[0], l->v[i->in[1]]), align = lower_i32(l, lower_element_bytes(base)),
               zero = LLVMConstNull(t);
  LLVMTypeRef over[2] = {t, LLVMTypeOf(p)};
  if (i->op == K_load) {
    LLVMValueRef v = LLVMBuildLoad2(l->b, t, p, "");
    LLVMSetAlignment(v, lower_element_bytes(base));
    return v;
  }
  if (i->op == K_load_masked)
    return intrinsic(l, "llvm.masked.load", over, 2, (LLVMValueRef[]){p, align, l->v[i->in[2]], zero}, 4);
  LLVMValueRef all = LLVMConstAllOnes(lower_type(l, K_I1, true));
  LLVMValueRef mask = i->op == K_gather ? all : l->v[i->in[2]];
  return intrinsic(l, "llvm.masked.gather", over, 2, (LLVMValueRef[]){p, align, mask, zero}, 4);
}

static bool is_bf16(const Lower *l, KV buf) { return l->k->ins[buf].type.base == K_BF16; }

static LLVMValueRef load(Lower *l, const KIns *i) {
  LLVMValueRef v = load_elements(l, i);
  return is_bf16(l, i->in[0]) ? llvm_bf16_widen(l->b, v) : v;
}

/* A scalar of a bf16 buffer goes into all lanes as the bits that were loaded; the widened scalar, if nothing else needs
 * it, goes with the dead code. */
static LLVMValueRef splat_value(Lower *l, KV v) {
  const KIns *from = &l->k->ins[v];
  if (from->op != K_load || !is_bf16(l, from->in[0])) return splat(l, l->v[v]);
  LLVMValueRef zext = LLVMGetOperand(LLVMGetOperand(l->v[v], 0), 0); /* of a bitcast of a shl */
  return llvm_bf16_splat(l->b, LLVMGetOperand(zext, 0), l->k->lanes);
}

/* A store of a whole vector to a nontemporal argument, at a place that is known to be aligned (arguments are aligned to 64
 * bytes). */
static bool goes_past_caches(const Lower *l, const KIns *i) {
  const KIns *to = &l->k->ins[i->in[0]];
  return to->op == K_arg && l->k->nontemporal >> to->imm & 1 && l->k->ins[i->in[2]].type.vec &&
         kir_divides(l->k, i->in[1]) >= l->k->lanes;
}

static void mark_nontemporal(Lower *l, LLVMValueRef s) {
  LLVMMetadataRef one = LLVMValueAsMetadata(lower_i32(l, 1));
  unsigned kind = LLVMGetMDKindIDInContext(l->c, "nontemporal", 11);
  LLVMSetMetadata(s, kind, LLVMMetadataAsValue(l->c, LLVMMDNodeInContext2(l->c, &one, 1)));
  l->past = true;
}

/* Stores past the caches are not ordered with those that follow: before it says that the task is done, all must be
 * seen. */
static void fence(Lower *l) {
  if (l->past) intrinsic(l, "llvm.x86.sse.sfence", NULL, 0, NULL, 0);
}

/* Was the f32 a bf16 in memory? */
static bool loaded_bf16(const Lower *l, KV v) {
  const KIns *from = &l->k->ins[v];
  bool loads =
      from->op == K_load || from->op == K_load_masked || from->op == K_gather || from->op == K_gather_masked;
  return loads && is_bf16(l, from->in[0]);
}

/* The bits of an f32 rounded to bf16. What was rounded already, or was one in memory, is only cut; where rounding is an
 * instruction it gives the bits right away, and is the same one as that of a rounding in registers. */
static LLVMValueRef narrowed(Lower *l, KV v) {
  const KIns *from = &l->k->ins[v];
  if (l->native && from->op == K_bf16) return llvm_bf16_narrow(l->b, l->v[from->in[0]], false, true);
  return llvm_bf16_narrow(l->b, l->v[v], from->op == K_bf16 || loaded_bf16(l, v), l->native);
}

/* Two of them in one i32. */
static LLVMValueRef pair(Lower *l, const KIns *i) {
  if (l->native && i->type.vec && !loaded_bf16(l, i->in[0]) && !loaded_bf16(l, i->in[1]))
    return llvm_bf16_pair(l->b, l->v[i->in[0]], l->v[i->in[1]]);
  LLVMTypeRef wide = lower_type(l, K_I32, i->type.vec);
  LLVMValueRef low = LLVMBuildZExt(l->b, narrowed(l, i->in[0]), wide, "");
  LLVMValueRef high = LLVMBuildZExt(l->b, narrowed(l, i->in[1]), wide, ""), by = lower_i32(l, 16);
  return LLVMBuildOr(l->b, low, LLVMBuildShl(l->b, high, i->type.vec && !l->own ? splat(l, by) : by, ""), "");
}

/* Neighbours in memory are a pair. */
static LLVMValueRef load_pair(Lower *l, const KIns *i) {
  LLVMValueRef v =
      LLVMBuildLoad2(l->b, LLVMInt32TypeInContext(l->c), address(l, i->in[0], l->v[i->in[1]]), "");
  LLVMSetAlignment(v, lower_element_bytes(K_BF16));
  return v;
}

static void store(Lower *l, const KIns *i) {
  KBase base = (KBase)l->k->ins[i->in[0]].type.base;
  LLVMValueRef p = address(l, i->in[0], l->v[i->in[1]]), v = l->v[i->in[2]],
               align = lower_i32(l, lower_element_bytes(base));
  if (base == K_BF16) v = narrowed(l, i->in[2]);
  LLVMTypeRef over[2] = {LLVMTypeOf(v), LLVMTypeOf(p)};
  if (i->op == K_store) {
    LLVMValueRef s = LLVMBuildStore(l->b, v, p);
    bool past = goes_past_caches(l, i);
    LLVMSetAlignment(s, lower_element_bytes(base) * (past ? (unsigned)l->k->lanes : 1));
    if (past) mark_nontemporal(l, s);
    return;
  }
  LLVMValueRef mask = i->op == K_scatter ? LLVMConstAllOnes(lower_type(l, K_I1, true)) : l->v[i->in[3]];
  intrinsic(l, i->op == K_store_masked ? "llvm.masked.store" : "llvm.masked.scatter", over, 2,
            (LLVMValueRef[]){v, p, align, mask}, 4);
}

static void prefetch(Lower *l, const KIns *i) {
  enum { READ = 0, FIRST_LEVEL = 3, SECOND_LEVEL = 2, DATA = 1 };
  int level = i->imm ? FIRST_LEVEL : SECOND_LEVEL;
  LLVMValueRef p = address(l, i->in[0], l->v[i->in[1]]);
  LLVMTypeRef over = LLVMTypeOf(p);
  intrinsic(l, "llvm.prefetch", &over, 1,
            (LLVMValueRef[]){p, lower_i32(l, READ), lower_i32(l, level), lower_i32(l, DATA)}, 4);
}

/* ---- control flow ---- */
LLVMBasicBlockRef lower_block(Lower *l, const char *name) {
  return LLVMAppendBasicBlockInContext(l->c, l->fn, name);
}
static void go_to(Lower *l, LLVMBasicBlockRef b) { LLVMPositionBuilderAtEnd(l->b, b); }

/* v, from code that nobody looks into: none. */
static LLVMValueRef opaque(Lower *l, LLVMValueRef v) {
  LLVMTypeRef t = LLVMTypeOf(v), fn = LLVMFunctionType(t, &t, 1, false);
  LLVMValueRef code = LLVMGetInlineAsm(fn, "", 0, "=r,0", 4, false, false, LLVMInlineAsmDialectATT, false);
  return LLVMBuildCall2(l->b, fn, code, &v, 1, "");
}

/* if (lo < hi) do { .. } while ((counter += step) < hi) */
static LLVMValueRef begin_for(Lower *l, int ins) {
  const KIns *i = &l->k->ins[ins];
  LLVMValueRef lo = l->v[i->in[0]], hi = l->v[i->in[1]];
  LowerBlock *b = &l->block[l->depth++];
  *b = (LowerBlock){.body = lower_block(l, "for"), .after = lower_block(l, "end"), .hi = hi, .ins = ins};
  LLVMBasicBlockRef before = LLVMGetInsertBlock(l->b);
  LLVMBuildCondBr(l->b, LLVMBuildICmp(l->b, LLVMIntSLT, lo, hi, ""), b->body, b->after);
  go_to(l, b->body);
  b->phi = LLVMBuildPhi(l->b, LLVMInt64TypeInContext(l->c), "");
  LLVMAddIncoming(b->phi, &lo, &before, 1);
  return l->k->opaque && !l->own ? opaque(l, b->phi) : b->phi;
}

static void end_for(Lower *l, LowerBlock *b) {
  LLVMValueRef next = LLVMBuildNSWAdd(l->b, b->phi, l->v[l->k->ins[b->ins].in[2]], "");
  LLVMBasicBlockRef latch = LLVMGetInsertBlock(l->b);
  LLVMBuildCondBr(l->b, LLVMBuildICmp(l->b, LLVMIntSLT, next, b->hi, ""), b->body, b->after);
  LLVMAddIncoming(b->phi, &next, &latch, 1);
  go_to(l, b->after);
}

static void begin_if(Lower *l, int ins) {
  LowerBlock *b = &l->block[l->depth++];
  *b = (LowerBlock){.body = lower_block(l, "then"),
                    .other = lower_block(l, "else"),
                    .after = lower_block(l, "fi"),
                    .ins = ins};
  LLVMBuildCondBr(l->b, l->v[l->k->ins[ins].in[0]], b->body, b->other);
  go_to(l, b->body);
}

static void begin_else(Lower *l) {
  LowerBlock *b = &l->block[l->depth - 1];
  LLVMBuildBr(l->b, b->after);
  go_to(l, b->other);
  b->other = NULL;
}

static void end_block(Lower *l) {
  LowerBlock *b = &l->block[--l->depth];
  if (b->phi) {
    end_for(l, b);
    return;
  }
  LLVMBuildBr(l->b, b->after);
  if (b->other) { /* no else: an empty one */
    go_to(l, b->other);
    LLVMBuildBr(l->b, b->after);
  }
  go_to(l, b->after);
}

/* ---- leaves, loaded once in the entry block ---- */
/* Marks a load of the launch's constants: the address list and the step never change while the kernel runs.
 */
static LLVMValueRef invariant_load(Lower *l, LLVMTypeRef t, LLVMValueRef base, int64_t bytes) {
  LLVMValueRef at = lower_i64(l, bytes);
  LLVMValueRef p = LLVMBuildGEP2(l->entry, LLVMInt8TypeInContext(l->c), base, &at, 1, "");
  LLVMValueRef v = LLVMBuildLoad2(l->entry, t, p, "");
  unsigned kind = LLVMGetMDKindIDInContext(l->c, "invariant.load", 14);
  LLVMSetMetadata(v, kind, LLVMMetadataAsValue(l->c, LLVMMDNodeInContext2(l->c, NULL, 0)));
  return v;
}

static LLVMValueRef slot(Lower *l, LLVMTypeRef t, const KIns *i) {
  LLVMValueRef p = LLVMBuildAlloca(l->entry, t, i->name ? i->name : "");
  if (i->op == K_scratch) LLVMSetAlignment(p, 64);
  return p;
}

static LLVMValueRef literal(Lower *l, const KIns *i) {
  LLVMTypeRef t = lower_type(l, (KBase)i->type.base, false);
  return is_float(i->type) ? LLVMConstReal(t, i->fimm) : LLVMConstInt(t, (unsigned long long)i->imm, true);
}

static LLVMValueRef lower_ins(Lower *l, int ins) {
  const KIns *i = &l->k->ins[ins];
  KType t = i->type;
  LLVMValueRef a = i->in[0] >= 0 ? l->v[i->in[0]] : NULL, b = i->in[1] >= 0 ? l->v[i->in[1]] : NULL;
  LLVMValueRef c = i->in[2] >= 0 ? l->v[i->in[2]] : NULL;
  LLVMTypeRef type = lower_type(l, (KBase)t.base, t.vec), ptr = LLVMPointerTypeInContext(l->c, 0);
  LLVMValueRef own = NULL;
  if (l->own && l->own(l, ins, &own)) return own;
  switch (i->op) {
  case K_const: return literal(l, i);
  case K_arg: return invariant_load(l, ptr, LLVMGetParam(l->fn, 0), 8 * i->imm);
  case K_task: return LLVMGetParam(l->fn, 2);
  case K_thread: return lower_i64(l, 0);
  case K_seed: return invariant_load(l, type, LLVMGetParam(l->fn, 1), 4 * i->imm);
  case K_splat: return splat_value(l, i->in[0]);
  case K_iota: return iota(l);
  case K_cast: return cast(l, l->k->ins[i->in[0]].type, t, a);
  case K_bitcast: return LLVMBuildBitCast(l->b, a, type, "");
  case K_bf16: return llvm_bf16_round(l->b, a, l->native);
  case K_pair: return pair(l, i);
  case K_load_pair: return load_pair(l, i);
  case K_dot2: return llvm_bf16_dot2(l->b, a, b, c, l->native);
  case K_neg:
  case K_sqrt:
  case K_floor:
  case K_abs: return unary(l, i->op, t, a);
  case K_fma: return intrinsic(l, "llvm.fma", &type, 1, (LLVMValueRef[]){a, b, c}, 3);
  case K_select: return LLVMBuildSelect(l->b, a, b, c, "");
  case K_min:
  case K_max: return extreme(l, i);
  case K_hsum:
  case K_hmax:
  case K_hmin: return horizontal(l, i->op, t, a);
  case K_lane: return LLVMBuildExtractElement(l->b, a, b, "");
  case K_zip_low:
  case K_zip_high: return zip(l, a, b, i->op == K_zip_high);
  case K_load:
  case K_load_masked:
  case K_gather:
  case K_gather_masked: return load(l, i);
  case K_store:
  case K_store_masked:
  case K_scatter:
  case K_scatter_masked: return store(l, i), NULL;
  case K_prefetch: return prefetch(l, i), NULL;
  case K_scratch: return slot(l, LLVMArrayType2(type, (uint64_t)i->imm), i);
  case K_local: return slot(l, type, i);
  case K_get: return LLVMBuildLoad2(l->b, type, a, "");
  case K_set: return LLVMBuildStore(l->b, b, a);
  case K_barrier:
  case K_sync: return NULL; /* a block of one thread has nobody to wait for */
  case K_for: return begin_for(l, ins);
  case K_if: return begin_if(l, ins), NULL;
  case K_else: return begin_else(l), NULL;
  case K_end: return end_block(l), NULL;
  default: return binary(l, i->op, l->k->ins[i->in[0]].type, a, b);
  }
}

static void attribute(LLVMContextRef c, LLVMValueRef fn, const char *key, const char *value) {
  LLVMAddAttributeAtIndex(
      fn, LLVMAttributeFunctionIndex,
      LLVMCreateStringAttribute(c, key, (unsigned)strlen(key), value, (unsigned)strlen(value)));
}

static LLVMValueRef declare(LLVMModuleRef m, NetcIsa isa, const char *symbol) {
  LLVMContextRef c = LLVMGetModuleContext(m);
  LLVMTypeRef ptr = LLVMPointerTypeInContext(c, 0), param[3] = {ptr, ptr, LLVMInt64TypeInContext(c)};
  LLVMValueRef fn = LLVMAddFunction(m, symbol, LLVMFunctionType(LLVMVoidTypeInContext(c), param, 3, false));
  unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", 8);
  LLVMAddAttributeAtIndex(fn, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(c, nounwind, 0));
  attribute(c, fn, "target-cpu", lower_cpu(isa));
  if (isa == NETC_ISA_AVX512_BF16) attribute(c, fn, "target-features", lower_features(isa));
  attribute(c, fn, "prefer-vector-width", isa == NETC_ISA_AVX2 ? "256" : "512");
  attribute(c, fn, "min-legal-vector-width", isa == NETC_ISA_AVX2 ? "256" : "512");
  return fn;
}

/* Several threads lower kernels of one arena, so nothing is taken from it here. */
void lower_body(Lower *l) {
  Arena *own = arena_new();
  l->v = arena_alloc(own, ((size_t)l->k->n + 1) * sizeof *l->v);
  l->b = LLVMCreateBuilderInContext(l->c);
  l->entry = LLVMCreateBuilderInContext(l->c);
  LLVMBasicBlockRef entry = lower_block(l, "entry"), body = lower_block(l, "body");
  LLVMPositionBuilderAtEnd(l->entry, entry);
  go_to(l, body);
  if (l->begin) l->begin(l);
  for (int v = 0; v < l->k->n; v++) l->v[v] = lower_ins(l, v);
  fence(l);
  LLVMBuildRetVoid(l->b);
  LLVMBuildBr(l->entry, body);
  LLVMDisposeBuilder(l->b);
  LLVMDisposeBuilder(l->entry);
  arena_free(own);
}

LLVMValueRef lower_kernel(LLVMModuleRef m, const KFn *kernel, NetcIsa isa, const char *symbol) {
  Arena *arena = arena_new();
  Lower l = {.c = LLVMGetModuleContext(m), .m = m, .k = math_expand(arena, kernel)};
  l.native = isa == NETC_ISA_AVX512_BF16 && kernel->lanes == 16;
  LLVMValueRef fn = l.fn = declare(m, isa, symbol);
  lower_body(&l);
  arena_free(arena);
  return fn;
}
