/* trainer.h - what the parts of `netrun train` share: train_data.c chooses and opens the data set,
 * train_eval.c scores between iterations, train.c does the rest. */
#ifndef NETRUN_CLI_TRAINER_H
#define NETRUN_CLI_TRAINER_H
#include "runtime/batch/sampler.h"
#include "runtime/cli/cli.h"
#include "runtime/eval/eval.h"
#include "runtime/train/train.h"

typedef struct {
  const Session *session;
  const NetcFn *fn;
  Recipe recipe;
  Notes notes;
  int told; /* of the notes: how many are printed */
  Dataset *data;
  Sampler **sampler; /* per stream */
  TrainOptions opt;
  Predictor predictor; /* where eval_every > 0 */
  EvalOptions eval;
  int metric;    /* of eval, by which the best weights are kept */
  bool recalled; /* opt.origin is that of a checkpoint */
} Trainer;

/* train_data.c. Where the run in opt.out goes on, its checkpoint says what options do not: opt.seed,
 * opt.iterations, and in opt.origin the data set, its labelled cases and its parts. */
bool trainer_origin(Trainer *t, const CliArgs *args, SplitPlan *plan, char err[ERR_MAX]);
/* Opens --data, divided and labelled; tells its oddities. */
bool trainer_data(Trainer *t, const CliArgs *args, const SplitPlan *plan, char err[ERR_MAX]);

/* train_eval.c: how often to validate, on what, and by which metric the best weights are kept: as options
 * say, or the checkpoint that the run goes on from, or the module. */
bool trainer_validation(Trainer *t, const CliArgs *args, char err[ERR_MAX]);
/* opt.eval and what it takes, where the run validates; behind trainer_data. */
bool trainer_eval(Trainer *t, const CliArgs *args, char err[ERR_MAX]);
#endif
