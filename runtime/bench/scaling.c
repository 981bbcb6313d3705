/* scaling.c - tasks timed on one thread, handed out to T threads as the pool does it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "runtime/base/clock.h"
#include "runtime/bench/scaling.h"

enum { MOST = 64, LISTED = 15 };

/* ---- measuring ---- */

static void task_done(void *user, int launch, int64_t task, double seconds) {
  const Tasks *t = user;
  double *least = &t->seconds[t->first[launch] + task];
  if (seconds < *least) *least = seconds;
}

static void launch_done(void *user, int launch, double seconds) {
  (void)launch;
  ((Tasks *)user)->host -= seconds;
}

static bool measure(const Session *s, int iterations, Tasks *t, char err[ERR_MAX]) {
  Observer o = {t, task_done, launch_done};
  double host = INFINITY;
  for (int it = 0; it < iterations; it++) {
    bench_fill(s, t->fn, (uint64_t)it);
    t->host = 0;
    double start = seconds_now();
    if (!fn_run_observed(s, t->fn, (NetcStep){1, (uint64_t)it}, &o, err)) return false;
    t->host += seconds_now() - start;
    if (t->host < host) host = t->host;
  }
  t->host = host;
  return true;
}

bool scaling_measure(const Session *s, const NetcFn *f, int iterations, Tasks *out, char err[ERR_MAX]) {
  *out = (Tasks){.fn = f, .first = calloc((size_t)f->nlaunches + 1, sizeof *out->first)};
  for (int i = 0; out->first && i < f->nlaunches; i++)
    out->first[i + 1] = out->first[i] + f->launches[i].tasks;
  int64_t n = out->first ? out->first[f->nlaunches] : 0;
  out->seconds = malloc(((size_t)n + 1) * sizeof *out->seconds);
  if (!out->first || !out->seconds) {
    scaling_free(out);
    return err_memory(err, "the times of all tasks", n * (int64_t)sizeof *out->seconds);
  }
  for (int64_t i = 0; i < n; i++) out->seconds[i] = INFINITY;
  if (measure(s, iterations, out, err)) return true;
  scaling_free(out);
  return false;
}

void scaling_free(Tasks *t) {
  free(t->first);
  free(t->seconds);
}

/* ---- simulating ---- */

double scaling_makespan(const double *task, int64_t n, int threads) {
  double until[POOL_MAX_THREADS] = {0}, end = 0; /* when each thread is free */
  for (int64_t left = n; left > 0;) {
    int64_t take = threads == 1 ? left : pool_portion(left, threads);
    int next = 0;
    for (int t = 1; t < threads; t++)
      if (until[t] < until[next]) next = t;
    for (int64_t i = 0; i < take; i++) until[next] += task[n - left + i];
    left -= take;
    if (until[next] > end) end = until[next];
  }
  return end;
}

/* Launch i on a number of threads. */
static double launch_seconds(const Session *s, const Tasks *t, const Rates *m, int i, int threads,
                             bool traffic) {
  const NetcLaunch *l = &t->fn->launches[i];
  double end = scaling_makespan(t->seconds + t->first[i], l->tasks, threads);
  double least = (double)s->module->desc->kernels[l->kernel].bytes / m->bandwidth;
  if (traffic && least > end) end = least;
  return end + (threads > 1 && l->tasks > 1 ? m->launch : 0);
}

double scaling_seconds(const Session *s, const Tasks *t, const Rates *m, int threads, bool traffic) {
  double sum = t->host;
  for (int i = 0; i < t->fn->nlaunches; i++) sum += launch_seconds(s, t, m, i, threads, traffic);
  return sum;
}

/* ---- what stops scaling ---- */

/* The launches of one kernel on MOST threads. */
typedef struct {
  int kernel, launches;
  int64_t tasks;  /* of the launch that has the fewest */
  double seconds; /* on MOST threads */
  double alone;   /* on one */
  double longest; /* sum over launches of the longest task: no number of threads goes below it */
} Limit;

static double lost(const Limit *l) { return l->seconds - l->alone / MOST; }

static int worst_first(const void *a, const void *b) {
  double x = lost(a), y = lost(b);
  return (x < y) - (x > y);
}

static Limit *limits(const Session *s, const Tasks *t, const Rates *m, int *n, char err[ERR_MAX]) {
  int nkernels = s->module->desc->nkernels;
  Limit *l = calloc((size_t)nkernels + 1, sizeof *l);
  if (!l) {
    err_memory(err, "the table of kernels", nkernels);
    return NULL;
  }
  for (int i = 0; i < t->fn->nlaunches; i++) {
    const NetcLaunch *launch = &t->fn->launches[i];
    Limit *k = &l[launch->kernel];
    k->kernel = launch->kernel;
    if (!k->launches++ || launch->tasks < k->tasks) k->tasks = launch->tasks;
    k->seconds += launch_seconds(s, t, m, i, MOST, false);
    double longest = 0;
    for (int64_t j = t->first[i]; j < t->first[i + 1]; j++) {
      k->alone += t->seconds[j];
      if (t->seconds[j] > longest) longest = t->seconds[j];
    }
    k->longest += longest;
  }
  *n = 0;
  for (int i = 0; i < nkernels; i++)
    if (l[i].launches) l[(*n)++] = l[i];
  qsort(l, (size_t)*n, sizeof *l, worst_first);
  return l;
}

/* ---- reporting ---- */

static double timed_at(const Timed *timed, int threads) {
  for (; timed->threads; timed++)
    if (timed->threads == threads) return timed->seconds;
  return 0;
}

bool scaling_print(const Session *s, const Tasks *t, const Rates *m, const Timed *timed, char err[ERR_MAX]) {
  double one = scaling_seconds(s, t, m, 1, false);
  printf("\nscaling, simulated from the times of all tasks on one thread, %.1f us a launch, memory not "
         "contended\n"
         "%8s %10s %9s %11s %19s\n",
         m->launch * 1e6, "threads", "ms", "speed-up", "measured ms", "at this bandwidth");
  for (int threads = 1; threads <= MOST; threads *= 2) {
    double seconds = scaling_seconds(s, t, m, threads, false), real = timed_at(timed, threads);
    char measured[32] = "";
    if (real > 0) snprintf(measured, sizeof measured, "%.3f", real * 1e3);
    printf("%8d %10.3f %9.2f %11s %19.3f\n", threads, seconds * 1e3, one / seconds, measured,
           scaling_seconds(s, t, m, threads, true) * 1e3);
  }
  int n;
  Limit *l = limits(s, t, m, &n, err);
  if (!l) return false;
  printf("\nwhat stops scaling: on %d threads, milliseconds beyond a perfect division\n%10s %10s %10s %7s "
         "%6s  kernel\n",
         MOST, "lost", "ms", "longest", "tasks>=", "n");
  for (int i = 0; i < n && i < LISTED; i++)
    printf("%10.3f %10.3f %10.3f %7lld %6d  %s\n", lost(&l[i]) * 1e3, l[i].seconds * 1e3, l[i].longest * 1e3,
           (long long)l[i].tasks, l[i].launches, s->module->desc->kernels[l[i].kernel].name);
  free(l);
  return true;
}

static cJSON *json_points(const Session *s, const Tasks *t, const Rates *m, const Timed *timed) {
  cJSON *list = cJSON_CreateArray();
  double one = scaling_seconds(s, t, m, 1, false);
  for (int threads = 1; threads <= MOST; threads *= 2) {
    double seconds = scaling_seconds(s, t, m, threads, false), real = timed_at(timed, threads);
    cJSON *j = cJSON_CreateObject();
    cJSON_AddNumberToObject(j, "threads", threads);
    cJSON_AddNumberToObject(j, "seconds", seconds);
    cJSON_AddNumberToObject(j, "speedup", one / seconds);
    cJSON_AddNumberToObject(j, "bandwidth_bound_seconds", scaling_seconds(s, t, m, threads, true));
    if (real > 0) cJSON_AddNumberToObject(j, "measured", real);
    cJSON_AddItemToArray(list, j);
  }
  return list;
}

cJSON *scaling_json(const Session *s, const Tasks *t, const Rates *m, const Timed *timed, char err[ERR_MAX]) {
  int n;
  Limit *l = limits(s, t, m, &n, err);
  if (!l) return NULL;
  cJSON *root = cJSON_CreateObject();
  cJSON_AddItemToObject(root, "points", json_points(s, t, m, timed));
  cJSON *list = cJSON_AddArrayToObject(root, "limits");
  for (int i = 0; i < n; i++) {
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "kernel", s->module->desc->kernels[l[i].kernel].name);
    cJSON_AddNumberToObject(j, "launches", l[i].launches);
    cJSON_AddNumberToObject(j, "tasks", (double)l[i].tasks);
    cJSON_AddNumberToObject(j, "lost_seconds", lost(&l[i]));
    cJSON_AddNumberToObject(j, "seconds", l[i].seconds);
    cJSON_AddNumberToObject(j, "longest", l[i].longest);
    cJSON_AddItemToArray(list, j);
  }
  free(l);
  return root;
}
