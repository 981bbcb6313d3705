/* err.h - how ir, passes and codegen report failure: one sentence in err, and false as result. */
#ifndef IR_ERR_H
#define IR_ERR_H
#include <stdarg.h>
#include <stdbool.h>

enum { IR_ERR = 512 }; /* bytes of every message; what is longer is cut at the end */

/* Writes the message into err; always false, so that `return ir_error(err, ..)` reads well. */
bool ir_error(char err[IR_ERR], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, behind what err says already. */
bool ir_error_more(char err[IR_ERR], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool ir_verror_more(char err[IR_ERR], const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
#endif
