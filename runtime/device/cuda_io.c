/* cuda_io.c - what goes to the device and what comes back. */
#include <stdlib.h>
#include <string.h>
#include "runtime/base/array.h"
#include "runtime/device/cuda.h"

enum { APART = 4096 }; /* bytes between outputs that are copied along rather than left out */

/* ---- buffers ---- */

static int64_t padded(int64_t bytes) { return (bytes + 63) / 64 * 64; }

static bool place_inputs(const NetcFn *f, CudaFn *c, char err[ERR_MAX]) {
  c->place = calloc((size_t)f->ninputs + 1, sizeof *c->place);
  if (!c->place) return err_memory(err, "the table of inputs", f->ninputs);
  for (int i = 0; i < f->ninputs; i++) {
    bool scalar = is_host_scalar(&f->inputs[i]);
    c->place[i] = scalar ? -1 : c->batch_bytes;
    if (!scalar) c->batch_bytes += padded(f->inputs[i].bytes);
  }
  return true;
}

static int by_offset(const void *a, const void *b, void *plan) {
  const NetcArray *x = &((const NetcFn *)plan)->outputs[*(const int *)a],
                  *y = &((const NetcFn *)plan)->outputs[*(const int *)b];
  return x->offset != y->offset ? (x->offset < y->offset ? -1 : 1) : *(const int *)a - *(const int *)b;
}

/* Outputs in order of their places; those close to each other share a span. */
static bool place_outputs(CudaFn *c, int64_t *total, char err[ERR_MAX]) {
  const NetcFn *p = c->plan;
  size_t n = (size_t)p->noutputs + 1;
  int *order = calloc(n, sizeof *order);
  c->output_place = calloc(n, sizeof *c->output_place);
  c->span = calloc(n, sizeof *c->span);
  bool ok = (order && c->output_place && c->span) || err_memory(err, "the table of outputs", p->noutputs);
  for (int i = 0; ok && i < p->noutputs; i++) order[i] = i;
  if (ok) qsort_r(order, (size_t)p->noutputs, sizeof *order, by_offset, (void *)(uintptr_t)p);
  *total = 0;
  for (int i = 0; ok && i < p->noutputs; i++) {
    const NetcArray *a = &p->outputs[order[i]];
    Span *last = c->nspan ? &c->span[c->nspan - 1] : NULL;
    if (!last || a->offset > last->from + last->bytes + APART) {
      last = &c->span[c->nspan++];
      *last = (Span){a->offset, *total, 0};
    }
    int64_t end = a->offset + a->bytes - last->from;
    if (end > last->bytes) last->bytes = end;
    c->output_place[order[i]] = last->to + a->offset - last->from;
    *total = padded(last->to + last->bytes);
  }
  free(order);
  return ok;
}

bool cuda_make_buffers(const Session *s, const NetcFn *f, char err[ERR_MAX]) {
  const Gpu *g = &cuda_of(s)->gpu;
  CudaFn *c = cuda_fn(s, f);
  int64_t outputs;
  int64_t control = (int64_t)sizeof(NetcStep) + 4 * (int64_t)f->ninputs;
  bool ok = place_inputs(f, c, err) && place_outputs(c, &outputs, err) &&
            gpu_alloc_host(g, c->batch_bytes, (void **)&c->batch[0], err);
  for (int i = 0; ok && i < 2; i++)
    ok = gpu_alloc_host(g, control, (void **)&c->control[i], err) &&
         gpu_alloc_host(g, outputs, (void **)&c->outputs[i], err);
  return ok;
}

void cuda_free_buffers(const Session *s, CudaFn *c) {
  const Gpu *g = &cuda_of(s)->gpu;
  for (int i = 0; i < 2; i++) {
    gpu_free_host(g, (void **)&c->batch[i]), gpu_free(g, &c->ahead[i]);
    gpu_free_host(g, (void **)&c->control[i]), gpu_free_host(g, (void **)&c->outputs[i]);
  }
  free(c->place), free(c->output_place), free(c->span);
}

/* ---- batches given ahead ---- */

static bool make_slots(const Session *s, CudaFn *c, char err[ERR_MAX]) {
  const Gpu *g = &cuda_of(s)->gpu;
  for (int i = 0; i < 2; i++) {
    if (!c->ahead[i] && !gpu_alloc(g, c->batch_bytes + 64, "the next batch", &c->ahead[i], err)) return false;
    if (!c->batch[i] && !gpu_alloc_host(g, c->batch_bytes, (void **)&c->batch[i], err)) return false;
  }
  return true;
}

/* The run that took what was in the slot has put it in its place; then the slot's copies have ended, too. */
bool cuda_give(const Session *s, const NetcFn *f, int slot, const BatchInput *in, int n, NetcStep step,
               char err[ERR_MAX]) {
  CudaDevice *d = cuda_of(s);
  CudaFn *c = cuda_fn(s, f);
  const Gpu *g = &d->gpu;
  if (!gpu_enter(g, err) || !make_slots(s, c, err) || !GPU(g, err, cuEventSynchronize, d->taken[slot]))
    return false;
  for (int i = 0; i < n; i++) {
    const NetcArray *a = &f->inputs[in[i].input];
    int64_t at = c->place[in[i].input];
    if (in[i].view) continue;
    array_from_channels_last(a, in[i].data, c->batch[slot] + at);
    if (!GPU(g, err, cuMemcpyHtoDAsync, c->ahead[slot] + (uint64_t)at, c->batch[slot] + at, (size_t)a->bytes,
             d->copies))
      return false;
  }
  return cuda_fill_batch(s, f, slot, in, n, step, err) &&
         GPU(g, err, cuEventRecord, d->given[slot], d->copies);
}

void cuda_accept(const Session *s, const NetcFn *f, int slot) {
  cuda_of(s)->slot = slot;
  cuda_of(s)->slot_fn = cuda_fn(s, f);
}

/* ---- variables ---- */

void cuda_changed(const Session *s) { cuda_of(s)->written = true, cuda_of(s)->computed = false; }

/* From and to memory that is not pinned: rare, and there may be gigabytes of it. */
bool cuda_fetch(const Session *s, char err[ERR_MAX]) {
  CudaDevice *d = cuda_of(s);
  if (!d->computed) return true;
  if (!gpu_enter(&d->gpu, err) ||
      !GPU(&d->gpu, err, cuMemcpyDtoHAsync, s->arena, d->arena, (size_t)s->module->desc->variable_bytes,
           d->stream) ||
      !GPU(&d->gpu, err, cuStreamSynchronize, d->stream))
    return false;
  d->computed = false;
  return true;
}

static bool send_variables(const Session *s, char err[ERR_MAX]) {
  CudaDevice *d = cuda_of(s);
  if (!d->written || !s->module->desc->variable_bytes) return true;
  if (!GPU(&d->gpu, err, cuMemcpyHtoDAsync, d->arena, s->arena, (size_t)s->module->desc->variable_bytes,
           d->stream) ||
      !GPU(&d->gpu, err, cuStreamSynchronize, d->stream))
    return false;
  d->written = false;
  return true;
}

/* ---- a run ---- */

/* Inputs that were given ahead are on the device, or on their way, and are put in place there; others come
 * from the host. A batch names all of a function's inputs but the scalars, or none. */
static bool send_inputs(const Session *s, const NetcFn *f, char err[ERR_MAX]) {
  CudaDevice *d = cuda_of(s);
  CudaFn *c = cuda_fn(s, f);
  const Gpu *g = &d->gpu;
  int slot = d->slot_fn == c ? d->slot : -1;
  d->slot = -1;
  if (slot >= 0 ? !GPU(g, err, cuStreamWaitEvent, d->stream, d->given[slot], 0)
                : !GPU(g, err, cuEventSynchronize, d->taken[0]))
    return false;
  for (int i = 0; i < f->ninputs; i++) {
    const NetcArray *a = &f->inputs[i];
    if (c->place[i] < 0) continue;
    size_t at = (size_t)c->place[i], bytes = (size_t)a->bytes;
    CUdeviceptr to = d->arena + (uint64_t)c->plan->inputs[i].offset;
    if (slot < 0) memcpy(c->batch[0] + at, session_at(s, a), bytes);
    if (slot < 0 ? !GPU(g, err, cuMemcpyHtoDAsync, to, c->batch[0] + at, bytes, d->stream)
                 : !GPU(g, err, cuMemcpyDtoDAsync, to, c->ahead[slot] + at, bytes, d->stream))
      return false;
  }
  return GPU(g, err, cuEventRecord, d->taken[slot < 0 ? 0 : slot], d->stream);
}

/* The step, and inputs that are scalars. */
static bool send_control(const Session *s, const NetcFn *f, NetcStep step, char err[ERR_MAX]) {
  const CudaDevice *d = cuda_of(s);
  const CudaFn *c = cuda_fn(s, f);
  uint8_t *control = c->control[d->begun % 2];
  memcpy(control, &step, sizeof step);
  if (!GPU(&d->gpu, err, cuMemcpyHtoDAsync, d->arena + (uint64_t)d->arena_bytes, control, sizeof step,
           d->stream))
    return false;
  for (int i = 0; i < f->ninputs; i++) {
    uint8_t *at = control + sizeof step + 4 * i;
    if (c->place[i] >= 0) continue;
    memcpy(at, session_at(s, &f->inputs[i]), 4);
    if (!GPU(&d->gpu, err, cuMemcpyHtoDAsync, d->arena + (uint64_t)c->plan->inputs[i].offset, at, 4,
             d->stream))
      return false;
  }
  return true;
}

bool cuda_send(const Session *s, const NetcFn *f, NetcStep step, char err[ERR_MAX]) {
  return send_variables(s, err) && send_inputs(s, f, err) && send_control(s, f, step, err);
}

bool cuda_copy_outputs(const Session *s, const CudaFn *c, char err[ERR_MAX]) {
  const CudaDevice *d = cuda_of(s);
  uint8_t *to = c->outputs[d->begun % 2];
  for (int i = 0; i < c->nspan; i++)
    if (!GPU(&d->gpu, err, cuMemcpyDtoHAsync, to + c->span[i].to, d->arena + (uint64_t)c->span[i].from,
             (size_t)c->span[i].bytes, d->stream))
      return false;
  return true;
}

void cuda_receive(const Session *s, const NetcFn *f) {
  const CudaFn *c = cuda_fn(s, f);
  const uint8_t *from = c->outputs[cuda_of(s)->ended % 2];
  for (int i = 0; i < f->noutputs; i++)
    memcpy(session_at(s, &f->outputs[i]), from + c->output_place[i], (size_t)f->outputs[i].bytes);
}
