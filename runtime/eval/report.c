/* report.c - eval.csv, and both files in their directory. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/base/file.h"
#include "runtime/eval/report.h"

const char *class_label(const ReportAbout *a, int64_t c, char label[CLASS_LABEL]) {
  if (a->class_name) snprintf(label, CLASS_LABEL, "%s", a->class_name[c]);
  else snprintf(label, CLASS_LABEL, "%lld", (long long)c);
  return label;
}

/* ---- eval.csv ---- */

static void csv_text(FILE *f, const char *text) {
  if (!strpbrk(text, ",\"\r\n")) {
    fputs(text, f);
    return;
  }
  fputc('"', f);
  for (; *text; text++) {
    if (*text == '"') fputc('"', f);
    fputc(*text, f);
  }
  fputc('"', f);
}

static void csv_number(FILE *f, double v) {
  if (isnan(v)) fputs(",nan", f); /* printf may write a sign */
  else fprintf(f, ",%.9g", v);
}

static void csv_header(FILE *f, const ReportAbout *a, const Results *r, uint32_t wanted) {
  fputs("name", f);
  for (int k = 0; k < METRIC_COUNT; k++)
    if (wanted >> k & 1) fprintf(f, ",%s", metric_info[k].column);
  for (int k = 0; k < METRIC_COUNT; k++)
    for (int64_t c = 1; wanted >> k & 1 && r->classes > 2 && c < r->classes; c++) {
      char label[CLASS_LABEL], head[CLASS_LABEL + 16];
      snprintf(head, sizeof head, "%s:%s", metric_info[k].column, class_label(a, c, label));
      fputc(',', f), csv_text(f, head);
    }
  fputc('\n', f);
}

void report_csv(FILE *f, const ReportAbout *a, const Results *r) {
  uint32_t wanted = metrics_wanted(&a->metrics);
  csv_header(f, a, r, wanted);
  for (int i = 0; i < r->items; i++) {
    const Result *item = &r->item[i];
    csv_text(f, item->name);
    for (int k = 0; k < METRIC_COUNT; k++)
      if (wanted >> k & 1) csv_number(f, item->of[0].value[k]);
    for (int k = 0; k < METRIC_COUNT; k++)
      for (int64_t c = 1; wanted >> k & 1 && r->classes > 2 && c < r->classes; c++)
        csv_number(f, item->of[c].value[k]);
    fputc('\n', f);
  }
}

/* ---- both ---- */

static bool open_in(AtomicFile *f, const char *dir, const char *name, char err[ERR_MAX]) {
  char *path = path_join(dir, name);
  bool ok = path ? atomic_open(f, path, err) : err_memory(err, "a file name", 0);
  free(path);
  return ok;
}

bool report_write(const char *dir, const ReportAbout *a, Results *r, char err[ERR_MAX]) {
  AtomicFile csv, json;
  if (!results_summarise(r, err) || !open_in(&csv, dir, "eval.csv", err)) return false;
  report_csv(csv.file, a, r);
  if (!atomic_commit(&csv, err) || !open_in(&json, dir, "eval.json", err)) return false;
  report_json(json.file, a, r);
  return atomic_commit(&json, err);
}
