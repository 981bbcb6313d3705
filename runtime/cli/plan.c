/* plan.c - how a command divides its data set. */
#include <stdio.h>
#include <string.h>
#include "runtime/cli/plan.h"
#include "runtime/eval/eval.h"

/* The option's value into `kept`, or where `path` remembers it, nothing that differs from it. */
static bool agree(const CliArgs *a, const char *path, const char *option, char *kept, size_t size,
                  char err[ERR_MAX]) {
  const char *given = cli_value(a, option);
  if (!given) return true;
  if (!strcmp(given, "none")) given = "";
  if (path && strcmp(given, kept) != 0)
    return err_set(err, "%s was trained %s--%s%s%s, not with --%s %s", path, *kept ? "with " : "without ",
                   option, *kept ? " " : "", kept, option, *given ? given : "none");
  if (strlen(given) >= size) return err_set(err, "--%s %.80s: that is too long", option, given);
  strcpy(kept, given);
  return true;
}

bool cli_split_plan(const CliArgs *a, const char *path, Progress *at, SplitPlan *plan, char err[ERR_MAX]) {
  const char *missing = cli_value(a, "missing");
  if (missing && strcmp(missing, "skip") != 0)
    return err_set(err, "--missing %s: it can be skip, which leaves out names that fit nothing", missing);
  if (!agree(a, path, "fold", at->fold, sizeof at->fold, err) ||
      !agree(a, path, "val", at->val, sizeof at->val, err) ||
      !agree(a, path, "case-by", at->case_by, sizeof at->case_by, err))
    return false;
  if (missing) strcpy(at->missing, missing);
  *plan = (SplitPlan){.fold = *at->fold ? at->fold : NULL,
                      .val = *at->val ? at->val : NULL,
                      .skip_missing = *at->missing,
                      .case_by = *at->case_by ? at->case_by : NULL};
  return true;
}

char *splits_str(const Dataset *d, char out[SPLITS_STR]) {
  *out = '\0';
  for (int k = 0, at = 0; k < 3; k++) {
    int n = data_count(d, (Split)k, false);
    if (n) at += snprintf(out + at, SPLITS_STR - (size_t)at, "%s%s (%d)", at ? " " : "", split_name[k], n);
  }
  return out;
}
