/* err.c - messages of failures. */
#include "ir/err.h"
#include <stdio.h>
#include <string.h>

bool ir_verror_more(char err[IR_ERR], const char *fmt, va_list ap) {
  size_t n = strlen(err);
  vsnprintf(err + n, IR_ERR - n, fmt, ap);
  return false;
}

bool ir_error_more(char err[IR_ERR], const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  ir_verror_more(err, fmt, ap);
  va_end(ap);
  return false;
}

bool ir_error(char err[IR_ERR], const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(err, IR_ERR, fmt, ap);
  va_end(ap);
  return false;
}
