/* cuda_fill.c - batches that the device makes of images it keeps (cuda_store.h). */
#include <stdlib.h>
#include <string.h>
#include "runtime/base/field.h"
#include "runtime/base/array.h"
#include "runtime/device/cuda.h"

/* ---- opening ---- */

/* A quarter of what is free, 4 GiB at most, or as NETRUN_GPU_CACHE_MB says; no more than all images take. */
static bool pool_bytes(const Gpu *g, int64_t all, int64_t *bytes, char err[ERR_MAX]) {
  const char *text = getenv("NETRUN_GPU_CACHE_MB");
  char *end = NULL;
  int64_t free_bytes, total, most = INT64_C(4) << 30;
  if (!gpu_memory(g, &free_bytes, &total, err)) return false;
  *bytes = free_bytes / 4 < most ? free_bytes / 4 : most;
  if (text && *text) {
    long long mb = strtoll(text, &end, 10);
    if (end == text || *end || mb < 0 || mb > 4096)
      return err_set(err, "NETRUN_GPU_CACHE_MB is `%s`; a whole number of MiB from 0 to 4096 is expected",
                     text);
    *bytes = mb << 20;
  }
  if (all >= 0 && *bytes > all) *bytes = all;
  return true;
}

static bool load_fills(const Session *s, char err[ERR_MAX]) {
  CudaDevice *d = cuda_of(s);
  const NetcDevice *g = s->module->desc->device;
  bool *wanted = calloc((size_t)g->ncodes + 1, sizeof *wanted);
  if (!wanted) return err_memory(err, "the table of codes", g->ncodes);
  for (int i = 0; i < g->nfills; i++) wanted[g->kernels[g->fills[i].kernel].code] = true;
  bool ok = gpu_load(&d->gpu, s->pool, wanted, &d->code, s->module->path, err);
  free(wanted);
  return ok;
}

/* Samples of a stream's batch; of the streams before it. */
static int64_t samples_of(const NetcModule *m, const NetcFn *f, int stream) {
  const NetcStream *st = &m->streams[stream];
  return st->nfields ? f->inputs[st->fields[0].input].dim[0] : 0;
}
static int64_t samples_before(const NetcModule *m, const NetcFn *f, int stream) {
  int64_t n = 0;
  for (int i = 0; i < stream; i++) n += samples_of(m, f, i);
  return n;
}

bool cuda_images(const Session *s, const NetcFn *f, int items, int64_t bytes, const ImageStore **out,
                 char err[ERR_MAX]) {
  CudaDevice *d = cuda_of(s);
  const NetcModule *m = s->module->desc;
  *out = NULL;
  if (!m->device->nfills) return true;
  if (!gpu_enter(&d->gpu, err) || !pool_bytes(&d->gpu, bytes, &bytes, err)) return false;
  if (bytes < 1) return true;
  cuda_store_close(&d->store);
  if (!load_fills(s, err) ||
      !cuda_store_open(&d->store, &d->gpu, d->copies, bytes, items, samples_before(m, f, m->nstreams), err))
    return false;
  *out = &d->store.calls;
  return true;
}

/* ---- batches ---- */

static bool by_host(const NetcView *v, int kind) {
  return (batch_field[kind].mask ? v->label : v->image) < 0;
}

/* Samples that the device lacks, by way of the slot's pinned memory. Samples lie one behind the other:
 * codegen/module/device_batch.c sees to that. */
static bool send_samples(const Session *s, const NetcFn *f, int slot, const BatchInput *in, int kind,
                         char err[ERR_MAX]) {
  const CudaDevice *d = cuda_of(s);
  CudaFn *c = cuda_fn(s, f);
  const NetcArray *a = &f->inputs[in->input];
  int64_t at = c->place[in->input], bytes = 4 * array_count(a) / a->dim[0];
  bool converted = false;
  for (int64_t k = 0; k < a->dim[0]; k++) {
    if (!by_host(&in->view[k], kind)) continue;
    if (!converted) array_from_channels_last(a, in->data, c->batch[slot] + at);
    converted = true;
    if (!GPU(&d->gpu, err, cuMemcpyHtoDAsync, c->ahead[slot] + (uint64_t)(at + k * bytes),
             c->batch[slot] + at + k * bytes, (size_t)bytes, d->copies))
      return false;
  }
  return true;
}

static bool fill(const Session *s, const NetcFn *f, int slot, const NetcDeviceFill *fill, int input,
                 char err[ERR_MAX]) {
  CudaDevice *d = cuda_of(s);
  const NetcModule *m = s->module->desc;
  uint64_t table = d->store.on_gpu[slot];
  uint64_t address[3] = {
      d->store.pool, table + TABLE_VIEWS + (uint64_t)samples_before(m, f, fill->stream) * sizeof(NetcView),
      cuda_fn(s, f)->ahead[slot] + (uint64_t)cuda_fn(s, f)->place[input]};
  CUresult r = cuda_launch_kernel(s, fill->kernel, address, 3, table, fill->tasks, d->copies);
  return gpu_ok(&d->gpu, r, "cuLaunchKernel", err);
}

static const BatchInput *input_of(const NetcModule *m, const NetcDeviceFill *fill, const BatchInput *in,
                                  int n) {
  for (int i = 0; i < n; i++)
    if (in[i].view && in[i].input == m->streams[fill->stream].fields[fill->field].input) return &in[i];
  return NULL;
}

bool cuda_fill_batch(const Session *s, const NetcFn *f, int slot, const BatchInput *in, int n, NetcStep step,
                     char err[ERR_MAX]) {
  CudaDevice *d = cuda_of(s);
  const NetcModule *m = s->module->desc;
  uint8_t *table = d->store.table[slot];
  bool any = false;
  for (int i = 0; i < m->device->nfills; i++) {
    const NetcDeviceFill *fl = &m->device->fills[i];
    const BatchInput *b = input_of(m, fl, in, n);
    if (!b) continue;
    size_t views = (size_t)samples_of(m, f, fl->stream) * sizeof(NetcView);
    memcpy(table + TABLE_VIEWS + (size_t)samples_before(m, f, fl->stream) * sizeof(NetcView), b->view, views);
    if (!send_samples(s, f, slot, b, m->streams[fl->stream].fields[fl->field].kind, err)) return false;
    any = true;
  }
  if (!any) return true;
  memcpy(table, &step, sizeof step);
  if (!GPU(&d->gpu, err, cuMemcpyHtoDAsync, d->store.on_gpu[slot], table, (size_t)d->store.table_bytes,
           d->copies))
    return false;
  for (int i = 0; i < m->device->nfills; i++) {
    const NetcDeviceFill *fl = &m->device->fills[i];
    const BatchInput *b = input_of(m, fl, in, n);
    if (b && !fill(s, f, slot, fl, b->input, err)) return false;
  }
  return true;
}
