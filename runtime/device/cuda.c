/* cuda.c - opening and closing a GPU for a session. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/device/cuda.h"
#include "runtime/session/footprint.h"

static void close_cuda(Session *s) {
  CudaDevice *d = s->state;
  if (!d) return;
  const Cuda *api = &d->gpu.api;
  const NetcModule *m = s->module->desc;
  if (d->gpu.context) {
    api->cuCtxSetCurrent(d->gpu.context);
    if (d->stream) api->cuStreamSynchronize(d->stream);
    if (d->copies) api->cuStreamSynchronize(d->copies);
    if (d->fn) cuda_forget_graphs(s);
    for (int i = 0; d->fn && i < m->nfns; i++) cuda_free_buffers(s, &d->fn[i]);
    cuda_store_close(&d->store);
    gpu_code_free(&d->gpu, &d->code);
    gpu_free(&d->gpu, &d->arena);
    for (int i = 0; i < 2; i++) {
      if (d->given[i]) api->cuEventDestroy(d->given[i]);
      if (d->taken[i]) api->cuEventDestroy(d->taken[i]);
      if (d->done[i]) api->cuEventDestroy(d->done[i]);
    }
    if (d->stream) api->cuStreamDestroy(d->stream);
    if (d->copies) api->cuStreamDestroy(d->copies);
  }
  gpu_code_free(NULL, &d->code);
  gpu_close(&d->gpu);
  free(d->kernels), free(d->fn), free(d);
  s->state = NULL;
}

/* Kernels as reports want them. */
static void list_kernels(CudaDevice *d, const NetcDevice *g) {
  for (int i = 0; i < g->nkernels; i++) {
    const NetcDeviceKernel *k = &g->kernels[i];
    d->kernels[i] =
        (NetcKernel){.name = k->name, .op = k->op, .flops = k->flops, .bytes = k->bytes, .work = k->work};
  }
}

static bool choose_mode(CudaDevice *d, char err[ERR_MAX]) {
  static const char *const name[] = {"graph", "plain", "checked"};
  const char *want = getenv("NETRUN_CUDA_LAUNCH");
  const Cuda *c = &d->gpu.api;
  bool graphs = c->cuStreamBeginCapture && c->cuStreamEndCapture && c->cuGraphInstantiateWithFlags &&
                c->cuGraphLaunch && c->cuGraphExecDestroy && c->cuGraphDestroy;
  d->mode = graphs ? LAUNCH_GRAPH : LAUNCH_PLAIN;
  if (!want || !*want) return true;
  for (int i = 0; i < 3; i++)
    if (strcmp(want, name[i]) == 0) {
      if (i != LAUNCH_GRAPH || graphs) d->mode = (LaunchMode)i;
      return true;
    }
  return err_set(err, "NETRUN_CUDA_LAUNCH is `%s`; it can be graph, plain or checked", want);
}

static bool make_events(CudaDevice *d, char err[ERR_MAX]) {
  const Gpu *g = &d->gpu;
  bool ok = true;
  for (int i = 0; ok && i < 2; i++)
    ok = GPU(g, err, cuEventCreate, &d->given[i], CU_EVENT_NO_TIMING) &&
         GPU(g, err, cuEventCreate, &d->taken[i], CU_EVENT_BLOCKING | CU_EVENT_NO_TIMING) &&
         GPU(g, err, cuEventCreate, &d->done[i], CU_EVENT_NO_TIMING);
  return ok;
}

static bool open_all(const Session *s, CudaDevice *d, int number, char err[ERR_MAX]) {
  const NetcModule *m = s->module->desc;
  if (!m->device)
    return err_set(
        err,
        "%s has no code for GPUs: compile it with `netc %s --target host,ptx -o ..`, or use --device cpu",
        s->module->path, m->source && *m->source ? m->source : "FILE.net");
  d->kernels = calloc((size_t)m->device->nkernels + 1, sizeof *d->kernels);
  d->fn = calloc((size_t)m->nfns + 1, sizeof *d->fn);
  if (!gpu_code_new(&d->code, m->device, err)) return false;
  if (!d->kernels || !d->fn) return err_memory(err, "the tables of a GPU", m->nfns);
  list_kernels(d, m->device);
  Gpu *g = &d->gpu;
  return gpu_open(g, number, err) && choose_mode(d, err) &&
         gpu_check_family(g, m->device, s->module->path, err) &&
         GPU(g, err, cuStreamCreate, &d->stream, CU_NON_BLOCKING) &&
         GPU(g, err, cuStreamCreate, &d->copies, CU_NON_BLOCKING) && make_events(d, err);
}

static void memory_str(const Session *s, const NetcFn *f, char *out, size_t size) {
  const CudaDevice *d = cuda_of(s);
  const CudaFn *c = cuda_fn(s, f);
  int64_t variables = s->module->desc->variable_bytes;
  snprintf(out, size,
           "memory of cuda:%d: %.1f MiB planned (variables %.1f, working memory %.1f), %.1f for batches on "
           "their way, %.1f of %.1f for images; "
           "of the host: %.1f MiB at the peak",
           d->gpu.number, (double)(variables + c->plan->working) / 0x1p20, (double)variables / 0x1p20,
           (double)c->plan->working / 0x1p20, (double)((c->ahead[0] ? 2 : 0) * c->batch_bytes) / 0x1p20,
           (double)d->store.used / 0x1p18, (double)d->store.words / 0x1p18, (double)resident_peak() / 0x1p20);
}

static const Device cuda = {.close = close_cuda,
                            .prepare = cuda_prepare,
                            .run = cuda_run,
                            .begin = cuda_begin,
                            .finish = cuda_finish,
                            .run_observed = cuda_run_observed,
                            .changed = cuda_changed,
                            .fetch = cuda_fetch,
                            .give = cuda_give,
                            .accept = cuda_accept,
                            .images = cuda_images,
                            .rates = cuda_rates,
                            .memory_str = memory_str};

bool cuda_device_open(Session *s, int number, char err[ERR_MAX]) {
  CudaDevice *d = calloc(1, sizeof *d);
  if (!d) return err_memory(err, "a device", (int64_t)sizeof *d);
  d->slot = -1, d->written = true;
  s->device = &cuda, s->state = d;
  if (!open_all(s, d, number, err)) return false;
  s->fns = s->module->desc->device->fns;
  s->kernels = d->kernels, s->nkernels = s->module->desc->device->nkernels;
  s->workers = 1;
  snprintf(s->where, sizeof s->where, "cuda:%d (%.100s)", number, d->gpu.name);
  return true;
}
