/* gpu.c - one NVIDIA GPU: context, memory, and what its errors mean. */
#include "runtime/device/gpu.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *gpu_family_name(NetcSm sm) {
  static const char *const name[NETC_SM_COUNT] = {"sm_75", "sm_80", "sm_90a"};
  return name[sm];
}

/* CUDA_ERROR_ILLEGAL_ADDRESS .. CUDA_ERROR_LAUNCH_FAILED; 701 and 703 to 713 are about calls, not kernels. */
bool gpu_is_fault(CUresult r) { return r == 700 || r == 702 || r == 710 || (r >= 714 && r <= 719); }

static const char *advice(CUresult r) {
  if (gpu_is_fault(r))
    return "; a kernel failed: NETRUN_CUDA_LAUNCH=checked runs them one by one and tells which";
  if (r == CUDA_ERROR_OUT_OF_MEMORY)
    return "; other programs on the device, or a smaller -D batch, would leave more";
  return "";
}

bool gpu_ok(const Gpu *g, CUresult r, const char *call, char err[ERR_MAX]) {
  char code[160];
  if (r == CUDA_SUCCESS) return true;
  return err_set(err, "cuda:%d (%s): %s: %s%s", g->number, g->name, call, cuda_code_str(&g->api, r, code),
                 advice(r));
}

bool gpu_enter(const Gpu *g, char err[ERR_MAX]) { return GPU(g, err, cuCtxSetCurrent, g->context); }

static bool describe(Gpu *g, char err[ERR_MAX]) {
  int major = 0, minor = 0;
  if (!GPU(g, err, cuDeviceGetName, g->name, (int)sizeof g->name, g->device) ||
      !GPU(g, err, cuDeviceGetAttribute, &major, CU_MAJOR, g->device) ||
      !GPU(g, err, cuDeviceGetAttribute, &minor, CU_MINOR, g->device))
    return false;
  g->capability = 10 * major + minor;
  return true;
}

static bool pick(Gpu *g, int number, char err[ERR_MAX]) {
  int n = 0;
  if (!GPU(g, err, cuDeviceGetCount, &n)) return false;
  if (n < 1) return err_set(err, "no NVIDIA GPU: the driver finds none; use --device cpu");
  if (number >= n)
    return err_set(err, "there is no cuda:%d: this machine has %d NVIDIA GPU%s, cuda:0%s", number, n,
                   n == 1 ? "" : "s", n == 1 ? "" : " and following");
  return GPU(g, err, cuDeviceGet, &g->device, number) && describe(g, err);
}

static bool choose_family(Gpu *g, char err[ERR_MAX]) {
  const char *want = getenv("NETRUN_CUDA_FAMILY");
  if (!want || !*want) return true;
  for (int sm = 0; sm < NETC_SM_COUNT; sm++)
    if (!strcmp(want, gpu_family_name((NetcSm)sm))) return g->newest = (NetcSm)sm, true;
  return err_set(err, "NETRUN_CUDA_FAMILY is `%s`; it can be sm_75, sm_80 or sm_90a", want);
}

bool gpu_open(Gpu *g, int number, char err[ERR_MAX]) {
  *g = (Gpu){.number = number, .name = "NVIDIA GPU", .newest = NETC_SM_COUNT - 1};
  if (!choose_family(g, err)) return false;
  if (!cuda_open(&g->api, err)) return false;
  if (pick(g, number, err) && GPU(g, err, cuDevicePrimaryCtxRetain, &g->context, g->device) &&
      gpu_enter(g, err))
    return true;
  gpu_close(g);
  return false;
}

/* What the driver says while closing is of no use any more: a fault is told again by every call. */
void gpu_close(Gpu *g) {
  if (g->context) {
    g->api.cuCtxSetCurrent(NULL);
    g->api.cuDevicePrimaryCtxRelease(g->device);
  }
  cuda_close(&g->api);
  g->context = NULL;
}

bool gpu_memory(const Gpu *g, int64_t *free_bytes, int64_t *total, char err[ERR_MAX]) {
  size_t f = 0, t = 0;
  if (!GPU(g, err, cuMemGetInfo, &f, &t)) return false;
  *free_bytes = (int64_t)f, *total = (int64_t)t;
  return true;
}

bool gpu_alloc(const Gpu *g, int64_t bytes, const char *what, CUdeviceptr *p, char err[ERR_MAX]) {
  int64_t free_bytes, total;
  if (!gpu_memory(g, &free_bytes, &total, err)) return false;
  CUresult r = bytes > free_bytes ? CUDA_ERROR_OUT_OF_MEMORY : g->api.cuMemAlloc(p, (size_t)bytes);
  if (r != CUDA_ERROR_OUT_OF_MEMORY) return gpu_ok(g, r, "cuMemAlloc", err);
  return err_set(
      err,
      "%.200s needs %lld bytes (%.2f GiB) on cuda:%d (%s), which has %.2f of %.2f GiB free: end other "
      "programs there, or compile with a smaller -D batch, -D size or --memory",
      what, (long long)bytes, (double)bytes / 0x1p30, g->number, g->name, (double)free_bytes / 0x1p30,
      (double)total / 0x1p30);
}

bool gpu_alloc_host(const Gpu *g, int64_t bytes, void **p, char err[ERR_MAX]) {
  CUresult r = g->api.cuMemHostAlloc(p, (size_t)(bytes > 0 ? bytes : 1), 0);
  if (r != CUDA_ERROR_OUT_OF_MEMORY) return gpu_ok(g, r, "cuMemHostAlloc", err);
  return err_memory(err, "copying to and from the GPU", bytes);
}

void gpu_free(const Gpu *g, CUdeviceptr *p) {
  if (*p) g->api.cuMemFree(*p);
  *p = 0;
}

void gpu_free_host(const Gpu *g, void **p) {
  if (*p) g->api.cuMemFreeHost(*p);
  *p = NULL;
}
