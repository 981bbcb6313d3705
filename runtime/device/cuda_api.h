/* cuda_api.h - the part of NVIDIA's driver API that the runtime calls, found in libcuda.so.1 at run time:
 * nothing of CUDA is needed to build, and a machine without a driver runs the rest. Declarations follow "CUDA
 * Driver API" (docs.nvidia.com); where a function has versions, the one named here is that of CUDA 11.
 *
 *   Cuda c;
 *   if (!cuda_open(&c, err)) ...                             // no driver, or one that is too old
 *   int n;
 *   c.cuDeviceGetCount(&n) == CUDA_SUCCESS
 *   cuda_close(&c); */
#ifndef NETRUN_CUDA_API_H
#define NETRUN_CUDA_API_H
#include <stddef.h>
#include "runtime/base/err.h"

/* CODE(name, value) of CUresult. */
#define CUDA_CODES(CODE)                                                                                     \
  CODE(CUDA_SUCCESS, 0)                                                                                      \
  CODE(CUDA_ERROR_OUT_OF_MEMORY, 2)                                                                          \
  CODE(CUDA_ERROR_NO_DEVICE, 100)                                                                            \
  CODE(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, 222)                                                              \
  CODE(CUDA_ERROR_ILLEGAL_ADDRESS, 700)                                                                      \
  CODE(CUDA_ERROR_LAUNCH_FAILED, 719)                                                                        \
  CODE(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, 803)

/* Not behind the toolkit's cuda.h, with which tests/runtime/test_cuda_header.c compares what follows. */
#ifndef CUDA_VERSION
typedef int CUresult, CUdevice, CUdevice_attribute, CUfunction_attribute, CUjit_option, CUstreamCaptureMode;
typedef uint64_t CUdeviceptr;
typedef struct CUctx *CUcontext;
typedef struct CUstm *CUstream;
typedef struct CUevt *CUevent;
typedef struct CUmod *CUmodule;
typedef struct CUfnc *CUfunction;
typedef struct CUgrp *CUgraph;
typedef struct CUgrx *CUgraphExec;
#define CUDA_CODE(name, value) name = value,
enum { CUDA_CODES(CUDA_CODE) };
#undef CUDA_CODE
#endif
enum {                     /* CUdevice_attribute */
       CU_CLOCK_RATE = 13, /* kHz */
       CU_MULTIPROCESSORS = 16,
       CU_MEMORY_CLOCK_RATE = 36, /* kHz */
       CU_MEMORY_BUS_WIDTH = 37,  /* bits */
       CU_MAJOR = 75,
       CU_MINOR = 76
};
enum { CU_FUNC_REGS = 4, CU_FUNC_LOCAL_BYTES = 3, CU_FUNC_MAX_DYNAMIC_SHARED = 8 }; /* CUfunction_attribute */
enum { CU_JIT_ERROR_LOG = 5, CU_JIT_ERROR_LOG_BYTES = 6 };                          /* CUjit_option */
enum { CU_NON_BLOCKING = 1, CU_CAPTURE_THREAD_LOCAL = 1, CU_EVENT_BLOCKING = 1, CU_EVENT_NO_TIMING = 2 };

/* NEED(function, arguments): symbol and name; NEED_V(name, symbol, arguments); MAY: may be missing. */
#define CUDA_FUNCTIONS(NEED, MAY)                                                                            \
  NEED(cuInit, cuInit, (unsigned flags))                                                                     \
  NEED(cuDriverGetVersion, cuDriverGetVersion, (int *version))                                               \
  NEED(cuGetErrorName, cuGetErrorName, (CUresult code, const char **text))                                   \
  NEED(cuGetErrorString, cuGetErrorString, (CUresult code, const char **text))                               \
  NEED(cuDeviceGetCount, cuDeviceGetCount, (int *n))                                                         \
  NEED(cuDeviceGet, cuDeviceGet, (CUdevice * d, int number))                                                 \
  NEED(cuDeviceGetName, cuDeviceGetName, (char *name, int size, CUdevice d))                                 \
  NEED(cuDeviceGetAttribute, cuDeviceGetAttribute, (int *v, CUdevice_attribute attribute, CUdevice d))       \
  NEED(cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain, (CUcontext * c, CUdevice d))                      \
  NEED(cuDevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2, (CUdevice d))                                \
  NEED(cuCtxSetCurrent, cuCtxSetCurrent, (CUcontext c))                                                      \
  NEED(cuMemGetInfo, cuMemGetInfo_v2, (size_t * free_bytes, size_t * total))                                 \
  NEED(cuMemAlloc, cuMemAlloc_v2, (CUdeviceptr * p, size_t bytes))                                           \
  NEED(cuMemFree, cuMemFree_v2, (CUdeviceptr p))                                                             \
  NEED(cuMemHostAlloc, cuMemHostAlloc, (void **p, size_t bytes, unsigned flags))                             \
  NEED(cuMemFreeHost, cuMemFreeHost, (void *p))                                                              \
  NEED(cuMemcpyHtoDAsync, cuMemcpyHtoDAsync_v2, (CUdeviceptr to, const void *from, size_t n, CUstream s))    \
  NEED(cuMemcpyDtoHAsync, cuMemcpyDtoHAsync_v2, (void *to, CUdeviceptr from, size_t n, CUstream s))          \
  NEED(cuMemcpyDtoDAsync, cuMemcpyDtoDAsync_v2, (CUdeviceptr to, CUdeviceptr from, size_t n, CUstream s))    \
  NEED(cuMemsetD8Async, cuMemsetD8Async, (CUdeviceptr p, unsigned char v, size_t n, CUstream s))             \
  NEED(cuStreamCreate, cuStreamCreate, (CUstream * s, unsigned flags))                                       \
  NEED(cuStreamDestroy, cuStreamDestroy_v2, (CUstream s))                                                    \
  NEED(cuStreamSynchronize, cuStreamSynchronize, (CUstream s))                                               \
  NEED(cuStreamWaitEvent, cuStreamWaitEvent, (CUstream s, CUevent e, unsigned flags))                        \
  NEED(cuEventCreate, cuEventCreate, (CUevent * e, unsigned flags))                                          \
  NEED(cuEventRecord, cuEventRecord, (CUevent e, CUstream s))                                                \
  NEED(cuEventSynchronize, cuEventSynchronize, (CUevent e))                                                  \
  NEED(cuEventElapsedTime, cuEventElapsedTime, (float *ms, CUevent from, CUevent to))                        \
  NEED(cuEventDestroy, cuEventDestroy_v2, (CUevent e))                                                       \
  NEED(cuModuleLoadDataEx, cuModuleLoadDataEx,                                                               \
       (CUmodule * m, const void *image, unsigned n, CUjit_option *option, void **value))                    \
  NEED(cuModuleUnload, cuModuleUnload, (CUmodule m))                                                         \
  NEED(cuModuleGetFunction, cuModuleGetFunction, (CUfunction * f, CUmodule m, const char *name))             \
  NEED(cuFuncGetAttribute, cuFuncGetAttribute, (int *v, CUfunction_attribute attribute, CUfunction f))       \
  NEED(cuFuncSetAttribute, cuFuncSetAttribute, (CUfunction f, CUfunction_attribute attribute, int v))        \
  NEED(cuLaunchKernel, cuLaunchKernel,                                                                       \
       (CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,          \
        unsigned shared, CUstream s, void **args, void **extra))                                             \
  MAY(cuOccupancyMaxActiveBlocksPerMultiprocessor, cuOccupancyMaxActiveBlocksPerMultiprocessor,              \
      (int *blocks, CUfunction f, int threads, size_t shared))                                               \
  MAY(cuStreamBeginCapture, cuStreamBeginCapture_v2, (CUstream s, CUstreamCaptureMode mode))                 \
  MAY(cuStreamEndCapture, cuStreamEndCapture, (CUstream s, CUgraph * g))                                     \
  MAY(cuGraphInstantiateWithFlags, cuGraphInstantiateWithFlags,                                              \
      (CUgraphExec * x, CUgraph g, unsigned long long flags))                                                \
  MAY(cuGraphLaunch, cuGraphLaunch, (CUgraphExec x, CUstream s))                                             \
  MAY(cuGraphExecDestroy, cuGraphExecDestroy, (CUgraphExec x))                                               \
  MAY(cuGraphDestroy, cuGraphDestroy, (CUgraph g))

typedef struct {
  void *handle;
  int version; /* 1000 * major + 10 * minor of the newest CUDA the driver serves */
#define CUDA_MEMBER(name, symbol, args) CUresult(*name) args;
  CUDA_FUNCTIONS(CUDA_MEMBER, CUDA_MEMBER)
#undef CUDA_MEMBER
} Cuda;

enum { CUDA_LEAST = 11000 }; /* driver 450 */

/* Opens the library that the environment variable NETRUN_LIBCUDA names, else libcuda.so.1, and starts the
 * driver. */
bool cuda_open(Cuda *c, char err[ERR_MAX]);
void cuda_close(Cuda *c);
/* "CUDA_ERROR_OUT_OF_MEMORY (out of memory)" */
const char *cuda_code_str(const Cuda *c, CUresult code, char buf[160]);
#endif
