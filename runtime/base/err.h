/* err.h - how functions of the runtime report failure: one sentence in err, false as result. */
#ifndef NETRUN_ERR_H
#define NETRUN_ERR_H
#include <stdbool.h>
#include <stdint.h>

enum { ERR_MAX = 512 };

/* Formats the message into err; always false, so that `return err_set(err, ...)` reads well. */
bool err_set(char err[ERR_MAX], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same with ": " and the text of errno behind it. */
bool err_sys(char err[ERR_MAX], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool err_memory(char err[ERR_MAX], const char *what, int64_t bytes);
#endif
