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
  r->item[r->items++] = item;
  return true;
}

void results_free(Results *r) {
  for (int i = 0; i < r->items; i++) free(r->item[i].name), free(r->item[i].of);
  free(r->item);
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

bool results_statistics(const Results *r, int64_t c, int metric, Statistics *out, char err[ERR_MAX]) {
  double squares = 0;
  *out = (Statistics){.mean = results_mean(r, c, metric), .sd = NAN};
  for (int i = 0; i < r->items; i++) {
    double v = r->item[i].of[c].value[metric];
    if (!isnan(v)) squares += (v - out->mean) * (v - out->mean), out->n++;
  }
  if (out->n > 1) out->sd = sqrt(squares / (out->n - 1));
  CaseValues *of = calloc((size_t)r->cases + 1, sizeof *of);
  if (of) out->cases = by_case(r, c, metric, of);
  bool ok = of && bootstrap_mean(of, out->cases, &out->low, &out->high);
  free(of);
  return ok || err_memory(err, "an interval", BOOTSTRAP_RESAMPLES * (int64_t)sizeof(double));
}

int results_without(const Results *r, int64_t c) {
  int n = 0;
  for (int i = 0; i < r->items; i++) n += r->item[i].of[c].truth == 0;
  return n;
}
