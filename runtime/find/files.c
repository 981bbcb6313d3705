/* files.c - layouts in which the names of files tell images from masks: LiTS, LA, files that hold both, masks
 * beside their images, a folder for every case. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "runtime/find/search.h"

/* ---- LiTS ---- */

bool match_lits(Search *s) {
  bool any = false;
  for (int i = 0; i < s->tree.n; i++) {
    const TreeFile *f = &s->tree.file[i];
    int end = 0;
    if (!counts(s, f)) continue;
    bool image = sscanf(f->stem, "volume-%*[0-9]%n", &end) == 0 && end && !f->stem[end];
    bool mask = !image && sscanf(f->stem, "segmentation-%*[0-9]%n", &end) == 0 && end && !f->stem[end];
    if (!strncmp(f->stem, "test-volume-", 12)) part_add(s, i, ROLE_IGNORED, f->stem, f->stem);
    if (!image && !mask) continue;
    const char *key = keep_text(s->keep, "volume-%s", strchr(f->stem, '-') + 1);
    if (!part_add(s, i, image ? ROLE_IMAGE : ROLE_MASK, key, key)) return false;
    any = any || image;
  }
  return any;
}

/* ---- a folder for every case ---- */

bool match_la_raw(Search *s) {
  bool any = false;
  for (int i = 0; i < s->tree.n; i++) {
    const TreeFile *f = &s->tree.file[i];
    bool image = !strcasecmp(f->stem, "lgemri"), mask = !strcasecmp(f->stem, "laendo");
    if (!counts(s, f) || (!image && !mask)) continue;
    Part *p = part_add(s, i, image ? ROLE_IMAGE : ROLE_MASK, f->dir, last_folder(f->dir));
    if (!p) return false;
    p->part = part_of(f->dir);
    any = any || image;
  }
  return any;
}

/* Files that hold image and label, and those beside them that hold an image alone. Where all have one name,
 * their folders name the cases. */
bool match_sets(Search *s) {
  const char *first = NULL;
  bool one_name = true, labels = false;
  int n = 0;
  for (int i = 0; i < s->tree.n; i++) {
    const TreeFile *f = &s->tree.file[i];
    if (!counts(s, f) || !f->format || !f->format->sets) continue;
    one_name = one_name && *f->dir && (!first || !strcmp(first, f->stem));
    first = f->stem, labels = labels || f->labelled, n++;
  }
  for (int i = 0; i < s->tree.n; i++) {
    const TreeFile *f = &s->tree.file[i];
    if (!counts(s, f) || !f->format || !f->format->sets) continue;
    bool folder = n > 0 && *f->dir && (one_name || !strcmp(f->stem, "mri_norm2"));
    Part *p = part_add(s, i, f->labelled ? ROLE_BOTH : ROLE_IMAGE,
                       folder ? f->dir : below(s, f->dir, f->stem, strlen(f->stem)),
                       folder ? last_folder(f->dir) : f->stem);
    if (!p) return false;
    p->part = part_of(f->dir);
  }
  return labels;
}

/* By folder, then by the stem that an image's mask begins with. */
static int by_image_stem(const void *a, const void *b) {
  const TreeFile *const *x = a, *const *y = b;
  int dirs = strcmp((*x)->dir, (*y)->dir);
  if (dirs) return dirs;
  size_t n = image_stem((*x)->stem), m = image_stem((*y)->stem);
  int stems = strncasecmp((*x)->stem, (*y)->stem, n < m ? n : m);
  return stems ? stems : (n > m) - (n < m);
}

/* Does a file beside it have the first n characters of the mask as its stem? */
static bool has_image(Search *s, const TreeFile **sorted, size_t count, const TreeFile *mask, size_t n) {
  TreeFile image = *mask, *key = &image;
  image.stem = keep_text(s->keep, "%.*s", (int)n, mask->stem);
  return bsearch(&key, sorted, count, sizeof *sorted, by_image_stem) != NULL;
}

bool match_beside(Search *s) {
  bool masks = false;
  size_t count = 0;
  const TreeFile **sorted = keep_bytes(s->keep, (size_t)(s->tree.n + 1) * sizeof *sorted);
  for (int i = 0; sorted && i < s->tree.n; i++)
    if (counts(s, &s->tree.file[i])) sorted[count++] = &s->tree.file[i];
  if (count) qsort(sorted, count, sizeof *sorted, by_image_stem);
  for (int i = 0; sorted && i < s->tree.n; i++) {
    const TreeFile *f = &s->tree.file[i];
    if (!counts(s, f)) continue;
    size_t n = mask_stem(f->stem);
    bool mask = n && has_image(s, sorted, count, f, n);
    Part *p = part_add(s, i, mask ? ROLE_MASK : ROLE_IMAGE,
                       below(s, f->dir, f->stem, mask ? n : image_stem(f->stem)), f->stem);
    if (!p) return false;
    p->part = part_of(f->dir), p->group = f->dir;
    masks = masks || mask;
  }
  return masks;
}

static bool is_mask(const TreeFile *f) { return is_mask_word(f->stem) || mask_stem(f->stem); }

/* The parts of one folder, whose files are first .. next - 1: an image and at most one mask. The image may be
 * the folder itself. True where there is a mask. */
static bool add_case(Search *s, int first, int next) {
  const char *dir = s->tree.file[first].dir;
  int images = 0, masks = 0;
  for (int i = first; i < next; i++)
    if (counts(s, &s->tree.file[i])) is_mask(&s->tree.file[i]) ? masks++ : images++;
  const TreeFile *itself = masks && !images ? tree_at(&s->tree, dir) : NULL;
  if (masks > 1 || images + (itself != NULL) != 1) return false;
  if (itself && counts(s, itself))
    part_add(s, (int)(itself - s->tree.file), ROLE_IMAGE, dir, last_folder(dir));
  for (int i = first; i < next; i++) {
    const TreeFile *f = &s->tree.file[i];
    Part *p =
        counts(s, f) ? part_add(s, i, is_mask(f) ? ROLE_MASK : ROLE_IMAGE, dir, last_folder(dir)) : NULL;
    if (p) p->part = part_of(dir);
  }
  return masks;
}

bool match_case_folders(Search *s) {
  bool masks = false;
  for (int i = 0, next; i < s->tree.n; i = next) {
    const char *dir = s->tree.file[i].dir;
    for (next = i + 1; next < s->tree.n && !strcmp(s->tree.file[next].dir, dir);) next++;
    if (*dir && add_case(s, i, next)) masks = true;
  }
  return masks;
}

bool match_images_alone(Search *s) {
  const char *first = NULL;
  int masks = 0;
  for (int i = 0; i < s->tree.n; i++) {
    const TreeFile *f = &s->tree.file[i];
    if (!counts(s, f)) continue;
    /* what is predicted need not have a name of its own but for its ending: results may */
    const char *key = s->look == LOOK_DATA ? below(s, f->dir, f->stem, strlen(f->stem)) : f->path;
    bool mask = s->look == LOOK_INPUTS && in_mask_folder(f->dir);
    Part *p = part_add(s, i, mask ? ROLE_IGNORED : f->labelled ? ROLE_BOTH : ROLE_IMAGE, key, f->stem);
    if (!p) return false;
    p->part = part_of(f->dir), p->group = f->dir;
    if (mask && !masks++) first = f->path;
  }
  if (masks)
    oddity_add(s->found, ODD_passed_over, false,
               "%s ..: passed over, by its name the folder holds masks (%d)", first, masks);
  return s->npart > masks;
}
