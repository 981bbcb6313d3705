/* eval.c - images are loaded and scored in parallel, a group at a time; the network itself runs on all
 * threads for one batch after another. Rows come in the items' order whatever the number of threads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/eval/eval.h"
#include "runtime/base/file.h"
#include "runtime/eval/overlay.h"
#include "runtime/eval/regions.h"
#include "runtime/io/picture.h"
#include "runtime/image/image.h"

enum { GROUP_2D = 32, GROUP_3D = 1, GROUP_MASKS = 4 };

/* What is scored at once: an item, or with all its slices the volume that a 2-D module was given. */
typedef struct {
  int item;
  bool whole;
} Unit;

typedef struct {
  Sample sample;
  float *score;   /* (scores, S) of a picture or a slice, which are brought to the file's grid in parallel */
  uint8_t *small; /* what is predicted at the sample's size, for pictures */
  uint8_t *own;   /* the same on the file's grid, cleaned */
  Metrics *metrics; /* by class, as score_answer gives them */
  bool ok, overlay;
  char err[ERR_MAX];
} Scored;

typedef struct {
  Predictor *predictor;
  const Dataset *data;
  const EvalOptions *opt;
  const Unit *unit; /* of the group */
  Scored *scored;
  float *score; /* room for the scores of GROUP_2D pictures; NULL: volumes */
} Group;

/* ---- one item ---- */

static int64_t parts_of(const Predictor *p) { return scored_parts(p->regions, p->shape.classes); }

static int spatial_of(const Group *g) { return g->predictor->shape.spatial; }

/* Has the slice's volume others? Its name ends in its number then. */
static bool is_one_of_several(const Dataset *d, int item) {
  int volume = d->item[item].volume;
  return (item > 0 && d->item[item - 1].volume == volume) ||
         (item + 1 < d->nitem && d->item[item + 1].volume == volume);
}

static const char *name_of(const Group *g, int i, char room[512]) {
  const char *name = g->data->item[g->unit[i].item].name, *slice = strrchr(name, '_');
  bool cut = g->unit[i].whole && slice && is_one_of_several(g->data, g->unit[i].item);
  snprintf(room, 512, "%.*s", cut ? (int)(slice - name) : (int)strlen(name), name);
  return room;
}

static bool load_sample(const Group *g, const Unit *u, Sample *out, char err[ERR_MAX]) {
  if (g->opt->mask) return data_load_truth(g->data, u->item, out, err);
  return u->whole ? data_load_whole(g->data, u->item, out, err) : data_load(g->data, u->item, out, err);
}

/* Room for what is predicted, or what others have. */
static bool load_prediction(const Group *g, const Unit *u, Scored *s) {
  int64_t own = grid_count(&s->sample.own), small = s->overlay ? predictor_elements(&s->sample) : 0;
  s->small = s->overlay ? malloc((size_t)small) : NULL;
  s->metrics = malloc((size_t)parts_of(g->predictor) * sizeof *s->metrics);
  if (g->opt->mask && s->metrics) {
    if (!data_load_mask(g->data, u->item, g->opt->mask[u->item], &s->sample, &s->own, s->err)) return false;
    return answer_bits(s->own, g->predictor->regions, own), true;
  }
  s->own = malloc((size_t)own);
  return ((s->small || !s->overlay) && s->own && s->metrics) || err_memory(s->err, "a mask", small + own);
}

static void load_one(void *ctx, int64_t task) {
  Group *g = ctx;
  Scored *s = &g->scored[task];
  const Unit *u = &g->unit[task];
  char name[512];
  s->ok = load_sample(g, u, &s->sample, s->err);
  if (!s->ok) return;
  if (!s->sample.own_label) {
    s->ok = err_set(s->err, "%s has no mask to compare with: choose another --split, or use netrun predict",
                    name_of(g, (int)task, name));
    return;
  }
  s->ok = data_check_told(g->data, u->item, s->sample.own_label, grid_count(&s->sample.own), s->err) &&
          load_prediction(g, u, s);
}

static void score_one(void *ctx, int64_t task) {
  Group *g = ctx;
  Scored *s = &g->scored[task];
  const Sample *x = &s->sample;
  int64_t classes = g->predictor->shape.classes;
  const NetcPrepare *regions = g->predictor->regions;
  const double mm[3] = {grid_spacing(&x->own, 0), grid_spacing(&x->own, 1), grid_spacing(&x->own, 2)};
  const Answer answer = {.mask = s->own, .small = s->small};
  MaskPair pair = {s->own, x->own_label, x->own_spatial, x->own.dim, mm};
  s->ok = (!s->score || answer_of_scores(g->predictor, x, s->score, &answer, s->err)) &&
          clean_answer(s->own, regions, classes, x->own_spatial, &x->own, &g->opt->clean, s->err) &&
          score_answer(&pair, regions, classes, &g->opt->metrics, s->metrics, s->err);
  if (s->ok) leave_out(s->metrics, regions, classes, g->data->item[g->unit[task].item].only);
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
  answer_classes(s->small, g->predictor->regions, predictor_elements(x));
  int64_t patch = g->predictor->patch, z = x->slices ? fullest_slice(x->label, x->slices, patch) : 0;
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
      if (!predictor_answer(p, &g->scored[i].sample,
                            &(Answer){.mask = g->scored[i].own, .small = g->scored[i].small}, err))
        return false;
    return true;
  }
  int64_t out = p->patch * p->decision.scores; /* pictures fill batches together */
  const float *image[GROUP_2D];
  for (int i = 0; i < n; i++) image[i] = g->scored[i].sample.image;
  if (!predictor_scores(p, image, n, g->score, err)) return false;
  for (int i = 0; i < n; i++) g->scored[i].score = g->score + i * out;
  return true;
}

static bool report_group(const Group *g, int n, Results *results, char err[ERR_MAX]) {
  for (int i = 0; i < n; i++) {
    const Scored *s = &g->scored[i];
    char room[512];
    const char *name = name_of(g, i, room);
    if (!results_add(results, name, g->data->item[g->unit[i].item].patient, s->metrics, err)) return false;
    if (s->overlay && !write_overlay(g, s, name, err)) return false;
  }
  return true;
}

static bool run_group(Group *g, int n, Results *results, char err[ERR_MAX]) {
  Pool *pool = g->predictor->session->pool;
  pool_run(pool, load_one, g, n);
  bool ok = all_ok(g, n, err) && (g->opt->mask || predict_group(g, n, err));
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

static int group_room(const Predictor *p, const EvalOptions *o, const Unit *first) {
  bool volume = p->shape.spatial == 3 || first->whole;
  return !volume ? GROUP_2D : o->mask ? GROUP_MASKS : GROUP_3D;
}

static bool run_units(Predictor *p, const Dataset *d, const EvalOptions *o, const Unit *unit, int n,
                      Results *results, char err[ERR_MAX]) {
  Group g = {p, d, o, unit, calloc(GROUP_2D, sizeof *g.scored), NULL};
  int64_t scores = p->shape.spatial == 2 ? GROUP_2D * p->patch * p->decision.scores : 0;
  if (scores) g.score = malloc((size_t)scores * sizeof *g.score);
  if (!g.scored || (scores && !g.score)) {
    free(g.scored), free(g.score);
    return err_memory(err, "a group of images", scores * 4);
  }
  bool ok = true, terminal = o->progress && isatty(fileno(o->progress));
  for (int done = 0; ok && done < n;) {
    int room = group_room(p, o, &unit[done]), some = 0;
    g.unit = unit + done;
    while (some < room && done + some < n && unit[done + some].whole == unit[done].whole) {
      memset(&g.scored[some], 0, sizeof g.scored[some]);
      g.scored[some].overlay = o->out && is_among(done + some, n, o->overlays < n ? o->overlays : n);
      some++;
    }
    ok = run_group(&g, some, results, err);
    done += some;
    if (terminal)
      fprintf(o->progress, "\r\033[K%d/%d%s", done, n, done == n || !ok ? "\n" : ""), fflush(o->progress);
  }
  free(g.scored), free(g.score);
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
    if (d->item[i].split == o->split && (!o->mask || o->mask[i])) unit[n++] = (Unit){i, volume >= 0 && whole};
  }
  return n;
}

/* What the units are; "image" where some are volumes and some slices. */
static const char *name_of_units(const Predictor *p, const Dataset *d, const Unit *unit, int n) {
  int whole = 0, slices = 0;
  for (int i = 0; i < n; i++) {
    bool volume = unit[i].whole || p->shape.spatial == 3;
    whole += volume, slices += !volume && d->item[unit[i].item].volume >= 0;
  }
  return whole == n ? "volume" : slices == n ? "slice" : "image";
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
                       .masks = o->masks,
                       .data = d->name,
                       .root = d->root,
                       .split = split_name[o->split],
                       .class_name = o->class_names,
                       .regions = p->regions != NULL,
                       .clean = o->clean,
                       .metrics = o->metrics};
}

bool eval_run(Predictor *p, const Dataset *d, const EvalOptions *o, Results *out, char err[ERR_MAX]) {
  ReportAbout about = eval_about(p, d, o);
  *out = (Results){.classes = parts_of(p), .cases = d->ncase};
  Unit *unit = malloc((size_t)d->nitem * sizeof *unit + 1);
  if (!unit) return err_memory(err, "the list of images", d->nitem * (int64_t)sizeof *unit);
  int n = units_of(d, o, unit);
  out->unit = name_of_units(p, d, unit, n);
  bool ok = n > 0 || err_set(err, "data set %s has no images in its %s split", d->name, split_name[o->split]);
  ok = ok && (!o->out || make_dirs(o->out, err)) && run_units(p, d, o, unit, n, out, err);
  free(unit);
  return ok && (!o->out || report_write(o->out, &about, out, err));
}
