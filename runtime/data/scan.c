/* scan.c - the images that runtime/find finds as items of a data set: volumes for a 3-D module, pictures and
 * slices along z for a 2-D one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/data/internal.h"

enum { PATH_ROOM = 4096, BLOCK_SLICES = 8 };

int64_t volume_slices(const char *path, const char *axes, const DataShape *shape, char err[ERR_MAX]) {
  Image v;
  if (!image_read(path, &(Wish){.header = true, .set = "image", .axes = axes}, &v, err)) return -1;
  int64_t n = slices_in(&v.grid, shape->recipe);
  if (n > 0) return n;
  return err_set(err, "%s: not a readable volume (damaged, cut short, or another format)", path), -1;
}

/* One item, or for a volume and a 2-D module an item per slice. */
static bool add_found(Dataset *d, const FoundItem *it, int *volumes, char err[ERR_MAX]) {
  Source s = {.nfile = it->nfile,
              .file = (char **)it->file,
              .mask = (char *)it->mask,
              .slice = -1,
              .volume = -1,
              .part = it->part,
              .axes = it->axes};
  char name[PATH_ROOM];
  if (it->picture || d->shape.spatial == 3) {
    if (!data_add(d, it->patient, it->name, &s)) return err_set(err, "%s: not enough memory", d->root);
    return true;
  }
  int64_t n = volume_slices(it->file[0], it->axes, &d->shape, err);
  if (n < 0) return false;
  s.volume = (*volumes)++;
  for (int64_t z = 0; z < n; z++) {
    snprintf(name, sizeof name, n > 1 ? "%.4000s_z%03d" : "%.4000s", it->name, (int)z);
    s.slice = (int)z;
    if (!data_add(d, it->patient, name, &s)) return err_set(err, "%s: not enough memory", d->root);
  }
  return true;
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
    ok = ok && data_add(d, patient, item[i].name, &source[i]);
    free(item[i].name), source_free(&source[i]);
  }
  free(item), free(source);
  return ok;
}

/* Where masks were looked for. */
static bool no_masks(const Found *f, char err[ERR_MAX]) {
  const Oddity *alone = NULL;
  for (int i = 0; i < f->noddity && !alone; i++)
    if (f->oddity[i].kind == ODD_alone) alone = &f->oddity[i];
  return err_set(
      err,
      "%s: %d images, but none has a mask%s%.100s%s; there are %s. The mask of images/X is masks/X "
      "(or labels/, gt/, segmentations/ ..) or X_mask, X_seg, X_label, X_gt beside it; see `netrun "
      "check`",
      f->root, f->n, alone ? " (" : "", alone ? alone->text : "", alone ? ")" : "", f->there);
}

bool scan_directory(Dataset *d, const char *case_by, char err[ERR_MAX]) {
  DataImpl *m = d->impl;
  Found *f = &m->found;
  const char *const *channel = d->shape.recipe->channel;
  const FindOptions find = {.spatial = d->shape.spatial,
                            .case_by = case_by,
                            .channel = channel,
                            .nchannel = channel ? d->shape.channels : 0};
  if (!find_images(d->root, &find, f, err)) return false;
  const Oddity *fatal = found_fatal(f);
  if (fatal) return err_set(err, "%s/%s", f->root, fatal->text);
  if (!f->labeled) return no_masks(f, err);
  int volumes = 0;
  for (int i = 0; i < f->n; i++)
    if (!add_found(d, &f->item[i], &volumes, err)) return false;
  return blocks_as_cases(d) || err_set(err, "%s: not enough memory", d->root);
}
