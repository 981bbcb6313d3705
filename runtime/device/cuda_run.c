/* Launches: one by one, as a graph, and timed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/device/cuda.h"

/* ---- launches ---- */

static bool fault(const Session *s, const NetcFn *plan, int i, CUresult r, const char *call,
                  char err[ERR_MAX]) {
  const NetcModule *d = s->module->desc;
  const NetcLaunch *l = &plan->launches[i];
  const NetcSourceLine *p = l->place >= 0 ? &d->places[l->place] : NULL;
  char code[160], place[160] = "";
  if (p) snprintf(place, sizeof place, ", %.120s:%d", p->file, p->line);
  return err_set(err, "%s: launch %d of %s failed (kernel %.120s%s): %s: %s", s->where, i, plan->name,
                 s->kernels[l->kernel].name, place, call, cuda_code_str(&cuda_of(s)->gpu.api, r, code));
}

static bool launch(const Session *s, const NetcFn *plan, int i, char err[ERR_MAX]) {
  const CudaDevice *d = cuda_of(s);
  const NetcLaunch *l = &plan->launches[i];
  uint64_t address[NETC_MAX_ARGS];
  if (l->tasks == 0) return true;
  if (l->tasks > INT32_MAX)
    return err_set(err, "launch %d of %s has too many tasks for a GPU", i, plan->name);
  for (int k = 0; k < l->nargs; k++) address[k] = d->arena + (uint64_t)plan->args[l->arg + k];
  uint64_t step = d->arena + (uint64_t)d->arena_bytes;
  CUresult r = cuda_launch_kernel(s, l->kernel, address, l->nargs, step, l->tasks, d->stream);
  if (r != CUDA_SUCCESS) return fault(s, plan, i, r, "cuLaunchKernel", err);
  if (d->mode != LAUNCH_CHECKED) return true;
  r = d->gpu.api.cuStreamSynchronize(d->stream);
  return r == CUDA_SUCCESS || fault(s, plan, i, r, "cuStreamSynchronize", err);
}

static bool enqueue(const Session *s, const CudaFn *c, char err[ERR_MAX]) {
  for (int i = 0; i < c->plan->nlaunches; i++)
    if (!launch(s, c->plan, i, err)) return false;
  return true;
}

/* ---- graphs ---- */

/* What enqueue does, recorded instead of done. Other threads' calls are none of it. */
static bool make_graph(const Session *s, CudaFn *c, char err[ERR_MAX]) {
  const CudaDevice *d = cuda_of(s);
  const Gpu *g = &d->gpu;
  CUgraph graph = NULL;
  if (!GPU(g, err, cuStreamBeginCapture, d->stream, CU_CAPTURE_THREAD_LOCAL)) return false;
  bool ok = enqueue(s, c, err);
  char other[ERR_MAX];
  bool ended = GPU(g, ok ? err : other, cuStreamEndCapture, d->stream, &graph); /* in any case */
  ok = ok && ended && GPU(g, err, cuGraphInstantiateWithFlags, &c->graph, graph, 0);
  if (graph) g->api.cuGraphDestroy(graph);
  return ok;
}

static bool launch_all(const Session *s, CudaFn *c, char err[ERR_MAX]) {
  const CudaDevice *d = cuda_of(s);
  if (d->mode != LAUNCH_GRAPH) return enqueue(s, c, err);
  if (!c->graph && !make_graph(s, c, err)) return false;
  return GPU(&d->gpu, err, cuGraphLaunch, c->graph, d->stream);
}

bool cuda_begin(const Session *s, const NetcFn *f, NetcStep step, char err[ERR_MAX]) {
  CudaDevice *d = cuda_of(s);
  CudaFn *c = cuda_fn(s, f);
  if (d->begun - d->ended > 1) return err_set(err, "internal error: a third run at a time of %s", f->name);
  if (!cuda_prepare(s, f, err) || !cuda_send(s, f, step, err) || !launch_all(s, c, err) ||
      !cuda_copy_outputs(s, c, err) || !GPU(&d->gpu, err, cuEventRecord, d->done[d->begun % 2], d->stream))
    return false;
  d->begun++;
  d->computed = true;
  return true;
}

bool cuda_finish(const Session *s, const NetcFn *f, char err[ERR_MAX]) {
  CudaDevice *d = cuda_of(s);
  if (!GPU(&d->gpu, err, cuEventSynchronize, d->done[d->ended % 2])) return false;
  cuda_receive(s, f);
  d->ended++;
  return true;
}

bool cuda_run(const Session *s, const NetcFn *f, NetcStep step, char err[ERR_MAX]) {
  return cuda_begin(s, f, step, err) && cuda_finish(s, f, err);
}

/* ---- times ---- */

static bool enqueue_timed(const Session *s, const CudaFn *c, CUevent *event, char err[ERR_MAX]) {
  const CudaDevice *d = cuda_of(s);
  int n = c->plan->nlaunches;
  for (int i = 0; i <= n; i++)
    if (!GPU(&d->gpu, err, cuEventCreate, &event[i], 0)) return false;
  if (!GPU(&d->gpu, err, cuEventRecord, event[0], d->stream)) return false;
  for (int i = 0; i < n; i++)
    if (!launch(s, c->plan, i, err) || !GPU(&d->gpu, err, cuEventRecord, event[i + 1], d->stream))
      return false;
  return cuda_copy_outputs(s, c, err) && GPU(&d->gpu, err, cuStreamSynchronize, d->stream);
}

static bool report_times(const Session *s, const CudaFn *c, const CUevent *event, const Observer *o,
                         char err[ERR_MAX]) {
  for (int i = 0; i < c->plan->nlaunches; i++) {
    float ms = 0;
    if (!GPU(&cuda_of(s)->gpu, err, cuEventElapsedTime, &ms, event[i], event[i + 1])) return false;
    o->task(o->user, i, 0, 1e-3 * (double)ms);
    o->launch(o->user, i, 1e-3 * (double)ms);
  }
  return true;
}

bool cuda_run_observed(const Session *s, const NetcFn *f, NetcStep step, const Observer *o,
                       char err[ERR_MAX]) {
  CudaDevice *d = cuda_of(s);
  const CudaFn *c = cuda_fn(s, f);
  int n = fn_plan(s, f)->nlaunches;
  CUevent *event = calloc((size_t)n + 1, sizeof *event);
  if (!event) return err_memory(err, "the times of launches", n);
  bool ok = cuda_prepare(s, f, err) && cuda_send(s, f, step, err) && enqueue_timed(s, c, event, err) &&
            report_times(s, c, event, o, err);
  if (ok) d->computed = true, cuda_receive(s, f);
  for (int i = 0; i <= n; i++)
    if (event[i]) d->gpu.api.cuEventDestroy(event[i]);
  free(event);
  return ok;
}

/* ---- rates ---- */

/* Lanes for f32 of a multiprocessor ("CUDA C++ Programming Guide", arithmetic instructions). */
static int lanes(int capability) { return capability <= 80 ? 64 : 128; }

/* Bytes read and written per second by the best of a few copies within the device. */
static bool measure_copy(const CudaDevice *d, CUdeviceptr p, size_t half, const CUevent *e, double *bandwidth,
                         char err[ERR_MAX]) {
  const Gpu *g = &d->gpu;
  *bandwidth = 0;
  for (int i = 0; i < 5; i++) {
    float ms = 0;
    if (!GPU(g, err, cuEventRecord, e[0], d->stream) ||
        !GPU(g, err, cuMemcpyDtoDAsync, p, p + half, half, d->stream) ||
        !GPU(g, err, cuEventRecord, e[1], d->stream) || !GPU(g, err, cuStreamSynchronize, d->stream) ||
        !GPU(g, err, cuEventElapsedTime, &ms, e[0], e[1]))
      return false;
    double now = ms > 0 ? 2e3 * (double)half / (double)ms : 0;
    if (now > *bandwidth) *bandwidth = now;
  }
  return true;
}

static bool copy_rate(const CudaDevice *d, double *bandwidth, char err[ERR_MAX]) {
  int64_t free_bytes, total;
  CUdeviceptr p = 0;
  CUevent e[2] = {NULL, NULL};
  if (!gpu_memory(&d->gpu, &free_bytes, &total, err)) return false;
  int64_t bytes = free_bytes / 2 < INT64_C(1) << 30 ? free_bytes / 2 : INT64_C(1) << 30;
  bool ok = gpu_alloc(&d->gpu, bytes, "measuring the memory's bandwidth", &p, err) &&
            GPU(&d->gpu, err, cuEventCreate, &e[0], 0) && GPU(&d->gpu, err, cuEventCreate, &e[1], 0) &&
            measure_copy(d, p, (size_t)bytes / 2, e, bandwidth, err);
  for (int i = 0; i < 2; i++)
    if (e[i]) d->gpu.api.cuEventDestroy(e[i]);
  gpu_free(&d->gpu, &p);
  return ok;
}

/* Arithmetic as the clock allows it, f32 without tensor cores; memory as measured. */
bool cuda_rates(const Session *s, Rates *out, char err[ERR_MAX]) {
  const CudaDevice *d = cuda_of(s);
  int khz = 0, n = 0;
  *out = (Rates){0};
  if (!gpu_enter(&d->gpu, err) ||
      !GPU(&d->gpu, err, cuDeviceGetAttribute, &khz, CU_CLOCK_RATE, d->gpu.device) ||
      !GPU(&d->gpu, err, cuDeviceGetAttribute, &n, CU_MULTIPROCESSORS, d->gpu.device))
    return false;
  out->flops = 2e3 * khz * n * lanes(d->gpu.capability);
  return copy_rate(d, &out->bandwidth, err);
}
