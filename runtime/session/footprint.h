/* footprint.h - what a function takes by its module's plan, and what the process really has. */
#ifndef NETRUN_FOOTPRINT_H
#define NETRUN_FOOTPRINT_H
#include <stdio.h>
#include "runtime/session/session.h"

typedef struct {
  int64_t variables, working; /* of the arena */
  int64_t batch;              /* the next batch, read while this one is worked on */
  int64_t scratch;            /* on the stacks of all threads */
  int64_t total;
} Footprint;

Footprint footprint_plan(const NetcModule *d, const NetcFn *f, int threads);
int64_t resident_now(void);  /* bytes of the process in memory; 0 = unknown */
int64_t resident_peak(void); /* the most there were */
/* "memory: 1197.1 MiB planned (395.2 variables, ..), 13.6 MiB before; 1212.0 MiB at the peak" */
void footprint_str(const Session *s, const NetcFn *f, char *out, size_t size);
#endif
