/* open.h - opens sessions (runtime/session/session.h): the one place that knows all devices. */
#ifndef NETRUN_OPEN_H
#define NETRUN_OPEN_H
#include "runtime/session/session.h"

enum { ON_HOST = -1 };
/* gpu: ON_HOST, or the number of an NVIDIA GPU. */
Session *session_on(const Module *m, int threads, int gpu, char err[ERR_MAX]);
Session *session_new(const Module *m, int threads, char err[ERR_MAX]); /* ON_HOST */
#endif
