/* internal.h - what the files of the emulator share. */
#ifndef NETC_EMULATE_INTERNAL_H
#define NETC_EMULATE_INTERNAL_H
#include "codegen/emulator/emulator.h"
#include "codegen/emulator/fiber.h"
#include "codegen/kir/internal.h"
#include "codegen/llvm/lower.h"
#include "codegen/gpu/lower.h"
#include "codegen/gpu/share.h"

typedef enum { THREAD, WARP, BLOCK, ALL } Group;
typedef struct {
  uint32_t id, time; /* of a thread, of the first of a group; time 0: nobody yet */
} Who;
typedef struct {
  Who writer, reader;
  uint32_t group : 2;   /* of the readers */
  uint32_t coming : 1;  /* an asynchronous copy by writer that nobody has waited for */
  uint32_t reading : 8; /* so many wgmma that not all of their warps have waited for */
  uint32_t fences : 21; /* that writer had made when it stored */
} Cell;

/* Memory that arguments lie in, or a scratch array. */
typedef struct {
  uint8_t *data;
  int64_t bytes;
  int granule;      /* bytes of a cell: those of the smallest element */
  uint32_t address; /* of scratch, in shared memory */
  Cell *cell;
} Region;

typedef struct {
  int region;
  int64_t offset, bytes;
  KV arg;
} View;

typedef struct {
  int ins, kind; /* the collective that lanes wait at */
  int waiting;
  uint32_t word[SIMT_LANES], result[SIMT_LANES];
  int from[SIMT_LANES]; /* the lane that each asks for */
  uint32_t synced;
  /* of load_matrix: rows and results; of mma */
  const void *row[SIMT_LANES];
  uint32_t *regs[SIMT_LANES];
  const uint32_t *a[SIMT_LANES], *b[SIMT_LANES];
  float *sum[SIMT_LANES];
} Warp;

/* An asynchronous copy on its way; from NULL: zeros. */
typedef struct {
  Region *region;
  int64_t to;
  const uint8_t *from;
  int32_t bytes, group;
} Copy;

typedef struct {
  Emulator *e;
  int lane, warp, number; /* in the block */
  Copy *copy;             /* in order */
  int ncopy, capcopy;
  int group;       /* that the next copy is of */
  uint32_t *fence; /* times of its proxy_fences */
  int nfence, capfence;
  bool ready; /* a wgmma_fence came, and no wait since */
} Thread;

/* Products by four warps that not all of them have waited for (wgmma.c). */
typedef struct Product Product;
typedef struct {
  int ins, waiting; /* where threads wait for the others, and how many */
  const uint32_t *a[4 * SIMT_LANES];
  float *sum[4 * SIMT_LANES];
  uint64_t matrix[4 * SIMT_LANES][2];
  Product *product;
  int nproduct, capproduct;
} Quad;

struct Emulator {
  Arena *arena; /* of shared codes, NULL: kernels are their own */
  SharedCodes shared;
  const uint64_t *param; /* of the launch */
  const KFn *const *kernel;
  int nkernel;
  Jit *jit;
  Fibers *fibers;
  Thread *thread;
  Warp *warp;
  Quad *quad; /* every four warps, where blocks are of fours */
  int nthread;
  int *ready, nready;
  uint64_t dice;
  uint32_t time, barrier;     /* now; of the block's last barrier */
  int at_barrier, barrier_at; /* threads that wait at one, and its instruction */
  /* of the launch */
  const KFn *k;
  SimtThreadFn program;
  const NetcStep *step;
  int64_t task;
  Region *region;
  View *view;
  int nregion, nview;
  bool failed;
  char *err;
};

/* The running thread ends the launch, and does not come back. */
void emulate_stop(Thread *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What stands in the way of who reads cell c behind the block's last barrier; NULL: nothing. */
const char *emulate_unordered(const Emulator *e, const Cell *c);
void emulate_wake(Emulator *e, int warp);
/* Waits for the other lanes of the warp; the last one does `act`. */
void emulate_meet_warp(Thread *t, int ins, void (*act)(Thread *t));

/* ---- wgmma.c ---- */
uint64_t emulate_matrix(void *thread, int32_t ins, int32_t buffer, int64_t at, int64_t form);
void emulate_wgmma(void *thread, int32_t ins, int32_t bf16, float *sum, const uint32_t *a, uint64_t a_matrix,
                   uint64_t b_matrix);
void emulate_order(void *thread, int32_t ins, int32_t op); /* proxy_fence, wgmma_fence, wgmma_wait */
/* Products that the thread's warp has not waited for. */
bool emulate_unfinished(const Thread *t);
void emulate_clear(Quad *q);
#endif
