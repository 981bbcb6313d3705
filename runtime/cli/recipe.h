/* recipe.h - how a command prepares images: what its module says, and its options say over that. */
#ifndef NETRUN_CLI_RECIPE_H
#define NETRUN_CLI_RECIPE_H
#include "runtime/cli/cli.h"
#include "runtime/prepare/recipe.h"
#include "runtime/session/module.h"

/* Rows for a command's table of options. */
#define CLI_RECIPE_OPTIONS                                                                                   \
  {"nan", "VALUE", "voxels that are not finite become VALUE (they are an error)"},                           \
      {"mask-grid", "HOW", "a mask off its image's grid: refuse, resample or trust its array (refuse)"}, {   \
    "axes", "ORDER", "axes of files that do not say, slowest first: xyz, zyx (xyz)"                          \
  }
#define CLI_FINGERPRINT_OPTION                                                                               \
  { "fingerprint", "FILE", "what preparation takes from the training set (netrun fingerprint)" }

/* m: NULL where a command does without a module. channels: of the module's images. */
bool cli_recipe(const CliArgs *args, const Module *m, int channels, Recipe *out, char err[ERR_MAX]);
/* What the training set adds: from --fingerprint, or else from what the checkpoints say, `n` of them,
 * which must agree. */
bool cli_resolve(const CliArgs *args, const char *const *weights, int n, int channels, Recipe *r,
                 char err[ERR_MAX]);
/* The text of --fingerprint's file; *given false: there is none. */
bool cli_fingerprint(const CliArgs *args, Fingerprint *out, bool *given, char err[ERR_MAX]);
#endif
