/* shell.h - shell commands in a directory of the test's own. SHELL_ROOT, a template of mkdtemp, is defined
 * before. */
#ifndef NETC_TEST_SHELL_H
#define NETC_TEST_SHELL_H
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[] = SHELL_ROOT;
static char said[1 << 16]; /* stdout and stderr of the last command */

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

/* A path in the test's directory; two are good at a time. */
static inline const char *in_root(const char *name) {
  static char path[2][256];
  static int k;
  snprintf(path[k ^= 1], sizeof path[0], "%s/%s", root, name);
  return path[k];
}
#endif
