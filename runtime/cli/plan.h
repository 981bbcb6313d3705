/* plan.h - how a command divides its data set: --fold, --val, --missing, and what a checkpoint remembers
 * of them. */
#ifndef NETRUN_CLI_PLAN_H
#define NETRUN_CLI_PLAN_H
#include "runtime/cli/cli.h"
#include "runtime/data/data.h"
#include "runtime/session/checkpoint.h"

/* Rows of a table of options. */
#define SPLIT_OPTIONS                                                                                        \
  {"fold", "K/N", "the K-th of N parts of the training cases validates, the others train"},                  \
      {"val", "HOW", "training cases that validate: 20%, a number, or none (those of val.list)"},            \
      {"missing", "skip", "leave out names in lists that are no case or image (an error)"}, {                \
    "case-by", "REGEX", "what is one case, of images' paths: the first group (names without _z031)"          \
  }

/* How to divide the data set: as the options say, or where `path` is a checkpoint, as `at` says that it was
 * divided then; options that say otherwise are refused. `at` is given what the options say. */
bool cli_split_plan(const CliArgs *a, const char *path, Progress *at, SplitPlan *plan, char err[ERR_MAX]);
/* What there is: "train (64) test (16)". Returns out. */
enum { SPLITS_STR = 96 };
char *splits_str(const Dataset *d, char out[SPLITS_STR]);
#endif
