/* surface.c - marks surfaces in a cut-out of two masks; a distance transform of one measures the other. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/metrics/area.h"
#include "runtime/metrics/percentile.h"
#include "runtime/metrics/surface.h"
#include "runtime/image/edt.h"

struct Surfaces {
  int spatial;
  int64_t dim[3], stride[3], n; /* of the cut-out: the box with one element of background on all sides */
  const double *spacing;
  uint8_t *mask[2], *mark[2]; /* mark: non-zero on the surface */
  double *squared;            /* distances */
};

/* ---- cutting out ---- */

static void copy_rows(Surfaces *s, const MaskPair *m, uint8_t c, const Box *box) {
  int last = s->spatial - 1;
  int64_t width = s->dim[last] - 2, rows = 1;
  for (int a = 0; a < last; a++) rows *= s->dim[a] - 2;
  for (int64_t r = 0; r < rows; r++) {
    int64_t from = box->low[last], to = 1, rest = r, stride = m->dim[last];
    for (int a = last - 1; a >= 0; rest /= s->dim[a] - 2, stride *= m->dim[a], a--) {
      int64_t at = rest % (s->dim[a] - 2);
      from += (box->low[a] + at) * stride, to += (at + 1) * s->stride[a];
    }
    for (int64_t x = 0; x < width; x++) {
      uint8_t truth = m->truth[from + x];
      s->mask[0][to + x] = m->pred[from + x] == c && truth != CLASS_IGNORE;
      s->mask[1][to + x] = truth == c;
    }
  }
}

Surfaces *surfaces_new(const MaskPair *m, uint8_t c, const Box *box) {
  Surfaces *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->spatial = m->spatial, s->spacing = m->spacing, s->n = 1;
  for (int a = m->spatial - 1; a >= 0; a--) {
    s->dim[a] = box->high[a] - box->low[a] + 2;
    s->stride[a] = s->n, s->n *= s->dim[a];
  }
  s->squared = malloc((size_t)s->n * sizeof *s->squared);
  s->mask[0] = calloc((size_t)s->n, 4);
  if (!s->squared || !s->mask[0]) return surfaces_free(s), NULL;
  s->mask[1] = s->mask[0] + s->n, s->mark[0] = s->mask[1] + s->n, s->mark[1] = s->mark[0] + s->n;
  copy_rows(s, m, c, box);
  return s;
}

void surfaces_free(Surfaces *s) {
  if (s) free(s->squared), free(s->mask[0]);
  free(s);
}

/* ---- elements ---- */

/* The mask minus its erosion; the margin spares asking where the array ends. */
static int64_t mark_elements(Surfaces *s, int which) {
  const uint8_t *mask = s->mask[which];
  int64_t count = 0;
  for (int64_t i = 0; i < s->n; i++) {
    bool inside = mask[i];
    for (int a = 0; inside && a < s->spatial; a++) inside = mask[i - s->stride[a]] && mask[i + s->stride[a]];
    count += s->mark[which][i] = mask[i] && !inside;
  }
  return count;
}

static bool transform(Surfaces *s, int which) {
  return edt_squared(s->mark[which], s->spatial, s->dim, s->spacing, s->squared);
}

bool surface_distances(Surfaces *s, SurfaceDistances *out) {
  for (int k = 0; k < 2; k++) out->n[k] = mark_elements(s, k), out->sum[k] = 0;
  int64_t n = out->n[0] + out->n[1];
  double *d = out->all = malloc((size_t)n * sizeof *d);
  bool ok = d != NULL;
  for (int k = 0; ok && k < 2; k++) {
    ok = transform(s, 1 - k);
    for (int64_t i = 0; ok && i < s->n; i++)
      if (s->mark[k][i]) out->sum[k] += *d++ = sqrt(s->squared[i]);
  }
  if (ok) qsort(out->all, (size_t)n, sizeof *d, by_value);
  else free(out->all), out->all = NULL;
  return ok;
}

/* ---- pieces ---- */

/* The mark of element i is the code of the corner before it along every axis, 0 where all its elements are
 * alike. Nothing need be asked about the first elements along an axis: what lies before them in memory is
 * the margin at the end of the row or plane before, and the first plane has no corners. */
static void mark_corners(Surfaces *s, int which) {
  int elements = 1 << s->spatial, full = (1 << elements) - 1;
  int64_t back[8] = {0}, first = 0;
  for (int a = 0; a < s->spatial; a++) first += s->stride[a];
  for (int e = 0; e < elements; e++)
    for (int a = 0; a < s->spatial; a++)
      if (!(e >> (s->spatial - 1 - a) & 1)) back[e] += s->stride[a];
  memset(s->mark[which], 0, (size_t)first);
  for (int64_t i = first; i < s->n; i++) {
    int code = 0;
    for (int e = 0; e < elements; e++) code |= s->mask[which][i - back[e]] << e;
    s->mark[which][i] = code == full ? 0 : (uint8_t)code;
  }
}

bool surface_areas(Surfaces *s, double tolerance, SurfaceAreas *out) {
  double area[AREA_CODES];
  surface_area_table(s->spatial, s->spacing, area);
  *out = (SurfaceAreas){0};
  for (int k = 0; k < 2; k++) mark_corners(s, k);
  for (int k = 0; k < 2; k++) {
    if (!transform(s, 1 - k)) return false;
    for (int64_t i = 0; i < s->n; i++) {
      if (!s->mark[k][i]) continue;
      double piece = area[s->mark[k][i]];
      out->area[k] += piece;
      if (sqrt(s->squared[i]) <= tolerance) out->within[k] += piece;
    }
  }
  return true;
}
