/* train.c - netrun train: options, data sets as batches, the run. The loop itself is
 * runtime/train/train.c. */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include "runtime/base/file.h"
#include "runtime/cli/plan.h"
#include "runtime/cli/predictor.h"
#include "runtime/cli/recipe.h"
#include "runtime/cli/session.h"
#include "runtime/cli/trainer.h"
#include "runtime/train/curves.h"

enum { MAX_FIELDS = 8 };
static volatile sig_atomic_t stop;

static void on_signal(int number) {
  (void)number;
  stop = 1;
}

/* The first SIGINT or SIGTERM ends the run after the iteration at hand; the second one kills. */
static void catch_signals(void) {
  struct sigaction a = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
  sigemptyset(&a.sa_mask);
  sigaction(SIGINT, &a, NULL);
  sigaction(SIGTERM, &a, NULL);
}

/* ---- batches ---- */

/* The stream's fields with their places; returns how many. */
static int batch_fields(const Trainer *t, int stream, void *const *dst, BatchField field[MAX_FIELDS]) {
  const NetcStream *s = &t->session->module->desc->streams[stream];
  for (int k = 0; k < s->nfields; k++)
    field[k] = (BatchField){s->fields[k].kind, t->fn->inputs[s->fields[k].input].dim[0], dst[k]};
  return s->nfields;
}

static bool fill_batch(void *user, int stream, uint64_t iteration, void *const *dst, char err[ERR_MAX]) {
  const Trainer *t = user;
  BatchField field[MAX_FIELDS];
  int n = batch_fields(t, stream, dst, field);
  return sampler_batch(t->sampler[stream], iteration, field, n, err);
}

static bool fill_views(void *user, int stream, uint64_t iteration, void *const *dst, const ImageStore *store,
                       NetcView *view, char err[ERR_MAX]) {
  const Trainer *t = user;
  BatchField field[MAX_FIELDS];
  int n = batch_fields(t, stream, dst, field);
  return sampler_views(t->sampler[stream], iteration, field, n, store, view, err);
}

static bool open_samplers(Trainer *t, char err[ERR_MAX]) {
  const NetcModule *d = t->session->module->desc;
  t->sampler = calloc((size_t)d->nstreams + 1, sizeof *t->sampler);
  if (!t->sampler) return err_memory(err, "the batches", 0);
  for (int i = 0; i < d->nstreams; i++) {
    t->sampler[i] = sampler_new(t->data, &d->streams[i], i, t->opt.seed, err);
    if (!t->sampler[i]) return false;
  }
  return true;
}

/* Iterations of an epoch: what the module says, or else once through the labelled images. */
static int64_t epoch_length(const Trainer *t) {
  const NetcModule *d = t->session->module->desc;
  if (d->epoch_iterations > 0) return d->epoch_iterations;
  for (int pass = 0; pass < 2; pass++)
    for (int i = 0; i < d->nstreams; i++)
      if (d->streams[i].nfields && (pass || d->streams[i].source == NETC_SRC_LABELED))
        return sampler_epoch(t->sampler[i], t->fn->inputs[d->streams[i].fields[0].input].dim[0]);
  return 1;
}

/* ---- options ---- */

static const CliOption options[] = {
    {"data", "NAME[:DIR]", "data set: lits, isic2018, la, folder or phantom; DIR, or $NETRUN_DATA/NAME"},
    {"labeled", "HOW", "labelled training cases: 10%, a number, first:N, or a list (all with masks)"},
    SPLIT_OPTIONS,
    {"iterations", "N", "length of the run (what the module says)"},
    {"seed", "S", "seed of initial values, batches and noise (0)"},
    {"threads", "T", "threads (all CPUs); results do not depend on it"},
    {"device", "NAME", "cpu or cuda:N (cpu)"},
    {"out", "DIR", "directory of the run (run)"},
    {"resume", NULL, "continue the run in --out after its last checkpoint"},
    {"force", NULL, "throw the results in --out away and start anew"},
    {"save-every", "N", "a checkpoint every N iterations (1000)"},
    {"log-every", "N", "without a terminal: a line every N iterations (100)"},
    {"eval-every", "N",
     "score the val split every N iterations, into val.csv (what the module says; 0: never)"},
    {"eval-split", "NAME", "the split of --eval-every: val, test or train (val)"},
    {"best", "METRIC",
     "keep the weights that are best on val by this, or none (what the module says, or DI)"},
    CLI_PREDICTOR_OPTIONS,
    {"case-by", "REGEX", "cases of images by their paths: the first group (names without _z031, _slice_3)"},
    CLI_RECIPE_OPTIONS,
    CLI_FINGERPRINT_OPTION,
    {NULL, NULL, NULL}};

static bool read_options(Trainer *t, const CliArgs *args, SplitPlan *plan, char err[ERR_MAX]) {
  TrainOptions *o = &t->opt;
  const Module *m = t->session->module;
  int64_t seed, iterations;
  o->out = cli_value(args, "out") ? cli_value(args, "out") : "run";
  o->resume = cli_given(args, "resume"), o->force = cli_given(args, "force");
  if (o->resume && o->force) return err_set(err, "--resume and --force exclude each other");
  if (!cli_int(args, "seed", 0, 0, INT64_MAX, &seed, err) ||
      !cli_int(args, "iterations", m->desc->max_iterations, 1, INT64_C(1) << 40, &iterations, err) ||
      !cli_int(args, "save-every", 1000, 1, INT64_MAX, &o->save_every, err) ||
      !cli_int(args, "log-every", 100, 1, INT64_MAX, &o->log_every, err))
    return false;
  o->seed = (uint64_t)seed, o->iterations = iterations;
  if (!trainer_origin(t, args, plan, err) || !trainer_validation(t, args, err)) return false;
  return o->iterations > 0 || err_set(err, "how long? %s does not say; give --iterations N", m->path);
}

/* ---- the run ---- */

/* Rows of metrics.csv, without its header. */
static int64_t count_rows(const char *dir) {
  char *path = path_join(dir, "metrics.csv");
  FILE *f = path ? fopen(path, "r") : NULL;
  int64_t lines = 0;
  for (int c; f && (c = getc(f)) != EOF;) lines += c == '\n';
  if (f) fclose(f);
  free(path);
  return lines - 1;
}

static bool draw_curves(void *user, char err[ERR_MAX]) {
  const TrainOptions *o = &((const Trainer *)user)->opt;
  if (count_rows(o->out) < 2) return true;
  char *csv = path_join(o->out, "metrics.csv"), *png = path_join(o->out, "curves.png");
  bool ok = csv && png ? picture_curves(csv, png, err) : err_memory(err, "a file name", 0);
  if (ok && o->progress) fprintf(o->progress, "curves in %s\n", png);
  free(csv), free(png);
  return ok;
}

static void tell_data(const Trainer *t) {
  const Dataset *d = t->data;
  int val = data_count(d, SPLIT_VAL, false);
  char validating[64] = "";
  if (val) snprintf(validating, sizeof validating, ", %d validation images", val);
  fprintf(stderr,
          "%s: %d training images (%d labelled)%s, %" PRId64 " iterations, epochs of %" PRId64 ", %s\n",
          d->name, data_count(d, SPLIT_TRAIN, false), data_count(d, SPLIT_TRAIN, true), validating,
          t->opt.iterations, t->opt.epoch_iterations, t->session->where);
}

static bool train(Trainer *t, const CliArgs *args, char err[ERR_MAX]) {
  const char *spec;
  SplitPlan plan;
  if (!cli_required(args, "data", &spec, err) || !read_options(t, args, &plan, err) ||
      !trainer_data(t, args, &plan, err) || !open_samplers(t, err) || !trainer_eval(t, args, err))
    return false;
  TrainOptions *o = &t->opt;
  o->fn = t->fn, o->epoch_iterations = epoch_length(t);
  o->views = fill_views, o->items = t->data->nitem, o->bytes = data_bytes(t->data);
  o->batch = fill_batch, o->user = t, o->stop = &stop, o->progress = stderr, o->finish = draw_curves;
  tell_data(t);
  catch_signals();
  return train_run(t->session, o, err);
}

static bool train_on(Session *s, const CliArgs *args, void *user, char err[ERR_MAX]) {
  const NetcModule *d = s->module->desc;
  Trainer t = {.session = s, .fn = module_fn_of_kind(s->module, NETC_FN_TRAIN)};
  (void)user;
  if (!t.fn)
    return err_set(err, "%s has no training function: add a `train` block to %s", s->module->path,
                   d->source ? d->source : "its source");
  notes_init(&t.notes);
  bool ok = train(&t, args, err);
  notes_print(&t.notes, t.told, NOTES_SHOWN, stderr);
  notes_free(&t.notes);
  for (int i = 0; t.sampler && i < d->nstreams; i++) sampler_free(t.sampler[i]);
  free(t.sampler);
  predictor_free(&t.predictor);
  data_close(t.data);
  return ok;
}

static bool run(const CliArgs *args, char err[ERR_MAX]) {
  return cli_with_session(args, train_on, NULL, err);
}

const Command cmd_train = {"train",
                           "MODULE --data NAME[:DIR]",
                           "Trains a module; leaves last.safetensors, metrics.csv and curves.png in --out.",
                           1,
                           1,
                           options,
                           run};
