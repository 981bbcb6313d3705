/* train_eval.c - scores between the iterations of a training run: how often and on what, val.csv, and which
 * weights are the best. */
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

/* The metric by which the weights in OUT/best.safetensors were kept, "" if none is there: checkpoints of
 * older runs do not say it. */
static bool kept_before(const Trainer *t, Progress *before, char err[ERR_MAX]) {
  *before = (Progress){.iteration = 0};
  if (!t->recalled) return true;
  char *path = path_join(t->opt.out, "best.safetensors");
  bool ok = path ? true : err_memory(err, "a file name", 0);
  if (ok && file_exists(path)) ok = checkpoint_progress(path, before, err);
  free(path);
  return ok;
}

/* The metric of --best; or that of the run that goes on, as long as it validates on the same split; or the
 * module's; or DI. Weights are kept by their score on the validation split: another has to be asked for. */
static bool choose_best(Trainer *t, const char *best, bool same_split, char err[ERR_MAX]) {
  TrainOptions *o = &t->opt;
  const NetcValidation *v = t->session->module->desc->validation;
  const char *name = best ? best : same_split ? o->origin.eval_best : NULL;
  Progress before;
  if (!name && t->eval.split != SPLIT_VAL) name = "none";
  if (!name && !kept_before(t, &before, err)) return false;
  if (!name) name = *before.best ? before.best : !v ? "DI" : v->best ? v->best : "none";
  if (!strcmp(name, "none")) return true;
  if (!metric_named(t, name, err)) return false;
  o->best = metric_info[t->metric].column, o->best_split = split_name[t->eval.split];
  o->best_is_least = metric_info[t->metric].better != HIGHER;
  if (t->eval.split == SPLIT_TEST)
    fprintf(stderr, "note: weights chosen by their score on the test split score too well on it\n");
  return true;
}

bool trainer_validation(Trainer *t, const CliArgs *args, char err[ERR_MAX]) {
  TrainOptions *o = &t->opt;
  Progress *at = &o->origin;
  const NetcValidation *v = t->session->module->desc->validation;
  const char *split = cli_value(args, "eval-split"), *best = cli_value(args, "best");
  bool known = t->recalled && *at->eval_split;
  int64_t every = known ? at->eval_every : v ? v->every : 0;
  if (!cli_int(args, "eval-every", every, 0, INT64_MAX, &o->eval_every, err)) return false;
  if (split && !o->eval_every) return err_set(err, "--eval-split needs --eval-every N");
  if (best && !o->eval_every) return err_set(err, "--best needs --eval-every N");
  if (!split) split = known ? at->eval_split : split_name[SPLIT_VAL];
  if (!split_named(split, &t->eval.split, err) ||
      !choose_best(t, best, known && !strcmp(split, at->eval_split), err))
    return false;
  at->eval_every = o->eval_every;
  snprintf(at->eval_split, sizeof at->eval_split, "%s", split_name[t->eval.split]);
  snprintf(at->eval_best, sizeof at->eval_best, "%s", o->best ? o->best : "none");
  return true;
}

static bool nothing_to_score(const Trainer *t, char err[ERR_MAX]) {
  char has[SPLITS_STR];
  return err_set(err,
                 "data set %s has no %s images to validate on, only %s; choose another --eval-split%s, or do "
                 "without: --eval-every 0",
                 t->data->name, split_name[t->eval.split], splits_str(t->data, has),
                 t->recalled ? " (the run began without validation cases)" : ", make some with --val");
}

bool trainer_eval(Trainer *t, const CliArgs *args, char err[ERR_MAX]) {
  if (!t->opt.eval_every) return true;
  if (!data_count(t->data, t->eval.split, false)) return nothing_to_score(t, err);
  if (!predictor_new(&t->predictor, t->session, err) || !cli_predictor(args, &t->predictor, NULL, err))
    return false;
  const DataShape *a = &t->predictor.shape, *b = &t->data->shape;
  if (a->channels != b->channels || a->classes != b->classes || memcmp(a->size, b->size, sizeof a->size) != 0)
    return err_set(err,
                   "predict takes images of another shape than the batches, which are to be validated on: "
                   "train with --eval-every 0");
  t->eval.clean = cleaning_of(t->session->module->desc->prepare);
  t->opt.eval = evaluate;
  return true;
}
