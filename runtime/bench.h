/* bench.h - how long a function takes, as a whole and kernel by kernel. */
#ifndef NETRUN_BENCH_H
#define NETRUN_BENCH_H
#include "load.h"

typedef struct {
  const NetcFn *fn;
  int iterations;
  double seconds;         /* median over the iterations */
  double *kernel_seconds; /* of each kernel of the module: its launches summed over an iteration, median */
  int *kernel_launches;
} Bench;

/* Inputs are random: normal images, labels in range, distances in [-1,1]. One further iteration warms up. */
bool bench_run(const Session *s, const NetcFn *f, int iterations, Bench *out, char err[ERR_MAX]);
void bench_free(Bench *b);
#endif
