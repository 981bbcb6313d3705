/* codes.c - the different codes among a module's kernels. Names and numbers of kernels do not enter, so what is
 * compiled for a code, its symbol included, depends on nothing else and can be kept from compile to compile. On GPUs kernels that are
 * alike but for numbers share one (codegen/gpu/share.h). */
#include <stdlib.h>
#include <string.h>
#include "codegen/kir/internal.h"
#include "codegen/module/module.h"
#include "codegen/gpu/simt.h"
#include "codegen/gpu/share.h"

const char *code_symbol(char out[64], const Code *c) {
  static const char *const name[] = {"avx2", "avx512", "avx512_bf16"};
  char digits[33];
  if (c->k->lanes == SIMT_LANES) snprintf(out, 64, "netc_%s", hash_text(c->hash, digits));
  else snprintf(out, 64, "netc_%s_%s", hash_text(c->hash, digits), name[c->isa]);
  return out;
}

/* A table of codes by hash: slots hold index + 1, 0 = free; at least half of them stay free. */
typedef struct {
  int *slot;
  size_t mask;
} Index;

/* The code equal to c, or c itself at the end of the list. */
static int intern(Module *m, Index *x, const Code *c) {
  size_t at = c->hash.low & x->mask;
  for (; x->slot[at]; at = (at + 1) & x->mask) {
    Code *o = &m->code[x->slot[at] - 1];
    if (o->isa == c->isa && bytes_equal(&o->text, &c->text)) return x->slot[at] - 1;
  }
  *ARENA_PUSH(m->arena, m->code, m->ncode, m->capcode) = *c;
  return (x->slot[at] = m->ncode) - 1;
}

/* Does any kernel have code of its own for the set? */
static bool set_used(const Module *m, int isa) {
  for (int i = 0; i < m->nkernel; i++)
    if (m->kernel[i].k[isa]) return true;
  return false;
}

void module_drop_unused_set(Module *m) {
  unsigned bf16 = 1u << NETC_ISA_AVX512_BF16;
  if (m->machine->isas > NETC_ISA_AVX512_BF16 && m->isas & bf16 && !set_used(m, NETC_ISA_AVX512_BF16))
    m->isas = (m->isas & ~bf16) | 1u << NETC_ISA_AVX512;
}

NetcIsa module_kernel_set(const Module *m, int kernel, int isa) {
  return m->kernel[kernel].k[isa] ? (NetcIsa)isa : NETC_ISA_AVX512;
}

/* The number of kernel k's code for a set. */
static int code_of(Module *m, Index *x, const KFn *k, NetcIsa isa) {
  Code c = {.k = k, .isa = isa};
  kir_code(k, &c.text);
  c.hash = hash_bytes(c.text.data, c.text.n);
  int before = m->ncode, number = intern(m, x, &c);
  if (m->ncode == before) bytes_free(&c.text);
  return number;
}

static void host_codes(Module *m, Index *x) {
  for (int isa = 0; isa < m->machine->isas; isa++) {
    m->code_of[isa] = arena_alloc(m->arena, ((size_t)m->nkernel + 1) * sizeof **m->code_of);
    for (int i = 0; i < m->nkernel && (m->isas >> isa & 1); i++) {
      NetcIsa own = module_kernel_set(m, i, isa);
      m->code_of[isa][i] = code_of(m, x, m->kernel[i].k[own], own);
    }
  }
}

static void device_codes(Module *m, Index *x) {
  size_t n = (size_t)m->nkernel + 1;
  const KFn **k = arena_alloc(m->arena, n * sizeof *k);
  ShareMode *mode = arena_alloc(m->arena, n * sizeof *mode);
  m->code_of[0] = arena_alloc(m->arena, n * sizeof **m->code_of);
  for (int i = 0; i < m->nkernel; i++)
    k[i] = m->kernel[i].k[0], mode[i] = share_mode(m->kernel[i].flops, m->kernel[i].bytes);
  SharedCodes shared = share_kernels(m->arena, k, mode, m->nkernel);
  int *number = arena_alloc(m->arena, n * sizeof *number);
  for (int i = 0; i < shared.n; i++) number[i] = code_of(m, x, shared.code[i], 0);
  for (int i = 0; i < m->nkernel; i++) m->code_of[0][i] = number[shared.of[i]];
  m->param = shared.param;
}

void module_codes(Module *m) {
  Index x = {.mask = 1023};
  while (x.mask < (size_t)m->nkernel * NETC_ISA_COUNT * 2) x.mask = 2 * x.mask + 1;
  x.slot = arena_alloc(m->arena, (x.mask + 1) * sizeof *x.slot);
  if (m->machine->simt) device_codes(m, &x);
  else host_codes(m, &x);
}

void module_free_codes(Module *m) {
  for (int i = 0; i < m->ncode; i++) bytes_free(&m->code[i].text), bytes_free(&m->code[i].object);
}
