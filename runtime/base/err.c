/* err.c - messages into a caller's buffer. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "runtime/base/err.h"

bool err_set(char err[ERR_MAX], const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(err, ERR_MAX, fmt, ap);
  va_end(ap);
  return false;
}

bool err_sys(char err[ERR_MAX], const char *fmt, ...) {
  int code = errno;
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(err, ERR_MAX, fmt, ap);
  va_end(ap);
  if (n >= 0 && n < ERR_MAX) snprintf(err + n, (size_t)(ERR_MAX - n), ": %s", strerror(code));
  return false;
}

bool err_memory(char err[ERR_MAX], const char *what, int64_t bytes) {
  return err_set(err, "%s needs %lld bytes (%.2f GiB) of memory, which this machine does not have free", what,
                 (long long)bytes, (double)bytes / 0x1p30);
}
