/* leaves.c - the leaves of emulated threads: every access and whatever crosses lanes is a call (SimtCalls),
 * so that an emulator sees all of it. */
#include <stddef.h>
#include "codegen/emulator/leaves.h"
#include "codegen/llvm/bf16.h"
#include "codegen/gpu/leaves.h"

enum { CALLS, THREAD, LANE, WARP, TASK, STEP, WORDS, PARAMETERS };

/* Calls the function at `offset` of SimtCalls with the thread before the n arguments. */
static LLVMValueRef call(Lower *l, size_t offset, LLVMTypeRef result, LLVMValueRef *args, unsigned n) {
  LLVMTypeRef ptr = LLVMPointerTypeInContext(l->c, 0), type[8] = {ptr};
  LLVMValueRef value[8] = {LLVMGetParam(l->fn, THREAD)}, at = lower_i64(l, (int64_t)offset);
  for (unsigned i = 0; i < n; i++) value[i + 1] = args[i], type[i + 1] = LLVMTypeOf(args[i]);
  LLVMValueRef p = LLVMBuildGEP2(l->b, LLVMInt8TypeInContext(l->c), LLVMGetParam(l->fn, CALLS), &at, 1, "");
  LLVMValueRef fn = LLVMBuildLoad2(l->b, ptr, p, "");
  LLVMValueRef v = LLVMBuildCall2(l->b, LLVMFunctionType(result, type, n + 1, false), fn, value, n + 1, "");
  unsigned convergent = LLVMGetEnumAttributeKindForName("convergent", 10);
  LLVMAddCallSiteAttribute(v, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(l->c, convergent, 0));
  return v;
}

static void begin(SimtLower *s) {
  s->lane = LLVMGetParam(s->l.fn, LANE);
  s->warp = LLVMGetParam(s->l.fn, WARP);
  s->task = LLVMGetParam(s->l.fn, TASK);
}

static LLVMValueRef seed(SimtLower *s, int64_t word) {
  LLVMTypeRef t = LLVMInt32TypeInContext(s->l.c);
  LLVMValueRef at = lower_i64(&s->l, word);
  return LLVMBuildLoad2(s->l.b, t, LLVMBuildGEP2(s->l.b, t, LLVMGetParam(s->l.fn, STEP), &at, 1, ""), "");
}

/* Read at the start: used anywhere. */
static LLVMValueRef parameter(SimtLower *s, int64_t number) {
  LLVMBuilderRef b = s->l.entry;
  LLVMTypeRef t = LLVMInt64TypeInContext(s->l.c);
  LLVMValueRef at = lower_i64(&s->l, number);
  return LLVMBuildLoad2(b, t, LLVMBuildGEP2(b, t, LLVMGetParam(s->l.fn, WORDS), &at, 1, ""), "");
}

/* Buffers are their numbers. */
static LLVMValueRef argument(SimtLower *s, int64_t number) { return lower_i32(&s->l, number); }
static LLVMValueRef scratch(SimtLower *s, int ins) {
  (void)ins;
  return lower_i32(&s->l, s->l.k->nargs + s->nscratch++);
}

static LLVMValueRef address(SimtLower *s, int ins, KV buf, LLVMValueRef at, bool by_lane, bool write) {
  Lower *l = &s->l;
  unsigned bytes = lower_element_bytes((KBase)l->k->ins[buf].type.base);
  if (by_lane)
    at = LLVMBuildAdd(l->b, at, LLVMBuildZExt(l->b, s->lane, LLVMInt64TypeInContext(l->c), ""), "");
  LLVMValueRef args[] = {lower_i32(l, ins), l->v[buf], at, lower_i32(l, bytes), lower_i32(l, write)};
  return call(l, offsetof(SimtCalls, address), LLVMPointerTypeInContext(l->c, 0), args, 5);
}

static LLVMValueRef shuffle(SimtLower *s, int ins, LLVMValueRef word, LLVMValueRef lane, bool exchange) {
  Lower *l = &s->l;
  LLVMValueRef args[] = {lower_i32(l, ins), word, lane, lower_i32(l, exchange)};
  return call(l, offsetof(SimtCalls, shuffle), LLVMInt32TypeInContext(l->c), args, 4);
}

static void sync(SimtLower *s, int ins, bool block) {
  LLVMValueRef args[] = {lower_i32(&s->l, ins), lower_i32(&s->l, block)};
  call(&s->l, offsetof(SimtCalls, sync), LLVMVoidTypeInContext(s->l.c), args, 2);
}

/* Half of the distance to the next tf32 is added, what lies below is cut; a NaN has bits among those that
 * stay. */
static LLVMValueRef tf32(SimtLower *s, LLVMValueRef v) {
  Lower *l = &s->l;
  LLVMTypeRef word = LLVMInt32TypeInContext(l->c), real = LLVMFloatTypeInContext(l->c);
  LLVMValueRef bits = LLVMBuildBitCast(l->b, v, word, ""), nan = LLVMBuildFCmp(l->b, LLVMRealUNO, v, v, "");
  bits = LLVMBuildAnd(l->b, LLVMBuildAdd(l->b, bits, lower_i32(l, 0x1000), ""), lower_i32(l, ~0x1fff), "");
  return LLVMBuildBitCast(l->b, LLVMBuildSelect(l->b, nan, lower_i32(l, 0x7fffe000), bits, ""), real, "");
}

static LLVMValueRef bf16_bits(Lower *l, LLVMValueRef v) {
  LLVMValueRef nan = LLVMBuildFCmp(l->b, LLVMRealUNO, v, v, ""),
               bits = llvm_bf16_narrow(l->b, v, false, false);
  return LLVMBuildSelect(l->b, nan, LLVMConstInt(LLVMTypeOf(bits), 0x7fff, false), bits, "");
}

/* As cvt.rn: to nearest even, denormals kept, one NaN. */
static LLVMValueRef bf16(SimtLower *s, LLVMValueRef low, LLVMValueRef high) {
  Lower *l = &s->l;
  LLVMTypeRef word = LLVMInt32TypeInContext(l->c);
  LLVMValueRef bits = bf16_bits(l, low);
  if (!high) return bits;
  high = LLVMBuildShl(l->b, LLVMBuildZExt(l->b, bf16_bits(l, high), word, ""), lower_i32(l, 16), "");
  return LLVMBuildOr(l->b, LLVMBuildZExt(l->b, bits, word, ""), high, "");
}

static void load_matrix(SimtLower *s, int ins, LLVMValueRef regs, KV buf, LLVMValueRef at, int64_t further,
                        bool transposed) {
  Lower *l = &s->l;
  at = LLVMBuildAdd(l->b, at, lower_i64(l, further), "");
  LLVMValueRef args[] = {lower_i32(l, ins), l->v[buf], at, lower_i32(l, transposed), regs};
  call(l, offsetof(SimtCalls, load_matrix), LLVMVoidTypeInContext(l->c), args, 5);
}

static void mma(SimtLower *s, int ins, bool bf16, LLVMValueRef sum, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef args[] = {lower_i32(&s->l, ins), lower_i32(&s->l, bf16), sum, a, b};
  call(&s->l, offsetof(SimtCalls, mma), LLVMVoidTypeInContext(s->l.c), args, 5);
}

static void copy_async(SimtLower *s, int ins, KV to_buf, LLVMValueRef to, KV from_buf, LLVMValueRef from,
                       int64_t bytes) {
  Lower *l = &s->l;
  LLVMValueRef args[] = {lower_i32(l, ins), l->v[to_buf], to, l->v[from_buf], from, lower_i32(l, bytes)};
  call(l, offsetof(SimtCalls, copy_async), LLVMVoidTypeInContext(l->c), args, 6);
}

static void commit(SimtLower *s, int ins) {
  LLVMValueRef args[] = {lower_i32(&s->l, ins)};
  call(&s->l, offsetof(SimtCalls, commit), LLVMVoidTypeInContext(s->l.c), args, 1);
}

static void wait_group(SimtLower *s, int ins, int64_t latest) {
  LLVMValueRef args[] = {lower_i32(&s->l, ins), lower_i32(&s->l, latest)};
  call(&s->l, offsetof(SimtCalls, wait_group), LLVMVoidTypeInContext(s->l.c), args, 2);
}

static LLVMValueRef matrix(SimtLower *s, int ins, KV buf, LLVMValueRef at, int64_t form) {
  Lower *l = &s->l;
  LLVMValueRef args[] = {lower_i32(l, ins), l->v[buf], at, lower_i64(l, form)};
  return call(l, offsetof(SimtCalls, matrix), LLVMInt64TypeInContext(l->c), args, 4);
}

static void order(SimtLower *s, int ins, KOp op) {
  LLVMValueRef args[] = {lower_i32(&s->l, ins), lower_i32(&s->l, op)};
  call(&s->l, offsetof(SimtCalls, order), LLVMVoidTypeInContext(s->l.c), args, 2);
}

static void wgmma(SimtLower *s, int ins, bool bf16, LLVMValueRef sum, LLVMValueRef a, LLVMValueRef a_matrix,
                  LLVMValueRef b_matrix) {
  Lower *l = &s->l;
  LLVMValueRef none = LLVMConstNull(LLVMPointerTypeInContext(l->c, 0));
  LLVMValueRef args[] = {
      lower_i32(l, ins), lower_i32(l, bf16), sum, a ? a : none, a_matrix ? a_matrix : lower_i64(l, 0),
      b_matrix};
  call(l, offsetof(SimtCalls, wgmma), LLVMVoidTypeInContext(l->c), args, 6);
}

static const SimtLeaves leaves = {begin,      seed,   argument,   parameter, scratch,     address,
                                  shuffle,    sync,   tf32,       bf16,      load_matrix, mma,
                                  copy_async, commit, wait_group, matrix,    order,       wgmma};

LLVMValueRef simt_lower_host(LLVMModuleRef m, const KFn *k, const char *symbol) {
  SimtLower s = {.l = {.c = LLVMGetModuleContext(m), .m = m, .k = k}, .leaf = &leaves};
  LLVMTypeRef ptr = LLVMPointerTypeInContext(s.l.c, 0), word = LLVMInt32TypeInContext(s.l.c);
  LLVMTypeRef param[PARAMETERS] = {ptr, ptr, word, word, LLVMInt64TypeInContext(s.l.c), ptr, ptr};
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(s.l.c), param, PARAMETERS, false);
  s.l.fn = LLVMAddFunction(m, symbol, type);
  static const char cpu[] = "x86-64-v3"; /* a multiply-add rounds once */
  LLVMAddAttributeAtIndex(s.l.fn, LLVMAttributeFunctionIndex,
                          LLVMCreateStringAttribute(s.l.c, "target-cpu", 10, cpu, sizeof cpu - 1));
  simt_lower(&s);
  return s.l.fn;
}
