/* info_gpu.c - netrun info --device cuda:N: the device, and what it makes of a module. */
#include <inttypes.h>
#include <stdlib.h>
#include "runtime/device/gpu.h"
#include "runtime/cli/info.h"

static bool print_gpu(const Gpu *g, FILE *out, char err[ERR_MAX]) {
  int64_t free_bytes, total;
  int multiprocessors = 0, khz = 0;
  if (!gpu_memory(g, &free_bytes, &total, err) ||
      !GPU(g, err, cuDeviceGetAttribute, &multiprocessors, CU_MULTIPROCESSORS, g->device) ||
      !GPU(g, err, cuDeviceGetAttribute, &khz, CU_CLOCK_RATE, g->device))
    return false;
  fprintf(out, "cuda:%d: %s\n", g->number, g->name);
  fprintf(out, "  compute capability  %d.%d\n", g->capability / 10, g->capability % 10);
  fprintf(out, "  multiprocessors     %d at %.0f MHz\n", multiprocessors, khz * 1e-3);
  fprintf(out, "  memory              %.2f GiB, %.2f free\n", (double)total / 0x1p30,
          (double)free_bytes / 0x1p30);
  fprintf(out, "  driver              CUDA %d.%d, graphs %s\n", g->api.version / 1000,
          g->api.version % 1000 / 10, g->api.cuGraphInstantiateWithFlags ? "yes" : "no");
  return true;
}

/* What the driver's compiler made of a kernel. */
typedef struct {
  int regs, local,
      blocks; /* of a thread; bytes of a thread's spilled values and arrays; of a multiprocessor */
} Use;

static bool use_of(const Gpu *g, const NetcDevice *d, const NetcDeviceCode *c, CUfunction entry, Use *u,
                   char err[ERR_MAX]) {
  *u = (Use){0};
  return GPU(g, err, cuFuncGetAttribute, &u->regs, CU_FUNC_REGS, entry) &&
         GPU(g, err, cuFuncGetAttribute, &u->local, CU_FUNC_LOCAL_BYTES, entry) &&
         (!g->api.cuOccupancyMaxActiveBlocksPerMultiprocessor ||
          GPU(g, err, cuOccupancyMaxActiveBlocksPerMultiprocessor, &u->blocks, entry, c->threads,
              gpu_shared(g, d, c)));
}

static bool print_kernels(const Gpu *g, const NetcDevice *d, const GpuCode *code, FILE *out,
                          char err[ERR_MAX]) {
  fprintf(out, "%6s %5s %7s %7s %8s %7s  %s\n", "family", "regs", "local B", "threads", "shared B", "thr/SM",
          "kernel");
  for (int i = 0; i < d->nkernels; i++) {
    const NetcDeviceCode *c = &d->codes[d->kernels[i].code];
    Use u;
    if (!use_of(g, d, c, code->entry[d->kernels[i].code], &u, err)) return false;
    int shared = (int)gpu_shared(g, d, c);
    fprintf(out, "%6s %5d %7d %7d %8d %7d  %s\n", gpu_family_name((NetcSm)gpu_family(g, &d->texts[c->text])),
            u.regs, u.local, c->threads, shared ? shared : c->static_shared, u.blocks * c->threads,
            d->kernels[i].name);
  }
  return true;
}

static bool print_code(const Gpu *g, const Module *m, FILE *out, char err[ERR_MAX]) {
  const NetcDevice *d = m->desc->device;
  if (!d) {
    fprintf(out, "%s has no code for GPUs (netc --target host,ptx)\n", m->path);
    return true;
  }
  fprintf(out,
          "%s: arena of %" PRId64 " bytes (%.2f MiB), %d kernels with %d different codes in %d "
          "texts\n",
          m->path, d->arena_bytes, (double)d->arena_bytes / 0x1p20, d->nkernels, d->ncodes, d->ntexts);
  GpuCode code = {NULL, NULL, NULL};
  bool *wanted = malloc((size_t)d->ncodes + 1);
  if (!wanted) err_memory(err, "the table of kernels", d->ncodes);
  Pool *pool = wanted && gpu_code_new(&code, d, err) ? pool_new(0, err) : NULL;
  for (int i = 0; pool && i < d->ncodes; i++) wanted[i] = true;
  bool ok = pool && gpu_load(g, pool, wanted, &code, m->path, err) && print_kernels(g, d, &code, out, err);
  gpu_code_free(g, &code);
  pool_free(pool);
  free(wanted);
  return ok;
}

bool info_gpu(const Module *m, int number, FILE *out, char err[ERR_MAX]) {
  Gpu g;
  if (!gpu_open(&g, number, err)) return false;
  bool ok = print_gpu(&g, out, err) && (!m || print_code(&g, m, out, err));
  gpu_close(&g);
  return ok;
}
