/* The arena, and running functions in it. Arguments are resolved to addresses once, so that a launch is a
 * call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "footprint.h"
#include "load.h"

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
  madvise(p, (size_t)bytes, MADV_DONTFORK); /* children (hdf5.c) need none of it */
  s->arena = p;
  return true;
}

static int64_t args_count(const NetcFn *f) {
  int64_t n = 0;
  for (int i = 0; i < f->nlaunches; i++)
    if (f->launches[i].arg + f->launches[i].nargs > n) n = f->launches[i].arg + f->launches[i].nargs;
  return n;
}

static bool resolve_args(Session *s, char err[ERR_MAX]) {
  const NetcModule *d = s->module->desc;
  s->args = calloc((size_t)d->nfns + 1, sizeof *s->args);
  if (!s->args) return err_memory(err, "the table of functions", d->nfns * (int64_t)sizeof *s->args);
  for (int k = 0; k < d->nfns; k++) {
    int64_t n = args_count(&d->fns[k]);
    s->args[k] = malloc((size_t)(n + 1) * sizeof(void *));
    if (!s->args[k]) return err_memory(err, "the table of arguments", n * (int64_t)sizeof(void *));
    for (int64_t i = 0; i < n; i++) s->args[k][i] = s->arena + d->fns[k].args[i];
  }
  return true;
}

Session *session_new(const Module *m, int threads, char err[ERR_MAX]) {
  Session *s = calloc(1, sizeof *s);
  if (!s) {
    err_memory(err, "a session", (int64_t)sizeof *s);
    return NULL;
  }
  s->module = m;
  s->resident = resident_now();
  s->arena_bytes = m->desc->arena_bytes > 0 ? m->desc->arena_bytes : 64;
  if (make_arena(s, err) && resolve_args(s, err) && (s->pool = pool_new(threads, err))) return s;
  session_free(s);
  return NULL;
}

void session_free(Session *s) {
  if (!s) return;
  pool_free(s->pool);
  for (int k = 0; s->args && k < s->module->desc->nfns; k++) free(s->args[k]);
  free(s->args);
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

typedef struct {
  NetcKernelFn code;
  void *const *args;
  const NetcStep *step;
} Launch;

static void run_task(void *ctx, int64_t task) {
  const Launch *l = ctx;
  l->code(l->args, l->step, task);
}

static Launch launch_of(const Session *s, const NetcFn *f, int i, const NetcStep *step) {
  const NetcModule *d = s->module->desc;
  const NetcLaunch *l = &f->launches[i];
  return (Launch){d->kernels[l->kernel].code[s->module->isa], s->args[f - d->fns] + l->arg, step};
}

void fn_run(const Session *s, const NetcFn *f, NetcStep step) {
  for (int i = 0; i < f->nlaunches; i++) {
    Launch l = launch_of(s, f, i, &step);
    pool_run(s->pool, run_task, &l, f->launches[i].tasks);
  }
}

typedef struct {
  Launch launch;
  int index;
  const Observer *observer;
} Observed;

static void run_observed_task(void *ctx, int64_t task) {
  const Observed *o = ctx;
  double start = seconds_now();
  o->launch.code(o->launch.args, o->launch.step, task);
  o->observer->task(o->observer->user, o->index, task, seconds_now() - start);
}

void fn_run_observed(const Session *s, const NetcFn *f, NetcStep step, const Observer *o) {
  for (int i = 0; i < f->nlaunches; i++) {
    Observed l = {launch_of(s, f, i, &step), i, o};
    double start = seconds_now();
    pool_run(s->pool, run_observed_task, &l, f->launches[i].tasks);
    o->launch(o->user, i, seconds_now() - start);
  }
}

double seconds_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
