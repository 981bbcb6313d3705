/* predictor.c - a module's predict function on batches of images of its size, averaged over models and flips.
 */
#include <stdlib.h>
#include <string.h>
#include "runtime/base/array.h"
#include "runtime/predict/predictor.h"
#include "runtime/session/checkpoint.h"

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

static bool output_fits(const NetcArray *in, const NetcArray *out, int regions) {
  if (out->rank != in->rank || out->dtype != NETC_F32 || out->dim[0] != in->dim[0]) return false;
  if (regions ? out->dim[1] != regions : out->dim[1] < 2 || out->dim[1] > 256) return false;
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
  const NetcPrepare *regions = regions_of(m->desc->prepare);
  if (!*in || f->noutputs < 1 || !output_fits(*in, &f->outputs[0], regions ? regions->nregions : 0)) {
    err_set(err,
            "%s: its predict function maps %s to %s; one image f32[N,channels,SIZE] to scores "
            "f32[N,classes,SIZE] of two or more classes, or of as many regions as prepare names, is expected",
            m->path, *in ? (*in)->name : "its inputs",
            f->noutputs ? array_str(&f->outputs[0], got) : "nothing");
    return NULL;
  }
  *shape = (DataShape){.spatial = m->desc->spatial, .channels = (int)(*in)->dim[1]};
  memcpy(shape->size, (*in)->dim + 2, sizeof *shape->size * (size_t)shape->spatial);
  shape->classes = regions ? regions->nclasses : f->outputs[0].dim[1];
  return f;
}

bool predictor_shape(const Module *m, DataShape *shape, char err[ERR_MAX]) {
  const NetcArray *in;
  return find(m, &in, shape, err) != NULL;
}

bool predictor_new(Predictor *p, const Session *s, char err[ERR_MAX]) {
  *p = (Predictor){.session = s, .plan = window_plan_plain, .models = 1, .tiles = 1};
  p->fn = find(s->module, &p->in, &p->shape, err);
  if (!p->fn) return false;
  window_plan_of(s->module->desc->prepare, &p->plan);
  p->out = &p->fn->outputs[0];
  p->regions = regions_of(s->module->desc->prepare);
  p->decision = (Decision){p->out->dim[1], p->regions != NULL};
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

/* Scores of n <= batch images that lie in p->images; the rest of the batch is zeros. */
static bool score_batch(Predictor *p, int64_t n, char err[ERR_MAX]) {
  int64_t one = p->patch * p->shape.channels;
  memset(p->images + n * one, 0, (size_t)((p->batch - n) * one) * sizeof *p->images);
  array_to_memory(p->in, p->images, session_at(p->session, p->in));
  session_scalars(p->session, p->fn, 0, 0, 0);
  if (!fn_run(p->session, p->fn, (NetcStep){0, 0}, err)) return false;
  array_from_memory(p->out, session_at(p->session, p->out), p->scores);
  return true;
}

/* One channel (S) with the axes whose bits are set the other way round. */
static void flip(const DataShape *shape, int axes, const float *in, float *out) {
  int64_t dim[3] = {1, 1, 1};
  bool back[3] = {false, false, false};
  int first = 3 - shape->spatial;
  for (int a = 0; a < shape->spatial; a++) dim[first + a] = shape->size[a], back[first + a] = axes >> a & 1;
  for (int64_t i = 0; i < dim[0]; i++)
    for (int64_t j = 0; j < dim[1]; j++) {
      int64_t y = back[0] ? dim[0] - 1 - i : i, x = back[1] ? dim[1] - 1 - j : j;
      const float *row = in + (y * dim[1] + x) * dim[2];
      for (int64_t k = 0; k < dim[2]; k++) *out++ = row[back[2] ? dim[2] - 1 - k : k];
    }
}

bool predictor_add(Predictor *p, const float *const *image, int64_t n, float weight, float *score,
                   char err[ERR_MAX]) {
  int ways = p->flips ? 1 << p->shape.spatial : 1;
  int64_t channels = p->shape.channels, scores = p->decision.scores;
  float scale = weight / (float)ways, *turned = malloc((size_t)p->patch * sizeof *turned);
  bool ok = turned || err_memory(err, "a flipped image", p->patch * 4);
  for (int w = 0; ok && w < ways; w++) {
    for (int64_t k = 0; k < n * channels; k++)
      flip(&p->shape, w, image[k / channels] + k % channels * p->patch, p->images + k * p->patch);
    ok = score_batch(p, n, err);
    for (int64_t k = 0; ok && k < n * scores; k++) {
      flip(&p->shape, w, p->scores + k * p->patch, turned);
      for (int64_t i = 0; i < p->patch; i++) score[k * p->patch + i] += scale * turned[i];
    }
  }
  free(turned);
  return ok;
}

bool predictor_choose(Predictor *p, int m, char err[ERR_MAX]) {
  return p->models == 1 || checkpoint_load(p->session, p->weights[m], p->fn, NULL, err);
}

bool predictor_scores(Predictor *p, const float *const *image, int64_t n, float *score, char err[ERR_MAX]) {
  int64_t out = p->patch * p->decision.scores;
  memset(score, 0, (size_t)(n * out) * sizeof *score);
  for (int m = 0; m < p->models; m++) {
    if (!predictor_choose(p, m, err)) return false;
    for (int64_t i = 0; i < n; i += p->batch) {
      int64_t some = n - i < p->batch ? n - i : p->batch;
      if (!predictor_add(p, image + i, some, 1 / (float)p->models, score + i * out, err)) return false;
    }
  }
  return true;
}

bool predictor_slices(Predictor *p, const float *image, int64_t n, uint8_t *mask, char err[ERR_MAX]) {
  float *score = malloc((size_t)(p->patch * p->decision.scores) * sizeof *score);
  bool ok = score || err_memory(err, "scores of an image", p->patch * p->decision.scores * 4);
  for (int64_t i = 0; ok && i < n; i++) {
    const float *one = image + i * p->patch * p->shape.channels;
    ok = predictor_scores(p, &one, 1, score, err);
    if (ok) decide_all(&p->decision, score, p->patch, mask + i * p->patch);
  }
  free(score);
  return ok;
}
