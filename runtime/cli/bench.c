/* bench.c - netrun bench: how long a function takes, and where the time goes. */
#include <stdio.h>
#include <stdlib.h>
#include "runtime/device/open.h"
#include "runtime/bench/report.h"
#include "runtime/bench/scaling.h"
#include "runtime/cli/session.h"
#include "runtime/session/device.h"

static const CliOption options[] = {
    {"iterations", "N", "iterations to measure, after one that warms up (5)"},
    {"threads", "T", "threads (all CPUs)"},
    {"device", "NAME", "cpu or cuda:N (cpu)"},
    {"scaling", NULL, "also how it would run on 1 to 64 threads, from the times of all tasks on one"},
    {"json", NULL, "the same as JSON"},
    {NULL, NULL, NULL}};

static const NetcFn *pick(const Module *m, const CliArgs *args, char err[ERR_MAX]) {
  if (args->noperand > 1) return module_fn_named(m, args->operand[1], err);
  const NetcFn *f = module_fn_of_kind(m, NETC_FN_TRAIN);
  if (!f) f = module_fn_of_kind(m, NETC_FN_PREDICT);
  if (!f) f = module_fn_of_kind(m, NETC_FN_FORWARD);
  if (!f) err_set(err, "%s has no function", m->path);
  return f;
}

/* VmHWM, not getrusage: ru_maxrss begins with the size of the process that started this one. */
static int64_t peak_rss(void) {
  FILE *f = fopen("/proc/self/status", "r");
  char line[128];
  long long kib = 0;
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "VmHWM: %lld kB", &kib) == 1) break;
  if (f) fclose(f);
  return kib * 1024;
}

static bool print_json(cJSON *root, char err[ERR_MAX]) {
  char *text = root ? cJSON_Print(root) : NULL;
  if (root && !text) err_memory(err, "the report", 0);
  if (text) printf("%s\n", text);
  cJSON_free(text);
  cJSON_Delete(root);
  return text != NULL;
}

/* Measures tasks and a whole iteration on one thread, in a pool of its own. */
static bool on_one_thread(Session *s, const NetcFn *f, int iterations, Tasks *t, double *seconds,
                          char err[ERR_MAX]) {
  Pool *all = s->pool;
  Bench b;
  s->pool = pool_new(1, err), s->workers = 1;
  bool ok = s->pool && bench_run(s, f, iterations, &b, err);
  if (ok) {
    *seconds = b.seconds;
    bench_free(&b);
    ok = scaling_measure(s, f, iterations, t, err);
  }
  pool_free(s->pool);
  s->pool = all, s->workers = pool_threads(all);
  return ok;
}

/* The report of --scaling: printed, or in *json. */
static bool scaling(Session *s, const Bench *b, const Rates *m, cJSON **json, char err[ERR_MAX]) {
  Tasks t;
  double one;
  if (!on_one_thread(s, b->fn, b->iterations, &t, &one, err)) return false;
  Timed timed[] = {{1, one}, {b->threads > 1 ? b->threads : 0, b->seconds}, {0, 0}};
  bool ok = json ? (*json = scaling_json(s, &t, m, timed, err)) != NULL : scaling_print(s, &t, m, timed, err);
  scaling_free(&t);
  return ok;
}

static bool report(Session *s, const Bench *b, bool json, bool scale, char err[ERR_MAX]) {
  int64_t rss = peak_rss(); /* before the probe of the memory takes its own */
  Rates m;
  if (!s->device->rates(s, &m, err)) return false;
  if (!json) return bench_print(s, b, &m, rss, err) && (!scale || scaling(s, b, &m, NULL, err));
  cJSON *root = bench_json(s, b, &m, rss, err), *part;
  if (root && scale) {
    if (!scaling(s, b, &m, &part, err)) return cJSON_Delete(root), false;
    cJSON_AddItemToObject(root, "scaling", part);
  }
  return print_json(root, err);
}

static bool measure(Session *s, const CliArgs *args, void *iterations, char err[ERR_MAX]) {
  const NetcFn *f = pick(s->module, args, err);
  Bench b;
  if (!f) return false;
  session_init(s, 0);
  if (!bench_run(s, f, (int)*(const int64_t *)iterations, &b, err)) return false;
  bool ok = report(s, &b, cli_given(args, "json"), cli_given(args, "scaling"), err);
  bench_free(&b);
  return ok;
}

static bool run(const CliArgs *args, char err[ERR_MAX]) {
  int64_t iterations;
  int gpu;
  if (!cli_int(args, "iterations", 5, 1, 100000, &iterations, err) || !cli_device(args, &gpu, err))
    return false;
  if (gpu != ON_HOST && cli_given(args, "scaling"))
    return err_set(err, "--scaling is about threads of the host");
  return cli_with_session(args, measure, &iterations, err);
}

const Command cmd_bench = {
    "bench",
    "MODULE [FUNCTION]",
    "Time per iteration, and where it goes: kernels, lines, waiting. On random inputs.",
    1,
    2,
    options,
    run};
