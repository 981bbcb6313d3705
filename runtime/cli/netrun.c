/* netrun.c - trains, evaluates and runs compiled modules. The only place of the runtime that
 * exits. */
#include "runtime/cli/cli.h"

int main(int argc, char **argv) { return cli_main(argc, argv); }
