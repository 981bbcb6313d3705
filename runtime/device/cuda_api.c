/* cuda_api.c - finding the driver. */
#include "runtime/device/cuda_api.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool find(const Cuda *c, const char *symbol, void *slot) {
  void *p = dlsym(c->handle, symbol);
  memcpy(slot, &p, sizeof p); /* ISO C has no cast from object to function pointer */
  return p != NULL;
}

/* The first function that is missing, or NULL. */
static const char *find_all(Cuda *c) {
  const char *missing = NULL;
#define CUDA_NEED(name, symbol, args)                                                                        \
  if (!find(c, #symbol, &c->name) && !missing) missing = #symbol;
#define CUDA_MAY(name, symbol, args) find(c, #symbol, &c->name);
  CUDA_FUNCTIONS(CUDA_NEED, CUDA_MAY)
#undef CUDA_NEED
#undef CUDA_MAY
  return missing;
}

const char *cuda_code_str(const Cuda *c, CUresult code, char buf[160]) {
  const char *name = NULL, *text = NULL;
  if (c->cuGetErrorName(code, &name) != CUDA_SUCCESS || !name) name = "an error without a name";
  if (c->cuGetErrorString(code, &text) != CUDA_SUCCESS || !text) text = "no text";
  snprintf(buf, 160, "%.60s (%d: %.80s)", name, code, text);
  return buf;
}

static bool too_old(const Cuda *c, const char *path, const char *missing, char err[ERR_MAX]) {
  return err_set(
      err,
      "the NVIDIA driver is too old: %s serves CUDA %d.%d%s%s; CUDA %d.%d (driver 450) or newer is "
      "needed: update it, or use --device cpu",
      path, c->version / 1000, c->version % 1000 / 10, missing ? " and has no " : "", missing ? missing : "",
      CUDA_LEAST / 1000, CUDA_LEAST % 1000 / 10);
}

static bool start(Cuda *c, const char *path, char err[ERR_MAX]) {
  char code[160];
  const char *missing = find_all(c);
  if (c->cuDriverGetVersion && c->cuDriverGetVersion(&c->version) != CUDA_SUCCESS) c->version = 0;
  if (!c->cuDriverGetVersion || !c->cuInit)
    return err_set(err, "%s is no NVIDIA driver library: it has no %s", path, missing);
  if (missing || c->version < CUDA_LEAST) return too_old(c, path, missing, err);
  CUresult r = c->cuInit(0);
  if (r == CUDA_SUCCESS) return true;
  cuda_code_str(c, r, code);
  if (r == CUDA_ERROR_NO_DEVICE) return err_set(err, "no NVIDIA GPU: cuInit: %s; use --device cpu", code);
  return err_set(
      err, "the NVIDIA driver (CUDA %d.%d) does not start: cuInit: %s; see nvidia-smi, or use --device cpu",
      c->version / 1000, c->version % 1000 / 10, code);
}

bool cuda_open(Cuda *c, char err[ERR_MAX]) {
  const char *named = getenv("NETRUN_LIBCUDA");
  const char *path = named && *named ? named : "libcuda.so.1";
  /* A driver that loads a kernel when it is first launched may do so in the midst of a capture. */
  setenv("CUDA_MODULE_LOADING", "EAGER", 0);
  /* A driver has threads and exit handlers of its own once it has started: it stays mapped after
   * cuda_close. */
  *c = (Cuda){.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)};
  if (!c->handle)
    return err_set(err, "no NVIDIA driver: %.200s; install one, or use --device cpu", dlerror());
  if (start(c, path, err)) return true;
  cuda_close(c);
  return false;
}

void cuda_close(Cuda *c) {
  if (c->handle) dlclose(c->handle);
  *c = (Cuda){.handle = NULL};
}
