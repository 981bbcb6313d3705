/* threads.c - what emulated threads share: the error that ends a launch, accesses to memory with the watch
 * that is kept over them, and places where threads wait for each other (threads.h).
 *
 * Time is a count of the syncs and barriers done. For every element there is who stored it last and when, and
 * who read it since. An access is ordered behind one of another thread of its warp when that came before the
 * warp's last sync, of its block when it came before the block's last barrier, and never behind one of
 * another block. Of several readers that nothing orders only the narrowest group that holds them is kept: a
 * thread, a warp, a block, or all. */
#include <stdarg.h>
#include "codegen/emulator/threads.h"
#include "codegen/kir/fragment.h"
#include "codegen/llvm/lower_internal.h"

/* ---- errors: of the running thread, which never goes on ---- */
static void say(Emulator *e, const char *fmt, va_list ap) {
  if (e->failed) return;
  ir_error(e->err, "kernel %.80s, task %lld: ", e->k->name, (long long)e->task);
  ir_verror_more(e->err, fmt, ap);
  e->failed = true;
}

void emulate_fail(Emulator *e, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  say(e, fmt, ap);
  va_end(ap);
}

void emulate_halt(const Thread *t) {
  for (;;) fiber_pause(t->e->fibers);
}

void emulate_stop(Thread *t, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  say(t->e, fmt, ap);
  va_end(ap);
  emulate_halt(t);
}

const char *emulate_op(const Emulator *e, int ins) { return kop_info[e->k->ins[ins].op].name; }
static const char *buffer_name(const Emulator *e, int buffer) {
  const char *name = e->k->ins[e->view[buffer].arg].name;
  return name ? name : "?";
}

/* ---- accesses ---- */
uint32_t emulate_id(const Thread *t) {
  return (uint32_t)t->e->task * (uint32_t)t->e->nthread + (uint32_t)t->number;
}

static uint32_t first_of(const Emulator *e, uint32_t id, Group g) {
  uint32_t block = id / (uint32_t)e->nthread * (uint32_t)e->nthread;
  if (g == WARP) return block + (id - block) / SIMT_LANES * SIMT_LANES;
  return g == THREAD ? id : g == BLOCK ? block : 0;
}

static bool same_group(const Emulator *e, uint32_t a, uint32_t b, Group g) {
  return first_of(e, a, g) == first_of(e, b, g);
}

/* Did what `who` (a group of threads) did happen before what t does now? */
static bool ordered(const Thread *t, Access who, Group g) {
  const Emulator *e = t->e;
  uint32_t number = who.id - (emulate_id(t) - (uint32_t)t->number); /* in the block, if it is of it */
  if (!who.time || (g == THREAD && number == (uint32_t)t->number)) return true;
  if (g == ALL || number >= (uint32_t)e->nthread) return false;
  if (g <= WARP && number / SIMT_LANES == (uint32_t)t->warp && who.time < e->warp[t->warp].synced)
    return true;
  return who.time < e->barrier;
}

const char *emulate_unordered(const Emulator *e, const Cell *c) {
  if (c->coming) return "copies to: no wait_group has waited for that";
  return c->writer.time && c->writer.time >= e->barrier ? "no barrier came after that" : NULL;
}

static void race(const Thread *t, int ins, int buffer, int64_t at, const char *did, Access who, Group g) {
  const Emulator *e = t->e;
  uint32_t n = (uint32_t)e->nthread;
  bool many = g != THREAD;
  emulate_fail(
      t->e,
      "v%d = %s by thread %d, element %lld of %s (argument %d): %s of task %u %s it, and nothing orders the "
      "two",
      ins, emulate_op(e, ins), t->number, (long long)at, buffer_name(e, buffer), buffer,
      many ? "threads" : "a thread", who.id / n, did);
}

/* Notes the access; false: a race. */
static bool record_access(const Thread *t, Cell *c, int ins, int buffer, int64_t at, bool write) {
  Emulator *e = t->e;
  Access me = {emulate_id(t), e->time};
  if (c->coming)
    return emulate_fail(
               e,
               "v%d = %s by thread %d, element %lld of %s (argument %d): a copy by thread %u is on its way "
               "there, and no wait_group has waited for it",
               ins, emulate_op(e, ins), t->number, (long long)at, buffer_name(e, buffer), buffer,
               c->writer.id % (uint32_t)e->nthread),
           false;
  if (write && c->reading)
    return emulate_fail(e,
                        "v%d = %s by thread %d, element %lld of %s (argument %d): a wgmma reads it that no "
                        "wgmma_wait has "
                        "waited for",
                        ins, emulate_op(e, ins), t->number, (long long)at, buffer_name(e, buffer), buffer),
           false;
  if (!ordered(t, c->writer, THREAD)) return race(t, ins, buffer, at, "stored", c->writer, THREAD), false;
  if (write) {
    Group g = (Group)c->group;
    if (!ordered(t, c->reader, g)) return race(t, ins, buffer, at, "read", c->reader, g), false;
    c->writer = me, c->fences = (uint32_t)t->nfence;
    c->reader.time = 0;
    return true;
  }
  Group g = THREAD;
  if (!ordered(t, c->reader, (Group)c->group))
    for (g = (Group)c->group; !same_group(e, c->reader.id, me.id, g); g++) {}
  c->reader = (Access){first_of(e, me.id, g), me.time};
  c->group = g;
  return true;
}

/* `bytes` bytes from element `at` on, of `size` bytes each. */
uint8_t *emulate_touch(Thread *t, int ins, int buffer, int64_t at, int64_t size, int64_t bytes, bool write) {
  Emulator *e = t->e;
  const View *v = &e->view[buffer];
  if (at < 0 || at * size + bytes > v->bytes) {
    emulate_fail(e, "v%d = %s by thread %d: element %lld of %s (argument %d), which has %lld", ins,
                 emulate_op(e, ins), t->number, (long long)at, buffer_name(e, buffer), buffer,
                 (long long)(v->bytes / size));
    emulate_halt(t);
  }
  const Region *r = &e->region[v->region];
  int64_t from = v->offset + at * size;
  int shift = r->granule == 4 ? 2 : r->granule == 2 ? 1 : r->granule == 8 ? 3 : 0;
  for (int64_t c = from >> shift, end = (from + bytes - 1) >> shift; c <= end; c++)
    if (!record_access(t, &r->cell[c], ins, buffer, at, write)) emulate_halt(t);
  return r->data + from;
}

int64_t emulate_element_bytes(const KFn *k, KV buf) {
  return (int64_t)lower_element_bytes((KBase)k->ins[buf].type.base);
}

/* Of several elements at once the first must be where such pieces begin. */
uint8_t *emulate_touch_piece(Thread *t, int ins, int buffer, int64_t at, int64_t bytes, bool write) {
  Emulator *e = t->e;
  uint8_t *p =
      emulate_touch(t, ins, buffer, at, emulate_element_bytes(e->k, e->view[buffer].arg), bytes, write);
  if ((uintptr_t)p % (uintptr_t)bytes == 0) return p;
  emulate_fail(
      e, "v%d = %s by thread %d: element %lld of %s (argument %d) does not lie at a multiple of %d bytes",
      ins, emulate_op(e, ins), t->number, (long long)at, buffer_name(e, buffer), buffer, (int)bytes);
  emulate_halt(t);
  return NULL;
}

/* ---- waiting ---- */
void emulate_wake(Emulator *e, int warp) {
  for (int l = 0; l < SIMT_LANES; l++) e->ready[e->nready++] = warp * SIMT_LANES + l;
  e->warp[warp].waiting = 0;
}

static void multiply(Emulator *e, const Thread *t, bool bf16) {
  Warp *w = &e->warp[t->warp];
  for (int l = 0; l < SIMT_LANES && !bf16; l++)
    if (fragment_unrounded(w->a[l], 4) || fragment_unrounded(w->b[l], 2)) {
      emulate_fail(e, "v%d = %s by warp %d: an operand of lane %d is not rounded to tf32", w->ins,
                   emulate_op(e, w->ins), t->warp, l);
      emulate_halt(t);
    }
  fragment_mma(bf16, w->a, w->b, w->sum);
}

/* All lanes of the warp are there. */
static void collective(Emulator *e, const Thread *t, int kind) {
  Warp *w = &e->warp[t->warp];
  switch (kind) {
  case SYNC: w->synced = ++e->time; break;
  case MATRIX:
  case MATRIX_TURNED:
    for (int l = 0; l < SIMT_LANES; l++)
      for (int m = 0; m < 4; m++) w->regs[l][m] = fragment_word(&w->row[8 * m], l, kind == MATRIX_TURNED);
    break;
  case MMA_TF32:
  case MMA_BF16: multiply(e, t, kind == MMA_BF16); break;
  case OTHER: break;
  default:
    for (int l = 0; l < SIMT_LANES; l++)
      w->result[l] = w->word[(kind == SHUFFLE_XOR ? l ^ w->from[l] : w->from[l]) % SIMT_LANES];
  }
  emulate_wake(e, t->warp);
}

uint32_t emulate_meet(Thread *t, int ins, int kind, uint32_t word, int lane) {
  Emulator *e = t->e;
  Warp *w = &e->warp[t->warp];
  if (!w->waiting) w->ins = ins, w->kind = kind;
  if (w->ins != ins || w->kind != kind) {
    emulate_fail(e, "lane %d of warp %d is at v%d = %s while others of it wait at v%d = %s", t->lane, t->warp,
                 ins, emulate_op(e, ins), w->ins, emulate_op(e, w->ins));
    emulate_halt(t);
  }
  w->word[t->lane] = word, w->from[t->lane] = lane;
  if (++w->waiting == SIMT_LANES) collective(e, t, kind);
  fiber_pause(e->fibers);
  return w->result[t->lane];
}

void emulate_meet_warp(Thread *t, int ins, void (*act)(Thread *t)) {
  if (t->e->warp[t->warp].waiting == SIMT_LANES - 1) act(t);
  emulate_meet(t, ins, OTHER, 0, 0);
}

void emulate_barrier(Thread *t, int ins) {
  Emulator *e = t->e;
  if (e->at_barrier && e->barrier_at != ins) {
    emulate_fail(e, "thread %d is at v%d = barrier while others wait at v%d", t->number, ins, e->barrier_at);
    emulate_halt(t);
  }
  e->barrier_at = ins;
  if (++e->at_barrier == e->nthread) {
    e->barrier = ++e->time;
    for (int w = 0; w < e->nthread / SIMT_LANES; w++) e->warp[w].synced = e->time, emulate_wake(e, w);
    e->at_barrier = 0;
  }
  fiber_pause(e->fibers);
}
