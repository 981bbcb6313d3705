/* netrun.c - trains, evaluates and runs compiled modules. The only place of the runtime that
 * exits. */
#include <signal.h>
#include "runtime/cli/cli.h"

int main(int argc, char **argv) {
  signal(SIGXFSZ, SIG_IGN); /* a file that may not grow further (ulimit -f) is an error like a full disk */
  return cli_main(argc, argv);
}
