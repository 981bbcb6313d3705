/* metrics.c - overlap, volumes and surface distances of two masks, from the counts of their elements and from
 * their surfaces. */
#include <math.h>
#include <stdlib.h>
#include "runtime/metrics/metrics.h"
#include "runtime/metrics/percentile.h"
#include "runtime/metrics/surface.h"

/* What metrics are made of. Index 0 is the prediction, 1 the truth. */
typedef struct {
  int64_t n, pred, truth, both; /* elements; in the prediction, in the truth, in both */
  SurfaceDistances distance;    /* zeroes where a mask is empty */
  SurfaceAreas surface;
} Compared;

#define METRIC(name, column, made)                                                                           \
  static const char column_##name[] = column;                                                                \
  enum { made_##name = made };                                                                               \
  static double metric_##name(const Compared *c);
#include "ir/metrics.def"
#undef METRIC

const MetricInfo metric_info[METRIC_COUNT] = {
#define METRIC(name, better, told, undefined, agreed, meaning)                                               \
  [METRIC_##name] = {#name, column_##name, meaning, better, (MadeOf)made_##name, told, undefined, agreed},
#include "runtime/metrics/metrics.def"
#undef METRIC
};
#define METRIC(name, better, told, undefined, agreed, meaning) +1
_Static_assert(METRIC_COUNT == 0
#include "runtime/metrics/metrics.def"
               ,
               "each row of ir/metrics.def has one in runtime/metrics/metrics.def");
#undef METRIC

/* NaN: nothing by nothing. */
static double ratio(double of, double by) { return by != 0 ? of / by : of != 0 ? INFINITY : NAN; }

/* ---- overlap ---- */

static double metric_di(const Compared *c) {
  return ratio(2 * (double)c->both, (double)(c->pred + c->truth));
}

static double metric_ja(const Compared *c) {
  return ratio((double)c->both, (double)(c->pred + c->truth - c->both));
}

static double true_negatives(const Compared *c) { return (double)(c->n - c->pred - c->truth + c->both); }

static double metric_ac(const Compared *c) {
  return ratio((double)c->both + true_negatives(c), (double)c->n);
}

static double metric_se(const Compared *c) { return ratio((double)c->both, (double)c->truth); }

static double metric_sp(const Compared *c) { return ratio(true_negatives(c), (double)(c->n - c->truth)); }

static double metric_voe(const Compared *c) { return 1 - metric_ja(c); }

/* Heimann et al., IEEE TMI 2009, as a fraction and not per cent; MedPy's ravd. */
static double metric_rve(const Compared *c) { return ratio((double)(c->pred - c->truth), (double)c->truth); }

/* ---- surfaces ---- */

static double metric_asd(const Compared *c) { return ratio(c->distance.sum[0], (double)c->distance.n[0]); }

static double metric_assd(const Compared *c) {
  return ratio(c->distance.sum[0] + c->distance.sum[1], (double)(c->distance.n[0] + c->distance.n[1]));
}

static double metric_hd95(const Compared *c) {
  return percentile(c->distance.all, c->distance.n[0] + c->distance.n[1], 0.95);
}

/* Nikolov et al., JMIR 2021. */
static double metric_nsd(const Compared *c) {
  const SurfaceAreas *s = &c->surface;
  return ratio(s->within[0] + s->within[1], s->area[0] + s->area[1]);
}

/* ---- comparing ---- */

/* A row of elements with coordinates `at`, foreground from `first` to before `end`. */
static void enlarge(Box *box, int last, const int64_t *at, int64_t first, int64_t end) {
  for (int a = 0; a <= last; a++) {
    int64_t low = a == last ? first : at[a], high = a == last ? end : at[a] + 1;
    if (low < box->low[a]) box->low[a] = low;
    if (high > box->high[a]) box->high[a] = high;
  }
}

static Compared count(const MaskPair *m, uint8_t c, Box *box) {
  Compared k = {.n = 0};
  int last = m->spatial - 1;
  int64_t width = m->dim[last], rows = 1, at[3] = {0};
  for (int a = 0; a < last; a++) rows *= m->dim[a];
  for (int a = 0; a < 3; a++) box->low[a] = INT64_MAX, box->high[a] = 0;
  for (int64_t r = 0; r < rows; r++) {
    const uint8_t *pred = m->pred + r * width, *truth = m->truth + r * width;
    int64_t first = width, end = 0;
    for (int64_t x = 0; x < width; x++) {
      if (truth[x] == CLASS_IGNORE) continue;
      bool p = pred[x] == c, t = truth[x] == c;
      k.n++, k.pred += p, k.truth += t, k.both += p && t;
      if ((p || t) && first > x) first = x;
      if (p || t) end = x + 1;
    }
    if (end) enlarge(box, last, at, first, end);
    for (int a = last - 1; a >= 0 && ++at[a] == m->dim[a]; a--) at[a] = 0; /* the next row */
  }
  return k;
}

static bool compare_surfaces(const MaskPair *m, uint8_t c, const MetricOptions *o, const Box *box,
                             Compared *k) {
  bool distances = metrics_want(o, DISTANCES) && k->pred && k->truth;
  bool areas = metrics_want(o, AREAS) && (k->pred || k->truth);
  if (!distances && !areas) return true;
  Surfaces *s = surfaces_new(m, c, box);
  bool ok = s && (!distances || surface_distances(s, &k->distance)) &&
            (!areas || surface_areas(s, o->tolerance, &k->surface));
  surfaces_free(s);
  return ok;
}

bool metrics_of(const MaskPair *m, uint8_t c, const MetricOptions *o, Metrics *out) {
  static double (*const of[METRIC_COUNT])(const Compared *) = {
#define METRIC(name, column, made) metric_##name,
#include "ir/metrics.def"
#undef METRIC
  };
  Box box;
  Compared k = count(m, c, &box);
  out->pred = k.pred, out->truth = k.truth, out->left_out = 0;
  for (int i = 0; i < METRIC_COUNT; i++) out->value[i] = NAN;
  if (o->empty == EMPTY_SKIP && !k.truth) return true;
  bool ok = compare_surfaces(m, c, o, &box, &k);
  for (int i = 0; ok && i < METRIC_COUNT; i++) {
    if (!(metrics_wanted(o) >> i & 1)) continue;
    double v = of[i](&k);
    if (isnan(v) && o->empty == EMPTY_ONE) v = metric_info[i].agreed;
    out->value[i] = isinf(v) ? NAN : v;
  }
  free(k.distance.all);
  return ok;
}
