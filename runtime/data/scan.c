/* scan.c - finds images and masks in the layouts of the field:
 *
 *   ROOT/images + ROOT/masks (or labels)     pictures or volumes: lits slices, ISIC, hippocampus, others
 *   ROOT/volume-N.nii[.gz] + ROOT/segmentation-N.nii[.gz]                            LiTS
 *   ROOT/ISIC2018_Task1-2_Training_Input + .._Task1_Training_GroundTruth             ISIC 2018
 *   ROOT/CASE/mri_norm2.h5                   LA as UA-MT published it; any ROOT/x.h5 with image and label
 *
 * A 2-D module takes volumes slice by slice along z. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/data/internal.h"

enum { PATH_ROOM = 4096, BLOCK_SLICES = 8 };

static bool is_data(const char *name) { return *name != '.' && format_of(name); }

/* Does a file hold its mask, too? */
static bool holds_mask(const char *path) {
  const Format *f = format_of(path);
  return f && f->sets;
}

/* File name without directory and data ending. */
static void stem_of(const char *path, char *out, size_t room) {
  const char *base = strrchr(path, '/');
  snprintf(out, room, "%s", base ? base + 1 : path);
  out[format_stem(out)] = 0;
}

int64_t volume_slices(const char *path, const DataShape *shape, char err[ERR_MAX]) {
  Image v;
  if (!image_read(path, &(Wish){.header = true, .set = "image"}, &v, err)) return -1;
  int64_t n = slices_in(&v.grid, shape->recipe);
  if (n > 0) return n;
  return err_set(err, "%s: not a readable volume (damaged, cut short, or another format)", path), -1;
}

/* A case's name from its item's: what precedes _z031, _slice031 or _s031. */
static void case_of(const char *item, char *out, size_t room) {
  snprintf(out, room, "%s", item);
  static const char *const mark[] = {"_slice", "_z", "_s"};
  for (size_t i = 0; i < sizeof mark / sizeof *mark; i++)
    for (char *p = strstr(out, mark[i]); p; p = strstr(p + 1, mark[i])) {
      const char *digits = p + strlen(mark[i]);
      if (*digits == '_' || *digits == '-') digits++;
      if (*digits && strspn(digits, "0123456789") == strlen(digits)) {
        *p = 0;
        return;
      }
    }
}

typedef struct {
  Dataset *d;
  int volumes;
  char *err;
} Scan;

/* Adds one file: an item, or for a volume and a 2-D module an item per slice. */
static bool add_file(Scan *s, const char *name, const char *image, const char *mask) {
  Dataset *d = s->d;
  bool volume = is_volume(image), ok = true;
  char item[PATH_ROOM], patient[PATH_ROOM];
  if (!volume && d->shape.spatial == 3)
    return err_set(s->err, "%s: the module wants volumes (3-D), this is a picture; use a 2-D module", image);
  case_of(name, patient, sizeof patient);
  if (!volume || d->shape.spatial == 3) ok = data_add(d, patient, name, image, mask, -1, -1);
  else {
    int64_t n = volume_slices(image, &d->shape, s->err);
    if (n < 0) return false;
    for (int64_t z = 0; ok && z < n; z++) {
      snprintf(item, sizeof item, "%.4000s_z%03d", name, (int)z);
      ok = data_add(d, name, item, image, mask, (int)z, s->volumes);
    }
    s->volumes++;
  }
  return ok ? true : err_set(s->err, "%s: not enough memory for the list of items", d->root);
}

static int visible(const struct dirent *e) { return *e->d_name != '.'; }

/* Sorted names of a directory; -1 when it cannot be read. */
static int list(const char *dir, struct dirent ***names) { return scandir(dir, names, visible, alphasort); }

static void list_free(struct dirent **names, int n) {
  for (int i = 0; i < n; i++) free(names[i]);
  free(names);
}

static bool exists(const char *path) { return !access(path, F_OK); }

/* The mask of image STEM: DIR/STEM[suffix].ending; false when there is none. */
static bool find_mask(const char *dir, const char *stem, char *out) {
  static const char *const suffix[] = {"", "_segmentation", "_mask", "_label", "_seg", "_gt"};
  for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++)
    for (int k = 0; format_table[k]; k++)
      for (int e = 0; format_table[k]->ending[e] && !format_table[k]->sets; e++) {
        snprintf(out, PATH_ROOM, "%s/%s%s%s", dir, stem, suffix[i], format_table[k]->ending[e]);
        if (exists(out)) return true;
      }
  return false;
}

static bool scan_pairs(Scan *s, const char *images, const char *masks) {
  struct dirent **name;
  int n = list(images, &name);
  char path[PATH_ROOM], mask[PATH_ROOM], stem[PATH_ROOM];
  bool ok = n >= 0;
  if (!ok) err_sys(s->err, "%s", images);
  for (int i = 0; ok && i < n; i++) {
    if (!is_data(name[i]->d_name)) continue;
    snprintf(path, sizeof path, "%s/%s", images, name[i]->d_name);
    stem_of(path, stem, sizeof stem);
    bool both = holds_mask(path), has = both || find_mask(masks, stem, mask);
    ok = add_file(s, stem, path, !has ? NULL : both ? path : mask);
  }
  if (n >= 0) list_free(name, n);
  return ok;
}

/* volume-N.nii[.gz] with segmentation-N.nii[.gz]. */
static bool scan_lits(Scan *s, const char *dir) {
  struct dirent **name;
  int n = list(dir, &name);
  char path[PATH_ROOM], mask[PATH_ROOM], stem[PATH_ROOM], number[64];
  bool ok = true;
  for (int i = 0; ok && i < n; i++) {
    if (strncmp(name[i]->d_name, "volume-", 7) || !is_volume(name[i]->d_name)) continue;
    snprintf(path, sizeof path, "%s/%s", dir, name[i]->d_name);
    stem_of(path, stem, sizeof stem);
    snprintf(number, sizeof number, "segmentation-%.40s", stem + 7);
    ok = add_file(s, stem, path, find_mask(dir, number, mask) ? mask : NULL);
  }
  if (n >= 0) list_free(name, n);
  return ok;
}

/* ROOT/CASE/mri_norm2.h5, and ROOT/CASE.h5. */
static bool scan_h5(Scan *s) {
  struct dirent **name;
  int n = list(s->d->root, &name);
  char path[PATH_ROOM], stem[PATH_ROOM];
  bool ok = true;
  for (int i = 0; ok && i < n; i++) {
    snprintf(path, sizeof path, "%s/%s/mri_norm2.h5", s->d->root, name[i]->d_name);
    if (exists(path)) ok = add_file(s, name[i]->d_name, path, path);
    else if (holds_mask(name[i]->d_name)) {
      snprintf(path, sizeof path, "%s/%s", s->d->root, name[i]->d_name);
      stem_of(path, stem, sizeof stem);
      ok = add_file(s, stem, path, path);
    }
  }
  if (n >= 0) list_free(name, n);
  return ok;
}

/* A single volume taken slice-wise has no other cases to split off: blocks of neighbouring slices count as
 * cases. */
static bool blocks_as_cases(Dataset *d) {
  char patient[64];
  if (d->ncase != 1 || d->nitem < 2 * BLOCK_SLICES || d->shape.spatial != 2) return true;
  int n = d->nitem;
  DataImpl *m = d->impl;
  Item *item = d->item;
  Source *source = m->source;
  d->item = NULL, m->source = NULL, d->nitem = m->room = 0, d->ncase = 0;
  free(m->patient[0]);
  bool ok = true;
  for (int i = 0; i < n; i++) {
    snprintf(patient, sizeof patient, "block%03d", i / BLOCK_SLICES);
    ok = ok && data_add(d, patient, item[i].name, source[i].image, source[i].mask, source[i].slice,
                        source[i].volume);
    free(item[i].name), free(source[i].image), free(source[i].mask);
  }
  free(item), free(source);
  return ok;
}

bool scan_directory(Dataset *d, const char *kind, char err[ERR_MAX]) {
  static const char *const pair[][2] = {
      {"images", "masks"},
      {"images", "labels"},
      {"imagesTr", "labelsTr"},
      {"slices/images", "slices/masks"},
      {"ISIC2018_Task1-2_Training_Input", "ISIC2018_Task1_Training_GroundTruth"}};
  char images[PATH_ROOM], masks[PATH_ROOM];
  Scan s = {.d = d, .err = err};
  bool ok = true;
  for (size_t i = 0; ok && !d->nitem && i < sizeof pair / sizeof *pair; i++) {
    snprintf(images, sizeof images, "%s/%s", d->root, pair[i][0]),
        snprintf(masks, sizeof masks, "%s/%s", d->root, pair[i][1]);
    if (d->shape.spatial == 3 && !strncmp(pair[i][0], "slices/", 7)) continue; /* pictures are no volumes */
    if (exists(images) && exists(masks)) ok = scan_pairs(&s, images, masks);
  }
  if (ok && !d->nitem) ok = scan_lits(&s, d->root);
  snprintf(images, sizeof images, "%s/volumes", d->root);
  if (ok && !d->nitem) ok = scan_lits(&s, images);
  if (ok && !d->nitem) ok = scan_h5(&s);
  if (ok && !d->nitem)
    ok = err_set(err,
                 "%s: no images found; %s expects images/ + masks/ (or labels/), volume-N.nii.gz + "
                 "segmentation-N.nii.gz, or CASE/mri_norm2.h5",
                 d->root, kind);
  if (ok && !blocks_as_cases(d)) ok = err_set(err, "%s: not enough memory", d->root);
  return ok;
}
