/* scratch.h - a directory of the test's own, gone when the tests are done. */
#ifndef NETC_SCRATCH_H
#define NETC_SCRATCH_H
#include <stdio.h>
#include <stdlib.h>
#include "tests/test.h"

static char root[] = "/tmp/netc_test_XXXXXX";

FIXTURE(scratch_set_up) { return mkdtemp(root) ? 0 : -1; }

FIXTURE(scratch_tear_down) {
  char command[64];
  snprintf(command, sizeof command, "rm -rf %s", root);
  return system(command);
}

/* A path in it; four are good at a time. */
static inline const char *in_root(const char *name) {
  static char path[4][256];
  static int k;
  k = (k + 1) % 4;
  snprintf(path[k], sizeof path[k], "%s/%s", root, name);
  return path[k];
}
#endif
