/* cuda_memory.c - a session's arena and code on a GPU, as large as the functions need that were asked for. */
#include <stdio.h>
#include <stdlib.h>
#include "runtime/device/cuda.h"

enum { STEP_BYTES = 64 }; /* room for a NetcStep behind the arena */

/* Graphs hold addresses. */
void cuda_forget_graphs(const Session *s) {
  CudaDevice *d = cuda_of(s);
  for (int i = 0; i < s->module->desc->nfns; i++) {
    if (d->fn[i].graph) d->gpu.api.cuGraphExecDestroy(d->fn[i].graph);
    d->fn[i].graph = NULL;
  }
}

/* An arena of what the functions take that were asked for so far, not more: predicting needs a fraction of
 * training. If a later one needs more, there is a larger arena, and the variables move. */
static bool make_room(const Session *s, int64_t bytes, char err[ERR_MAX]) {
  CudaDevice *d = cuda_of(s);
  if (d->arena && bytes <= d->arena_bytes) return true;
  if (d->arena && !cuda_fetch(s, err)) return false; /* two arenas might not fit */
  cuda_forget_graphs(s);
  gpu_free(&d->gpu, &d->arena);
  char what[256];
  snprintf(what, sizeof what, "the arena of %.200s", s->module->path);
  bytes = (bytes + 63) / 64 * 64;
  if (!gpu_alloc(&d->gpu, bytes + STEP_BYTES, what, &d->arena, err)) return false;
  d->arena_bytes = bytes;
  d->written = true, d->computed = false;
  return GPU(&d->gpu, err, cuMemsetD8Async, d->arena, 0, (size_t)bytes + STEP_BYTES, d->stream);
}

static bool load_code(const Session *s, const NetcFn *plan, char err[ERR_MAX]) {
  CudaDevice *d = cuda_of(s);
  const NetcDevice *g = s->module->desc->device;
  bool *wanted = calloc((size_t)g->ncodes + 1, sizeof *wanted);
  if (!wanted) return err_memory(err, "the table of codes", g->ncodes);
  for (int i = 0; i < plan->nlaunches; i++) wanted[g->kernels[plan->launches[i].kernel].code] = true;
  bool ok = gpu_load(&d->gpu, s->pool, wanted, &d->code, s->module->path, err);
  free(wanted);
  return ok;
}

bool cuda_prepare(const Session *s, const NetcFn *f, char err[ERR_MAX]) {
  CudaFn *c = cuda_fn(s, f);
  if (!gpu_enter(&cuda_of(s)->gpu, err)) return false;
  c->plan = fn_plan(s, f);
  if (!make_room(s, s->module->desc->variable_bytes + c->plan->working, err)) return false;
  if (c->ready) return true;
  return c->ready = load_code(s, c->plan, err) && cuda_make_buffers(s, f, err);
}
