/* store.c - the prepared slices of volumes: a file without a name in the temporary directory, mapped. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "runtime/base/file.h"
#include "runtime/data/internal.h"

/* first[v]: slices of the volumes before v. */
static bool count_slices(Dataset *d, SliceStore *s) {
  DataImpl *m = d->impl;
  for (int i = 0; i < d->nitem; i++)
    if (m->source[i].slice >= 0 && m->source[i].volume >= s->nvolume) s->nvolume = m->source[i].volume + 1;
  s->first = calloc((size_t)s->nvolume + 1, sizeof *s->first);
  s->ready = calloc((size_t)s->nvolume + 1, sizeof *s->ready);
  s->range = calloc((size_t)(s->nvolume * d->shape.channels + 1), 2 * sizeof *s->range);
  if (!s->first || !s->ready || !s->range) return false;
  for (int i = 0; i < d->nitem; i++) {
    if (m->source[i].slice < 0) continue;
    int64_t end = m->source[i].slice + 1; /* slices in the volume, so far */
    if (s->first[m->source[i].volume + 1] < end) s->first[m->source[i].volume + 1] = end;
  }
  for (int v = 0; v < s->nvolume; v++) s->first[v + 1] += s->first[v];
  s->slices = s->first[s->nvolume];
  return true;
}

static bool no_room(const Dataset *d, int64_t bytes, char err[ERR_MAX]) {
  const SliceStore *s = &((const DataImpl *)d->impl)->store;
  return err_sys(err,
                 "%s: %s has no room for %.1f MB of prepared slices; set TMPDIR to a directory with %.1f MB "
                 "free, which all slices of the data set take",
                 d->root, temporary_directory(), (double)bytes / 1e6, (double)(s->slices * s->bytes) / 1e6);
}

bool store_open(Dataset *d, char err[ERR_MAX]) {
  SliceStore *s = &((DataImpl *)d->impl)->store;
  s->plane = d->shape.size[0] * d->shape.size[1];
  s->bytes = (s->plane * (2 * d->shape.channels + 1) + 1) & ~(int64_t)1; /* pairs of bytes stay aligned */
  if (!count_slices(d, s)) return err_set(err, "%s: not enough memory", d->root);
  int64_t bytes = s->slices * s->bytes;
  if (!bytes) return true;
  s->file = temporary_file(err);
  if (s->file < 0) return false;
  if (ftruncate(s->file, bytes) != 0) return no_room(d, bytes, err);
  void *map = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->file, 0);
  if (map == MAP_FAILED)
    return err_sys(err, "%s: cannot map %.1f MB of slices", d->root, (double)bytes / 1e6);
  s->map = map;
  return true;
}

/* Volume by volume, as an evaluation may need few of many. */
bool store_reserve(const Dataset *d, int volume, char err[ERR_MAX]) {
  const SliceStore *s = &((const DataImpl *)d->impl)->store;
  int64_t first = s->first[volume] * s->bytes, bytes = (s->first[volume + 1] - s->first[volume]) * s->bytes;
  return file_reserve(s->file, first, bytes) || no_room(d, bytes, err);
}

void store_close(SliceStore *s) {
  if (s->map) munmap(s->map, (size_t)(s->slices * s->bytes));
  if (s->file >= 0) close(s->file);
  free(s->first), free(s->ready), free(s->range);
}
