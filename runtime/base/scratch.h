/* scratch.h - large arrays that need not stay in memory: pages of a file without a name in $TMPDIR (/tmp),
 * which the system may write there. */
#ifndef NETRUN_SCRATCH_H
#define NETRUN_SCRATCH_H
#include "runtime/base/err.h"

/* Room is reserved on the disk: a full one is a message here, never a signal later. */
bool scratch_floats(int64_t n, float **out, char err[ERR_MAX]);
void scratch_free(float *v, int64_t n); /* v may be NULL */
#endif
