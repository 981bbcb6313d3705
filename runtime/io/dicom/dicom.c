/* dicom.c - DICOM files and series, through a plug-in, in a child process: its library crashes on some
 * damaged files. */
#include "runtime/io/dicom/dicom.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "runtime/base/file.h"
#include "runtime/io/arrange.h"
#include "runtime/io/child.h"
#include "runtime/io/dicom/stack.h"
#include "runtime/base/plugin.h"

static const DicomPlugin *plugin; /* opened by the parent, called in the child */
static const char secondary_capture[] = "1.2.840.10008.5.1.4.1.1.7";

typedef struct {
  char *path;
  const char *name; /* in it */
  DicomFile head;
  DicomFrame *frame;
} Source;

typedef struct {
  const char *path; /* a folder, or a file */
  const Wish *wish;
  Source *source; /* files that hold images */
  int nsource;
  Slice *slice;
  int nslice;
  int skipped; /* files that hold none */
  char skipped_name[128];
} Series;

/* ---- files ---- */

static void skip(Series *s, const char *name) {
  if (!s->skipped++) snprintf(s->skipped_name, sizeof s->skipped_name, "%s", name);
}

/* A file without an image is skipped. Takes over `path`. */
static bool add_file(Series *s, char *path, char err[ERR_MAX]) {
  const char *slash = path ? strrchr(path, '/') : NULL;
  Source f = {.path = path, .name = slash ? slash + 1 : path};
  if (!path) return err_memory(err, s->path, 0);
  child_reads(path);
  if (!plugin->header(path, &f.head, &f.frame, err)) return false;
  if (!f.head.rows) return skip(s, f.name), free(path), true;
  s->source[s->nsource++] = f;
  s->nslice += f.head.frames;
  return true;
}

static int visible(const struct dirent *e) { return *e->d_name != '.'; }

static bool add_folder(Series *s, char err[ERR_MAX]) {
  struct dirent **entry = NULL;
  int n = scandir(s->path, &entry, visible, alphasort);
  if (n < 0) return err_sys(err, "%s", s->path);
  s->source = calloc((size_t)n + 1, sizeof *s->source);
  bool ok = s->source || err_memory(err, s->path, n);
  for (int i = 0; ok && i < n; i++) {
    char *path = path_join(s->path, entry[i]->d_name);
    struct stat st;
    if (path && !stat(path, &st) && S_ISDIR(st.st_mode)) free(path);
    else if (path && !is_dicom(path)) skip(s, entry[i]->d_name), free(path);
    else ok = add_file(s, path, err);
  }
  if (ok && s->skipped)
    note(s->wish->notes, "%s: %d file%s without a DICOM image left out (%s%s)", s->path, s->skipped,
         s->skipped > 1 ? "s" : "", s->skipped_name, s->skipped > 1 ? ", .." : "");
  return ok;
}

static bool find_files(Series *s, char err[ERR_MAX]) {
  struct stat st;
  if (stat(s->path, &st)) return err_sys(err, "%s", s->path);
  if (S_ISDIR(st.st_mode)) {
    if (!add_folder(s, err)) return false;
  } else {
    s->source = calloc(1, sizeof *s->source);
    if (!s->source) return err_memory(err, s->path, 0);
    if (!add_file(s, strdup(s->path), err)) return false;
  }
  return s->nsource > 0 || err_set(err, "%s: holds no DICOM image", s->path);
}

/* ---- series ---- */

/* Captures that somebody wrote one by one: each is a series of its own and does not say where it lies. */
static bool captures(const Series *s) {
  for (int i = 0; i < s->nsource; i++) {
    const Source *f = &s->source[i];
    if (strcmp(f->head.sop_class, secondary_capture) || f->head.frames != 1 || f->frame->placed) return false;
  }
  return true;
}

/* Of the series of source i: how many files, and is i the first of them? */
static int files_of(const Series *s, int i, bool *first) {
  int n = 0;
  *first = true;
  for (int k = 0; k < s->nsource; k++)
    if (!strcmp(s->source[k].head.series, s->source[i].head.series)) n++, *first = *first && k >= i;
  return n;
}

static bool one_series(const Series *s, char err[ERR_MAX]) {
  char list[320] = "";
  int n = 0;
  bool first;
  for (int i = 0; i < s->nsource; i++) {
    const DicomFile *h = &s->source[i].head;
    int files = files_of(s, i, &first);
    if (!first) continue;
    size_t at = strlen(list);
    snprintf(list + at, sizeof list - at, "%s%s '%s' of %d file%s (%s%s)", n++ ? "; " : "", h->modality,
             h->description, files, files > 1 ? "s" : "", s->source[i].name, files > 1 ? ", .." : "");
  }
  if (n == 1) return true;
  if (!captures(s))
    return err_set(err, "%s: holds %d series: %s; put each into a folder of its own", s->path, n, list);
  note(s->wish->notes,
       "%s: each of its %d files is a series of its own (secondary captures); they are taken as one", s->path,
       n);
  return true;
}

/* What is told of a kind of file, once. */
static bool check_kinds(const Series *s, char err[ERR_MAX]) {
  for (int i = 0; i < s->nsource; i++) {
    const DicomFile *h = &s->source[i].head;
    const char *name = s->source[i].name;
    if (!strcmp(h->modality, "SEG"))
      return err_set(err, "%s: %s is a DICOM segmentation (SEG), which is not read; convert it to NIfTI",
                     s->path, name);
    if (i) continue;
    if (!strcmp(h->photometric, "MONOCHROME1"))
      note(s->wish->notes,
           "%s: MONOCHROME1, which is shown with the lowest values white; values are as stored", s->path);
    if (h->lossy) note(s->wish->notes, "%s: its pixels were compressed with losses", s->path);
  }
  return true;
}

static bool make_slices(Series *s, char err[ERR_MAX]) {
  s->slice = calloc((size_t)s->nslice, sizeof *s->slice);
  if (!s->slice) return err_memory(err, s->path, s->nslice * (int64_t)sizeof *s->slice);
  int n = 0;
  for (int i = 0; i < s->nsource; i++)
    for (int k = 0; k < s->source[i].head.frames; k++) {
      const Source *f = &s->source[i];
      s->slice[n++] = (Slice){f->name, &f->head, &f->frame[k], i, k, 0};
    }
  return true;
}

/* ---- values ---- */

/* A stored number; bits above those that count are no part of it. */
static double stored(const void *pixels, size_t i, const DicomFile *f) {
  uint32_t v = f->bits == 8    ? ((const uint8_t *)pixels)[i]
               : f->bits == 16 ? ((const uint16_t *)pixels)[i]
                               : ((const uint32_t *)pixels)[i];
  int unused = 32 - (f->stored > 0 && f->stored <= f->bits ? f->stored : f->bits);
  v <<= unused;
  return f->is_signed ? (double)((int32_t)v >> unused) : (double)(v >> unused);
}

/* Slice z: (samples, rows, columns) of `to`, whose channels lie `channel` apart. */
static void put_slice(const Slice *s, const void *pixels, float *to, int64_t channel) {
  const DicomFile *f = s->file;
  size_t n = (size_t)f->rows * (size_t)f->columns, c = (size_t)f->samples, from = (size_t)s->number * n * c;
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < c; k++)
      to[(int64_t)k * channel + (int64_t)i] =
          (float)(s->frame->slope * stored(pixels, from + i * c + k, f) + s->frame->intercept);
}

/* All slices as (samples, slices, rows, columns); a file is decompressed once. */
static bool read_slices(Series *s, float *to, char err[ERR_MAX]) {
  for (int i = 0; i < s->nsource; i++) {
    Source *f = &s->source[i];
    void *pixels = NULL;
    child_reads(f->path);
    if (!plugin->pixels(f->path, &f->head, &pixels, err)) return false;
    bool known = f->head.bits == 8 || f->head.bits == 16 || f->head.bits == 32;
    if (!known) return err_set(err, "%s: pixels of %d bits are not read", f->path, f->head.bits);
    int64_t plane = (int64_t)f->head.rows * f->head.columns;
    for (int z = 0; z < s->nslice; z++)
      if (s->slice[z].source == i) put_slice(&s->slice[z], pixels, to + z * plane, s->nslice * plane);
    free(pixels);
  }
  return true;
}

static bool read_values(Series *s, Image *out, char err[ERR_MAX]) {
  int64_t n = grid_count(&out->grid), count = n * out->channels;
  const int64_t *d = out->grid.dim;
  Strides volume = {n, {1, d[0], d[0] * d[1]}}, picture = strides_of(out);
  float *raw = malloc((size_t)count * sizeof *raw);
  bool ok = raw ? read_slices(s, raw, err) && image_alloc(out, s->path, err)
                : err_memory(err, s->path, count * (int64_t)sizeof *raw);
  if (ok) arrange(raw, out->spatial == 3 ? volume : picture, out);
  free(raw);
  return ok;
}

/* Before memory is taken for what headers promise. */
static bool plausible(const Series *s, char err[ERR_MAX]) {
  double all = 0;
  for (int i = 0; i < s->nsource; i++) {
    const DicomFile *f = &s->source[i].head;
    double n = (double)f->rows * f->columns * f->frames * f->samples;
    all += n;
    if (!file_could_hold(s->source[i].path, n * f->bits / 8))
      return err_set(err, "%s: too short for its %d frames of %d x %d pixels", s->source[i].path, f->frames,
                     f->columns, f->rows);
  }
  return all <= (double)VOLUME_MAX_ELEMENTS || err_set(err, "%s: too large", s->path);
}

/* ---- the format ---- */

/* A file of one frame is a picture (H,W). */
static void as_picture(const Slice *s, Image *out) {
  Grid g = out->grid;
  bool plain = !s->file->is_signed && s->frame->slope == 1 && s->frame->intercept == 0;
  out->full = plain && s->file->stored > 0 && s->file->stored <= 16 ? (1 << s->file->stored) - 1 : 0;
  double mm[3] = {grid_spacing(&g, 1), grid_spacing(&g, 0), 1};
  out->spatial = 2;
  out->grid = grid_plain((int64_t[]){g.dim[1], g.dim[0], 1}, mm);
}

static bool read_in(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  Series s = {.path = path, .wish = wish};
  struct stat st;
  *out = (Image){.spatial = 3};
#ifndef NETC_DEBUG
  if (!freopen("/dev/null", "w", stderr)) return err_sys(err, "/dev/null"); /* the library talks */
#endif
  if (!find_files(&s, err) || !check_kinds(&s, err) || !one_series(&s, err) || !plausible(&s, err) ||
      !make_slices(&s, err) || !dicom_stack(s.slice, &s.nslice, path, wish->notes, &out->grid, err))
    return false;
  out->channels = s.source->head.samples;
  if (s.nslice == 1 && !stat(path, &st) && S_ISREG(st.st_mode)) as_picture(s.slice, out);
  return (wish->header || read_values(&s, out, err)) && mask_channels(out, wish->as, path, err);
}

static bool open_plugin(const char *path, char err[ERR_MAX]) {
  static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
  const DicomPlugin *(*door)(void);
  char wanted[ERR_MAX];
  snprintf(wanted, sizeof wanted, "%s: DICOM", path);
  pthread_mutex_lock(&once);
  bool ok = plugin != NULL;
  void *found = ok ? NULL
                   : plugin_symbol("netc_dicom.so", "netc_dicom", wanted,
                                   "apt-get install g++ libgdcm-dev, and build netc again", err);
  if (found) {
    memcpy(&door, &found, sizeof door); /* a pointer to data as one to a function: as POSIX has it */
    plugin = door()->abi == DICOM_ABI ? door() : NULL;
    ok = plugin || err_set(err, "%s: netc_dicom.so is of another version of netc; build it again", path);
  }
  pthread_mutex_unlock(&once);
  return ok;
}

static bool read_dicom(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  *out = (Image){.spatial = 0};
  if (access(path, R_OK)) return err_sys(err, "%s", path);
  return open_plugin(path, err) && read_in_child(read_in, "the DICOM library", path, wish, out, err);
}

const Format format_dicom = {.name = "DICOM",
                             .ending = {".dcm", ".dicom", ".ima"},
                             .holds = HOLDS_EITHER,
                             .folder = is_series,
                             .is = dicom_begins,
                             .read = read_dicom};
