/* hdf5.c - pictures and volumes from HDF5 files, read in a child process: the library crashes on some damaged
 * files. */
#include "runtime/io/hdf5/hdf5.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/base/file.h"
#include "runtime/io/child.h"
#include "runtime/io/hdf5/lzf.h"

static const char library[] = "the HDF5 library";

/* ---- in the child ---- */

static bool open_file(const char *path, hid_t *file, char err[ERR_MAX]) {
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* errors are ours to report */
  lzf_register();
  *file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  return *file >= 0 || err_set(err, "%s: not an HDF5 file, or cut short", path);
}

static double count_of(const DataSet *set) {
  double n = 1;
  for (int a = 0; a < set->rank; a++) n *= (double)set->dim[a];
  return n;
}

static bool cannot_read(const DataSet *set, const char *path, char err[ERR_MAX]) {
  return err_set(err, "%s: data set '%s' cannot be read: damaged, cut short or too large", path, set->name);
}

/* Before memory is taken for what a header promises. */
static bool plausible(const DataSet *set, const char *path, char err[ERR_MAX]) {
  double n = count_of(set), bytes = n * (double)H5Tget_size(H5Dget_type(set->id));
  if (n >= 1 && n <= (double)VOLUME_MAX_ELEMENTS && file_could_hold(path, bytes)) return true;
  return cannot_read(set, path, err);
}

/* A data set that does not decompress: is it that a filter is missing? */
static bool explain(const DataSet *set, const char *path, char err[ERR_MAX]) {
  hid_t made = H5Dget_create_plist(set->id);
  for (int i = 0, n = H5Pget_nfilters(made); i < n; i++) {
    char name[64] = "";
    unsigned flags, field[1];
    size_t fields = 0;
    H5Z_filter_t id = H5Pget_filter2(made, (unsigned)i, &flags, &fields, field, sizeof name, name, NULL);
    if (id < 0 || H5Zfilter_avail(id) > 0) continue;
    return err_set(
        err,
        "%s: data set '%s' is compressed with %s (filter %d), which the HDF5 library lacks; rewrite "
        "the file with gzip (h5repack -f GZIP=4, h5py's compression=\"gzip\")",
        path, set->name, *name ? name : "an unknown filter", (int)id);
  }
  return cannot_read(set, path, err);
}

/* Numbers of any type as floats, in the file's order. Reading does not convert enumerations (h5py's bool);
 * their integers are converted afterwards. */
static bool read_floats(const DataSet *set, float *value) {
  hid_t type = H5Dget_type(set->id);
  if (H5Tget_class(type) != H5T_ENUM)
    return H5Dread(set->id, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, value) >= 0;
  hid_t native = H5Tget_native_type(type, H5T_DIR_ASCEND), integer = H5Tget_super(native);
  size_t n = (size_t)count_of(set), size = H5Tget_size(native);
  void *raw = native >= 0 ? malloc(n * (size > sizeof *value ? size : sizeof *value)) : NULL;
  bool ok = raw && H5Dread(set->id, native, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw) >= 0 &&
            H5Tconvert(integer, H5T_NATIVE_FLOAT, n, raw, NULL, H5P_DEFAULT) >= 0;
  if (ok) memcpy(value, raw, n * sizeof *value);
  free(raw);
  return ok;
}

static bool read_values(const DataSet *set, const char *path, Strides from, Image *out, char err[ERR_MAX]) {
  Strides to = strides_of(out);
  if (!image_alloc(out, path, err)) return false;
  bool straight = (out->channels == 1 || from.channel == to.channel);
  for (int a = 0; a < 3; a++) straight = straight && (out->grid.dim[a] == 1 || from.axis[a] == to.axis[a]);
  if (straight) return read_floats(set, out->value) || explain(set, path, err);
  float *raw = malloc((size_t)count_of(set) * sizeof *raw);
  if (!raw) return err_memory(err, path, (int64_t)count_of(set) * (int64_t)sizeof *raw);
  bool ok = read_floats(set, raw) || explain(set, path, err);
  if (ok) arrange(raw, from, out);
  free(raw);
  return ok;
}

/* White, of a picture: the largest number of its type; 0: unknown. */
static double white_of(const DataSet *set) {
  hid_t type = H5Dget_type(set->id);
  size_t size = H5Tget_size(type);
  bool whole = H5Tget_class(type) == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_NONE;
  return whole && size == 1 ? UINT8_MAX : whole && size == 2 ? UINT16_MAX : 0;
}

static bool read_file(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  hid_t file;
  DataSet set;
  Strides strides;
  char what[ERR_MAX], shape[SHAPE_TEXT];
  if (!open_file(path, &file, err) ||
      !hdf5_open_set(file, path, wish->set ? wish->set : "image", false, &set, err) ||
      !plausible(&set, path, err) || !hdf5_layout(&set, path, wish, out, &strides, err) ||
      !(wish->header || read_values(&set, path, strides, out, err)))
    return false;
  if (out->spatial == 2) out->full = white_of(&set);
  snprintf(what, sizeof what, "%s: data set '%s' %s", path, set.name, shape_text(&set, shape));
  return mask_channels(out, wish->as, what, err);
}

/* out->channels: is the data set there? */
static bool find_set(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  hid_t file;
  DataSet set;
  if (!open_file(path, &file, err)) return false;
  out->channels = hdf5_open_set(file, path, wish->set, true, &set, err);
  return true;
}

/* ---- in the parent ---- */

static bool read_hdf5(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]) {
  *out = (Image){.spatial = 0};
  if (access(path, R_OK)) return err_sys(err, "%s", path);
  return read_in_child(read_file, library, path, wish, out, err);
}

static bool has_set(const char *path, const char *set) {
  char err[ERR_MAX];
  Image found;
  return !read_in_child(find_set, library, path, &(Wish){.set = set}, &found, err) || found.channels;
}

const Format format_hdf5 = {.name = "HDF5",
                            .ending = {".h5", ".hdf5"},
                            .holds = HOLDS_EITHER,
                            .sets = true,
                            .has = has_set,
                            .prepared = true,
                            .read = read_hdf5};
