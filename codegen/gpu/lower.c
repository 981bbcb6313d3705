/* lower.c - what both leaves share: a vector is a scalar in every lane, so arithmetic and control flow are
 * those of codegen/llvm/lower.c; memory, masks and what crosses lanes are here. */
#include <string.h>
#include "codegen/llvm/bf16.h"
#include "codegen/gpu/leaves.h"

LLVMValueRef simt_call(Lower *l, const char *name, LLVMValueRef *args, int n) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  LLVMValueRef fn = LLVMGetIntrinsicDeclaration(l->m, id, NULL, 0);
  return LLVMBuildCall2(l->b, LLVMIntrinsicGetType(l->c, id, NULL, 0), fn, args, (unsigned)n, "");
}

/* ---- some lanes only ---- */

typedef struct {
  LLVMBasicBlockRef before, after;
} Some;

static Some some_begin(Lower *l, LLVMValueRef mask) {
  Some s = {.before = LLVMGetInsertBlock(l->b)};
  LLVMBasicBlockRef body = lower_block(l, "lanes");
  s.after = lower_block(l, "all");
  LLVMBuildCondBr(l->b, mask, body, s.after);
  LLVMPositionBuilderAtEnd(l->b, body);
  return s;
}

/* v in the lanes that took part, else 0; v NULL: no value. */
static LLVMValueRef some_end(Lower *l, const Some *s, LLVMValueRef v) {
  LLVMBasicBlockRef body = LLVMGetInsertBlock(l->b);
  LLVMBuildBr(l->b, s->after);
  LLVMPositionBuilderAtEnd(l->b, s->after);
  if (!v) return NULL;
  LLVMValueRef phi = LLVMBuildPhi(l->b, LLVMTypeOf(v), ""), zero = LLVMConstNull(LLVMTypeOf(v));
  LLVMAddIncoming(phi, &v, &body, 1);
  LLVMAddIncoming(phi, &zero, (LLVMBasicBlockRef *)&s->before, 1);
  return phi;
}

/* ---- rounding to bf16: by integers, or by an instruction where the kernel's family has one. Both give the
 * same bits, of denormals and infinities, too, but for NaN, which the instruction makes 0x7fff of, whatever
 * it was. ---- */

/* The bits, i16. What was rounded already is only cut. */
static LLVMValueRef narrowed(SimtLower *s, KV v) {
  Lower *l = &s->l;
  bool exact = l->k->ins[v].op == K_bf16;
  return exact || !s->rounds ? llvm_bf16_narrow(l->b, l->v[v], exact, false)
                             : s->leaf->bf16(s, l->v[v], NULL);
}

static bool rounding(SimtLower *s, const KIns *i, LLVMValueRef *out) {
  Lower *l = &s->l;
  if (!s->rounds) return false;
  *out = s->leaf->bf16(s, l->v[i->in[0]], i->op == K_pair ? l->v[i->in[1]] : NULL);
  if (i->op == K_bf16) *out = llvm_bf16_widen(l->b, *out);
  return true;
}

/* ---- memory ---- */

/* Is the access of neighbours, lane by lane, and the offset of instruction i a vector of its own? */
static bool by_lane(const Lower *l, const KIns *i) {
  switch (i->op) {
  case K_load: return i->type.vec;
  case K_store: return l->k->ins[i->in[2]].type.vec;
  case K_load_masked:
  case K_store_masked: return true;
  default: return false;
  }
}

static LLVMValueRef place(SimtLower *s, int ins, bool write) {
  const KIns *i = &s->l.k->ins[ins];
  LLVMValueRef at = s->l.v[i->in[1]];
  if (s->l.k->ins[i->in[1]].type.base == K_I32)
    at = LLVMBuildSExt(s->l.b, at, LLVMInt64TypeInContext(s->l.c), "");
  if (i->op == K_gather_at) at = LLVMBuildAdd(s->l.b, at, lower_i64(&s->l, i->imm), "");
  return s->leaf->address(s, ins, i->in[0], at, by_lane(&s->l, i), write);
}

static LLVMValueRef load(SimtLower *s, int ins) {
  Lower *l = &s->l;
  const KIns *i = &l->k->ins[ins];
  KBase base = (KBase)l->k->ins[i->in[0]].type.base;
  bool masked = i->op == K_load_masked || i->op == K_gather_masked;
  Some some = {0};
  if (masked) some = some_begin(l, l->v[i->in[2]]);
  LLVMValueRef v = LLVMBuildLoad2(l->b, lower_base_type(l->c, base), place(s, ins, false), "");
  LLVMSetAlignment(v, lower_element_bytes(base));
  if (base == K_BF16) v = llvm_bf16_widen(l->b, v);
  return masked ? some_end(l, &some, v) : v;
}

/* A scalar is stored by one lane. */
static void store(SimtLower *s, int ins) {
  Lower *l = &s->l;
  const KIns *i = &l->k->ins[ins];
  KBase base = (KBase)l->k->ins[i->in[0]].type.base;
  LLVMValueRef v = l->v[i->in[2]], who = NULL;
  if (base == K_BF16) v = narrowed(s, i->in[2]);
  if (i->op == K_store_masked || i->op == K_scatter_masked) who = l->v[i->in[3]];
  else if (!l->k->ins[i->in[2]].type.vec) who = LLVMBuildICmp(l->b, LLVMIntEQ, s->lane, lower_i32(l, 0), "");
  Some some = {0};
  if (who) some = some_begin(l, who);
  LLVMSetAlignment(LLVMBuildStore(l->b, v, place(s, ins, true)), lower_element_bytes(base));
  if (who) some_end(l, &some, NULL);
}

/* ---- across lanes ---- */

/* A value of another lane, of any type. Values of 64 bits go in halves. */
static LLVMValueRef from_lane(SimtLower *s, int ins, LLVMValueRef v, LLVMValueRef lane, bool exchange) {
  Lower *l = &s->l;
  LLVMTypeRef type = LLVMTypeOf(v), word = LLVMInt32TypeInContext(l->c), wide = LLVMInt64TypeInContext(l->c);
  if (type == LLVMInt1TypeInContext(l->c)) {
    v = s->leaf->shuffle(s, ins, LLVMBuildZExt(l->b, v, word, ""), lane, exchange);
    return LLVMBuildTrunc(l->b, v, type, "");
  }
  if (type != wide && type != LLVMDoubleTypeInContext(l->c)) {
    v = s->leaf->shuffle(s, ins, LLVMBuildBitCast(l->b, v, word, ""), lane, exchange);
    return LLVMBuildBitCast(l->b, v, type, "");
  }
  LLVMValueRef bits = LLVMBuildBitCast(l->b, v, wide, ""), half = lower_i64(l, 32);
  LLVMValueRef low = LLVMBuildTrunc(l->b, bits, word, "");
  LLVMValueRef high = LLVMBuildTrunc(l->b, LLVMBuildLShr(l->b, bits, half, ""), word, "");
  low = LLVMBuildZExt(l->b, s->leaf->shuffle(s, ins, low, lane, exchange), wide, "");
  high = LLVMBuildZExt(l->b, s->leaf->shuffle(s, ins, high, lane, exchange), wide, "");
  bits = LLVMBuildOr(l->b, LLVMBuildShl(l->b, high, half, ""), low, "");
  return LLVMBuildBitCast(l->b, bits, type, "");
}

/* The same tree as on the host: in lane 0 its lower half meets its upper half in every step. A sum of two is
 * the same either way round, so it comes out the same in all lanes; which of two zeros, or of two NaN, is
 * taken depends on their order, so all take what lane 0 has. */
static LLVMValueRef horizontal(SimtLower *s, int ins, LLVMValueRef v) {
  Lower *l = &s->l;
  const KIns *i = &l->k->ins[ins];
  bool f = i->type.base == K_F32 || i->type.base == K_F64;
  for (int half = SIMT_LANES / 2; half >= 1; half /= 2) {
    LLVMValueRef o = from_lane(s, ins, v, lower_i32(l, half), true);
    if (i->op != K_hsum) v = lower_smaller(l, f, v, o, i->op == K_hmax);
    else v = f ? LLVMBuildFAdd(l->b, v, o, "") : LLVMBuildAdd(l->b, v, o, "");
  }
  return i->op == K_hsum ? v : from_lane(s, ins, v, lower_i32(l, 0), false);
}

/* Lane i takes lane i / 2 of a half, of b where i is odd. */
static LLVMValueRef zip(SimtLower *s, int ins) {
  Lower *l = &s->l;
  const KIns *i = &l->k->ins[ins];
  LLVMValueRef lane = LLVMBuildLShr(l->b, s->lane, lower_i32(l, 1), "");
  if (i->op == K_zip_high) lane = LLVMBuildAdd(l->b, lane, lower_i32(l, SIMT_LANES / 2), "");
  LLVMValueRef a = from_lane(s, ins, l->v[i->in[0]], lane, false);
  LLVMValueRef b = from_lane(s, ins, l->v[i->in[1]], lane, false);
  LLVMValueRef odd = LLVMBuildTrunc(l->b, s->lane, LLVMInt1TypeInContext(l->c), "");
  return LLVMBuildSelect(l->b, odd, b, a, "");
}

/* The low bits of a parameter's word are a value of any type. */
static LLVMValueRef parameter(SimtLower *s, const KIns *i) {
  Lower *l = &s->l;
  LLVMValueRef word = s->leaf->parameter(s, i->imm);
  bool narrow = i->type.base == K_I32 || i->type.base == K_F32;
  if (narrow) word = LLVMBuildTrunc(l->b, word, LLVMInt32TypeInContext(l->c), "");
  return LLVMBuildBitCast(l->b, word, lower_base_type(l->c, (KBase)i->type.base), "");
}

static bool own(Lower *l, int ins, LLVMValueRef *out) {
  SimtLower *s = (SimtLower *)(void *)l;
  const KIns *i = &l->k->ins[ins];
  LLVMValueRef a = i->in[0] >= 0 ? l->v[i->in[0]] : NULL;
  int64_t lane = 0;
  switch (i->op) {
  case K_arg: *out = s->leaf->argument(s, i->imm); return true;
  case K_param: *out = parameter(s, i); return true;
  case K_task: *out = s->task; return true;
  case K_thread: *out = LLVMBuildZExt(l->b, s->warp, LLVMInt64TypeInContext(l->c), ""); return true;
  case K_seed: *out = s->leaf->seed(s, i->imm); return true;
  case K_splat: *out = a; return true;
  case K_bf16:
  case K_pair: return rounding(s, i, out);
  case K_iota: *out = s->lane; return true;
  case K_hsum:
  case K_hmax:
  case K_hmin: *out = horizontal(s, ins, a); return true;
  case K_lane:
    k_is_const(l->k, i->in[1], &lane);
    *out = from_lane(s, ins, a, lower_i32(l, lane), false);
    return true;
  case K_zip_low:
  case K_zip_high: *out = zip(s, ins); return true;
  case K_load:
  case K_load_masked:
  case K_gather:
  case K_gather_at:
  case K_gather_masked: *out = load(s, ins); return true;
  case K_store:
  case K_store_masked:
  case K_scatter:
  case K_scatter_masked: store(s, ins); return true;
  case K_prefetch: return true; /* other warps hide latency here */
  case K_scratch: *out = s->leaf->scratch(s, ins); return true;
  case K_barrier: s->leaf->sync(s, ins, l->k->warps > 1); return true;
  case K_sync: s->leaf->sync(s, ins, false); return true;
  default: return simt_warp(s, ins, out);
  }
}

static void begin(Lower *l) {
  SimtLower *s = (SimtLower *)(void *)l;
  s->leaf->begin(s);
}

void simt_lower(SimtLower *s) {
  s->l.own = own;
  s->l.begin = begin;
  s->rounds = simt_family(s->l.k) >= NETC_SM_80;
  lower_body(&s->l);
}
