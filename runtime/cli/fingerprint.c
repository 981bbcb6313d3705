/* fingerprint.c - netrun fingerprint: what preparation takes from a training set. */
#include <stdio.h>
#include "runtime/base/file.h"
#include "runtime/cli/plan.h"
#include "runtime/cli/recipe.h"
#include "runtime/data/fingerprint.h"
#include "runtime/predict/predictor.h"
#include "runtime/session/module.h"

static const CliOption options[] = {
    {"data", "NAME[:DIR]", "data set: lits, isic2018, la or folder; DIR, or $NETRUN_DATA/NAME"},
    {"labeled", "HOW", "labelled training cases, as for train (all with masks)"},
    {"seed", "S", "of --labeled (0)"},
    SPLIT_OPTIONS,
    {"out", "FILE", "write it there, for --fingerprint; else it is printed"},
    CLI_RECIPE_OPTIONS,
    {NULL, NULL, NULL}};

static bool write_text(const char *path, const char *text, char err[ERR_MAX]) {
  AtomicFile f;
  if (!atomic_open(&f, path, err)) return false;
  fprintf(f.file, "%s\n", text);
  return atomic_commit(&f, err);
}

static bool measure(const CliArgs *args, const DataShape *shape, char err[ERR_MAX]) {
  Progress at = {.iteration = 0};
  SplitPlan plan;
  int64_t seed;
  const char *labeled = cli_value(args, "labeled"), *out = cli_value(args, "out");
  char text[FINGERPRINT_TEXT];
  Fingerprint f;
  if (!cli_int(args, "seed", 0, 0, INT64_MAX, &seed, err) || !cli_split_plan(args, NULL, &at, &plan, err))
    return false;
  Dataset *d = data_open_split(cli_value(args, "data"), shape, &plan, err);
  bool ok = d && (!labeled || data_split_labeled(d, labeled, (uint64_t)seed, err)) &&
            fingerprint_measure(d, true, &f, err);
  if (ok) fingerprint_text(&f, text);
  if (ok && out) ok = write_text(out, text, err);
  else if (ok) printf("%s\n", text);
  data_close(d);
  return ok;
}

static bool run(const CliArgs *args, char err[ERR_MAX]) {
  const char *spec;
  DataShape shape;
  Recipe recipe;
  Notes notes;
  if (!cli_required(args, "data", &spec, err)) return false;
  Module *m = module_open(args->operand[0], err);
  if (!m) return false;
  notes_init(&notes);
  bool ok = predictor_shape(m, &shape, err) && cli_recipe(args, m, shape.channels, &recipe, err);
  shape.recipe = &recipe, shape.notes = &notes;
  ok = ok && measure(args, &shape, err);
  notes_print(&notes, 0, NOTES_SHOWN, stderr);
  notes_free(&notes);
  module_close(m);
  return ok;
}

const Command cmd_fingerprint = {
    "fingerprint",
    "MODULE --data NAME[:DIR]",
    "Measures what preparation takes from a training set: median spacing, intensities of "
    "the foreground.",
    1,
    1,
    options,
    run};
