/* args.c - reading a command's parsed arguments. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/device/open.h"
#include "runtime/cli/cli.h"
#include "runtime/session/session.h"

const char *cli_value(const CliArgs *a, const char *name) {
  for (int i = a->ngiven - 1; i >= 0; i--)
    if (strcmp(a->given[i].option->name, name) == 0) return a->given[i].value ? a->given[i].value : "";
  return NULL;
}

bool cli_given(const CliArgs *a, const char *name) { return cli_value(a, name) != NULL; }

bool cli_int(const CliArgs *a, const char *name, int64_t otherwise, int64_t min, int64_t max, int64_t *out,
             char err[ERR_MAX]) {
  const char *v = cli_value(a, name);
  *out = otherwise;
  if (!v) return true;
  char *end;
  errno = 0;
  long long n = strtoll(v, &end, 10);
  if (end == v || *end || errno || n < min || n > max)
    return err_set(err, "--%s is `%s`; a whole number from %lld to %lld is expected", name, v, (long long)min,
                   (long long)max);
  *out = n;
  return true;
}

bool cli_number(const CliArgs *a, const char *name, double otherwise, double *out, char err[ERR_MAX]) {
  const char *v = cli_value(a, name);
  *out = otherwise;
  if (!v) return true;
  char *end;
  *out = strtod(v, &end);
  return (end != v && !*end) || err_set(err, "--%s is `%s`; a number is expected", name, v);
}

bool cli_bytes(const CliArgs *a, const char *name, int64_t otherwise, int64_t *out, char err[ERR_MAX]) {
  static const char unit[] = "KMGT";
  const char *v = cli_value(a, name);
  *out = otherwise;
  if (!v) return true;
  char *end;
  double n = strtod(v, &end), scale = 1;
  const char *u = *end ? strchr(unit, *end >= 'a' ? *end - 'a' + 'A' : *end) : NULL;
  for (const char *c = unit; u && c <= u; c++) scale *= 1024;
  if (end == v || !(n > 0) || (*end && (!u || end[1])) || n * scale > 1e18)
    return err_set(err, "--%s is `%s`; a size is expected, as 500M or 2G", name, v);
  return *out = (int64_t)(n * scale), true;
}

bool cli_required(const CliArgs *a, const char *name, const char **out, char err[ERR_MAX]) {
  *out = cli_value(a, name);
  return *out || err_set(err, "--%s is missing (see --help)", name);
}

bool cli_device(const CliArgs *a, int *gpu, char err[ERR_MAX]) {
  const char *v = cli_value(a, "device");
  *gpu = ON_HOST;
  if (!v || strcmp(v, "cpu") == 0) return true;
  *gpu = 0;
  if (strcmp(v, "cuda") == 0) return true;
  char *end;
  long n = strncmp(v, "cuda:", 5) == 0 && v[5] >= '0' && v[5] <= '9' ? strtol(v + 5, &end, 10) : -1;
  if (n < 0 || n > 1023 || *end) return err_set(err, "--device is `%s`; it can be cpu, cuda:0, cuda:1 ..", v);
  *gpu = (int)n;
  return true;
}
