/* check.h - the promises of fuse.h as a test; the pipeline runs it after `fuse` when asked to verify. */
#ifndef NETC_FUSE_CHECK_H
#define NETC_FUSE_CHECK_H
#include "passes/fuse/fuse.h"

/* false and a message naming function, group and node when a promise is broken. */
bool fuse_check(const Fn *f, char err[IR_ERR]);
#endif
