/* shell.h - shell commands in a directory of the test's own. */
#ifndef NETC_TEST_SHELL_H
#define NETC_TEST_SHELL_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/scratch.h"

static char source[4096];  /* where the sources of netc are */
static char said[1 << 16]; /* stdout and stderr of the last command */

FIXTURE(shell_set_up) { return getcwd(source, sizeof source) && mkdtemp(root) ? 0 : -1; }

/* Runs a shell command in the test's directory; its exit status. */
__attribute__((format(printf, 1, 2))) static inline int sh(const char *fmt, ...) {
  char cmd[8192];
  va_list ap;
  int n = snprintf(cmd, sizeof cmd, "cd %s && exec 2>&1; ", root);
  va_start(ap, fmt);
  vsnprintf(cmd + n, sizeof cmd - (size_t)n, fmt, ap);
  va_end(ap);
  FILE *f = popen(cmd, "r");
  assert_non_null(f);
  size_t got = fread(said, 1, sizeof said - 1, f);
  said[got] = '\0';
  int status = pclose(f);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define runs(...)                                                                                            \
  do {                                                                                                       \
    if (sh(__VA_ARGS__) != 0) fail_msg("%s", said);                                                          \
  } while (0)

static inline void says(const char *text) {
  if (!strstr(said, text)) fail_msg("expected `%s` in: %s", text, said);
}

#define fails(text, ...)                                                                                     \
  do {                                                                                                       \
    assert_int_equal(sh(__VA_ARGS__), 1);                                                                    \
    says("netrun: ");                                                                                        \
    says(text);                                                                                              \
  } while (0)

#endif
