/* results.c - a table of items and classes, and statistics of its columns. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/eval/bootstrap.h"
#include "runtime/eval/results.h"

bool results_add(Results *r, const char *name, int patient, const Metrics *metrics, char err[ERR_MAX]) {
  if (r->items == r->room) {
    int room = r->room ? 2 * r->room : 64;
    Result *more = realloc(r->item, (size_t)room * sizeof *more);
    if (!more) return err_memory(err, "the results of an evaluation", room * (int64_t)sizeof *more);
    r->item = more, r->room = room;
  }
  size_t bytes = (size_t)r->classes * sizeof *metrics;
  Result item = {strdup(name), patient, malloc(bytes)};
  if (!item.name || !item.of) {
    free(item.name), free(item.of);
    return err_memory(err, "the results of an evaluation", (int64_t)bytes);
  }
  memcpy(item.of, metrics, bytes);
  free(r->statistics), r->statistics = NULL;
  r->item[r->items++] = item;
  return true;
}

void results_free(Results *r) {
  for (int i = 0; i < r->items; i++) free(r->item[i].name), free(r->item[i].of);
  free(r->item), free(r->statistics);
  *r = (Results){0};
}

double results_mean(const Results *r, int64_t c, int metric) {
  double sum = 0;
  int n = 0;
  for (int i = 0; i < r->items; i++) {
    double v = r->item[i].of[c].value[metric];
    if (!isnan(v)) sum += v, n++;
  }
  return n ? sum / n : NAN;
}

/* of: `cases` entries, of which those with values come to the front. Returns their number. */
static int by_case(const Results *r, int64_t c, int metric, CaseValues *of) {
  int some = 0;
  for (int i = 0; i < r->items; i++) {
    double v = r->item[i].of[c].value[metric];
    CaseValues *k = &of[r->item[i].patient];
    if (!isnan(v)) k->sum += v, k->n++;
  }
  for (int i = 0; i < r->cases; i++)
    if (of[i].n) of[some++] = of[i];
  return some;
}

/* of: room for all cases. */
static bool describe(const Results *r, int64_t c, int metric, CaseValues *of, Statistics *out) {
  double squares = 0;
  *out = (Statistics){.mean = results_mean(r, c, metric), .sd = NAN};
  for (int i = 0; i < r->items; i++) {
    double v = r->item[i].of[c].value[metric];
    if (!isnan(v)) squares += (v - out->mean) * (v - out->mean), out->n++;
  }
  if (out->n > 1) out->sd = sqrt(squares / (out->n - 1));
  memset(of, 0, (size_t)r->cases * sizeof *of);
  out->cases = by_case(r, c, metric, of);
  return bootstrap_mean(of, out->cases, &out->low, &out->high);
}

bool results_summarise(Results *r, char err[ERR_MAX]) {
  if (r->statistics) return true;
  int64_t columns = r->classes * METRIC_COUNT;
  Statistics *s = malloc((size_t)columns * sizeof *s);
  CaseValues *of = malloc((size_t)r->cases * sizeof *of + 1);
  bool ok = s && of;
  for (int64_t i = 0; ok && i < columns; i++)
    ok = describe(r, i / METRIC_COUNT, (int)(i % METRIC_COUNT), of, &s[i]);
  free(of);
  if (!ok) free(s);
  else r->statistics = s;
  return ok || err_memory(err, "statistics", columns * (int64_t)sizeof *s + r->cases * (int64_t)sizeof *of);
}

const Statistics *results_of(const Results *r, int64_t c, int metric) {
  return &r->statistics[c * METRIC_COUNT + metric];
}

int results_without(const Results *r, int64_t c) {
  int n = 0;
  for (int i = 0; i < r->items; i++) n += r->item[i].of[c].truth == 0 && !r->item[i].of[c].left_out;
  return n;
}

int results_untold(const Results *r, int64_t c) {
  int n = 0;
  for (int i = 0; i < r->items; i++) n += r->item[i].of[c].left_out;
  return n;
}
