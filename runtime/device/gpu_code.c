/* gpu_code.c - PTX texts to functions. The driver compiles them, which takes milliseconds each, and keeps the
 * results itself (~/.nv). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/device/gpu.h"

enum { LOG_BYTES = 4096, LOG_LINES = 3 };

/* Text for sm_90a is PTX 8.0, which drivers read from CUDA 12.0 on. */
static bool runs(const Gpu *g, NetcSm sm) {
  if (sm > g->newest) return false;
  if (sm == NETC_SM_90A) return g->capability == 90 && g->api.version >= 12000;
  return g->capability >= (sm == NETC_SM_80 ? 80 : 75);
}

int gpu_family(const Gpu *g, const NetcDeviceText *t) {
  for (int sm = NETC_SM_COUNT - 1; sm >= 0; sm--)
    if (t->ptx[sm] && runs(g, (NetcSm)sm)) return sm;
  return -1;
}

unsigned gpu_shared(const Gpu *g, const NetcDevice *d, const NetcDeviceCode *c) {
  return gpu_family(g, &d->texts[c->text]) == NETC_SM_90A ? (unsigned)c->shared : 0;
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

/* Whose text it is: "netc_0123 and 11 others" */
static const char *text_name(const NetcDevice *d, int text, char name[128]) {
  const char *first = "?";
  int n = 0;
  for (int i = 0; i < d->ncodes; i++)
    if (d->codes[i].text == text && !n++) first = d->codes[i].entry;
  if (n > 1) snprintf(name, 128, "%.80s and %d others", first, n - 1);
  else snprintf(name, 128, "%.80s", first);
  return name;
}

static bool refused(const Gpu *g, CUresult r, const char *name, const char *ptx, char *log,
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
                   code, g->api.version / 1000, g->api.version % 1000 / 10, name, version / 10, version % 10);
  return err_set(err, "cuda:%d (%s): cuModuleLoadDataEx: %s: the driver refuses the PTX of %s%s%.200s",
                 g->number, g->name, code, name, *log ? ": " : "", log);
}

static bool no_family(const Gpu *g, const NetcDeviceText *t, const char *path, char err[ERR_MAX]) {
  int least = -1;
  for (int sm = NETC_SM_COUNT - 1; sm >= 0; sm--)
    if (t->ptx[sm]) least = sm;
  return err_set(err,
                 "cuda:%d (%s) has compute capability %d.%d; %s has code from %s on: use another device, or "
                 "--device cpu",
                 g->number, g->name, g->capability / 10, g->capability % 10, path,
                 least < 0 ? "none" : gpu_family_name((NetcSm)least));
}

bool gpu_check_family(const Gpu *g, const NetcDevice *d, const char *path, char err[ERR_MAX]) {
  for (int i = 0; i < d->ntexts; i++)
    if (gpu_family(g, &d->texts[i]) < 0) return no_family(g, &d->texts[i], path, err);
  return true;
}

static bool load_text(const Gpu *g, GpuCode *c, int text, const char *path, char err[ERR_MAX]) {
  char log[LOG_BYTES] = "", name[128];
  CUjit_option option[] = {CU_JIT_ERROR_LOG, CU_JIT_ERROR_LOG_BYTES};
  void *value[] = {log, (void *)(uintptr_t)(LOG_BYTES - 1)};
  const NetcDeviceText *t = &c->tables->texts[text];
  int sm = gpu_family(g, t);
  if (sm < 0) return no_family(g, t, path, err);
  if (!gpu_enter(g, err)) return false;
  CUresult r = g->api.cuModuleLoadDataEx(&c->module[text], t->ptx[sm], 2, option, value);
  if (r == CUDA_SUCCESS) return true;
  c->module[text] = NULL;
  return refused(g, r, text_name(c->tables, text, name), t->ptx[sm], log, err);
}

static bool find_entry(const Gpu *g, GpuCode *c, int code, char err[ERR_MAX]) {
  const NetcDeviceCode *d = &c->tables->codes[code];
  if (c->entry[code]) return true;
  if (!GPU(g, err, cuModuleGetFunction, &c->entry[code], c->module[d->text], d->entry))
    return c->entry[code] = NULL, false;
  /* Beyond 48 KB a function has to ask. */
  int shared = (int)gpu_shared(g, c->tables, d);
  return shared <= 48 << 10 ||
         GPU(g, err, cuFuncSetAttribute, c->entry[code], CU_FUNC_MAX_DYNAMIC_SHARED, shared);
}

typedef struct {
  const Gpu *g;
  const bool *wanted; /* per text */
  GpuCode *code;
  const char *path;
  char (*err)[ERR_MAX]; /* per text */
} Loading;

static void load_task(void *ctx, int64_t i) {
  Loading *l = ctx;
  if (l->wanted[i] && !l->code->module[i]) load_text(l->g, l->code, (int)i, l->path, l->err[i]);
}

static bool load_texts(Loading *l, Pool *pool, char err[ERR_MAX]) {
  int n = l->code->tables->ntexts;
  pool_run(pool, load_task, l, n);
  for (int i = 0; i < n; i++)
    if (l->wanted[i] && !l->code->module[i]) return err_set(err, "%s", l->err[i]);
  return true;
}

bool gpu_load(const Gpu *g, Pool *pool, const bool *wanted, GpuCode *c, const char *path, char err[ERR_MAX]) {
  const NetcDevice *d = c->tables;
  bool *text = calloc((size_t)d->ntexts + 1, sizeof *text);
  Loading l = {g, text, c, path, calloc((size_t)d->ntexts + 1, sizeof *l.err)};
  bool ok = (text && l.err) || err_memory(err, "loading the GPU's code", d->ntexts * (int64_t)ERR_MAX);
  for (int i = 0; ok && i < d->ncodes; i++)
    if (wanted[i]) text[d->codes[i].text] = true;
  ok = ok && load_texts(&l, pool, err);
  for (int i = 0; ok && i < d->ncodes; i++)
    if (wanted[i]) ok = find_entry(g, c, i, err);
  free(text), free(l.err);
  return ok;
}

bool gpu_code_new(GpuCode *c, const NetcDevice *d, char err[ERR_MAX]) {
  *c = (GpuCode){d, calloc((size_t)d->ntexts + 1, sizeof *c->module),
                 calloc((size_t)d->ncodes + 1, sizeof *c->entry)};
  return (c->module && c->entry) || err_memory(err, "the table of codes", d->ncodes);
}

void gpu_code_free(const Gpu *g, GpuCode *c) {
  for (int i = 0; g && c->module && i < c->tables->ntexts; i++)
    if (c->module[i]) g->api.cuModuleUnload(c->module[i]);
  free(c->module), free(c->entry);
  *c = (GpuCode){NULL, NULL, NULL};
}
