/* ptx_wgmma.c - products by four warps (codegen/kir/wgmma.h) as PTX. LLVM has no intrinsics for them, so a run of them - fence, products, commit,
 * wait - is one statement of inline assembly, whose sums are operands that are read and written: no instruction of anybody's touches a
 * register between the fence and the wait, as the ISA asks for.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "codegen/gpu/leaves.h"

/* Text of an asm statement without operands that memory is ordered by. */
static void plain(SimtLower *s, const char *text) {
  Lower *l = &s->l;
  static const char clobbers[] = "~{memory}";
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(l->c), NULL, 0, false);
  LLVMValueRef code = LLVMGetInlineAsm(type, text, strlen(text), clobbers, sizeof clobbers - 1, true, false,
                                       LLVMInlineAsmDialectATT, false);
  LLVMBuildCall2(l->b, type, code, NULL, 0, "");
}

LLVMValueRef simt_ptx_matrix(SimtLower *s, int ins, KV buf, LLVMValueRef at, int64_t form) {
  (void)ins;
  Lower *l = &s->l;
  LLVMTypeRef t = lower_base_type(l->c, (KBase)l->k->ins[buf].type.base), wide = LLVMInt64TypeInContext(l->c);
  LLVMValueRef p = LLVMBuildPtrToInt(l->b, LLVMBuildGEP2(l->b, t, l->v[buf], &at, 1, ""), wide, "");
  p = LLVMBuildLShr(l->b, LLVMBuildAnd(l->b, p, lower_i64(l, 0x3ffff), ""), lower_i64(l, 4), "");
  return LLVMBuildOr(l->b, p, lower_i64(l, form), "");
}

/* ---- a run ---- */

enum { MOST_SUMS = WGMMA_SUMS, TEXT = 1 << 15 };

typedef struct {
  SimtLower *s;
  LLVMValueRef sum[WGMMA_RUN]; /* different ones, */
  int first[WGMMA_RUN], nsum;  /* the operand that each begins with, */
  int registers;               /* and how many operands they are */
  LLVMValueRef in[MOST_SUMS + 6 * WGMMA_RUN];
  LLVMTypeRef type[MOST_SUMS + 6 * WGMMA_RUN];
  int nin;
  char text[TEXT], constraints[TEXT];
  int at, constraint_at;
} Run;

__attribute__((format(printf, 2, 3))) static void say(Run *r, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  r->at += vsnprintf(r->text + r->at, (size_t)(TEXT - r->at), fmt, ap);
  va_end(ap);
}

static void constrain(Run *r, const char *fmt, int number) {
  if (r->constraint_at) r->constraints[r->constraint_at++] = ',';
  r->constraint_at +=
      snprintf(r->constraints + r->constraint_at, (size_t)(TEXT - r->constraint_at), fmt, number);
}

/* Operands: the sums that come out, then what goes in: the same sums, and the rest. */
static int operand(Run *r, LLVMValueRef v, const char *constraint, int number) {
  r->in[r->nin] = v, r->type[r->nin] = LLVMTypeOf(v);
  constrain(r, constraint, number);
  return r->registers + r->nin++;
}

static int sum_number(const Run *r, LLVMValueRef sum) {
  int i = 0;
  while (i < r->nsum && r->sum[i] != sum) i++;
  return i;
}

static void list_sums(Run *r) {
  Lower *l = &r->s->l;
  LLVMTypeRef real = LLVMFloatTypeInContext(l->c);
  for (int i = 0; i < r->s->nproduct; i++) {
    const SimtProduct *p = &r->s->product[i];
    if (sum_number(r, p->sum) < r->nsum) continue;
    r->sum[r->nsum] = p->sum, r->first[r->nsum++] = r->registers;
    r->registers += p->n / 2;
  }
  for (int i = 0; i < r->registers; i++) constrain(r, "=f", 0);
  for (int i = 0; i < r->nsum; i++) {
    int end = i + 1 < r->nsum ? r->first[i + 1] : r->registers;
    for (int j = r->first[i]; j < end; j++)
      operand(r, LLVMBuildLoad2(l->b, real, simt_reg(l, real, r->sum[i], j - r->first[i]), ""), "%d", j);
  }
}

static void say_registers(Run *r, int first, int n) {
  for (int i = 0; i < n; i++) say(r, "%s$%d", i ? ", " : "{", first + i);
  say(r, "}, ");
}

static void say_product(Run *r, const SimtProduct *p) {
  Lower *l = &r->s->l;
  LLVMTypeRef word = LLVMInt32TypeInContext(l->c);
  int a = r->registers + r->nin;
  for (int i = 0; i < 4 && p->a; i++)
    operand(r, LLVMBuildLoad2(l->b, word, simt_reg(l, word, p->a, i), ""), "r", 0);
  if (!p->a) operand(r, p->a_matrix, "l", 0);
  int b = operand(r, p->b_matrix, "l", 0);
  const char *kind = p->bf16 ? "bf16" : "tf32";
  say(r, "wgmma.mma_async.sync.aligned.m64n%dk%d.f32.%s.%s ", p->n, p->bf16 ? 16 : 8, kind, kind);
  say_registers(r, r->first[sum_number(r, p->sum)], p->n / 2);
  if (p->a) say_registers(r, a, 4);
  else say(r, "$%d, ", a);
  /* Add to the sums; no signs are changed; bf16: both matrices in shared memory lie transposed, or neither. */
  say(r, "$%d, add, 1, 1%s;\n", b, !p->bf16 ? "" : p->transposed ? ", 1, 1" : p->a ? ", 0" : ", 0, 0");
}

static void build_run(SimtLower *s) {
  Lower *l = &s->l;
  Arena *own = arena_new(); /* the kernel's is other threads', too */
  Run *r = arena_alloc(own, sizeof *r);
  r->s = s;
  list_sums(r);
  say(r, "{\n.reg .pred add;\nsetp.eq.u32 add, 1, 1;\nwgmma.fence.sync.aligned;\n");
  for (int i = 0; i < s->nproduct; i++) say_product(r, &s->product[i]);
  say(r, "wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\n}");
  constrain(r, "~{memory}", 0);
  LLVMTypeRef real = LLVMFloatTypeInContext(l->c), out[MOST_SUMS];
  for (int i = 0; i < r->registers; i++) out[i] = real;
  LLVMTypeRef result = LLVMStructTypeInContext(l->c, out, (unsigned)r->registers, false);
  LLVMTypeRef type = LLVMFunctionType(result, r->type, (unsigned)r->nin, false);
  LLVMValueRef code = LLVMGetInlineAsm(type, r->text, (size_t)r->at, r->constraints, (size_t)r->constraint_at,
                                       true, false, LLVMInlineAsmDialectATT, false);
  LLVMValueRef all = LLVMBuildCall2(l->b, type, code, r->in, (unsigned)r->nin, "");
  unsigned convergent = LLVMGetEnumAttributeKindForName("convergent", 10);
  LLVMAddCallSiteAttribute(all, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(l->c, convergent, 0));
  for (int i = 0; i < r->nsum; i++) {
    int end = i + 1 < r->nsum ? r->first[i + 1] : r->registers;
    for (int j = r->first[i]; j < end; j++)
      LLVMBuildStore(l->b, LLVMBuildExtractValue(l->b, all, (unsigned)j, ""),
                     simt_reg(l, real, r->sum[i], j - r->first[i]));
  }
  arena_free(own);
}

void simt_ptx_order(SimtLower *s, int ins, KOp op) {
  (void)ins;
  if (op == K_proxy_fence) plain(s, "fence.proxy.async.shared::cta;");
  else if (op == K_wgmma_fence) s->nproduct = 0;
  else build_run(s);
}

void simt_ptx_wgmma(SimtLower *s, int ins, bool bf16, LLVMValueRef sum, LLVMValueRef a, LLVMValueRef a_matrix,
                    LLVMValueRef b_matrix) {
  const KIns *i = &s->l.k->ins[ins];
  s->product[s->nproduct++] = (SimtProduct){
      bf16, i->op == K_wgmma_bf16_transposed, 2 * (int)s->l.k->ins[i->in[0]].imm, sum, a, a_matrix, b_matrix};
}
