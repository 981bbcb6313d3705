/* brats.c - BraTS: a folder for every case, a file for every modality. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "runtime/find/search.h"

static const char *const modality[] = {"flair", "t1",  "t1ce", "t1gd", "t2", /* until 2021 */
                                       "t1n",   "t1c", "t2w",  "t2f"};       /* from 2023 on */

static int order_of_channel(const FindOptions *o, const char *name, int otherwise) {
  for (int i = 0; o->channel && i < o->nchannel; i++)
    if (!strcasecmp(o->channel[i], name)) return i;
  return o->channel ? o->nchannel + otherwise : otherwise;
}

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

/* The channels that occur, in the module's order, else by the alphabet. */
static void order_channels(Search *s) {
  const char *name[sizeof modality / sizeof *modality];
  int n = 0;
  for (size_t m = 0; m < sizeof modality / sizeof *modality; m++)
    for (int i = 0; i < s->npart; i++)
      if (s->part[i].channel == modality[m]) {
        name[n++] = modality[m];
        break;
      }
  qsort(name, (size_t)n, sizeof *name, by_text);
  for (int i = 0; i < s->npart; i++)
    for (int k = 0; k < n; k++)
      if (s->part[i].channel == name[k]) s->part[i].order = order_of_channel(s->options, name[k], k);
  s->found->channel = keep_bytes(s->keep, (size_t)(n + 1) * sizeof *s->found->channel);
  for (int k = 0; s->found->channel && k < n; k++) {
    int at = 0;
    for (int j = 0; j < n; j++)
      at += order_of_channel(s->options, name[j], j) < order_of_channel(s->options, name[k], k);
    s->found->channel[at] = name[k];
  }
  s->found->nchannel = s->channels = n;
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
  return true;
}
