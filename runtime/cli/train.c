/* train.c - netrun train: options, data sets as batches, evaluation between iterations. The loop itself is
 * runtime/train/train.c. */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "runtime/base/field.h"
#include "runtime/base/array.h"
#include "runtime/cli/batch_shape.h"
#include "runtime/cli/plan.h"
#include "runtime/cli/predictor.h"
#include "runtime/cli/recipe.h"
#include "runtime/cli/session.h"
#include "runtime/data/fingerprint.h"
#include "runtime/eval/eval.h"
#include "runtime/base/file.h"
#include "runtime/train/curves.h"
#include "runtime/train/progress.h"
#include "runtime/train/train.h"

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
    t->sampler[i] = sampler_new(t->data, d->streams[i].source, d->streams[i].augment, i, t->opt.seed, err);
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

/* ---- evaluation between iterations ---- */

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

/* Where there is nothing to validate on and nobody said what, a part of the training cases is set aside. */
static bool make_val(Trainer *t, const CliArgs *args, char err[ERR_MAX]) {
  static const char how[] = "20%";
  if (data_count(t->data, SPLIT_VAL, false) || t->recalled || cli_given(args, "val") ||
      cli_given(args, "eval-split") || !t->opt.eval_every)
    return true;
  if (!data_split_val(t->data, how, err)) return false;
  strcpy(t->opt.origin.val, how);
  note(&t->notes,
       "%s has no validation cases: --eval-every makes %s of the training cases those, by name (--val says "
       "how many, --eval-split what else to score)",
       t->data->name, how);
  return true;
}

static bool nothing_to_score(const Trainer *t, char err[ERR_MAX]) {
  char has[SPLITS_STR];
  return err_set(err, "--eval-every: data set %s has no %s images, only %s; choose another --eval-split%s",
                 t->data->name, split_name[t->eval.split], splits_str(t->data, has),
                 t->recalled ? " (the run began without validation cases)" : ", or make some with --val");
}

static bool prepare_eval(Trainer *t, const CliArgs *args, char err[ERR_MAX]) {
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
  t->opt.eval = evaluate;
  return true;
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
    {"eval-every", "N", "score the val split every N iterations, into val.csv (never)"},
    {"eval-split", "NAME", "the split of --eval-every: val, test or train (val)"},
    {"best", "METRIC", "keep the weights that are best on val by this, or none (DI)"},
    CLI_PREDICTOR_OPTIONS,
    CLI_RECIPE_OPTIONS,
    CLI_FINGERPRINT_OPTION,
    {NULL, NULL, NULL}};

/* What the run in --out was started with is kept where the command line does not say it again. */
static bool recall(Trainer *t, const char *path, const CliArgs *args, char err[ERR_MAX]) {
  TrainOptions *o = &t->opt;
  const char *labeled = cli_value(args, "labeled");
  if (!checkpoint_progress(path, &o->origin, err)) return false;
  const Progress *at = &o->origin;
  if (!cli_given(args, "seed")) o->seed = at->seed;
  if (!cli_given(args, "iterations")) o->iterations = at->max_iterations;
  if (labeled && strncmp(labeled, at->labeled, sizeof at->labeled - 1) != 0)
    return err_set(err, "%s was started %s%s, not with --labeled %s", path,
                   at->labeled[0] ? "with --labeled " : "without --labeled", at->labeled, labeled);
  return t->recalled = true;
}

/* Where the run comes from: its checkpoint, where there is one (else train_run says what to do), and options.
 * */
static bool read_origin(Trainer *t, const CliArgs *args, SplitPlan *plan, char err[ERR_MAX]) {
  TrainOptions *o = &t->opt;
  const char *labeled = cli_value(args, "labeled");
  char *path = path_join(o->out, "last.safetensors");
  bool ok = path || err_memory(err, "a file name", 0);
  if (ok && o->resume && file_exists(path)) ok = recall(t, path, args, err);
  else if (ok && labeled) snprintf(o->origin.labeled, sizeof o->origin.labeled, "%s", labeled);
  ok = ok && cli_split_plan(args, t->recalled ? path : NULL, &o->origin, plan, err);
  free(path);
  return ok;
}

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
      !cli_int(args, "log-every", 100, 1, INT64_MAX, &o->log_every, err) ||
      !cli_int(args, "eval-every", 0, 1, INT64_MAX, &o->eval_every, err))
    return false;
  o->seed = (uint64_t)seed, o->iterations = iterations;
  if (!read_origin(t, args, plan, err)) return false;
  return o->iterations > 0 || err_set(err, "how long? %s does not say; give --iterations N", m->path);
}

/* ---- the data set ---- */

static bool same_data(const Trainer *t, char err[ERR_MAX]) {
  const Progress *at = &t->opt.origin;
  if (!at->data[0] || strcmp(at->data, t->data->name) == 0) return true;
  return err_set(err, "the run in %s was started with --data %s, not %s", t->opt.out, at->data,
                 t->data->name);
}

static bool same_split(Trainer *t, char err[ERR_MAX]) {
  uint64_t before = t->opt.origin.split, now = data_split_hash(t->data);
  t->opt.origin.split = now;
  if (!before || before == now) return true;
  return err_set(err,
                 "the images of %s are not those that the run in %s was started with, or train, val and test "
                 "share them otherwise: bring them and their lists back, or start anew with another --out",
                 t->data->root ? t->data->root : t->data->name, t->opt.out);
}

static bool learns_without_masks(const NetcModule *d) {
  for (int i = 0; i < d->nstreams; i++)
    if (d->streams[i].source == NETC_SRC_UNLABELED) return true;
  return false;
}

/* Images without a mask are the unlabelled ones, where the module has a use for such. */
static bool check_masks(const Trainer *t, char err[ERR_MAX]) {
  const Dataset *d = t->data;
  int images = data_count(d, SPLIT_TRAIN, false), bare = images - data_count(d, SPLIT_TRAIN, true), first = 0;
  if (!bare || *t->opt.origin.labeled || learns_without_masks(t->session->module->desc)) return true;
  while (d->item[first].labeled) first++;
  return err_set(
      err,
      "%d of the %d training images of %s have no mask, the first is %s, and %s learns from labelled "
      "images only: add the mask, leave the case out of train.list, or say with --labeled N how many "
      "cases are labelled",
      bare, images, d->root, d->item[first].name, t->session->module->path);
}

static bool open_data(Trainer *t, const CliArgs *args, const SplitPlan *plan, char err[ERR_MAX]) {
  TrainOptions *o = &t->opt;
  DataShape shape;
  const Module *m = t->session->module;
  if (!batch_shape(m, t->fn, &shape, err) || !cli_recipe(args, m, shape.channels, &t->recipe, err))
    return false;
  shape.recipe = &t->recipe, shape.notes = &t->notes;
  t->data = data_open_split(cli_value(args, "data"), &shape, plan, err);
  if (t->data) data_print_summary(t->data, stderr);
  if (!t->data || !same_data(t, err) || !make_val(t, args, err) || !same_split(t, err)) return false;
  const char *labeled = cli_given(args, "labeled") ? cli_value(args, "labeled") : o->origin.labeled;
  if (*labeled && !data_split_labeled(t->data, labeled, o->seed, err)) return false;
  t->told = notes_print(&t->notes, t->told, NOTES_SHOWN, stderr);
  if (!data_count(t->data, SPLIT_TRAIN, false))
    return err_set(err, "%s has no images to train on", t->data->root);
  snprintf(o->origin.data, sizeof o->origin.data, "%s", t->data->name);
  return check_masks(t, err);
}

/* What the recipe takes from the training set: what the run began with, or a file says, or else measured
 * now. */
static bool resolve_recipe(Trainer *t, const CliArgs *args, char err[ERR_MAX]) {
  const Dataset *d = t->data;
  char *known = t->opt.origin.fingerprint;
  int channels = d->shape.channels;
  bool given,
      wanted = recipe_unresolved(&t->recipe, channels) ||
               (d->shape.spatial == 2 && t->recipe.plane == NETC_PLANE_THICK && d->item[0].volume >= 0);
  Fingerprint f;
  if (!wanted && !*known) return true;
  if (!cli_fingerprint(args, &f, &given, err)) return false;
  if (*known && !fingerprint_parse(known, &f))
    return err_set(err, "%s: the fingerprint in its checkpoint cannot be read: %.200s", t->opt.out, known);
  if (!*known && !given && !fingerprint_measure(d, recipe_unresolved(&t->recipe, channels), &f, err))
    return false;
  fingerprint_text(&f, known);
  if (recipe_unresolved(&t->recipe, channels)) fprintf(stderr, "%s: fingerprint: %s\n", d->name, known);
  return recipe_resolve(&t->recipe, channels, &f, err);
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
      !open_data(t, args, &plan, err) || !resolve_recipe(t, args, err) || !open_samplers(t, err) ||
      !prepare_eval(t, args, err))
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
