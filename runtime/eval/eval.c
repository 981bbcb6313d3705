/* eval.c - images are loaded and scored in parallel, a group at a time; the network itself runs on all
 * threads for one batch after another. Rows come in the items' order whatever the number of threads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/eval/eval.h"
#include "runtime/base/file.h"
#include "runtime/eval/overlay.h"
#include "runtime/io/picture.h"
#include "runtime/image/image.h"

enum { GROUP_2D = 32, GROUP_3D = 1 };

/* What is scored at once: an item, or with all its slices the volume that a 2-D module was given. */
typedef struct {
  int item;
  bool whole;
} Unit;

typedef struct {
  Sample sample;
  uint8_t *small; /* predicted classes at the sample's size */
  uint8_t *own;   /* the same on the file's grid, cleaned */
  Metrics metrics;
  bool ok, overlay;
  char err[ERR_MAX];
} Scored;

typedef struct {
  Predictor *predictor;
  const Dataset *data;
  const EvalOptions *opt;
  const Unit *unit; /* of the group */
  Scored *scored;
} Group;

/* ---- one item ---- */

static int spatial_of(const Group *g) { return g->predictor->shape.spatial; }

static const char *name_of(const Group *g, int i, char room[512]) {
  const char *name = g->data->item[g->unit[i].item].name, *slice = strrchr(name, '_');
  bool cut = g->unit[i].whole && slice;
  snprintf(room, 512, "%.*s", cut ? (int)(slice - name) : (int)strlen(name), name);
  return room;
}

static void load_one(void *ctx, int64_t task) {
  Group *g = ctx;
  Scored *s = &g->scored[task];
  const Unit *u = &g->unit[task];
  char name[512];
  s->ok = u->whole ? data_load_whole(g->data, u->item, &s->sample, s->err)
                   : data_load(g->data, u->item, &s->sample, s->err);
  if (!s->ok) return;
  if (!s->sample.own_label) {
    s->ok = err_set(s->err, "%s has no mask to compare with: choose another --split, or use netrun predict",
                    name_of(g, (int)task, name));
    return;
  }
  int64_t small = predictor_elements(&s->sample), own = grid_count(&s->sample.own);
  s->small = malloc((size_t)small), s->own = malloc((size_t)own);
  s->ok = (s->small && s->own) || err_memory(s->err, "a mask", small + own);
}

static void score_one(void *ctx, int64_t task) {
  Group *g = ctx;
  Scored *s = &g->scored[task];
  const Sample *x = &s->sample;
  int64_t classes = g->predictor->shape.classes;
  const double mm[3] = {grid_spacing(&x->own, 0), grid_spacing(&x->own, 1), grid_spacing(&x->own, 2)};
  s->ok = sample_restore(x, s->small, s->own, s->err) &&
          clean_mask(s->own, classes, x->own_spatial, x->own.dim, g->opt->fill, g->opt->largest, s->err) &&
          score_masks(s->own, x->own_label, classes, x->own_spatial, x->own.dim, mm, &s->metrics, s->err);
}

/* ---- pictures ---- */

static bool write_overlay(const Group *g, const Scored *s, const char *name, char err[ERR_MAX]) {
  char file[512];
  snprintf(file, sizeof file, "%.500s.png", name);
  for (char *c = file; *c; c++)
    if (*c == '/') *c = '_';
  char *path = path_join(g->opt->out, file);
  if (!path) return err_memory(err, "a file name", 0);
  const Sample *x = &s->sample;
  int64_t patch = g->predictor->patch, z = x->slices / 2;
  bool ok = spatial_of(g) == 3
                ? overlay_volume(path, x->image, x->dim, x->label, s->small, err)
                : picture_overlay(path, x->image + z * patch * g->predictor->shape.channels,
                                  g->predictor->shape.channels, x->dim[0], x->dim[1],
                                  x->label ? x->label + z * patch : NULL, s->small + z * patch, err);
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
  if (p->shape.spatial == 3 || g->unit[0].whole) {
    for (int i = 0; i < n; i++)
      if (!predictor_sample(p, &g->scored[i].sample, g->scored[i].small, err)) return false;
    return true;
  }
  int64_t one = p->patch * p->shape.channels; /* pictures fill batches together */
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

static bool report_group(const Group *g, int n, FILE *csv, Summary *sum, char err[ERR_MAX]) {
  for (int i = 0; i < n; i++) {
    const Scored *s = &g->scored[i];
    char room[512];
    const char *name = name_of(g, i, room);
    summary_add(sum, &s->metrics);
    if (csv) {
      fprintf(csv, "%s", name);
      for (int k = 0; k < METRIC_COUNT; k++) fprintf(csv, ",%.9g", s->metrics.value[k]);
      fputc('\n', csv);
    }
    if (s->overlay && !write_overlay(g, s, name, err)) return false;
  }
  return true;
}

static bool run_group(Group *g, int n, FILE *csv, Summary *sum, char err[ERR_MAX]) {
  Pool *pool = g->predictor->session->pool;
  pool_run(pool, load_one, g, n);
  bool ok = all_ok(g, n, err) && predict_group(g, n, err);
  if (ok) pool_run(pool, score_one, g, n);
  ok = ok && all_ok(g, n, err) && report_group(g, n, csv, sum, err);
  for (int i = 0; i < n; i++) {
    sample_free(&g->scored[i].sample);
    free(g->scored[i].small), free(g->scored[i].own);
    g->scored[i].small = g->scored[i].own = NULL;
  }
  return ok;
}

/* ---- all items ---- */

/* Is item `i` of `n` among `some` that are spread evenly? */
static bool is_among(int64_t i, int64_t n, int64_t some) {
  return some > 0 && i * some / n != (i + 1) * some / n;
}

static bool run_units(Predictor *p, const Dataset *d, const EvalOptions *o, const Unit *unit, int n,
                      FILE *csv, Summary *sum, char err[ERR_MAX]) {
  Group g = {p, d, o, unit, calloc(GROUP_2D, sizeof *g.scored)};
  if (!g.scored) return err_memory(err, "a group of images", GROUP_2D * (int64_t)sizeof *g.scored);
  bool ok = true, terminal = o->progress && isatty(fileno(o->progress));
  for (int done = 0; ok && done < n;) {
    int room = p->shape.spatial == 3 || unit[done].whole ? GROUP_3D : GROUP_2D, some = 0;
    g.unit = unit + done;
    while (some < room && done + some < n && unit[done + some].whole == unit[done].whole) {
      memset(&g.scored[some], 0, sizeof g.scored[some]);
      g.scored[some].overlay = o->out && is_among(done + some, n, o->overlays < n ? o->overlays : n);
      some++;
    }
    ok = run_group(&g, some, csv, sum, err);
    done += some;
    if (terminal)
      fprintf(o->progress, "\r\033[K%d/%d%s", done, n, done == n || !ok ? "\n" : ""), fflush(o->progress);
  }
  free(g.scored);
  return ok;
}

/* Are all slices of the item's volume in the split? */
static bool whole_in_split(const Dataset *d, int item, Split split) {
  for (int i = 0; i < d->nitem; i++)
    if (d->item[i].volume == d->item[item].volume && d->item[i].split != split) return false;
  return true;
}

/* The units of the split: a volume's slices are one where all of them belong to it. */
static int units_of(const Dataset *d, const EvalOptions *o, Unit *unit) {
  int n = 0, last = -1;
  bool whole = false;
  for (int i = 0; i < d->nitem; i++) {
    int volume = d->item[i].volume;
    if (volume >= 0 && volume != last) last = volume, whole = !o->by_slice && whole_in_split(d, i, o->split);
    else if (volume >= 0 && whole) continue;
    if (d->item[i].split == o->split) unit[n++] = (Unit){i, volume >= 0 && whole};
  }
  return n;
}

static bool open_csv(AtomicFile *csv, const char *dir, char err[ERR_MAX]) {
  if (!make_dirs(dir, err)) return false;
  char *path = path_join(dir, "eval.csv");
  bool ok = path ? atomic_open(csv, path, err) : err_memory(err, "a file name", 0);
  free(path);
  if (!ok) return false;
  fprintf(csv->file, "name");
  for (int k = 0; k < METRIC_COUNT; k++) fprintf(csv->file, ",%s", metric_info[k].column);
  fputc('\n', csv->file);
  return true;
}

const char *const split_name[3] = {"train", "val", "test"};

bool split_named(const char *name, Split *out, char err[ERR_MAX]) {
  for (int i = 0; i < 3; i++)
    if (strcmp(name, split_name[i]) == 0) return *out = (Split)i, true;
  return err_set(err, "there is no split `%s`; it can be train, val or test", name);
}

bool eval_run(Predictor *p, const Dataset *d, const EvalOptions *o, Summary *out, char err[ERR_MAX]) {
  *out = (Summary){0};
  Unit *unit = malloc((size_t)d->nitem * sizeof *unit + 1);
  if (!unit) return err_memory(err, "the list of images", d->nitem * (int64_t)sizeof *unit);
  int n = units_of(d, o, unit);
  AtomicFile csv = {.file = NULL};
  bool ok = n > 0 || err_set(err, "data set %s has no images in its %s split", d->name, split_name[o->split]);
  ok = ok && (!o->out || open_csv(&csv, o->out, err));
  ok = ok && run_units(p, d, o, unit, n, csv.file, out, err);
  if (csv.file && ok) ok = atomic_commit(&csv, err);
  else if (csv.file) atomic_abort(&csv);
  free(unit);
  return ok;
}
