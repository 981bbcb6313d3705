/* progress.h - what a person watches during training: one line that is rewritten on a terminal, plain lines
 * elsewhere. */
#ifndef NETRUN_PROGRESS_H
#define NETRUN_PROGRESS_H
#include <stdio.h>
#include "runtime/session/session.h"

typedef struct {
  FILE *out; /* NULL: silent */
  bool terminal, line_open;
  int64_t log_every;
  double seconds; /* per iteration, a running mean */
  double last_shown;
} Meter;

void meter_start(Meter *m, FILE *out, int64_t log_every);
/* After an iteration: `done` of `total`, the values of fn's outputs, the time it took. */
void meter_update(Meter *m, int64_t done, int64_t total, const NetcFn *fn, const double *value,
                  double seconds);
/* A line of its own, after closing the one being rewritten. */
void meter_say(Meter *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "3h 12m", "4m 05s", "17s" */
const char *duration_str(double seconds, char buf[32]);
#endif
