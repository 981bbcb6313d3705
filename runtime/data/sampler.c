/* sampler.c - what makes up a batch. Sample k of iteration t is item number (t*N + k) of an endless sequence:
 * the source's items in a fresh random order every round, so each item comes once a round. Augmentation is
 * drawn from (seed, iteration, stream, k). Nothing here remembers the past, so a resumed run continues
 * exactly. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "codegen/abi.h"
#include "runtime/base/field.h"
#include "runtime/data/internal.h"
#include "ir/gauss.h"
#include "ir/philox.h"

struct Sampler {
  Dataset *data;
  int n, *item; /* items of the source */
  Sample *kept; /* per item of the source: loaded already, if image is set */
  int64_t room; /* bytes that may still be kept */
  uint32_t augment;
  uint64_t seed, stream;
  uint64_t round; /* round `order` is of */
  int *order;
  uint8_t *label; /* room for one label map of the module's size */
  pthread_mutex_t lock;
};

static double draw(const Sampler *s, uint64_t iteration, uint64_t site, uint64_t index) {
  return (double)philox_uniform(s->seed, iteration, netc_batch_site(s->stream, site), index);
}

/* Fisher-Yates by numbers of (seed, round). */
static void shuffle(Sampler *s, uint64_t round) {
  if (round == s->round) return;
  for (int i = 0; i < s->n; i++) s->order[i] = i;
  for (int i = s->n - 1; i > 0; i--) {
    int j = (int)(draw(s, round, NETC_SITE_ORDER, (uint64_t)i) * (i + 1)), t = s->order[i];
    s->order[i] = s->order[j], s->order[j] = t;
  }
  s->round = round;
}

static void take_items(Sampler *s, int source) {
  for (int i = 0; i < s->data->nitem; i++) {
    const Item *item = &s->data->item[i];
    if (item->split != SPLIT_TRAIN) continue;
    if (source == NETC_SRC_ALL || (source == NETC_SRC_LABELED) == item->labeled) s->item[s->n++] = i;
  }
}

/* Where everything is labelled, the labelled images serve as unlabelled ones too, without their masks. */
static void choose_items(Sampler *s, int source) {
  take_items(s, source);
  if (!s->n && source == NETC_SRC_UNLABELED) take_items(s, NETC_SRC_ALL);
}

static bool budget(int64_t *bytes, char err[ERR_MAX]) {
  const char *text = getenv("NETRUN_CACHE_MB");
  char *end = NULL;
  long long mb = text ? strtoll(text, &end, 10) : 4096;
  if (text && (end == text || *end || mb < 0 || mb > 1 << 30))
    return err_set(err, "NETRUN_CACHE_MB is `%s`; a whole number of MiB is expected", text);
  return *bytes = mb << 20, true;
}

/* Elements of one sample of the module's size. */
static int64_t patch_count(const Sampler *s) {
  int64_t n = 1;
  for (int a = 0; a < s->data->shape.spatial; a++) n *= s->data->shape.size[a];
  return n;
}

Sampler *sampler_new(Dataset *d, int source, uint32_t augment, int stream, uint64_t seed, char err[ERR_MAX]) {
  int64_t room = 0;
  if (!budget(&room, err)) return NULL;
  Sampler *s = calloc(1, sizeof *s);
  if (s) s->item = malloc((size_t)d->nitem * sizeof *s->item);
  if (!s || !s->item) return free(s), err_set(err, "not enough memory"), NULL;
  pthread_mutex_init(&s->lock, NULL);
  s->data = d, s->augment = augment, s->seed = seed, s->stream = (uint64_t)stream, s->round = UINT64_MAX,
  s->room = room;
  choose_items(s, source);
  s->kept = calloc((size_t)s->n + 1, sizeof *s->kept), s->order = calloc((size_t)s->n + 1, sizeof *s->order);
  s->label = malloc((size_t)patch_count(s));
  if (s->n && s->kept && s->order && s->label) return s;
  err_set(err, s->n ? "not enough memory" : "%s: no %straining images", d->name,
          source == NETC_SRC_LABELED ? "labelled " : "");
  sampler_free(s);
  return NULL;
}

void sampler_free(Sampler *s) {
  if (!s) return;
  for (int i = 0; s->kept && i < s->n; i++) sample_free(&s->kept[i]);
  pthread_mutex_destroy(&s->lock);
  free(s->kept), free(s->order), free(s->label), free(s->item), free(s);
}

int64_t sampler_epoch(const Sampler *s, int64_t batch) { return s->n / batch > 0 ? s->n / batch : 1; }

static int64_t sample_count(const Sample *x, int spatial) {
  int64_t n = 1;
  for (int a = 0; a < spatial; a++) n *= x->dim[a];
  return n;
}

static int64_t sample_bytes(const Sampler *s, const Sample *x) {
  return sample_count(x, s->data->shape.spatial) * (s->data->shape.channels * (int64_t)sizeof(float) + 1);
}

/* The item's sample, from memory or from its files. *owned: the caller frees it. */
static bool fetch(Sampler *s, int i, Sample *out, bool *owned, char err[ERR_MAX]) {
  *owned = false;
  if (s->kept[i].image) return *out = s->kept[i], true;
  if (!data_load_part(s->data, s->item[i], false, out, err)) return false;
  int64_t bytes = sample_bytes(s, out);
  free(out->own_label);
  out->own_label = NULL;
  if (bytes <= s->room) s->kept[i] = *out, s->room -= bytes;
  else *owned = true;
  return true;
}

/* How one sample is taken from its image: output place o (of the module's size) reads input place
 * start + scale * R(o), R the flips and quarter turns. Always three axes, leading ones of extent 1. */
typedef struct {
  int64_t size[3], dim[3];
  double start[3], scale[3];
  bool flip[3];
  int turns;
} View;

static View view_of(const Sampler *s, const int64_t dim[3], uint64_t iteration, uint64_t k) {
  const DataShape *shape = &s->data->shape;
  View v = {.size = {1, 1, 1}, .dim = {1, 1, 1}, .scale = {1, 1, 1}};
  int sp = shape->spatial, first = 3 - sp;
  for (int a = 0; a < sp; a++) v.size[first + a] = shape->size[a], v.dim[first + a] = dim[a];
  uint64_t at = k * 16;
  if (s->augment & NETC_AUG_FLIP)
    for (int a = first; a < 3; a++) v.flip[a] = draw(s, iteration, NETC_SITE_AUGMENT, at + (uint64_t)a) < 0.5;
  if (s->augment & NETC_AUG_ROT90) { /* unequal sides allow half turns only */
    int t = (int)(4 * draw(s, iteration, NETC_SITE_AUGMENT, at + 3));
    v.turns = v.size[first] == v.size[first + 1] ? t : t & 2;
  }
  double zoom =
      sp == 2 && s->augment & NETC_AUG_CROP ? 0.8 + 0.2 * draw(s, iteration, NETC_SITE_AUGMENT, at + 4) : 1;
  for (int a = first; a < 3; a++) {
    double u = s->augment & NETC_AUG_CROP ? draw(s, iteration, NETC_SITE_AUGMENT, at + 5 + (uint64_t)a) : 0.5;
    double spare = (double)v.dim[a] - zoom * (double)v.size[a];
    v.scale[a] = zoom;
    if (zoom < 1) v.start[a] = u * spare + 0.5 * zoom - 0.5; /* centres of elements stay centres */
    else v.start[a] = spare >= 0 ? floor(u * (spare + 1)) : -floor(-spare / 2);
  }
  return v;
}

/* Output place o, turned and flipped. */
static void turn(const View *v, int first, const int64_t o[3], int64_t p[3]) {
  memcpy(p, o, 3 * sizeof *p);
  int64_t h = v->size[first], w = v->size[first + 1], y = p[first], x = p[first + 1];
  switch (v->turns) {
  case 1: p[first] = x, p[first + 1] = w - 1 - y; break;
  case 2: p[first] = h - 1 - y, p[first + 1] = w - 1 - x; break;
  case 3: p[first] = h - 1 - x, p[first + 1] = y; break;
  }
  for (int a = 0; a < 3; a++)
    if (v->flip[a]) p[a] = v->size[a] - 1 - p[a];
}

/* Place in the input of output place o. */
static void place(const View *v, int first, const int64_t o[3], double in[3]) {
  int64_t p[3];
  turn(v, first, o, p);
  for (int a = 0; a < 3; a++) in[a] = v->start[a] + v->scale[a] * (double)p[a];
}

/* The same as a device wants it: turns and flips as what they do to places, which is affine. */
static void describe(const View *v, int first, NetcView *out) {
  int64_t zero[3] = {0, 0, 0}, from[3], to[3];
  turn(v, first, zero, from);
  for (int a = 0; a < 3; a++) {
    out->axis[a].start = v->start[a], out->axis[a].scale = v->scale[a];
    out->axis[a].size = (double)v->dim[a], out->axis[a].from = (double)from[a];
  }
  for (int b = 0; b < 3; b++) {
    int64_t o[3] = {b == 0, b == 1, b == 2};
    turn(v, first, o, to);
    for (int a = 0; a < 3; a++) out->axis[a].by[b] = (double)(to[a] - from[a]);
  }
}

static int64_t offset(const View *v, const int64_t p[3]) {
  return (p[0] * v->dim[1] + p[1]) * v->dim[2] + p[2];
}

/* Linear between the neighbours; beyond the image zero. Whole places (no zoom) read one element. */
static float read_linear(const View *v, const float *image, const double at[3]) {
  int64_t p[3], q[3];
  double f[3], sum = 0;
  for (int a = 0; a < 3; a++) {
    p[a] = (int64_t)floor(at[a]), f[a] = at[a] - (double)p[a];
    if (f[a] == 0) {
      if (p[a] < 0 || p[a] >= v->dim[a]) return 0;
    } else if (p[a] < 0) p[a] = 0, f[a] = 0;
    else if (p[a] >= v->dim[a] - 1) p[a] = v->dim[a] - 1, f[a] = 0;
  }
  for (int corner = 0; corner < 8; corner++) {
    double weight = 1;
    for (int a = 0; a < 3; a++) {
      int up = corner >> a & 1;
      weight *= up ? f[a] : 1 - f[a];
      q[a] = p[a] + up;
    }
    if (weight > 0) sum += weight * (double)image[offset(v, q)];
  }
  return (float)sum;
}

static uint8_t read_label(const View *v, const uint8_t *label, const double at[3]) {
  int64_t p[3];
  for (int a = 0; a < 3; a++) {
    p[a] = (int64_t)floor(at[a] + 0.5);
    if (v->scale[a] < 1) p[a] = p[a] < 0 ? 0 : p[a] >= v->dim[a] ? v->dim[a] - 1 : p[a];
    else if (p[a] < 0 || p[a] >= v->dim[a]) return 0;
  }
  return label[offset(v, p)];
}

typedef struct {
  Sampler *s;
  int item; /* of the data set */
  const Sample *x;
  View view;
  uint64_t iteration, k;
  int first;
  int64_t n;
} Taking;

static void coordinates(const View *v, int64_t i, int64_t o[3]) {
  o[0] = i / (v->size[1] * v->size[2]), o[1] = i / v->size[2] % v->size[1], o[2] = i % v->size[2];
}

static void take_image(const Taking *t, float *dst) {
  int c = t->s->data->shape.channels;
  int64_t plane = t->view.dim[0] * t->view.dim[1] * t->view.dim[2], o[3];
  double at[3], sigma = t->s->augment & NETC_AUG_NOISE ? NETC_NOISE_DEVIATION : 0;
  for (int64_t i = 0; i < t->n; i++) {
    coordinates(&t->view, i, o);
    place(&t->view, t->first, o, at);
    for (int ch = 0; ch < c; ch++) {
      float v = read_linear(&t->view, t->x->image + ch * plane, at);
      if (sigma > 0) { /* of two numbers of this element */
        uint64_t e = 2 * ((t->k * (uint64_t)t->n + (uint64_t)i) * (uint64_t)c + (uint64_t)ch);
        double u = 1 - draw(t->s, t->iteration, NETC_SITE_NOISE, e),
               w = draw(t->s, t->iteration, NETC_SITE_NOISE, e + 1);
        v += (float)(sigma * gauss_of(u, w));
      }
      dst[i * c + ch] = v;
    }
  }
}

static bool no_mask(const Dataset *d, int item, char err[ERR_MAX]) {
  return err_set(
      err,
      "%s: %s has no mask, which a batch with labels needs of each of its images; add the mask, or leave "
      "the case out with a list in train.list or --labeled FILE",
      d->name, d->item[item].name);
}

/* ---- a sample of every kind of field (ir/fields.def) ---- */

static bool make_IMAGE(const Taking *t, const BatchField *f, char err[ERR_MAX]) {
  (void)err;
  take_image(t, (float *)f->dst + (int64_t)t->k * t->n * t->s->data->shape.channels);
  return true;
}

static bool take_label(const Taking *t, char err[ERR_MAX]) {
  int64_t o[3];
  double at[3];
  if (!t->x->label) return no_mask(t->s->data, t->item, err);
  for (int64_t i = 0; i < t->n; i++) {
    coordinates(&t->view, i, o);
    place(&t->view, t->first, o, at);
    t->s->label[i] = read_label(&t->view, t->x->label, at);
  }
  return true;
}

static bool make_LABEL(const Taking *t, const BatchField *f, char err[ERR_MAX]) {
  if (!take_label(t, err)) return false;
  for (int64_t i = 0; i < t->n; i++) ((int32_t *)f->dst)[(int64_t)t->k * t->n + i] = t->s->label[i];
  return true;
}

static bool make_SDF(const Taking *t, const BatchField *f, char err[ERR_MAX]) {
  const DataShape *shape = &t->s->data->shape;
  if (!take_label(t, err)) return false;
  return sdf_map(t->s->label, shape->spatial, shape->size, (float *)f->dst + (int64_t)t->k * t->n) ||
         err_set(err, "not enough memory for a signed distance map");
}

static bool (*const make_field[BATCH_FIELDS])(const Taking *, const BatchField *, char *) = {
#define FIELD(name, word, type, element, content, maker, draw) [NETC_FIELD_##name] = make_##name,
#include "ir/fields.def"
#undef FIELD
};

/* The number of item k of the batch among the source's. */
static int pick(Sampler *s, uint64_t iteration, uint64_t k, int64_t batch) {
  uint64_t number = iteration * (uint64_t)batch + k;
  shuffle(s, number / (uint64_t)s->n);
  return s->order[number % (uint64_t)s->n];
}

/* Fields of sample k, which is item i of the source; those that the device makes are left out. */
static bool take(Sampler *s, int i, const Sample *x, uint64_t iteration, uint64_t k, const BatchField *field,
                 int nfield, bool by_device, char err[ERR_MAX]) {
  int64_t n = patch_count(s);
  Taking t = {.s = s, .item = s->item[i], .x = x, .iteration = iteration, .k = k, .n = n};
  t.first = 3 - s->data->shape.spatial;
  t.view = view_of(s, x->dim, iteration, k);
  bool ok = true;
  for (int f = 0; ok && f < nfield; f++) {
    if (by_device && batch_field[field[f].kind].by_device) continue;
    ok = make_field[field[f].kind](&t, &field[f], err);
  }
  return ok;
}

static bool host_sample(Sampler *s, int i, uint64_t iteration, uint64_t k, const BatchField *field,
                        int nfield, char err[ERR_MAX]) {
  Sample x;
  bool owned;
  if (!fetch(s, i, &x, &owned, err)) return false;
  bool ok = take(s, i, &x, iteration, k, field, nfield, false, err);
  if (owned) sample_free(&x);
  return ok;
}

bool sampler_batch(Sampler *s, uint64_t iteration, const BatchField *field, int nfield, char err[ERR_MAX]) {
  int64_t batch = nfield ? field[0].batch : 0;
  bool ok = true;
  pthread_mutex_lock(&s->lock);
  for (int64_t k = 0; ok && k < batch; k++)
    ok = host_sample(s, pick(s, iteration, (uint64_t)k, batch), iteration, (uint64_t)k, field, nfield, err);
  pthread_mutex_unlock(&s->lock);
  return ok;
}

/* ---- samples that a device takes ---- */

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
  int64_t n = sample_count(x, s->data->shape.spatial);
  return store->keep(store->user, s->item[i], x->image, n * s->data->shape.channels, x->label,
                     x->label ? n : 0, x->dim, err);
}

/* A device has the image now: here it is not needed. */
static void forget(Sampler *s, int i) {
  if (!s->kept[i].image) return;
  s->room += sample_bytes(s, &s->kept[i]);
  sample_free(&s->kept[i]);
}

/* Sample k, by its view where the store has its image. What the device cannot make is made here, of an image
 * and a mask that must be here. */
static bool device_sample(Sampler *s, int i, uint64_t iteration, uint64_t k, const BatchField *field,
                          int nfield, const ImageStore *store, NetcView *view, char err[ERR_MAX]) {
  int64_t dim[3] = {0, 0, 0};
  bool maps = has_host_field(field, nfield), there = store->find(store->user, s->item[i], dim, view);
  bool owned = false, ok = true;
  Sample x = {.image = NULL};
  if (!there || maps) {
    if (!fetch(s, i, &x, &owned, err)) return false;
    ok = there || keep(s, store, i, &x, err);
    there = ok && store->find(store->user, s->item[i], dim, view);
  }
  if (there && view->label < 0 && has_device_mask(field, nfield)) there = false;
  if (there) {
    View v = view_of(s, dim, iteration, k);
    describe(&v, 3 - s->data->shape.spatial, view);
  } else *view = (NetcView){.image = -1, .label = -1};
  if (ok && !x.image && !there) ok = fetch(s, i, &x, &owned, err);
  if (ok && x.image) ok = take(s, i, &x, iteration, k, field, nfield, there, err);
  if (owned) sample_free(&x);
  if (there && !maps) forget(s, i);
  return ok;
}

bool sampler_views(Sampler *s, uint64_t iteration, const BatchField *field, int nfield,
                   const ImageStore *store, NetcView *view, char err[ERR_MAX]) {
  int64_t batch = nfield ? field[0].batch : 0;
  bool ok = true;
  pthread_mutex_lock(&s->lock);
  for (int64_t k = 0; ok && k < batch; k++)
    ok = device_sample(s, pick(s, iteration, (uint64_t)k, batch), iteration, (uint64_t)k, field, nfield,
                       store, &view[k], err);
  pthread_mutex_unlock(&s->lock);
  return ok;
}

/* Items of a 2-D module have its size; volumes their own. */
int64_t data_bytes(const Dataset *d) {
  if (d->shape.spatial != 2) return -1;
  return d->nitem * (d->shape.size[0] * d->shape.size[1] * (4 * (int64_t)d->shape.channels + 1) + 512);
}
