/* predictor.c - a module's predict function on batches of slices and on windows of a volume: classes by the
 * largest value. */
#include <stdlib.h>
#include <string.h>
#include "runtime/base/array.h"
#include "runtime/eval/predictor.h"
#include "runtime/eval/slide.h"

/* The one input that is an image: float, (N,C,S). */
static const NetcArray *image_input(const NetcFn *f, int spatial) {
  const NetcArray *found = NULL;
  for (int i = 0; i < f->ninputs; i++) {
    const NetcArray *a = &f->inputs[i];
    if (is_host_scalar(a)) continue;
    if (found || a->rank != spatial + 2 || a->dtype != NETC_F32) return NULL;
    found = a;
  }
  return found;
}

static bool output_fits(const NetcArray *in, const NetcArray *out) {
  if (out->rank != in->rank || out->dtype != NETC_F32 || out->dim[0] != in->dim[0]) return false;
  if (out->dim[1] < 2 || out->dim[1] > 256) return false;
  return memcmp(out->dim + 2, in->dim + 2, sizeof *in->dim * (size_t)(in->rank - 2)) == 0;
}

static const NetcFn *find(const Module *m, const NetcArray **in, DataShape *shape, char err[ERR_MAX]) {
  char got[128];
  const NetcFn *f = module_fn_of_kind(m, NETC_FN_PREDICT);
  if (!f) {
    err_set(err, "%s has no predict function: add `predict(image: f32[1, channels, size]) { ... }` to %s",
            m->path, m->desc->source ? m->desc->source : "its source");
    return NULL;
  }
  *in = image_input(f, m->desc->spatial);
  if (!*in || f->noutputs < 1 || !output_fits(*in, &f->outputs[0])) {
    err_set(err,
            "%s: its predict function maps %s to %s; one image f32[N,channels,SIZE] to scores "
            "f32[N,classes,SIZE] of two or more classes is expected",
            m->path, *in ? (*in)->name : "its inputs",
            f->noutputs ? array_str(&f->outputs[0], got) : "nothing");
    return NULL;
  }
  *shape = (DataShape){.spatial = m->desc->spatial, .channels = (int)(*in)->dim[1]};
  memcpy(shape->size, (*in)->dim + 2, sizeof *shape->size * (size_t)shape->spatial);
  shape->classes = f->outputs[0].dim[1];
  return f;
}

bool predictor_shape(const Module *m, DataShape *shape, char err[ERR_MAX]) {
  const NetcArray *in;
  return find(m, &in, shape, err) != NULL;
}

bool predictor_new(Predictor *p, const Session *s, char err[ERR_MAX]) {
  *p = (Predictor){.session = s};
  p->fn = find(s->module, &p->in, &p->shape, err);
  if (!p->fn) return false;
  p->out = &p->fn->outputs[0];
  p->batch = p->in->dim[0], p->patch = 1;
  for (int a = 0; a < p->shape.spatial; a++) p->patch *= p->shape.size[a];
  int64_t in = array_count(p->in), out = array_count(p->out);
  p->images = malloc((size_t)in * sizeof *p->images), p->scores = malloc((size_t)out * sizeof *p->scores);
  if (p->images && p->scores) return true;
  predictor_free(p);
  return err_memory(err, "a batch of images", (in + out) * 4);
}

void predictor_free(Predictor *p) {
  free(p->images), free(p->scores);
  p->images = p->scores = NULL;
}

/* Scores of n <= batch images; the rest of the batch is zeros. */
static bool score_batch(Predictor *p, const float *image, int64_t n, char err[ERR_MAX]) {
  int64_t one = p->patch * p->shape.channels;
  memcpy(p->images, image, (size_t)(n * one) * sizeof *image);
  memset(p->images + n * one, 0, (size_t)((p->batch - n) * one) * sizeof *image);
  array_to_memory(p->in, p->images, session_at(p->session, p->in));
  session_scalars(p->session, p->fn, 0, 0, 0);
  if (!fn_run(p->session, p->fn, (NetcStep){0, 0}, err)) return false;
  array_from_memory(p->out, session_at(p->session, p->out), p->scores);
  return true;
}

static void largest_class(const float *scores, int64_t classes, int64_t patch, uint8_t *mask) {
  for (int64_t i = 0; i < patch; i++) {
    int64_t best = 0;
    for (int64_t c = 1; c < classes; c++)
      if (scores[c * patch + i] > scores[best * patch + i]) best = c;
    mask[i] = (uint8_t)best;
  }
}

bool predictor_slices(Predictor *p, const float *image, int64_t n, uint8_t *mask, char err[ERR_MAX]) {
  for (int64_t i = 0; i < n; i += p->batch) {
    int64_t some = n - i < p->batch ? n - i : p->batch;
    if (!score_batch(p, image + i * p->patch * p->shape.channels, some, err)) return false;
    for (int64_t k = 0; k < some; k++)
      largest_class(p->scores + k * p->patch * p->shape.classes, p->shape.classes, p->patch,
                    mask + (i + k) * p->patch);
  }
  return true;
}

static bool one_window(void *user, const float *image, float *prob, char err[ERR_MAX]) {
  Predictor *p = user;
  if (!score_batch(p, image, 1, err)) return false;
  memcpy(prob, p->scores, (size_t)(p->patch * p->shape.classes) * sizeof *prob);
  return true;
}

bool predictor_volume(Predictor *p, const float *image, const int64_t *dim, uint8_t *mask,
                      char err[ERR_MAX]) {
  return slide_predict(image, &p->shape, dim, NULL, one_window, p, mask, err);
}

int64_t predictor_elements(const Sample *x) {
  return x->dim[0] * x->dim[1] * (x->slices ? x->slices : x->dim[2] ? x->dim[2] : 1);
}

bool predictor_sample(Predictor *p, const Sample *x, uint8_t *classes, char err[ERR_MAX]) {
  if (p->shape.spatial == 3) return predictor_volume(p, x->image, x->dim, classes, err);
  return predictor_slices(p, x->image, x->slices ? x->slices : 1, classes, err);
}
