/* ptx.c - the leaves of a GPU, and PTX text. Buffers are pointers to global memory, scratch is an array in
 * shared memory; special registers and what crosses lanes are LLVM's intrinsics. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/Target.h>
#include "codegen/llvm/lower.h"
#include "codegen/gpu/leaves.h"
#include "codegen/gpu/lower.h"

enum { GLOBAL = 1, SHARED = 3 };

/* ---- leaves ---- */

static LLVMValueRef all_lanes(const Lower *l) { return lower_i32(l, -1); }

/* Warps of a block ask their first lane which one they are: the compiler of the device then knows that
 * the number is one for all lanes, and all index arithmetic with it. Warps beyond the last task end at once. */
static void begin(SimtLower *s) {
  Lower *l = &s->l;
  LLVMTypeRef wide = LLVMInt64TypeInContext(l->c);
  LLVMValueRef thread = simt_call(l, "llvm.nvvm.read.ptx.sreg.tid.x", NULL, 0);
  LLVMValueRef block = simt_call(l, "llvm.nvvm.read.ptx.sreg.ctaid.x", NULL, 0);
  int tasks = simt_block_tasks(l->k);
  s->lane = LLVMBuildAnd(l->b, thread, lower_i32(l, SIMT_LANES - 1), "");
  s->warp = LLVMBuildLShr(l->b, thread, lower_i32(l, 5), "");
  s->task = LLVMBuildZExt(l->b, block, wide, "");
  LLVMValueRef args[4] = {all_lanes(l), s->warp, lower_i32(l, 0), lower_i32(l, SIMT_LANES - 1)};
  if (tasks * l->k->warps > 1) s->warp = simt_call(l, "llvm.nvvm.shfl.sync.idx.i32", args, 4);
  if (tasks == 1) return;
  LLVMValueRef warp = LLVMBuildZExt(l->b, s->warp, wide, "");
  s->task = LLVMBuildAdd(l->b, LLVMBuildMul(l->b, s->task, lower_i64(l, tasks), ""), warp, "");
  s->warp = lower_i32(l, 0);
  LLVMBasicBlockRef none = lower_block(l, "none"), work = lower_block(l, "work");
  LLVMValueRef last = LLVMGetParam(l->fn, (unsigned)l->k->nargs + 1);
  LLVMBuildCondBr(l->b, LLVMBuildICmp(l->b, LLVMIntSLT, s->task, last, ""), work, none);
  LLVMPositionBuilderAtEnd(l->b, none);
  LLVMBuildRetVoid(l->b);
  LLVMPositionBuilderAtEnd(l->b, work);
}

static LLVMValueRef seed(SimtLower *s, int64_t word) {
  Lower *l = &s->l;
  LLVMTypeRef t = LLVMInt32TypeInContext(l->c);
  LLVMValueRef at = lower_i64(l, word), step = LLVMGetParam(l->fn, (unsigned)l->k->nargs);
  LLVMValueRef v = LLVMBuildLoad2(l->b, t, LLVMBuildGEP2(l->b, t, step, &at, 1, ""), "");
  unsigned kind = LLVMGetMDKindIDInContext(l->c, "invariant.load", 14);
  LLVMSetMetadata(v, kind, LLVMMetadataAsValue(l->c, LLVMMDNodeInContext2(l->c, NULL, 0)));
  return v;
}

static LLVMValueRef argument(SimtLower *s, int64_t number) { return LLVMGetParam(s->l.fn, (unsigned)number); }

/* Behind the arguments, the step and the number of tasks. */
static LLVMValueRef parameter(SimtLower *s, int64_t number) {
  return LLVMGetParam(s->l.fn, (unsigned)(s->l.k->nargs + 2 + number));
}

static LLVMValueRef scratch(SimtLower *s, int ins) {
  Lower *l = &s->l;
  const KIns *i = &l->k->ins[ins];
  char name[32];
  snprintf(name, sizeof name, "scratch%d", s->nscratch++);
  bool dynamic = simt_dynamic(l->k); /* declared without a size, elsewhere: what the launch gives */
  LLVMTypeRef t = LLVMArrayType2(lower_base_type(l->c, (KBase)i->type.base), dynamic ? 0 : (uint64_t)i->imm);
  LLVMValueRef g = LLVMAddGlobalInAddressSpace(l->m, t, name, SHARED);
  LLVMSetLinkage(g, dynamic ? LLVMExternalLinkage : LLVMInternalLinkage);
  if (!dynamic) LLVMSetInitializer(g, LLVMGetUndef(t));
  LLVMSetAlignment(g, kir_wgmma(l->k) ? SIMT_PATTERN : 16);
  return g;
}

/* The lane is added first: once for each buffer. */
static LLVMValueRef address(SimtLower *s, int ins, KV buf, LLVMValueRef at, bool by_lane, bool write) {
  (void)ins, (void)write;
  Lower *l = &s->l;
  LLVMTypeRef t = lower_base_type(l->c, (KBase)l->k->ins[buf].type.base);
  LLVMValueRef p = l->v[buf], lane = LLVMBuildZExt(l->b, s->lane, LLVMInt64TypeInContext(l->c), "");
  if (by_lane) p = LLVMBuildGEP2(l->b, t, p, &lane, 1, "");
  return LLVMBuildGEP2(l->b, t, p, &at, 1, "");
}

static LLVMValueRef shuffle(SimtLower *s, int ins, LLVMValueRef word, LLVMValueRef lane, bool exchange) {
  (void)ins;
  Lower *l = &s->l;
  LLVMValueRef args[4] = {all_lanes(l), word, lane, lower_i32(l, SIMT_LANES - 1)};
  return simt_call(l, exchange ? "llvm.nvvm.shfl.sync.bfly.i32" : "llvm.nvvm.shfl.sync.idx.i32", args, 4);
}

static void sync(SimtLower *s, int ins, bool block) {
  (void)ins;
  Lower *l = &s->l;
  LLVMValueRef all = all_lanes(l);
  if (block) simt_call(l, "llvm.nvvm.barrier0", NULL, 0);
  else simt_call(l, "llvm.nvvm.bar.warp.sync", &all, 1);
}

/* ---- tensor cores, asynchronous copies: from sm_80 on ---- */

static LLVMValueRef tf32(SimtLower *s, LLVMValueRef v) {
  Lower *l = &s->l;
  return LLVMBuildBitCast(l->b, simt_call(l, "llvm.nvvm.f2tf32.rna", &v, 1), LLVMFloatTypeInContext(l->c),
                          "");
}

static LLVMValueRef bf16(SimtLower *s, LLVMValueRef low, LLVMValueRef high) {
  Lower *l = &s->l;
  LLVMValueRef both[] = {high, low};
  if (!high)
    return LLVMBuildBitCast(l->b, simt_call(l, "llvm.nvvm.f2bf16.rn", &low, 1), LLVMInt16TypeInContext(l->c),
                            "");
  return LLVMBuildBitCast(l->b, simt_call(l, "llvm.nvvm.ff2bf16x2.rn", both, 2), LLVMInt32TypeInContext(l->c),
                          "");
}

static LLVMValueRef element(Lower *l, KV buf, LLVMValueRef at) {
  LLVMTypeRef t = lower_base_type(l->c, (KBase)l->k->ins[buf].type.base);
  return LLVMBuildGEP2(l->b, t, l->v[buf], &at, 1, "");
}

static void load_matrix(SimtLower *s, int ins, LLVMValueRef regs, KV buf, LLVMValueRef at, int64_t further,
                        bool transposed) {
  (void)ins;
  Lower *l = &s->l;
  static const char plain[] = "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16",
                    turn[] = "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16";
  const char *name = transposed ? turn : plain;
  LLVMTypeRef word = LLVMInt32TypeInContext(l->c), over = LLVMPointerTypeInContext(l->c, SHARED);
  LLVMTypeRef t = lower_base_type(l->c, (KBase)l->k->ins[buf].type.base);
  LLVMValueRef p = element(l, buf, at), more = lower_i64(l, further);
  p = LLVMBuildGEP2(l->b, t, p, &more, 1, ""); /* by itself: a number in the instruction */
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  LLVMValueRef fn = LLVMGetIntrinsicDeclaration(l->m, id, &over, 1);
  LLVMValueRef all = LLVMBuildCall2(l->b, LLVMIntrinsicGetType(l->c, id, &over, 1), fn, &p, 1, "");
  for (unsigned i = 0; i < 4; i++)
    LLVMBuildStore(l->b, LLVMBuildExtractValue(l->b, all, i, ""), simt_reg(l, word, regs, i));
}

static void mma(SimtLower *s, int ins, bool bf16, LLVMValueRef sum, LLVMValueRef a, LLVMValueRef b) {
  (void)ins;
  Lower *l = &s->l;
  LLVMTypeRef word = LLVMInt32TypeInContext(l->c), real = LLVMFloatTypeInContext(l->c);
  LLVMValueRef v[10];
  for (int i = 0; i < 4; i++) v[i] = LLVMBuildLoad2(l->b, word, simt_reg(l, word, a, i), "");
  for (int i = 0; i < 2; i++) v[4 + i] = LLVMBuildLoad2(l->b, word, simt_reg(l, word, b, i), "");
  for (int i = 0; i < 4; i++) v[6 + i] = LLVMBuildLoad2(l->b, real, simt_reg(l, real, sum, i), "");
  LLVMValueRef all = simt_call(
      l, bf16 ? "llvm.nvvm.mma.m16n8k16.row.col.bf16" : "llvm.nvvm.mma.m16n8k8.row.col.tf32", v, 10);
  for (unsigned i = 0; i < 4; i++)
    LLVMBuildStore(l->b, LLVMBuildExtractValue(l->b, all, i, ""), simt_reg(l, real, sum, i));
}

/* With 0 bytes to read the rest, all of them, becomes 0; the address is then one of the buffer all the same. */
static void copy_async(SimtLower *s, int ins, KV to_buf, LLVMValueRef to, KV from_buf, LLVMValueRef from,
                       int64_t bytes) {
  (void)ins;
  Lower *l = &s->l;
  LLVMValueRef zero = lower_i64(l, 0), none = LLVMBuildICmp(l->b, LLVMIntSLT, from, zero, "");
  LLVMValueRef size = LLVMBuildSelect(l->b, none, lower_i32(l, 0), lower_i32(l, bytes), "");
  from = LLVMBuildSelect(l->b, none, zero, from, "");
  LLVMValueRef args[] = {element(l, to_buf, to), element(l, from_buf, from), size};
  simt_call(l,
            bytes == 16  ? "llvm.nvvm.cp.async.cg.shared.global.16.s"
            : bytes == 8 ? "llvm.nvvm.cp.async.ca.shared.global.8.s"
                         : "llvm.nvvm.cp.async.ca.shared.global.4.s",
            args, 3);
}

static void commit(SimtLower *s, int ins) {
  (void)ins;
  simt_call(&s->l, "llvm.nvvm.cp.async.commit.group", NULL, 0);
}

static void wait_group(SimtLower *s, int ins, int64_t latest) {
  (void)ins;
  LLVMValueRef n = lower_i32(&s->l, latest);
  simt_call(&s->l, "llvm.nvvm.cp.async.wait.group", &n, 1);
}

static const SimtLeaves leaves = {
    begin,          seed,          argument,    parameter, scratch,    address, shuffle,    sync,
    tf32,           bf16,          load_matrix, mma,       copy_async, commit,  wait_group, simt_ptx_matrix,
    simt_ptx_order, simt_ptx_wgmma};

/* ---- entries ---- */

/* !nvvm.annotations: what the function is. */
static void annotate(Lower *l, const char *key, int64_t value) {
  LLVMMetadataRef node[3] = {LLVMValueAsMetadata(l->fn), LLVMMDStringInContext2(l->c, key, strlen(key)),
                             LLVMValueAsMetadata(lower_i32(l, value))};
  LLVMAddNamedMetadataOperand(l->m, "nvvm.annotations",
                              LLVMMetadataAsValue(l->c, LLVMMDNodeInContext2(l->c, node, 3)));
}

LLVMValueRef simt_lower_ptx(LLVMModuleRef m, const KFn *k, const char *symbol) {
  SimtLower s = {.l = {.c = LLVMGetModuleContext(m), .m = m, .k = k}, .leaf = &leaves};
  LLVMTypeRef param[NETC_MAX_ARGS + 2 + NETC_MAX_PARAMS];
  int n = k->nargs + 2 + k->nparams;
  for (int i = 0; i < n; i++)
    param[i] = i <= k->nargs ? LLVMPointerTypeInContext(s.l.c, GLOBAL) : LLVMInt64TypeInContext(s.l.c);
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(s.l.c), param, (unsigned)n, false);
  s.l.fn = LLVMAddFunction(m, symbol, type);
  annotate(&s.l, "kernel", 1);
  annotate(&s.l, "maxntidx", simt_block_threads(k));
  simt_lower(&s);
  return s.l.fn;
}

/* ---- text ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void init(void) {
  LLVMInitializeNVPTXTargetInfo();
  LLVMInitializeNVPTXTarget();
  LLVMInitializeNVPTXTargetMC();
  LLVMInitializeNVPTXAsmPrinter();
}

static const char triple[] = "nvptx64-nvidia-cuda";

LLVMTargetMachineRef simt_ptx_target(NetcSm sm, char err[IR_ERR]) {
  pthread_once(&once, init);
  LLVMTargetRef target;
  char *message = NULL;
  if (LLVMGetTargetFromTriple(triple, &target, &message)) {
    ir_error(err, "LLVM has no target %s: %s", triple, message);
    LLVMDisposeMessage(message);
    return NULL;
  }
  LLVMTargetMachineRef tm = LLVMCreateTargetMachine(
      target, triple, simt_sm_name(sm), "", LLVMCodeGenLevelDefault, LLVMRelocDefault, LLVMCodeModelDefault);
  if (!tm) ir_error(err, "LLVM cannot make a machine for %s", triple);
  return tm;
}

bool simt_ptx(const KFn *k, NetcSm sm, LLVMTargetMachineRef tm, const char *symbol, Bytes *text,
              char err[IR_ERR]) {
  (void)sm;
  LLVMContextRef c = LLVMContextCreate();
  LLVMModuleRef m = LLVMModuleCreateWithNameInContext(symbol, c);
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(tm);
  LLVMSetModuleDataLayout(m, layout);
  LLVMDisposeTargetData(layout);
  LLVMSetTarget(m, triple);
  simt_lower_ptx(m, k, symbol);
  char *message = NULL;
  bool good = !LLVMVerifyModule(m, LLVMReturnStatusAction, &message);
  if (!good) ir_error(err, "LLVM's verifier refuses kernel %.40s: %s", k->name, message);
  LLVMDisposeMessage(message);
  good = good && lower_optimise(m, tm, err) && lower_generate(m, tm, LLVMAssemblyFile, text, err);
  LLVMDisposeModule(m);
  LLVMContextDispose(c);
  return good;
}
