/* cuda_device.h - what a session keeps on an NVIDIA GPU.
 *
 * All of a session's runs go through one stream. A run is: the step and the host's scalars to the device, the
 * batch to its place, all launches, the outputs back. The launches are captured once as a graph, so that the
 * host makes one call for them. A batch that is given ahead is copied by a second stream into memory of its
 * own and put in its place by the device.
 *
 * Two runs may be on their way: while the one works, the next is begun, and the outputs of the one are read
 * when it is done. So what the host writes for a run, and what the device writes for the host, exists twice,
 * and runs use the two in turn (`begun`). The host writes again to what belongs to run n when run n - 2 is
 * done, which it has waited for. */
#ifndef NETRUN_CUDA_DEVICE_H
#define NETRUN_CUDA_DEVICE_H
#include "runtime/device/cuda_store.h"
#include "runtime/device/gpu.h"
#include "runtime/session/session.h"

/* NETRUN_CUDA_LAUNCH: graph (default), plain: launch by launch, checked: and wait for each. */
typedef enum { LAUNCH_GRAPH, LAUNCH_PLAIN, LAUNCH_CHECKED } LaunchMode;

/* Neighbouring outputs, copied at once. */
typedef struct {
  int64_t from, to, bytes; /* in the arena, in CudaFn.outputs */
} Span;

typedef struct {
  const NetcFn *plan;
  bool ready;
  int64_t *place; /* of every input: in a batch; -1: a scalar of the host */
  int64_t batch_bytes;
  uint8_t *batch[2];     /* pinned: what the device copies from */
  CUdeviceptr ahead[2];  /* batches given ahead, on the device */
  uint8_t *control[2];   /* pinned: a NetcStep, then 4 bytes for every input */
  uint8_t *outputs[2];   /* pinned */
  int64_t *output_place; /* of every output, in `outputs` */
  Span *span;
  int nspan;
  CUgraphExec graph; /* NULL: not made */
} CudaFn;

typedef struct {
  Gpu gpu;
  CUstream stream, copies;
  CUevent given[2];      /* a batch is on the device; */
  CUevent taken[2];      /* a run has put it in its place; */
  CUevent done[2];       /* a run's outputs are the host's */
  uint64_t begun, ended; /* runs */
  CUdeviceptr arena;
  int64_t arena_bytes; /* a NetcStep lies behind it */
  GpuCode code;
  NetcKernel *kernels; /* Session.kernels */
  CudaFn *fn;
  CudaStore store;
  LaunchMode mode;
  bool written;  /* by the host: its variables are newer than the device's; */
  bool computed; /* or the other way round */
  int slot;      /* accepted for the next run of `slot_fn`, -1: none */
  const CudaFn *slot_fn;
} CudaDevice;

static inline CudaDevice *cuda_of(const Session *s) { return s->state; }
static inline CudaFn *cuda_fn(const Session *s, const NetcFn *f) {
  return &cuda_of(s)->fn[f - s->module->desc->fns];
}
#endif
