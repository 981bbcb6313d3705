/* wgmma.c - products by four warps, emulated as late as they may come: sums hold NaN from the instruction to the wait, which
 * computes them from what then lies in shared memory. Until all four warps have waited nobody may store to what is read
 * (Cell.reading). That is read by the async proxy: who stored it must have made a proxy_fence after that, and both lie before the
 * block's last barrier.
 */
#include <stdlib.h>
#include <string.h>
#include "codegen/emulator/wgmma.h"
#include "codegen/kir/fragment.h"
#include "codegen/kir/wgmma.h"

enum { THREADS = WGMMA_WARPS * SIMT_LANES, NAN_BITS = 0x7fc1ffc5, LINES = 16 };

struct Product {
  int ins, n, bf16, waited; /* waited: a bit for each warp */
  bool in_registers;        /* a */
  bool transposed;
  WgmmaMatrix a, b;
  uint32_t rows[WGMMA_ROWS][8]; /* a that was in registers */
  float *sum[THREADS],
      *was; /* was: what they held, all of a thread's one after the other; NULL: those of a product before */
};

static Warpgroup *warpgroup_of(const Thread *t) { return &t->e->quad[t->warp / WGMMA_WARPS]; }

uint64_t emulate_matrix(void *thread, int32_t ins, int32_t buffer, int64_t at, int64_t form) {
  Thread *t = thread;
  const Emulator *e = t->e;
  const View *v = &e->view[buffer];
  int64_t byte = at * emulate_element_bytes(e->k, v->arg);
  if (at < 0 || byte >= v->bytes || byte % 16)
    emulate_stop(t, "v%d = matrix by thread %d: no matrix begins at element %lld of %s", ins, t->number,
                 (long long)at, e->k->ins[v->arg].name);
  return (uint64_t)form + ((e->region[v->region].address + (uint64_t)byte) & 0x3ffff) / 16;
}

/* ---- what a product reads ---- */

/* The scratch that holds 16 bytes at `address` of shared memory. */
static Region *scratch_at(const Emulator *e, uint32_t address) {
  for (int v = e->k->nargs; v < e->nview; v++) {
    Region *r = &e->region[e->view[v].region];
    if (address >= r->address && address + 16 <= r->address + (uint64_t)r->bytes) return r;
  }
  return NULL;
}

/* Piece `number` of 16 bytes, two of each row; transposed: one of each 8 columns, in 16 lines. */
static Region *piece(Thread *t, const Product *p, const WgmmaMatrix *m, int number, int64_t *at) {
  int row = p->transposed ? number % LINES : number / 2;
  uint32_t address =
      p->transposed ? wgmma_transposed_piece(m, row, number / LINES) : wgmma_piece(m, row, number % 2);
  Region *r = scratch_at(t->e, address);
  if (!r)
    emulate_stop(t, "v%d = %s: %s %d of a matrix is at byte %u of shared memory, where no scratch is", p->ins,
                 emulate_op(t->e, p->ins), p->transposed ? "line" : "row", row, address);
  *at = address - r->address;
  return r;
}

static bool seen_by_proxy(const Emulator *e, const Cell *c) {
  const Thread *w = &e->thread[c->writer.id % (uint32_t)e->nthread];
  return !c->writer.time || ((int)c->fences < w->nfence && w->fence[c->fences] < e->barrier);
}

static void begin_read(Thread *t, const Product *p, const WgmmaMatrix *m, int rows) {
  for (int i = 0; i < 2 * rows; i++) {
    int64_t at;
    Region *r = piece(t, p, m, i, &at);
    for (int64_t j = at / r->granule; j < (at + 16) / r->granule; j++) {
      Cell *c = &r->cell[j];
      const char *why = emulate_unordered(t->e, c);
      if (!why && !seen_by_proxy(t->e, c))
        why = "has made no proxy_fence after that, before the last barrier";
      if (why)
        emulate_stop(t, "v%d = %s reads byte %lld of scratch, which thread %u stored and %s", p->ins,
                     emulate_op(t->e, p->ins), (long long)(j * r->granule),
                     c->writer.id % (uint32_t)t->e->nthread, why);
      c->reading++;
    }
  }
}

/* Who stores there needs a barrier behind the wait of all four warps. */
static void end_read(Thread *t, const Product *p, const WgmmaMatrix *m, int rows) {
  Emulator *e = t->e;
  for (int i = 0; i < 2 * rows; i++) {
    int64_t at;
    Region *r = piece(t, p, m, i, &at);
    for (int64_t j = at / r->granule; j < (at + 16) / r->granule; j++) {
      r->cell[j].reading--;
      r->cell[j].reader = (Access){(uint32_t)e->task * (uint32_t)e->nthread, e->time};
      r->cell[j].group = BLOCK;
    }
  }
}

static void get_row(Thread *t, const Product *p, const WgmmaMatrix *m, int row, uint32_t to[8]) {
  for (int half = 0; half < 2 && !p->transposed; half++) {
    int64_t at;
    const Region *r = piece(t, p, m, 2 * row + half, &at);
    memcpy(to + 4 * half, r->data + at, 16);
  }
  for (int line = 0; line < LINES && p->transposed; line++) {
    int64_t at;
    const Region *r = piece(t, p, m, row / 8 * LINES + line, &at);
    memcpy((uint8_t *)to + 2 * line, r->data + at + row % 8 * 2, 2);
  }
}

/* ---- the instruction ---- */

/* Of `rows` rows, or columns. */
static WgmmaMatrix decode(Thread *t, const Product *p, uint64_t descriptor, int rows) {
  WgmmaMatrix m = wgmma_matrix(descriptor);
  int pattern = p->transposed && m.swapped ? (int)m.swapped / 2 : 8;
  if (rows % pattern)
    emulate_stop(t, "v%d = %s: %d elements along a line of a matrix are no whole patterns of %d", p->ins,
                 emulate_op(t->e, p->ins), rows, pattern);
  if (m.shift ||
      !(p->transposed ? wgmma_transposed_begins_right(&m, rows / pattern) : wgmma_begins_right(&m)))
    emulate_stop(
        t, "v%d = %s: a matrix whose swapped rows begin elsewhere than their pattern (byte %u, field %u)",
        p->ins, emulate_op(t->e, p->ins), m.address, m.shift);
  return m;
}

static Product *add_product(Thread *t, Warpgroup *q) {
  if (q->nproduct == q->capproduct) {
    int cap = q->capproduct ? 2 * q->capproduct : 8;
    Product *more = realloc(q->product, (size_t)cap * sizeof *more);
    if (!more) emulate_stop(t, "no memory");
    q->product = more, q->capproduct = cap;
  }
  Product *p = &q->product[q->nproduct++];
  memset(p, 0, sizeof *p);
  return p;
}

/* Sums that no product before has under way are put aside, and are NaN. */
static void take_sums(Thread *t, const Warpgroup *q, Product *p) {
  int regs = p->n / 2;
  memcpy(p->sum, q->sum, sizeof p->sum);
  for (const Product *o = q->product; o < p; o++)
    if (o->sum[0] == p->sum[0]) return;
  p->was = malloc((size_t)regs * THREADS * sizeof *p->was);
  if (!p->was) emulate_stop(t, "no memory");
  for (int i = 0; i < THREADS; i++) {
    memcpy(p->was + i * regs, p->sum[i], (size_t)regs * sizeof *p->was);
    for (int j = 0; j < regs; j++) memcpy(&p->sum[i][j], &(uint32_t){NAN_BITS}, 4);
  }
}

/* All threads are there. */
static void issue(Thread *t, Warpgroup *q, int bf16) {
  Emulator *e = t->e;
  const KIns *i = &e->k->ins[q->ins];
  Product *p = add_product(t, q);
  p->ins = q->ins, p->bf16 = bf16, p->n = 2 * (int)e->k->ins[i->in[0]].imm, p->in_registers = q->a[0] != NULL;
  p->transposed = i->op == K_wgmma_bf16_transposed;
  for (int j = 1; j < THREADS; j++)
    if (memcmp(q->matrix[0], q->matrix[j], sizeof q->matrix[0]))
      emulate_stop(t, "v%d = %s: threads 0 and %d of four warps name different matrices", q->ins,
                   emulate_op(e, q->ins), j);
  if (!p->in_registers) p->a = decode(t, p, q->matrix[0][0], WGMMA_ROWS), begin_read(t, p, &p->a, WGMMA_ROWS);
  p->b = decode(t, p, q->matrix[0][1], p->n);
  begin_read(t, p, &p->b, p->n);
  for (int j = 0; j < THREADS && p->in_registers; j++)
    for (int r = 0; r < 4; r++) /* as mma's */
      p->rows[j / SIMT_LANES * 16 + j % SIMT_LANES / 4 + r % 2 * 8][j % 4 + r / 2 * 4] = q->a[j][r];
  take_sums(t, q, p);
}

void emulate_wgmma(void *thread, int32_t ins, int32_t bf16, float *sum, const uint32_t *a, uint64_t a_matrix,
                   uint64_t b_matrix) {
  Thread *t = thread;
  Emulator *e = t->e;
  if (e->nthread % THREADS)
    emulate_stop(t, "v%d = %s in a block of no fours of warps", ins, emulate_op(e, ins));
  if (!t->ready)
    emulate_stop(t, "v%d = %s by thread %d: no wgmma_fence since it began or waited", ins, emulate_op(e, ins),
                 t->number);
  Warpgroup *q = warpgroup_of(t);
  int at = t->number % THREADS;
  if (q->waiting && q->ins != ins)
    emulate_stop(t, "thread %d is at v%d = %s while others of its four warps wait at v%d = %s", t->number,
                 ins, emulate_op(e, ins), q->ins, emulate_op(e, q->ins));
  q->ins = ins, q->a[at] = a, q->sum[at] = sum, q->matrix[at][0] = a_matrix, q->matrix[at][1] = b_matrix;
  if (++q->waiting == THREADS) {
    issue(t, q, bf16);
    q->waiting = 0;
    for (int w = 0; w < WGMMA_WARPS; w++) emulate_wake(e, t->warp / WGMMA_WARPS * WGMMA_WARPS + w);
  }
  fiber_pause(e->fibers);
}

/* ---- the wait ---- */

static void restore(Thread *t, const Product *p, int first) {
  int regs = p->n / 2;
  for (int i = first; i < first + SIMT_LANES; i++)
    for (int j = 0; j < regs; j++) {
      if (memcmp(&p->sum[i][j], &(uint32_t){NAN_BITS}, 4))
        emulate_stop(t, "v%d = %s: sum %d of thread %d was stored to before wgmma_wait", p->ins,
                     emulate_op(t->e, p->ins), j, i);
      p->sum[i][j] = p->was[i * regs + j];
    }
}

static void finish(Thread *t, Product *p, int warp) {
  uint32_t a[16][8], b[256][8];
  for (int r = 0; r < 16; r++)
    if (p->in_registers) memcpy(a[r], p->rows[16 * warp + r], sizeof a[r]);
    else get_row(t, p, &p->a, 16 * warp + r, a[r]);
  for (int r = 0; r < p->n; r++) get_row(t, p, &p->b, r, b[r]);
  if (!p->bf16 && (fragment_unrounded(a[0], 16 * 8) || fragment_unrounded(b[0], p->n * 8)))
    emulate_stop(t, "v%d = %s: an operand is not rounded to tf32", p->ins, emulate_op(t->e, p->ins));
  if (p->was) restore(t, p, warp * SIMT_LANES);
  wgmma_multiply(p->bf16, p->n, a, b, p->sum + warp * SIMT_LANES);
  p->waited |= 1 << warp;
  if (p->waited != (1 << WGMMA_WARPS) - 1) return;
  if (!p->in_registers) end_read(t, p, &p->a, WGMMA_ROWS);
  end_read(t, p, &p->b, p->n);
  free(p->was);
  p->was = NULL;
}

/* All lanes of the warp wait. */
static void wait(Thread *t) {
  Warpgroup *q = warpgroup_of(t);
  int warp = t->warp % WGMMA_WARPS, kept = 0;
  for (int i = 0; i < q->nproduct; i++)
    if (!(q->product[i].waited >> warp & 1)) finish(t, &q->product[i], warp);
  for (int i = 0; i < q->nproduct; i++)
    if (q->product[i].waited != (1 << WGMMA_WARPS) - 1) q->product[kept++] = q->product[i];
  q->nproduct = kept;
}

static void proxy_fence(Thread *t) {
  if (t->nfence == t->capfence) {
    int cap = t->capfence ? 2 * t->capfence : 64;
    uint32_t *more = realloc(t->fence, (size_t)cap * sizeof *more);
    if (!more) emulate_stop(t, "no memory");
    t->fence = more, t->capfence = cap;
  }
  t->fence[t->nfence++] = t->e->time;
}

void emulate_order(void *thread, int32_t ins, int32_t op) {
  Thread *t = thread;
  if (op == K_proxy_fence) proxy_fence(t);
  else if (op == K_wgmma_fence) t->ready = true;
  else if (t->e->quad && t->e->nthread >= THREADS) t->ready = false, emulate_meet_warp(t, ins, wait);
}

bool emulate_unfinished(const Thread *t) {
  const Warpgroup *q = warpgroup_of(t);
  for (int i = 0; i < q->nproduct; i++)
    if (!(q->product[i].waited >> t->warp % WGMMA_WARPS & 1)) return true;
  return false;
}

void emulate_clear(Warpgroup *q) {
  for (int i = 0; i < q->nproduct; i++) free(q->product[i].was);
  q->nproduct = q->waiting = 0;
}
