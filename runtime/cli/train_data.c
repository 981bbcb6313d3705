/* train_data.c - the data set of a training run: the one of its checkpoint, or what the options say. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/base/file.h"
#include "runtime/cli/batch_shape.h"
#include "runtime/cli/plan.h"
#include "runtime/cli/recipe.h"
#include "runtime/cli/trainer.h"
#include "runtime/data/fingerprint.h"

/* ---- where the run comes from ---- */

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

/* Without a checkpoint to go on with, train_run says what to do. */
bool trainer_origin(Trainer *t, const CliArgs *args, SplitPlan *plan, char err[ERR_MAX]) {
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

/* ---- opening it ---- */

/* Where there is nothing to validate on and nobody said what, a part of the training cases is set aside. */
static bool make_val(Trainer *t, const CliArgs *args, char err[ERR_MAX]) {
  const NetcValidation *v = t->session->module->desc->validation;
  const char *how = v && v->val ? v->val : "20%";
  char who[96] = "--eval-every";
  if (!cli_given(args, "eval-every"))
    snprintf(who, sizeof who, "the module, which validates every %" PRId64 " iterations,", t->opt.eval_every);
  if (data_count(t->data, SPLIT_VAL, false) || t->recalled || cli_given(args, "val") ||
      cli_given(args, "eval-split") || !t->opt.eval_every)
    return true;
  if (!data_split_val(t->data, how, err)) return false;
  strcpy(t->opt.origin.val, how);
  note(&t->notes,
       "%s has no validation cases: %s makes %s of the training cases those, by name (--val says "
       "how many, --eval-split what else to score)",
       t->data->name, who, how);
  return true;
}

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

/* Background of partial masks is ignored, which losses know of where the module was compiled for it. */
static bool check_partial(const Trainer *t, char err[ERR_MAX]) {
  const NetcModule *d = t->session->module->desc;
  int n = data_partial(t->data);
  if (!n || (d->prepare && d->prepare->ignore)) return true;
  return err_set(
      err,
      "%s/partial.list: the masks of %d case%s tell some classes only, so that their background is "
      "ignored, but %s was compiled without ignored labels: map a value to \"ignore\" in the "
      "`labels` of its prepare, if masks have it or not (255: \"ignore\")",
      t->data->root, n, n == 1 ? "" : "s", t->session->module->path);
}

/* What the recipe takes from the training set: what the run began with, or a file says, or else measured
 * now. */
static bool resolve_recipe(Trainer *t, const CliArgs *args, char err[ERR_MAX]) {
  const Dataset *d = t->data;
  char *known = t->opt.origin.fingerprint;
  int channels = d->shape.channels;
  bool slices = d->shape.spatial == 2 && t->recipe.plane == NETC_PLANE_THICK && d->item[0].volume >= 0;
  bool given, unresolved = recipe_unresolved(&t->recipe, channels);
  Fingerprint f;
  if (!unresolved && !slices && !*known) return true;
  if (!cli_fingerprint(args, &f, &given, err)) return false;
  if (*known && !fingerprint_parse(known, &f))
    return err_set(err, "%s: the fingerprint in its checkpoint cannot be read: %.200s", t->opt.out, known);
  if (!*known && !given && !fingerprint_measure(d, unresolved, &f, err)) return false;
  fingerprint_text(&f, known);
  if (unresolved) fprintf(stderr, "%s: fingerprint: %s\n", d->name, known);
  return recipe_resolve(&t->recipe, channels, &f, err);
}

bool trainer_data(Trainer *t, const CliArgs *args, const SplitPlan *plan, char err[ERR_MAX]) {
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
  return check_masks(t, err) && check_partial(t, err) && resolve_recipe(t, args, err);
}
