/* The arena, and whoever runs functions for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "runtime/session/device.h"
#include "runtime/session/footprint.h"

void session_free(Session *s) {
  if (!s) return;
  if (s->device) s->device->close(s);
  pool_free(s->pool);
  if (s->arena) munmap(s->arena, (size_t)s->arena_bytes);
  free(s);
}

bool is_host_scalar(const NetcArray *input) {
  return input->rank == 0 && (strcmp(input->name, "iteration") == 0 || strcmp(input->name, "epoch") == 0 ||
                              strcmp(input->name, "max_iterations") == 0);
}

void session_scalars(const Session *s, const NetcFn *f, double iteration, double epoch,
                     double max_iterations) {
  for (int i = 0; i < f->ninputs; i++) {
    const NetcArray *in = &f->inputs[i];
    if (!is_host_scalar(in)) continue;
    double v = in->name[0] == 'i' ? iteration : in->name[0] == 'e' ? epoch : max_iterations;
    if (in->dtype == NETC_I32) *(int32_t *)session_at(s, in) = (int32_t)v;
    else *(float *)session_at(s, in) = (float)v;
  }
}

void vars_dirty(const Session *s) { s->device->changed(s); }
bool vars_download(const Session *s, char err[ERR_MAX]) { return s->device->fetch(s, err); }
bool batch_async(const Session *s) { return s->device->accept != NULL; }

bool batch_upload(const Session *s, const NetcFn *f, int slot, const BatchInput *in, int n, NetcStep step,
                  char err[ERR_MAX]) {
  return s->device->give(s, f, slot, in, n, step, err);
}

bool session_images(const Session *s, const NetcFn *f, int items, int64_t bytes, const ImageStore **out,
                    char err[ERR_MAX]) {
  *out = NULL;
  return !s->device->images || s->device->images(s, f, items, bytes, out, err);
}

bool device_makes_batch(const Session *s, int stream) {
  const NetcDevice *d = s->module->desc->device;
  for (int i = 0; d && i < d->nfills; i++)
    if (d->fills[i].stream == stream) return true;
  return false;
}

void batch_commit(const Session *s, const NetcFn *f, int slot) { s->device->accept(s, f, slot); }

const NetcFn *fn_plan(const Session *s, const NetcFn *f) { return &s->fns[f - s->module->desc->fns]; }

bool fn_prepare(const Session *s, const NetcFn *f, char err[ERR_MAX]) {
  return s->device->prepare(s, f, err);
}

bool fn_run(const Session *s, const NetcFn *f, NetcStep step, char err[ERR_MAX]) {
  return s->device->run(s, f, step, err);
}

bool fn_async(const Session *s) { return s->device->begin != NULL; }

bool fn_begin(const Session *s, const NetcFn *f, NetcStep step, char err[ERR_MAX]) {
  return s->device->begin(s, f, step, err);
}

bool fn_finish(const Session *s, const NetcFn *f, char err[ERR_MAX]) { return s->device->finish(s, f, err); }

bool fn_run_observed(const Session *s, const NetcFn *f, NetcStep step, const Observer *o, char err[ERR_MAX]) {
  return s->device->run_observed(s, f, step, o, err);
}
