/* session.h - commands that work on a module: its session, opened and closed. */
#ifndef NETRUN_CLI_SESSION_H
#define NETRUN_CLI_SESSION_H
#include "runtime/cli/cli.h"
#include "runtime/session/session.h"

typedef bool (*CliWork)(Session *s, const CliArgs *args, void *user, char err[ERR_MAX]);
/* Opens the module that the first operand names, and a session on the threads and the device of --threads and
 * --device; does the work, and closes both. */
bool cli_with_session(const CliArgs *args, CliWork work, void *user, char err[ERR_MAX]);
#endif
