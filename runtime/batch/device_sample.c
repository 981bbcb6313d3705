/* device_sample.c - samples that a device takes itself, of images that it keeps: their views, and what of
 * them the host makes all the same. */
#include "runtime/batch/sampling.h"

/* Has the batch a field that only the host makes? */
static bool has_host_field(const BatchField *field, int nfield) {
  for (int f = 0; f < nfield; f++)
    if (!batch_field[field[f].kind].by_device) return true;
  return false;
}

/* Has it one that the device makes of masks? */
static bool has_device_mask(const BatchField *field, int nfield) {
  for (int f = 0; f < nfield; f++)
    if (batch_field[field[f].kind].by_device && batch_field[field[f].kind].mask) return true;
  return false;
}

static bool keep(const Sampler *s, const ImageStore *store, int i, const Sample *x, char err[ERR_MAX]) {
  int64_t n = sample_count(s, x->dim);
  return store->keep(store->user, s->item[i], x->image, n * s->data->shape.channels, x->label,
                     x->label ? n : 0, x->dim, err);
}

/* The sample as the device wants it, whose image and mask the store has found. */
static void describe(const View *v, NetcView *out) {
  double image = out->image, label = out->label;
  *out = v->of;
  out->image = image, out->label = label;
}

/* Sample k, by its view where the store has its image. What the device cannot make is made here, of an image
 * and a mask that must be here. */
static bool device_sample(Sampler *s, int i, uint64_t iteration, uint64_t k, int64_t batch,
                          const BatchField *field, int nfield, const ImageStore *store, NetcView *view,
                          char err[ERR_MAX]) {
  int64_t dim[3] = {0, 0, 0};
  bool maps = has_host_field(field, nfield), there = store->find(store->user, s->item[i], dim, view);
  bool owned = false, ok = true, index = s->augment.foreground > 0 && !s->index[i];
  Sample x = {.image = NULL};
  if (!there || maps || index) {
    if (!sampler_fetch(s, i, &x, &owned, err)) return false;
    ok = there || keep(s, store, i, &x, err);
    there = ok && store->find(store->user, s->item[i], dim, view);
  }
  if (there && view->label < 0 && has_device_mask(field, nfield)) there = false;
  if (ok && !x.image && !there) ok = sampler_fetch(s, i, &x, &owned, err);
  if (ok) {
    Taking t = sample_begin(s, i, there ? dim : x.dim, iteration, k, batch);
    if (there) describe(&t.view, view);
    else *view = (NetcView){.image = -1, .label = -1};
    if (x.image) ok = sample_make(&t, &x, field, nfield, there, err);
  }
  if (owned) sample_free(&x);
  if (there && !maps) sampler_forget(s, i);
  return ok;
}

bool sampler_views(Sampler *s, uint64_t iteration, const BatchField *field, int nfield,
                   const ImageStore *store, NetcView *view, char err[ERR_MAX]) {
  int64_t batch = nfield ? field[0].batch : 0;
  bool ok = true;
  pthread_mutex_lock(&s->lock);
  for (int64_t k = 0; ok && k < batch; k++)
    ok = device_sample(s, sampler_pick(s, iteration, (uint64_t)k, batch), iteration, (uint64_t)k, batch,
                       field, nfield, store, &view[k], err);
  pthread_mutex_unlock(&s->lock);
  return ok;
}

/* Items of a 2-D module have its size; volumes their own. */
int64_t data_bytes(const Dataset *d) {
  if (d->shape.spatial != 2) return -1;
  return d->nitem * (d->shape.size[0] * d->shape.size[1] * (4 * (int64_t)d->shape.channels + 1) + 512);
}
