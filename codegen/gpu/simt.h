/* simt.h - kernels on a machine whose lanes are threads. A vector value is one register in each of a warp's
 * 32 threads; a scalar is computed by all of them, from the same operands, and so is the same in all; one
 * lane stores scalars. A task is a warp, or, in kernels that ask for their thread or have barriers, as many
 * warps as KFn.warps says, and scratch is shared memory.
 *
 * What lanes store and other lanes read needs an order that one thread's program has by itself. simt_prepare
 * puts a `sync` wherever two accesses of a task may meet at one element in different lanes and one of them is
 * a store: the accesses before it are then seen by those after it. */
#ifndef NETC_SIMT_H
#define NETC_SIMT_H
#include "codegen/abi.h"
#include "codegen/kir/kir.h"

enum {
  SIMT_LANES = 32,
  SIMT_PATTERN = 1024 /* bytes at whose multiples scratch of kernels with wgmma begins */
};

/* A copy of k, of 32 lanes, in arena a: functions expanded, syncs put in. */
KFn *simt_prepare(Arena *a, const KFn *k);

/* The least family of GPUs that has what k needs: its text is written for that. */
NetcSm simt_family(const KFn *k);
const char *simt_sm_name(NetcSm sm); /* sm_75 */

/* Bytes of scratch, each array aligned to 16. */
int64_t simt_shared(const KFn *k);
/* Is it dynamic: more than a text can declare? Only with wgmma, and then it is one array. */
bool simt_dynamic(const KFn *k);
/* Tasks that share a block: several where a task is one warp and has no scratch. */
int simt_block_tasks(const KFn *k);
int simt_block_threads(const KFn *k);
#endif
