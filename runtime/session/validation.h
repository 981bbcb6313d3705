/* validation.h - how a module says that its runs validate (codegen/abi.h, NetcValidation): checked, told. */
#ifndef NETRUN_VALIDATION_H
#define NETRUN_VALIDATION_H
#include <stdbool.h>
#include <stdio.h>
#include "codegen/abi.h"
#include "runtime/base/err.h"

/* Nothing in d->validation that a host could trip over: a metric that is known and needs no tolerance,
 * numbers in range. */
bool validation_check(const NetcModule *d, char err[ERR_MAX]);
/* One line. v: NULL prints nothing. */
void validation_tell(const NetcValidation *v, FILE *out);
#endif
