/* train.h - the training loop: batches in, one call of the training function per iteration, checkpoints out.
 * It knows nothing of images; runtime/cli/train.c feeds it from data sets. */
#ifndef NETRUN_TRAIN_H
#define NETRUN_TRAIN_H
#include <signal.h>
#include <stdio.h>
#include "runtime/session/checkpoint.h"
#include "runtime/train/prefetch.h"

/* Called between iterations, with `done` iterations behind. score: of the weights as they are, by which the
 * best ones are kept; NaN where there is none. */
typedef bool (*EvalFn)(void *user, uint64_t done, double *score, char err[ERR_MAX]);

typedef struct {
  const NetcFn *fn;
  const char *out;
  int64_t iterations;                        /* of the whole run: also what max_iterations says */
  int64_t epoch_iterations;                  /* epoch = floor(iteration / epoch_iterations) */
  int64_t save_every, log_every, eval_every; /* 0 = never */
  uint64_t seed;
  Progress origin;        /* what checkpoints say of the data and of validation: data, .., eval_best */
  const char *best;       /* metric of the score that is kept in OUT/best.safetensors; NULL: none is */
  const char *best_split; /* what it is the metric of: val */
  bool best_is_least;     /* of that metric */
  bool resume, force;
  BatchFn batch;
  ViewsFn views; /* NULL: batches are made on the host; with items and bytes as in BatchSource */
  int items;
  int64_t bytes;
  EvalFn eval;
  /* NULL: none. When the run has ended well, while its directory is still held. */
  bool (*finish)(void *user, char err[ERR_MAX]);
  void *user;                        /* of batch, views, eval and finish */
  const volatile sig_atomic_t *stop; /* non-zero: save after the iteration and return; may be NULL */
  FILE *progress;                    /* NULL: silent */
} TrainOptions;

/* Leaves OUT/last.safetensors and OUT/metrics.csv, and where scores are kept OUT/best.safetensors: the
 * weights of the best score of the whole run, through stop and resume, the earliest among equals. What has
 * been written is valid at any time. */
bool train_run(const Session *s, const TrainOptions *o, char err[ERR_MAX]);
#endif
