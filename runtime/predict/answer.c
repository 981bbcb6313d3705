/* answer.c - masks and probabilities of pictures, stacks of slices, and volumes, on the grids of their
 * files. */
#include <stdlib.h>
#include <string.h>
#include "runtime/predict/predictor.h"
#include "runtime/predict/restore.h"
#include "runtime/predict/slide.h"
#include "runtime/image/image.h"

enum { WINDOWS_AT_ONCE = 64 };

int64_t predictor_elements(const Sample *x) {
  return x->dim[0] * x->dim[1] * (x->slices ? x->slices : x->dim[2] ? x->dim[2] : 1);
}

/* ---- pictures and slices ---- */

bool answer_of_scores(const Predictor *p, const Sample *x, const float *score, const Answer *out,
                      char err[ERR_MAX]) {
  int64_t h = x->own.dim[0], w = x->own.dim[1], classes = p->decision.scores;
  float *large = out->prob ? out->prob : malloc((size_t)(h * w * classes) * sizeof *large);
  bool ok = large != NULL;
  for (int64_t c = 0; ok && c < classes; c++)
    resize_nearest_values(score + c * p->patch, x->dim[0], x->dim[1], large + c * h * w, h, w);
  if (ok && out->mask) decide_all(&p->decision, large, h * w, out->mask);
  if (ok && out->small) decide_all(&p->decision, score, p->patch, out->small);
  if (large != out->prob) free(large);
  return ok || err_memory(err, "scores of an image at its own size", h * w * classes * 4);
}

static bool answer_picture(Predictor *p, const Sample *x, const Answer *out, char err[ERR_MAX]) {
  float *score = malloc((size_t)(p->patch * p->decision.scores) * sizeof *score);
  const float *image = x->image;
  bool ok = score || err_memory(err, "scores of an image", p->patch * p->decision.scores * 4);
  ok = ok && predictor_scores(p, &image, 1, score, err) && answer_of_scores(p, x, score, out, err);
  free(score);
  return ok;
}

/* ---- stacks: every slice is a plane that is finished at once ---- */

enum { SLICES_AT_ONCE = 32 }; /* so that several models are not exchanged for every slice */

typedef struct {
  Slices cut;
  Slab slab;
  float *score, *plane;
  const float *image[SLICES_AT_ONCE];
} Stack;

static void stack_planes(const Predictor *p, const Sample *x, Stack *s, Restore *r, int64_t z, int64_t n,
                         uint8_t *small) {
  int64_t classes = p->decision.scores, plane = s->cut.h * s->cut.w;
  for (int64_t i = 0; i < n; i++) {
    const float *score = s->score + i * classes * p->patch;
    for (int64_t c = 0; c < classes; c++)
      resize_nearest_values(score + c * p->patch, x->dim[0], x->dim[1], s->plane + c * plane, s->cut.h,
                            s->cut.w);
    s->slab.from = z + i, s->slab.to = z + i + 1;
    restore_planes(r, &s->slab);
    if (small) decide_all(&p->decision, score, p->patch, small + (z + i) * p->patch);
  }
}

static bool run_stack(Predictor *p, const Sample *x, Stack *s, Restore *r, const Answer *out,
                      char err[ERR_MAX]) {
  for (int64_t z = 0; z < s->cut.n; z += SLICES_AT_ONCE) {
    int64_t n = s->cut.n - z < SLICES_AT_ONCE ? s->cut.n - z : SLICES_AT_ONCE;
    for (int64_t i = 0; i < n; i++) s->image[i] = x->image + (z + i) * p->patch * p->shape.channels;
    if (!predictor_scores(p, s->image, n, s->score, err)) return false;
    stack_planes(p, x, s, r, z, n, out->small);
  }
  return true;
}

static bool answer_stack(Predictor *p, const Sample *x, const Answer *out, char err[ERR_MAX]) {
  Stack s = {.cut = slices_of(&x->place)};
  int64_t classes = p->decision.scores, plane = s.cut.h * s.cut.w * classes;
  Restore r;
  if (!restore_new(&r, &x->place, p->decision, p->session->pool, err)) return false;
  r.mask = out->mask, r.prob = out->prob;
  s.score = malloc((size_t)(SLICES_AT_ONCE * classes * p->patch) * sizeof *s.score);
  s.plane = malloc((size_t)plane * sizeof *s.plane);
  s.slab = (Slab){.axis = {x->place.slices, s.cut.h_axis, s.cut.w_axis},
                  .hi = s.cut.h,
                  .ring = 1,
                  .rows = s.cut.h,
                  .columns = s.cut.w,
                  .classes = classes,
                  .value = s.plane};
  bool ok = s.score && s.plane;
  if (!ok) err_memory(err, "scores of slices", (SLICES_AT_ONCE * classes * p->patch + plane) * 4);
  ok = ok && run_stack(p, x, &s, &r, out, err);
  if (ok) restore_rest(&r);
  restore_free(&r), free(s.score), free(s.plane);
  return ok;
}

/* ---- volumes ---- */

typedef struct {
  Predictor *p;
  Restore restore;
} Volume;

static bool choose_of_volume(void *user, int m, char err[ERR_MAX]) {
  return predictor_choose(((Volume *)user)->p, m, err);
}

static bool score_windows(void *user, const float *window, int64_t n, float *score, char err[ERR_MAX]) {
  Predictor *p = ((Volume *)user)->p;
  int64_t one = p->patch * p->shape.channels;
  const float *image[WINDOWS_AT_ONCE];
  for (int64_t i = 0; i < n; i++) image[i] = window + i * one;
  memset(score, 0, (size_t)(n * p->patch * p->decision.scores) * sizeof *score);
  return predictor_add(p, image, n, 1, score, err); /* slide divides by the number of models */
}

static void take_planes(void *user, const Slab *slab) { restore_planes(&((Volume *)user)->restore, slab); }

static Slide slide_of(const Predictor *p, const Windows *w, void *user) {
  return (Slide){.windows = w,
                 .channels = p->shape.channels,
                 .classes = p->decision.scores,
                 .batch = p->batch < WINDOWS_AT_ONCE ? p->batch : WINDOWS_AT_ONCE,
                 .models = p->models,
                 .tiles = p->tiles,
                 .pool = p->session->pool,
                 .user = user,
                 .choose = choose_of_volume,
                 .run = score_windows,
                 .planes = take_planes};
}

/* image (C, dim) of the module's number of axes; place has three. */
static bool answer_windows(Predictor *p, const float *image, const int64_t *dim, const Place *place,
                           const Answer *out, char err[ERR_MAX]) {
  Volume v = {.p = p};
  Windows w;
  if (!windows_new(&w, &p->shape, dim, &p->plan)) return err_memory(err, "windows over an image", 0);
  bool ok = restore_new(&v.restore, place, p->decision, p->session->pool, err);
  if (ok) {
    v.restore.mask = out->mask, v.restore.prob = out->prob, v.restore.small = out->small;
    Slide s = slide_of(p, &w, &v);
    s.image = image;
    ok = slide(&s, err);
    if (ok) restore_rest(&v.restore);
    restore_free(&v.restore);
  }
  windows_free(&w);
  return ok;
}

bool predictor_volume(Predictor *p, const float *image, const int64_t *dim, uint8_t *mask,
                      char err[ERR_MAX]) {
  int64_t d[3] = {1, 1, 1};
  for (int a = 0; a < p->shape.spatial; a++) d[3 - p->shape.spatial + a] = dim[a];
  Grid g = grid_plain(d, NULL);
  Place same = place_same(&g);
  return answer_windows(p, image, dim, &same, &(Answer){.mask = mask}, err);
}

bool predictor_answer(Predictor *p, const Sample *x, const Answer *out, char err[ERR_MAX]) {
  if (p->shape.spatial == 3) return answer_windows(p, x->image, x->dim, &x->place, out, err);
  return x->slices ? answer_stack(p, x, out, err) : answer_picture(p, x, out, err);
}

int64_t predictor_bytes(const Predictor *p, int spatial_of_file, const int64_t dim[3]) {
  int64_t classes = p->decision.scores;
  if (p->shape.spatial == 2) /* scores of slices or of the picture, and a plane of them at its own size */
    return ((spatial_of_file == 3 ? SLICES_AT_ONCE : 1) * p->patch + dim[0] * dim[1]) * classes * 4;
  Windows w;
  if (!windows_new(&w, &p->shape, dim, &p->plan)) return 0;
  Slide s = slide_of(p, &w, NULL);
  int64_t bytes = slide_bytes(&s);
  windows_free(&w);
  return bytes;
}

int64_t predictor_tiles(const Predictor *p, const int64_t dim[3]) {
  Windows w;
  if (!windows_new(&w, &p->shape, dim, &p->plan)) return 1;
  int64_t tiles = slide_tiles(&w);
  windows_free(&w);
  return tiles;
}
