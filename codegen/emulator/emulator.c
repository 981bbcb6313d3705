/* emulator.c - blocks of fibers, one after the other (emulator.h): what their threads call, and how a
 * launch's memory and threads are laid out. How accesses are watched is in threads.c.
 *
 * An asynchronous copy stores NaN when it is asked for, and what it copies when its thread waits for it:
 * between the two nobody may touch the place, and it counts as stored then. */
#include <stdlib.h>
#include <string.h>
#include "codegen/emulator/wgmma.h"
#include "codegen/kir/wgmma.h"

static uint32_t roll(Emulator *e, uint32_t n) {
  e->dice = e->dice * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((e->dice >> 32) * n >> 32);
}

/* ---- what threads call ---- */

static void *address(void *thread, int32_t ins, int32_t buffer, int64_t at, int32_t bytes, int32_t write) {
  return emulate_touch(thread, ins, buffer, at, bytes, bytes, write);
}

static uint32_t shuffle(void *thread, int32_t ins, uint32_t word, int32_t lane, int32_t exchange) {
  return emulate_meet(thread, ins, exchange ? SHUFFLE_XOR : SHUFFLE_INDEX, word, lane);
}

static void sync(void *thread, int32_t ins, int32_t block) {
  if (block) emulate_barrier(thread, ins);
  else emulate_meet(thread, ins, SYNC, 0, 0);
}

static void load_matrix(void *thread, int32_t ins, int32_t buffer, int64_t at, int32_t transposed,
                        uint32_t *regs) {
  Thread *t = thread;
  Warp *w = &t->e->warp[t->warp];
  w->row[t->lane] = emulate_touch_piece(t, ins, buffer, at, 16, false), w->regs[t->lane] = regs;
  emulate_meet(t, ins, transposed ? MATRIX_TURNED : MATRIX, 0, 0);
}

static void mma(void *thread, int32_t ins, int32_t bf16, float *sum, const uint32_t *a, const uint32_t *b) {
  Thread *t = thread;
  Warp *w = &t->e->warp[t->warp];
  w->sum[t->lane] = sum, w->a[t->lane] = a, w->b[t->lane] = b;
  emulate_meet(t, ins, bf16 ? MMA_BF16 : MMA_TF32, 0, 0);
}

/* ---- copies that arrive later: as late as they may ---- */
static const uint32_t poison = 0x7fc1ffc5; /* NaN as f32, and each half as bf16 */

static void copy_async(void *thread, int32_t ins, int32_t to, int64_t to_at, int32_t from, int64_t from_at,
                       int32_t bytes) {
  Thread *t = thread;
  Emulator *e = t->e;
  Region *r = &e->region[e->view[to].region];
  uint8_t *p = emulate_touch_piece(t, ins, to, to_at, bytes, true);
  Copy c = {.region = r, .to = p - r->data, .bytes = bytes, .group = t->group};
  if (from_at >= 0) c.from = emulate_touch_piece(t, ins, from, from_at, bytes, false);
  for (int i = 0; i < bytes; i += 4) memcpy(p + i, &poison, 4);
  for (int64_t i = c.to / r->granule; i * r->granule < c.to + bytes; i++) r->cell[i].coming = true;
  if (t->ncopy == t->capcopy) {
    int cap = t->capcopy ? 2 * t->capcopy : 64;
    Copy *more = realloc(t->copy, (size_t)cap * sizeof *more);
    if (!more) emulate_fail(e, "no memory"), emulate_halt(t);
    t->copy = more, t->capcopy = cap;
  }
  t->copy[t->ncopy++] = c;
}

static void commit(void *thread, int32_t ins) {
  (void)ins;
  ((Thread *)thread)->group++;
}

static void arrive(const Thread *t, const Copy *c) {
  Region *r = c->region;
  if (c->from) memcpy(r->data + c->to, c->from, (size_t)c->bytes);
  else memset(r->data + c->to, 0, (size_t)c->bytes);
  for (int64_t i = c->to / r->granule; i * r->granule < c->to + c->bytes; i++) {
    r->cell[i].coming = false;
    r->cell[i].writer = (Access){emulate_id(t), t->e->time}, r->cell[i].fences = (uint32_t)t->nfence;
  }
}

static void wait_group(void *thread, int32_t ins, int32_t latest) {
  Thread *t = thread;
  int n = 0;
  (void)ins;
  while (n < t->ncopy && t->copy[n].group < t->group - latest) arrive(t, &t->copy[n++]);
  t->ncopy -= n;
  if (n) memmove(t->copy, t->copy + n, (size_t)t->ncopy * sizeof *t->copy);
}

static const SimtCalls calls = {address, shuffle,    sync,           load_matrix,   mma,          copy_async,
                                commit,  wait_group, emulate_matrix, emulate_order, emulate_wgmma};

/* ---- blocks ---- */
static void run_thread(void *arg) {
  Thread *t = arg;
  t->ncopy = t->group = t->nfence = 0;
  t->ready = false;
  t->e->program(&calls, t, t->lane, t->warp, t->e->task, t->e->step, t->e->param);
  if (t->ncopy)
    emulate_fail(t->e, "thread %d ends while %d asynchronous copies are on their way; wait_group is missing",
                 t->number, t->ncopy);
  if (emulate_unfinished(t))
    emulate_fail(t->e, "thread %d ends and has not waited for its wgmma; wgmma_wait is missing", t->number);
}

static void poison_scratch(Emulator *e) {
  for (int v = e->k->nargs; v < e->nview; v++) {
    Region *r = &e->region[e->view[v].region];
    for (int64_t b = 0; b + 4 <= r->bytes; b += 4) memcpy(r->data + b, &poison, 4);
    memset(r->cell, 0, (size_t)(r->bytes / r->granule + 1) * sizeof *r->cell);
  }
}

static bool run_block(Emulator *e, int64_t task) {
  e->task = task;
  e->nready = e->at_barrier = 0;
  e->barrier = 0;
  poison_scratch(e);
  for (int i = 0; i < e->nthread; i++) {
    fiber_start(e->fibers, i, run_thread, &e->thread[i]);
    e->ready[e->nready++] = i;
  }
  memset(e->warp, 0, (size_t)(e->nthread / SIMT_LANES) * sizeof *e->warp);
  for (int q = 0; q < e->nthread / SIMT_LANES / WGMMA_WARPS; q++) emulate_clear(&e->quad[q]);
  int ended = 0;
  while (e->nready) {
    uint32_t pick = roll(e, (uint32_t)e->nready);
    int i = e->ready[pick];
    e->ready[pick] = e->ready[--e->nready];
    ended += !fiber_resume(e->fibers, i);
    if (e->failed) return false;
  }
  if (ended == e->nthread) return true;
  for (int q = 0; q < e->nthread / SIMT_LANES / WGMMA_WARPS; q++)
    if (e->quad[q].waiting)
      emulate_fail(e, "%d threads of four warps wait at v%d = %s for threads that never come",
                   e->quad[q].waiting, e->quad[q].ins, emulate_op(e, e->quad[q].ins));
  for (int w = 0; w < e->nthread / SIMT_LANES; w++)
    if (e->warp[w].waiting)
      emulate_fail(e, "%d lanes of warp %d wait at v%d = %s for lanes that never come", e->warp[w].waiting, w,
                   e->warp[w].ins, emulate_op(e, e->warp[w].ins));
  emulate_fail(e, "%d threads wait at v%d = barrier for threads that never come", e->at_barrier,
               e->barrier_at);
  return false;
}

/* ---- launches ---- */
static int add_region(Emulator *e, uint8_t *data, int64_t bytes, int granule) {
  e->region[e->nregion] = (Region){.data = data, .bytes = bytes, .granule = granule};
  return e->nregion++;
}

/* Arguments that share memory share a region: the first to last byte of any of them. */
static void place_argument(Emulator *e, KV v, const EmuBuffer *b) {
  const KFn *k = e->k;
  uint8_t *data = b->data;
  int granule = (int)emulate_element_bytes(k, v), at = 0;
  for (; at < e->nregion; at++) {
    Region *r = &e->region[at];
    if (data >= r->data + r->bytes || r->data >= data + b->bytes) continue;
    uint8_t *end = r->data + r->bytes > data + b->bytes ? r->data + r->bytes : data + b->bytes;
    uint8_t *begin = r->data < data ? r->data : data;
    for (int i = 0; i < e->nview; i++)
      if (e->view[i].region == at) e->view[i].offset += r->data - begin;
    r->data = begin, r->bytes = end - begin;
    if (granule < r->granule) r->granule = granule;
    break;
  }
  if (at == e->nregion) add_region(e, data, b->bytes, granule);
  e->view[e->nview++] = (View){at, data - e->region[at].data, b->bytes, v};
}

static bool place_buffers(Emulator *e, const EmuBuffer *arg) {
  const KFn *k = e->k;
  int n = k->nargs;
  for (int v = 0; v < k->n; v++) n += k->ins[v].op == K_scratch;
  e->nregion = e->nview = 0;
  e->region = calloc((size_t)n + 1, sizeof *e->region);
  e->view = calloc((size_t)n + 1, sizeof *e->view);
  if (!e->region || !e->view) return false;
  for (int v = 0; v < k->n; v++)
    if (k->ins[v].op == K_arg) place_argument(e, v, &arg[k->ins[v].imm]);
  uint32_t shared = 0;
  for (int v = 0; v < k->n; v++) {
    if (k->ins[v].op != K_scratch) continue;
    int64_t bytes = k->ins[v].imm * emulate_element_bytes(k, v);
    uint8_t *data = aligned_alloc(64, (size_t)(bytes + 64) / 64 * 64);
    int r = add_region(e, data, bytes, (int)emulate_element_bytes(k, v));
    e->view[e->nview++] = (View){r, 0, bytes, v};
    e->region[r].address = shared;
    shared += (uint32_t)(bytes + SIMT_PATTERN - 1) / SIMT_PATTERN * SIMT_PATTERN;
    if (!data) return false;
  }
  bool good = true;
  for (int i = 0; i < e->nregion; i++) {
    Region *r = &e->region[i];
    r->cell = calloc((size_t)(r->bytes / r->granule + 1), sizeof *r->cell);
    good = good && r->cell;
  }
  return good;
}

static void free_buffers(Emulator *e) {
  for (int v = e->k->nargs; e->view && v < e->nview; v++) free(e->region[e->view[v].region].data);
  for (int i = 0; e->region && i < e->nregion; i++) free(e->region[i].cell);
  free(e->region), free(e->view);
  e->region = NULL, e->view = NULL;
}

static void free_threads(Emulator *e) {
  for (int i = 0; e->thread && i < e->nthread; i++) free(e->thread[i].copy), free(e->thread[i].fence);
  for (int q = 0; e->quad && q < e->nthread / SIMT_LANES / WGMMA_WARPS; q++)
    emulate_clear(&e->quad[q]), free(e->quad[q].product);
  fibers_free(e->fibers), free(e->thread), free(e->warp), free(e->ready), free(e->quad);
}

static bool place_threads(Emulator *e) {
  int n = SIMT_LANES * e->k->warps;
  if (n == e->nthread) return true;
  free_threads(e);
  e->nthread = n;
  e->fibers = fibers_new(n);
  e->thread = calloc((size_t)n, sizeof *e->thread);
  e->ready = calloc((size_t)n, sizeof *e->ready);
  e->warp = calloc((size_t)e->k->warps, sizeof *e->warp);
  e->quad = calloc((size_t)e->k->warps / WGMMA_WARPS + 1, sizeof *e->quad);
  if (!e->fibers || !e->thread || !e->ready || !e->warp || !e->quad) return false;
  for (int i = 0; i < n; i++)
    e->thread[i] = (Thread){.e = e, .lane = i % SIMT_LANES, .warp = i / SIMT_LANES, .number = i};
  return true;
}

static bool run_blocks(Emulator *e, int64_t tasks) {
  int64_t *order = calloc((size_t)tasks + 1, sizeof *order);
  if (!order) return emulate_fail(e, "no memory"), false;
  for (int64_t t = 0; t < tasks; t++) {
    int64_t o = roll(e, (uint32_t)t + 1);
    order[t] = order[o], order[o] = t;
  }
  bool good = true;
  for (int64_t t = 0; t < tasks && good; t++) good = run_block(e, order[t]);
  free(order);
  return good;
}

bool emulator_launch(Emulator *e, int kernel, const EmuBuffer *arg, int64_t tasks, const NetcStep *step,
                     uint64_t seed, char err[IR_ERR]) {
  e->param = e->arena ? e->shared.param[kernel] : NULL;
  if (e->arena) kernel = e->shared.of[kernel];
  e->k = e->kernel[kernel];
  e->program = (SimtThreadFn)(uintptr_t)jit_get(e->jit, kernel);
  e->step = step, e->err = err, e->dice = seed, e->failed = false, e->time = 1, e->task = 0;
  bool good = e->program && place_threads(e) && place_buffers(e, arg);
  if (!good) emulate_fail(e, "no memory for its threads and buffers");
  good = good && run_blocks(e, tasks);
  free_buffers(e);
  return good;
}

Emulator *emulator_new(const KFn *const *prepared, int n, char err[IR_ERR]) {
  for (int i = 0; i < n; i++)
    if (!kir_verify(prepared[i], err)) return NULL;
  return emulator_unchecked(prepared, n, err);
}

Emulator *emulator_unchecked(const KFn *const *prepared, int n, char err[IR_ERR]) {
  Emulator *e = calloc(1, sizeof *e);
  if (!e) return NULL;
  e->kernel = prepared, e->nkernel = n;
  e->jit = jit_new_simt(prepared, n, err);
  if (e->jit) return e;
  free(e);
  return NULL;
}

Emulator *emulator_shared(const KFn *const *kernel, const ShareMode *mode, int n, char err[IR_ERR]) {
  Arena *a = arena_new();
  SharedCodes shared = share_kernels(a, kernel, mode, n);
  Emulator *e = emulator_new(shared.code, shared.n, err);
  if (e) e->arena = a, e->shared = shared;
  else arena_free(a);
  return e;
}

void emulator_free(Emulator *e) {
  if (!e) return;
  jit_free(e->jit);
  free_threads(e);
  if (e->arena) arena_free(e->arena);
  free(e);
}
