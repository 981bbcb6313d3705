/* prefetch.h - a thread that prepares the next batch while the current iteration runs. */
#ifndef NETRUN_PREFETCH_H
#define NETRUN_PREFETCH_H
#include "load.h"

/* Fills the fields of a stream's batch: dst[k] belongs to field k, channels last. Called on the prefetch
 * thread. */
typedef bool (*BatchFn)(void *user, int stream, uint64_t iteration, void *const *dst, char err[ERR_MAX]);

typedef struct Prefetch Prefetch;

/* Starts preparing iteration `first`; iterations from `end` on are never asked for. fn: the training
 * function. */
Prefetch *prefetch_new(const Session *s, const NetcFn *fn, BatchFn batch, void *user, uint64_t first,
                       uint64_t end, char err[ERR_MAX]);
void prefetch_free(Prefetch *p);
/* Waits for the batch of the next iteration, makes it the input of the next run, and lets the thread go on. */
bool prefetch_take(Prefetch *p, char err[ERR_MAX]);
#endif
