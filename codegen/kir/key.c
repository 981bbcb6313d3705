/* key.c - a kernel's code as bytes: everything lowering looks at, and nothing else. Equal bytes are equal
 * machine code. Names are left out; operands are distances backwards, so most numbers take one byte. */
#include <string.h>
#include "codegen/kir/internal.h"

void kir_code(const KFn *k, Bytes *out) {
  bytes_number(out, (uint64_t)k->lanes | (uint64_t)(k->warps - 1) << 8);
  bytes_number(out, k->opaque);
  bytes_number(out, (uint64_t)k->n);
  bytes_number(out, k->nontemporal);
  bytes_number(out, (uint64_t)k->nparams);
  for (int i = 0; k->may_alias && i < k->nargs; i++) bytes_number(out, (uint64_t)(k->may_alias[i] + 1));
  for (int v = 0; v < k->n; v++) {
    const KIns *i = &k->ins[v];
    uint64_t real;
    memcpy(&real, &i->fimm, sizeof real);
    bytes_number(out, (uint64_t)i->op);
    bytes_number(out, (uint64_t)i->type.base | (uint64_t)i->type.kind << 3 | (uint64_t)i->type.vec << 5);
    for (int j = 0; j < kop_info[i->op].operands; j++) bytes_number(out, (uint64_t)(v - i->in[j]));
    bytes_number(out,
                 (uint64_t)i->imm << 1 ^ (i->imm < 0 ? UINT64_MAX : 0)); /* small negative ones: short too */
    bytes_number(out, real >> 32 | real << 32); /* a short float's low half is mostly 0 */
  }
  if (k->sm90) kir_code(k->sm90, out);
}
