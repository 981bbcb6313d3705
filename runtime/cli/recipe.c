/* recipe.c - options of preparation. */
#include <string.h>
#include "runtime/base/file.h"
#include "runtime/cli/recipe.h"
#include "runtime/session/checkpoint.h"

static bool other_grid(const char *how, OtherGrid *out, char err[ERR_MAX]) {
  static const char *const word[] = {
      [GRID_REFUSE] = "refuse", [GRID_RESAMPLE] = "resample", [GRID_TRUST] = "trust"};
  for (int i = 0; i < 3; i++)
    if (!strcmp(how, word[i])) return *out = (OtherGrid)i, true;
  return err_set(err, "--mask-grid is `%s`; it can be refuse, resample or trust", how);
}

bool cli_recipe(const CliArgs *args, const Module *m, int channels, Recipe *out, char err[ERR_MAX]) {
  const char *grid = cli_value(args, "mask-grid"), *axes = cli_value(args, "axes");
  if (axes && strcmp(axes, "xyz") != 0 && strcmp(axes, "zyx") != 0)
    return err_set(err, "--axes is `%s`; it can be xyz or zyx", axes);
  if (!recipe_of(m ? m->desc->prepare : NULL, m ? m->desc->spatial : 3, channels, out, err)) return false;
  out->axes = axes;
  out->fill_nan = cli_given(args, "nan");
  return cli_number(args, "nan", 0, &out->nan_value, err) &&
         (!grid || other_grid(grid, &out->other_grid, err));
}

bool cli_fingerprint(const CliArgs *args, Fingerprint *out, bool *given, char err[ERR_MAX]) {
  const char *path = cli_value(args, "fingerprint");
  char text[FINGERPRINT_TEXT] = "";
  Bytes b;
  *given = path != NULL;
  if (!path) return true;
  if (!file_map(path, &b, err)) return false;
  if (b.size < sizeof text) memcpy(text, b.data, b.size);
  file_unmap(&b);
  return fingerprint_parse(text, out) ||
         err_set(err, "%s: not a fingerprint; netrun fingerprint MODULE --data .. --out FILE writes one",
                 path);
}

/* The first checkpoint's; others must say the same. */
static bool of_checkpoints(const char *const *weights, int n, Fingerprint *out, bool *given,
                           char err[ERR_MAX]) {
  Progress first, other;
  char none[ERR_MAX]; /* weights of others say nothing */
  *given = checkpoint_progress(weights[0], &first, none) && *first.fingerprint;
  for (int i = 1; *given && i < n; i++)
    if (checkpoint_progress(weights[i], &other, none) && strcmp(first.fingerprint, other.fingerprint) != 0)
      return err_set(err,
                     "%s and %s were trained on images prepared otherwise (%.100s; %.100s): they cannot be "
                     "averaged",
                     weights[0], weights[i], first.fingerprint, other.fingerprint);
  return !*given || fingerprint_parse(first.fingerprint, out) ||
         err_set(err, "%s: its fingerprint cannot be read: %.200s", weights[0], first.fingerprint);
}

bool cli_resolve(const CliArgs *args, const char *const *weights, int n, int channels, Recipe *r,
                 char err[ERR_MAX]) {
  Fingerprint f;
  bool given;
  if (!cli_fingerprint(args, &f, &given, err)) return false;
  if (!given && !of_checkpoints(weights, n, &f, &given, err)) return false;
  if (given) return recipe_resolve(r, channels, &f, err);
  return !recipe_unresolved(r, channels) ||
         err_set(err,
                 "%s does not say what the module's preparation takes from the training set (median spacing, "
                 "intensities of the foreground): give --fingerprint FILE (netrun fingerprint)",
                 weights[0]);
}
