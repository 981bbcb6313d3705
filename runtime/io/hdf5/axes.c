/* axes.c - which axis of a data set is which, and how far apart its elements lie.
 *
 * Axes are letters from the slowest on: x, y, z; c (channels) or t (frames), both become channels; '-' an
 * axis of length 1 that is left out. The file says them, else the caller does, else what is usual is taken.
 */
#include <ctype.h>
#include <hdf5_hl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "runtime/io/hdf5/hdf5.h"

enum { MOST_CHANNELS = 16, FRAMES_LIMIT = 1 << 16, MOST_AXES = 8, PICTURE_SIDE = 16 };

typedef struct {
  const DataSet *set;
  const char *path;
  Notes *notes;
  char axes[MOST_AXES + 1];
} Axes;

/* ---- what the file says ---- */

static bool known_letters(const char *axes, int rank) {
  if ((int)strlen(axes) != rank || strspn(axes, "xyzct") != (size_t)rank) return false;
  for (const char *p = axes; *p; p++)
    if (strchr(p + 1, *p)) return false;
  return true;
}

/* The letters of a text: "zyx", "Z, Y, X". False and a note when they do not fit the data set. */
static bool take_letters(Axes *a, const char *text, const char *source) {
  char axes[MOST_AXES + 1] = "";
  int n = 0;
  for (const char *p = text; *p && n < MOST_AXES; p++)
    if (isalpha((unsigned char)*p)) axes[n++] = (char)tolower((unsigned char)*p);
  axes[n] = 0;
  if (known_letters(axes, a->set->rank)) return strcpy(a->axes, axes), true;
  note(a->notes, "%s: data set '%s': %s '%.60s' does not name its %d axes by x, y, z, c, t; not used",
       a->path, a->set->name, source, text, a->set->rank);
  return false;
}

/* vigra's tags, as ilastik writes them: {"axes": [{"key": "z", ..}, ..]}. */
static bool take_tags(Axes *a, const char *json) {
  char keys[MOST_AXES + 1] = "";
  size_t n = 0;
  for (const char *p = json; n < MOST_AXES && (p = strstr(p, "\"key\"")); n++) {
    p += strlen("\"key\"");
    p += strspn(p, " :\"");
    keys[n] = *p, keys[n + 1] = 0;
  }
  return take_letters(a, keys, "axistags");
}

static herr_t scale_name(hid_t set, unsigned axis, hid_t scale, void *user) {
  (void)set, (void)axis;
  char path[256] = "";
  if (H5DSget_scale_name(scale, user, MOST_AXES) <= 0 && H5Iget_name(scale, path, sizeof path) > 0)
    snprintf(user, MOST_AXES, "%s", strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
  return 1; /* the first is enough */
}

/* Labels of the dimensions, else the names of their scales. */
static bool take_dimensions(Axes *a) {
  char all[MOST_AXES * MOST_AXES] = "";
  for (int i = 0; i < a->set->rank; i++) {
    char label[MOST_AXES] = "";
    if (H5DSget_label(a->set->id, (unsigned)i, label, sizeof label) <= 0)
      H5DSiterate_scales(a->set->id, (unsigned)i, NULL, scale_name, label);
    strncat(strncat(all, label, sizeof all - strlen(all) - 1), " ", sizeof all - strlen(all) - 1);
  }
  return strspn(all, " ") != strlen(all) && take_letters(a, all, "the label of a dimension");
}

static bool axes_of_file(Axes *a) {
  char text[TEXT_ROOM];
  const DataSet *s = a->set;
  if ((hdf5_text(s->id, "axes", text) || hdf5_text(s->file, "axes", text)) &&
      take_letters(a, text, "attribute axes"))
    return true;
  if (hdf5_text(s->id, "axistags", text) && take_tags(a, text)) return true;
  return take_dimensions(a);
}

/* ---- what is taken where it does not ---- */

static void drop(char *axes, size_t at) { memmove(axes + at, axes + at + 1, strlen(axes + at)); }

/* Letters that the data set lacks go: channels, then z. */
static bool fewer(char axes[MOST_AXES + 1], size_t rank) {
  static const char order[] = "ctz";
  for (const char *p = order; *p && strlen(axes) > rank; p++)
    if (strchr(axes, *p)) drop(axes, (size_t)(strchr(axes, *p) - axes));
  return strlen(axes) == rank;
}

/* A further axis is of channels: the first or the last, whichever is shorter (the first where they are
 * equal), if it is not longer than MOST_CHANNELS. */
static bool add_channels(char axes[MOST_AXES + 1], size_t rank, const hsize_t *dim) {
  if (strlen(axes) + 1 != rank || strchr(axes, 'c') || strchr(axes, 't')) return false;
  bool last = dim[rank - 1] < dim[0];
  if (dim[last ? rank - 1 : 0] > MOST_CHANNELS) return false;
  if (!last) memmove(axes + 1, axes, rank);
  axes[last ? rank - 1 : 0] = 'c', axes[rank] = 0;
  return true;
}

static const char *usual_axes(const Axes *a, size_t rank) {
  double um[MANY_NUMBERS];
  if (rank == 2) return "yx";
  bool microscope = hdf5_numbers(a->set->id, "element_size_um", um) == 3;
  return microscope ? "zyx" : "xyz"; /* who writes that attribute stores z,y,x */
}

/* Three axes are a volume (X,Y,Z). A picture in colour looks much the same, and so does one whose slices come
 * first. */
static void note_doubts(const Axes *a) {
  const hsize_t *d = a->set->dim;
  char shape[SHAPE_TEXT];
  bool last = d[2] == 1 || d[2] == 3, first = d[0] == 1 || d[0] == 3;
  if (d[1] >= PICTURE_SIDE && (last ? d[0] : d[2]) >= PICTURE_SIDE && (first || last))
    note(a->notes,
         "%s: data set '%s' %s is taken as a volume; if it is a picture with channels, give it an attribute "
         "axes = %s",
         a->path, a->set->name, shape_text(a->set, shape), last ? "yxc" : "cyx");
  else if (d[0] <= d[1] / 2 && d[0] <= d[2] / 2)
    note(a->notes,
         "%s: data set '%s' %s is taken as (X,Y,Z); if its slices come first, say --axes zyx or give it an "
         "attribute axes = zyx",
         a->path, a->set->name, shape_text(a->set, shape));
}

static bool axes_taken(Axes *a, const char *wish, char err[ERR_MAX]) {
  const DataSet *s = a->set;
  size_t skip = 0;
  char axes[MOST_AXES + 1] = "", shape[SHAPE_TEXT];
  while (s->rank - (int)skip > 4 && s->dim[skip] == 1) skip++;
  size_t rank = (size_t)s->rank - skip;
  const hsize_t *dim = s->dim + skip;
  snprintf(axes, sizeof axes, "%s", wish ? wish : usual_axes(a, rank));
  if (!strcmp(axes, "xyz") && !wish && rank == 3) note_doubts(a);
  if ((!fewer(axes, rank) && !add_channels(axes, rank, dim)) || !known_letters(axes, (int)rank))
    return err_set(err,
                   "%s: data set '%s' %s: axes '%s' do not fit (channels: the first or last axis, at most %d "
                   "long); say its axes, or give it an attribute axes such as 'czyx'",
                   a->path, s->name, shape_text(s, shape), axes, MOST_CHANNELS);
  memset(a->axes, '-', skip);
  return strcpy(a->axes + skip, axes), true;
}

/* Frames or channels of length 1 are left out; both of them longer are an error. */
static bool settle(Axes *a, char err[ERR_MAX]) {
  char shape[SHAPE_TEXT];
  char *c = strchr(a->axes, 'c'), *t = strchr(a->axes, 't');
  if (c && t && a->set->dim[t - a->axes] == 1) *t = '-', t = NULL;
  if (c && t && a->set->dim[c - a->axes] == 1) *c = '-', c = NULL;
  if (t && !c) *t = 'c', c = t, t = NULL;
  if (c && a->set->dim[c - a->axes] > FRAMES_LIMIT)
    return err_set(err, "%s: data set '%s' %s with axes '%s': more than %d channels or frames", a->path,
                   a->set->name, shape_text(a->set, shape), a->axes, FRAMES_LIMIT);
  if (strchr(a->axes, 'x') && strchr(a->axes, 'y') && !(c && t)) return true;
  return err_set(err, "%s: data set '%s' %s with axes '%s': %s", a->path, a->set->name,
                 shape_text(a->set, shape), a->axes,
                 c && t ? "several frames of several channels are not read" : "x or y is missing");
}

/* ---- the grid ---- */

/* Millimetres along x, y, z (in that order). */
static void spacing_of(const Axes *a, double mm[3]) {
  double v[MANY_NUMBERS];
  const DataSet *s = a->set;
  int n = hdf5_numbers(s->id, "element_size_um", v), k = 0, spatial = 0;
  for (int i = 0; n == 3 && i < 3; i++) mm[i] = v[2 - i] / 1000;
  for (int i = 0; i < s->rank; i++) spatial += strchr("xyz", a->axes[i]) != NULL;
  if (!(n = hdf5_numbers(s->id, "spacing", v))) n = hdf5_numbers(s->file, "spacing", v);
  bool all = n == s->rank, used = n == spatial || all;
  for (int i = 0; used && i < s->rank; i++) {
    const char *letter = strchr("xyz", a->axes[i]);
    if (letter) mm[letter - "xyz"] = v[all ? i : k++];
  }
  if (n && !used)
    note(a->notes, "%s: data set '%s': attribute spacing has %d numbers for %d axes; not used", a->path,
         s->name, n, spatial);
  for (int i = 0; i < 3; i++)
    if (!(mm[i] > 0 && isfinite(mm[i]))) {
      note(a->notes, "%s: data set '%s': a spacing of %g; 1 mm is taken", a->path, s->name, mm[i]);
      mm[i] = 1;
    }
}

/* `affine`: the place of voxel (x,y,z), as nibabel has it, 3 x 4 or 4 x 4. */
static void place(const Axes *a, Grid *g) {
  double v[MANY_NUMBERS], inverse[3][4];
  Grid placed = *g;
  int n = hdf5_numbers(a->set->id, "affine", v);
  if (!n) n = hdf5_numbers(a->set->file, "affine", v);
  if (!n) return;
  for (int i = 0; i < 12; i++) placed.to_mm[i / 4][i % 4] = v[i];
  placed.placed = true;
  if ((n == 12 || n == 16) && grid_inverse(&placed, inverse)) *g = placed;
  else note(a->notes, "%s: data set '%s': attribute affine has no inverse; not used", a->path, a->set->name);
}

static Grid grid_of(const Axes *a, const int64_t dim[3], int spatial) {
  double mm[3] = {1, 1, 1};
  spacing_of(a, mm);
  if (spatial == 2) return grid_plain(dim, (double[]){mm[1], mm[0], 1});
  Grid g = grid_plain(dim, mm);
  place(a, &g);
  return g;
}

/* Do both name x, y and z in one order? */
static bool same_order(const char *a, const char *b) {
  for (;; a++, b++) {
    a += strcspn(a, "xyz"), b += strcspn(b, "xyz");
    if (*a != *b) return false;
    if (!*a) return true;
  }
}

/* The letters of all axes. */
static bool find_axes(Axes *a, const char *wish, char err[ERR_MAX]) {
  const DataSet *s = a->set;
  char shape[SHAPE_TEXT];
  if (s->rank > MOST_AXES)
    return err_set(err, "%s: data set '%s' %s has too many axes", a->path, s->name, shape_text(s, shape));
  if (!axes_of_file(a)) return axes_taken(a, wish, err);
  if (wish && !same_order(wish, a->axes))
    note(a->notes, "%s: data set '%s' says that its axes are '%s'; '%s' is not used", a->path, s->name,
         a->axes, wish);
  return true;
}

bool hdf5_layout(const DataSet *set, const char *path, const Wish *wish, Image *out, Strides *strides,
                 char err[ERR_MAX]) {
  Axes a = {set, path, wish->notes, ""};
  if (!find_axes(&a, wish->axes, err) || !settle(&a, err)) return false;
  bool volume = strchr(a.axes, 'z') != NULL;
  const char *order = volume ? "xyz" : "yx";
  int64_t dim[3] = {1, 1, 1}, stride = 1;
  *out = (Image){.spatial = volume ? 3 : 2, .channels = 1};
  *strides = (Strides){.channel = 0};
  for (int i = set->rank - 1; i >= 0; i--) {
    const char *at = a.axes[i] == '-' ? NULL : strchr(order, a.axes[i]);
    if (at) dim[at - order] = (int64_t)set->dim[i], strides->axis[at - order] = stride;
    else if (a.axes[i] == 'c') out->channels = (int)set->dim[i], strides->channel = stride;
    stride *= (int64_t)set->dim[i];
  }
  out->grid = grid_of(&a, dim, out->spatial);
  return true;
}
