/* folders.c - images in one folder, masks in another: the Decathlon, nnU-Net, ISIC, and whoever calls them
 * images/ and masks/. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "runtime/find/search.h"

enum { PATH_ROOM = 4096 };

/* What the folders above a file say: the innermost that has a role counts. */
typedef struct {
  Role role;
  FoundPart part;
  char key[PATH_ROOM];   /* the folders without the one of the role, parts by their names */
  char group[PATH_ROOM]; /* the same without parts */
} Place;

typedef Word (*WordFn)(const char *folder);

static void append(char *to, const char *folder) {
  size_t n = strlen(to);
  if (n + strlen(folder) + 2 < PATH_ROOM) snprintf(to + n, PATH_ROOM - n, "%s%s", n ? "/" : "", folder);
}

static bool place_of(const char *dir, WordFn word, Place *p) {
  char copy[PATH_ROOM], *rest = copy, *folder, *innermost = NULL;
  *p = (Place){.role = ROLE_NONE};
  if (snprintf(copy, sizeof copy, "%s", dir) >= (int)sizeof copy) return false;
  for (char *at = copy; (folder = strsep(&at, "/"));)
    if (word(folder).role) innermost = folder;
  if (!innermost) return false;
  snprintf(copy, sizeof copy, "%s", dir);
  while ((folder = strsep(&rest, "/"))) {
    Word w = word(folder);
    if (w.part) p->part = w.part, append(p->key, part_name[w.part]);
    if (folder == innermost) p->role = w.role;
    else if (!w.part) append(p->key, folder), append(p->group, folder);
  }
  return true;
}

static const char *joined(Search *s, const char *dir, const char *stem, size_t n) {
  return keep_text(s->keep, "%s%s%.*s", dir, *dir ? "/" : "", (int)n, stem);
}

static void add_placed(Search *s, int i, const Place *p) {
  const TreeFile *f = &s->tree.file[i];
  size_t masked = mask_stem(f->stem);
  bool both = p->role == ROLE_IMAGE && f->labelled;
  Part *part =
      part_add(s, i, both ? ROLE_BOTH : p->role, joined(s, p->key, f->stem, image_stem(f->stem)), f->stem);
  if (!part) return;
  part->part = p->part;
  part->group = keep_text(s->keep, "%s", p->group);
  if (p->role == ROLE_MASK && masked) part->other = joined(s, p->key, f->stem, masked);
}

/* Every file in a folder with a role is a part; true where there are images among them. */
static bool add_folders(Search *s, WordFn word) {
  bool images = false;
  Place p;
  for (int i = 0; i < s->tree.n; i++) {
    const TreeFile *f = &s->tree.file[i];
    if (!counts(s, f) || !place_of(f->dir, word, &p)) continue;
    add_placed(s, i, &p);
    images = images || p.role == ROLE_IMAGE;
  }
  return images;
}

bool match_folders(Search *s) { return add_folders(s, folder_word); }

/* ---- the Decathlon and nnU-Net ---- */

static Word decathlon_word(const char *folder) {
  static const struct {
    const char *name;
    Word word;
  } known[] = {{"imagesTr", {ROLE_IMAGE, PART_TRAIN}},
               {"labelsTr", {ROLE_MASK, PART_TRAIN}},
               {"imagesTs", {ROLE_IMAGE, PART_TEST}},
               {"labelsTs", {ROLE_MASK, PART_TEST}}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (!strcasecmp(folder, known[i].name)) return known[i].word;
  return (Word){ROLE_NONE, PART_NONE};
}

/* The folder that holds imagesTr; NULL: there is none. Two of them are two data sets. */
static const char *data_set_folder(Search *s) {
  const char *first = NULL;
  for (int i = 0; i < s->tree.n; i++) {
    const char *dir = s->tree.file[i].dir, *slash = strrchr(dir, '/');
    if (!counts(s, &s->tree.file[i]) || strcasecmp(slash ? slash + 1 : dir, "imagesTr")) continue;
    const char *above = keep_text(s->keep, "%.*s", slash ? (int)(slash - dir) : 0, dir);
    if (!first) first = above;
    else if (strcmp(first, above)) {
      oddity_add(s->found, ODD_same_name, true, "%s and %s: two data sets; name one of the two folders",
                 *first ? first : ".", above);
      return first;
    }
  }
  return first;
}

bool match_decathlon(Search *s) {
  const char *dir = data_set_folder(s);
  if (!dir || !add_folders(s, decathlon_word)) return false;
  dataset_json_read(s, dir);
  channels_by_name(s);
  return true;
}

/* Do images end in a channel where their labels do not? Without labels dataset.json decides. */
static bool has_channels(const Search *s) {
  bool numbered = false;
  for (int i = 0; i < s->npart; i++) {
    const Part *p = &s->part[i];
    const char *stem = s->tree.file[p->file].stem;
    if (p->role == ROLE_MASK && before_channel(stem)) return false;
    if (p->role == ROLE_IMAGE && !before_channel(stem)) return false;
    numbered = numbered || p->role == ROLE_IMAGE;
  }
  return numbered;
}

bool match_nnunet(Search *s) {
  const char *dir = data_set_folder(s);
  if (!dir || !add_folders(s, decathlon_word) || !has_channels(s)) return false;
  dataset_json_read(s, dir);
  s->channels = s->found->nchannel;
  for (int i = 0; i < s->npart; i++) {
    Part *p = &s->part[i];
    const char *stem = s->tree.file[p->file].stem;
    if (p->role != ROLE_IMAGE) continue;
    size_t n = before_channel(stem), cut = strlen(p->key) - (strlen(stem) - n);
    p->order = atoi(stem + n + 1);
    p->channel = stem + n + 1;
    p->key = keep_text(s->keep, "%.*s", (int)cut, p->key);
    p->base = keep_text(s->keep, "%.*s", (int)n, stem);
    if (p->order + 1 > s->channels) s->channels = p->order + 1;
  }
  channels_by_name(s);
  return true;
}

/* ---- ISIC ---- */

static bool holds_word(const char *name, const char *word) { return strcasestr(name, word) != NULL; }

/* ISBI2016_ISIC_Part1_Training_Data, ISIC-2017_Test_v2_Part1_GroundTruth, ISIC2018_Task1-2_Training_Input. Of
 * the other tasks, lesions' attributes and diagnoses, only the photographs are the same. */
static Word isic_word(const char *folder) {
  Word none = {ROLE_NONE, PART_NONE};
  if (strncasecmp(folder, "ISIC", 4) && strncasecmp(folder, "ISBI", 4)) return none;
  Word w = {ROLE_NONE, holds_word(folder, "_Training")     ? PART_TRAIN
                       : holds_word(folder, "_Validation") ? PART_VAL
                       : holds_word(folder, "_Test")       ? PART_TEST
                                                           : PART_NONE};
  if (!w.part) return none;
  if (holds_word(folder, "GroundTruth"))
    w.role = holds_word(folder, "Part1_") || holds_word(folder, "Task1_") ? ROLE_MASK : ROLE_NONE;
  else if (holds_word(folder, "_Data") || holds_word(folder, "_Input")) w.role = ROLE_IMAGE;
  return w.role ? w : none;
}

bool match_isic(Search *s) {
  if (!add_folders(s, isic_word)) return false;
  int n = 0, dropped = 0;
  for (int i = 0; i < s->npart; i++) { /* superpixels lie beside the photographs, and are none */
    const char *stem = s->tree.file[s->part[i].file].stem;
    size_t len = strlen(stem);
    bool super = len > 12 && !strcasecmp(stem + len - 12, "_superpixels");
    if (super) s->part[i].role = ROLE_IGNORED, dropped++;
    else n += s->part[i].role == ROLE_IMAGE;
  }
  if (dropped)
    oddity_add(s->found, ODD_passed_over, false,
               "*_superpixels: %d files of ISIC that are no photographs; passed over", dropped);
  return n > 0;
}
