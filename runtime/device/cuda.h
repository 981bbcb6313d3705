/* cuda.h - an NVIDIA GPU as a device (runtime/session/device.h), among the files that make it up: cuda.c
 * (opening), cuda_memory.c (arena and code), cuda_io.c (what is copied when), cuda_store.c and cuda_fill.c
 * (images kept there, batches made of them), cuda_launch.c and cuda_run.c (launches, graphs, times). What
 * they keep is described in cuda_device.h. */
#ifndef NETRUN_CUDA_H
#define NETRUN_CUDA_H
#include "runtime/device/cuda_device.h"
#include "runtime/session/device.h"

/* cuda.c */
bool cuda_device_open(Session *s, int number, char err[ERR_MAX]);

/* cuda_memory.c */
void cuda_forget_graphs(const Session *s);
bool cuda_prepare(const Session *s, const NetcFn *f, char err[ERR_MAX]);

/* cuda_io.c */
bool cuda_make_buffers(const Session *s, const NetcFn *f, char err[ERR_MAX]);
void cuda_free_buffers(const Session *s, CudaFn *c);
bool cuda_give(const Session *s, const NetcFn *f, int slot, const BatchInput *in, int n, NetcStep step,
               char err[ERR_MAX]);
void cuda_accept(const Session *s, const NetcFn *f, int slot);
void cuda_changed(const Session *s);
bool cuda_fetch(const Session *s, char err[ERR_MAX]);
/* Before a run: variables and inputs on their way; after: outputs in their places. */
bool cuda_send(const Session *s, const NetcFn *f, NetcStep step, char err[ERR_MAX]);
bool cuda_copy_outputs(const Session *s, const CudaFn *c, char err[ERR_MAX]);
void cuda_receive(const Session *s, const NetcFn *f);

/* cuda_fill.c */
bool cuda_images(const Session *s, const NetcFn *f, int items, int64_t bytes, const ImageStore **out,
                 char err[ERR_MAX]);
/* Inputs with views, by the device and, of samples whose images are not there, from the host. */
bool cuda_fill_batch(const Session *s, const NetcFn *f, int slot, const BatchInput *in, int n, NetcStep step,
                     char err[ERR_MAX]);

/* cuda_launch.c */
/* Kernel number `kernel` of the module's table for GPUs, with the addresses of its arguments and of its
 * step. */
CUresult cuda_launch_kernel(const Session *s, int kernel, const uint64_t *address, int n, uint64_t step,
                            int64_t tasks, CUstream stream);

/* cuda_run.c */
bool cuda_run(const Session *s, const NetcFn *f, NetcStep step, char err[ERR_MAX]);
bool cuda_begin(const Session *s, const NetcFn *f, NetcStep step, char err[ERR_MAX]);
bool cuda_finish(const Session *s, const NetcFn *f, char err[ERR_MAX]);
bool cuda_run_observed(const Session *s, const NetcFn *f, NetcStep step, const Observer *o,
                       char err[ERR_MAX]);
bool cuda_rates(const Session *s, Rates *out, char err[ERR_MAX]);
#endif
