/* cuda_launch.c - one launch of one kernel: addresses, parameters, blocks. */
#include <string.h>
#include "runtime/device/cuda.h"

CUresult cuda_launch_kernel(const Session *s, int kernel, const uint64_t *address, int n, uint64_t step,
                            int64_t tasks, CUstream stream) {
  const CudaDevice *d = cuda_of(s);
  const NetcDeviceKernel *k = &s->module->desc->device->kernels[kernel];
  const NetcDeviceCode *code = &s->module->desc->device->codes[k->code];
  uint64_t value[NETC_MAX_ARGS + 2 + NETC_MAX_PARAMS];
  void *arg[NETC_MAX_ARGS + 2 + NETC_MAX_PARAMS];
  memcpy(value, address, (size_t)n * sizeof *value);
  value[n++] = step;
  value[n++] = (uint64_t)tasks;
  for (int i = 0; i < code->nparams; i++) value[n++] = k->params[i];
  for (int i = 0; i < n; i++) arg[i] = &value[i];
  int64_t blocks = (tasks + code->tasks - 1) / code->tasks;
  return d->gpu.api.cuLaunchKernel(d->code.entry[k->code], (unsigned)blocks, 1, 1, (unsigned)code->threads, 1,
                                   1, gpu_shared(&d->gpu, s->module->desc->device, code), stream, arg, NULL);
}
