/* fake_cuda.c - a stand-in for libcuda.so.1 in the host's memory, for tests of the runtime on machines
 * without a GPU. It keeps the rules that a GPU would punish the breaking of:
 *   - device addresses are no addresses of the host, and every access is checked against what is allocated;
 *   - streams are lazy: nothing enqueued is done before somebody waits for it, so what is read too early or
 *     overwritten too early shows; copies from and to memory that is not pinned wait, as the driver's may;
 *   - a capture records and does nothing; a fault stays: every later call returns it.
 * Kernels are those of FAKE_CUDA_KERNELS (fake_kernels.h), found by the name of the entry in the PTX.
 *
 *   FAKE_CUDA_DEVICES=N  FAKE_CUDA_VERSION=12040  FAKE_CUDA_CAPABILITY=90  FAKE_CUDA_MEMORY=BYTES
 *   FAKE_CUDA_FAIL=NAME:N:CODE    the Nth call (from 1) of function NAME returns CODE; for cuLaunchKernel, a
 *                                 kernel's fault (700, 719) shows when somebody waits
 *   FAKE_CUDA_EAGER=1             who waits for an event finds all done that the stream was given: a device
 *                                 faster than its host
 *   FAKE_CUDA_PAGEABLE=1          copies from and to memory that is not pinned are as late as others: a
 *                                 device that reads all memory
 *   FAKE_CUDA_LOG=FILE            at the end, a line with the number of calls of every function, of waits for
 *                                 an event that left its stream work to do (work-left), and what was not
 *                                 freed
 *
 * FAKE_NO_GRAPHS: a driver without graphs. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "codegen/emulator/fiber.h"
#include "codegen/kir/fragment.h"
#include "tests/runtime/fake_kernels.h"
#include "runtime/device/cuda_api.h"

enum {
  MAX_BLOCKS = 4096,
  MAX_COUNTED = 64,
  INVALID_VALUE = 1,
  NOT_FOUND = 500,
  INVALID_PTX = 218,
  NO_CONTEXT = 201,
  INVALID_HANDLE = 400,
  BAD_CAPTURE = 900
};
#define DEVICE_BIT (UINT64_C(1) << 62)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local int have_context;
static int sticky, retained, work_left;

/* ---- counting and failing ---- */
static struct {
  const char *name;
  int calls;
} counted[MAX_COUNTED];

static long number(const char *variable, long otherwise) {
  const char *v = getenv(variable);
  return v && *v ? atol(v) : otherwise;
}

static int count(const char *name) {
  int i = 0;
  while (counted[i].name && strcmp(counted[i].name, name) != 0) i++;
  counted[i].name = name;
  return ++counted[i].calls;
}

/* What the call is told to return; 0: go on. */
static int told(const char *name) {
  const char *v = getenv("FAKE_CUDA_FAIL");
  int n = count(name), at = 0, code = 0;
  size_t k = strlen(name);
  if (sticky) return sticky;
  if (v && strncmp(v, name, k) == 0 && v[k] == ':' && sscanf(v + k, ":%d:%d", &at, &code) == 2 && at == n)
    return code;
  return 0;
}

#define ENTER(name)                                                                                          \
  pthread_mutex_lock(&lock);                                                                                 \
  int r = told(name)
#define LEAVE return pthread_mutex_unlock(&lock), r
#define ENTER_IN_CONTEXT(name)                                                                               \
  ENTER(name);                                                                                               \
  if (!r && !have_context) r = NO_CONTEXT

/* ---- memory ---- */
typedef struct {
  uint8_t *p; /* NULL: free */
  size_t bytes;
  int pinned;
} Block;
static Block block[MAX_BLOCKS];
static size_t used;

static Block *block_of(const void *p, size_t bytes, int pinned) {
  const uint8_t *q = p;
  for (int i = 0; i < MAX_BLOCKS; i++)
    if (block[i].p && block[i].pinned == pinned && q >= block[i].p && q < block[i].p + block[i].bytes)
      return bytes <= (size_t)(block[i].p + block[i].bytes - q) ? &block[i] : NULL;
  return NULL;
}

/* The host's address of device memory, or NULL where nothing is allocated. */
static uint8_t *device(CUdeviceptr p, size_t bytes) {
  uint8_t *q = (uint8_t *)(uintptr_t)(p ^ DEVICE_BIT);
  return p & DEVICE_BIT && block_of(q, bytes, 0) ? q : NULL;
}

static size_t total(void) { return (size_t)number("FAKE_CUDA_MEMORY", 1L << 30); }

/* Filled with NaN: nobody shall count on zeros. */
static int allocate(void **p, size_t bytes, int pinned) {
  int i = 0;
  while (i < MAX_BLOCKS && block[i].p) i++;
  if (!bytes || i == MAX_BLOCKS) return INVALID_VALUE;
  if (!pinned && bytes > total() - used) return CUDA_ERROR_OUT_OF_MEMORY;
  uint8_t *q = aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!q) return CUDA_ERROR_OUT_OF_MEMORY;
  memset(q, 0xff, bytes);
  block[i] = (Block){q, bytes, pinned};
  if (!pinned) used += bytes;
  *p = q;
  return 0;
}

static int release(void *p, int pinned) {
  for (int i = 0; i < MAX_BLOCKS; i++)
    if (block[i].p && block[i].p == p && block[i].pinned == pinned) {
      if (!pinned) used -= block[i].bytes;
      free(p);
      block[i].p = NULL;
      return 0;
    }
  return INVALID_VALUE;
}

/* ---- what streams do ---- */
typedef struct Op Op;
typedef struct {
  Op *op;
  int n, cap;
} Queue;
struct CUstm {
  Queue queue; /* operations from number `first` on */
  long first, done;
  Queue *capture; /* NULL: calls are to be done */
};
struct CUevt {
  CUstream stream;
  long at; /* operations of the stream before it */
  double time;
};
struct CUfnc {
  const FakeKernel *kernel;
};
struct CUmod {
  struct CUfnc *function; /* per entry */
  char (*entry)[96];
  int n;
};
struct CUgrp {
  Queue queue;
};
struct CUgrx {
  Queue queue;
};

typedef enum { COPY, FILL, KERNEL, RECORD, WAIT, GRAPH } OpKind;
struct Op {
  OpKind kind;
  uint8_t *to;
  const uint8_t *from;
  size_t bytes;
  int value, fault; /* FILL; KERNEL: what it ends with */
  CUevent event;
  long until; /* WAIT */
  CUgraphExec graph;
  const FakeKernel *kernel;
  uint8_t *arg[NETC_MAX_ARGS];
  uint64_t param[NETC_MAX_PARAMS];
  const NetcStep *step;
  int64_t tasks, blocks, threads;
};

static int push(CUstream s, Op op) {
  Queue *q = s->capture ? s->capture : &s->queue;
  if (q->n == q->cap) {
    q->cap = q->cap ? 2 * q->cap : 256;
    q->op = realloc(q->op, (size_t)q->cap * sizeof *q->op);
  }
  q->op[q->n++] = op;
  return 0;
}

/* ---- kernels: a task's threads are fibers ---- */
typedef struct {
  int arrived, round;
} Group;
typedef struct {
  const Op *op;
  Fibers *fibers;
  int threads, bad;
  Group warp[32], block;
  uint32_t word[1024];
  const void *row[1024];
  const uint32_t *a[1024], *b[1024];
  float *sum[1024];
  uint8_t *buffer[NETC_MAX_ARGS + 16];
  const Block *inside[NETC_MAX_ARGS];
  int64_t task;
} Task;
typedef struct {
  Task *task;
  int number;
} Thread;

static void *address(void *thread, int32_t ins, int32_t buffer, int64_t at, int32_t bytes, int32_t write) {
  Task *t = ((Thread *)thread)->task;
  (void)ins, (void)write;
  uint8_t *p = t->buffer[buffer] + at * bytes;
  const Block *b = buffer < t->op->kernel->nargs ? t->inside[buffer] : NULL;
  if (b && (p < b->p || p + bytes > b->p + b->bytes)) {
    t->bad = 1;
    for (;;) fiber_pause(t->fibers);
  }
  return p;
}

/* Fibers are resumed in turn, so a thread that waits looks again until all have come. */
static void meet(Task *t, Group *g, int all) {
  int round = g->round;
  if (++g->arrived == all) g->arrived = 0, g->round++;
  else
    while (g->round == round) fiber_pause(t->fibers);
}

static uint32_t shuffle(void *thread, int32_t ins, uint32_t word, int32_t lane, int32_t exchange) {
  Thread *me = thread;
  Task *t = me->task;
  int warp = me->number / 32, own = me->number % 32;
  (void)ins;
  t->word[me->number] = word;
  meet(t, &t->warp[warp], 32);
  uint32_t got = t->word[32 * warp + (exchange ? own ^ lane : lane)];
  meet(t, &t->warp[warp], 32); /* nobody writes his next word before all have read */
  return got;
}

static void synchronise(void *thread, int32_t ins, int32_t whole) {
  Thread *me = thread;
  Task *t = me->task;
  (void)ins;
  meet(t, whole ? &t->block : &t->warp[me->number / 32], whole ? t->threads : 32);
}

static void load_matrix(void *thread, int32_t ins, int32_t buffer, int64_t at, int32_t turned,
                        uint32_t *regs) {
  Thread *me = thread;
  Task *t = me->task;
  int warp = me->number / 32;
  t->row[me->number] = address(thread, ins, buffer, at, t->op->kernel->element[buffer], 0);
  meet(t, &t->warp[warp], 32);
  for (int m = 0; m < 4; m++) regs[m] = fragment_word(&t->row[32 * warp + 8 * m], me->number % 32, turned);
  meet(t, &t->warp[warp], 32);
}

/* The first lane does it for all. */
static void mma(void *thread, int32_t ins, int32_t bf16, float *sum, const uint32_t *a, const uint32_t *b) {
  Thread *me = thread;
  Task *t = me->task;
  int first = me->number / 32 * 32;
  (void)ins;
  t->sum[me->number] = sum, t->a[me->number] = a, t->b[me->number] = b;
  meet(t, &t->warp[first / 32], 32);
  if (me->number == first) fragment_mma(bf16, t->a + first, t->b + first, t->sum + first);
  meet(t, &t->warp[first / 32], 32);
}

/* At once: codegen/emulator/emulator.c is the one that is strict. */
static void copy_async(void *thread, int32_t ins, int32_t to, int64_t to_at, int32_t from, int64_t from_at,
                       int32_t bytes) {
  const int *element = ((Thread *)thread)->task->op->kernel->element;
  void *p = address(thread, ins, to, to_at, element[to], 1);
  if (from_at < 0) memset(p, 0, (size_t)bytes);
  else memcpy(p, address(thread, ins, from, from_at, element[from], 0), (size_t)bytes);
}

static void commit(void *thread, int32_t ins) { (void)thread, (void)ins; }
static void wait_group(void *thread, int32_t ins, int32_t latest) { (void)thread, (void)ins, (void)latest; }

static void run_thread(void *arg) {
  static const FakeCalls calls = {address, shuffle,    synchronise, load_matrix, mma, copy_async,
                                  commit,  wait_group, NULL,        NULL,        NULL};
  Thread *me = arg;
  me->task->op->kernel->thread(&calls, me, me->number % 32, me->number / 32, me->task->task,
                               me->task->op->step, me->task->op->param);
}

static int run_task(Task *t, Thread *thread) {
  int left = t->threads;
  memset(t->warp, 0, sizeof t->warp);
  t->block = (Group){0, 0};
  static char ended[1024];
  memset(ended, 0, sizeof ended);
  for (int i = 0; i < t->threads; i++) fiber_start(t->fibers, i, run_thread, &thread[i]);
  for (int64_t turns = 0; left && turns < 1 << 26; turns++)
    for (int i = 0; i < t->threads && !t->bad; i++)
      if (!ended[i] && !fiber_resume(t->fibers, i)) ended[i] = 1, left--;
  return t->bad || left ? CUDA_ERROR_ILLEGAL_ADDRESS : 0;
}

static int run_fibers(const Op *op) {
  const FakeKernel *k = op->kernel;
  static Thread thread[1024];
  Task t = {.op = op, .threads = 32 * k->warps, .fibers = fibers_new(32 * k->warps)};
  for (int i = 0; i < t.threads; i++) thread[i] = (Thread){&t, i};
  for (int i = 0; i < k->nargs; i++) t.buffer[i] = op->arg[i], t.inside[i] = block_of(op->arg[i], 1, 0);
  for (int i = 0; i < k->nscratch; i++) t.buffer[k->nargs + i] = malloc((size_t)k->scratch[i] + 1);
  int r = 0;
  for (t.task = op->tasks - 1; !r && t.task >= 0; t.task--) {
    for (int i = 0; i < k->nscratch; i++) memset(t.buffer[k->nargs + i], 0xff, (size_t)k->scratch[i]);
    r = run_task(&t, thread);
  }
  for (int i = 0; i < k->nscratch; i++) free(t.buffer[k->nargs + i]);
  fibers_free(t.fibers);
  return r;
}

static int run_kernel(const Op *op) {
  if (op->fault) return op->fault;
  if (op->kernel->thread) return run_fibers(op);
  void *arg[NETC_MAX_ARGS + NETC_MAX_PARAMS];
  for (int i = 0; i < op->kernel->nargs; i++) arg[i] = op->arg[i];
  for (int i = 0; i < op->kernel->nparams; i++) arg[op->kernel->nargs + i] = (void *)(uintptr_t)op->param[i];
  for (int64_t t = op->tasks - 1; t >= 0; t--) op->kernel->whole(arg, op->step, t);
  return 0;
}

/* ---- doing it ---- */
static int drain(CUstream s, long until);
static double now = 0;

static int run_queue(const Queue *q);
static int run_op(const Op *op) {
  now += 0.001;
  switch (op->kind) {
  case COPY: memmove(op->to, op->from, op->bytes); return 0;
  case FILL: memset(op->to, op->value, op->bytes); return 0;
  case KERNEL: return run_kernel(op);
  case RECORD: op->event->time = now; return 0;
  case WAIT: return drain(op->event->stream, op->until);
  default: return run_queue(&op->graph->queue);
  }
}

static int run_queue(const Queue *q) {
  int r = 0;
  for (int i = 0; !r && i < q->n; i++) r = run_op(&q->op[i]);
  return r;
}

/* Does the first `until` operations of the stream. A kernel's fault stays. */
static int drain(CUstream s, long until) {
  while (!sticky && s && s->done < until) sticky = run_op(&s->queue.op[s->done++ - s->first]);
  return sticky;
}

static int wait_for(CUstream s) {
  if (s->capture) return BAD_CAPTURE;
  int r = drain(s, s->first + s->queue.n);
  if (!r) s->first = s->done, s->queue.n = 0;
  return r;
}

/* ---- the driver's calls ---- */
#define CALL                             __attribute__((visibility("default"))) CUresult
#define FAKE_DECLARE(name, symbol, args) CUresult symbol args;
CUDA_FUNCTIONS(FAKE_DECLARE, FAKE_DECLARE)

CALL cuInit(unsigned flags) {
  (void)flags;
  ENTER("cuInit");
  if (!r && number("FAKE_CUDA_DEVICES", 1) < 1) r = CUDA_ERROR_NO_DEVICE;
  LEAVE;
}

CALL cuDriverGetVersion(int *version) {
  *version = (int)number("FAKE_CUDA_VERSION", 12040);
  return 0;
}

static const struct {
  int code;
  const char *name, *text;
} errors[] = {
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {218, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
     "the provided PTX was compiled with an unsupported toolchain."},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
     "system has unsupported display driver / cuda driver combination"},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"}};

static CUresult text_of(CUresult code, const char **out, int name) {
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (errors[i].code == code) return *out = name ? errors[i].name : errors[i].text, 0;
  return INVALID_VALUE;
}
CALL cuGetErrorName(CUresult code, const char **text) { return text_of(code, text, 1); }
CALL cuGetErrorString(CUresult code, const char **text) { return text_of(code, text, 0); }

CALL cuDeviceGetCount(int *n) {
  ENTER("cuDeviceGetCount");
  *n = (int)number("FAKE_CUDA_DEVICES", 1);
  LEAVE;
}
CALL cuDeviceGet(CUdevice *d, int n) { return *d = n, 0; }
CALL cuDeviceGetName(char *name, int size, CUdevice d) {
  (void)d;
  return snprintf(name, (size_t)size, "Fake GPU"), 0;
}
CALL cuDeviceGetAttribute(int *v, int attribute, CUdevice d) {
  long cc = number("FAKE_CUDA_CAPABILITY", 90);
  (void)d;
  ENTER("cuDeviceGetAttribute");
  *v = (int)(attribute == CU_MAJOR             ? cc / 10
             : attribute == CU_MINOR           ? cc % 10
             : attribute == CU_CLOCK_RATE      ? 1000000
             : attribute == CU_MULTIPROCESSORS ? 4
                                               : 0);
  LEAVE;
}

CALL cuDevicePrimaryCtxRetain(CUcontext *c, CUdevice d) {
  (void)d;
  ENTER("cuDevicePrimaryCtxRetain");
  if (!r) *c = (CUcontext)(uintptr_t)64, retained++;
  LEAVE;
}

static void write_log(void) {
  const char *path = getenv("FAKE_CUDA_LOG");
  FILE *f = path ? fopen(path, "a") : NULL;
  if (!f) return;
  for (int i = 0; counted[i].name; i++) fprintf(f, "%s %d\n", counted[i].name, counted[i].calls);
  fprintf(f, "work-left %d\n", work_left);
  for (int i = 0; i < MAX_BLOCKS; i++)
    if (block[i].p) fprintf(f, "leak of %zu bytes\n", block[i].bytes);
  fclose(f);
}

CALL cuDevicePrimaryCtxRelease_v2(CUdevice d) {
  (void)d;
  pthread_mutex_lock(&lock);
  count("cuDevicePrimaryCtxRelease");
  if (--retained == 0) write_log();
  pthread_mutex_unlock(&lock);
  return sticky;
}
CALL cuCtxSetCurrent(CUcontext c) { return have_context = c != NULL, 0; }

CALL cuMemGetInfo_v2(size_t *free_bytes, size_t *all) {
  ENTER_IN_CONTEXT("cuMemGetInfo");
  *all = total(), *free_bytes = *all - used;
  LEAVE;
}
CALL cuMemAlloc_v2(CUdeviceptr *p, size_t bytes) {
  ENTER_IN_CONTEXT("cuMemAlloc");
  void *q = NULL;
  if (!r && !(r = allocate(&q, bytes, 0))) *p = (uint64_t)(uintptr_t)q | DEVICE_BIT;
  LEAVE;
}
CALL cuMemFree_v2(CUdeviceptr p) {
  pthread_mutex_lock(&lock);
  int r = release((void *)(uintptr_t)(p ^ DEVICE_BIT), 0);
  LEAVE;
}
CALL cuMemHostAlloc(void **p, size_t bytes, unsigned flags) {
  (void)flags;
  ENTER_IN_CONTEXT("cuMemHostAlloc");
  if (!r) r = allocate(p, bytes, 1);
  LEAVE;
}
CALL cuMemFreeHost(void *p) {
  pthread_mutex_lock(&lock);
  int r = release(p, 1);
  LEAVE;
}

/* host: NULL where both ends are on the device. */
static int copy(CUstream s, uint8_t *to, const uint8_t *from, const void *host, size_t n) {
  if (!to || !from || !n) return INVALID_VALUE;
  int r = push(s, (Op){.kind = COPY, .to = to, .from = from, .bytes = n});
  if (!host || block_of(host, n, 1) || (!s->capture && number("FAKE_CUDA_PAGEABLE", 0))) return r;
  return s->capture ? BAD_CAPTURE : wait_for(s);
}
CALL cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t n, CUstream s) {
  ENTER_IN_CONTEXT("cuMemcpyHtoDAsync");
  if (!r) r = copy(s, device(to, n), from, from, n);
  LEAVE;
}
CALL cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t n, CUstream s) {
  ENTER_IN_CONTEXT("cuMemcpyDtoHAsync");
  if (!r) r = copy(s, to, device(from, n), to, n);
  LEAVE;
}
CALL cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream s) {
  ENTER_IN_CONTEXT("cuMemcpyDtoDAsync");
  if (!r) r = copy(s, device(to, n), device(from, n), NULL, n);
  LEAVE;
}
CALL cuMemsetD8Async(CUdeviceptr p, unsigned char v, size_t n, CUstream s) {
  ENTER_IN_CONTEXT("cuMemsetD8Async");
  uint8_t *to = device(p, n);
  if (!r) r = to ? push(s, (Op){.kind = FILL, .to = to, .value = v, .bytes = n}) : INVALID_VALUE;
  LEAVE;
}

CALL cuStreamCreate(CUstream *s, unsigned flags) {
  (void)flags;
  ENTER_IN_CONTEXT("cuStreamCreate");
  if (!r) *s = calloc(1, sizeof **s);
  LEAVE;
}
CALL cuStreamDestroy_v2(CUstream s) {
  free(s->queue.op);
  free(s);
  return 0;
}
CALL cuStreamSynchronize(CUstream s) {
  ENTER_IN_CONTEXT("cuStreamSynchronize");
  if (!r) r = wait_for(s);
  LEAVE;
}
/* Waiting for an event that was never recorded is no waiting. */
CALL cuStreamWaitEvent(CUstream s, CUevent e, unsigned flags) {
  (void)flags;
  ENTER_IN_CONTEXT("cuStreamWaitEvent");
  if (!r && e->stream) r = push(s, (Op){.kind = WAIT, .event = e, .until = e->at});
  LEAVE;
}
CALL cuEventCreate(CUevent *e, unsigned flags) {
  (void)flags;
  ENTER_IN_CONTEXT("cuEventCreate");
  if (!r) *e = calloc(1, sizeof **e);
  LEAVE;
}
CALL cuEventRecord(CUevent e, CUstream s) {
  ENTER_IN_CONTEXT("cuEventRecord");
  if (!r) {
    r = push(s, (Op){.kind = RECORD, .event = e});
    e->stream = s, e->at = s->first + s->queue.n;
  }
  LEAVE;
}
/* Does what the stream was given up to the event's record, and no more; or all of it. */
CALL cuEventSynchronize(CUevent e) {
  ENTER_IN_CONTEXT("cuEventSynchronize");
  if (!r && e->stream && e->stream->capture) r = BAD_CAPTURE;
  if (!r && e->stream) {
    bool all = number("FAKE_CUDA_EAGER", 0);
    r = drain(e->stream, all ? e->stream->first + e->stream->queue.n : e->at);
    work_left += e->stream->done < e->stream->first + e->stream->queue.n;
  }
  LEAVE;
}
CALL cuEventElapsedTime(float *ms, CUevent from, CUevent to) {
  return *ms = (float)(to->time - from->time), 0;
}
CALL cuEventDestroy_v2(CUevent e) { return free(e), 0; }

static const FakeKernel *find_kernel(const char *entry) {
  static void *handle;
  const char *path = getenv("FAKE_CUDA_KERNELS");
  if (!handle && path) handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void *symbol = handle ? dlsym(handle, "fake_kernels") : NULL;
  FakeKernelsFn fn;
  if (!symbol) return NULL;
  memcpy(&fn, &symbol, sizeof fn);
  const FakeKernels *k = fn();
  for (int i = 0; i < k->n; i++)
    if (strcmp(k->kernel[i].entry, entry) == 0) return &k->kernel[i];
  return NULL;
}

/* ".visible .entry NAME(": the number of them, with their names where `entry` is given. */
static int read_entries(const char *ptx, char (*entry)[96]) {
  int n = 0;
  char name[96];
  for (; (ptx = strstr(ptx, ".entry ")); ptx++)
    if (sscanf(ptx, ".entry %95[^( \n]", entry ? entry[n] : name) == 1) n++;
  return n;
}

CALL cuModuleLoadDataEx(CUmodule *m, const void *image, unsigned n, int *option, void **value) {
  ENTER_IN_CONTEXT("cuModuleLoadDataEx");
  int entries = r ? 0 : read_entries(image, NULL);
  if (!r && !entries) r = INVALID_PTX;
  for (unsigned i = 0; r && i < n; i++)
    if (option[i] == CU_JIT_ERROR_LOG)
      strcpy(value[i],
             "ptxas application ptx input, line 9; fatal   : Parsing error near '.nonsense': syntax error\n"
             "ptxas fatal   : Ptx assembly aborted due to errors\n");
  if (!r) {
    *m = calloc(1, sizeof **m);
    (*m)->n = entries;
    (*m)->function = calloc((size_t)entries, sizeof *(*m)->function);
    (*m)->entry = calloc((size_t)entries, sizeof *(*m)->entry);
    read_entries(image, (*m)->entry);
    for (int i = 0; i < entries; i++) (*m)->function[i].kernel = find_kernel((*m)->entry[i]);
  }
  LEAVE;
}
CALL cuModuleUnload(CUmodule m) { return free(m->function), free(m->entry), free(m), 0; }
CALL cuModuleGetFunction(CUfunction *f, CUmodule m, const char *name) {
  ENTER_IN_CONTEXT("cuModuleGetFunction");
  int i = 0;
  while (i < m->n && strcmp(name, m->entry[i]) != 0) i++;
  if (!r && (i == m->n || !m->function[i].kernel)) r = NOT_FOUND;
  if (!r) *f = &m->function[i];
  LEAVE;
}
CALL cuFuncGetAttribute(int *v, int attribute, CUfunction f) {
  (void)f;
  return *v = attribute == CU_FUNC_REGS ? 40 : 0, 0;
}
CALL cuFuncSetAttribute(CUfunction f, int attribute, int v) {
  (void)f, (void)attribute, (void)v;
  ENTER("cuFuncSetAttribute");
  LEAVE;
}

CALL cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                    unsigned bz, unsigned shared, CUstream s, void **args, void **extra) {
  (void)shared;
  ENTER_IN_CONTEXT("cuLaunchKernel");
  Op op = {.kind = KERNEL, .kernel = f->kernel, .blocks = gx, .threads = bx};
  if (r && r != 700 && r != 719) LEAVE;
  op.fault = r;
  r = gx < 1 || gy != 1 || gz != 1 || bx < 32 || by != 1 || bz != 1 || extra ? INVALID_VALUE : 0;
  int n = f->kernel->nargs;
  for (int i = 0; !r && i < n; i++)
    if (!(op.arg[i] = device(*(uint64_t *)args[i], 4))) r = CUDA_ERROR_ILLEGAL_ADDRESS;
  if (!r && !(op.step = (const NetcStep *)(void *)device(*(uint64_t *)args[n], sizeof(NetcStep))))
    r = INVALID_VALUE;
  if (!r) {
    op.tasks = *(int64_t *)args[n + 1];
    if (op.tasks < 1 || op.blocks > op.tasks) r = INVALID_VALUE;
  }
  for (int i = 0; !r && i < f->kernel->nparams; i++) op.param[i] = *(uint64_t *)args[n + 2 + i];
  if (!r) r = push(s, op);
  LEAVE;
}

#ifndef FAKE_NO_GRAPHS
CALL cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction f, int threads, size_t shared) {
  (void)f, (void)shared;
  return *blocks = 2048 / threads, 0;
}
CALL cuStreamBeginCapture_v2(CUstream s, int mode) {
  (void)mode;
  ENTER_IN_CONTEXT("cuStreamBeginCapture");
  if (!r) s->capture = calloc(1, sizeof *s->capture);
  LEAVE;
}
CALL cuStreamEndCapture(CUstream s, CUgraph *g) {
  ENTER_IN_CONTEXT("cuStreamEndCapture");
  if (!r && !s->capture) r = BAD_CAPTURE;
  if (s->capture) {
    *g = calloc(1, sizeof **g);
    (*g)->queue = *s->capture;
    free(s->capture);
    s->capture = NULL;
  }
  LEAVE;
}
CALL cuGraphInstantiateWithFlags(CUgraphExec *x, CUgraph g, unsigned long long flags) {
  (void)flags;
  ENTER_IN_CONTEXT("cuGraphInstantiate");
  if (!r) {
    size_t bytes = (size_t)g->queue.n * sizeof *g->queue.op;
    *x = calloc(1, sizeof **x);
    (*x)->queue = g->queue;
    (*x)->queue.op = malloc(bytes + 1);
    memcpy((*x)->queue.op, g->queue.op, bytes);
  }
  LEAVE;
}
CALL cuGraphLaunch(CUgraphExec x, CUstream s) {
  ENTER_IN_CONTEXT("cuGraphLaunch");
  if (!r) r = push(s, (Op){.kind = GRAPH, .graph = x});
  LEAVE;
}
CALL cuGraphExecDestroy(CUgraphExec x) { return free(x->queue.op), free(x), 0; }
CALL cuGraphDestroy(CUgraph g) { return free(g->queue.op), free(g), 0; }
#endif
