/* report.h - the results of an evaluation as files. */
#ifndef NETRUN_REPORT_H
#define NETRUN_REPORT_H
#include <stdio.h>
#include "runtime/eval/clean.h"
#include "runtime/eval/results.h"

/* What was evaluated, and how. Strings may be NULL: not known. */
typedef struct {
  const char *module, *weights, *masks, *data, *root, *split; /* weights, or the folder of masks */
  const char *const *class_name; /* by class, `classes` of them; NULL: classes are called by their numbers */
  bool regions;                  /* classes from 1 on are regions, which may overlap */
  Cleaning clean;                /* of predictions, before scoring */
  MetricOptions metrics;
} ReportAbout;

/* Room for a class's name; a longer one is cut. */
enum { CLASS_LABEL = 64 };
const char *class_label(const ReportAbout *a, int64_t c, char label[CLASS_LABEL]);

/* A header and a row for each item: its name, each metric's mean over the foreground classes, and with more
 * than two classes each metric of each class, headed `DI:1`. Fields are quoted as RFC 4180 says; lines end in
 * a newline. What is not defined is `nan`. */
void report_csv(FILE *f, const ReportAbout *a, const Results *r);
/* One object (docs/cli.md): what was evaluated, statistics, and every item with every class. What is not
 * defined is null; bytes of names that are no UTF-8 become U+FFFD. r is summarised. */
void report_json(FILE *f, const ReportAbout *a, const Results *r);
/* DIR/eval.csv and DIR/eval.json; each appears when it is complete. Summarises r. */
bool report_write(const char *dir, const ReportAbout *a, Results *r, char err[ERR_MAX]);
#endif
