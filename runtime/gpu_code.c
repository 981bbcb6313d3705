/* PTX texts to functions. The driver compiles them, which takes milliseconds each, and keeps the results itself (~/.nv). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gpu.h"

enum { LOG_BYTES = 4096, LOG_LINES = 3 };

const char *gpu_family_name(NetcSm sm) {
  static const char *const name[NETC_SM_COUNT] = {"sm_75", "sm_80", "sm_90a"};
  return name[sm];
}

/* Text for sm_90a is PTX 8.0, which drivers read from CUDA 12.0 on. */
static bool runs(const Gpu *g, NetcSm sm) {
  if (sm > g->newest) return false;
  if (sm == NETC_SM_90A) return g->capability == 90 && g->api.version >= 12000;
  return g->capability >= (sm == NETC_SM_80 ? 80 : 75);
}

int gpu_family(const Gpu *g, const NetcDeviceCode *c) {
  for (int sm = NETC_SM_COUNT - 1; sm >= 0; sm--)
    if (c->ptx[sm] && runs(g, (NetcSm)sm)) return sm;
  return -1;
}

unsigned gpu_shared(const Gpu *g, const NetcDeviceCode *c) {
  return gpu_family(g, c) == NETC_SM_90A ? (unsigned)c->shared : 0;
}

/* The first lines of the driver's log, on one. */
static void one_line(char *log) {
  int lines = 0;
  for (char *c = log; *c; c++)
    if (*c == '\n') {
      *c = ' ';
      if (++lines == LOG_LINES) *c = 0;
      if (!*c) break;
    }
}

/* ".version 7.0" of a text, as 70. */
static int ptx_version(const char *ptx) {
  int major = 0, minor = 0;
  const char *v = strstr(ptx, ".version");
  return v && sscanf(v, ".version %d.%d", &major, &minor) == 2 ? 10 * major + minor : 0;
}

static bool refused(const Gpu *g, CUresult r, const NetcDeviceCode *c, const char *ptx, char *log,
                    char err[ERR_MAX]) {
  char code[160];
  int version = ptx_version(ptx);
  cuda_code_str(&g->api, r, code);
  one_line(log);
  if (r == CUDA_ERROR_UNSUPPORTED_PTX_VERSION)
    return err_set(err,
                   "the NVIDIA driver is too old for this module: cuModuleLoadDataEx: %s; it serves CUDA "
                   "%d.%d, and %s is "
                   "PTX %d.%d: update it",
                   code, g->api.version / 1000, g->api.version % 1000 / 10, c->entry, version / 10,
                   version % 10);
  return err_set(err, "cuda:%d (%s): cuModuleLoadDataEx: %s: the driver refuses the PTX of %s%s%.200s",
                 g->number, g->name, code, c->entry, *log ? ": " : "", log);
}

static bool no_family(const Gpu *g, const NetcDeviceCode *c, const char *path, char err[ERR_MAX]) {
  int least = -1;
  for (int sm = NETC_SM_COUNT - 1; sm >= 0; sm--)
    if (c->ptx[sm]) least = sm;
  return err_set(err,
                 "cuda:%d (%s) has compute capability %d.%d; %s has code from %s on: use another device, or "
                 "--device cpu",
                 g->number, g->name, g->capability / 10, g->capability % 10, path,
                 least < 0 ? "none" : gpu_family_name((NetcSm)least));
}

static bool load_one(const Gpu *g, const NetcDeviceCode *c, GpuCode *out, const char *path,
                     char err[ERR_MAX]) {
  char log[LOG_BYTES] = "";
  int option[] = {CU_JIT_ERROR_LOG, CU_JIT_ERROR_LOG_BYTES};
  void *value[] = {log, (void *)(uintptr_t)(LOG_BYTES - 1)};
  int sm = gpu_family(g, c);
  if (sm < 0) return no_family(g, c, path, err);
  if (!gpu_enter(g, err)) return false;
  CUresult r = g->api.cuModuleLoadDataEx(&out->module, c->ptx[sm], 2, option, value);
  if (r != CUDA_SUCCESS) return out->module = NULL, refused(g, r, c, c->ptx[sm], log, err);
  if (!GPU(g, err, cuModuleGetFunction, &out->entry, out->module, c->entry)) return false;
  /* Beyond 48 KB a function has to ask. */
  int shared = (int)gpu_shared(g, c);
  return shared <= 48 << 10 ||
         GPU(g, err, cuFuncSetAttribute, out->entry, CU_FUNC_MAX_DYNAMIC_SHARED, shared);
}

typedef struct {
  const Gpu *g;
  const NetcDevice *d;
  const bool *wanted;
  GpuCode *out;
  const char *path;
  char (*err)[ERR_MAX]; /* per code */
} Loading;

static void load_task(void *ctx, int64_t i) {
  Loading *l = ctx;
  if (l->wanted[i] && !l->out[i].entry) load_one(l->g, &l->d->codes[i], &l->out[i], l->path, l->err[i]);
}

bool gpu_load(const Gpu *g, Pool *pool, const NetcDevice *d, const bool *wanted, GpuCode *out,
              const char *path, char err[ERR_MAX]) {
  Loading l = {g, d, wanted, out, path, calloc((size_t)d->ncodes + 1, sizeof *l.err)};
  if (!l.err) return err_memory(err, "loading the GPU's code", d->ncodes * (int64_t)ERR_MAX);
  pool_run(pool, load_task, &l, d->ncodes);
  bool ok = true;
  for (int i = 0; ok && i < d->ncodes; i++)
    if (wanted[i] && !out[i].entry) ok = err_set(err, "%s", l.err[i]);
  free(l.err);
  return ok;
}

void gpu_unload(const Gpu *g, GpuCode *code, int n) {
  for (int i = 0; i < n; i++)
    if (code[i].module) g->api.cuModuleUnload(code[i].module);
}
