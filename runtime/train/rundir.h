/* rundir.h - the directory of a training run: last.safetensors, best.safetensors, metrics.csv, timing.csv,
 * val.csv; and `lock` while a process trains there.
 *
 *   rundir_open(&r, dir, err)                        // makes it, takes its lock; nothing else is touched
 *   rundir_create(&r, fn, force, err)                // a new run, or rundir_resume(&r, fn, iteration, err)
 *   rundir_log(&r, ..); rundir_sync(&r, err);
 *   rundir_close(&r)                                 // gives the lock back; good after failures, too
 *
 * metrics.csv and val.csv hold nothing that depends on the clock, so that two runs with one seed write the
 * same bytes; times are in timing.csv. A row starts with the number of iterations done. */
#ifndef NETRUN_RUNDIR_H
#define NETRUN_RUNDIR_H
#include <stdio.h>
#include "runtime/base/lock.h"
#include "runtime/session/session.h"

typedef struct {
  char *dir, *checkpoint, *best; /* last.safetensors, best.safetensors */
  FILE *metrics, *timing;
  DirLock lock;
} RunDir;
#define RUN_DIR_NONE ((RunDir){NULL, NULL, NULL, NULL, NULL, DIR_LOCK_NONE})

/* An error where another process trains there, which is named (runtime/base/lock.h). */
bool rundir_open(RunDir *r, const char *dir, char err[ERR_MAX]);
/* A new run. A directory that holds another run's results is refused unless `force`, which removes them. */
bool rundir_create(RunDir *r, const NetcFn *fn, bool force, char err[ERR_MAX]);
/* Continues the run whose checkpoint was written after `iteration` iterations: later rows are dropped. */
bool rundir_resume(RunDir *r, const NetcFn *fn, uint64_t iteration, char err[ERR_MAX]);
void rundir_close(RunDir *r);
/* One row of metrics.csv (nvalue values) and timing.csv. */
bool rundir_log(RunDir *r, uint64_t iteration, const double *value, int nvalue, double seconds,
                char err[ERR_MAX]);
/* Everything logged so far is on disk when it returns: to be called before the checkpoint is written. */
bool rundir_sync(RunDir *r, char err[ERR_MAX]);
#endif
