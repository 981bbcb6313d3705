/* cuda_store.c - images of a data set in one pool of GPU memory, filled in the order in which they are first
 * asked for, until it is full. */
#include "runtime/device/cuda_store.h"
#include <stdlib.h>
#include <string.h>

enum { APART = 16 }; /* words that images begin at multiples of */

static bool find(void *user, int item, int64_t dim[3], NetcView *view) {
  const CudaStore *s = user;
  const KeptImage *k = &s->kept[item];
  if (!k->there) return false;
  memcpy(dim, k->dim, sizeof k->dim);
  view->image = (double)k->image, view->label = (double)k->label;
  return true;
}

static int64_t padded(int64_t words) { return (words + APART - 1) / APART * APART; }

/* From memory that is not pinned: each image once. Such a copy may be under way when the call returns (a
 * device that reads all of the host's memory takes it from there), so who sends waits before the memory is
 * its owner's again. */
static bool send(const CudaStore *s, int64_t word, const void *from, int64_t bytes, char err[ERR_MAX]) {
  return GPU(s->gpu, err, cuMemcpyHtoDAsync, s->pool + 4 * (uint64_t)word, from, (size_t)bytes, s->stream);
}

static bool keep(void *user, int item, const float *image, int64_t floats, const uint8_t *label,
                 int64_t bytes, const int64_t dim[3], char err[ERR_MAX]) {
  CudaStore *s = user;
  int64_t words = padded(floats) + padded((bytes + 3) / 4);
  if (item >= s->nkept || words > s->words - s->used) return true;
  KeptImage k = {true, s->used, label ? s->used + padded(floats) : -1, {dim[0], dim[1], dim[2]}};
  if (!gpu_enter(s->gpu, err) || !send(s, k.image, image, 4 * floats, err) ||
      (label && !send(s, k.label, label, bytes, err)) || !GPU(s->gpu, err, cuStreamSynchronize, s->stream))
    return false;
  s->used += words;
  s->kept[item] = k;
  return true;
}

bool cuda_store_open(CudaStore *s, const Gpu *g, CUstream stream, int64_t bytes, int n, int64_t views,
                     char err[ERR_MAX]) {
  *s = (CudaStore){.gpu = g, .stream = stream, .words = bytes / 4, .nkept = n, .calls = {s, find, keep}};
  s->table_bytes = TABLE_VIEWS + views * (int64_t)sizeof(NetcView);
  s->kept = calloc((size_t)n + 1, sizeof *s->kept);
  if (!s->kept) return err_memory(err, "the table of images", n * (int64_t)sizeof *s->kept);
  bool ok = gpu_alloc(g, bytes, "keeping images", &s->pool, err);
  for (int i = 0; ok && i < 2; i++)
    ok = gpu_alloc(g, s->table_bytes, "a batch's table", &s->on_gpu[i], err) &&
         gpu_alloc_host(g, s->table_bytes, (void **)&s->table[i], err);
  return ok;
}

void cuda_store_close(CudaStore *s) {
  for (int i = 0; s->gpu && i < 2; i++)
    gpu_free(s->gpu, &s->on_gpu[i]), gpu_free_host(s->gpu, (void **)&s->table[i]);
  if (s->gpu) gpu_free(s->gpu, &s->pool);
  free(s->kept);
  *s = (CudaStore){.gpu = NULL};
}
