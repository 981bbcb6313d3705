/* case_by.c - cases by a regular expression of the user's. */
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include "runtime/find/search.h"

/* Path of the item's first file below the root, without its ending. */
static void path_below(const Found *f, const FoundItem *it, char *out, size_t room) {
  const char *path = it->file[0] + strlen(f->root) + 1, *slash = strrchr(path, '/'),
             *name = slash ? slash + 1 : path;
  snprintf(out, room, "%.*s", (int)(name - path + (ptrdiff_t)format_stem(name)), path);
}

static bool case_of(Found *f, FoundItem *it, const regex_t *re, const char *pattern, char err[ERR_MAX]) {
  regmatch_t m[2];
  char path[4096];
  path_below(f, it, path, sizeof path);
  if (regexec(re, path, 2, m, 0) || m[1].rm_eo <= m[1].rm_so)
    return err_set(err, "--case-by '%s': does not fit '%s', or its group is empty there", pattern, path);
  it->patient = keep_text(&f->keep, "%.*s", (int)(m[1].rm_eo - m[1].rm_so), path + m[1].rm_so);
  return true;
}

bool cases_by(Found *f, const char *pattern, char err[ERR_MAX]) {
  regex_t re;
  char why[128];
  int code = regcomp(&re, pattern, REG_EXTENDED);
  if (code) {
    regerror(code, &re, why, sizeof why);
    return err_set(err, "--case-by '%s': no regular expression: %s", pattern, why);
  }
  bool ok = re.re_nsub > 0 ||
            err_set(err, "--case-by '%s': it has no group; put the case's name in parentheses", pattern);
  for (int i = 0; ok && i < f->n; i++) ok = case_of(f, &f->item[i], &re, pattern, err);
  regfree(&re);
  return ok;
}
