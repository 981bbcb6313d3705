/* scratch.h - a directory of the test's own, gone when the tests are done. SCRATCH_ROOT, a template of
 * mkdtemp, is defined before. */
#ifndef NETC_TEST_SCRATCH_H
#define NETC_TEST_SCRATCH_H
#include <stdio.h>
#include <stdlib.h>

static char root[] = SCRATCH_ROOT;

static inline int scratch_set_up(void **state) {
  (void)state;
  return mkdtemp(root) ? 0 : -1;
}

static inline int scratch_tear_down(void **state) {
  (void)state;
  char cmd[80];
  snprintf(cmd, sizeof cmd, "rm -r %s", root);
  return system(cmd);
}

/* A path in it; four are good at a time. */
static inline const char *in_root(const char *name) {
  static char path[4][128];
  static int k;
  k = (k + 1) % 4;
  snprintf(path[k], sizeof path[k], "%s/%s", root, name);
  return path[k];
}
#endif
