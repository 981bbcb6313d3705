/* print.c - kernels as text, and their identity.
 *
 *   kernel "scale" lanes 16 {
 *     v0 = arg 0 "x" : f32*
 *     v1 = arg 1 "y" : f32*
 *     v2 = task : i64
 *     v4 = mul v2 4096 : i64
 *     for v8 = 0 to 4096 step 16 {
 *       v9 = add v4 v8 : i64
 *       v10 = load v0 v9 : f32v
 *       ...
 *
 * Constants are written where they are used: 4096 (i64), 7i (i32), 0.5 and 2.0 (f32), 0.5d (f64), true, false. Of a block of
 * several warps, of parameters and of arguments that may lie over others the first line tells: lanes 32 warps 4 params 3 may_alias [ -1 0 ];
 * and of counters that LLVM is not to see (k_opaque_counters): lanes 16 opaque. kir_parse reads all of it.
 */
#include <inttypes.h>
#include <string.h>
#include "codegen/kir/kir.h"
#include "codegen/kir/internal.h"

/* Never to be taken for an integer. */
static void print_f32(FILE *out, double v) {
  char text[32];
  snprintf(text, sizeof text, "%.9g", v);
  fprintf(out, strpbrk(text, ".en") ? "%s" : "%s.0", text); /* 0.5, 1e+30, inf, nan */
}

static void print_const(FILE *out, const KIns *i) {
  switch (i->type.base) {
  case K_I1: fputs(i->imm ? "true" : "false", out); break;
  case K_I32: fprintf(out, "%" PRId64 "i", i->imm); break;
  case K_F32: print_f32(out, i->fimm); break;
  case K_F64: fprintf(out, "%.17gd", i->fimm); break;
  default: fprintf(out, "%" PRId64, i->imm); break;
  }
}

static void print_operand(FILE *out, const KFn *k, KV v) {
  if (v < 0 || v >= k->n) fprintf(out, "v?%d", v);
  else if (k->ins[v].op == K_const) print_const(out, &k->ins[v]);
  else fprintf(out, "v%d", v);
}

static void print_block(FILE *out, const KFn *k, int v) {
  const KIns *i = &k->ins[v];
  if (i->op == K_for) {
    fprintf(out, "for v%d = ", v);
    print_operand(out, k, i->in[0]);
    fputs(" to ", out);
    print_operand(out, k, i->in[1]);
    fputs(" step ", out);
    print_operand(out, k, i->in[2]);
    fputs(" {\n", out);
  } else if (i->op == K_if) {
    fputs("if ", out);
    print_operand(out, k, i->in[0]);
    fputs(" {\n", out);
  } else {
    fputs(i->op == K_else ? "} else {\n" : "}\n", out);
  }
}

bool kir_has_number(KOp op) {
  switch (op) {
  case K_arg:
  case K_scratch:
  case K_seed:
  case K_prefetch:
  case K_param:
  case K_regs:
  case K_reg:
  case K_set_reg:
  case K_gather_at:
  case K_load_matrix:
  case K_load_matrix_transposed:
  case K_mma_tf32:
  case K_mma_bf16:
  case K_copy_async:
  case K_matrix:
  case K_wait_group: return true;
  default: return false;
  }
}

static void print_ins(FILE *out, const KFn *k, int v) {
  const KIns *i = &k->ins[v];
  const KOpInfo *info = &kop_info[i->op];
  if (*info->kind == 'V') fprintf(out, "v%d = ", v);
  fputs(info->name, out);
  if (kir_has_number(i->op)) fprintf(out, " %" PRId64, i->imm);
  if (i->name) fprintf(out, " \"%s\"", i->name);
  if (i->op == K_arg && k->nontemporal >> i->imm & 1) fputs(" nontemporal", out);
  for (int o = 0; o < info->operands; o++) {
    fputc(' ', out);
    print_operand(out, k, i->in[o]);
  }
  if (*info->kind == 'V') fprintf(out, " : %s", kir_type_str(i->type));
  fputc('\n', out);
}

static void print_head(FILE *out, const KFn *k) {
  fprintf(out, "kernel \"%s\" lanes %d %s", k->name, k->lanes, k->opaque ? "opaque " : "");
  if (k->warps > 1) fprintf(out, "warps %d ", k->warps);
  if (k->nparams) fprintf(out, "params %d ", k->nparams);
  for (int i = 0; k->may_alias && i < k->nargs; i++)
    fprintf(out, "%s%d ", i ? "" : "may_alias [ ", k->may_alias[i]);
  fputs(k->may_alias && k->nargs ? "] {\n" : "{\n", out);
}

void kir_print(FILE *out, const KFn *k) {
  print_head(out, k);
  int depth = 1;
  for (int v = 0; v < k->n; v++) {
    KOp op = k->ins[v].op;
    if (op == K_const) continue;
    if ((op == K_end || op == K_else) && depth > 1) depth--;
    fprintf(out, "%*s", 2 * depth, "");
    if (*kop_info[op].kind == 'B') print_block(out, k, v);
    else print_ins(out, k, v);
    if (op == K_for || op == K_if || op == K_else) depth++;
  }
  fputs("}\n", out);
}

/* A 64-bit mix of one word into the state (multiply, fold the high half back). */
static uint64_t mix(uint64_t h, uint64_t v) {
  h = (h ^ v) * 0x9E3779B97F4A7C15u;
  return h ^ h >> 29;
}

uint64_t kir_hash(const KFn *k) {
  uint64_t form = (uint64_t)k->lanes | (uint64_t)k->opaque << 48 | (uint64_t)(k->warps - 1) << 8;
  uint64_t h = mix(mix(0x6B69722E68617368u, form), k->nontemporal);
  for (int i = 0; k->may_alias && i < k->nargs; i++) h = mix(h, (uint64_t)(k->may_alias[i] + 1));
  for (int v = 0; v < k->n; v++) {
    const KIns *i = &k->ins[v];
    uint64_t bits;
    memcpy(&bits, &i->fimm, sizeof bits);
    h = mix(h, (uint64_t)i->op | (uint64_t)i->type.base << 16 | (uint64_t)i->type.vec << 24 |
                   (uint64_t)i->type.kind << 32);
    h = mix(h, (uint64_t)i->imm);
    h = mix(h, bits);
    h = mix(h, (uint32_t)i->in[0] | (uint64_t)(uint32_t)i->in[1] << 32);
    h = mix(h, (uint32_t)i->in[2] | (uint64_t)(uint32_t)i->in[3] << 32);
  }
  if (k->sm90) h = mix(h, kir_hash(k->sm90));
  return h ^ h >> 32;
}
