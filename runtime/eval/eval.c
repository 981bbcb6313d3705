/* eval.c - images are loaded and scored in parallel, a group at a time; the network itself runs on all
 * threads for one batch after another. Rows come in the items' order whatever the number of threads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/eval/eval.h"
#include "runtime/base/file.h"
#include "runtime/eval/overlay.h"
#include "runtime/eval/score.h"
#include "runtime/io/picture.h"
#include "runtime/image/image.h"

enum { GROUP_2D = 32, GROUP_3D = 1 };

typedef struct {
  Sample sample;
  uint8_t *small;   /* predicted classes at the sample's size: 2-D the module's, 3-D the volume's */
  uint8_t *own;     /* the same at the truth's size, cleaned */
  Metrics *metrics; /* by class, as score_masks gives them */
  bool ok, overlay;
  char err[ERR_MAX];
} Scored;

typedef struct {
  Predictor *predictor;
  const Dataset *data;
  const EvalOptions *opt;
  const int *item; /* of the group */
  Scored *scored;
} Group;

/* ---- one item ---- */

static int spatial_of(const Group *g) { return g->predictor->shape.spatial; }
static const uint8_t *truth_of(const Group *g, const Scored *s) {
  return spatial_of(g) == 2 ? s->sample.own_label : s->sample.label;
}
static const int64_t *own_dim(const Group *g, const Scored *s) {
  return spatial_of(g) == 2 ? s->sample.own_dim : s->sample.dim;
}

static int64_t count_of(int spatial, const int64_t *dim) {
  int64_t n = 1;
  for (int a = 0; a < spatial; a++) n *= dim[a];
  return n;
}

static void load_one(void *ctx, int64_t task) {
  Group *g = ctx;
  Scored *s = &g->scored[task];
  s->ok = data_load(g->data, g->item[task], &s->sample, s->err);
  if (!s->ok) return;
  if (!truth_of(g, s)) {
    s->ok = err_set(s->err, "%s has no mask to compare with: choose another --split, or use netrun predict",
                    g->data->item[g->item[task]].name);
    return;
  }
  int64_t small = count_of(spatial_of(g), s->sample.dim), own = count_of(spatial_of(g), own_dim(g, s));
  s->small = malloc((size_t)small), s->own = malloc((size_t)own);
  s->metrics = malloc((size_t)g->predictor->shape.classes * sizeof *s->metrics);
  s->ok = (s->small && s->own && s->metrics) || err_memory(s->err, "a mask", small + own);
}

static void score_one(void *ctx, int64_t task) {
  Group *g = ctx;
  Scored *s = &g->scored[task];
  const int64_t *dim = own_dim(g, s);
  int64_t classes = g->predictor->shape.classes;
  int spatial = spatial_of(g);
  if (spatial == 2) resize_nearest(s->small, s->sample.dim[0], s->sample.dim[1], s->own, dim[0], dim[1]);
  else memcpy(s->own, s->small, (size_t)count_of(3, dim));
  MaskPair pair = {s->own, truth_of(g, s), spatial, dim, s->sample.spacing};
  s->ok = clean_mask(s->own, classes, spatial, dim, g->opt->fill, g->opt->largest, s->err) &&
          score_masks(&pair, classes, &g->opt->metrics, s->metrics, s->err);
}

/* ---- pictures ---- */

static bool write_overlay(const Group *g, const Scored *s, const char *name, char err[ERR_MAX]) {
  char file[512];
  snprintf(file, sizeof file, "%.500s.png", name);
  for (char *c = file; *c; c++)
    if (*c == '/') *c = '_';
  char *path = path_join(g->opt->out, file);
  if (!path) return err_memory(err, "a file name", 0);
  const int64_t *dim = s->sample.dim;
  bool ok;
  if (spatial_of(g) == 3) ok = overlay_volume(path, s->sample.image, dim, s->sample.label, s->own, err);
  else { /* the image is at the module's size, so the masks are shown there too */
    resize_nearest(s->own, s->sample.own_dim[0], s->sample.own_dim[1], s->small, dim[0], dim[1]);
    ok = picture_overlay(path, s->sample.image, g->predictor->shape.channels, dim[0], dim[1], s->sample.label,
                         s->small, err);
  }
  free(path);
  return ok;
}

/* ---- a group ---- */

static bool all_ok(const Group *g, int n, char err[ERR_MAX]) {
  for (int i = 0; i < n; i++)
    if (!g->scored[i].ok) return err_set(err, "%s", g->scored[i].err);
  return true;
}

static bool predict_group(const Group *g, int n, char err[ERR_MAX]) {
  Predictor *p = g->predictor;
  if (p->shape.spatial == 3) {
    for (int i = 0; i < n; i++)
      if (!predictor_volume(p, g->scored[i].sample.image, g->scored[i].sample.dim, g->scored[i].small, err))
        return false;
    return true;
  }
  int64_t one = p->patch * p->shape.channels;
  float *images = malloc((size_t)(n * one) * sizeof *images);
  uint8_t *masks = malloc((size_t)(n * p->patch));
  bool ok = images && masks;
  for (int i = 0; ok && i < n; i++)
    memcpy(images + i * one, g->scored[i].sample.image, (size_t)one * sizeof *images);
  bool had = ok;
  ok = ok && predictor_slices(p, images, n, masks, err);
  for (int i = 0; ok && i < n; i++) memcpy(g->scored[i].small, masks + i * p->patch, (size_t)p->patch);
  free(images), free(masks);
  return had ? ok : err_memory(err, "a group of images", n * one * 5);
}

static bool report_group(const Group *g, int n, Results *results, char err[ERR_MAX]) {
  for (int i = 0; i < n; i++) {
    const Scored *s = &g->scored[i];
    const Item *item = &g->data->item[g->item[i]];
    if (!results_add(results, item->name, item->patient, s->metrics, err)) return false;
    if (s->overlay && !write_overlay(g, s, item->name, err)) return false;
  }
  return true;
}

static bool run_group(Group *g, int n, Results *results, char err[ERR_MAX]) {
  Pool *pool = g->predictor->session->pool;
  pool_run(pool, load_one, g, n);
  bool ok = all_ok(g, n, err) && predict_group(g, n, err);
  if (ok) pool_run(pool, score_one, g, n);
  ok = ok && all_ok(g, n, err) && report_group(g, n, results, err);
  for (int i = 0; i < n; i++) {
    sample_free(&g->scored[i].sample);
    free(g->scored[i].small), free(g->scored[i].own), free(g->scored[i].metrics);
    g->scored[i].small = g->scored[i].own = NULL, g->scored[i].metrics = NULL;
  }
  return ok;
}

/* ---- all items ---- */

/* Is item `i` of `n` among `some` that are spread evenly? */
static bool is_among(int64_t i, int64_t n, int64_t some) {
  return some > 0 && i * some / n != (i + 1) * some / n;
}

static bool run_items(Predictor *p, const Dataset *d, const EvalOptions *o, const int *item, int n,
                      Results *results, char err[ERR_MAX]) {
  int room = p->shape.spatial == 2 ? GROUP_2D : GROUP_3D;
  Group g = {p, d, o, item, calloc((size_t)room, sizeof *g.scored)};
  if (!g.scored) return err_memory(err, "a group of images", room * (int64_t)sizeof *g.scored);
  bool ok = true, terminal = o->progress && isatty(fileno(o->progress));
  for (int done = 0; ok && done < n;) {
    int some = n - done < room ? n - done : room;
    g.item = item + done;
    for (int i = 0; i < some; i++) {
      memset(&g.scored[i], 0, sizeof g.scored[i]);
      g.scored[i].overlay = o->out && is_among(done + i, n, o->overlays < n ? o->overlays : n);
    }
    ok = run_group(&g, some, results, err);
    done += some;
    if (terminal)
      fprintf(o->progress, "\r\033[K%d/%d%s", done, n, done == n || !ok ? "\n" : ""), fflush(o->progress);
  }
  free(g.scored);
  return ok;
}

const char *const split_name[3] = {"train", "val", "test"};

bool split_named(const char *name, Split *out, char err[ERR_MAX]) {
  for (int i = 0; i < 3; i++)
    if (strcmp(name, split_name[i]) == 0) return *out = (Split)i, true;
  return err_set(err, "there is no split `%s`; it can be train, val or test", name);
}

ReportAbout eval_about(const Predictor *p, const Dataset *d, const EvalOptions *o) {
  return (ReportAbout){.module = p->session->module->path,
                       .weights = o->weights,
                       .data = d->name,
                       .root = d->root,
                       .split = split_name[o->split],
                       .unit = p->shape.spatial == 2 ? "image" : "volume",
                       .class_name = o->class_names,
                       .fill = o->fill,
                       .largest = o->largest,
                       .metrics = o->metrics};
}

bool eval_run(Predictor *p, const Dataset *d, const EvalOptions *o, Results *out, char err[ERR_MAX]) {
  ReportAbout about = eval_about(p, d, o);
  *out = (Results){.classes = p->shape.classes, .cases = d->ncase};
  int *item = malloc((size_t)d->nitem * sizeof *item + 1), n = 0;
  if (!item) return err_memory(err, "the list of images", d->nitem * (int64_t)sizeof *item);
  for (int i = 0; i < d->nitem; i++)
    if (d->item[i].split == o->split) item[n++] = i;
  bool ok = n > 0 || err_set(err, "data set %s has no images in its %s split", d->name, split_name[o->split]);
  ok = ok && (!o->out || make_dirs(o->out, err)) && run_items(p, d, o, item, n, out, err);
  free(item);
  return ok && (!o->out || report_write(o->out, &about, out, err));
}
