/* codes.c - the different codes among a module's kernels. Names and numbers of kernels do not enter, so what is
 * compiled for a code, its symbol included, depends on nothing else and can be kept from compile to compile. */
#include <stdlib.h>
#include <string.h>
#include "kir_internal.h"
#include "module.h"

const char *code_symbol(char out[64], const Code *c) {
  char digits[33];
  snprintf(out, 64, "netc_%s_%s", hash_text(c->hash, digits), c->isa == NETC_ISA_AVX512 ? "avx512" : "avx2");
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

void module_codes(Module *m) {
  Index x = {.mask = 1023};
  while (x.mask < (size_t)m->nkernel * NETC_ISA_COUNT * 2) x.mask = 2 * x.mask + 1;
  x.slot = arena_alloc(m->arena, (x.mask + 1) * sizeof *x.slot);
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) {
    m->code_of[isa] = arena_alloc(m->arena, ((size_t)m->nkernel + 1) * sizeof **m->code_of);
    for (int i = 0; i < m->nkernel && (m->isas >> isa & 1); i++) {
      Code c = {.k = m->kernel[i].k[isa], .isa = (NetcIsa)isa};
      kir_code(c.k, &c.text);
      c.hash = hash_bytes(c.text.data, c.text.n);
      int before = m->ncode;
      m->code_of[isa][i] = intern(m, &x, &c);
      if (m->ncode == before) bytes_free(&c.text);
    }
  }
}

void module_free_codes(Module *m) {
  for (int i = 0; i < m->ncode; i++) bytes_free(&m->code[i].text), bytes_free(&m->code[i].object);
}
