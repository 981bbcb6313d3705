/* prefetch.h - a thread that prepares the next batch while the current iteration runs. */
#ifndef NETRUN_PREFETCH_H
#define NETRUN_PREFETCH_H
#include "runtime/session/session.h"

/* Fills the fields of a stream's batch: dst[k] belongs to field k, channels last. Called on the prefetch
 * thread. */
typedef bool (*BatchFn)(void *user, int stream, uint64_t iteration, void *const *dst, char err[ERR_MAX]);

/* The same where the device keeps images (sampler_views): writes the views of the stream's samples, and
 * fields only of samples, and of kinds, that it does not make. */
typedef bool (*ViewsFn)(void *user, int stream, uint64_t iteration, void *const *dst, const ImageStore *store,
                        NetcView *view, char err[ERR_MAX]);

typedef struct {
  BatchFn batch;
  ViewsFn views; /* NULL: all batches are made here */
  void *user;    /* of both */
  int items;     /* of the data set, and what their images take on a device: -1 = unknown */
  int64_t bytes;
  uint64_t seed; /* of the run's steps */
} BatchSource;

typedef struct Prefetch Prefetch;

/* Starts preparing iteration `first`; iterations from `end` on are never asked for. fn: the training
 * function, prepared. */
Prefetch *prefetch_new(const Session *s, const NetcFn *fn, const BatchSource *source, uint64_t first,
                       uint64_t end, char err[ERR_MAX]);
void prefetch_free(Prefetch *p);
/* Waits for the batch of the next iteration, makes it the input of the next run, and lets the thread go
 * on. */
bool prefetch_take(Prefetch *p, char err[ERR_MAX]);
#endif
