/* brats.c - BraTS: a folder for every case, a file for every modality. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "runtime/find/search.h"

static const char *const modality[] = {"flair", "t1",  "t1ce", "t1gd", "t2", /* until 2021 */
                                       "t1n",   "t1c", "t2w",  "t2f"};       /* from 2023 on */

static const char *const *modality_of(const char *stem, int *cut) {
  for (size_t m = 0; m < sizeof modality / sizeof *modality; m++)
    if ((*cut = before_suffix(stem, modality[m])) >= 0) return &modality[m];
  return NULL;
}

/* BraTS names parts in its folders: MICCAI_BraTS2020_ValidationData. */
static FoundPart brats_part(const char *dir) {
  return strcasestr(dir, "validation") ? PART_VAL : strcasestr(dir, "training") ? PART_TRAIN : part_of(dir);
}

static int by_text(const void *a, const void *b) {
  const char *const *x = a, *const *y = b;
  return strcasecmp(*x, *y);
}

/* The channels that occur, by the alphabet. */
static void order_channels(Search *s) {
  Found *f = s->found;
  f->channel = keep_bytes(s->keep, sizeof modality);
  for (size_t m = 0; f->channel && m < sizeof modality / sizeof *modality; m++)
    for (int i = 0; i < s->npart; i++)
      if (s->part[i].channel == modality[m]) {
        f->channel[f->nchannel++] = modality[m];
        break;
      }
  if (f->channel) qsort(f->channel, (size_t)f->nchannel, sizeof *f->channel, by_text);
  for (int i = 0; i < s->npart; i++)
    for (int k = 0; k < f->nchannel; k++)
      if (s->part[i].channel == f->channel[k]) s->part[i].order = k;
  s->channels = f->nchannel;
}

bool match_brats(Search *s) {
  int cut;
  bool flair = false;
  for (int i = 0; i < s->tree.n; i++) {
    const TreeFile *f = &s->tree.file[i];
    if (!counts(s, f)) continue;
    const char *const *m = modality_of(f->stem, &cut);
    bool mask = !m && (cut = before_suffix(f->stem, "seg")) >= 0;
    if (!m && !mask) continue;
    const char *base = cut ? keep_text(s->keep, "%.*s", cut, f->stem) : last_folder(f->dir);
    Part *p = part_add(s, i, mask ? ROLE_MASK : ROLE_IMAGE, below(s, f->dir, f->stem, (size_t)cut), base);
    if (!p) return false;
    p->part = brats_part(f->dir);
    if (m) p->channel = *m, flair = flair || m == &modality[0] || m == &modality[8];
  }
  if (!flair) return false; /* a lone _t1 is a name like any other */
  order_channels(s);
  channels_by_name(s);
  return true;
}
