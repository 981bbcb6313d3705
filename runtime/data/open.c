/* open.c - opening and closing data sets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "runtime/data/internal.h"

void data_close(Dataset *d) {
  if (!d) return;
  DataImpl *m = d->impl;
  for (int i = 0; i < d->nitem; i++) free(d->item[i].name), free(m->source[i].image), free(m->source[i].mask);
  for (int i = 0; i < d->ncase; i++) free(m->patient[i]);
  if (m->store.map) munmap(m->store.map, (size_t)(m->store.slices * m->store.bytes));
  free(m->store.first), free(m->store.ready), free(m->store.range), free(m->source), free(m->patient);
  prepared_free(&m->own);
  pthread_mutex_destroy(&m->lock);
  free(m), free(d->item), free(d->name), free(d->root), free(d);
}

/* Splits "NAME:DIR"; without a directory it is $NETRUN_DATA/NAME. */
static bool locate(Dataset *d, const char *spec, char err[ERR_MAX]) {
  static const char *const known[] = {"lits", "isic2018", "isic", "la", "folder", "phantom"};
  const char *colon = strchr(spec, ':'), *base = getenv("NETRUN_DATA");
  bool is_known = false;
  d->name = colon ? strndup(spec, (size_t)(colon - spec)) : strdup(spec);
  if (!d->name) return err_set(err, "not enough memory");
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    is_known = is_known || !strcasecmp(d->name, known[i]);
  if (!is_known)
    return err_set(err,
                   "--data %s: unknown data set '%s'; expected lits, isic2018, la, folder or phantom, as "
                   "NAME:DIR or "
                   "NAME under $NETRUN_DATA",
                   spec, d->name);
  if (!strcasecmp(d->name, "phantom")) return true;
  if (!colon && (!base || !*base))
    return err_set(
        err, "--data %s: where is it? Give --data %s:DIR, or set NETRUN_DATA to the folder that holds %s/",
        spec, d->name, d->name);
  char path[4096];
  if (colon) snprintf(path, sizeof path, "%s", colon + 1);
  else snprintf(path, sizeof path, "%s/%s", base, d->name);
  struct stat st;
  if (!colon && stat(path, &st) && !strcasecmp(d->name, "isic"))
    snprintf(path, sizeof path, "%s/isic2018", base);
  if (stat(path, &st)) return err_sys(err, "--data %s: %s", spec, path);
  if (!S_ISDIR(st.st_mode)) return err_set(err, "--data %s: %s is not a directory", spec, path);
  d->root = strdup(path);
  return d->root ? true : err_set(err, "not enough memory");
}

/* Room for the slices of all volumes, in a file without a name. */
static bool store_open(Dataset *d, char err[ERR_MAX]) {
  DataImpl *m = d->impl;
  SliceStore *s = &m->store;
  for (int i = 0; i < d->nitem; i++)
    if (m->source[i].slice >= 0)
      s->slices++, s->nvolume = m->source[i].volume + 1 > s->nvolume ? m->source[i].volume + 1 : s->nvolume;
  if (!s->slices) return true;
  s->plane = d->shape.size[0] * d->shape.size[1],
  s->bytes = (s->plane * (2 * d->shape.channels + 1) + 1) & ~(int64_t)1; /* pairs of bytes stay aligned */
  s->range = calloc((size_t)(s->nvolume * d->shape.channels), 2 * sizeof *s->range);
  s->first = calloc((size_t)s->nvolume + 1, sizeof *s->first),
  s->ready = calloc((size_t)s->nvolume, sizeof *s->ready);
  if (!s->first || !s->ready || !s->range) return err_set(err, "%s: not enough memory", d->root);
  for (int i = 0; i < d->nitem; i++) {
    if (m->source[i].slice < 0) continue;
    int64_t end = m->source[i].slice + 1; /* slices in the volume, so far */
    if (s->first[m->source[i].volume + 1] < end) s->first[m->source[i].volume + 1] = end;
  }
  for (int v = 0; v < s->nvolume; v++) s->first[v + 1] += s->first[v];
  s->slices = s->first[s->nvolume];
  FILE *f = tmpfile();
  off_t bytes = (off_t)(s->slices * s->bytes);
  if (f && !ftruncate(fileno(f), bytes)) {
    void *map = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(f), 0);
    s->map = map == MAP_FAILED ? NULL : map;
  }
  if (f) fclose(f);
  if (s->map) return true;
  return err_sys(err, "%s: no room for %.1f GB of slices in the temporary directory (set TMPDIR)", d->root,
                 (double)bytes / 1e9);
}

Dataset *data_open(const char *spec, const DataShape *shape, char err[ERR_MAX]) {
  Dataset *d = calloc(1, sizeof *d);
  DataImpl *m = d ? calloc(1, sizeof *m) : NULL;
  if (!m) return free(d), err_set(err, "not enough memory"), NULL;
  pthread_mutex_init(&m->lock, NULL);
  m->own_volume = -1;
  d->impl = m, d->shape = *shape;
  if (!d->shape.recipe) d->shape.recipe = &recipe_plain;
  for (int a = 0; a < 3; a++) d->spacing[a] = 1;
  bool ok = locate(d, spec, err);
  if (ok && !d->root) {
    ok = phantom_items(d);
    if (!ok) err_set(err, "not enough memory");
  } else if (ok) ok = scan_directory(d, d->name, err) && split_cases(d, d->name, err) && store_open(d, err);
  for (int i = 0; ok && i < d->nitem; i++) d->item[i].labeled = true; /* until data_split_labeled says less */
  if (ok && !d->nitem) ok = err_set(err, "%s: its lists name none of the images there", d->root);
  if (!ok) data_close(d), d = NULL;
  return d;
}
