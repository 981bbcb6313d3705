/* items.c - the list of items of a data set, which scanning appends to. */
#include <stdlib.h>
#include <string.h>
#include "runtime/data/internal.h"

static int find_case(Dataset *d, const char *patient) {
  DataImpl *m = d->impl;
  /* Items arrive case by case, so the last one is nearly always it. */
  for (int i = d->ncase - 1; i >= 0; i--)
    if (!strcmp(m->patient[i], patient)) return i;
  return -1;
}

void source_free(Source *s) {
  for (int i = 0; s->file && i < s->nfile; i++) free(s->file[i]);
  free(s->file), free(s->mask);
  *s = (Source){.nfile = 0};
}

static bool source_copy(Source *to, const Source *from) {
  *to = *from;
  to->mask = from->mask ? strdup(from->mask) : NULL;
  to->file = calloc((size_t)from->nfile + 1, sizeof *to->file);
  bool ok = to->file && (to->mask || !from->mask);
  for (int i = 0; to->file && i < from->nfile; i++) ok = (to->file[i] = strdup(from->file[i])) && ok;
  return ok;
}

bool data_add(Dataset *d, const char *patient, const char *name, const Source *from) {
  DataImpl *m = d->impl;
  if (d->nitem == m->room) {
    int room = m->room ? 2 * m->room : 256;
    Item *item = realloc(d->item, (size_t)room * sizeof *item);
    if (item) d->item = item;
    Source *source = realloc(m->source, (size_t)room * sizeof *source);
    if (source) m->source = source;
    char **names = realloc(m->patient, (size_t)room * sizeof *names); /* never more cases than items */
    if (names) m->patient = names;
    if (!item || !source || !names) return false;
    m->room = room;
  }
  int c = find_case(d, patient);
  if (c < 0) {
    if (!(m->patient[d->ncase] = strdup(patient))) return false;
    c = d->ncase++;
  }
  Item it = {.name = strdup(name), .patient = c, .volume = from->slice >= 0 ? from->volume : -1};
  bool ok = source_copy(&m->source[d->nitem], from) && it.name;
  d->item[d->nitem++] = it;
  return ok;
}

int data_count(const Dataset *d, Split split, bool labeled_only) {
  int n = 0;
  for (int i = 0; i < d->nitem; i++) n += d->item[i].split == split && (!labeled_only || d->item[i].labeled);
  return n;
}

void sample_free(Sample *s) {
  free(s->image), free(s->label), free(s->own_label);
  s->image = NULL, s->label = s->own_label = NULL;
}
