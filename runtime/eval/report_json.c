/* report_json.c - eval.json, written as it goes: a line for each item. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/eval/bootstrap.h"
#include "runtime/eval/report.h"

/* ---- values ---- */

/* Bytes of the UTF-8 character at s (RFC 3629), 0 where there is none. */
static int utf8_length(const unsigned char *s) {
  int n = s[0] < 0x80 ? 1 : s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : s[0] < 0xF5 ? 4 : 0;
  for (int i = 1; i < n; i++)
    if ((s[i] & 0xC0) != 0x80) return 0; /* the end of the string among them */
  bool overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
  bool none = (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF4 && s[1] > 0x8F);
  return overlong || none ? 0 : n;
}

static void text(FILE *f, const char *s) {
  if (!s) {
    fputs("null", f);
    return;
  }
  fputc('"', f);
  for (const unsigned char *c = (const unsigned char *)s; *c;) {
    int n = utf8_length(c);
    if (*c == '"' || *c == '\\') fprintf(f, "\\%c", *c);
    else if (*c < 0x20) fprintf(f, "\\u%04x", *c);
    else if (n) fwrite(c, 1, (size_t)n, f);
    else fputs("\xEF\xBF\xBD", f);
    c += n ? n : 1;
  }
  fputc('"', f);
}

/* As few digits as give the number back. */
static void number(FILE *f, double v) {
  char digits[32];
  snprintf(digits, sizeof digits, "%.15g", v);
  if (strtod(digits, NULL) != v) snprintf(digits, sizeof digits, "%.17g", v);
  fputs(isfinite(v) ? digits : "null", f);
}

/* ---- parts ---- */

static void about(FILE *f, const ReportAbout *a, const Results *r, uint32_t wanted) {
  const struct {
    const char *name, *value;
  } known[] = {{"module", a->module}, {"weights", a->weights},
               {"masks", a->masks},   {"data", a->data},
               {"root", a->root},     {"split", a->split},
               {"unit", r->unit},     {"empty", empty_name[a->metrics.empty]}};
  char label[CLASS_LABEL];
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    fprintf(f, " \"%s\": ", known[i].name), text(f, known[i].value), fputs(",\n", f);
  fprintf(f, " \"fill\": %s,\n \"largest\": %s,\n \"drop\": %.9g,\n", a->clean.fill ? "true" : "false",
          a->clean.largest ? "true" : "false", a->clean.drop);
  fputs(" \"tolerance\": ", f);
  number(f, metrics_want(&a->metrics, AREAS) ? a->metrics.tolerance : NAN);
  fputs(",\n \"metrics\": [", f);
  const char *comma = "";
  for (int k = 0; k < METRIC_COUNT; k++)
    if (wanted >> k & 1) fprintf(f, "%s\"%s\"", comma, metric_info[k].column), comma = ", ";
  fprintf(f, "],\n \"regions\": %s,\n \"classes\": [", a->regions ? "true" : "false");
  for (int64_t c = 1; c < r->classes; c++) fputs(c > 1 ? ", " : "", f), text(f, class_label(a, c, label));
  fprintf(
      f,
      "],\n \"interval\": {\"method\": \"percentile bootstrap of the mean, over cases\", \"percent\": %d, "
      "\"resamples\": %d},\n",
      BOOTSTRAP_PERCENT, BOOTSTRAP_RESAMPLES);
}

/* "DI": {..}, .. of class c. */
static void statistics(FILE *f, const Results *r, int64_t c, uint32_t wanted) {
  const char *comma = "";
  for (int k = 0; k < METRIC_COUNT; k++) {
    if (!(wanted >> k & 1)) continue;
    const Statistics *s = results_of(r, c, k);
    fprintf(f, "%s\"%s\": {\"mean\": ", comma, metric_info[k].column), number(f, s->mean);
    fputs(", \"sd\": ", f), number(f, s->sd);
    fprintf(f, ", \"n\": %d, \"cases\": %d, \"low\": ", s->n, s->cases), number(f, s->low);
    fputs(", \"high\": ", f), number(f, s->high), fputc('}', f);
    comma = ",\n   ";
  }
}

static void values(FILE *f, const Metrics *m, uint32_t wanted) {
  if (m->left_out) fputs("{\"prediction\": null, \"truth\": null", f);
  else fprintf(f, "{\"prediction\": %lld, \"truth\": %lld", (long long)m->pred, (long long)m->truth);
  for (int k = 0; k < METRIC_COUNT; k++)
    if (wanted >> k & 1) fprintf(f, ", \"%s\": ", metric_info[k].column), number(f, m->value[k]);
  fputc('}', f);
}

static void items(FILE *f, const Results *r, uint32_t wanted) {
  for (int i = 0; i < r->items; i++) {
    const Result *item = &r->item[i];
    fputs(i ? ",\n  {\"name\": " : "  {\"name\": ", f), text(f, item->name);
    fprintf(f, ", \"case\": %d, \"mean\": ", item->patient), values(f, &item->of[0], wanted);
    fputs(", \"classes\": [", f);
    for (int64_t c = 1; c < r->classes; c++) fputs(c > 1 ? ", " : "", f), values(f, &item->of[c], wanted);
    fputs("]}", f);
  }
}

void report_json(FILE *f, const ReportAbout *a, const Results *r) {
  uint32_t wanted = metrics_wanted(&a->metrics);
  bool skip = a->metrics.empty == EMPTY_SKIP;
  fputs("{\n", f), about(f, a, r, wanted);
  fputs(" \"mean\": {", f);
  statistics(f, r, 0, wanted);
  fputs("},\n \"of_class\": [", f);
  for (int64_t c = 1; c < r->classes; c++) {
    fprintf(f, "%s\n  {\"without\": %d, \"left_out\": %d, \"untold\": %d,\n   ", c > 1 ? "," : "",
            results_without(r, c), skip ? results_without(r, c) : 0, results_untold(r, c));
    statistics(f, r, c, wanted), fputc('}', f);
  }
  fputs("],\n \"items\": [\n", f), items(f, r, wanted);
  fputs("\n ]\n}\n", f);
}
