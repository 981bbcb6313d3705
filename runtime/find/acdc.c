/* acdc.c - ACDC: two frames of every patient, as published and as SSL4MIS prepared them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "runtime/find/search.h"

/* patientNNN_frameNN and what follows; NULL: another name. *patient: length of patientNNN. */
static const char *after_frame(const char *stem, int *patient) {
  int end = 0;
  if (sscanf(stem, "patient%*[0-9]%n_frame%*[0-9]%n", patient, &end) != 0 || !end) return NULL;
  return stem + end;
}

bool match_acdc(Search *s) {
  bool any = false;
  for (int i = 0; i < s->tree.n; i++) {
    const TreeFile *f = &s->tree.file[i];
    int patient = 0;
    const char *rest = counts(s, f) && f->format && !f->format->sets ? after_frame(f->stem, &patient) : NULL;
    bool mask = rest && !strcasecmp(rest, "_gt");
    if (!rest && counts(s, f) && before_suffix(f->stem, "4d") > 0) { /* the film of which frames are taken */
      part_add(s, i, ROLE_IGNORED, f->stem, f->stem);
      continue;
    }
    if (!rest || (*rest && !mask)) continue;
    const char *stem = keep_text(s->keep, "%.*s", (int)(rest - f->stem), f->stem);
    Part *p = part_add(s, i, mask ? ROLE_MASK : ROLE_IMAGE, stem, stem);
    if (!p) return false;
    p->part = part_of(f->dir), p->patient = keep_text(s->keep, "%.*s", patient, f->stem), any = true;
  }
  return any;
}

/* Files of image and label; *rest: what follows patientNNN_frameNN. */
static bool is_prepared(const Search *s, int i, const char **rest, int *patient) {
  const TreeFile *f = &s->tree.file[i];
  *rest = f->format && f->format->sets ? after_frame(f->stem, patient) : NULL;
  return *rest && (!**rest || !strncasecmp(*rest, "_slice", 6));
}

/* Volumes whose slices are there, too, would be seen twice by a 2-D module. */
static void drop_sliced(Search *s) {
  for (int v = 0; v < s->npart; v++)
    for (int i = 0; i < s->npart && !s->part[v].slice && s->part[v].role != ROLE_IGNORED; i++)
      if (s->part[i].slice && !strncmp(s->part[i].key, s->part[v].key, strlen(s->part[v].key)))
        s->part[v].role = ROLE_IGNORED;
}

/* data/slices/patient001_frame01_slice_1.h5 to train a 2-D module, data/patient001_frame01.h5 to test it; a
 * 3-D module takes the volumes alone. The frames of a patient are one case. */
bool match_acdc_slices(Search *s) {
  const char *rest;
  int patient = 0, volumes = 0, slices = 0;
  for (int i = 0; i < s->tree.n; i++)
    if (is_prepared(s, i, &rest, &patient)) volumes += !*rest, slices += *rest != 0;
  bool flat = s->options->spatial == 2 || (!volumes && s->options->spatial == 0);
  for (int i = 0; i < s->tree.n; i++) {
    if (!is_prepared(s, i, &rest, &patient)) continue;
    const char *stem = s->tree.file[i].stem;
    Part *p = part_add(s, i,
                       *rest && !flat             ? ROLE_IGNORED
                       : s->tree.file[i].labelled ? ROLE_BOTH
                                                  : ROLE_IMAGE,
                       stem, stem);
    if (!p) return false;
    p->slice = *rest, p->axes = *rest ? "yx" : "zyx";
    p->patient = keep_text(s->keep, "%.*s", patient, stem);
  }
  if (flat) drop_sliced(s);
  return volumes || (flat && slices);
}
