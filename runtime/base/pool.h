/* pool.h - threads that run the tasks of one launch after another.
 *
 *   Pool *p = pool_new(2, err);                // the caller counts as one of the two
 *   pool_run(p, task_fn, ctx, ntasks);         // returns when all tasks are done
 *   pool_free(p);
 *
 * Which thread runs a task is not determined; results must not depend on it, and kernels are built so. */
#ifndef NETRUN_POOL_H
#define NETRUN_POOL_H
#include <stdint.h>
#include "runtime/base/err.h"

typedef struct Pool Pool;
typedef void (*PoolTask)(void *ctx, int64_t task);

enum { POOL_MAX_THREADS = 256 };

/* threads = 0: as many as the process may use. */
Pool *pool_new(int threads, char err[ERR_MAX]);
void pool_free(Pool *p);
int pool_threads(const Pool *p);
/* Runs task 0..ntasks-1, each once. Not to be called from two threads at a time, nor from a task. */
void pool_run(Pool *p, PoolTask fn, void *ctx, int64_t ntasks);
/* How many of the tasks not yet handed out a thread takes at once: large portions first, single tasks at the
 * end. */
static inline int64_t pool_portion(int64_t left, int threads) {
  int64_t take = left / (4 * (int64_t)threads);
  return take < 1 ? 1 : take;
}
#endif
