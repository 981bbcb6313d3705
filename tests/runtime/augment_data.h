/* augment_data.h - samplers whose items are the test's own: images and masks are put where the sampler keeps
 * those that it has read, so that nothing but the sampler is tested. */
#ifndef NETC_AUGMENT_DATA_H
#define NETC_AUGMENT_DATA_H
#include <string.h>
#include "tests/test.h"
#include "tests/runtime/streams.h"
#include "runtime/batch/sampling.h"

static char err[ERR_MAX];

/* The phantom's list of items, 64 of them for training. */
static inline Dataset *open_items(const DataShape *shape) {
  Dataset *d = data_open("phantom", shape, err);
  if (!d) fail_msg("%s", err);
  return d;
}

typedef struct {
  float *image;
  uint8_t *label;
  int channels;
  int64_t n, dim[3]; /* elements of a channel; three axes */
} Drawn;

/* A sampler of items that `draw` writes, each of the extents dim (spatial of them). */
static inline Sampler *sampler_of(Dataset *d, const NetcStream *stream, int number, uint64_t seed,
                                  const int64_t *dim, void (*draw)(const Drawn *, int item)) {
  Sampler *s = sampler_new(d, stream, number, seed, err);
  if (!s) fail_msg("%s", err);
  Drawn out = {.channels = d->shape.channels, .n = 1, .dim = {1, 1, 1}};
  for (int a = 0; a < d->shape.spatial; a++) out.n *= dim[a], out.dim[3 - d->shape.spatial + a] = dim[a];
  for (int i = 0; i < s->n; i++) {
    Sample *x = &s->kept[i];
    x->image = out.image = calloc((size_t)(out.n * out.channels), sizeof *x->image);
    x->label = out.label = calloc((size_t)out.n, 1);
    memcpy(x->dim, dim, (size_t)d->shape.spatial * sizeof *dim);
    assert_true(x->image && x->label);
    draw(&out, s->item[i]);
  }
  return s;
}

/* Numbers of [-1, 1) without a pattern, and classes 0 to 2. */
static inline void draw_noise(const Drawn *x, int item) {
  uint32_t bits[4];
  for (int64_t i = 0; i < x->n * x->channels; i++) {
    philox_at(bits, 5, 0, (uint64_t)item, (uint64_t)i);
    x->image[i] = (float)(bits[0] >> 8) * 0x1p-23f - 1;
    x->label[i % x->n] = (uint8_t)(bits[1] % 3);
  }
}

static inline uint64_t fnv(uint64_t h, const void *data, size_t n) {
  for (const uint8_t *p = data; n > 0; n--) h = (h ^ *p++) * 1099511628211u;
  return h;
}
#endif
