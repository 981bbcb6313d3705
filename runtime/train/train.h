/* train.h - the training loop: batches in, one call of the training function per iteration, checkpoints out.
 * It knows nothing of images; runtime/cli/train.c feeds it from data sets. */
#ifndef NETRUN_TRAIN_H
#define NETRUN_TRAIN_H
#include <signal.h>
#include <stdio.h>
#include "runtime/session/checkpoint.h"
#include "runtime/train/prefetch.h"

/* Called between iterations, with `done` iterations behind. */
typedef bool (*EvalFn)(void *user, uint64_t done, char err[ERR_MAX]);

typedef struct {
  const NetcFn *fn;
  const char *out;
  int64_t iterations;                        /* of the whole run: also what max_iterations says */
  int64_t epoch_iterations;                  /* epoch = floor(iteration / epoch_iterations) */
  int64_t save_every, log_every, eval_every; /* 0 = never */
  uint64_t seed;
  const char *data, *labeled; /* kept in checkpoints */
  bool resume, force;
  BatchFn batch;
  ViewsFn views; /* NULL: batches are made on the host; with items and bytes as in BatchSource */
  int items;
  int64_t bytes;
  EvalFn eval;
  void *user;                        /* of batch, views and eval */
  const volatile sig_atomic_t *stop; /* non-zero: save after the iteration and return; may be NULL */
  FILE *progress;                    /* NULL: silent */
} TrainOptions;

/* Leaves OUT/last.safetensors and OUT/metrics.csv. The former is valid at any time from the first iteration
 * on. */
bool train_run(const Session *s, const TrainOptions *o, char err[ERR_MAX]);
#endif
