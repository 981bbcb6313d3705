/* session.c - the session of a command. */
#include <stddef.h>
#include "runtime/cli/session.h"
#include "runtime/device/open.h"

bool cli_with_session(const CliArgs *args, CliWork work, void *user, char err[ERR_MAX]) {
  int64_t threads;
  int gpu;
  if (!cli_int(args, "threads", 0, 1, POOL_MAX_THREADS, &threads, err) || !cli_device(args, &gpu, err))
    return false;
  Module *m = module_open(args->operand[0], err);
  Session *s = m ? session_on(m, (int)threads, gpu, err) : NULL;
  bool ok = s && work(s, args, user, err);
  session_free(s);
  module_close(m);
  return ok;
}
