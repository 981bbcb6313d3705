/* session.h - a session runs the functions of a compiled module. runtime/device/open.h opens one.
 *
 *   Module *m = module_open("asenet.so", err);
 *   Session *s = session_new(m, threads, err);      // one arena, one thread pool; session_on(..): on a GPU
 *   session_init(s, seed);                          // variables as the module says
 *   const NetcFn *f = module_fn(m, "acts");
 *   memcpy(session_at(s, input), batch, ...);       // a run may overwrite inputs: write them every time
 *   fn_run(s, f, (NetcStep){seed, iteration}, err); // allocates nothing, but for the first time on a GPU
 *   session_free(s);
 *   module_close(m); */
#ifndef NETRUN_SESSION_H
#define NETRUN_SESSION_H
#include "runtime/base/err.h"
#include "runtime/base/pool.h"
#include "runtime/session/image_store.h"
#include "runtime/session/module.h"

/* What runs functions (device.h). */
typedef struct Device Device;

typedef struct {
  const Module *module;
  Pool *pool;
  uint8_t *arena; /* as the host's plan says; where a GPU runs, only what session_at is asked for is used */
  int64_t arena_bytes;
  int64_t resident; /* bytes of the process in memory before the arena was made: libraries, tables */
  const Device *device;
  void *state;       /* the device's */
  const NetcFn *fns; /* what it runs: as many as the module's, in the same order; launches index `kernels` */
  const NetcKernel *kernels; /* their code is the device's affair */
  int nkernels, workers;     /* that take a launch's tasks: threads; a GPU counts as one */
  char where[128];           /* "2 threads", "cuda:0 (NVIDIA H100)" */
} Session;

void session_free(Session *s);
/* Where the host writes and reads an array of the module's tables: variables, inputs and outputs of
 * fn_run. */
static inline void *session_at(const Session *s, const NetcArray *a) { return s->arena + a->offset; }
/* To be called when variables were written by other than session_init, before the next run; */
void vars_dirty(const Session *s);
/* and before variables are read. */
bool vars_download(const Session *s, char err[ERR_MAX]);
/* Sets all variables to their initial values; a pure function of seed and the module's tables (init.c). */
void session_init(const Session *s, uint64_t seed);
/* Writes the inputs "iteration", "epoch" and "max_iterations" of f, where it has them. */
void session_scalars(const Session *s, const NetcFn *f, double iteration, double epoch,
                     double max_iterations);
bool is_host_scalar(const NetcArray *input);

/* Makes everything ready for running f, so that errors come early. A run does it by itself, too. */
bool fn_prepare(const Session *s, const NetcFn *f, char err[ERR_MAX]);
/* Fails on GPUs only. */
bool fn_run(const Session *s, const NetcFn *f, NetcStep step, char err[ERR_MAX]);
/* A run in two halves, where fn_async says so: begun, and later waited for, when its outputs are in their
 * places (session_at). Two runs of one function at most may be begun and not ended; they end in the order in
 * which they began. What fn_begin was given - inputs, scalars - may be overwritten when it returns. Nothing
 * else of the session may be used between the two but batch_upload. */
bool fn_async(const Session *s);
bool fn_begin(const Session *s, const NetcFn *f, NetcStep step, char err[ERR_MAX]);
bool fn_finish(const Session *s, const NetcFn *f, char err[ERR_MAX]);
/* The launches of f as they run: on a GPU others than f's own. */
const NetcFn *fn_plan(const Session *s, const NetcFn *f);
/* Who watches a run: `task` is called by the thread that has run a task, `launch` when all tasks of one are
 * done. On a GPU a launch counts as one task. */
typedef struct {
  void *user;
  void (*task)(void *user, int launch, int64_t task, double seconds);
  void (*launch)(void *user, int launch, double seconds);
} Observer;
bool fn_run_observed(const Session *s, const NetcFn *f, NetcStep step, const Observer *o, char err[ERR_MAX]);

/* A batch: inputs of f in channels-last order. Given before every run on the host; where batch_async says so,
 * at any time, by one thread beside the one that runs, into slot 0 and 1 by turns, and accepted between runs
 * as the next run's input. A slot may be given again when the run after its acceptance has begun: giving
 * waits until the run has taken it. A run without an accepted batch takes its inputs from session_at, by way
 * of slot 0, which is not to be on its way then. */
typedef struct {
  int input;
  const void *data;
  const NetcView *view; /* of every sample, where the device makes the input (session_images); else NULL */
} BatchInput;
bool batch_async(const Session *s);
/* step: that of the run; only noise that the device makes reads it. */
bool batch_upload(const Session *s, const NetcFn *f, int slot, const BatchInput *in, int n, NetcStep step,
                  char err[ERR_MAX]);
/* Images of a data set of `items` items on the device, for batches of f that it makes itself (sampler_views);
 * *out NULL: it does not. bytes: what all images take, -1 = unknown. After fn_prepare; for one data set at a
 * time. */
bool session_images(const Session *s, const NetcFn *f, int items, int64_t bytes, const ImageStore **out,
                    char err[ERR_MAX]);
/* Does the device make the images and labels of the stream then? */
bool device_makes_batch(const Session *s, int stream);
void batch_commit(const Session *s, const NetcFn *f, int slot);
#endif
