/* predict.c - netrun predict: masks of images and volumes that are not part of a data set. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "runtime/session/checkpoint.h"
#include "runtime/cli/recipe.h"
#include "runtime/cli/session.h"
#include "runtime/base/file.h"
#include "runtime/eval/overlay.h"
#include "runtime/io/picture.h"
#include "runtime/eval/predictor.h"
#include "runtime/image/image.h"
#include "runtime/io/format.h"

/* ---- one file ---- */

/* The slice whose prediction has most foreground. */
static int64_t fullest(const uint8_t *masks, int64_t n, int64_t patch) {
  int64_t best = n / 2, most = 0;
  for (int64_t z = 0; z < n; z++) {
    int64_t count = 0;
    for (int64_t i = 0; i < patch; i++) count += masks[z * patch + i] != 0;
    if (count > most) most = count, best = z;
  }
  return best;
}

typedef struct {
  const char *in, *out, *overlay; /* overlay NULL: none */
} Job;

static bool write_overlay(const Job *job, const Predictor *p, const Sample *x, const uint8_t *classes,
                          char err[ERR_MAX]) {
  if (!job->overlay) return true;
  if (p->shape.spatial == 3) return overlay_volume(job->overlay, x->image, x->dim, NULL, classes, err);
  int64_t z = x->slices ? fullest(classes, x->slices, p->patch) : 0;
  return picture_overlay(job->overlay, x->image + z * p->patch * p->shape.channels, p->shape.channels,
                         p->shape.size[0], p->shape.size[1], NULL, classes + z * p->patch, err);
}

static bool predict_sample(Predictor *p, const Sample *x, const Job *job, char err[ERR_MAX]) {
  int64_t n = predictor_elements(x), own_n = grid_count(&x->own);
  uint8_t *classes = malloc((size_t)n), *own = malloc((size_t)own_n);
  bool ok = (classes && own) || err_memory(err, job->in, n + own_n);
  ok = ok && predictor_sample(p, x, classes, err) && sample_restore(x, classes, own, err);
  Written mask = {x->own_spatial, 1, x->own, own, NULL, p->shape.classes, NULL};
  ok = ok && image_write(job->out, job->in, &mask, err) && write_overlay(job, p, x, classes, err);
  free(classes), free(own);
  return ok;
}

static bool predict_file(Predictor *p, const Job *job, char err[ERR_MAX]) {
  Sample x;
  char *name = (char *)(uintptr_t)job->in;
  if (!data_load_files(&(Files){.image = &name, .nimage = 1}, &p->shape, &x, err)) return false;
  bool ok = predict_sample(p, &x, job, err);
  sample_free(&x);
  return ok;
}

/* ---- a directory ---- */

static int is_image(const struct dirent *e) { return e->d_name[0] != '.' && format_of(e->d_name); }

/* The name of an image's mask. */
static void mask_name(const char *name, char file[512]) {
  const Format *f = format_of_masks(format_of(name)->holds);
  snprintf(file, 512, "%.*s%s", (int)format_stem(name), name, f->ending[0]);
}

static bool predict_named(Predictor *p, const char *in_dir, const char *out_dir, const char *name,
                          char err[ERR_MAX]) {
  char file[512];
  mask_name(name, file);
  char *in = path_join(in_dir, name), *out = path_join(out_dir, file);
  bool ok = in && out ? predict_file(p, &(Job){in, out, NULL}, err) : err_memory(err, "a file name", 0);
  if (ok) printf("%s\n", out);
  free(in), free(out);
  return ok;
}

/* Two images whose masks would have one name (a.png and a.jpg)? */
static bool distinct(struct dirent *const *list, int n, const char *dir, char err[ERR_MAX]) {
  char a[512], b[512];
  for (int i = 1; i < n; i++) { /* sorted by the masks' names */
    mask_name(list[i - 1]->d_name, a), mask_name(list[i]->d_name, b);
    if (strcmp(a, b) == 0)
      return err_set(err, "%s: the masks of %s and %s would both be %s; predict them one by one", dir,
                     list[i - 1]->d_name, list[i]->d_name, a);
  }
  return true;
}

static int by_mask_name(const struct dirent **x, const struct dirent **y) {
  char a[512], b[512];
  mask_name((*x)->d_name, a), mask_name((*y)->d_name, b);
  return strcmp(a, b);
}

static bool predict_directory(Predictor *p, const char *in, const char *out, char err[ERR_MAX]) {
  struct dirent **list = NULL;
  int n = scandir(in, &list, is_image, by_mask_name);
  if (n < 0) return err_sys(err, "cannot read directory %s", in);
  char endings[ALL_ENDINGS];
  bool ok = n > 0 || err_set(err, "%s holds no images (%s)", in, format_endings(endings));
  ok = ok && distinct(list, n, in, err) && make_dirs(out, err);
  for (int i = 0; i < n; i++) {
    ok = ok && predict_named(p, in, out, list[i]->d_name, err);
    free(list[i]);
  }
  free(list);
  return ok;
}

/* ---- the command ---- */

static const CliOption options[] = {
    {"weights", "FILE", "a checkpoint or other .safetensors file with the module's variables"},
    {"in", "IMAGE|DIR", "a picture or volume (docs/data.md lists the formats), or a directory of them"},
    {"out", "MASK|DIR", ".png for a picture, .nii or .nii.gz for a volume; a directory if --in is one"},
    {"overlay", "PNG", "also a picture: the image, and the prediction's outline in red over it"},
    CLI_RECIPE_OPTIONS,
    {"threads", "T", "threads (all CPUs)"},
    {"device", "NAME", "cpu or cuda:N (cpu)"},
    {NULL, NULL, NULL}};

static bool is_directory(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool same_file(const char *a, const char *b) {
  struct stat x, y;
  return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool predict(Session *s, const CliArgs *args, void *user, char err[ERR_MAX]) {
  (void)user;
  const char *weights;
  Job job = {NULL, NULL, cli_value(args, "overlay")};
  Predictor p;
  Recipe recipe = recipe_plain;
  Notes notes;
  if (!cli_recipe(args, &recipe, err) || !cli_required(args, "weights", &weights, err) ||
      !cli_required(args, "in", &job.in, err) || !cli_required(args, "out", &job.out, err))
    return false;
  if (same_file(job.in, job.out)) return err_set(err, "--out %s would overwrite the images of --in", job.out);
  bool many = is_directory(job.in);
  if (many && job.overlay) return err_set(err, "--overlay is for a single image; %s is a directory", job.in);
  if (!predictor_new(&p, s, err)) return false;
  session_init(s, 0);
  notes_init(&notes);
  p.shape.recipe = &recipe, p.shape.notes = &notes;
  bool ok = checkpoint_load(s, weights, p.fn, NULL, err) &&
            (many ? predict_directory(&p, job.in, job.out, err) : predict_file(&p, &job, err));
  notes_print(&notes, 0, NOTES_SHOWN, stderr);
  notes_free(&notes);
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
