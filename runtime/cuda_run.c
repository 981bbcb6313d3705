/* Launches: one by one, as a graph, and timed. */
#include <stdio.h>
#include <stdlib.h>
#include "cuda.h"

/* ---- launches ---- */

static bool fault(const Session *s, const NetcFn *plan, int i, CUresult r, const char *call,
                  char err[ERR_MAX]) {
  const NetcModule *d = s->module->desc;
  const NetcLaunch *l = &plan->launches[i];
  const NetcPlace *p = l->place >= 0 ? &d->places[l->place] : NULL;
  char code[160], place[160] = "";
  if (p) snprintf(place, sizeof place, ", %.120s:%d", p->file, p->line);
  return err_set(err, "%s: launch %d of %s failed (kernel %.120s%s): %s: %s", s->where, i, plan->name,
                 s->kernels[l->kernel].name, place, call, cuda_code_str(&cuda_of(s)->gpu.api, r, code));
}

static bool launch(const Session *s, const NetcFn *plan, int i, char err[ERR_MAX]) {
  const CudaDevice *d = cuda_of(s);
  const NetcLaunch *l = &plan->launches[i];
  int number = s->module->desc->device->kernels[l->kernel].code;
  const NetcDeviceCode *code = &s->module->desc->device->codes[number];
  uint64_t value[NETC_MAX_ARGS + 2];
  void *arg[NETC_MAX_ARGS + 2];
  int n = 0;
  if (l->tasks == 0) return true;
  for (; n < l->nargs; n++) value[n] = d->arena + (uint64_t)plan->args[l->arg + n];
  value[n++] = d->arena + (uint64_t)d->arena_bytes;
  value[n++] = (uint64_t)l->tasks;
  for (int k = 0; k < n; k++) arg[k] = &value[k];
  int64_t blocks = (l->tasks + code->tasks - 1) / code->tasks;
  if (blocks > INT32_MAX) return err_set(err, "launch %d of %s has too many tasks for a GPU", i, plan->name);
  CUresult r =
      d->gpu.api.cuLaunchKernel(d->code[number].entry, (unsigned)blocks, 1, 1, (unsigned)code->threads, 1, 1,
                                gpu_shared(&d->gpu, code), d->stream, arg, NULL);
  if (r != CUDA_SUCCESS) return fault(s, plan, i, r, "cuLaunchKernel", err);
  if (d->mode != LAUNCH_CHECKED) return true;
  r = d->gpu.api.cuStreamSynchronize(d->stream);
  return r == CUDA_SUCCESS || fault(s, plan, i, r, "cuStreamSynchronize", err);
}

/* What lies at fixed places in the host's memory goes to the device: the step, and inputs that are scalars. */
static bool copy_control(const Session *s, const CudaFn *c, char err[ERR_MAX]) {
  const CudaDevice *d = cuda_of(s);
  if (!GPU(&d->gpu, err, cuMemcpyHtoDAsync, d->arena + (uint64_t)d->arena_bytes, c->control, sizeof(NetcStep),
           d->stream))
    return false;
  for (int i = 0; i < c->plan->ninputs; i++)
    if (c->place[i] < 0 &&
        !GPU(&d->gpu, err, cuMemcpyHtoDAsync, d->arena + (uint64_t)c->plan->inputs[i].offset,
             c->control + sizeof(NetcStep) + 4 * i, 4, d->stream))
      return false;
  return true;
}

static bool copy_outputs(const Session *s, const CudaFn *c, char err[ERR_MAX]) {
  const CudaDevice *d = cuda_of(s);
  for (int i = 0; i < c->nspan; i++)
    if (!GPU(&d->gpu, err, cuMemcpyDtoHAsync, c->outputs + c->span[i].to,
             d->arena + (uint64_t)c->span[i].from, (size_t)c->span[i].bytes, d->stream))
      return false;
  return true;
}

static bool enqueue(const Session *s, const CudaFn *c, char err[ERR_MAX]) {
  if (!copy_control(s, c, err)) return false;
  for (int i = 0; i < c->plan->nlaunches; i++)
    if (!launch(s, c->plan, i, err)) return false;
  return copy_outputs(s, c, err);
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

bool cuda_run(const Session *s, const NetcFn *f, NetcStep step, char err[ERR_MAX]) {
  const CudaDevice *d = cuda_of(s);
  if (!cuda_prepare(s, f, err) || !cuda_send(s, f, step, err) || !launch_all(s, cuda_fn(s, f), err) ||
      !GPU(&d->gpu, err, cuStreamSynchronize, d->stream))
    return false;
  cuda_receive(s, f);
  return true;
}

/* ---- times ---- */

static bool enqueue_timed(const Session *s, const CudaFn *c, CUevent *event, char err[ERR_MAX]) {
  const CudaDevice *d = cuda_of(s);
  int n = c->plan->nlaunches;
  for (int i = 0; i <= n; i++)
    if (!GPU(&d->gpu, err, cuEventCreate, &event[i], 0)) return false;
  if (!copy_control(s, c, err) || !GPU(&d->gpu, err, cuEventRecord, event[0], d->stream)) return false;
  for (int i = 0; i < n; i++)
    if (!launch(s, c->plan, i, err) || !GPU(&d->gpu, err, cuEventRecord, event[i + 1], d->stream))
      return false;
  return copy_outputs(s, c, err) && GPU(&d->gpu, err, cuStreamSynchronize, d->stream);
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
  const CudaFn *c = cuda_fn(s, f);
  int n = fn_plan(s, f)->nlaunches;
  CUevent *event = calloc((size_t)n + 1, sizeof *event);
  if (!event) return err_memory(err, "the times of launches", n);
  bool ok = cuda_prepare(s, f, err) && cuda_send(s, f, step, err) && enqueue_timed(s, c, event, err) &&
            report_times(s, c, event, o, err);
  if (ok) cuda_receive(s, f);
  for (int i = 0; i <= n; i++)
    if (event[i]) cuda_of(s)->gpu.api.cuEventDestroy(event[i]);
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
bool cuda_rates(const Session *s, Machine *out, char err[ERR_MAX]) {
  const CudaDevice *d = cuda_of(s);
  int khz = 0, n = 0;
  *out = (Machine){0};
  if (!gpu_enter(&d->gpu, err) ||
      !GPU(&d->gpu, err, cuDeviceGetAttribute, &khz, CU_CLOCK_RATE, d->gpu.device) ||
      !GPU(&d->gpu, err, cuDeviceGetAttribute, &n, CU_MULTIPROCESSORS, d->gpu.device))
    return false;
  out->flops = 2e3 * khz * n * lanes(d->gpu.capability);
  return copy_rate(d, &out->bandwidth, err);
}
