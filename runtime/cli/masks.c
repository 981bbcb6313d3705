/* masks.c - masks are matched with images by name. */
#include "runtime/cli/masks.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/eval/eval.h"
#include "runtime/io/format.h"

enum { NAME_ROOM = 4096, NAMES_TOLD = 8 };

void masks_free(Masks *m) {
  free(m->of);
  found_free(&m->found);
  *m = (Masks){.of = NULL};
}

/* ---- names of an image ---- */

static const char *leaf(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static bool first_of_volume(const Dataset *d, int item) {
  return d->item[item].volume < 0 || !item || d->item[item - 1].volume != d->item[item].volume;
}

/* The item's name; of a slice its volume's. */
static void item_name(const Dataset *d, int item, char out[NAME_ROOM]) {
  const Item *it = &d->item[item];
  bool several = it->volume >= 0 && item + 1 < d->nitem && d->item[item + 1].volume == it->volume;
  snprintf(out, NAME_ROOM, "%s", it->name);
  char *slice = strrchr(out, '_');
  if (several && slice) *slice = 0;
}

/* The name of the truth's file without its ending; "" where that says nothing: the image itself. */
static void truth_name(const Files *files, char out[NAME_ROOM]) {
  *out = 0;
  if (!files->nimage || !files->mask || !strcmp(files->mask, files->image[0])) return;
  const char *name = leaf(files->mask);
  snprintf(out, NAME_ROOM, "%.*s", (int)format_stem(name), name);
}

/* ---- matching ---- */

typedef struct {
  const Dataset *d;
  Split split;
  Masks *masks;
  int *owner; /* by mask: the item it was given to, -1: none */
} Match;

/* The strongest way in which a mask's name can be an image's; 0: none. */
static int likeness(const Found *f, int mask, const char *item, const char *truth) {
  const FoundItem *it = &f->item[mask];
  const char *path = it->file[0] + strlen(f->root) + 1, *stem = it->name;
  size_t folders = (size_t)(leaf(path) - path), n = mask_stem(stem);
  size_t whole = folders + strlen(stem);
  if (strlen(item) == whole && !strncmp(item, path, folders) && !strcmp(item + folders, stem)) return 4;
  if (!strcmp(stem, leaf(item))) return 3;
  if (*truth && !strcmp(stem, truth)) return 2;
  return n && strlen(leaf(item)) == n && !strncmp(stem, leaf(item), n);
}

static bool give_mask(Match *m, int item, char err[ERR_MAX]) {
  const Found *f = &m->masks->found;
  const Files files = data_files(m->d, item);
  char name[NAME_ROOM], truth[NAME_ROOM];
  int best = 0, at = -1, second = -1;
  item_name(m->d, item, name), truth_name(&files, truth);
  for (int i = 0; i < f->n; i++) {
    int like = likeness(f, i, name, truth);
    if (like && like == best) second = i;
    if (like > best) best = like, at = i, second = -1;
  }
  if (second >= 0)
    return err_set(err, "%s and %s: which of them is the mask of %s? Give a folder with one of each image",
                   f->item[at].file[0], f->item[second].file[0], name);
  if (at < 0) return true;
  if (m->owner[at] >= 0)
    return err_set(err, "%s: has the name of two images, %s and %s; keep their sub-folders, or rename it",
                   f->item[at].file[0], m->d->item[m->owner[at]].name, name);
  m->masks->of[item] = f->item[at].file[0], m->owner[at] = item;
  return true;
}

/* ---- what is left over ---- */

/* Names up to NAMES_TOLD, with commas between. */
static void add_name(char *list, size_t room, const char *name, int n) {
  size_t at = strlen(list);
  if (n <= NAMES_TOLD)
    snprintf(list + at, room - at, "%s%.40s", n > 1 ? ", " : "", n == NAMES_TOLD ? ".." : name);
}

static bool tell_missing(const Match *m, const char *dir, bool skip, char err[ERR_MAX]) {
  char names[NAMES_TOLD * 48] = "", name[NAME_ROOM];
  int missing = 0, all = 0;
  for (int i = 0; i < m->d->nitem; i++) {
    if (m->d->item[i].split != m->split || !first_of_volume(m->d, i)) continue;
    all++;
    if (m->masks->of[i]) continue;
    item_name(m->d, i, name);
    add_name(names, sizeof names, name, ++missing);
  }
  if (missing == all)
    return err_set(err, "%s: none of its %d files has the name of an image of the %s split (%s)", dir,
                   m->masks->found.n, split_name[m->split], names);
  if (missing && !skip)
    return err_set(err,
                   "%s: no masks of %d of the %d images of the %s split: %s (--missing skip leaves them out)",
                   dir, missing, all, split_name[m->split], names);
  if (missing)
    note(m->d->shape.notes, "%s: no masks of %d of the %d images of the %s split, which are left out: %s",
         dir, missing, all, split_name[m->split], names);
  return true;
}

static void tell_unused(const Match *m, const char *dir) {
  const Found *f = &m->masks->found;
  int unused = 0, first = -1;
  for (int i = 0; i < f->n; i++)
    if (m->owner[i] < 0 && !unused++) first = i;
  if (unused)
    note(m->d->shape.notes, "%s: %d of its %d files have the name of no image of the %s split, the first %s",
         dir, unused, f->n, split_name[m->split], f->item[first].file[0] + strlen(f->root) + 1);
}

/* Slices of a volume that several splits share cannot be scored by the volume's mask. */
static bool volumes_are_whole(const Dataset *d, Split split, char err[ERR_MAX]) {
  for (int i = 1; i < d->nitem; i++) {
    bool same = d->item[i].volume >= 0 && d->item[i].volume == d->item[i - 1].volume;
    if (same && d->item[i].split != d->item[i - 1].split &&
        (d->item[i].split == split || d->item[i - 1].split == split))
      return err_set(
          err, "--masks: %s and %s are slices of one volume in different splits; a whole volume is needed",
          d->item[i - 1].name, d->item[i].name);
  }
  return true;
}

bool masks_of_folder(const char *dir, const Dataset *d, Split split, bool skip, Masks *out,
                     char err[ERR_MAX]) {
  const InputOptions o = {.find = {.spatial = d->shape.spatial}, .channels = 1};
  Match m = {d, split, out, NULL};
  *out = (Masks){.of = calloc((size_t)d->nitem + 1, sizeof *out->of)};
  bool ok = (out->of || err_memory(err, dir, d->nitem)) && volumes_are_whole(d, split, err) &&
            find_files(dir, &o, &out->found, err);
  m.owner = ok ? malloc(((size_t)out->found.n + 1) * sizeof *m.owner) : NULL;
  if (ok && !m.owner) ok = err_memory(err, dir, out->found.n);
  for (int i = 0; ok && i < out->found.n; i++) m.owner[i] = -1;
  for (int i = 0; ok && i < d->nitem; i++)
    if (d->item[i].split == split && first_of_volume(d, i)) ok = give_mask(&m, i, err);
  ok = ok && tell_missing(&m, dir, skip, err);
  if (ok) tell_unused(&m, dir);
  free(m.owner);
  if (!ok) masks_free(out);
  return ok;
}
