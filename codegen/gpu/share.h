/* share.h - kernels for a GPU that are alike but for numbers become one code with parameters. What a driver
 * compiles is then a third of the text; a launch hands over the numbers of its kernel behind its other
 * arguments.
 *
 * Kernels are compared as they are when prepared (simt.h), syncs included: those that share a code need the
 * same syncs at the same places, each by an analysis that knew its own numbers. */
#ifndef NETC_SIMT_SHARE_H
#define NETC_SIMT_SHARE_H
#include "codegen/abi.h"
#include "codegen/kir/kir.h"

typedef enum {
  /* much arithmetic: numbers stay where the device's compiler makes faster code of knowing them */
  SHARE_HEAVY,
  SHARE_MEMORY, /* waits for memory: offsets may be parameters in the innermost loops too */
  SHARE_LIGHT,  /* a launch so short that this does not matter: all numbers that can be are parameters */
  SHARE_ALL     /* as light, and also numbers that no two kernels differ in: for tests */
} ShareMode;

/* By what one launch computes and moves. */
ShareMode share_mode(int64_t flops, int64_t bytes);

typedef struct {
  int n;            /* codes */
  const KFn **code; /* prepared; KFn.nparams words each */
  int *of;          /* per kernel: its code */
  uint64_t **param; /* per kernel: the words of its code's parameters */
} SharedCodes;

/* Kernels need not be prepared. In arena a. */
SharedCodes share_kernels(Arena *a, const KFn *const *kernel, const ShareMode *mode, int n);
#endif
