/* netrun bench: how long a function takes, and where the time goes. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include "bench_report.h"
#include "cli.h"

static const CliOption options[] = {{"iterations", "N", "iterations to measure, after one that warms up (5)"},
                                    {"threads", "T", "threads (all CPUs)"},
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

static int64_t peak_rss(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * INT64_C(1024);
}

static bool print_json(cJSON *root, char err[ERR_MAX]) {
  char *text = root ? cJSON_Print(root) : NULL;
  if (root && !text) err_memory(err, "the report", 0);
  if (text) printf("%s\n", text);
  cJSON_free(text);
  cJSON_Delete(root);
  return text != NULL;
}

static bool report(const Session *s, const Bench *b, bool json, char err[ERR_MAX]) {
  int64_t rss = peak_rss(); /* before the probe of the memory takes its own */
  Machine m;
  if (!bench_machine(s->pool, s->module->isa, &m, err)) return false;
  return json ? print_json(bench_json(s, b, &m, rss, err), err) : bench_print(s, b, &m, rss, err);
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
    "bench",
    "MODULE [FUNCTION]",
    "Time per iteration, and where it goes: kernels, lines, waiting. On random inputs.",
    1,
    2,
    options,
    run};
