/* volume.c - a volume's channels and mask, from files to the grid that a network works on. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/io/format.h"
#include "runtime/prepare/box.h"
#include "runtime/prepare/intensity.h"
#include "runtime/prepare/label.h"
#include "runtime/prepare/match.h"
#include "runtime/prepare/prepare.h"
#include "runtime/prepare/read.h"
#include "runtime/prepare/resample.h"

/* ---- the steps: each makes the volume anew, or leaves it ---- */

typedef struct {
  float *image; /* (channels, dim) */
  uint8_t *label;
  int channels;
  Grid grid;
} State;

static Box turned_box(const Grid *g, const Turn *t) {
  const int64_t element[3] = {g->dim[1] * g->dim[2], g->dim[2], 1};
  Box b = {.start = 0};
  for (int a = 0; a < 3; a++) {
    int s = t->axis[a];
    b.n[a] = g->dim[s], b.stride[a] = t->flip[a] ? -element[s] : element[s];
    if (t->flip[a]) b.start += element[s] * (g->dim[s] - 1);
  }
  return b;
}

/* The state becomes the box of itself. */
static bool take_box(State *s, const Box *b) {
  int64_t n = b->n[0] * b->n[1] * b->n[2], before = grid_count(&s->grid);
  float *image = malloc((size_t)(n * s->channels) * sizeof *image);
  uint8_t *label = s->label ? malloc((size_t)n) : NULL;
  if (!image || (s->label && !label)) return free(image), free(label), false;
  for (int c = 0; c < s->channels; c++) box_values(b, s->image + c * before, image + c * n);
  if (label) box_labels(b, s->label, label);
  free(s->image), free(s->label);
  s->image = image, s->label = label;
  return true;
}

/* How a file's axes are brought in the recipe's order; as they are where it does not say where it lies. */
static Turn turn_of(const Grid *g, const Recipe *r) {
  Turn t = {{0, 1, 2}, {false}};
  if (*r->orientation && g->placed) grid_turn(g, r->orientation, &t);
  return t;
}

static Grid oriented(const Grid *g, const Recipe *r) {
  Turn t = turn_of(g, r);
  return grid_turned(g, &t);
}

static bool orient(State *s, const Recipe *r, Place *p) {
  Turn t = turn_of(&s->grid, r);
  Box b = turned_box(&s->grid, &t);
  bool same = true;
  for (int a = 0; a < 3; a++) {
    p->axis[a] = t.axis[a], p->own[a] = s->grid.dim[a];
    p->step[a] = t.flip[a] ? -1 : 1, p->from[a] = t.flip[a] ? (double)(s->grid.dim[t.axis[a]] - 1) : 0;
    same = same && t.axis[a] == a && !t.flip[a];
  }
  if (!same && !take_box(s, &b)) return false;
  s->grid = grid_turned(&s->grid, &t);
  return true;
}

/* The box of elements that are not 0 in some channel; the whole where none are. */
static void nonzero_box(const State *s, int64_t from[3], int64_t to[3]) {
  const int64_t *d = s->grid.dim;
  int64_t n = grid_count(&s->grid);
  for (int a = 0; a < 3; a++) from[a] = d[a], to[a] = 0;
  for (int64_t i = 0; i < n * s->channels; i++) {
    if (s->image[i] == 0) continue;
    int64_t e = i % n, at[3] = {e / (d[1] * d[2]), e / d[2] % d[1], e % d[2]};
    for (int a = 0; a < 3; a++)
      from[a] = at[a] < from[a] ? at[a] : from[a], to[a] = at[a] >= to[a] ? at[a] + 1 : to[a];
  }
  bool none = to[0] == 0;
  for (int a = 0; a < 3 && none; a++) from[a] = 0, to[a] = d[a];
}

static bool crop(State *s, const Ask *ask, Place *p) {
  int64_t from[3] = {0, 0, 0}, to[3];
  memcpy(to, s->grid.dim, sizeof to);
  if (ask->recipe->crop) nonzero_box(s, from, to);
  if (ask->spatial == 2) from[p->slices] = 0, to[p->slices] = s->grid.dim[p->slices];
  const int64_t *d = s->grid.dim, stride[3] = {d[1] * d[2], d[2], 1};
  Box b = {.start = 0};
  bool same = true;
  for (int a = 0; a < 3; a++) {
    b.n[a] = to[a] - from[a], b.stride[a] = stride[a], b.start += from[a] * stride[a];
    p->crop_from[a] = from[a], p->crop_dim[a] = b.n[a], p->from[a] -= (double)from[a];
    same = same && b.n[a] == d[a];
  }
  if (!same && !take_box(s, &b)) return false;
  const double corner[3] = {(double)from[0], (double)from[1], (double)from[2]};
  double mm[3];
  grid_place(&s->grid, corner, mm);
  for (int a = 0; a < 3; a++) s->grid.dim[a] = b.n[a], s->grid.to_mm[a][3] = mm[a];
  return true;
}

/* The new spacing is exact; what does not divide is shared by both ends. Returns whether all is left as it
 * is. */
static bool new_axes(const Grid *g, const Recipe *r, int spatial, Axis axis[3]) {
  bool same = true;
  for (int a = 0; a < 3; a++) {
    int64_t d = g->dim[a];
    double mm = grid_spacing(g, a),
           step = r->resample && spatial == 3 && r->spacing[a] > 0 ? r->spacing[a] / mm : 1;
    bool keep = fabs(step - 1) < 1e-3 || !(mm > 0);
    axis[a].n = keep ? d : (int64_t)fmax(1, rint((double)d / step)), axis[a].step = keep ? 1 : step;
    axis[a].from = keep ? 0 : ((double)d - step * (double)axis[a].n) / 2 + 0.5 * step - 0.5;
    same = same && keep;
  }
  return same;
}

static Grid respaced(const Grid *g, const Axis axis[3]) {
  Grid out = *g;
  for (int a = 0; a < 3; a++) {
    out.dim[a] = axis[a].n;
    for (int k = 0; k < 3; k++)
      out.to_mm[k][3] += g->to_mm[k][a] * axis[a].from, out.to_mm[k][a] *= axis[a].step;
  }
  return out;
}

static bool respace(State *s, const Ask *ask, Place *p) {
  Axis axis[3];
  if (new_axes(&s->grid, ask->recipe, ask->spatial, axis)) return true;
  Grid g = respaced(&s->grid, axis);
  int64_t n = grid_count(&g), before = grid_count(&s->grid);
  float *image = malloc((size_t)(n * s->channels) * sizeof *image);
  uint8_t *label = s->label ? malloc((size_t)n) : NULL;
  bool ok = image && (label || !s->label);
  for (int c = 0; ok && c < s->channels; c++)
    ok = resample_volume(s->image + c * before, s->grid.dim, axis, ask->recipe->image_order, image + c * n);
  if (ok && label) resample_classes(s->label, s->grid.dim, axis, ask->recipe->mask_order, label);
  free(s->image), free(s->label);
  s->image = image, s->label = label, s->grid = g;
  for (int a = 0; a < 3; a++)
    p->from[a] = (p->from[a] - axis[a].from) / axis[a].step, p->step[a] /= axis[a].step;
  return ok;
}

/* ---- slices ---- */

static int thick_axis(const Grid *g) {
  for (int a = 0; a < 3; a++) {
    double here = grid_spacing(g, a), next = grid_spacing(g, (a + 1) % 3),
           last = grid_spacing(g, (a + 2) % 3);
    if (here >= 2 * next && here >= 2 * last) return a;
  }
  return -1;
}

/* The prepared axis along which slices lie: that of the body the plane is perpendicular to. g: as prepared;
 * stored: the file's axis that each of its axes is. */
static int slice_axis(const Grid *g, const int stored[3], const Recipe *r) {
  static const char along[][3] = {
      [NETC_PLANE_AXIAL] = "SI", [NETC_PLANE_CORONAL] = "AP", [NETC_PLANE_SAGITTAL] = "RL"};
  int plane = r->plane;
  char code[4];
  if (plane == NETC_PLANE_THICK) {
    int a = thick_axis(g);
    if (a >= 0) return a;
    plane = NETC_PLANE_AXIAL;
  }
  if (!g->placed || plane == NETC_PLANE_STORED) return stored[0] == 2 ? 0 : stored[1] == 2 ? 1 : 2;
  grid_orientation(g, code);
  for (int a = 0; a < 3; a++)
    if (strchr(along[plane], code[a])) return a;
  return 2;
}

/* ---- all of it ---- */

int plane_of(const Grid *g, const Recipe *r) {
  Turn t = turn_of(g, r);
  Grid turned = grid_turned(g, &t);
  char code[4];
  grid_orientation(&turned, code);
  char along = code[slice_axis(&turned, t.axis, r)];
  if (!g->placed || r->plane == NETC_PLANE_STORED) return NETC_PLANE_STORED;
  return strchr("SI", along)   ? NETC_PLANE_AXIAL
         : strchr("AP", along) ? NETC_PLANE_CORONAL
                               : NETC_PLANE_SAGITTAL;
}

int64_t slices_in(const Grid *g, const Recipe *r) {
  Turn t = turn_of(g, r);
  Grid turned = grid_turned(g, &t);
  return turned.dim[slice_axis(&turned, t.axis, r)];
}

Grid prepared_grid(const Grid *g, const Recipe *r, int spatial) {
  Grid turned = oriented(g, r);
  Axis axis[3];
  return new_axes(&turned, r, spatial, axis) ? turned : respaced(&turned, axis);
}

int64_t prepare_copies(const Grid *g, const Recipe *r, int spatial, int channels) {
  Turn t = turn_of(g, r);
  Grid turned = grid_turned(g, &t), end = prepared_grid(g, r, spatial);
  int64_t boxed = 0;
  Axis axis[3];
  if (memcmp(g->to_mm, turned.to_mm, sizeof g->to_mm) != 0 || r->crop) boxed = grid_count(g) * channels;
  if (new_axes(&turned, r, spatial, axis)) return boxed;
  int64_t spaced = grid_count(&end) * channels + resample_room(turned.dim, axis);
  return spaced > boxed ? spaced : boxed;
}

static bool steps(State *s, const Ask *ask, Prepared *out) {
  if (!orient(s, ask->recipe, &out->place)) return false;
  out->place.slices = slice_axis(&s->grid, out->place.axis, ask->recipe);
  if (!crop(s, ask, &out->place) || !respace(s, ask, &out->place)) return false;
  for (int a = 0; a < 3; a++) out->place.dim[a] = s->grid.dim[a], out->spacing[a] = grid_spacing(&s->grid, a);
  return true;
}

bool prepare_volume(const Files *files, const Ask *ask, Prepared *out, char err[ERR_MAX]) {
  Image image;
  *out = (Prepared){.image = NULL};
  if (!read_channels(files, ask, 3, &image, err)) return false;
  State s = {.image = image.value, .channels = image.channels, .grid = image.grid};
  int64_t n = grid_count(&image.grid);
  out->own = image.grid, out->as_stored = format_of(files->image[0])->prepared;
  bool ok = !files->mask || read_mask(files, ask, &image.grid, 3, &s.label, err);
  if (ok && s.label && ask->own_label) {
    out->own_label = malloc((size_t)n);
    ok = out->own_label || err_memory(err, files->mask, n);
    if (ok) memcpy(out->own_label, s.label, (size_t)n);
  }
  if (ok && !steps(&s, ask, out)) ok = err_memory(err, files->image[0], n * s.channels * 8);
  out->image = s.image, out->label = s.label;
  if (!ok) prepared_free(out);
  return ok;
}

void prepare_intensities(Prepared *p, int channels, const Recipe *r) {
  int64_t n = p->place.dim[0] * p->place.dim[1] * p->place.dim[2];
  for (int c = 0; c < channels; c++) {
    NetcIntensity how = r->intensity[c];
    if (how.kind == NETC_INTENSITY_AUTO) how = intensity_of_volume(p->image + c * n, n, p->as_stored);
    intensity_apply(p->image + c * n, n, &how);
  }
}

void prepared_free(Prepared *p) {
  free(p->image), free(p->label), free(p->own_label);
  p->image = NULL, p->label = p->own_label = NULL;
}
