/* predict.c - netrun predict: masks of images and volumes that are not part of a data set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "runtime/cli/inputs.h"
#include "runtime/cli/predictor.h"
#include "runtime/cli/recipe.h"
#include "runtime/cli/session.h"
#include "runtime/base/file.h"
#include "runtime/eval/overlay.h"
#include "runtime/predict/memory.h"
#include "runtime/base/scratch.h"
#include "runtime/io/picture.h"
#include "runtime/predict/predictor.h"
#include "runtime/eval/regions.h"
#include "runtime/image/image.h"
#include "runtime/io/format.h"

/* ---- one image ---- */

/* What is asked for. */
typedef struct {
  const char *in, *out, *overlay, *prob; /* overlay, prob: NULL: none */
  const char *ending;                    /* of a folder's masks; NULL: what is usual */
  Cleaning clean;
  int64_t memory; /* bytes; 0: what it takes */
  bool skip_existing, keep_going;
} Job;

/* An image and where its results go. */
typedef struct {
  const Job *job;
  const Input *in;
  const char *out, *prob;
} Task;

static const char *name_of(const Task *t) { return t->in->files.image[0]; }

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

static bool write_answer(const Predictor *p, const Sample *x, const Task *t, const Answer *a,
                         char err[ERR_MAX]) {
  int64_t classes = p->shape.classes, scores = p->decision.scores;
  int32_t value[CLASSES];
  const Written mask = {x->own_spatial, 1, x->own, a->mask, NULL, classes, file_values(p, value)};
  /* a picture's too, as a volume of rows, columns and one plane */
  const Written prob = {3, (int)scores, x->own, NULL, a->prob, scores, NULL};
  const Cleaning *how = &t->job->clean;
  if (!clean_answer(a->mask, p->regions, classes, x->own_spatial, &x->own, how, err)) return false;
  answer_classes(a->mask, p->regions, grid_count(&x->own));
  if (a->small) answer_classes(a->small, p->regions, predictor_elements(x));
  return image_write(t->out, name_of(t), &mask, err) &&
         (!t->prob || image_write(t->prob, name_of(t), &prob, err)) &&
         write_overlay(t->job, p, x, a->small, err);
}

static bool predict_sample(Predictor *p, Sample *x, const Task *t, char err[ERR_MAX]) {
  bool overlay = t->job->overlay;
  int64_t own = grid_count(&x->own), small = predictor_elements(x);
  Answer a = {.mask = malloc((size_t)own), .small = overlay ? malloc((size_t)small) : NULL};
  bool ok = a.mask && (a.small || !overlay);
  if (!ok) err_memory(err, name_of(t), own + small);
  if (ok && t->prob) ok = scratch_floats(own * p->decision.scores, &a.prob, err);
  ok = ok && predictor_answer(p, x, &a, err);
  if (!overlay) free(x->image), x->image = NULL;
  ok = ok && write_answer(p, x, t, &a, err);
  scratch_free(a.prob, own * p->decision.scores);
  free(a.mask), free(a.small);
  return ok;
}

enum { TOLD = 256 << 20 }; /* bytes; nobody's memory is short of less */

static bool plan_image(Predictor *p, const Job *job, const Files *files, Plan *plan, char err[ERR_MAX]) {
  *plan = (Plan){.overlay = job->overlay != NULL, .clean = cleaning_wanted(&job->clean)};
  return plan_memory(p, files, plan, job->memory, err);
}

static bool predict_image(Predictor *p, const Task *t, char err[ERR_MAX]) {
  Sample x;
  Plan plan;
  int spatial = image_spatial(t->in->files.image[0], err);
  bool suits = spatial >= p->shape.spatial; /* of what does not, reading tells what is wrong */
  if (!spatial || (suits && !image_writable(t->out, spatial, err))) return false;
  if (!input_complete(t->in, &p->shape, err) || !plan_image(p, t->job, &t->in->files, &plan, err))
    return false;
  if (t->job->memory || plan.peak >= TOLD) plan_print(&plan, name_of(t), stderr);
  if (!data_load_files(&t->in->files, &p->shape, &x, err)) return false;
  bool ok = predict_sample(p, &x, t, err);
  sample_free(&x);
  return ok;
}

/* Is all there that this image would give? */
static bool is_done(const Task *t) {
  return t->job->skip_existing && file_exists(t->out) && (!t->prob || file_exists(t->prob));
}

static bool same_file(const char *a, const char *b) {
  struct stat x, y;
  return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* No result may take the place of a file that is read, be it one that nobody named. */
static bool inputs_are_safe(const Task *t, char err[ERR_MAX]) {
  const Files *f = &t->in->files;
  for (int i = 0; i < f->nimage; i++)
    if (same_file(f->image[i], t->out) || (t->prob && same_file(f->image[i], t->prob)))
      return err_set(err, "%s is a channel of the image, and would be overwritten by --out or --prob",
                     f->image[i]);
  return true;
}

static bool predict_file(Predictor *p, const Job *job, char err[ERR_MAX]) {
  Inputs in;
  if (!inputs_of_file(job->in, &p->shape, &in, err)) return false;
  const Task t = {job, in.list, job->out, job->prob};
  bool ok = inputs_are_safe(&t, err), done = ok && is_done(&t);
  ok = ok && (done || predict_image(p, &t, err));
  if (done) fprintf(stderr, "%s is there already (--skip-existing)\n", job->out);
  inputs_free(&in);
  return ok;
}

/* ---- a folder ---- */

typedef struct {
  Predictor *p;
  const Job *job;
  Inputs in;
  int skipped, failed;
  bool *is_failed; /* by image */
  bool terminal;   /* progress is shown */
} Folder;

/* The folder that a file goes into. */
static bool make_folder_of(const char *path, char err[ERR_MAX]) {
  char *dir = strdup(path), *slash = dir ? strrchr(dir, '/') : NULL;
  if (slash) *slash = 0;
  bool ok = dir ? !slash || make_dirs(dir, err) : err_memory(err, "a file name", 0);
  free(dir);
  return ok;
}

/* The count stands where the next line begins, and gives way to what is printed. */
static void clear_progress(const Folder *f) {
  if (f->terminal) fputs("\r\033[K", stderr), fflush(stderr);
}

static void show_progress(const Folder *f, int done) {
  clear_progress(f);
  if (f->terminal) fprintf(stderr, "%d/%d\r", done, f->in.n), fflush(stderr);
}

static bool predict_one(Folder *f, int i, char err[ERR_MAX]) {
  const Input *in = &f->in.list[i];
  const Job *job = f->job;
  char *out = path_join(job->out, in->mask), *prob = job->prob ? path_join(job->prob, in->prob) : NULL;
  const Task t = {job, in, out, prob};
  bool ok = (out && (prob || !job->prob)) || err_memory(err, "a file name", 0);
  if (ok && is_done(&t)) f->skipped++;
  else {
    ok = ok && make_folder_of(out, err) && (!prob || make_folder_of(prob, err)) &&
         predict_image(f->p, &t, err);
    if (ok) clear_progress(f), printf("%s\n", out), fflush(stdout);
  }
  free(out), free(prob);
  return ok;
}

/* What would stop on the way is told before the first image is predicted: one that takes more memory than
 * there may be, or lacks a channel. */
static bool all_good(const Folder *f, char err[ERR_MAX]) {
  for (int i = 0; i < f->in.n && !f->job->keep_going; i++) {
    Plan plan;
    if (!input_complete(&f->in.list[i], &f->p->shape, err)) return false;
    if (f->job->memory && !plan_image(f->p, f->job, &f->in.list[i].files, &plan, err)) return false;
  }
  return true;
}

static bool predict_all(Folder *f, char err[ERR_MAX]) {
  bool ok = true;
  for (int i = 0; ok && i < f->in.n; i++) {
    show_progress(f, i);
    if (predict_one(f, i, err)) continue;
    clear_progress(f);
    ok = f->job->keep_going;
    if (ok) fprintf(stderr, "%s\n", err), f->is_failed[i] = true, f->failed++;
  }
  clear_progress(f);
  return ok;
}

/* Which were passed over, and which failed, one a line. */
static bool tell_rest(const Folder *f, char err[ERR_MAX]) {
  if (f->skipped)
    fprintf(stderr, "%d of %d masks were there already (--skip-existing)\n", f->skipped, f->in.n);
  if (!f->failed) return true;
  fprintf(stderr, "failed:\n");
  for (int i = 0; i < f->in.n; i++)
    if (f->is_failed[i]) fprintf(stderr, "  %s\n", f->in.list[i].files.image[0]);
  return err_set(err, "%d of the %d images of %s could not be predicted; they are listed above", f->failed,
                 f->in.n, f->job->in);
}

static bool predict_folder(Predictor *p, const Job *job, char err[ERR_MAX]) {
  Folder f = {.p = p, .job = job, .terminal = isatty(STDERR_FILENO)};
  const char *const skip[2] = {job->out, job->prob};
  if (!inputs_of_folder(job->in, &p->shape, job->ending, skip, &f.in, err)) return false;
  f.is_failed = calloc((size_t)f.in.n + 1, sizeof *f.is_failed);
  bool ok = f.is_failed || err_memory(err, "the list of images", f.in.n);
  ok = ok && all_good(&f, err) && make_dirs(job->out, err) && (!job->prob || make_dirs(job->prob, err)) &&
       predict_all(&f, err) && tell_rest(&f, err);
  free(f.is_failed);
  inputs_free(&f.in);
  return ok;
}

/* ---- the command ---- */

static const CliOption options[] = {
    {"weights", "FILE[,FILE..]", "a checkpoint or other .safetensors file; of several the mean is taken"},
    {"in", "IMAGE|DIR", "a picture, volume or DICOM series, files of its channels a,b, or a directory"},
    {"out", "MASK|DIR", ".png; for a volume .nii.gz, .nii, .nrrd or .mha; a directory if --in is one"},
    {"ending", "ENDING", "of a directory's masks: .nii.gz, .nrrd, .mha, .png .. (.nii.gz; pictures .png)"},
    {"skip-existing", NULL, "leave out images whose masks are there: go on with a run that was stopped"},
    {"keep-going", NULL, "an image that fails does not stop the others; the failed are listed at the end"},
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

static bool read_ending(const Job *job, char err[ERR_MAX]) {
  const Format *f = job->ending ? format_with_ending(job->ending) : NULL;
  if (!job->ending || (f && f->write && is_many(job))) return true;
  if (f && f->write)
    return err_set(err, "--ending %s: is for a directory of images; here --out %s says the format",
                   job->ending, job->out);
  return err_set(err, "--ending %s: masks are written as .png, .nii.gz, .nii, .nrrd, .mha, .mhd, .tif",
                 job->ending);
}

static bool read_job(const CliArgs *args, Job *job, char err[ERR_MAX]) {
  *job = (Job){.overlay = cli_value(args, "overlay"),
               .prob = cli_value(args, "prob"),
               .ending = cli_value(args, "ending"),
               .skip_existing = cli_given(args, "skip-existing"),
               .keep_going = cli_given(args, "keep-going")};
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
  return read_ending(job, err);
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
            (is_many(&job) ? predict_folder(&p, &job, err) : predict_file(&p, &job, err));
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
