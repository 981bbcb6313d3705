/* cli.c - the commands of netrun: finds one, reads its options by getopt, prints its help. Needs only the
 * tables of cli.h. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include "codegen/abi.h"
#include "runtime/base/spell.h"
#include "runtime/cli/cli.h"

static const Command *const commands[] = {&cmd_check,   &cmd_fingerprint, &cmd_train, &cmd_eval,
                                          &cmd_predict, &cmd_info,        &cmd_exec,  &cmd_bench};
enum { COMMANDS = sizeof commands / sizeof *commands, MAX_OPTIONS = 32, MAX_WORD = 32 };

/* ---- spelling ---- */

const char *cli_closest(const char *word, const char *const *names, int n) {
  const char *best = NULL;
  nearest_names(word, names, n, (int)strlen(word) / 3 + 1, &best, 1);
  return best;
}

/* ---- help ---- */

static void print_help(const Command *c) {
  printf("netrun %s %s%s\n%s\n\n", c->name, c->operands, c->options[0].name ? " [options]" : "", c->summary);
  for (const CliOption *o = c->options; o->name; o++) {
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
    printf("  %-22s %s\n", left, o->help);
  }
  printf("  %-22s %s\n", "--help", "this text");
}

static void print_usage(FILE *out) {
  fprintf(out, "usage: netrun COMMAND ...\n\n");
  for (int i = 0; i < COMMANDS; i++) {
    const char *text = commands[i]->summary,
               *end = strstr(text, ".\n"); /* the first sentence; names hold dots */
    size_t len = end ? (size_t)(end - text) : strlen(text);
    if (!end && len && text[len - 1] == '.') len--;
    fprintf(out, "  %-8s %.*s\n", commands[i]->name, (int)len, text);
  }
  fprintf(out, "\n`netrun COMMAND --help` lists a command's options; `netrun --version` the version.\n");
}

/* ---- parsing ---- */

static bool unknown_option(const Command *c, const char *word, char err[ERR_MAX]) {
  const char *names[MAX_OPTIONS];
  int n = 1;
  char bare[MAX_WORD + 1];
  names[0] = "help";
  while (*word == '-') word++;
  snprintf(bare, sizeof bare, "%.*s", (int)strcspn(word, "="), word);
  for (const CliOption *o = c->options; o->name && n < MAX_OPTIONS; o++) names[n++] = o->name;
  const char *close = cli_closest(bare, names, n);
  if (close) return err_set(err, "%s has no option --%s; did you mean --%s?", c->name, bare, close);
  return err_set(err, "%s has no option --%s (see netrun %s --help)", c->name, bare, c->name);
}

/* argv[0] is the command's name. *help is set when --help was asked for. */
static bool parse(const Command *c, int argc, char **argv, CliArgs *args, bool *help, char err[ERR_MAX]) {
  struct option longs[MAX_OPTIONS + 2] = {{"help", no_argument, NULL, 0}};
  int n = 1;
  for (const CliOption *o = c->options; o->name; o++, n++) /* option i is reported as i + 1, --help as 0 */
    longs[n] = (struct option){o->name, o->arg ? required_argument : no_argument, NULL, n};
  opterr = 0, optind = 0;
  for (int got, which = 0; (got = getopt_long(argc, argv, ":", longs, &which)) != -1;) {
    if (got == ':') return err_set(err, "%s needs a value", argv[optind - 1]);
    if (got == '?') return unknown_option(c, argv[optind - 1], err);
    if (args->ngiven == CLI_MAX_ARGS) return err_set(err, "more than %d options", CLI_MAX_ARGS);
    if (got == 0) *help = true;
    else args->given[args->ngiven++] = (CliGiven){&c->options[got - 1], optarg};
  }
  for (; optind < argc && args->noperand < CLI_MAX_ARGS; optind++)
    args->operand[args->noperand++] = argv[optind];
  if (*help || (args->noperand >= c->min_operands && args->noperand <= c->max_operands)) return true;
  if (args->noperand < c->min_operands)
    return err_set(err, "usage: netrun %s %s (see netrun %s --help)", c->name, c->operands, c->name);
  return err_set(err, "do not know what to do with `%s` (see netrun %s --help)",
                 args->operand[c->max_operands], c->name);
}

static const Command *find_command(const char *word, char err[ERR_MAX]) {
  const char *names[COMMANDS];
  for (int i = 0; i < COMMANDS; i++) {
    names[i] = commands[i]->name;
    if (strcmp(word, names[i]) == 0) return commands[i];
  }
  const char *close = cli_closest(word, names, COMMANDS);
  if (close) err_set(err, "no command `%s`; did you mean `netrun %s`?", word, close);
  else err_set(err, "no command `%s` (see netrun --help)", word);
  return NULL;
}

static bool run(int argc, char **argv, char err[ERR_MAX]) {
  if (argc < 2) {
    print_usage(stderr);
    return err_set(err, "no command given");
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
    print_usage(stdout);
    return true;
  }
  if (strcmp(argv[1], "--version") == 0) {
    printf("netrun " NETC_VERSION " (module version %u)\n", NETC_ABI_VERSION);
    return true;
  }
  const Command *c = find_command(argv[1], err);
  CliArgs args = {.noperand = 0};
  bool help = false;
  if (!c || !parse(c, argc - 1, argv + 1, &args, &help, err)) return false;
  if (!help) return c->run(&args, err);
  print_help(c);
  return true;
}

int cli_main(int argc, char **argv) {
  char err[ERR_MAX] = "unknown error";
  bool ok = run(argc, argv, err);
  if (ok && (fflush(stdout) != 0 || ferror(stdout))) ok = err_set(err, "cannot write the output");
  if (!ok) fprintf(stderr, "netrun: %s\n", err);
  return ok ? 0 : 1;
}
