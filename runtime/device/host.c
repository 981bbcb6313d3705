/* host.c - the host as a device: its memory is the arena, a launch is a call of the pool. Arguments are
 * resolved to addresses once. */
#include <stdlib.h>
#include "runtime/base/clock.h"
#include "runtime/base/array.h"
#include "runtime/device/host.h"
#include "runtime/session/footprint.h"

typedef void *const *Args;

static int64_t args_count(const NetcFn *f) {
  int64_t n = 0;
  for (int i = 0; i < f->nlaunches; i++)
    if (f->launches[i].arg + f->launches[i].nargs > n) n = f->launches[i].arg + f->launches[i].nargs;
  return n;
}

static bool resolve_args(Session *s, void ***args, char err[ERR_MAX]) {
  const NetcModule *d = s->module->desc;
  for (int k = 0; k < d->nfns; k++) {
    int64_t n = args_count(&d->fns[k]);
    args[k] = malloc((size_t)(n + 1) * sizeof(void *));
    if (!args[k]) return err_memory(err, "the table of arguments", n * (int64_t)sizeof(void *));
    for (int64_t i = 0; i < n; i++) args[k][i] = s->arena + d->fns[k].args[i];
  }
  return true;
}

static void close_host(Session *s) {
  void ***args = s->state;
  for (int k = 0; args && k < s->module->desc->nfns; k++) free(args[k]);
  free(args);
  s->state = NULL;
}

typedef struct {
  NetcKernelFn code;
  Args args;
  const NetcStep *step;
} Launch;

static void run_task(void *ctx, int64_t task) {
  const Launch *l = ctx;
  l->code(l->args, l->step, task);
}

static Launch launch_of(const Session *s, const NetcFn *f, int i, const NetcStep *step) {
  const NetcModule *d = s->module->desc;
  const NetcLaunch *l = &f->launches[i];
  void ***args = s->state;
  return (Launch){d->kernels[l->kernel].code[s->module->isa], args[f - d->fns] + l->arg, step};
}

static bool prepare(const Session *s, const NetcFn *f, char err[ERR_MAX]) {
  (void)s, (void)f, (void)err;
  return true;
}

static bool run(const Session *s, const NetcFn *f, NetcStep step, char err[ERR_MAX]) {
  (void)err;
  for (int i = 0; i < f->nlaunches; i++) {
    Launch l = launch_of(s, f, i, &step);
    pool_run(s->pool, run_task, &l, f->launches[i].tasks);
  }
  return true;
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

static bool run_observed(const Session *s, const NetcFn *f, NetcStep step, const Observer *o,
                         char err[ERR_MAX]) {
  (void)err;
  for (int i = 0; i < f->nlaunches; i++) {
    Observed l = {launch_of(s, f, i, &step), i, o};
    double start = seconds_now();
    pool_run(s->pool, run_observed_task, &l, f->launches[i].tasks);
    o->launch(o->user, i, seconds_now() - start);
  }
  return true;
}

static void changed(const Session *s) { (void)s; }

static bool fetch(const Session *s, char err[ERR_MAX]) {
  (void)s, (void)err;
  return true;
}

static bool give(const Session *s, const NetcFn *f, int slot, const BatchInput *in, int n, NetcStep step,
                 char err[ERR_MAX]) {
  (void)slot, (void)step, (void)err;
  for (int i = 0; i < n; i++) {
    const NetcArray *a = &f->inputs[in[i].input];
    array_from_channels_last(a, in[i].data, session_at(s, a));
  }
  return true;
}

static bool rates(const Session *s, Rates *out, char err[ERR_MAX]) {
  return host_rates(s->pool, s->module->isa, out, err);
}

static const Device host = {.close = close_host,
                            .prepare = prepare,
                            .run = run,
                            .run_observed = run_observed,
                            .changed = changed,
                            .fetch = fetch,
                            .give = give,
                            .rates = rates,
                            .memory_str = footprint_str};

bool host_open(Session *s, char err[ERR_MAX]) {
  const NetcModule *d = s->module->desc;
  s->device = &host;
  s->fns = d->fns, s->kernels = d->kernels, s->nkernels = d->nkernels;
  s->workers = pool_threads(s->pool);
  snprintf(s->where, sizeof s->where, "%d threads", s->workers);
  s->state = calloc((size_t)d->nfns + 1, sizeof(void **));
  if (!s->state) return err_memory(err, "the table of functions", d->nfns * (int64_t)sizeof(void **));
  return resolve_args(s, s->state, err);
}
