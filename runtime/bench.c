#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "array.h"
#include "bench.h"
#include "cli.h"
#include "philox.h"

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
  for (int64_t i = 0; i < n; i++) {
    uint32_t x[4];
    philox_at(x, 1, 0, (uint64_t)(in - f->inputs), (uint64_t)i);
    double u = (double)(x[0] >> 8) * 0x1p-24, v = (double)(x[1] >> 8) * 0x1p-24;
    if (in->dtype == NETC_I32) ((int32_t *)session_at(s, in))[i] = (int32_t)(x[0] % (uint32_t)classes);
    else if (kind == NETC_FIELD_SDF) ((float *)session_at(s, in))[i] = (float)(2 * u - 1);
    else ((float *)session_at(s, in))[i] = (float)(sqrt(-2 * log(u + 0x1p-24)) * cos(6.283185307179586 * v));
  }
}

/* ---- measuring ---- */

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *v, int n) {
  qsort(v, (size_t)n, sizeof *v, by_value);
  return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

/* Runs iteration t (the arena is prepared anew, inputs do not outlive a run), returns its seconds. */
static double run_once(const Session *s, const NetcFn *f, uint64_t t, double *launch_seconds) {
  for (int i = 0; i < f->ninputs; i++)
    if (!is_host_scalar(&f->inputs[i])) fill_input(s, f, &f->inputs[i]);
  session_scalars(s, f, (double)t, 0, (double)s->module->desc->max_iterations);
  memset(launch_seconds, 0, (size_t)f->nlaunches * sizeof *launch_seconds);
  double start = seconds_now();
  fn_run_timed(s, f, (NetcStep){1, t}, launch_seconds);
  return seconds_now() - start;
}

/* `all` holds the kernels' seconds of every iteration: all[kernel * iterations + iteration]. */
static void measure(const Session *s, Bench *b, double *launch, double *whole, double *all) {
  const NetcFn *f = b->fn;
  int nkernels = s->module->desc->nkernels;
  run_once(s, f, 0, launch);
  for (int it = 0; it < b->iterations; it++) {
    whole[it] = run_once(s, f, (uint64_t)it + 1, launch);
    for (int i = 0; i < f->nlaunches; i++)
      all[f->launches[i].kernel * (int64_t)b->iterations + it] += launch[i];
  }
  for (int i = 0; i < f->nlaunches; i++) b->kernel_launches[f->launches[i].kernel]++;
  b->seconds = median(whole, b->iterations);
  for (int k = 0; k < nkernels; k++)
    b->kernel_seconds[k] = median(all + k * (int64_t)b->iterations, b->iterations);
}

bool bench_run(const Session *s, const NetcFn *f, int iterations, Bench *out, char err[ERR_MAX]) {
  size_t nkernels = (size_t)s->module->desc->nkernels;
  *out = (Bench){f, iterations, 0, calloc(nkernels + 1, sizeof(double)), calloc(nkernels + 1, sizeof(int))};
  double *launch = calloc((size_t)f->nlaunches + 1, sizeof *launch),
         *whole = calloc((size_t)iterations, sizeof *whole);
  double *all = calloc(nkernels * (size_t)iterations + 1, sizeof *all);
  bool ok = out->kernel_seconds && out->kernel_launches && launch && whole && all;
  if (ok) measure(s, out, launch, whole, all);
  else err_memory(err, "the table of times", (int64_t)nkernels * iterations * 8);
  free(launch), free(whole), free(all);
  if (!ok) bench_free(out);
  return ok;
}

void bench_free(Bench *b) {
  free(b->kernel_seconds);
  free(b->kernel_launches);
}

/* ---- reporting ---- */

/* Indices of the kernels that were launched, the slowest first. */
static int slowest_first(const Session *s, const Bench *b, int *order) {
  int n = 0;
  for (int k = 0; k < s->module->desc->nkernels; k++) {
    if (!b->kernel_launches[k]) continue;
    int i = n++;
    for (; i > 0 && b->kernel_seconds[order[i - 1]] < b->kernel_seconds[k]; i--) order[i] = order[i - 1];
    order[i] = k;
  }
  return n;
}

static double gflops(const NetcKernel *k, int launches, double seconds) {
  return seconds > 0 ? (double)k->flops * launches / seconds * 1e-9 : 0;
}

static bool print_json(const Session *s, const Bench *b, const int *order, int n, int64_t rss) {
  cJSON *root = cJSON_CreateObject();
  cJSON_AddStringToObject(root, "function", b->fn->name);
  cJSON_AddNumberToObject(root, "threads", pool_threads(s->pool));
  cJSON_AddStringToObject(root, "isa", isa_name(s->module->isa));
  cJSON_AddNumberToObject(root, "seconds_per_iteration", b->seconds);
  cJSON_AddNumberToObject(root, "peak_rss_bytes", (double)rss);
  cJSON *list = cJSON_AddArrayToObject(root, "kernels");
  for (int i = 0; i < n; i++) {
    const NetcKernel *k = &s->module->desc->kernels[order[i]];
    double seconds = b->kernel_seconds[order[i]];
    int launches = b->kernel_launches[order[i]];
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "name", k->name);
    cJSON_AddStringToObject(j, "op", k->op);
    cJSON_AddNumberToObject(j, "seconds", seconds);
    cJSON_AddNumberToObject(j, "launches", launches);
    cJSON_AddNumberToObject(j, "flops", (double)k->flops);
    cJSON_AddNumberToObject(j, "bytes", (double)k->bytes);
    cJSON_AddNumberToObject(j, "gflops", gflops(k, launches, seconds));
    cJSON_AddItemToArray(list, j);
  }
  char *text = cJSON_Print(root);
  cJSON_Delete(root);
  if (text) printf("%s\n", text);
  cJSON_free(text);
  return text != NULL;
}

static void print_table(const Session *s, const Bench *b, const int *order, int n, int64_t rss) {
  printf("%s: %.4f s per iteration (median of %d, %d threads, %s), peak memory %.1f MiB\n", b->fn->name,
         b->seconds, b->iterations, pool_threads(s->pool), isa_name(s->module->isa), (double)rss / 0x1p20);
  printf("%10s %6s %8s %10s %8s  %s\n", "ms", "%", "launches", "GFLOP/s", "GB/s", "kernel");
  for (int i = 0; i < n; i++) {
    const NetcKernel *k = &s->module->desc->kernels[order[i]];
    double seconds = b->kernel_seconds[order[i]];
    int launches = b->kernel_launches[order[i]];
    printf("%10.3f %6.2f %8d %10.2f %8.2f  %s\n", seconds * 1e3,
           b->seconds > 0 ? 100 * seconds / b->seconds : 0, launches, gflops(k, launches, seconds),
           seconds > 0 ? (double)k->bytes * launches / seconds * 1e-9 : 0, k->name);
  }
}

static bool report(const Session *s, const Bench *b, bool json, char err[ERR_MAX]) {
  int *order = calloc((size_t)s->module->desc->nkernels + 1, sizeof *order);
  if (!order) return err_memory(err, "the table of kernels", s->module->desc->nkernels);
  int n = slowest_first(s, b, order);
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  int64_t rss = usage.ru_maxrss * INT64_C(1024);
  bool ok = true;
  if (json) ok = print_json(s, b, order, n, rss) || err_memory(err, "the report", 0);
  else print_table(s, b, order, n, rss);
  free(order);
  return ok;
}

/* ---- the command ---- */

static const CliOption options[] = {
    {"iterations", "N", "iterations to measure, after one that warms up (5)"},
    {"threads", "T", "threads (all CPUs)"},
    {"json", NULL, "seconds_per_iteration, peak_rss_bytes and kernels as JSON"},
    {NULL, NULL, NULL}};

static const NetcFn *pick(const Module *m, const CliArgs *args, char err[ERR_MAX]) {
  if (args->noperand > 1) return module_fn_named(m, args->operand[1], err);
  const NetcFn *f = module_fn_of_kind(m, NETC_FN_TRAIN);
  if (!f) f = module_fn_of_kind(m, NETC_FN_PREDICT);
  if (!f) f = module_fn_of_kind(m, NETC_FN_FORWARD);
  if (!f) err_set(err, "%s has no function", m->path);
  return f;
}

static bool run(const CliArgs *args, char err[ERR_MAX]) {
  int64_t iterations, threads;
  if (!cli_int(args, "iterations", 5, 1, 100000, &iterations, err) ||
      !cli_int(args, "threads", 0, 1, POOL_MAX_THREADS, &threads, err))
    return false;
  Module *m = module_open(args->operand[0], err);
  const NetcFn *f = m ? pick(m, args, err) : NULL;
  Session *s = f ? session_new(m, (int)threads, err) : NULL;
  Bench b;
  bool ok = s != NULL;
  if (ok) session_init(s, 0);
  ok = ok && bench_run(s, f, (int)iterations, &b, err);
  if (ok) {
    ok = report(s, &b, cli_given(args, "json"), err);
    bench_free(&b);
  }
  session_free(s);
  module_close(m);
  return ok;
}

const Command cmd_bench = {
    "bench", "MODULE [FUNCTION]", "Time per iteration and per kernel, on random inputs.", 1, 2, options, run};
