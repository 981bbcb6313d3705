/* nifti.c - NIfTI-1 and NIfTI-2 volumes: one file, or a header and its voxels. */
#include <math.h>
#include <nifti2_io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "runtime/io/format.h"
#include "runtime/io/volume/nifti_header.h"
#include "runtime/io/volume/voxels.h"

enum { PATH_ROOM = 4096 };

/* The files of a pair, whichever was named; one file is both. */
typedef struct {
  char header[PATH_ROOM], voxels[PATH_ROOM];
  bool pair;
} Files;

static bool ends_in(const char *path, const char *ending) {
  size_t n = strlen(path), e = strlen(ending);
  return n > e && !strcasecmp(path + n - e, ending);
}

/* The ending's letters are large where those of the name are. */
static void other_ending(char *path, const char *ending) {
  char *at = path + strlen(path) - 3;
  for (int i = 0; i < 3; i++)
    at[i] = at[i] >= 'A' && at[i] <= 'Z' ? (char)(ending[i] - 'a' + 'A') : ending[i];
}

static bool name_files(const char *path, Files *f, char err[ERR_MAX]) {
  if (snprintf(f->header, PATH_ROOM, "%s", path) >= PATH_ROOM)
    return err_set(err, "%.200s..: the name is too long", path);
  strcpy(f->voxels, f->header);
  f->pair = ends_in(path, ".hdr") || ends_in(path, ".img");
  if (f->pair) other_ending(f->header, "hdr"), other_ending(f->voxels, "img");
  return true;
}

/* Axes behind the third are channels. */
static bool frames_of(const NiftiHeader *h, const char *path, int64_t *frames, char err[ERR_MAX]) {
  *frames = 1;
  for (int a = 1; a <= h->dim[0]; a++) {
    if (h->dim[a] < 1 || h->dim[a] > VOLUME_MAX_ELEMENTS)
      return err_set(err, "%s: damaged: dim[%d], an extent, is %lld", path, a, (long long)h->dim[a]);
    if (a > 5 && h->dim[a] > 1)
      return err_set(err, "%s: expected at most five axes, found %lld", path, (long long)h->dim[0]);
    if (a > 3) *frames *= h->dim[a];
    if (*frames > INT32_MAX) return err_set(err, "%s: too many frames", path);
  }
  return true;
}

static const char *name_of(int datatype) {
  switch (datatype) {
  case DT_FLOAT128: return "float128";
  case DT_COMPLEX64: return "complex64";
  case DT_COMPLEX128: return "complex128";
  case DT_COMPLEX256: return "complex256";
  case DT_BINARY: return "bits";
  default: return "unknown";
  }
}

static bool type_of(const NiftiHeader *h, const char *path, Voxels *v, char err[ERR_MAX]) {
  bool rgba = h->datatype == DT_RGBA32;
  v->channel[0] = v->kept = 1;
  if (h->datatype == DT_RGB24 || rgba)
    return v->type = ELEMENT_U8, v->channel[0] = rgba ? 4 : 3, v->kept = 3, true;
  for (v->type = 0; v->type < ELEMENT_TYPES; v->type++)
    if (element_table[v->type].nifti == h->datatype) return true;
  return err_set(err, "%s: voxels of type %s (%d) are not read; convert them to an integer type or float32",
                 path, name_of(h->datatype), h->datatype);
}

static Scale scale_of(const NiftiHeader *h, const char *path, Notes *notes) {
  Scale s = {.slope = h->scl_slope, .inter = h->scl_inter};
  if (s.slope == 0 || h->datatype == DT_RGB24 || h->datatype == DT_RGBA32) return s;
  if (!isfinite(s.slope)) {
    note(notes, "%s: scl_slope is not a number; voxels are taken as they are stored", path);
    return s;
  }
  if (!isfinite(s.inter)) note(notes, "%s: scl_inter is not a number; 0 is taken", path), s.inter = 0;
  s.on = s.slope != 1 || s.inter != 0;
  return s;
}

/* Where the voxels begin. */
static bool offset_of(const NiftiHeader *h, const Files *f, Voxels *v, Notes *notes, char err[ERR_MAX]) {
  int64_t least = f->pair ? 0 : h->version == 2 ? 544 : 352;
  double at = h->vox_offset;
  if (at == 0 && least) {
    note(notes, "%s: vox_offset is 0; %lld is taken", f->header, (long long)least);
    at = (double)least;
  }
  if (!(at >= (double)least && at < 0x1p53))
    return err_set(err, "%s: damaged: vox_offset, the byte where voxels begin, is %g, expected %lld or more",
                   f->header, at, (long long)least);
  v->skip = (int64_t)at;
  return true;
}

static bool check_magic(const NiftiHeader *h, const Files *f, Notes *notes, char err[ERR_MAX]) {
  if (h->pair && !f->pair)
    return err_set(err, "%s: the header of a pair (.hdr, .img): its voxels are in another file", f->header);
  if (!h->pair && f->pair)
    note(notes, "%s: the header says that the voxels follow it; they are read from %s", f->header, f->voxels);
  return true;
}

static bool read_nifti(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  Files f;
  NiftiHeader h;
  *out = (Image){.spatial = 3};
  if (!name_files(path, &f, err) || !nifti_header_read(f.header, &h, err)) return false;
  Voxels v = {.file = (char *[]){f.voxels}, .files = 1, .swap = h.swapped, .channel = {1, 1, 1, 1}};
  if (!frames_of(&h, f.header, &v.channel[3], err) || !type_of(&h, f.header, &v, err) ||
      !check_magic(&h, &f, wish->notes, err) || !offset_of(&h, &f, &v, wish->notes, err))
    return false;
  v.scale = scale_of(&h, f.header, wish->notes);
  out->grid = nifti_grid(&h, f.header, wish->notes);
  return voxels_read(path, &v, wish, out, err);
}

/* ---- writing ---- */

/* The header of what is written: places as in the file `like`, where it has the same extents. */
static bool header_for(const char *like, const Written *what, NiftiHeader *h, char err[ERR_MAX]) {
  const int64_t *dim = what->grid.dim;
  bool channels = !what->mask;
  *h =
      (NiftiHeader){.dim = {channels ? 4 : 3, dim[0], dim[1], dim[2], channels ? what->channels : 1, 1, 1, 1},
                    .datatype = element_table[voxels_type(what)].nifti,
                    .scl_slope = 1,
                    .pixdim = {1, 1, 1, 1, 1, 1, 1, 1}};
  nifti_set_grid(h, &what->grid);
  if (!like || format_of(like) != &format_nifti) return true;
  Files f;
  NiftiHeader source;
  if (!name_files(like, &f, err) || !nifti_header_read(f.header, &source, err)) return false;
  bool same = true;
  for (int a = 1; a <= 3; a++) same = same && (a <= source.dim[0] ? source.dim[a] : 1) == dim[a - 1];
  if (same) nifti_copy_grid(h, &source);
  return true;
}

static bool write_nifti(const char *path, const char *like, const Written *what, char err[ERR_MAX]) {
  NiftiHeader h;
  Sink sink;
  if (ends_in(path, ".hdr") || ends_in(path, ".img"))
    return err_set(err, "%s: a pair of files is not written; give the name a .nii.gz or .nii ending", path);
  if (!header_for(like, what, &h, err) || !sink_open(&sink, path, err)) return false;
  bool ok = sink_compress(&sink, ends_in(path, ".gz") ? SINK_GZIP : SINK_PLAIN, err);
  if (ok) nifti_header_write(&sink, &h);
  ok = ok && voxels_write(&sink, what, voxels_type(what), false, err);
  if (ok) return sink_commit(&sink, err);
  sink_abort(&sink);
  return false;
}

const Format format_nifti = {.name = "NIfTI",
                             .ending = {".nii.gz", ".nii", ".hdr", ".img"},
                             .holds = HOLDS_VOLUME,
                             .beside = ".img",
                             .read = read_nifti,
                             .write = write_nifti};
