/* family.c - what a kernel asks of a GPU: the family it must be of, and what a block of its tasks takes
 * (simt.h). */
#include "codegen/gpu/simt.h"
#include "ir/ints.h"

const char *simt_sm_name(NetcSm sm) {
  static const char *const name[NETC_SM_COUNT] = {"sm_75", "sm_80", "sm_90a"};
  return name[sm];
}

NetcSm simt_family(const KFn *k) {
  return kir_wgmma(k) ? NETC_SM_90A : kir_tensor(k) ? NETC_SM_80 : NETC_SM_75;
}

static int64_t element_bytes(KBase base) {
  return base == K_I64 || base == K_F64 ? 8 : base == K_I1 ? 1 : base == K_BF16 ? 2 : 4;
}

int64_t simt_shared(const KFn *k) {
  int64_t bytes = 0;
  for (int v = 0; v < k->n; v++)
    if (k->ins[v].op == K_scratch)
      bytes += round_up(k->ins[v].imm * element_bytes((KBase)k->ins[v].type.base), 16);
  return bytes;
}

bool simt_dynamic(const KFn *k) {
  enum { MOST_DECLARED = 48 << 10 };
  return kir_wgmma(k) && simt_shared(k) > MOST_DECLARED;
}

int simt_block_tasks(const KFn *k) { return k->warps == 1 && !simt_shared(k) ? 4 : 1; }

int simt_block_threads(const KFn *k) { return SIMT_LANES * k->warps * simt_block_tasks(k); }
