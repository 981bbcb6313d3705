/* inputs.c - from --in to images: folders by their layout, files with those that belong to them. */
#include "runtime/cli/inputs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/base/file.h"
#include "runtime/io/format.h"

void inputs_free(Inputs *in) {
  free(in->list);
  found_free(&in->found);
  *in = (Inputs){.n = 0};
}

static InputOptions find_options(const DataShape *shape) {
  const char *const *channel = shape->recipe->channel;
  const FindOptions find = {
      .spatial = shape->spatial, .channel = channel, .nchannel = channel ? shape->channels : 0};
  return (InputOptions){.find = find, .channels = shape->channels};
}

static Input input_of(const FoundItem *it) {
  return (Input){.files = {.image = (char *const *)it->file, .nimage = it->nfile, .axes = it->axes},
                 .missing = it->missing};
}

bool input_complete(const Input *in, const DataShape *shape, char err[ERR_MAX]) {
  if (!in->missing || !*in->missing) return true;
  return err_set(err,
                 "%s: the module takes %d channels, each in a file of its own here; there is none for %s",
                 in->files.image[0], shape->channels, in->missing);
}

/* ---- a folder ---- */

/* Pictures are never written as volumes, nor volumes as pictures. */
static bool ending_suits(const char *ending, bool picture, const char *path, char err[ERR_MAX]) {
  const Format *f = format_with_ending(ending);
  Holds holds = picture ? HOLDS_PICTURE : HOLDS_VOLUME;
  if (f && f->write && (f->holds == holds || f->holds == HOLDS_EITHER)) return true;
  return err_set(err, "--ending %s: the mask of %s, a %s, is not written so; %s would do", ending, path,
                 picture ? "picture" : "volume", format_of_masks(holds)->ending[0]);
}

/* The folders below the root are kept, and the image's name without the number of a channel. */
static bool name_results(Found *f, const FoundItem *it, const char *ending, Input *in, char err[ERR_MAX]) {
  const char *path = it->file[0] + strlen(f->root) + 1, *slash = strrchr(path, '/');
  int folder = slash ? (int)(slash - path) + 1 : 0;
  if (!ending) ending = format_of_masks(it->picture ? HOLDS_PICTURE : HOLDS_VOLUME)->ending[0];
  else if (!ending_suits(ending, it->picture, path, err)) return false;
  in->mask = keep_text(&f->keep, "%.*s%s%s", folder, path, it->name, ending);
  in->prob = keep_text(&f->keep, "%.*s%s.nii.gz", folder, path, it->name);
  return true;
}

static int by_mask_name(const void *x, const void *y) {
  const Input *a = x, *b = y;
  int order = strcmp(a->mask, b->mask);
  return order ? order : strcmp(a->files.image[0], b->files.image[0]);
}

/* A folder that is a series itself is found as its own entry "."; messages have its name. */
static void name_series(Found *f, Input *in) {
  const char *path = in->files.image[0];
  size_t n = strlen(path);
  if (n < 3 || strcmp(path + n - 2, "/.") != 0) return;
  const char **one = keep_bytes(&f->keep, sizeof *one);
  if (one) *one = keep_text(&f->keep, "%.*s", (int)n - 2, path), in->files.image = (char *const *)one;
}

static const char *below_root(const Found *f, const char *path) {
  size_t n = strlen(f->root);
  return path[n] ? path + n + 1 : path;
}

/* Two images whose masks would have one name (a.png and a.jpg)? */
static bool distinct(const Inputs *in, char err[ERR_MAX]) {
  for (int i = 1; i < in->n; i++) {
    const Input *a = &in->list[i - 1], *b = &in->list[i];
    if (!strcmp(a->mask, b->mask))
      return err_set(err, "%s: the masks of %s and %s would both be %s; predict them one by one",
                     in->found.root, below_root(&in->found, a->files.image[0]),
                     below_root(&in->found, b->files.image[0]), a->mask);
  }
  return true;
}

static void tell(const Found *f, Notes *notes) {
  for (int i = 0; i < f->noddity; i++) note(notes, "%s: %s", f->root, f->oddity[i].text);
  if (f->labeled)
    note(notes,
         "%s: %d of the %d images have masks already, which are not looked at (netrun eval scores them)",
         f->root, f->labeled, f->n);
}

bool inputs_of_folder(const char *dir, const DataShape *shape, const char *ending, const char *const skip[2],
                      Inputs *out, char err[ERR_MAX]) {
  InputOptions o = find_options(shape);
  *out = (Inputs){.n = 0};
  for (int i = 0; i < 2; i++) o.skip[i] = skip[i];
  if (!find_inputs(dir, &o, &out->found, err)) return false;
  Found *f = &out->found;
  const Oddity *fatal = found_fatal(f);
  bool ok = !fatal || err_set(err, "%s/%s", f->root, fatal->text);
  out->list = calloc((size_t)f->n + 1, sizeof *out->list);
  if (ok && !out->list) ok = err_memory(err, dir, f->n * (int64_t)sizeof *out->list);
  for (int i = 0; ok && i < f->n; i++) {
    out->list[i] = input_of(&f->item[i]);
    ok = name_results(f, &f->item[i], ending, &out->list[i], err);
    name_series(f, &out->list[i]);
  }
  if (ok && f->keep.failed) ok = err_memory(err, "the names of masks", 0);
  out->n = f->n;
  if (ok) qsort(out->list, (size_t)out->n, sizeof *out->list, by_mask_name);
  ok = ok && distinct(out, err);
  if (ok) tell(f, shape->notes);
  else inputs_free(out);
  return ok;
}

/* ---- a file ---- */

static bool one_input(Inputs *out, int files, char err[ERR_MAX]) {
  *out = (Inputs){.list = calloc(1, sizeof *out->list), .n = 1};
  char **path = keep_bytes(&out->found.keep, (size_t)files * sizeof *path);
  if (!out->list || !path) return inputs_free(out), err_memory(err, "the names of files", 0);
  out->list->files = (Files){.image = path, .nimage = files};
  return true;
}

/* Files of a list are channels in the module's order. */
static bool channels_given(const char *list, const DataShape *shape, Inputs *out, char err[ERR_MAX]) {
  int n = 1, k = 0, want = shape->channels;
  for (const char *c = list; *c; c++) n += *c == ',';
  if (!one_input(out, n, err)) return false;
  char *rest = (char *)(uintptr_t)keep_text(&out->found.keep, "%s", list), *one;
  char **path = (char **)(uintptr_t)out->list->files.image;
  const char *const *names = shape->recipe->channel;
  bool ok = true;
  while (ok && (one = strsep(&rest, ","))) {
    if (!*one) n--;
    else if (!file_exists(path[k++] = one)) ok = err_sys(err, "--in %s: %s", list, one);
  }
  out->list->files.nimage = n;
  if (ok && n < want)
    ok = err_set(
        err, "--in %s: %d file%s, but the module takes %d channels; there is none for channel %d%s%s%s", list,
        n, n == 1 ? "" : "s", want, n, names ? " (" : "", names ? names[n] : "", names ? ")" : "");
  else if (ok && n > want)
    ok = err_set(err, "--in %s: %d files, but the module takes %d channel%s", list, n, want,
                 want == 1 ? "" : "s");
  if (!ok) inputs_free(out);
  return ok;
}

/* Does the file hold fewer channels than the module takes, or more? */
static bool is_part(const char *path, const DataShape *shape) {
  char ignored[ERR_MAX];
  Image header;
  return shape->channels > 1 && image_read(path, &(Wish){.header = true, .set = "image"}, &header, ignored) &&
         header.channels != shape->channels;
}

static const FoundItem *item_of(const Found *f, const char *name) {
  for (int i = 0; i < f->n; i++)
    for (int k = 0; k < f->item[i].nfile; k++)
      if (!strcmp(strrchr(f->item[i].file[k], '/') + 1, name)) return &f->item[i];
  return NULL;
}

/* The image that the file is one channel of; out->n is 0 where it is none. */
static bool channels_beside(const char *path, const DataShape *shape, Inputs *out, char err[ERR_MAX]) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
  InputOptions o = find_options(shape);
  char ignored[ERR_MAX]; /* reading the file alone tells what is wrong with it */
  o.beside = name;
  *out = (Inputs){.n = 0};
  const FoundItem *it = dir && find_inputs(dir, &o, &out->found, ignored) ? item_of(&out->found, name) : NULL;
  free(dir);
  if (!it || (it->nfile == 1 && !it->missing)) return inputs_free(out), true;
  out->list = calloc(1, sizeof *out->list);
  if (!out->list) return inputs_free(out), err_memory(err, path, sizeof *out->list);
  *out->list = input_of(it), out->n = 1;
  for (int i = 0; i < out->found.noddity; i++) note(shape->notes, "%s: %s", path, out->found.oddity[i].text);
  if (it->nfile > 1)
    note(shape->notes, "%s: one of %d channels, %s .. %s", path, it->nfile, strrchr(it->file[0], '/') + 1,
         strrchr(it->file[it->nfile - 1], '/') + 1);
  bool ok = input_complete(out->list, shape, err);
  if (!ok) inputs_free(out);
  return ok;
}

bool inputs_of_file(const char *path, const DataShape *shape, Inputs *out, char err[ERR_MAX]) {
  *out = (Inputs){.n = 0};
  if (!file_exists(path) && strchr(path, ',')) return channels_given(path, shape, out, err);
  if (is_part(path, shape) && !channels_beside(path, shape, out, err)) return false;
  if (out->n) return true;
  if (!one_input(out, 1, err)) return false;
  ((char **)(uintptr_t)out->list->files.image)[0] =
      (char *)(uintptr_t)keep_text(&out->found.keep, "%s", path);
  return true;
}
