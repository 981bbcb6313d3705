/* threads.h - the running block of the emulator: its threads, warps and memory, and what every file of the
 * emulator needs to say of them: errors, accesses, meetings. */
#ifndef NETC_EMULATE_THREADS_H
#define NETC_EMULATE_THREADS_H
#include "codegen/emulator/emulator.h"
#include "codegen/emulator/fiber.h"
#include "codegen/emulator/jit.h"
#include "codegen/emulator/leaves.h"
#include "codegen/kir/internal.h"
#include "codegen/gpu/share.h"
#include "codegen/gpu/simt.h"

typedef enum { THREAD, WARP, BLOCK, ALL } Group;
typedef struct {
  uint32_t id, time; /* of a thread, of the first of a group; time 0: nobody yet */
} Access;
typedef struct {
  Access writer, reader;
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
} Warpgroup;

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
  Warpgroup *quad; /* every four warps, where blocks are of fours */
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

/* ---- errors ---- */
/* Keeps the launch's first error; the threads go on. */
void emulate_fail(Emulator *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The running thread does not come back. */
void emulate_halt(const Thread *t);
/* Both: the running thread ends the launch. */
void emulate_stop(Thread *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *emulate_op(const Emulator *e, int ins); /* name of instruction ins */

/* ---- accesses: to elements of a buffer, by instruction ins; what is not allowed ends the launch ---- */
uint32_t emulate_id(const Thread *t); /* its number among those of all tasks */
int64_t emulate_element_bytes(const KFn *k, KV buf);
/* `bytes` bytes from element `at` on, of `size` bytes each. */
uint8_t *emulate_touch(Thread *t, int ins, int buffer, int64_t at, int64_t size, int64_t bytes, bool write);
/* Several elements at once, the first of which must be where such pieces begin. */
uint8_t *emulate_touch_piece(Thread *t, int ins, int buffer, int64_t at, int64_t bytes, bool write);
/* What stands in the way of who reads cell c behind the block's last barrier; NULL: nothing. */
const char *emulate_unordered(const Emulator *e, const Cell *c);

/* ---- meetings: the lanes of a warp wait for each other at an instruction ---- */
enum { SHUFFLE_INDEX, SHUFFLE_XOR, SYNC, MATRIX, MATRIX_TURNED, MMA_TF32, MMA_BF16, OTHER };
/* Comes back when all are there and what they do together is done; with the result of shuffles. */
uint32_t emulate_meet(Thread *t, int ins, int kind, uint32_t word, int lane);
/* Waits for the other lanes of the warp; the last one does `act`. */
void emulate_meet_warp(Thread *t, int ins, void (*act)(Thread *t));
void emulate_wake(Emulator *e, int warp);
void emulate_barrier(Thread *t, int ins); /* of the block */
#endif
