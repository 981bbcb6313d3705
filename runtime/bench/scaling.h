/* scaling.h - how a function would scale: every task timed on one thread, then handed out to T threads as the
 * pool does it, launch after launch. Contention for memory, and clocks that fall when all cores work, are not
 * in it.
 *
 *   Tasks t;
 *   scaling_measure(s, f, 3, &t, err);              // s with one thread
 *   scaling_seconds(s, &t, &machine, 16, NULL)      // an iteration on 16 threads */
#ifndef NETRUN_BENCH_SCALING_H
#define NETRUN_BENCH_SCALING_H
#include <cjson/cJSON.h>
#include "runtime/bench/bench.h"

typedef struct {
  const NetcFn *fn;
  int64_t *first;  /* of every launch: its first task in `seconds`; one entry more than launches */
  double *seconds; /* of every task, the least seen */
  double host;     /* between launches, seconds of an iteration */
} Tasks;

bool scaling_measure(const Session *s, const NetcFn *f, int iterations, Tasks *out, char err[ERR_MAX]);
void scaling_free(Tasks *t);
/* When the last of n tasks ends that T threads take in order, portions as pool_portion says. */
double scaling_makespan(const double *task, int64_t n, int threads);
/* Seconds of an iteration. m->launch is added per launch of several tasks on several threads; with `traffic`,
 * no launch is faster than its bytes take at m->bandwidth. */
double scaling_seconds(const Session *s, const Tasks *t, const Rates *m, int threads, bool traffic);

/* Iterations timed with a real number of threads. */
typedef struct {
  int threads;
  double seconds;
} Timed;
/* The table for 1 to 64 threads and the kernels that stop scaling, as text and as JSON. `timed` ends with 0
 * threads. */
bool scaling_print(const Session *s, const Tasks *t, const Rates *m, const Timed *timed, char err[ERR_MAX]);
cJSON *scaling_json(const Session *s, const Tasks *t, const Rates *m, const Timed *timed, char err[ERR_MAX]);
#endif
