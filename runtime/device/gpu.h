/* gpu.h - one NVIDIA GPU: its context, memory, code, and errors that say what was asked of whom.
 *
 *   Gpu g;
 *   if (!gpu_open(&g, 0, err)) ...
 *   CUdeviceptr p;
 *   gpu_alloc(&g, bytes, "the arena of m.so", &p, err);
 *   GPU(&g, err, cuMemsetD8Async, p, 0, bytes, stream)       // any driver call: false and a message
 *   gpu_close(&g);
 *
 * The context is the device's primary one, retained and released: other programs and other sessions of this
 * process have theirs, or share it, undisturbed; nothing here resets a device. */
#ifndef NETRUN_GPU_H
#define NETRUN_GPU_H
#include "codegen/abi.h"
#include "runtime/device/cuda_api.h"
#include "runtime/base/pool.h"

typedef struct {
  Cuda api;
  int number;
  CUdevice device;
  CUcontext context;
  char name[96];
  int capability; /* 10 * major + minor: 90 */
  NetcSm newest;  /* families after it are not taken */
} Gpu;

bool gpu_open(Gpu *g, int number, char err[ERR_MAX]);
void gpu_close(Gpu *g);
/* Makes the context the calling thread's: before its first GPU(..). */
bool gpu_enter(const Gpu *g, char err[ERR_MAX]);

/* Is the result of driver function `call` a success? */
bool gpu_ok(const Gpu *g, CUresult r, const char *call, char err[ERR_MAX]);
#define GPU(g, err, call, ...) gpu_ok(g, (g)->api.call(__VA_ARGS__), #call, err)
/* Errors after which a context takes no more calls: a kernel's fault. */
bool gpu_is_fault(CUresult r);

bool gpu_memory(const Gpu *g, int64_t *free_bytes, int64_t *total, char err[ERR_MAX]);
/* Device memory, and memory of the host that the device copies from and to by itself. */
bool gpu_alloc(const Gpu *g, int64_t bytes, const char *what, CUdeviceptr *p, char err[ERR_MAX]);
bool gpu_alloc_host(const Gpu *g, int64_t bytes, void **p, char err[ERR_MAX]);
void gpu_free(const Gpu *g, CUdeviceptr *p);
void gpu_free_host(const Gpu *g, void **p);

/* ---- code (gpu_code.c) ---- */
const char *gpu_family_name(NetcSm sm); /* sm_75 */
/* The last family that device and driver run and the text has; -1: none. */
int gpu_family(const Gpu *g, const NetcDeviceText *t);
/* Bytes of dynamic shared memory of a code's blocks. */
unsigned gpu_shared(const Gpu *g, const NetcDevice *d, const NetcDeviceCode *c);

typedef struct {
  const NetcDevice *tables;
  CUmodule *module;  /* per text; NULL: not loaded */
  CUfunction *entry; /* per code; NULL: its text is not */
} GpuCode;
bool gpu_code_new(GpuCode *c, const NetcDevice *d, char err[ERR_MAX]);
/* Has the driver compile the texts of the codes that `wanted` names, where they are not loaded, several at a
 * time. */
bool gpu_load(const Gpu *g, Pool *pool, const bool *wanted, GpuCode *c, const char *path, char err[ERR_MAX]);
/* g NULL: nothing was loaded. */
void gpu_code_free(const Gpu *g, GpuCode *c);
/* The error where the device runs none of a text's families. */
bool gpu_check_family(const Gpu *g, const NetcDevice *d, const char *path, char err[ERR_MAX]);
#endif
