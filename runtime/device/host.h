/* host.h - the threads of the host as a device (runtime/session/device.h). */
#ifndef NETRUN_HOST_H
#define NETRUN_HOST_H
#include "runtime/session/device.h"

bool host_open(Session *s, char err[ERR_MAX]);
bool host_rates(Pool *pool, NetcIsa isa, Rates *out, char err[ERR_MAX]);
#endif
