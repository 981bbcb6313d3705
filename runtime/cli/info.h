/* info.h - a module's contents as JSON or for people. */
#ifndef NETRUN_INFO_H
#define NETRUN_INFO_H
#include <stdio.h>
#include "runtime/session/session.h"

bool info_json(const Module *m, FILE *out); /* false without memory */
void info_text(const Module *m, FILE *out);
/* The GPU of that number; m: and how each of the module's kernels runs there, which has the driver compile
 * them all. NULL: no module. */
bool info_gpu(const Module *m, int number, FILE *out, char err[ERR_MAX]);
#endif
