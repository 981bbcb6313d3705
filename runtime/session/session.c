/* The arena, and whoever runs functions for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "runtime/session/device.h"
#include "runtime/session/footprint.h"

/* Bytes the machine could hand out now, swap included; -1 = unknown. */
static int64_t memory_available(void) {
  FILE *f = fopen("/proc/meminfo", "r");
  if (!f) return -1;
  char line[128];
  long long kib, total = 0;
  bool known = false;
  while (fgets(line, sizeof line, f)) {
    if (sscanf(line, "MemAvailable: %lld kB", &kib) == 1) total += kib, known = true;
    if (sscanf(line, "SwapFree: %lld kB", &kib) == 1) total += kib;
  }
  fclose(f);
  return known ? total * 1024 : -1;
}

static int64_t read_number(const char *path) {
  FILE *f = fopen(path, "r");
  if (!f) return -1;
  long long n;
  bool ok = fscanf(f, "%lld", &n) == 1; /* "max" is no number: no limit */
  fclose(f);
  return ok ? n : -1;
}

/* What the process's control group leaves, where it has a limit (containers); -1 = no limit known. */
static int64_t memory_in_group(void) {
  int64_t max = read_number("/sys/fs/cgroup/memory.max"), used = read_number("/sys/fs/cgroup/memory.current");
  return max < 0 || used < 0 ? -1 : max > used ? max - used : 0;
}

static bool make_arena(Session *s, char err[ERR_MAX]) {
  int64_t bytes = s->arena_bytes, free_bytes = memory_available(), group = memory_in_group();
  if (free_bytes < 0 || (group >= 0 && group < free_bytes)) free_bytes = group;
  void *p = MAP_FAILED;
  if (free_bytes < 0 || bytes <= free_bytes)
    p = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED)
    return err_set(
        err,
        "%s needs an arena of %lld bytes (%.2f GiB) and %.2f GiB of memory are free: compile it with a "
        "smaller -D batch or -D size",
        s->module->path, (long long)bytes, (double)bytes / 0x1p30, (double)free_bytes / 0x1p30);
  madvise(p, (size_t)bytes, MADV_HUGEPAGE); /* advice only: a kernel without huge pages runs the same */
  madvise(p, (size_t)bytes, MADV_DONTFORK); /* children (runtime/io/hdf5.c) need none of it */
  s->arena = p;
  return true;
}

/* The host's side of a GPU's session: pages that nobody touches take no memory. */
static bool reserve_arena(Session *s, char err[ERR_MAX]) {
  void *p = mmap(NULL, (size_t)s->arena_bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return err_memory(err, "room for inputs and variables", s->arena_bytes);
  madvise(p, (size_t)s->arena_bytes, MADV_DONTFORK);
  s->arena = p;
  return true;
}

Session *session_on(const Module *m, int threads, int gpu, char err[ERR_MAX]) {
  Session *s = calloc(1, sizeof *s);
  if (!s) {
    err_memory(err, "a session", (int64_t)sizeof *s);
    return NULL;
  }
  s->module = m;
  s->resident = resident_now();
  s->arena_bytes = m->desc->arena_bytes > 0 ? m->desc->arena_bytes : 64;
  bool ok = gpu == ON_HOST ? make_arena(s, err) : reserve_arena(s, err);
  ok = ok && (s->pool = pool_new(threads, err)) != NULL;
  if (ok && (gpu == ON_HOST ? host_open(s, err) : cuda_device_open(s, gpu, err))) return s;
  session_free(s);
  return NULL;
}

Session *session_new(const Module *m, int threads, char err[ERR_MAX]) {
  return session_on(m, threads, ON_HOST, err);
}

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

void session_changed(const Session *s) { s->device->changed(s); }
bool session_fetch(const Session *s, char err[ERR_MAX]) { return s->device->fetch(s, err); }
bool session_ahead(const Session *s) { return s->device->accept != NULL; }

bool session_give(const Session *s, const NetcFn *f, int slot, const BatchInput *in, int n, NetcStep step,
                  char err[ERR_MAX]) {
  return s->device->give(s, f, slot, in, n, step, err);
}

bool session_images(const Session *s, const NetcFn *f, int items, int64_t bytes, const ImageStore **out,
                    char err[ERR_MAX]) {
  *out = NULL;
  return !s->device->images || s->device->images(s, f, items, bytes, out, err);
}

bool session_makes(const Session *s, int stream) {
  const NetcDevice *d = s->module->desc->device;
  for (int i = 0; d && i < d->nfills; i++)
    if (d->fills[i].stream == stream) return true;
  return false;
}

void session_accept(const Session *s, const NetcFn *f, int slot) { s->device->accept(s, f, slot); }

const NetcFn *fn_plan(const Session *s, const NetcFn *f) { return &s->fns[f - s->module->desc->fns]; }

bool fn_prepare(const Session *s, const NetcFn *f, char err[ERR_MAX]) {
  return s->device->prepare(s, f, err);
}

bool fn_run(const Session *s, const NetcFn *f, NetcStep step, char err[ERR_MAX]) {
  return s->device->run(s, f, step, err);
}

bool fn_overlaps(const Session *s) { return s->device->begin != NULL; }

bool fn_begin(const Session *s, const NetcFn *f, NetcStep step, char err[ERR_MAX]) {
  return s->device->begin(s, f, step, err);
}

bool fn_finish(const Session *s, const NetcFn *f, char err[ERR_MAX]) { return s->device->finish(s, f, err); }

bool fn_run_observed(const Session *s, const NetcFn *f, NetcStep step, const Observer *o, char err[ERR_MAX]) {
  return s->device->run_observed(s, f, step, o, err);
}

double seconds_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
