/* regions.c - masks of regions that overlap, region by region. */
#include "runtime/eval/regions.h"
#include <math.h>
#include <stdlib.h>
#include "runtime/data/data.h"
#include "runtime/eval/score.h"

/* ---- cleaning ---- */

bool clean_answer(uint8_t *mask, const NetcPrepare *regions, int64_t classes, int spatial, const Grid *grid,
                  const Cleaning *how, char err[ERR_MAX]) {
  if (!regions || !cleaning_wanted(how)) return clean_mask(mask, classes, spatial, grid, how, err);
  int64_t n = grid_count(grid);
  uint8_t *one = malloc((size_t)n);
  bool ok = one || err_memory(err, "the mask of a region", n);
  for (int r = 0; ok && r < regions->nregions; r++) {
    const uint8_t bit = (uint8_t)(1u << r);
    for (int64_t i = 0; i < n; i++) one[i] = mask[i] >> r & 1;
    ok = clean_mask(one, 2, spatial, grid, how, err);
    for (int64_t i = 0; ok && i < n; i++) mask[i] = (uint8_t)((mask[i] & ~bit) | (one[i] ? bit : 0));
  }
  free(one);
  return ok;
}

/* ---- scoring ---- */

int64_t scored_parts(const NetcPrepare *regions, int64_t classes) {
  return regions ? regions->nregions + 1 : classes;
}

/* Region r alone, as class 1; what is to be ignored stays so. */
static void single_out(const MaskPair *m, const NetcPrepare *regions, int r, int64_t n, uint8_t *pred,
                       uint8_t *truth) {
  for (int64_t i = 0; i < n; i++) {
    uint8_t c = m->truth[i];
    pred[i] = m->pred[i] >> r & 1;
    truth[i] = c == CLASS_IGNORE ? CLASS_IGNORE : c < regions->nclasses ? regions->members[c] >> r & 1 : 0;
  }
}

bool score_answer(const MaskPair *m, const NetcPrepare *regions, int64_t classes, const MetricOptions *o,
                  Metrics *out, char err[ERR_MAX]) {
  if (!regions) return score_masks(m, classes, o, out, err);
  int64_t n = 1;
  for (int a = 0; a < m->spatial; a++) n *= m->dim[a];
  uint8_t *pred = malloc((size_t)n), *truth = malloc((size_t)n);
  bool ok = (pred && truth) || err_memory(err, "the masks of a region", 2 * n);
  for (int r = 0; ok && r < regions->nregions; r++) {
    single_out(m, regions, r, n, pred, truth);
    const MaskPair one = {pred, truth, m->spatial, m->dim, m->spacing};
    ok = metrics_of(&one, 1, o, &out[1 + r]) || err_memory(err, "the metrics of a mask", n * 12);
  }
  free(pred), free(truth);
  if (ok) score_average(out, regions->nregions + 1);
  return ok;
}

static bool told(const NetcPrepare *regions, int64_t part, const uint8_t *only) {
  if (!regions) return only_has(only, (int)part);
  for (int c = 1; c < regions->nclasses; c++)
    if (regions->members[c] >> (part - 1) & 1 && !only_has(only, c)) return false;
  return true;
}

void leave_out(Metrics *out, const NetcPrepare *regions, int64_t classes, const uint8_t *only) {
  int64_t parts = scored_parts(regions, classes);
  if (!only) return;
  for (int64_t k = 1; k < parts; k++) {
    if (told(regions, k, only)) continue;
    out[k] = (Metrics){.left_out = 1};
    for (int i = 0; i < METRIC_COUNT; i++) out[k].value[i] = NAN;
  }
  score_average(out, parts);
}

/* ---- classes ---- */

void answer_bits(uint8_t *mask, const NetcPrepare *regions, int64_t n) {
  for (int64_t i = 0; regions && i < n; i++)
    mask[i] = mask[i] < regions->nclasses ? regions->members[mask[i]] : 0;
}

void answer_classes(uint8_t *mask, const NetcPrepare *regions, int64_t n) {
  uint8_t of[1 << NETC_MAX_REGIONS] = {0};
  if (!regions) return;
  for (int bits = 0; bits < 1 << NETC_MAX_REGIONS; bits++)
    for (int r = 0; r < regions->nregions; r++)
      if (bits >> r & 1 && regions->regions[r].cls > 0) of[bits] = (uint8_t)regions->regions[r].cls;
  for (int64_t i = 0; i < n; i++) mask[i] = of[mask[i]];
}
