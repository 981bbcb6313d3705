/* cuda_store.h - images of a data set on the GPU, and batches that the GPU takes from them.
 *
 * Whole images lie in one pool, as many as find room; each is sent once, when it is first asked for. A batch
 * is then a table of views (NetcView), a few hundred bytes; a kernel per field makes its samples in the place
 * where batches given ahead lie. Samples whose image found no room come from the host, as those of streams
 * without such kernels do; which it is changes no bit. All calls but opening and closing are for the thread
 * that gives batches. */
#ifndef NETRUN_CUDA_STORE_H
#define NETRUN_CUDA_STORE_H
#include "runtime/session/image_store.h"
#include "runtime/device/gpu.h"

typedef struct {
  bool there;
  int64_t image, label, dim[3]; /* words from the pool's start; label -1: none */
} KeptImage;

typedef struct {
  const Gpu *gpu;
  CUstream stream;
  CUdeviceptr pool;
  int64_t words, used; /* of 4 bytes */
  KeptImage *kept;     /* per item */
  int nkept;
  int64_t table_bytes;   /* of a batch: a NetcStep, padded to 64, then the views of all streams */
  uint8_t *table[2];     /* pinned, per slot */
  CUdeviceptr on_gpu[2]; /* and there */
  ImageStore calls;
} CudaStore;
enum { TABLE_VIEWS = 64 }; /* where a table's views begin */

/* A pool of `bytes`, for n items, and tables of `views` views. */
bool cuda_store_open(CudaStore *s, const Gpu *g, CUstream stream, int64_t bytes, int n, int64_t views,
                     char err[ERR_MAX]);
void cuda_store_close(CudaStore *s);
#endif
