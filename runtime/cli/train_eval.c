/* train_eval.c - scores between the iterations of a training run: val.csv, and which weights are the best. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/base/file.h"
#include "runtime/cli/plan.h"
#include "runtime/cli/predictor.h"
#include "runtime/cli/trainer.h"

static bool append_row(const char *dir, uint64_t done, const Results *r, const MetricOptions *o,
                       char err[ERR_MAX]) {
  char *path = path_join(dir, "val.csv");
  FILE *f = path ? fopen(path, "a") : NULL;
  bool ok = f != NULL;
  uint32_t wanted = metrics_wanted(o);
  if (ok && fseek(f, 0, SEEK_END) == 0 && ftell(f) == 0) {
    fprintf(f, "iteration");
    for (int k = 0; k < METRIC_COUNT; k++)
      if (wanted >> k & 1) fprintf(f, ",%s", metric_info[k].column);
    fputc('\n', f);
  }
  if (ok) {
    fprintf(f, "%" PRIu64, done);
    for (int k = 0; k < METRIC_COUNT; k++)
      if (wanted >> k & 1) fprintf(f, ",%.9g", results_mean(r, 0, k));
    fputc('\n', f);
  }
  if (f) ok = fclose(f) == 0;
  if (!ok) err_sys(err, "cannot write %s/val.csv", dir);
  free(path);
  return ok;
}

static bool evaluate(void *user, uint64_t done, double *score, char err[ERR_MAX]) {
  Trainer *t = user;
  Results r;
  bool ok = eval_run(&t->predictor, t->data, &t->eval, &r, err);
  if (ok) {
    double v = results_mean(&r, 0, t->metric);
    *score = metric_info[t->metric].better == NEARER ? fabs(v) : v;
  }
  if (ok && t->opt.progress)
    fprintf(t->opt.progress, "%siteration %" PRIu64 ": DI %.4f over %d images\n",
            isatty(fileno(t->opt.progress)) ? "\n" : "", done, results_mean(&r, 0, METRIC_di), r.items);
  ok = ok && append_row(t->opt.out, done, &r, &t->eval.metrics, err);
  results_free(&r);
  return ok;
}

/* One metric by its name, which is measured from now on. */
static bool metric_named(Trainer *t, const char *name, char err[ERR_MAX]) {
  uint32_t bits;
  if (!metrics_named(name, &bits, err)) return false;
  if (bits & (bits - 1)) return err_set(err, "--best %s: it is one metric, or none", name);
  while (!(bits >> t->metric & 1)) t->metric++;
  if (metric_info[t->metric].made == AREAS)
    return err_set(err, "--best %s: it needs a tolerance, which only netrun eval takes", name);
  t->eval.metrics.metrics = metrics_wanted(&t->eval.metrics) | bits;
  return true;
}

/* The metric of --best, or the one that the run goes on with; DI where neither says. Weights are kept by
 * their score on the validation split: another one has to be asked for. */
static bool choose_best(Trainer *t, const CliArgs *args, char err[ERR_MAX]) {
  TrainOptions *o = &t->opt;
  Progress before = {.iteration = 0};
  const char *name = cli_value(args, "best");
  if (name && !o->eval_every) return err_set(err, "--best needs --eval-every N");
  if ((name && !strcmp(name, "none")) || (!name && t->eval.split != SPLIT_VAL)) return true;
  char *path = path_join(o->out, "best.safetensors");
  bool ok = path || err_memory(err, "a file name", 0);
  if (ok && !name && o->resume && file_exists(path)) ok = checkpoint_progress(path, &before, err);
  free(path);
  if (!ok || !metric_named(t, name ? name : *before.best ? before.best : "DI", err)) return false;
  o->best = metric_info[t->metric].column, o->best_split = split_name[t->eval.split];
  o->best_is_least = metric_info[t->metric].better != HIGHER;
  if (t->eval.split == SPLIT_TEST)
    fprintf(stderr, "note: weights chosen by their score on the test split score too well on it\n");
  return true;
}

static bool nothing_to_score(const Trainer *t, char err[ERR_MAX]) {
  char has[SPLITS_STR];
  return err_set(err, "--eval-every: data set %s has no %s images, only %s; choose another --eval-split%s",
                 t->data->name, split_name[t->eval.split], splits_str(t->data, has),
                 t->recalled ? " (the run began without validation cases)" : ", or make some with --val");
}

bool trainer_eval(Trainer *t, const CliArgs *args, char err[ERR_MAX]) {
  const char *split = cli_value(args, "eval-split");
  t->eval.split = SPLIT_VAL;
  if (split && !split_named(split, &t->eval.split, err)) return false;
  if (split && !t->opt.eval_every) return err_set(err, "--eval-split needs --eval-every N");
  if (!choose_best(t, args, err)) return false;
  if (!t->opt.eval_every) return true;
  if (!data_count(t->data, t->eval.split, false)) return nothing_to_score(t, err);
  if (!predictor_new(&t->predictor, t->session, err) || !cli_predictor(args, &t->predictor, NULL, err))
    return false;
  const DataShape *a = &t->predictor.shape, *b = &t->data->shape;
  if (a->channels != b->channels || a->classes != b->classes || memcmp(a->size, b->size, sizeof a->size) != 0)
    return err_set(err, "--eval-every: predict takes images of another shape than the batches");
  t->eval.clean = cleaning_of(t->session->module->desc->prepare);
  t->opt.eval = evaluate;
  return true;
}
