/* recipe.c - options of preparation. */
#include <string.h>
#include "runtime/cli/recipe.h"

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
  if (!recipe_of(m->desc->prepare, m->desc->spatial, channels, out, err)) return false;
  out->axes = axes;
  out->fill_nan = cli_given(args, "nan");
  return cli_number(args, "nan", 0, &out->nan_value, err) &&
         (!grid || other_grid(grid, &out->other_grid, err));
}
