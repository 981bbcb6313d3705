/* bench.h - how long a function takes and where the time goes: measured launch by launch, set against what
 * the machine could do.
 *
 *   Bench b;
 *   bench_run(s, f, 5, &b, err);                    // b.launch[i]: seconds of launch i
 *   session_rates(s, &rates, err);                  // multiply-adds and memory traffic per second
 *   bench_account(s, &b, &rates)                    // where an iteration's time went, in parts that add
 * up */
#ifndef NETRUN_BENCH_H
#define NETRUN_BENCH_H
#include "runtime/session/rates.h"
#include "runtime/session/session.h"

/* ---- measuring (measure.c) ---- */

/* One launch in an iteration: from its start until all tasks were done, and the time threads spent in its
 * tasks. */
typedef struct {
  double wall, busy;
} LaunchTime;

typedef struct {
  const NetcFn *fn, *plan; /* plan: the launches as they run */
  int iterations, threads; /* threads: 1 on a GPU */
  double *all;             /* seconds of every iteration */
  double median;           /* of them */
  /* Mean of the faster half of the iterations, which is what `launch` is about: means add up, and the slower
   * half is where other programs had the processor. */
  double seconds;
  LaunchTime *launch;
} Bench;

/* Inputs are random: normal images, labels in range, distances in [-1,1]. One further iteration warms up. */
bool bench_run(const Session *s, const NetcFn *f, int iterations, Bench *out, char err[ERR_MAX]);
void bench_free(Bench *b);
/* Writes the inputs of iteration t: they do not outlive a run. */
void bench_fill(const Session *s, const NetcFn *f, uint64_t t);

/* ---- accounting (account.c) ---- */

/* Launches that share a kernel, a kind of kernel, or a line of the .net file. */
typedef struct {
  int key; /* kernel, first kernel of the kind, or place */
  int launches;
  double seconds, busy; /* busy: in tasks, summed over threads */
  double roofline;      /* seconds of the better of arithmetic and memory traffic at the machine's rates */
  double flops, bytes, work;
} Cost;

typedef struct {
  double iteration; /* = roofline + above + waiting + between */
  double roofline;  /* what the kernels would take at the machine's rates */
  double above;     /* what their tasks took beyond that (negative: data was in caches) */
  double waiting;   /* in launches, threads without a task: starting a launch, its last tasks */
  double between;   /* between launches: the host */
} Account;

Account bench_account(const Session *s, const Bench *b, const Rates *m);
typedef enum { BY_KERNEL, BY_KIND, BY_LINE } CostBy;
/* Costs, the dearest first; *n of them. NULL and a message when there is no memory. Free it. */
Cost *bench_costs(const Session *s, const Bench *b, const Rates *m, CostBy by, int *n, char err[ERR_MAX]);
#endif
