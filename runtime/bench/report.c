/* Tables of costs, as text and as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include "runtime/bench/bench.h"
#include "runtime/bench/report.h"

static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

/* What a row is about. */
static const char *cost_name(const Session *s, const Cost *c, CostBy by, char buf[256]) {
  if (by == BY_KERNEL) return s->kernels[c->key].name;
  if (by == BY_KIND) return s->kernels[c->key].op;
  if (c->key < 0) return "(no line)";
  const NetcSourceLine *p = &s->module->desc->places[c->key];
  snprintf(buf, 256, "%s:%d%s%s", p->file, p->line, p->block ? "  in " : "", p->block ? p->block : "");
  return buf;
}

/* Of the time in its launches, how much threads had no task of it. */
static double idle(const Cost *c, int threads) { return 1 - ratio(c->busy, threads * c->seconds); }

/* ---- text ---- */

static void print_account(const Account *a) {
  const struct {
    const char *what;
    double seconds;
  } row[] = {{"the kernels' roofline: what they would take at these rates", a->roofline},
             {"their tasks beyond it", a->above},
             {"threads without a task: starting launches, their last tasks", a->waiting},
             {"between launches", a->between},
             {"iteration", a->iteration}};
  printf("\n%10s %7s  where the time goes\n", "ms", "%");
  for (int i = 0; i < (int)(sizeof row / sizeof *row); i++)
    printf("%10.3f %7.2f  %s\n", row[i].seconds * 1e3, 100 * ratio(row[i].seconds, a->iteration),
           row[i].what);
}

static void print_row(const Cost *c, double iteration, int threads, const char *name) {
  printf("%10.3f %6.2f %6d %9.3f %9.1f %8.1f %7.1f %9.3f %5.0f %5.0f  %s\n", c->seconds * 1e3,
         100 * ratio(c->seconds, iteration), c->launches, c->work * 1e-9, c->bytes * 1e-6,
         ratio(c->work, c->seconds) * 1e-9, ratio(c->bytes, c->seconds) * 1e-9, c->roofline * 1e3,
         100 * ratio(c->roofline, c->seconds), 100 * idle(c, threads), name);
}

static bool print_table(const Session *s, const Bench *b, const Rates *m, CostBy by, char err[ERR_MAX]) {
  static const char *const title[] = {"kernel", "kind of kernel", "line"};
  int n;
  Cost *cost = bench_costs(s, b, m, by, &n, err);
  if (!cost) return false;
  printf("\n%10s %6s %6s %9s %9s %8s %7s %9s %5s %5s  %s\n", "ms", "%", "n", "Gflop", "MB", "GFLOP/s", "GB/s",
         "roof ms", "roof%", "idle%", title[by]);
  for (int i = 0; i < n; i++) {
    char name[256];
    print_row(&cost[i], b->seconds, b->threads, cost_name(s, &cost[i], by, name));
  }
  free(cost);
  return true;
}

bool bench_print(const Session *s, const Bench *b, const Rates *m, int64_t rss, char err[ERR_MAX]) {
  Account a = bench_account(s, b, m);
  bool gpu = batch_async(s);
  printf("%s: %.4f s per iteration (median of %d, %s%s%s), peak memory %.1f MiB\n", b->fn->name, b->median,
         b->iterations, s->where, gpu ? "" : ", ", gpu ? "" : isa_name(s->module->isa), (double)rss / 0x1p20);
  printf("%s%s: %.1f GFLOP/s of multiply-adds, ", gpu ? "" : "this machine, ", s->where, m->flops * 1e-9);
  if (m->pair_flops > 0) printf("%.1f of bf16, ", m->pair_flops * 1e-9);
  printf("%.1f GB/s of memory", m->bandwidth * 1e-9);
  if (m->launch > 0) printf(", %.1f us a launch", m->launch * 1e6);
  printf("\n");
  print_account(&a);
  return print_table(s, b, m, BY_KIND, err) && print_table(s, b, m, BY_LINE, err) &&
         print_table(s, b, m, BY_KERNEL, err);
}

/* ---- JSON ---- */

static cJSON *json_account(const Account *a) {
  cJSON *j = cJSON_CreateObject();
  cJSON_AddNumberToObject(j, "seconds", a->iteration);
  cJSON_AddNumberToObject(j, "roofline", a->roofline);
  cJSON_AddNumberToObject(j, "above_roofline", a->above);
  cJSON_AddNumberToObject(j, "waiting", a->waiting);
  cJSON_AddNumberToObject(j, "between_launches", a->between);
  return j;
}

/* What names a row: the kernel with its kind, the kind, or the place with its callers. */
static void json_key(cJSON *j, const Session *s, const Cost *c, CostBy by) {
  const NetcModule *d = s->module->desc;
  if (by == BY_KERNEL) cJSON_AddStringToObject(j, "name", s->kernels[c->key].name);
  if (by != BY_LINE) cJSON_AddStringToObject(j, "op", s->kernels[c->key].op);
  if (by != BY_LINE || c->key < 0) return;
  cJSON_AddStringToObject(j, "file", d->places[c->key].file);
  cJSON_AddNumberToObject(j, "line", d->places[c->key].line);
  if (d->places[c->key].block) cJSON_AddStringToObject(j, "block", d->places[c->key].block);
}

/* In "kernels" arithmetic and bytes are of one launch, as in `netrun info`; elsewhere of all. */
static cJSON *json_cost(const Session *s, const Cost *c, CostBy by, double iteration, int threads) {
  double of = by == BY_KERNEL ? c->launches : 1;
  cJSON *j = cJSON_CreateObject();
  json_key(j, s, c, by);
  cJSON_AddNumberToObject(j, "seconds", c->seconds);
  cJSON_AddNumberToObject(j, "share", ratio(c->seconds, iteration));
  cJSON_AddNumberToObject(j, "launches", c->launches);
  cJSON_AddNumberToObject(j, "flops", c->flops / of);
  cJSON_AddNumberToObject(j, "bytes", c->bytes / of);
  cJSON_AddNumberToObject(j, "work", c->work / of);
  cJSON_AddNumberToObject(j, "gflops", ratio(c->work, c->seconds) * 1e-9);
  cJSON_AddNumberToObject(j, "roofline_seconds", c->roofline);
  cJSON_AddNumberToObject(j, "roofline_fraction", ratio(c->roofline, c->seconds));
  cJSON_AddNumberToObject(j, "idle", idle(c, threads));
  return j;
}

static bool json_costs(cJSON *root, const char *name, const Session *s, const Bench *b, const Rates *m,
                       CostBy by, char err[ERR_MAX]) {
  int n;
  Cost *cost = bench_costs(s, b, m, by, &n, err);
  if (!cost) return false;
  cJSON *list = cJSON_AddArrayToObject(root, name);
  for (int i = 0; i < n; i++) cJSON_AddItemToArray(list, json_cost(s, &cost[i], by, b->seconds, b->threads));
  free(cost);
  return true;
}

cJSON *bench_json(const Session *s, const Bench *b, const Rates *m, int64_t rss, char err[ERR_MAX]) {
  Account a = bench_account(s, b, m);
  cJSON *root = cJSON_CreateObject();
  cJSON_AddStringToObject(root, "function", b->fn->name);
  cJSON_AddNumberToObject(root, "threads", b->threads);
  cJSON_AddStringToObject(root, "isa", batch_async(s) ? "ptx" : isa_name(s->module->isa));
  cJSON_AddStringToObject(root, "device", s->where);
  cJSON_AddNumberToObject(root, "seconds_per_iteration", b->median);
  cJSON_AddItemToObject(root, "seconds", cJSON_CreateDoubleArray(b->all, b->iterations));
  cJSON_AddNumberToObject(root, "peak_rss_bytes", (double)rss);
  cJSON_AddNumberToObject(root, "arena_bytes", (double)(s->module->desc->variable_bytes + b->plan->working));
  cJSON_AddNumberToObject(root, "peak_gflops", m->flops * 1e-9);
  if (m->pair_flops > 0) cJSON_AddNumberToObject(root, "peak_gflops_bf16", m->pair_flops * 1e-9);
  cJSON_AddNumberToObject(root, "bandwidth_gbytes", m->bandwidth * 1e-9);
  cJSON_AddNumberToObject(root, "launch_seconds", m->launch);
  cJSON_AddItemToObject(root, "account", json_account(&a));
  if (json_costs(root, "kinds", s, b, m, BY_KIND, err) && json_costs(root, "lines", s, b, m, BY_LINE, err) &&
      json_costs(root, "kernels", s, b, m, BY_KERNEL, err))
    return root;
  cJSON_Delete(root);
  return NULL;
}
