/* measure.c - running a function on random inputs and timing every launch of it. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/base/field.h"
#include "runtime/base/clock.h"
#include "runtime/base/array.h"
#include "runtime/bench/bench.h"
#include "ir/philox.h"

/* ---- inputs ---- */

/* What stream fields say an input is; -1 when it is none of theirs. */
static int field_kind(const NetcModule *d, const NetcFn *f, const NetcArray *in) {
  for (int i = 0; i < d->nstreams && f->kind == NETC_FN_TRAIN; i++)
    for (int k = 0; k < d->streams[i].nfields; k++)
      if (d->streams[i].fields[k].input == in - f->inputs) return d->streams[i].fields[k].kind;
  return -1;
}

static void fill_input(const Session *s, const NetcFn *f, const NetcArray *in) {
  const NetcModule *d = s->module->desc;
  int64_t n = array_count(in), classes = d->classes > 0 ? d->classes : 2;
  int kind = field_kind(d, f, in);
  Draw draw = kind < 0 ? DRAW_NORMAL : batch_field[kind].draw;
  for (int64_t i = 0; i < n; i++) {
    uint32_t x[4];
    philox_at(x, 1, 0, (uint64_t)(in - f->inputs), (uint64_t)i);
    double u = (double)(x[0] >> 8) * 0x1p-24, v = (double)(x[1] >> 8) * 0x1p-24;
    if (in->dtype == NETC_I32) ((int32_t *)session_at(s, in))[i] = (int32_t)(x[0] % (uint32_t)classes);
    else if (draw == DRAW_BINARY) ((float *)session_at(s, in))[i] = (float)(x[0] & 1);
    else if (draw == DRAW_UNIT) ((float *)session_at(s, in))[i] = (float)(2 * u - 1);
    else ((float *)session_at(s, in))[i] = (float)(sqrt(-2 * log(u + 0x1p-24)) * cos(6.283185307179586 * v));
  }
}

void bench_fill(const Session *s, const NetcFn *f, uint64_t t) {
  for (int i = 0; i < f->ninputs; i++)
    if (!is_host_scalar(&f->inputs[i])) fill_input(s, f, &f->inputs[i]);
  session_scalars(s, f, (double)t, 0, (double)s->module->desc->max_iterations);
}

/* ---- timing ---- */

typedef struct {
  double *wall;
  _Atomic int64_t *busy; /* nanoseconds: tasks end on any thread */
} Watch;

static void task_done(void *user, int launch, int64_t task, double seconds) {
  const Watch *w = user;
  (void)task;
  atomic_fetch_add_explicit(&w->busy[launch], (int64_t)(seconds * 1e9 + 0.5), memory_order_relaxed);
}

static void launch_done(void *user, int launch, double seconds) {
  ((const Watch *)user)->wall[launch] = seconds;
}

/* All inputs as a batch given ahead. They are random, so their order in memory does not matter. */
static bool give_inputs(const Session *s, const NetcFn *f, char err[ERR_MAX]) {
  BatchInput *in = calloc((size_t)f->ninputs + 1, sizeof *in);
  if (!in) return err_memory(err, "the inputs", f->ninputs);
  int n = 0;
  for (int i = 0; i < f->ninputs; i++)
    if (!is_host_scalar(&f->inputs[i])) in[n++] = (BatchInput){i, session_at(s, &f->inputs[i]), NULL};
  bool ok = batch_upload(s, f, 1, in, n, (NetcStep){1, 0}, err);
  free(in);
  return ok;
}

/* On a GPU watching a run makes it another one: it is run twice. The run that is timed is one of training:
 * its batch is there already, as it was given before the other run. */
static bool run_twice(const Session *s, const NetcFn *f, uint64_t t, const Observer *o, double *seconds,
                      char err[ERR_MAX]) {
  if (!fn_prepare(s, f, err) || !give_inputs(s, f, err) || !fn_run_observed(s, f, (NetcStep){1, t}, o, err))
    return false;
  bench_fill(s, f, t);
  batch_commit(s, f, 1);
  double start = seconds_now();
  bool ok = fn_run(s, f, (NetcStep){1, t}, err);
  *seconds = seconds_now() - start;
  return ok;
}

/* Runs iteration t; w holds the seconds of its launches. */
static bool run_once(const Session *s, const NetcFn *f, uint64_t t, Watch *w, double *seconds,
                     char err[ERR_MAX]) {
  Observer o = {w, task_done, launch_done};
  bench_fill(s, f, t);
  for (int i = 0; i < fn_plan(s, f)->nlaunches; i++)
    atomic_store_explicit(&w->busy[i], 0, memory_order_relaxed);
  if (batch_async(s)) return run_twice(s, f, t, &o, seconds, err);
  double start = seconds_now();
  bool ok = fn_run_observed(s, f, (NetcStep){1, t}, &o, err);
  *seconds = seconds_now() - start;
  return ok;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Fills what follows from b->all: the median, and the slowest iteration of the faster half. */
static double summarise(Bench *b, double *sorted) {
  int n = b->iterations;
  memcpy(sorted, b->all, (size_t)n * sizeof *sorted);
  qsort(sorted, (size_t)n, sizeof *sorted, by_value);
  b->median = n % 2 ? sorted[n / 2] : 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]);
  return sorted[(n - 1) / 2];
}

/* `times` holds the launches of every iteration; b->launch becomes their mean over the faster half. */
static void average(Bench *b, const LaunchTime *times, double slowest) {
  int n = 0, nlaunches = b->plan->nlaunches;
  for (int it = 0; it < b->iterations; it++) {
    if (b->all[it] > slowest) continue;
    n++, b->seconds += b->all[it];
    for (int i = 0; i < nlaunches; i++) {
      b->launch[i].wall += times[(int64_t)it * nlaunches + i].wall;
      b->launch[i].busy += times[(int64_t)it * nlaunches + i].busy;
    }
  }
  b->seconds /= n;
  for (int i = 0; i < nlaunches; i++) b->launch[i].wall /= n, b->launch[i].busy /= n;
}

static bool measure(const Session *s, Bench *b, Watch *w, LaunchTime *times, double *sorted,
                    char err[ERR_MAX]) {
  int n = b->plan->nlaunches;
  double first;
  if (!run_once(s, b->fn, 0, w, &first, err)) return false;
  for (int it = 0; it < b->iterations; it++) {
    if (!run_once(s, b->fn, (uint64_t)it + 1, w, &b->all[it], err)) return false;
    for (int i = 0; i < n; i++)
      times[(int64_t)it * n + i] = (LaunchTime){w->wall[i], 1e-9 * (double)w->busy[i]};
  }
  average(b, times, summarise(b, sorted));
  return true;
}

bool bench_run(const Session *s, const NetcFn *f, int iterations, Bench *out, char err[ERR_MAX]) {
  size_t n = (size_t)fn_plan(s, f)->nlaunches + 1, its = (size_t)iterations;
  *out = (Bench){.fn = f, .plan = fn_plan(s, f), .iterations = iterations, .threads = s->workers};
  out->all = calloc(its, sizeof *out->all);
  out->launch = calloc(n, sizeof *out->launch);
  Watch w = {calloc(n, sizeof *w.wall), calloc(n, sizeof *w.busy)};
  LaunchTime *times = calloc(n * its, sizeof *times);
  double *sorted = calloc(its, sizeof *sorted);
  bool ok = out->all && out->launch && w.wall && w.busy && times && sorted;
  if (ok) ok = measure(s, out, &w, times, sorted, err);
  else err_memory(err, "the table of times", (int64_t)(n * its * sizeof *times));
  free(w.wall), free(w.busy), free(times), free(sorted);
  if (!ok) bench_free(out);
  return ok;
}

void bench_free(Bench *b) {
  free(b->all);
  free(b->launch);
}
