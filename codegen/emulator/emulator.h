/* emulator.h - kernels for a GPU, run and checked on the host. The program is the one a GPU's threads run
 * (codegen/gpu/lower.h); every thread of a block is a fiber, and at each collective a warp's lanes wait until
 * all are there.
 *
 * In any order of threads, drawn from a seed, it is an error, and named with kernel, instruction and buffer,
 * that
 *   - an access lies outside of its buffer,
 *   - two threads touch an element, one of them storing, without a sync (one warp) or barrier (one block)
 *     between; tasks are never ordered,
 *   - lanes of a warp wait at different places,
 *   - a place is touched to which an asynchronous copy is on its way: it arrives when its thread waits for
 *     it, not before, and other threads need a barrier after that; or a thread ends before,
 *   - a piece of several elements does not lie at a multiple of its size, or an operand of mma_tf32 is not
 *     rounded,
 *   - a rule of wgmma is broken (wgmma.c).
 * Scratch holds NaN when a task starts. mma adds up in one order (codegen/kir/fragment.h), hardware in one of
 * its own. Single-threaded. */
#ifndef NETC_EMULATE_H
#define NETC_EMULATE_H
#include "codegen/abi.h"
#include "codegen/gpu/share.h"

typedef struct {
  void *data;
  int64_t bytes;
} EmuBuffer;

typedef struct Emulator Emulator;
/* Compiles n kernels, prepared by simt_prepare (and then altered, in tests that want errors). NULL and a
 * message. */
Emulator *emulator_new(const KFn *const *prepared, int n, char err[IR_ERR]);
/* Of n kernels that are not prepared, as a module has them: with shared codes (codegen/gpu/share.h). */
Emulator *emulator_shared(const KFn *const *kernel, const ShareMode *mode, int n, char err[IR_ERR]);
/* The same without kir_verify, of kernels that break its rules. */
Emulator *emulator_unchecked(const KFn *const *prepared, int n, char err[IR_ERR]);
void emulator_free(Emulator *e);
/* Runs all tasks of a kernel; arguments may lie over each other. false and a message at the first error: some
 * tasks have then not run. */
bool emulator_launch(Emulator *e, int kernel, const EmuBuffer *arg, int64_t tasks, const NetcStep *step,
                     uint64_t seed, char err[IR_ERR]);
#endif
