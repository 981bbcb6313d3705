/* eval.c - netrun eval */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "runtime/cli/masks.h"
#include "runtime/cli/plan.h"
#include "runtime/cli/predictor.h"
#include "runtime/cli/recipe.h"
#include "runtime/cli/session.h"
#include "runtime/eval/bootstrap.h"
#include "runtime/eval/eval.h"
#include "runtime/eval/regions.h"

/* ---- what is printed ---- */

static void print_head(const ReportAbout *a, const Results *r) {
  static const char *const then[] = {[EMPTY_ONE] = "agreed values count there (--empty)",
                                     [EMPTY_NAN] = "what is not defined there is left out",
                                     [EMPTY_SKIP] = "they are left out"};
  printf("%s, %s split, %d %ss%s%s%s%s\n", a->data, a->split, r->items, r->unit,
         a->masks ? ", masks of " : "", a->masks ? a->masks : "", a->clean.fill ? ", holes filled" : "",
         a->clean.largest ? ", largest component" : "");
  if (r->classes > 2 && a->regions)
    printf("each value is the mean over the %lld regions\n", (long long)r->classes - 1);
  else if (r->classes > 2)
    printf("each value is the mean over the %lld foreground classes, each against all others\n",
           (long long)r->classes - 1);
  if (metrics_want(&a->metrics, AREAS)) printf("NSD within %g\n", a->metrics.tolerance);
  char label[CLASS_LABEL];
  for (int64_t c = 1; c < r->classes; c++) {
    int without = results_without(r, c), untold = results_untold(r, c);
    if (untold)
      printf("%s %s: not told by the masks of %d of the %d %ss, and left out there\n",
             a->regions ? "region" : "class", class_label(a, c, label), untold, r->items, r->unit);
    if (without || a->metrics.empty == EMPTY_SKIP)
      printf("%s %s: not in the truth of %d of the %d %ss; %s\n", a->regions ? "region" : "class",
             class_label(a, c, label), without, r->items, r->unit, then[a->metrics.empty]);
  }
}

/* A row of metric k for class c, 0 being the mean over the foreground classes. */
static void print_row(const ReportAbout *a, const Results *r, int k, int64_t c) {
  char label[CLASS_LABEL], name[CLASS_LABEL + 16];
  const Statistics *s = results_of(r, c, k);
  snprintf(name, sizeof name, "%s%s%s", metric_info[k].column, c ? ":" : "",
           c ? class_label(a, c, label) : "");
  printf("%-8s %10.4f %10.4f %6d   %10.4f %10.4f\n", name, s->mean, s->sd, s->n, s->low, s->high);
}

/* r is summarised. */
static void print_results(const ReportAbout *a, const Results *r) {
  uint32_t wanted = metrics_wanted(&a->metrics);
  int cases = 0; /* of the metric that most of them have */
  print_head(a, r);
  printf("%-8s %10s %10s %6s   %10s %10s\n", "", "mean", "sd", "n", "from", "to");
  for (int k = 0; k < METRIC_COUNT; k++) {
    int some = results_of(r, 0, k)->cases;
    cases = some > cases ? some : cases;
    if (wanted >> k & 1) print_row(a, r, k, 0);
  }
  for (int k = 0; r->classes > 2 && k < METRIC_COUNT; k++)
    for (int64_t c = 1; wanted >> k & 1 && c < r->classes; c++) print_row(a, r, k, c);
  printf("from .. to: %d %% interval of the mean, by %d resamples of the %d cases\n", BOOTSTRAP_PERCENT,
         BOOTSTRAP_RESAMPLES, cases);
}

/* ---- the command ---- */

static const CliOption options[] = {
    {"data", "NAME[:DIR]", "data set: lits, isic2018, la, folder or phantom; DIR, or $NETRUN_DATA/NAME"},
    {"weights", "FILE[,FILE..]", "a checkpoint or other .safetensors file; of several the mean is taken"},
    {"masks", "DIR", "score the mask files of a folder, of this program or another, instead of --weights"},
    {"split", "NAME", "test, val or train (test)"},
    SPLIT_OPTIONS,
    {"out", "DIR", "write DIR/eval.csv, one row per image, DIR/eval.json, and the pictures"},
    {"metrics", "LIST", "which of di,ja,ac,se,sp,voe,asd,assd,hd95,nsd,rve, or all (the first nine)"},
    {"tolerance", "MM", "of nsd: how far apart surfaces may be that agree"},
    {"empty", "RULE", "metrics of empty masks: one (agreed values), nan, or skip (one)"},
    {"overlays", "N", "pictures of N images, spread evenly: image, truth green, prediction red (0)"},
    {"by", "slice|volume", "what a 2-D module's score on volumes is of (volume)"},
    CLI_CLEAN_OPTIONS,
    CLI_PREDICTOR_OPTIONS,
    CLI_RECIPE_OPTIONS,
    CLI_FINGERPRINT_OPTION,
    {"threads", "T", "threads (all CPUs)"},
    {"device", "NAME", "cpu or cuda:N (cpu)"},
    {NULL, NULL, NULL}};

/* Does --data name the data set that the checkpoint was trained on? Its directory may be another one. */
static bool same_data(const char *spec, const Progress *at) {
  size_t n = strcspn(spec, ":");
  return strlen(at->data) == n && !strncasecmp(spec, at->data, n);
}

/* What the weights say of how this data set was divided; *path: which of them does, NULL: none. Those of
 * several folds have no images in common that none was trained on. Test cases depend on what a case is. */
static bool remembered(const CliWeights *w, const char *spec, Split split, const char **path, Progress *at,
                       char err[ERR_MAX]) {
  *path = NULL;
  for (int i = 0; i < w->n; i++) {
    Progress one;
    char none[ERR_MAX]; /* weights of others say nothing */
    if (!checkpoint_progress(w->file[i], &one, none) || !same_data(spec, &one)) continue;
    if (*path && strcmp(at->case_by, one.case_by) != 0)
      return err_set(err, "%s and %s were trained with another --case-by: they share no test split", *path,
                     w->file[i]);
    if (*path && split != SPLIT_TEST && (strcmp(at->fold, one.fold) != 0 || strcmp(at->val, one.val) != 0))
      return err_set(
          err,
          "%s and %s were trained on other parts of the data set (--fold, --val): together they can "
          "be scored on the test split only",
          *path, w->file[i]);
    if (!*path) *path = w->file[i], *at = one;
  }
  if (split != SPLIT_TEST) return true;
  Progress cases = {.iteration = 0}; /* folds and validation leave the test cases as they are */
  memcpy(cases.case_by, at->case_by, sizeof cases.case_by);
  return *path = NULL, *at = cases, true;
}

/* The data set, divided as the weights were trained, where they say how: validation images have not been
 * trained on then. */
static Dataset *open_data(const CliArgs *args, const char *spec, const CliWeights *weights,
                          const Predictor *p, const EvalOptions *o, char err[ERR_MAX]) {
  Progress at = {.iteration = 0};
  SplitPlan plan;
  const char *path = NULL;
  if (!remembered(weights, spec, o->split, &path, &at, err) || !cli_split_plan(args, path, &at, &plan, err))
    return NULL;
  plan.shared = true; /* weights of others are scored as they are */
  Dataset *d = data_open_split(spec, &p->shape, &plan, err);
  if (d && at.split && at.split != data_split_hash(d))
    note(p->shape.notes,
         "the images of %s, or how train, val and test share them, are not as they were when %s was trained",
         spec, path);
  if (!d || data_count(d, o->split, false)) return d;
  char has[SPLITS_STR];
  err_set(err, "data set %s has no images in its %s split, only %s: choose another --split%s", d->name,
          split_name[o->split], splits_str(d, has),
          o->split == SPLIT_VAL ? ", or make one with --val or --fold" : "");
  data_close(d);
  return NULL;
}

/* What a report calls its columns: classes or regions. */
static const char *const *names_of(const NetcPrepare *p, const char *names[NETC_MAX_REGIONS + 1]) {
  if (!regions_of(p)) return p ? p->classes : NULL;
  names[0] = "";
  for (int r = 0; r < p->nregions; r++) names[r + 1] = p->regions[r].name;
  return names;
}

/* The session is ready, the options are read. */
static bool evaluate_data(Predictor *p, const EvalOptions *o, const Dataset *d, char err[ERR_MAX]) {
  Results r = {0};
  bool ok = eval_run(p, d, o, &r, err) && results_summarise(&r, err);
  if (ok) {
    ReportAbout about = eval_about(p, d, o);
    print_results(&about, &r);
  }
  results_free(&r);
  return ok;
}

/* Masks that are there: what the options say of prediction would be without effect. */
static bool check_masks(const CliArgs *args, const EvalOptions *o, char err[ERR_MAX]) {
  static const char *const predicts[] = {"weights", "overlap", "stride",   "window",
                                         "flips",   "raw",     "overlays", "fingerprint"};
  if (!o->masks)
    return cli_given(args, "weights") ||
           err_set(err, "--weights is missing, or --masks DIR, where predictions are (see --help)");
  for (size_t i = 0; i < sizeof predicts / sizeof *predicts; i++)
    if (cli_given(args, predicts[i]))
      return err_set(err, "--%s is for predicting; --masks %s scores masks that are there", predicts[i],
                     o->masks);
  return !o->by_slice || err_set(err, "--by slice: --masks %s scores the masks of whole volumes", o->masks);
}

/* How the module predicts, or that it does not. */
static bool read_weights(const CliArgs *args, EvalOptions *o, Predictor *p, Recipe *r, CliWeights *weights,
                         char err[ERR_MAX]) {
  const Module *m = p->session->module;
  if (o->masks) return cli_cleaning(args, NULL, &o->clean, err); /* whoever predicted them cleaned them */
  return cli_weights(args, weights, err) &&
         cli_resolve(args, weights->file, weights->n, p->shape.channels, r, err) &&
         cli_cleaning(args, m, &o->clean, err) && cli_predictor(args, p, weights, err);
}

static bool evaluate_masks(const CliArgs *args, Predictor *p, EvalOptions *o, const Dataset *d,
                           char err[ERR_MAX]) {
  Masks masks = {.of = NULL};
  if (o->masks && !masks_of_folder(o->masks, d, o->split, cli_given(args, "missing"), &masks, err))
    return false;
  o->mask = masks.of;
  bool ok = evaluate_data(p, o, d, err);
  masks_free(&masks);
  return ok;
}

static bool evaluate(Session *s, const CliArgs *args, void *user, char err[ERR_MAX]) {
  EvalOptions *o = user;
  const char *data;
  CliWeights weights = {.n = 0};
  Predictor p;
  Recipe recipe;
  Notes notes;
  if (!cli_required(args, "data", &data, err) || !check_masks(args, o, err) || !predictor_new(&p, s, err))
    return false;
  session_init(s, 0);
  notes_init(&notes);
  p.shape.recipe = &recipe, p.shape.notes = &notes;
  o->weights = cli_value(args, "weights");
  const char *names[NETC_MAX_REGIONS + 1];
  o->class_names = names_of(s->module->desc->prepare, names);
  Dataset *d = NULL;
  bool ok = cli_recipe(args, s->module, p.shape.channels, &recipe, err) &&
            read_weights(args, o, &p, &recipe, &weights, err) &&
            (d = open_data(args, data, &weights, &p, o, err)) && evaluate_masks(args, &p, o, d, err);
  notes_print(&notes, 0, NOTES_SHOWN, stderr);
  notes_free(&notes);
  data_close(d);
  cli_weights_free(&weights);
  predictor_free(&p);
  return ok;
}

static bool read_metrics(const CliArgs *args, MetricOptions *o, char err[ERR_MAX]) {
  const char *metrics = cli_value(args, "metrics"), *empty = cli_value(args, "empty");
  if ((metrics && !metrics_named(metrics, &o->metrics, err)) ||
      (empty && !empty_named(empty, &o->empty, err)) || !cli_number(args, "tolerance", 0, &o->tolerance, err))
    return false;
  bool given = cli_given(args, "tolerance");
  if (metrics_want(o, AREAS) && !given)
    return err_set(err, "nsd needs --tolerance MM: how far apart surfaces may be that agree");
  if (given && !metrics_want(o, AREAS))
    return err_set(err, "--tolerance is for nsd: give --metrics all, or a list with nsd in it");
  return (isfinite(o->tolerance) && o->tolerance >= 0) ||
         err_set(err, "--tolerance is `%s`; a distance from 0 on is expected", cli_value(args, "tolerance"));
}

static bool run(const CliArgs *args, char err[ERR_MAX]) {
  EvalOptions o = {.split = SPLIT_TEST,
                   .out = cli_value(args, "out"),
                   .masks = cli_value(args, "masks"),
                   .progress = stderr};
  const char *split = cli_value(args, "split"), *by = cli_value(args, "by");
  if (by && strcmp(by, "slice") != 0 && strcmp(by, "volume") != 0)
    return err_set(err, "--by is `%s`; it can be slice or volume", by);
  o.by_slice = by && !strcmp(by, "slice");
  int64_t overlays;
  if (!read_metrics(args, &o.metrics, err) || !cli_int(args, "overlays", 0, 0, 1000000, &overlays, err) ||
      (split && !split_named(split, &o.split, err)))
    return false;
  if (overlays && !o.out) return err_set(err, "--overlays needs --out DIR, where the pictures go");
  o.overlays = (int)overlays;
  return cli_with_session(args, evaluate, &o, err);
}

const Command cmd_eval = {"eval",
                          "MODULE --data NAME[:DIR] --weights FILE | --masks DIR",
                          "Scores predictions against masks: Dice, Jaccard, surface distances, volumes.",
                          1,
                          1,
                          options,
                          run};
