/* device.h - what runs a session's functions: the threads of the host (runtime/device/host.c) or an NVIDIA
 * GPU (runtime/device/cuda.c). Callers see neither: they write inputs and variables to and read outputs and
 * variables from the host's memory (session_at), and go through session.h. */
#ifndef NETRUN_DEVICE_H
#define NETRUN_DEVICE_H
#include <stddef.h>
#include "runtime/session/rates.h"
#include "runtime/session/session.h"

struct Device {
  void (*close)(Session *s);
  bool (*prepare)(const Session *s, const NetcFn *f, char err[ERR_MAX]);
  bool (*run)(const Session *s, const NetcFn *f, NetcStep step, char err[ERR_MAX]);
  /* NULL: none. A run that is begun, and waited for; see fn_begin. */
  bool (*begin)(const Session *s, const NetcFn *f, NetcStep step, char err[ERR_MAX]);
  bool (*finish)(const Session *s, const NetcFn *f, char err[ERR_MAX]);
  bool (*run_observed)(const Session *s, const NetcFn *f, NetcStep step, const Observer *o,
                       char err[ERR_MAX]);
  /* Variables in the host's memory: they were written; they shall be as the last run left them. */
  void (*changed)(const Session *s);
  bool (*fetch)(const Session *s, char err[ERR_MAX]);
  /* Inputs of the next run. `accept` NULL: only given between runs; otherwise at any time, by a thread of
   * their own, into slot 0 or 1, and accepted between runs. */
  bool (*give)(const Session *s, const NetcFn *f, int slot, const BatchInput *in, int n, NetcStep step,
               char err[ERR_MAX]);
  void (*accept)(const Session *s, const NetcFn *f, int slot);
  /* NULL: keeps none. See session_images. */
  bool (*images)(const Session *s, const NetcFn *f, int items, int64_t bytes, const ImageStore **out,
                 char err[ERR_MAX]);
  /* What it can do at best. */
  bool (*rates)(const Session *s, Rates *out, char err[ERR_MAX]);
  void (*memory_str)(const Session *s, const NetcFn *f, char *out, size_t size);
};
#endif
