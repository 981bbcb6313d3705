/* draw.h - the random numbers of a sample: functions of (seed, iteration, stream, sample) and of what they
 * are for, with no state, so that neither threads nor a restart change them. */
#ifndef NETRUN_DRAW_H
#define NETRUN_DRAW_H
#include <stdbool.h>
#include "codegen/abi.h"
#include "ir/philox.h"

typedef struct {
  uint64_t seed, stream, iteration, sample;
} Chance;

static inline double chance_at(const Chance *d, uint64_t site, uint64_t index) {
  return (double)philox_uniform(d->seed, d->iteration, netc_batch_site(d->stream, site), index);
}

/* One augmentation of a list. `turn` tells those of one kind apart: 2 x (how many stand before it) + (in
 * strong). Taking another kind into the list changes none of its numbers. */
typedef struct {
  const NetcAugment *a;
  uint64_t turn;
} Step;

/* Numbers of the sample as a whole: P, VALUE, VALUE + 1, ..; of its channel c: CHANNEL + 8 c, .. + 7. */
enum { DRAW_P = 0, DRAW_VALUE = 1, DRAW_CHANNEL = 8 };
static inline uint64_t step_site(const Step *s) {
  return NETC_SITE_DRAWS + 256 * (uint64_t)s->a->kind + s->turn;
}
static inline double chance_step(const Chance *d, const Step *s, uint64_t number) {
  return chance_at(d, step_site(s), d->sample << 16 | number);
}

/* Does the sample have it? */
static inline bool step_taken(const Chance *d, const Step *s) {
  return s->a && chance_step(d, s, DRAW_P) < s->a->p;
}

static inline double between(double lo, double hi, double u) { return lo + (hi - lo) * u; }

/* A factor from lo to hi: below and above 1 equally often where both are possible (as nnU-Net draws them). */
static inline double factor_between(double lo, double hi, double side, double u) {
  if (lo >= 1 || hi <= 1) return between(lo, hi, u);
  return side < 0.5 ? between(lo, 1, u) : between(1, hi, u);
}
#endif
