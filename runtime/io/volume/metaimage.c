/* metaimage.c - MetaImage volumes (.mha), and headers beside their data (.mhd with .raw or .zraw): the format
 * of ITK. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "runtime/io/volume/places.h"
#include "runtime/io/volume/text_header.h"
#include "runtime/io/volume/voxels.h"

enum { AXES = 4, MOST_CHANNELS = 1 << 20 };

typedef struct {
  int axes;
  double size[AXES], spacing[AXES], extent[AXES] /* of a voxel, where its spacing is not said */,
      matrix[AXES * AXES], origin[AXES];
  bool placed; /* the header says where it lies, or how it stands */
  bool big, compressed, text;
  double skip, channels, scale[2]; /* skip -1: the voxels are the last bytes */
  Element type;
  FileList files; /* none: behind the header, from `start` on */
  int64_t start;
} MetaHeader;

static bool is_true(const char *value) { return *value == 'T' || *value == 't' || *value == '1'; }

static bool take_numbers(const char *name, char *value, int n, double *out, const char *path,
                         char err[ERR_MAX]) {
  for (int i = 0; i < n; i++)
    if (!text_number(&value, &out[i])) return err_set(err, "%s: %s: expected %d numbers", path, name, n);
  return n > 0 || err_set(err, "%s: %s: expected NDims before it", path, name);
}

static bool take_type(MetaHeader *h, const char *value, const char *path, char err[ERR_MAX]) {
  size_t n = strlen(value);
  if (n > 6 && !strcmp(value + n - 6, "_ARRAY")) n -= 6;
  if (n == 8 && !strncmp(value, "MET_LONG", n)) return h->type = ELEMENT_I32, true; /* of 4 bytes, always */
  if (n == 9 && !strncmp(value, "MET_ULONG", n)) return h->type = ELEMENT_U32, true;
  for (h->type = 0; h->type < ELEMENT_TYPES; h->type++)
    if (strlen(element_table[h->type].met) == n && !strncmp(element_table[h->type].met, value, n))
      return true;
  return err_set(err, "%s: ElementType: voxels of type %.40s are not read", path, value);
}

static bool take_axes(MetaHeader *h, const char *value, const char *path, char err[ERR_MAX]) {
  h->axes = atoi(value);
  if (h->axes >= 2 && h->axes <= AXES) return true;
  h->axes = 0;
  return err_set(err, "%s: NDims: 2 to %d axes are read, found %.20s", path, AXES, value);
}

/* Fields of numbers, under every name that ITK reads. n: how many, 0 for one an axis, -1 for a matrix. */
static const struct {
  const char *name;
  int n;
  size_t at;
  bool places;
} numbers[] = {{"DimSize", 0, offsetof(MetaHeader, size), false},
               {"ElementSpacing", 0, offsetof(MetaHeader, spacing), false},
               {"ElementSize", 0, offsetof(MetaHeader, extent), false},
               {"Offset", 0, offsetof(MetaHeader, origin), true},
               {"Position", 0, offsetof(MetaHeader, origin), true},
               {"Origin", 0, offsetof(MetaHeader, origin), true},
               {"TransformMatrix", -1, offsetof(MetaHeader, matrix), true},
               {"Rotation", -1, offsetof(MetaHeader, matrix), true},
               {"Orientation", -1, offsetof(MetaHeader, matrix), true},
               {"HeaderSize", 1, offsetof(MetaHeader, skip), false},
               {"ElementNumberOfChannels", 1, offsetof(MetaHeader, channels), false},
               {"ElementToIntensityFunctionSlope", 1, offsetof(MetaHeader, scale), false},
               {"ElementToIntensityFunctionOffset", 1, offsetof(MetaHeader, scale) + sizeof(double), false}};

static bool take(MetaHeader *h, const char *name, char *value, const char *path, char err[ERR_MAX]) {
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (!strcasecmp(numbers[i].name, name)) {
      int n = numbers[i].n > 0 ? numbers[i].n : numbers[i].n < 0 ? h->axes * h->axes : h->axes;
      h->placed |= numbers[i].places;
      return take_numbers(name, value, n, (double *)((char *)h + numbers[i].at), path, err);
    }
  if (!strcasecmp(name, "NDims")) return take_axes(h, value, path, err);
  if (!strcasecmp(name, "ElementType")) return take_type(h, value, path, err);
  if (!strcasecmp(name, "BinaryData")) h->text = !is_true(value);
  if (!strcasecmp(name, "BinaryDataByteOrderMSB") || !strcasecmp(name, "ElementByteOrderMSB"))
    h->big = is_true(value);
  if (!strcasecmp(name, "CompressedData")) h->compressed = is_true(value);
  return true;
}

static bool check(const MetaHeader *h, const char *path, char err[ERR_MAX]) {
  for (int a = 0; a < h->axes; a++)
    if (!(h->size[a] >= 1 && h->size[a] < 0x1p53) || h->size[a] != floor(h->size[a]))
      return err_set(err, "%s: DimSize: expected %d whole numbers of 1 or more", path, h->axes);
  if (!h->axes) return err_set(err, "%s: the header has no field NDims", path);
  if (h->type == ELEMENT_TYPES) return err_set(err, "%s: the header has no field ElementType", path);
  if (!(h->channels >= 1 && h->channels <= MOST_CHANNELS) || h->channels != floor(h->channels))
    return err_set(err, "%s: ElementNumberOfChannels: found %g", path, h->channels);
  if (!(h->skip >= -1 && h->skip < 0x1p53) || h->skip != floor(h->skip))
    return err_set(err, "%s: HeaderSize: expected -1 or more bytes, found %g", path, h->skip);
  if (h->skip < 0 && (h->compressed || h->text))
    return err_set(err, "%s: HeaderSize: -1 is for data that are neither compressed nor text", path);
  return true;
}

/* Up to ElementDataFile, which is the last. */
static bool read_header(const char *path, MetaHeader *h, char err[ERR_MAX]) {
  TextHeader text;
  char *line, *value;
  bool ok = true, ended = false;
  *h = (MetaHeader){.type = ELEMENT_TYPES,
                    .channels = 1,
                    .scale = {1, 0},
                    .spacing = {NAN, NAN, NAN, NAN},
                    .extent = {1, 1, 1, 1}};
  if (!text_open(&text, path, err)) return false;
  while (ok && !ended && (line = text_line(&text))) {
    if (!*line) continue;
    if (!(value = text_cut(line, "="))) {
      ok = err_set(err, "%s: expected `field = value`, found %.60s: no MetaImage, or a damaged one", path,
                   line);
    } else if (!strcasecmp(line, "ElementDataFile")) {
      ended = true;
      if (strcasecmp(value, "LOCAL")) ok = file_list_parse(&h->files, &text, value, err);
    } else ok = take(h, line, value, path, err);
  }
  h->start = (int64_t)text.at;
  text_close(&text);
  if (ok && !ended) ok = err_set(err, "%s: the header has no field ElementDataFile", path);
  ok = ok && check(h, path, err);
  if (!ok) file_list_free(&h->files);
  return ok;
}

/* Row a of the matrix is the direction of axis a, in LPS. A plane has no place among volumes. */
static Grid grid_of(const MetaHeader *h, const char *path, Notes *notes) {
  int64_t dim[3];
  double vector[3][3], step[3];
  bool turned = false;
  for (int i = 0; i < AXES * AXES; i++) turned = turned || h->matrix[i] != 0;
  for (int a = 0; a < 3; a++) {
    dim[a] = a < h->axes ? (int64_t)h->size[a] : 1;
    step[a] = a < h->axes ? step_of(isnan(h->spacing[a]) ? h->extent[a] : h->spacing[a], a, path, notes) : 1;
    for (int d = 0; d < 3; d++) vector[a][d] = step[a] * (turned ? h->matrix[a * h->axes + d] : a == d);
  }
  if (!h->placed || h->axes < 3) return grid_plain(dim, step);
  return grid_in_space(dim, vector, h->origin, "LPS", path, notes);
}

static bool read_metaimage(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  MetaHeader h;
  *out = (Image){.spatial = 3};
  if (!read_header(path, &h, err)) return false;
  char *self[] = {(char *)(uintptr_t)path};
  int64_t frames = h.axes > 3 ? (int64_t)h.size[3] : 1;
  Voxels v = {.file = h.files.n ? h.files.name : self,
              .files = h.files.n ? h.files.n : 1,
              .start = (h.files.n ? 0 : h.start) + (h.skip > 0 ? (int64_t)h.skip : 0),
              .from_end = h.skip < 0,
              .coding = h.compressed ? STREAM_DEFLATE : STREAM_PLAIN,
              .text = h.text,
              .type = h.type,
              .swap = !h.text && h.big != ELEMENT_HOST_BIG,
              .channel = {(int64_t)h.channels, 1, 1, frames},
              .kept = (int64_t)h.channels};
  bool ok = frames <= MOST_CHANNELS || err_set(err, "%s: too many frames", path);
  if (h.scale[0] != 1 || h.scale[1] != 0)
    note(wish->notes, "%s: ElementToIntensityFunction is left out, as ITK does: voxels are as stored", path);
  out->grid = grid_of(&h, path, wish->notes);
  ok = ok && voxels_read(path, &v, wish, out, err);
  file_list_free(&h.files);
  return ok;
}

/* ---- writing ---- */

enum { COUNT_DIGITS = 20 };

/* Places in LPS. Returns where the count of compressed bytes is to stand. */
static long write_header(FILE *f, const Written *what, Element type) {
  const int64_t *dim = what->grid.dim;
  double direction[3][3], step[3], origin[3];
  grid_in_lps(&what->grid, direction, step, origin);
  fprintf(f, "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = %s\n",
          ELEMENT_HOST_BIG ? "True" : "False");
  fprintf(f, "CompressedData = True\nCompressedDataSize = ");
  long at = ftell(f);
  fprintf(f, "%*s\n", COUNT_DIGITS, "");
  if (what->grid.placed) {
    fprintf(f, "TransformMatrix =");
    for (int i = 0; i < 9; i++) fprintf(f, " %.17g", direction[i / 3][i % 3]);
    fprintf(f, "\nOffset = %.17g %.17g %.17g\nCenterOfRotation = 0 0 0\n", origin[0], origin[1], origin[2]);
  }
  fprintf(f, "ElementSpacing = %.17g %.17g %.17g\n", step[0], step[1], step[2]);
  fprintf(f, "DimSize = %lld %lld %lld\n", (long long)dim[0], (long long)dim[1], (long long)dim[2]);
  if (!what->mask) fprintf(f, "ElementNumberOfChannels = %d\n", what->channels);
  fprintf(f, "ElementType = %s\nElementDataFile = LOCAL\n", element_table[type].met);
  return at;
}

static bool write_metaimage(const char *path, const char *like, const Written *what, char err[ERR_MAX]) {
  Sink sink;
  size_t n = strlen(path);
  int64_t bytes = 0;
  (void)like; /* its places are those of what->grid, exactly */
  if (n > 4 && !strcasecmp(path + n - 4, ".mhd"))
    return err_set(err, "%s: a header beside its data is not written; give the name a .mha ending", path);
  if (!sink_open(&sink, path, err)) return false;
  FILE *f = sink.out.file;
  long at = write_header(f, what, voxels_type(what));
  bool ok = sink_compress(&sink, SINK_ZLIB, err) && voxels_write(&sink, what, voxels_type(what), true, err);
  if (ok && sink_end(&sink, &bytes) && !fseek(f, at, SEEK_SET))
    fprintf(f, "%-*lld", COUNT_DIGITS, (long long)bytes);
  if (ok) return sink_commit(&sink, err);
  sink_abort(&sink);
  return false;
}

const Format format_metaimage = {.name = "MetaImage",
                                 .ending = {".mha", ".mhd"},
                                 .holds = HOLDS_VOLUME,
                                 .read = read_metaimage,
                                 .write = write_metaimage};
