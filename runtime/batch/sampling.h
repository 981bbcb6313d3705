/* sampling.h - what the files that make batches share: sampler.c chooses items, sample.c makes the fields of
 * a sample, device_sample.c those that a device does not make itself. */
#ifndef NETRUN_SAMPLING_H
#define NETRUN_SAMPLING_H
#include <pthread.h>
#include "runtime/base/field.h"
#include "runtime/batch/foreground.h"
#include "runtime/batch/change.h"
#include "runtime/batch/sampler.h"
#include "runtime/batch/take.h"

/* A stream's augmentations, sorted by what they are. */
typedef struct {
  NetcAugment own[2 * NETC_AUGMENT_MOST]; /* what the steps point at */
  Placing placing;
  Step value[NETC_AUGMENT_MOST], strong[NETC_AUGMENT_MOST];
  int values, strongs;
  double foreground;
} Augmentation;

struct Sampler {
  Dataset *data;
  int n, *item;       /* items of the source */
  Sample *kept;       /* per item of the source: loaded already, if image is set */
  Foreground **index; /* per item of the source: made already, if set */
  int64_t room;       /* bytes that may still be kept */
  Augmentation augment;
  uint64_t seed, stream;
  uint64_t round; /* round `order` is of */
  int *order;
  int64_t size[3], count; /* extents of a sample, always three axes; elements of one channel */
  float *planes, *strong; /* a sample's image, channel by channel, and its second view */
  uint8_t *label, *mask;  /* its label map; the same without what is to be ignored */
  float *scratch;
  Rows *rows;
  Elastic *elastic; /* NULL: not in the list */
  pthread_mutex_t lock;
};

/* Sample k of a batch: which item it is of, and how it is taken from it. */
typedef struct {
  Sampler *s;
  int item;        /* of the data set */
  const Sample *x; /* its image and mask */
  View view;
  bool bent;     /* by s->elastic */
  bool pictures; /* s->planes has its image */
  bool masks;    /* s->label has its labels */
  Chance chance;
} Taking;

/* ---- sampler.c ---- */
/* The number of item k of the batch among the source's. */
int sampler_pick(Sampler *s, uint64_t iteration, uint64_t k, int64_t batch);
/* The item's sample, from memory or from its files. *owned: the caller frees it. */
bool sampler_fetch(Sampler *s, int i, Sample *out, bool *owned, char err[ERR_MAX]);
void sampler_forget(Sampler *s, int i); /* what sampler_fetch keeps of it */
int64_t sample_count(const Sampler *s, const int64_t *dim);

/* ---- sample.c ---- */
/* batch: samples of each iteration; dim: the item's extents. */
Taking sample_begin(Sampler *s, int i, const int64_t *dim, uint64_t iteration, uint64_t k, int64_t batch);
/* Makes the fields; by_device: but for those that the device makes. */
bool sample_make(Taking *t, const Sample *x, const BatchField *field, int nfield, bool by_device,
                 char err[ERR_MAX]);
#endif
