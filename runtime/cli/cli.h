/* cli.h - the commands of netrun and their options, as tables: parsing, --help and spelling suggestions
 * follow from them.
 *
 * A command gets its parsed arguments and returns false with a message in err. Results go to stdout,
 * everything else to stderr. */
#ifndef NETRUN_CLI_H
#define NETRUN_CLI_H
#include "runtime/base/err.h"

enum { CLI_MAX_ARGS = 64 };

typedef struct {
  const char *name;
  const char *arg; /* what to call its value; NULL: a switch */
  const char *help;
} CliOption;

typedef struct {
  const CliOption *option;
  const char *value;
} CliGiven;

typedef struct {
  const char *operand[CLI_MAX_ARGS];
  int noperand;
  CliGiven given[CLI_MAX_ARGS]; /* in the order of the command line */
  int ngiven;
} CliArgs;

typedef struct Command {
  const char *name, *operands, *summary;
  int min_operands, max_operands;
  const CliOption *options; /* ends with a nameless one */
  bool (*run)(const CliArgs *args, char err[ERR_MAX]);
} Command;

extern const Command cmd_check, cmd_fingerprint, cmd_train, cmd_eval, cmd_predict, cmd_info, cmd_exec,
    cmd_bench;

/* Runs what the command line says; the exit status: 0, or 1 after a message on stderr. */
int cli_main(int argc, char **argv);

/* The last value given, or NULL. A switch that is given has the value "". */
const char *cli_value(const CliArgs *a, const char *name);
bool cli_given(const CliArgs *a, const char *name);
/* *out = the option's whole number, or `otherwise` when it is not given. */
bool cli_int(const CliArgs *a, const char *name, int64_t otherwise, int64_t min, int64_t max, int64_t *out,
             char err[ERR_MAX]);
bool cli_number(const CliArgs *a, const char *name, double otherwise, double *out, char err[ERR_MAX]);
/* A size in bytes: 500M, 2G, 1.5G, 800000000. */
bool cli_bytes(const CliArgs *a, const char *name, int64_t otherwise, int64_t *out, char err[ERR_MAX]);
bool cli_required(const CliArgs *a, const char *name, const char **out, char err[ERR_MAX]);
/* --device: "cpu" is ON_HOST (runtime/device/open.h), "cuda:N" is N, "cuda" 0. */
bool cli_device(const CliArgs *a, int *gpu, char err[ERR_MAX]);

/* The name among names[0..n-1] that a misspelt `word` most likely meant, or NULL. */
const char *cli_closest(const char *word, const char *const *names, int n);
#endif
