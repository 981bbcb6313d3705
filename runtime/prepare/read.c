/* read.c - reading is where files disagree: channels, grids, numbers that are none. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/io/format.h"
#include "runtime/prepare/label.h"
#include "runtime/prepare/match.h"
#include "runtime/prepare/read.h"

/* Voxels that are not finite are an error with their number, or become the recipe's value. */
static bool finite_values(Image *image, const Recipe *r, const char *path, Notes *notes, char err[ERR_MAX]) {
  int64_t n = grid_count(&image->grid) * image->channels, bad = 0, first = 0;
  for (int64_t i = 0; i < n; i++) {
    if (isfinite(image->value[i])) continue;
    if (!bad++) first = i;
    if (r->fill_nan) image->value[i] = (float)r->nan_value;
  }
  if (!bad) return true;
  if (r->fill_nan)
    return note(notes, "%s: %lld of %lld elements are not finite; they became %g", path, (long long)bad,
                (long long)n, r->nan_value),
           true;
  return err_set(err,
                 "%s: %lld of %lld elements are not finite (the first: element %lld); --nan 0 makes them 0",
                 path, (long long)bad, (long long)n, (long long)first);
}

/* A series is read by its folder. */
static bool one_slice(const char *path, char err[ERR_MAX]) {
  const char *slash = strrchr(path, '/');
  return err_set(
      err,
      "%s: a single slice of a DICOM series, but the module wants a volume; give the folder that holds "
      "the whole series, %.*s",
      path, slash ? (int)(slash - path) : 1, slash ? path : ".");
}

static bool right_spatial(const Image *image, int spatial, const char *path, char err[ERR_MAX]) {
  char endings[ALL_ENDINGS];
  if (image->spatial == spatial) return true;
  if (spatial == 3 && is_dicom(path)) return one_slice(path, err);
  if (spatial == 3)
    return err_set(err, "%s: a picture, but the module wants a volume (%s)", path,
                   format_endings_of(HOLDS_VOLUME, endings));
  return err_set(err, "%s: a volume, where a picture is expected (%s)", path,
                 format_endings_of(HOLDS_PICTURE, endings));
}

static bool read_one(const char *path, const char *set, const Files *files, const Ask *ask, ReadAs as,
                     int spatial, Image *out, char err[ERR_MAX]) {
  const char *axes = ask->recipe->axes ? ask->recipe->axes : files->axes;
  const Wish wish = {.as = as, .set = set, .axes = axes, .notes = ask->notes};
  if (!image_read(path, &wish, out, err)) return false;
  bool ok = right_spatial(out, spatial, path, err) &&
            (as != READ_IMAGE || finite_values(out, ask->recipe, path, ask->notes, err));
  if (!ok) image_free(out);
  return ok;
}

/* Appends the channels of `more`, which is freed. */
static bool append(Image *all, Image *more, const char *path, char err[ERR_MAX]) {
  int64_t n = grid_count(&all->grid);
  float *v = realloc(all->value, (size_t)(n * (all->channels + more->channels)) * sizeof *v);
  if (v) {
    memcpy(v + n * all->channels, more->value, (size_t)(n * more->channels) * sizeof *v);
    all->value = v, all->channels += more->channels;
  }
  image_free(more);
  return v || err_memory(err, path, n * 4);
}

bool channels_suit(int have, int want) {
  return have == want || (have == 3 && want == 1) || (have == 1 && want == 3);
}

/* Colours to grey by luminance (ITU-R BT.601), grey to three equal colours. */
static bool suit_channels(Image *image, int wanted, const char *path, char err[ERR_MAX]) {
  int64_t n = grid_count(&image->grid);
  float *v = image->value;
  if (image->channels == wanted) return true;
  if (image->channels == 3 && wanted == 1) {
    for (int64_t i = 0; i < n; i++) v[i] = 0.299f * v[i] + 0.587f * v[n + i] + 0.114f * v[2 * n + i];
    image->channels = 1;
    if ((v = realloc(image->value, (size_t)n * sizeof *v))) image->value = v;
    return true;
  }
  if (!channels_suit(image->channels, wanted))
    return err_set(err, "%s: it has %d channel%s, but the module wants %d (-D channels=%d)", path,
                   image->channels, image->channels == 1 ? "" : "s", wanted, image->channels);
  v = realloc(image->value, (size_t)(3 * n) * sizeof *v);
  if (!v) return err_memory(err, path, 3 * n * 4);
  for (int c = 1; c < 3; c++) memcpy(v + c * n, v, (size_t)n * sizeof *v);
  image->value = v, image->channels = 3;
  return true;
}

bool read_channels(const Files *files, const Ask *ask, int spatial, Image *out, char err[ERR_MAX]) {
  const char *first = files->image[0];
  if (!read_one(first, "image", files, ask, READ_IMAGE, spatial, out, err)) return false;
  bool ok = true;
  for (int i = 1; ok && i < files->nimage; i++) {
    Image more;
    ok = read_one(files->image[i], "image", files, ask, READ_IMAGE, spatial, &more, err);
    if (!ok) break;
    ok = match_grids(&out->grid, &more, ask->recipe->other_grid, first, files->image[i], MATCH_CHANNEL,
                     ask->notes, err);
    if (ok) ok = append(out, &more, files->image[i], err);
    else image_free(&more);
  }
  ok = ok && suit_channels(out, ask->channels, first, err);
  if (!ok) image_free(out);
  return ok;
}

bool read_mask(const Files *files, const Ask *ask, const Grid *image, int spatial, uint8_t **out,
               char err[ERR_MAX]) {
  const Recipe *r = ask->recipe;
  bool colours = recipe_has_colours(r);
  Image mask;
  if (!read_one(files->mask, "label", files, ask, colours ? READ_COLOURS : READ_NUMBERS, spatial, &mask, err))
    return false;
  const bool lossy = mask.lossy;
  int64_t n = grid_count(image);
  bool ok = mask.channels == 1 || (colours && mask.channels == 3) ||
            err_set(err, "%s: a mask has one channel; this file has %d", files->mask, mask.channels);
  ok = ok &&
       match_grids(image, &mask, r->other_grid, files->image[0], files->mask, MATCH_MASK, ask->notes, err);
  *out = ok ? malloc((size_t)n) : NULL;
  if (ok && !*out) ok = err_memory(err, files->mask, n);
  ok = ok && labels_of(&mask, r, ask->classes, lossy, files->mask, *out, err);
  image_free(&mask);
  if (!ok) free(*out), *out = NULL;
  return ok;
}
