/* pair.c - images and their masks, by keys; then names and cases of what came of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "runtime/find/search.h"

enum { PATH_ROOM = 4096, CASE_FOLDERS = 5 };

/* Keys that differ in case alone are neighbours. */
static int compare_keys(const char *a, const char *b) {
  int folded = strcasecmp(a, b);
  return folded ? folded : strcmp(a, b);
}

static int by_key(const void *a, const void *b) {
  const Part *x = a, *y = b;
  int keys = compare_keys(x->key, y->key);
  if (keys) return keys;
  return x->order != y->order ? (x->order > y->order) - (x->order < y->order) : x->file - y->file;
}

typedef struct {
  const char *key;
  const Part *part;
  int files;        /* parts of that key, from `part` on */
  const char *mask; /* below the root */
} Paired;

typedef struct {
  Search *s;
  Paired *image; /* sorted by key, one per item */
  int n;
} Pairing;

static const char *path_of(const Search *s, const Part *p) { return s->tree.file[p->file].path; }

static const char *full_path(Search *s, const char *below) {
  return keep_text(s->keep, "%s/%s", s->found->root, below);
}

/* ---- images ---- */

static bool is_image(const Part *p) { return p->role == ROLE_IMAGE || p->role == ROLE_BOTH; }

/* The files of one key: channels, or the same name twice. */
static int image_files(Search *s, const Part *first, int n, const char **file) {
  int kept = 0;
  for (int i = 0; i < n; i++) {
    bool again = i && first[i].order == first[i - 1].order;
    if (again || (i && !first->channel))
      oddity_add(s->found, ODD_same_name, true,
                 "%s: has the name of another image, %s; which one is meant? Rename or remove one",
                 path_of(s, &first[i]), path_of(s, &first[i - 1]));
    else file[kept++] = full_path(s, path_of(s, &first[i]));
  }
  return kept;
}

static void add_image(Pairing *p, const Part *first, int n) {
  Search *s = p->s;
  Found *f = s->found;
  const TreeFile *file = &s->tree.file[first->file];
  const char **path = keep_bytes(s->keep, (size_t)n * sizeof *path);
  if (!path || !keep_grow(s->keep, &f->item, f->n, &f->item_room, sizeof *f->item)) return;
  FoundItem *it = &f->item[f->n++];
  *it = (FoundItem){.file = path,
                    .part = first->part,
                    .axes = first->axes,
                    .name = first->base,
                    .patient = first->patient,
                    .picture = first->slice || !file->volume};
  it->nfile = image_files(s, first, n, path);
  p->image[p->n++] = (Paired){first->key, first, n, first->role == ROLE_BOTH ? path_of(s, first) : NULL};
}

/* Parts are sorted by key. */
static void collect_images(Pairing *p) {
  Search *s = p->s;
  Part *of = keep_bytes(s->keep, (size_t)(s->npart + 1) * sizeof *of);
  int n = 0;
  for (int i = 0; of && i < s->npart; i++)
    if (is_image(&s->part[i])) of[n++] = s->part[i];
  for (int i = 0, next; i < n; i = next) {
    for (next = i + 1; next < n && !strcmp(of[next].key, of[i].key);) next++;
    add_image(p, of + i, next - i);
  }
}

/* "t1ce, t2" */
static const char *missing_channels(const Pairing *p, const Paired *image) {
  const Found *f = p->s->found;
  const char *text = "";
  for (int c = 0; c < p->s->channels; c++) {
    bool there = false;
    for (int k = 0; k < image->files; k++) there = there || image->part[k].order == c;
    if (there) continue;
    const char *name = c < f->nchannel && f->channel[c] ? f->channel[c] : NULL, *comma = *text ? ", " : "";
    text = name ? keep_text(p->s->keep, "%s%s%s", text, comma, name)
                : keep_text(p->s->keep, "%s%s_%04d", text, comma, c);
  }
  return text;
}

/* Of images to predict each says so itself: others may be complete. */
static void check_channels(Pairing *p) {
  const Search *s = p->s;
  for (int i = 0; i < p->n && s->channels; i++) {
    FoundItem *it = &s->found->item[i];
    if (it->nfile == s->channels) continue;
    it->missing = missing_channels(p, &p->image[i]);
    if (s->look == LOOK_DATA)
      oddity_add(s->found, ODD_channels, true,
                 "%s: the image has %d of %d files, one for each channel; missing: %s",
                 path_of(s, p->image[i].part), it->nfile, s->channels, it->missing);
  }
}

/* ---- masks ---- */

typedef enum { NO_IMAGE, ONE_IMAGE, SEVERAL_IMAGES } Match;

/* The image of this key: the one whose letters are equal, or else the only one without regard to case. */
static Match image_of(const Pairing *p, const char *key, int *at) {
  int lo = 0, hi = p->n, found = 0;
  while (lo < hi) {
    int mid = lo + (hi - lo) / 2;
    if (strcasecmp(p->image[mid].key, key) < 0) lo = mid + 1;
    else hi = mid;
  }
  for (int i = lo; i < p->n && !strcasecmp(p->image[i].key, key); i++) {
    if (!strcmp(p->image[i].key, key)) return *at = i, ONE_IMAGE;
    if (!found++) *at = i;
  }
  return found > 1 ? SEVERAL_IMAGES : found ? ONE_IMAGE : NO_IMAGE;
}

static void give_mask(Pairing *p, int at, const char *mask) {
  Paired *image = &p->image[at];
  if (image->mask)
    oddity_add(p->s->found, ODD_two_masks, true,
               "%s: a second mask of %s beside %s; which one is meant? Join them or remove one", mask,
               path_of(p->s, image->part), image->mask);
  else image->mask = mask;
}

/* A mask that no image fits by its whole name: its name without a suffix. */
static void place_by_suffix(Pairing *p, const Part *mask) {
  int at = 0;
  Found *f = p->s->found;
  Match m = image_of(p, mask->key, &at);
  if (m == NO_IMAGE && mask->other) m = image_of(p, mask->other, &at);
  if (m == ONE_IMAGE) give_mask(p, at, path_of(p->s, mask));
  else if (m == NO_IMAGE) oddity_add(f, ODD_alone, false, "%s: a mask without an image", path_of(p->s, mask));
  else
    oddity_add(f, ODD_two_masks, true,
               "%s: several images have this name but for small and capital letters; rename them",
               path_of(p->s, mask));
}

/* First the masks that are named as their images are, then those with a suffix. */
static void collect_masks(Pairing *p) {
  const Search *s = p->s;
  bool *placed = keep_bytes(s->keep, (size_t)s->npart + 1);
  int at = 0;
  for (int i = 0; placed && i < s->npart; i++)
    if (s->part[i].role == ROLE_MASK && image_of(p, s->part[i].key, &at) == ONE_IMAGE)
      give_mask(p, at, path_of(s, &s->part[i])), placed[i] = true;
  for (int i = 0; placed && i < s->npart; i++)
    if (s->part[i].role == ROLE_MASK && !placed[i]) place_by_suffix(p, &s->part[i]);
}

/* ---- names and cases ---- */

static int by_name(const void *a, const void *b) {
  const FoundItem *const *x = a, *const *y = b;
  return strcmp((*x)->name, (*y)->name);
}

/* Marks the items whose name others have, too. */
static void mark_equal(Pairing *p, bool *equal) {
  Found *f = p->s->found;
  FoundItem **sorted = keep_bytes(p->s->keep, (size_t)(f->n + 1) * sizeof *sorted);
  for (int i = 0; sorted && i < f->n; i++) sorted[i] = &f->item[i];
  if (sorted && f->n) qsort(sorted, (size_t)f->n, sizeof *sorted, by_name);
  for (int i = 0; sorted && i + 1 < f->n; i++)
    if (!strcmp(sorted[i]->name, sorted[i + 1]->name))
      equal[sorted[i] - f->item] = equal[sorted[i + 1] - f->item] = true;
}

/* Pictures that are numbered anew in every sub-folder are slices, and the sub-folder is their case; unless
 * there are so few that they will be kinds of images. Images are in the order of their keys. */
static bool folders_are_cases(const Pairing *p, const bool *equal) {
  Found *f = p->s->found;
  const char *first = NULL, *last = "";
  int folders = 0;
  for (int i = 0; i < f->n; i++) {
    const char *group = p->image[i].part->group;
    if (!f->item[i].picture || f->item[i].patient || !group || !*group) continue;
    if (strcmp(group, last)) folders++, last = group;
    if (equal[i] && !first) first = f->item[i].file[0] + strlen(f->root) + 1;
  }
  if (!first || folders < 2) return false;
  oddity_add(f, ODD_cases, false,
             "%s: names repeat in %d sub-folders; %s is a case (--case-by REGEX says otherwise)", first,
             folders, folders < CASE_FOLDERS ? "every image" : "every sub-folder");
  return folders >= CASE_FOLDERS;
}

/* Names that several items have give way to their keys, which hold the sub-folders. */
static void settle_names(Pairing *p) {
  Found *f = p->s->found;
  bool *equal = keep_bytes(p->s->keep, (size_t)f->n + 1);
  char name[PATH_ROOM];
  if (!equal) return;
  mark_equal(p, equal);
  bool folders = folders_are_cases(p, equal);
  for (int i = 0; i < f->n; i++) {
    FoundItem *it = &f->item[i];
    const char *group = p->image[i].part->group;
    if (equal[i]) it->name = p->image[i].key;
    if (it->patient) continue;
    if (!it->picture) it->patient = it->name;
    else if (folders && group && *group) it->patient = group;
    else it->patient = keep_text(p->s->keep, "%s", case_in_name(it->name, name, sizeof name));
  }
}

/* ---- parts of the data set ---- */

static void hold_out(Found *f, FoundPart part, int n) {
  const char *first = NULL;
  for (int i = 0; i < f->n; i++)
    if (f->item[i].part == part) {
      f->item[i].held_out = true;
      if (!first) first = f->item[i].file[0] + strlen(f->root) + 1;
    }
  oddity_add(f, ODD_held_out, false, "%s ..: the %s part has no masks; its images, %d, are left out", first,
             part_name[part], n);
}

/* A part that is published without masks cannot be scored: it is no part of the data set. What is left counts
 * as divided when there are two parts. */
static void settle_parts(Found *f) {
  int n[PART_COUNT] = {0}, masks[PART_COUNT] = {0}, parts = 0;
  for (int i = 0; i < f->n; i++) n[f->item[i].part]++, masks[f->item[i].part] += f->item[i].mask != NULL;
  for (FoundPart p = PART_TRAIN; p < PART_COUNT; p++) {
    bool others = f->labeled > masks[p];
    if (p != PART_TRAIN && n[p] && !masks[p] && others) hold_out(f, p, n[p]), f->held_out += n[p];
    else parts += n[p] > 0;
  }
  f->parts = parts > 1;
  if (f->parts && n[PART_NONE])
    oddity_add(f, ODD_parts, false, "%d images lie in none of the folders train, val and test: they train",
               n[PART_NONE]);
  for (int i = 0; i < f->n; i++)
    f->item[i].part = !f->parts ? PART_NONE : f->item[i].part == PART_NONE ? PART_TRAIN : f->item[i].part;
}

/* Those held out go to the end, where n does not count them. */
static void set_aside(Found *f) {
  int kept = 0;
  FoundItem *held = keep_bytes(&f->keep, (size_t)(f->held_out + 1) * sizeof *held);
  for (int i = 0, h = 0; held && i < f->n; i++) {
    if (f->item[i].held_out) held[h++] = f->item[i];
    else f->item[kept++] = f->item[i];
  }
  if (held) memcpy(f->item + kept, held, (size_t)f->held_out * sizeof *held);
  f->n = kept;
}

bool pair_parts(Search *s, char err[ERR_MAX]) {
  Pairing p = {.s = s};
  Found *f = s->found;
  p.image = keep_bytes(s->keep, (size_t)(s->npart + 1) * sizeof *p.image);
  if (!p.image) return err_memory(err, f->root, s->npart);
  if (s->npart) qsort(s->part, (size_t)s->npart, sizeof *s->part, by_key);
  collect_images(&p);
  check_channels(&p);
  collect_masks(&p);
  for (int i = 0; i < f->n && i < p.n; i++)
    if (p.image[i].mask) f->item[i].mask = full_path(s, p.image[i].mask), f->labeled++;
  if (s->look == LOOK_DATA) settle_names(&p), settle_parts(f), set_aside(f);
  return !s->keep->failed || err_set(err, "%s: not enough memory for the list of images", f->root);
}
