/* train.c - the training loop: batches in, iterations run, logged values out, a checkpoint now and then. It
 * allocates nothing. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/base/clock.h"
#include "runtime/session/device.h"
#include "runtime/train/progress.h"
#include "runtime/train/rundir.h"
#include "runtime/train/train.h"

typedef struct {
  const Session *session;
  const TrainOptions *opt;
  RunDir dir;
  Meter meter;
  Prefetch *prefetch;
  double *value;  /* of the outputs */
  double since;   /* the last iteration was logged, or the loop went on */
  uint64_t saved; /* iterations done when the checkpoint was written */
  Progress best;  /* of best.safetensors; its `best` is empty while there is none */
} Run;

static Progress progress_at(const Run *r, uint64_t done) {
  const TrainOptions *o = r->opt;
  Progress at = o->origin;
  at.iteration = done, at.seed = o->seed, at.max_iterations = o->iterations;
  at.epoch = floor((double)done / (double)o->epoch_iterations);
  *at.best = *at.best_split = '\0';
  return at;
}

static bool save(Run *r, uint64_t done, char err[ERR_MAX]) {
  Progress at = progress_at(r, done);
  if (!rundir_sync(&r->dir, err) || !checkpoint_save(r->session, r->dir.checkpoint, &at, err)) return false;
  r->saved = done;
  return true;
}

/* ---- the best weights ---- */

static bool is_better(const Run *r, double score) {
  if (isnan(score)) return false;
  if (!*r->best.best) return true;
  return r->opt->best_is_least ? score < r->best.best_value : score > r->best.best_value;
}

static bool keep_best(Run *r, uint64_t done, double score, char err[ERR_MAX]) {
  const TrainOptions *o = r->opt;
  if (!o->best || !is_better(r, score)) return true;
  Progress at = progress_at(r, done);
  snprintf(at.best, sizeof at.best, "%s", o->best);
  snprintf(at.best_split, sizeof at.best_split, "%s", o->best_split);
  at.best_value = score;
  if (!checkpoint_save(r->session, r->dir.best, &at, err)) return false;
  r->best = at;
  meter_say(&r->meter, "best %s so far, weights in %s", o->best, r->dir.best);
  return true;
}

/* The bar that was reached before. It may be later than the checkpoint: a run goes the same way again and
 * finds it as it is. */
static bool recall_best(Run *r, char err[ERR_MAX]) {
  const TrainOptions *o = r->opt;
  if (!o->best || !file_exists(r->dir.best)) return true;
  if (!checkpoint_progress(r->dir.best, &r->best, err)) return false;
  if (!strcmp(r->best.best, o->best) && !strcmp(r->best.best_split, o->best_split)) return true;
  return err_set(err,
                 "%s was chosen by %s on the %s split, not by %s on %s: go on with these, or move it away",
                 r->dir.best, r->best.best, r->best.best_split, o->best, o->best_split);
}

/* ---- beginning ---- */

static bool resume(Run *r, uint64_t *first, char err[ERR_MAX]) {
  const TrainOptions *o = r->opt;
  char *path = path_join(o->out, "last.safetensors");
  Progress at;
  bool ok = path ? true : err_memory(err, "a file name", 0);
  if (ok && !file_exists(path))
    ok = err_set(err, "%s has no last.safetensors to resume from: start it without --resume", o->out);
  ok = ok && rundir_open(&r->dir, o->out, err) && checkpoint_load(r->session, path, NULL, &at, err);
  if (ok && at.seed != o->seed)
    ok = err_set(err, "%s was started with --seed %" PRIu64 ", not %" PRIu64, path, at.seed, o->seed);
  free(path);
  if (!ok || !recall_best(r, err)) return false;
  *first = r->saved = at.iteration;
  return rundir_resume(&r->dir, o->fn, at.iteration, err);
}

static bool begin(Run *r, uint64_t *first, char err[ERR_MAX]) {
  const TrainOptions *o = r->opt;
  if (o->resume) return resume(r, first, err);
  *first = 0;
  if (!rundir_open(&r->dir, o->out, err) || !rundir_create(&r->dir, o->fn, o->force, err)) return false;
  session_init(r->session, o->seed);
  return save(r, 0,
              err); /* --resume works from here on, and a directory that takes no checkpoint is found now */
}

/* ---- the loop ---- */

/* The outputs; false and the first one that is not finite. */
static bool read_values(Run *r, uint64_t iteration, char err[ERR_MAX]) {
  const NetcFn *f = r->opt->fn;
  for (int i = 0; i < f->noutputs; i++) {
    const void *p = session_at(r->session, &f->outputs[i]);
    r->value[i] = f->outputs[i].dtype == NETC_I32 ? *(const int32_t *)p : *(const float *)p;
    if (!isfinite(r->value[i]))
      return err_set(err,
                     "%s is %s in iteration %" PRIu64 "; %s holds the state after %" PRIu64
                     " iterations: a smaller learning rate may help",
                     f->outputs[i].name, isnan(r->value[i]) ? "not a number (NaN)" : "infinite",
                     iteration + 1, r->dir.checkpoint, r->saved);
  }
  return true;
}

/* Begins iteration t, or, where runs do not overlap, does it. */
static bool begin_iteration(Run *r, uint64_t t, char err[ERR_MAX]) {
  const TrainOptions *o = r->opt;
  NetcStep step = {o->seed, t};
  if (!prefetch_take(r->prefetch, err)) return false;
  session_scalars(r->session, o->fn, (double)t, floor((double)t / (double)o->epoch_iterations),
                  (double)o->iterations);
  return fn_async(r->session) ? fn_begin(r->session, o->fn, step, err) : fn_run(r->session, o->fn, step, err);
}

/* Waits for iteration t and logs it. */
static bool end_iteration(Run *r, uint64_t t, char err[ERR_MAX]) {
  const TrainOptions *o = r->opt;
  if (fn_async(r->session) && !fn_finish(r->session, o->fn, err)) return false;
  if (!read_values(r, t, err)) return false;
  double now = seconds_now(), seconds = now - r->since;
  r->since = now;
  if (!rundir_log(&r->dir, t + 1, r->value, o->fn->noutputs, seconds, err)) return false;
  meter_update(&r->meter, (int64_t)t + 1, o->iterations, o->fn, r->value, seconds);
  return true;
}

static bool divides(int64_t every, uint64_t done) { return every > 0 && done % (uint64_t)every == 0; }

static bool stopped(const Run *r) { return r->opt->stop && *r->opt->stop; }

/* May iteration `done` begin before the one before it was looked at? Not where the state between the two is
 * asked for. */
static bool may_run_ahead(const Run *r, uint64_t done) {
  const TrainOptions *o = r->opt;
  return fn_async(r->session) && done < (uint64_t)o->iterations && !stopped(r) &&
         !divides(o->save_every, done) && !(o->eval && divides(o->eval_every, done));
}

static bool evaluate(Run *r, uint64_t done, char err[ERR_MAX]) {
  double score = NAN;
  return r->opt->eval(r->opt->user, done, &score, err) && keep_best(r, done, score, err);
}

/* While an iteration is logged, the next one runs (on devices where runs overlap). A stop that is asked for
 * meanwhile comes after that one. */
static bool loop(Run *r, uint64_t first, char err[ERR_MAX]) {
  const TrainOptions *o = r->opt;
  bool ahead = false; /* iteration t has begun */
  r->since = seconds_now();
  for (uint64_t t = first; t < (uint64_t)o->iterations; t++) {
    if (!ahead && !begin_iteration(r, t, err)) return false;
    ahead = may_run_ahead(r, t + 1);
    if (ahead && !begin_iteration(r, t + 1, err)) return false;
    if (!end_iteration(r, t, err)) return false;
    if (ahead) continue;
    if (o->eval && divides(o->eval_every, t + 1) && !evaluate(r, t + 1, err)) return false;
    bool stop = stopped(r), last = t + 1 == (uint64_t)o->iterations;
    if ((stop || last || divides(o->save_every, t + 1)) && !save(r, t + 1, err)) return false;
    if (stop && !last) {
      meter_say(&r->meter, "stopped after iteration %" PRIu64 "; go on with --resume", t + 1);
      return true;
    }
    r->since = seconds_now();
  }
  meter_say(&r->meter, "%" PRId64 " iterations done, weights in %s", o->iterations, r->dir.checkpoint);
  return true;
}

bool train_run(const Session *s, const TrainOptions *o, char err[ERR_MAX]) {
  Run r = {.session = s, .opt = o, .dir = RUN_DIR_NONE};
  uint64_t first = 0;
  for (int i = 0; i < o->fn->noutputs; i++)
    if (o->fn->outputs[i].rank != 0)
      return err_set(err, "%s logs %s, which is no single number", o->fn->name, o->fn->outputs[i].name);
  meter_start(&r.meter, o->progress, o->log_every);
  r.value = calloc((size_t)o->fn->noutputs + 1, sizeof *r.value);
  bool ok = r.value ? true : err_memory(err, "the values to log", 0);
  ok = ok && fn_prepare(s, o->fn, err) && begin(&r, &first, err);
  BatchSource source = {o->batch, o->views, o->user, o->items, o->bytes, o->seed};
  if (ok && first < (uint64_t)o->iterations)
    r.prefetch = prefetch_new(s, o->fn, &source, first, (uint64_t)o->iterations, err);
  if (ok && first >= (uint64_t)o->iterations)
    meter_say(&r.meter, "%s holds %" PRIu64 " iterations already; --iterations beyond that go on",
              r.dir.checkpoint, first);
  else ok = ok && r.prefetch && loop(&r, first, err);
  if (!ok && r.meter.line_open) fputc('\n', o->progress);
  char memory[256];
  s->device->memory_str(s, o->fn, memory, sizeof memory);
  if (ok && *r.best.best)
    meter_say(&r.meter, "best %s on the %s split: %.4f after iteration %" PRIu64 ", weights in %s",
              r.best.best, r.best.best_split, r.best.best_value, r.best.iteration, r.dir.best);
  if (ok && r.prefetch) meter_say(&r.meter, "%s", memory);
  ok = ok && (!o->finish || o->finish(o->user, err));
  prefetch_free(r.prefetch);
  rundir_close(&r.dir);
  free(r.value);
  return ok;
}
