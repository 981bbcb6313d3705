/* eval.c - netrun eval */
#include <stdio.h>
#include <string.h>
#include "runtime/cli/recipe.h"
#include "runtime/cli/session.h"
#include "runtime/eval/eval.h"
#include "runtime/session/checkpoint.h"

static void print_summary(const Summary *s, const Dataset *d, const EvalOptions *o, int64_t classes) {
  printf("%s, %s split, %d %s%s%s\n", d->name, split_name[o->split], s->items,
         d->shape.spatial == 2 ? "images" : "volumes", o->fill ? ", holes filled" : "",
         o->largest ? ", largest component" : "");
  if (classes > 2)
    printf("each value is the mean over the %lld foreground classes, each against all others\n",
           (long long)classes - 1);
  printf("%-6s %10s %10s %6s\n", "", "mean", "sd", "n");
  for (int k = 0; k < METRIC_COUNT; k++)
    printf("%-6s %10.4f %10.4f %6d\n", metric_info[k].column, summary_mean(s, k), summary_sd(s, k), s->n[k]);
}

static const CliOption options[] = {
    {"data", "NAME[:DIR]", "data set: lits, isic2018, la, folder or phantom; DIR, or $NETRUN_DATA/NAME"},
    {"weights", "FILE", "a checkpoint or other .safetensors file with the module's variables"},
    {"split", "NAME", "test, val or train (test)"},
    {"out", "DIR", "write DIR/eval.csv, one row per image, and the pictures"},
    {"overlays", "N", "pictures of N images, spread evenly: image, truth green, prediction red (0)"},
    {"by", "slice|volume", "what a 2-D module's score on volumes is of (volume)"},
    {"fill", NULL, "fill the holes of predictions before scoring"},
    {"largest", NULL, "keep the largest component of predictions before scoring"},
    CLI_RECIPE_OPTIONS,
    {"threads", "T", "threads (all CPUs)"},
    {"device", "NAME", "cpu or cuda:N (cpu)"},
    {NULL, NULL, NULL}};

static bool evaluate(Session *s, const CliArgs *args, void *user, char err[ERR_MAX]) {
  const EvalOptions *o = user;
  const char *data, *weights;
  Predictor p;
  Summary sum;
  Recipe recipe = recipe_plain;
  Notes notes;
  if (!cli_recipe(args, &recipe, err) || !cli_required(args, "data", &data, err) ||
      !cli_required(args, "weights", &weights, err) || !predictor_new(&p, s, err))
    return false;
  session_init(s, 0);
  notes_init(&notes);
  p.shape.recipe = &recipe, p.shape.notes = &notes;
  Dataset *d = checkpoint_load(s, weights, p.fn, NULL, err) ? data_open(data, &p.shape, err) : NULL;
  bool ok = d && eval_run(&p, d, o, &sum, err);
  if (ok) print_summary(&sum, d, o, p.shape.classes);
  notes_print(&notes, 0, NOTES_SHOWN, stderr);
  notes_free(&notes);
  data_close(d);
  predictor_free(&p);
  return ok;
}

static bool run(const CliArgs *args, char err[ERR_MAX]) {
  EvalOptions o = {.split = SPLIT_TEST,
                   .fill = cli_given(args, "fill"),
                   .largest = cli_given(args, "largest"),
                   .out = cli_value(args, "out"),
                   .progress = stderr};
  const char *split = cli_value(args, "split"), *by = cli_value(args, "by");
  if (by && strcmp(by, "slice") != 0 && strcmp(by, "volume") != 0)
    return err_set(err, "--by is `%s`; it can be slice or volume", by);
  o.by_slice = by && !strcmp(by, "slice");
  int64_t overlays;
  if (!cli_int(args, "overlays", 0, 0, 1000000, &overlays, err) ||
      (split && !split_named(split, &o.split, err)))
    return false;
  if (overlays && !o.out) return err_set(err, "--overlays needs --out DIR, where the pictures go");
  o.overlays = (int)overlays;
  return cli_with_session(args, evaluate, &o, err);
}

const Command cmd_eval = {"eval",
                          "MODULE --data NAME[:DIR] --weights FILE",
                          "Scores predictions against masks: Dice, Jaccard, surface distances.",
                          1,
                          1,
                          options,
                          run};
