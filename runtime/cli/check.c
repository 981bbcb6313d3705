/* check.c - netrun check: a data set before a training. */
#include <stdio.h>
#include <stdlib.h>
#include "runtime/base/pool.h"
#include "runtime/cli/batch_shape.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/recipe.h"
#include "runtime/predict/predictor.h"
#include "runtime/survey/survey.h"

static const CliOption options[] = {
    {"data", "NAME[:DIR]", "data set: lits, isic2018, la or folder; DIR, or $NETRUN_DATA/NAME"},
    {"case-by", "REGEX", "cases of images by their paths: the first group (names without _z031, _slice_3)"},
    {"fast", NULL, "headers alone: sizes and geometry, no values"},
    {"json", "FILE", "write everything to FILE, too"},
    CLI_RECIPE_OPTIONS,
    {"threads", "T", "threads (all CPUs)"},
    {NULL, NULL, NULL}};

/* What the module wants of the images. */
static bool wanted(const Module *m, SurveyOptions *o, char err[ERR_MAX]) {
  DataShape shape;
  const NetcFn *fn = module_fn_of_kind(m, NETC_FN_TRAIN);
  if (!(fn ? batch_shape(m, fn, &shape, err) : predictor_shape(m, &shape, err))) return false;
  o->spatial = shape.spatial, o->channels = shape.channels, o->classes = shape.classes;
  return true;
}

static bool check(const char *name, const char *root, const SurveyOptions *o, const char *json,
                  char err[ERR_MAX]) {
  Survey s;
  if (!survey_run(name, root, o, &s, err)) return false;
  survey_print(&s, stdout);
  bool ok = !json || survey_json(&s, json, err);
  if (ok && s.stops) ok = err_set(err, "%s: %d of the oddities above would stop a training", root, s.stops);
  survey_free(&s);
  return ok;
}

/* m: NULL without a module. */
static bool check_for(const Module *m, const CliArgs *args, char err[ERR_MAX]) {
  Recipe recipe = recipe_plain;
  SurveyOptions o = {.recipe = &recipe,
                     .case_by = cli_value(args, "case-by"),
                     .fast = cli_given(args, "fast"),
                     .progress = stderr};
  const char *spec;
  char *name = NULL, *root = NULL;
  int64_t threads;
  if (!cli_required(args, "data", &spec, err) || (m && !wanted(m, &o, err)) ||
      !cli_recipe(args, m, o.channels, &recipe, err) ||
      !cli_int(args, "threads", 0, 1, POOL_MAX_THREADS, &threads, err))
    return false;
  o.threads = (int)threads;
  bool ok = data_locate(spec, &name, &root, err) &&
            (root || err_set(err, "--data %s is made up: there are no files to check", spec)) &&
            check(name, root, &o, cli_value(args, "json"), err);
  free(name), free(root);
  return ok;
}

static bool run(const CliArgs *args, char err[ERR_MAX]) {
  Module *m = args->noperand ? module_open(args->operand[0], err) : NULL;
  bool ok = (m || !args->noperand) && check_for(m, args, err);
  module_close(m);
  return ok;
}

const Command cmd_check = {"check",
                           "[MODULE] --data NAME[:DIR]",
                           "Reads a whole data set and says what is in it, and what would stop a training.",
                           0,
                           1,
                           options,
                           run};
