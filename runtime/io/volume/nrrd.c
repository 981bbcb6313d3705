/* nrrd.c - NRRD volumes (.nrrd), and headers of their own beside their data (.nhdr). */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "runtime/io/volume/nrrd_header.h"
#include "runtime/io/volume/places.h"
#include "runtime/io/volume/voxels.h"

/* Kinds of axes along which there are places; of all others there are channels. */
static bool kind_is_domain(const char *kind) {
  return !strcasecmp(kind, "domain") || !strcasecmp(kind, "space");
}

/* Does an axis run through space, as far as it says? A time axis of a space of four dimensions does not. */
static bool is_spatial(const NrrdHeader *h, const NrrdAxis *x) {
  if (x->undirected) return false;
  if (!x->directed) return !*x->kind || !strcmp(x->kind, "???") || kind_is_domain(x->kind);
  for (int d = 0; d < 3 && d < h->space; d++)
    if (x->direction[d] != 0) return true;
  return h->space < 4;
}

/* The axes x, y, z (-1: there is none), and channels before, between and behind them. */
static bool lay_out(const NrrdHeader *h, const char *path, Voxels *v, int axis[3], Notes *notes,
                    char err[ERR_MAX]) {
  int n = 0;
  axis[0] = axis[1] = axis[2] = -1;
  for (int a = 0; a < h->axes; a++) {
    const NrrdAxis *x = &h->axis[a];
    bool spatial = is_spatial(h, x), frames = spatial && n == 3 && !x->directed && !kind_is_domain(x->kind);
    if (frames) note(notes, "%s: axis %d, whose kind is not said, is taken for channels", path, a);
    if (spatial && !frames) {
      if (n == 3) return err_set(err, "%s: expected at most three axes in space, found more", path);
      axis[n++] = a;
      continue;
    }
    if (x->size > INT32_MAX / v->channel[n]) return err_set(err, "%s: too many channels", path);
    if (!strcasecmp(x->kind, "RGBA-color") && (a > 0 || x->size != 4))
      return err_set(err, "%s: an RGBA-color axis is read where it is the first, of 4", path);
    v->channel[n] *= x->size;
  }
  if (!n) return err_set(err, "%s: none of its axes runs through space", path);
  v->kept = strcasecmp(h->axis[0].kind, "RGBA-color") ? v->channel[0] : v->channel[0] / 4 * 3;
  if (v->kept != v->channel[0] && v->channel[0] != 4)
    return err_set(err, "%s: an RGBA-color axis beside another of channels is not read", path);
  return true;
}

/* mm between neighbours along an axis. */
static double step_along(const NrrdHeader *h, const NrrdAxis *x, int axis, const char *path, Notes *notes) {
  double square = 0;
  if (!x->directed) return isnan(x->spacing) ? 1 : step_of(x->spacing, axis, path, notes);
  for (int d = 0; d < h->space; d++) square += x->direction[d] * x->direction[d];
  return square > 0 ? sqrt(square) * h->unit : 1;
}

/* By directions in a space whose components have names; else steps alone. */
static Grid grid_of(const NrrdHeader *h, const char *path, const int axis[3], Notes *notes) {
  int64_t dim[3] = {1, 1, 1};
  double vector[3][3] = {{0}}, step[3] = {1, 1, 1}, origin[3] = {0};
  bool directed = h->space >= 3 && *h->named && axis[2] >= 0;
  for (int k = 0; k < 3 && axis[k] >= 0; k++) {
    const NrrdAxis *x = &h->axis[axis[k]];
    dim[k] = x->size;
    step[k] = step_along(h, x, k, path, notes);
    directed = directed && x->directed;
    for (int d = 0; d < 3; d++) vector[k][d] = x->direction[d] * h->unit;
  }
  for (int d = 0; d < 3; d++) origin[d] = h->origin[d] * h->unit;
  if (h->unit != 1) note(notes, "%s: space units: its places are read as mm", path);
  if (!directed) {
    if (h->space >= 3 && !*h->named && h->axis[axis[0]].directed)
      note(notes, "%s: the directions of its space have no names; steps alone are taken", path);
    return grid_plain(dim, step);
  }
  if (!h->origin_said) note(notes, "%s: no space origin; 0 is taken", path);
  return grid_in_space(dim, vector, origin, h->named, path, notes);
}

static bool read_voxels(const char *path, const NrrdHeader *h, const Wish *wish, Image *out,
                        char err[ERR_MAX]) {
  char *self[] = {(char *)(uintptr_t)path};
  int axis[3];
  Voxels v = {.file = h->files.n ? h->files.name : self,
              .files = h->files.n ? h->files.n : 1,
              .start = h->files.n ? 0 : h->start,
              .lines = h->lines,
              .skip = h->skip < 0 ? 0 : h->skip,
              .from_end = h->skip < 0,
              .coding = h->encoding == NRRD_GZIP ? STREAM_DEFLATE : STREAM_PLAIN,
              .text = h->encoding == NRRD_TEXT,
              .type = h->type,
              .channel = {1, 1, 1, 1}};
  bool ordered = !v.text && element_table[h->type].bytes > 1;
  if (v.from_end && h->encoding != NRRD_RAW)
    return err_set(err, "%s: byte skip: -1 is for raw data alone", path);
  if (ordered && !h->endian_said) note(wish->notes, "%s: no field endian; little is taken", path);
  v.swap = ordered && h->big != ELEMENT_HOST_BIG;
  if (!lay_out(h, path, &v, axis, wish->notes, err)) return false;
  out->grid = grid_of(h, path, axis, wish->notes);
  return voxels_read(path, &v, wish, out, err);
}

static bool read_nrrd(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  NrrdHeader h;
  *out = (Image){.spatial = 3};
  if (!nrrd_header_read(path, &h, err)) return false;
  bool ok = read_voxels(path, &h, wish, out, err);
  file_list_free(&h.files);
  return ok;
}

/* ---- writing ---- */

/* Places in LPS, as ITK's programs write them. */
static void write_header(FILE *f, const Written *what, Element type) {
  const int64_t *dim = what->grid.dim;
  double direction[3][3], step[3], origin[3];
  bool channels = !what->mask, placed = what->grid.placed;
  grid_in_lps(&what->grid, direction, step, origin);
  fprintf(f, "NRRD0004\ntype: %s\ndimension: %d\n", element_table[type].nrrd, channels ? 4 : 3);
  if (placed) fprintf(f, "space: left-posterior-superior\n");
  fprintf(f, "sizes: %lld %lld %lld", (long long)dim[0], (long long)dim[1], (long long)dim[2]);
  if (channels) fprintf(f, " %d", what->channels);
  fprintf(f, "\n%s:", placed ? "space directions" : "spacings");
  for (int a = 0; a < 3; a++) {
    const double *d = direction[a];
    if (placed) fprintf(f, " (%.17g,%.17g,%.17g)", d[0] * step[a], d[1] * step[a], d[2] * step[a]);
    else fprintf(f, " %.17g", step[a]);
  }
  if (channels) fprintf(f, " %s", placed ? "none" : "nan");
  fprintf(f, "\nkinds: domain domain domain%s\n", channels ? " list" : "");
  fprintf(f, "endian: %s\nencoding: gzip\n", ELEMENT_HOST_BIG ? "big" : "little");
  if (placed) fprintf(f, "space origin: (%.17g,%.17g,%.17g)\n", origin[0], origin[1], origin[2]);
  fprintf(f, "\n");
}

static bool write_nrrd(const char *path, const char *like, const Written *what, char err[ERR_MAX]) {
  Sink sink;
  size_t n = strlen(path);
  (void)like; /* its places are those of what->grid, exactly */
  if (n > 5 && !strcasecmp(path + n - 5, ".nhdr"))
    return err_set(err, "%s: a header beside its data is not written; give the name a .nrrd ending", path);
  if (!sink_open(&sink, path, err)) return false;
  write_header(sink.out.file, what, voxels_type(what));
  bool ok = sink_compress(&sink, SINK_GZIP, err) && voxels_write(&sink, what, voxels_type(what), false, err);
  if (ok) return sink_commit(&sink, err);
  sink_abort(&sink);
  return false;
}

const Format format_nrrd = {.name = "NRRD",
                            .ending = {".nrrd", ".nhdr"},
                            .holds = HOLDS_VOLUME,
                            .magic = "NRRD000",
                            .read = read_nrrd,
                            .write = write_nrrd};
