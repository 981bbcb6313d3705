/* predict.c - netrun predict: masks of images and volumes that are not part of a data set. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "runtime/cli/predictor.h"
#include "runtime/cli/recipe.h"
#include "runtime/cli/session.h"
#include "runtime/base/file.h"
#include "runtime/eval/overlay.h"
#include "runtime/eval/memory.h"
#include "runtime/base/scratch.h"
#include "runtime/io/picture.h"
#include "runtime/eval/predictor.h"
#include "runtime/eval/regions.h"
#include "runtime/image/image.h"
#include "runtime/io/format.h"

/* ---- one file ---- */

/* One input, or a directory of them. */
typedef struct {
  const char *in, *out, *overlay, *prob; /* overlay, prob: NULL: none */
  Cleaning clean;
  int64_t memory; /* bytes; 0: what it takes */
} Job;

static bool write_overlay(const Job *job, const Predictor *p, const Sample *x, const uint8_t *small,
                          char err[ERR_MAX]) {
  if (!job->overlay) return true;
  if (p->shape.spatial == 3) return overlay_volume(job->overlay, x->image, x->dim, NULL, small, err);
  int64_t z = x->slices ? fullest_slice(small, x->slices, p->patch) : 0;
  return picture_overlay(job->overlay, x->image + z * p->patch * p->shape.channels, p->shape.channels,
                         p->shape.size[0], p->shape.size[1], NULL, small + z * p->patch, err);
}

/* What stands in masks for each class: the first of the values that the module's labels give it. NULL: its
 * number. */
enum { CLASSES = NETC_MAX_CLASSES + 1 };
static const int32_t *file_values(const Predictor *p, int32_t value[CLASSES]) {
  const NetcPrepare *s = p->session->module->desc->prepare;
  if (!s || !s->nlabels) return NULL;
  for (int c = 0; c < CLASSES; c++) value[c] = c;
  for (int i = s->nlabels - 1; i >= 0; i--) {
    const NetcLabelRule *l = &s->labels[i];
    if (l->colour != NETC_NO_COLOUR || l->value < INT32_MIN || l->value > INT32_MAX) return NULL;
    if (l->cls >= 0) value[l->cls] = (int32_t)l->value;
  }
  return value;
}

static bool write_answer(const Predictor *p, const Sample *x, const Job *job, const Answer *a,
                         char err[ERR_MAX]) {
  int64_t classes = p->shape.classes, scores = p->decision.scores;
  int32_t value[CLASSES];
  const Written mask = {x->own_spatial, 1, x->own, a->mask, NULL, classes, file_values(p, value)};
  /* a picture's too, as a volume of rows, columns and one plane */
  const Written prob = {3, (int)scores, x->own, NULL, a->prob, scores, NULL};
  if (!clean_answer(a->mask, p->regions, classes, x->own_spatial, &x->own, &job->clean, err)) return false;
  answer_classes(a->mask, p->regions, grid_count(&x->own));
  if (a->small) answer_classes(a->small, p->regions, predictor_elements(x));
  return image_write(job->out, job->in, &mask, err) &&
         (!job->prob || image_write(job->prob, job->in, &prob, err)) &&
         write_overlay(job, p, x, a->small, err);
}

static bool predict_sample(Predictor *p, Sample *x, const Job *job, char err[ERR_MAX]) {
  int64_t own = grid_count(&x->own), small = predictor_elements(x);
  Answer a = {.mask = malloc((size_t)own), .small = job->overlay ? malloc((size_t)small) : NULL};
  bool ok = a.mask && (a.small || !job->overlay);
  if (!ok) err_memory(err, job->in, own + small);
  if (ok && job->prob) ok = scratch_floats(own * p->decision.scores, &a.prob, err);
  ok = ok && predictor_answer(p, x, &a, err);
  if (!job->overlay) free(x->image), x->image = NULL;
  ok = ok && write_answer(p, x, job, &a, err);
  scratch_free(a.prob, own * p->decision.scores);
  free(a.mask), free(a.small);
  return ok;
}

enum { TOLD = 256 << 20 }; /* bytes; nobody's memory is short of less */

static bool plan_file(Predictor *p, const Job *job, const Files *files, Plan *plan, char err[ERR_MAX]) {
  *plan = (Plan){.overlay = job->overlay != NULL, .clean = cleaning_wanted(&job->clean)};
  return plan_memory(p, files, plan, job->memory, err);
}

static bool predict_file(Predictor *p, const Job *job, char err[ERR_MAX]) {
  Sample x;
  Plan plan;
  char *name = (char *)(uintptr_t)job->in;
  const Files files = {.image = &name, .nimage = 1};
  if (!plan_file(p, job, &files, &plan, err)) return false;
  if (job->memory || plan.peak >= TOLD) plan_print(&plan, job->in, stderr);
  if (!data_load_files(&files, &p->shape, &x, err)) return false;
  bool ok = predict_sample(p, &x, job, err);
  sample_free(&x);
  return ok;
}

/* ---- a directory ---- */

typedef struct {
  char *in;                  /* its path; NULL: no image */
  char mask[512], prob[512]; /* the names of its files */
} Named;

/* A file of the directory, or a folder of it that is a series. */
static bool name_one(const char *dir, const char *name, Named *out, char err[ERR_MAX]) {
  out->in = path_join(dir, name);
  if (!out->in) return err_memory(err, "a file name", 0);
  if (!format_of_image(out->in)) return free(out->in), out->in = NULL, true;
  int spatial = image_spatial(out->in, err), stem = (int)format_stem(name);
  if (!spatial) return false;
  const Format *f = format_of_masks(spatial == 3 ? HOLDS_VOLUME : HOLDS_PICTURE);
  snprintf(out->mask, sizeof out->mask, "%.*s%s", stem, name, f->ending[0]);
  snprintf(out->prob, sizeof out->prob, "%.*s.nii.gz", stem, name);
  return true;
}

static int by_mask_name(const void *x, const void *y) {
  const Named *a = x, *b = y;
  int order = strcmp(a->mask, b->mask);
  return order ? order : strcmp(a->in, b->in);
}

static int visible(const struct dirent *e) { return e->d_name[0] != '.'; }

/* A series, named after its folder. */
static bool list_series(const char *folder, Named **out, int *n, char err[ERR_MAX]) {
  char *path = realpath(folder, NULL), *slash = path ? strrchr(path, '/') : NULL;
  *n = 0, *out = calloc(1, sizeof **out);
  bool ok = *out && slash ? (*slash = 0, name_one(path, slash + 1, *out, err)) : err_sys(err, "%s", folder);
  *n = ok && (*out)->in;
  free(path);
  return ok;
}

/* The images of a directory, sorted by their masks' names, to be freed by free_names. */
static bool list_images(const char *dir, Named **out, int *n, char err[ERR_MAX]) {
  struct dirent **entry = NULL;
  if (format_of(dir)) return list_series(dir, out, n, err);
  int entries = scandir(dir, &entry, visible, alphasort);
  if (entries < 0) return err_sys(err, "cannot read directory %s", dir);
  Named *list = calloc((size_t)entries + 1, sizeof *list);
  bool ok = list || err_memory(err, dir, entries);
  *n = 0, *out = list;
  for (int i = 0; i < entries; i++) {
    ok = ok && name_one(dir, entry[i]->d_name, &list[*n], err);
    if (list && list[*n].in) ++*n;
    free(entry[i]);
  }
  free(entry);
  if (list) qsort(list, (size_t)*n, sizeof *list, by_mask_name);
  char endings[ALL_ENDINGS];
  return ok && (*n > 0 || err_set(err, "%s holds no images (%s)", dir, format_endings(endings)));
}

static void free_names(Named *list, int n) {
  for (int i = 0; i < n; i++) free(list[i].in);
  free(list);
}

/* Two images whose masks would have one name (a.png and a.jpg)? */
static bool distinct(const Named *list, int n, const char *dir, char err[ERR_MAX]) {
  for (int i = 1; i < n; i++)
    if (!strcmp(list[i - 1].mask, list[i].mask))
      return err_set(err, "%s: the masks of %s and %s would both be %s; predict them one by one", dir,
                     strrchr(list[i - 1].in, '/') + 1, strrchr(list[i].in, '/') + 1, list[i].mask);
  return true;
}

static bool predict_named(Predictor *p, const Job *all, const Named *image, char err[ERR_MAX]) {
  Job job = *all;
  char *out = path_join(all->out, image->mask), *prob = all->prob ? path_join(all->prob, image->prob) : NULL;
  job.in = image->in, job.out = out, job.prob = prob;
  bool ok = out && (prob || !all->prob) ? predict_file(p, &job, err) : err_memory(err, "a file name", 0);
  if (ok) printf("%s\n", out);
  free(out), free(prob);
  return ok;
}

/* An image that takes more memory than there may be is told before the first is predicted. */
static bool all_fit(Predictor *p, const Job *job, const Named *list, int n, char err[ERR_MAX]) {
  for (int i = 0; job->memory && i < n; i++) {
    Plan plan;
    char *name = list[i].in;
    if (!plan_file(p, job, &(Files){.image = &name, .nimage = 1}, &plan, err)) return false;
  }
  return true;
}

static bool predict_directory(Predictor *p, const Job *job, char err[ERR_MAX]) {
  Named *list = NULL;
  int n = 0;
  bool ok = list_images(job->in, &list, &n, err) && distinct(list, n, job->in, err) &&
            all_fit(p, job, list, n, err) && make_dirs(job->out, err) &&
            (!job->prob || make_dirs(job->prob, err));
  for (int i = 0; ok && i < n; i++) ok = predict_named(p, job, &list[i], err);
  free_names(list, n);
  return ok;
}

/* ---- the command ---- */

static const CliOption options[] = {
    {"weights", "FILE[,FILE..]", "a checkpoint or other .safetensors file; of several the mean is taken"},
    {"in", "IMAGE|DIR",
     "a picture, volume or DICOM series (docs/data.md lists the formats), or a directory of them"},
    {"out", "MASK|DIR", ".png; for a volume .nii.gz, .nii, .nrrd or .mha; a directory if --in is one"},
    {"overlay", "PNG", "also a picture: the image, and the prediction's outline in red over it"},
    {"prob", "FILE|DIR",
     "also the probabilities of all classes or regions: a float NIfTI volume of four axes"},
    {"memory", "SIZE", "take no more than this, as 2G; the result does not depend on it"},
    CLI_CLEAN_OPTIONS,
    CLI_PREDICTOR_OPTIONS,
    CLI_RECIPE_OPTIONS,
    CLI_FINGERPRINT_OPTION,
    {"threads", "T", "threads (all CPUs)"},
    {"device", "NAME", "cpu or cuda:N (cpu)"},
    {NULL, NULL, NULL}};

static bool is_directory(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A directory of images. A series is a folder, too, but one volume; its mask may go into a directory. */
static bool is_many(const Job *job) {
  return is_directory(job->in) && (!format_of(job->in) || !format_by_ending(job->out));
}

static bool same_file(const char *a, const char *b) {
  struct stat x, y;
  return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool read_job(const CliArgs *args, Job *job, char err[ERR_MAX]) {
  *job = (Job){.overlay = cli_value(args, "overlay"), .prob = cli_value(args, "prob")};
  if (!cli_required(args, "weights", &(const char *){NULL}, err) ||
      !cli_required(args, "in", &job->in, err) || !cli_required(args, "out", &job->out, err) ||
      !cli_bytes(args, "memory", 0, &job->memory, err))
    return false;
  if (same_file(job->in, job->out))
    return err_set(err, "--out %s would overwrite the images of --in", job->out);
  if (job->prob && (same_file(job->in, job->prob) || !strcmp(job->out, job->prob)))
    return err_set(err, "--prob %s is the name of --in or --out", job->prob);
  if (job->overlay && is_many(job))
    return err_set(err, "--overlay is for a single image; %s is a directory", job->in);
  return true;
}

static bool predict(Session *s, const CliArgs *args, void *user, char err[ERR_MAX]) {
  Job job;
  CliWeights weights = {.n = 0};
  Predictor p;
  Recipe recipe;
  Notes notes;
  (void)user;
  if (!read_job(args, &job, err) || !predictor_new(&p, s, err)) return false;
  session_init(s, 0);
  notes_init(&notes);
  p.shape.recipe = &recipe, p.shape.notes = &notes;
  bool ok = cli_recipe(args, s->module, p.shape.channels, &recipe, err) && cli_weights(args, &weights, err) &&
            cli_resolve(args, weights.file, weights.n, p.shape.channels, &recipe, err) &&
            cli_cleaning(args, s->module, &job.clean, err) && cli_predictor(args, &p, &weights, err) &&
            (is_many(&job) ? predict_directory(&p, &job, err) : predict_file(&p, &job, err));
  notes_print(&notes, 0, NOTES_SHOWN, stderr);
  notes_free(&notes);
  cli_weights_free(&weights);
  predictor_free(&p);
  return ok;
}

static bool run(const CliArgs *args, char err[ERR_MAX]) { return cli_with_session(args, predict, NULL, err); }

const Command cmd_predict = {"predict",
                             "MODULE --weights FILE --in IMAGE|DIR --out MASK|DIR",
                             "Writes the mask of an image or volume; sliding windows over volumes in 3-D.",
                             1,
                             1,
                             options,
                             run};
