/* sampler.h - batches: which items make up batch `iteration` of a stream, and their augmentation, all a pure
 * function of (seed, iteration, stream): a resumed run sees what the first would have seen.
 *
 * Functions that can fail return false or NULL and put one sentence into err. */
#ifndef NETRUN_SAMPLER_H
#define NETRUN_SAMPLER_H
#include "runtime/data/data.h"
#include "runtime/session/image_store.h"

typedef struct Sampler Sampler;
typedef struct {
  int32_t kind;  /* NetcFieldKind */
  int64_t batch; /* N */
  void *dst;     /* float, or int32_t (LABEL), in the input's memory order: channels last */
} BatchField;
/* number: the stream's among the module's. The data set is borrowed. */
Sampler *sampler_new(Dataset *d, const NetcStream *stream, int number, uint64_t seed, char err[ERR_MAX]);
void sampler_free(Sampler *s);
/* Iterations in which every item of the source is seen once: max(1, items / batch). */
int64_t sampler_epoch(const Sampler *s, int64_t batch);
/* Fills every field with N samples of the module's size. Loaded items are kept in memory up to a budget.
 * Thread-safe per sampler. */
bool sampler_batch(Sampler *s, uint64_t iteration, const BatchField *field, int nfield, char err[ERR_MAX]);

/* As sampler_batch, but images and labels of the samples that are in the store, or find room there, are not
 * made: their views are written instead, of the others view->image and view->label are -1. view: N of
 * them. */
bool sampler_views(Sampler *s, uint64_t iteration, const BatchField *field, int nfield,
                   const ImageStore *store, NetcView *view, char err[ERR_MAX]);
/* Bytes that all images of the samplers' data set and their labels take on a device; -1: not known before
 * they are read. */
int64_t data_bytes(const Dataset *d);
#endif
