/* predict.c - netrun predict: masks of images and volumes that are not part of a data set. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "runtime/session/checkpoint.h"
#include "runtime/cli/session.h"
#include "runtime/base/file.h"
#include "runtime/eval/overlay.h"
#include "runtime/io/picture.h"
#include "runtime/eval/predictor.h"
#include "runtime/image/image.h"
#include "runtime/io/format.h"

/* ---- one file ---- */

/* Own-size masks of a 2-D module's images, from those at its size. A volume's slices come as (Z, H = Y, W =
 * X); a mask file's axes are (X,Y,Z). */
static void to_own_size(const Sample *x, const DataShape *shape, const uint8_t *small, uint8_t *plane,
                        uint8_t *own) {
  int64_t h = x->own_dim[x->own_dim[2] ? 1 : 0], w = x->own_dim[x->own_dim[2] ? 2 : 1];
  int64_t n = x->own_dim[2] ? x->own_dim[0] : 1;
  for (int64_t z = 0; z < n; z++) {
    resize_nearest(small + z * shape->size[0] * shape->size[1], shape->size[0], shape->size[1],
                   x->own_dim[2] ? plane : own, h, w);
    for (int64_t i = 0; x->own_dim[2] && i < h * w; i++) own[(i % w * h + i / w) * n + z] = plane[i];
  }
}

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

static bool predict_2d(Predictor *p, const Sample *x, const Job *job, char err[ERR_MAX]) {
  bool stack = x->own_dim[2] != 0;
  int64_t n = stack ? x->dim[0] : 1, h = x->own_dim[stack ? 1 : 0], w = x->own_dim[stack ? 2 : 1];
  uint8_t *small = malloc((size_t)(n * p->patch)), *own = malloc((size_t)(n * h * w)),
          *plane = malloc((size_t)(h * w));
  bool ok = (small && own && plane) || err_memory(err, job->in, n * (p->patch + h * w));
  if (ok) {
    int64_t dim[3] = {stack ? w : h, stack ? h : w, stack ? n : 1};
    ok = predictor_slices(p, x->image, n, small, err);
    if (ok) to_own_size(x, &p->shape, small, plane, own);
    Written mask = {stack ? 3 : 2, 1, grid_plain(dim, NULL), own, NULL, p->shape.classes, NULL};
    ok = ok && image_write(job->out, job->in, &mask, err);
    int64_t z = fullest(small, n, p->patch);
    if (ok && job->overlay)
      ok = picture_overlay(job->overlay, x->image + z * p->patch * p->shape.channels, p->shape.channels,
                           p->shape.size[0], p->shape.size[1], NULL, small + z * p->patch, err);
  }
  free(small), free(own), free(plane);
  return ok;
}

static bool predict_3d(Predictor *p, const Sample *x, const Job *job, char err[ERR_MAX]) {
  int64_t n = x->dim[0] * x->dim[1] * x->dim[2];
  uint8_t *mask = malloc((size_t)n);
  bool ok = mask ? predictor_volume(p, x->image, x->dim, mask, err) : err_memory(err, job->in, n);
  Written own = {3, 1, grid_plain(x->dim, NULL), mask, NULL, p->shape.classes, NULL};
  ok = ok && image_write(job->out, job->in, &own, err) &&
       (!job->overlay || overlay_volume(job->overlay, x->image, x->dim, NULL, mask, err));
  free(mask);
  return ok;
}

static bool predict_file(Predictor *p, const Job *job, char err[ERR_MAX]) {
  Sample x;
  if (!data_load_file(job->in, &p->shape, &x, err)) return false;
  bool ok = p->shape.spatial == 2 ? predict_2d(p, &x, job, err) : predict_3d(p, &x, job, err);
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
  if (!cli_required(args, "weights", &weights, err) || !cli_required(args, "in", &job.in, err) ||
      !cli_required(args, "out", &job.out, err))
    return false;
  if (same_file(job.in, job.out)) return err_set(err, "--out %s would overwrite the images of --in", job.out);
  bool many = is_directory(job.in);
  if (many && job.overlay) return err_set(err, "--overlay is for a single image; %s is a directory", job.in);
  if (!predictor_new(&p, s, err)) return false;
  session_init(s, 0);
  bool ok = checkpoint_load(s, weights, p.fn, NULL, err) &&
            (many ? predict_directory(&p, job.in, job.out, err) : predict_file(&p, &job, err));
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
