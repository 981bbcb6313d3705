/* change.c - one function for each kind that changes the numbers of one channel, and the table of them. */
#include <math.h>
#include <string.h>
#include "ir/gauss.h"
#include "runtime/base/augment.h"
#include "runtime/base/clones.h"
#include "runtime/batch/change.h"

typedef struct {
  const Picture *p;
  const Step *step;
  const Chance *chance;
} Change;

/* The step's number `number` of a channel. */
static double of_channel(const Change *c, int channel, int number) {
  return chance_step(c->chance, c->step, DRAW_CHANNEL + 8 * (uint64_t)channel + (uint64_t)number);
}

static double factor_of(const Change *c, int channel) {
  const double *range = c->step->a->value;
  return factor_between(range[0], range[1], of_channel(c, channel, 0), of_channel(c, channel, 1));
}

typedef struct {
  double mean, deviation;
  float least, most;
} Stats;

enum { LANES = 16 }; /* sums that go side by side, in vectors of any length */

static double sum_of(const double lane[LANES]) {
  double sum = 0;
  for (int l = 0; l < LANES; l++) sum += lane[l];
  return sum;
}

/* Sums, in lanes by the elements' numbers. */
CLONED static Stats stats_of(const float *x, int64_t n) {
  Stats s = {.least = x[0], .most = x[0]};
  double sum[LANES] = {0}, square[LANES] = {0};
  float least[LANES], most[LANES];
  int64_t whole = n - n % LANES;
  for (int l = 0; l < LANES; l++) least[l] = most[l] = x[0];
  for (int64_t i = 0; i < whole; i += LANES)
    for (int l = 0; l < LANES; l++) {
      sum[l] += (double)x[i + l];
      least[l] = x[i + l] < least[l] ? x[i + l] : least[l], most[l] = x[i + l] > most[l] ? x[i + l] : most[l];
    }
  for (int64_t i = whole; i < n; i++) {
    sum[i - whole] += (double)x[i];
    least[0] = x[i] < least[0] ? x[i] : least[0], most[0] = x[i] > most[0] ? x[i] : most[0];
  }
  for (int l = 0; l < LANES; l++) {
    s.least = least[l] < s.least ? least[l] : s.least, s.most = most[l] > s.most ? most[l] : s.most;
  }
  const double mean = s.mean = sum_of(sum) / (double)n;
  for (int64_t i = 0; i < whole; i += LANES)
    for (int l = 0; l < LANES; l++) square[l] += ((double)x[i + l] - mean) * ((double)x[i + l] - mean);
  for (int64_t i = whole; i < n; i++) square[i - whole] += ((double)x[i] - mean) * ((double)x[i] - mean);
  s.deviation = sqrt(sum_of(square) / (double)n);
  return s;
}

/* ---- one function for each VALUE of ir/augment.def ---- */

double noise_deviation(const Step *s, const Chance *d) {
  return step_taken(d, s) ? between(s->a->value[0], s->a->value[1], chance_step(d, s, DRAW_VALUE)) : 0;
}

/* By the numbers of codegen/abi.h. */
static void change_NOISE(const Change *c, float *x, int channel) {
  const Chance *d = c->chance;
  uint64_t channels = (uint64_t)c->p->channels, first = d->sample * (uint64_t)c->p->n * channels;
  noise_add(x, c->p->n, 2 * (first + (uint64_t)channel), 2 * channels, NETC_SITE_NOISE + c->step->turn,
            noise_deviation(c->step, d), d);
}

/* The logarithm to base 2 as in ir/gauss.h, of a number above 0. */
static inline double log2_of(float x) {
  float mantissa, grown = x * 0x1p24f; /* no number is below the normal ones then */
  uint32_t bits;
  memcpy(&bits, &grown, sizeof bits);
  bits += GAUSS_ONE - GAUSS_ROOT_HALF;
  double whole = (double)((int32_t)(bits >> 23) - 127 - 24);
  bits = (bits & 0x007FFFFF) + GAUSS_ROOT_HALF;
  memcpy(&mantissa, &bits, sizeof bits);
  double g = (double)mantissa - 1, s = g / (g + 2), z = s * s;
  return whole + (2 / gauss_ln2) * (s + s * (z * gauss_horner(z, gauss_log, GAUSS_LOG)));
}

/* 2^t, t from -126 to 0: the series of e^y, |y| <= ln 2 / 2, times a power of 2. */
static inline float exp2_of(double t) {
  enum { TERMS = 10 };
  static const double term[TERMS] = {1,         1,         1.0 / 2,    1.0 / 6,     1.0 / 24,
                                     1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880};
  int32_t whole = (int32_t)(t - 0.5); /* the nearest, as t is not above 0 */
  uint32_t bits = (uint32_t)(whole + 127) << 23;
  float scale;
  memcpy(&scale, &bits, sizeof bits);
  return (float)gauss_horner((t - (double)whole) * gauss_ln2, term, TERMS) * scale;
}

/* x = ((x - least) / range) ^ power, what is between 0 and 2^-126 as that. In doubles, within one unit in the
 * last place; of the same bits on every machine, which powf is not. */
CLONED static void power_of(float *x, int64_t n, float least, float range, double power) {
  enum { MANY = 64 };
  float part[MANY], value[MANY];
  double t[MANY];
  for (int64_t begin = 0; begin < n; begin += MANY) {
    int64_t many = n - begin < MANY ? n - begin : MANY;
    for (int64_t i = 0; i < MANY; i++) part[i] = 1;
    for (int64_t i = 0; i < many; i++) part[i] = (x[begin + i] - least) / range;
    for (int i = 0; i < MANY; i++) t[i] = power * log2_of(part[i] < 0x1p-149f ? 0x1p-149f : part[i]);
    for (int i = 0; i < MANY; i++) t[i] = t[i] < -126 ? -126 : t[i];
    for (int i = 0; i < MANY; i++) t[i] = t[i] > 0 ? 0 : t[i];
    for (int i = 0; i < MANY; i++) value[i] = exp2_of(t[i]);
    for (int64_t i = 0; i < many; i++) x[begin + i] = part[i] > 0 ? value[i] : 0;
  }
}

/* nnU-Net's: the power between least and most, then mean and deviation as before. */
static void change_GAMMA(const Change *c, float *x, int channel) {
  int64_t n = c->p->n;
  double power = factor_of(c, channel);
  bool negative = of_channel(c, channel, 2) < c->step->a->value[2];
  for (int64_t i = 0; negative && i < n; i++) x[i] = -x[i];
  Stats was = stats_of(x, n);
  float range = was.most - was.least;
  if (range > 0) {
    power_of(x, n, was.least, range, power);
    Stats is = stats_of(x, n);
    double scale = was.deviation / is.deviation;
    for (int64_t i = 0; i < n; i++) x[i] = (float)(((double)x[i] - is.mean) * scale + was.mean);
  }
  for (int64_t i = 0; negative && i < n; i++) x[i] = -x[i];
}

static void change_BRIGHTNESS(const Change *c, float *x, int channel) {
  float factor = (float)factor_of(c, channel);
  for (int64_t i = 0; i < c->p->n; i++) x[i] *= factor;
}

static void change_CONTRAST(const Change *c, float *x, int channel) {
  Stats s = stats_of(x, c->p->n);
  float factor = (float)factor_of(c, channel), mean = (float)s.mean;
  for (int64_t i = 0; i < c->p->n; i++) {
    float v = (x[i] - mean) * factor + mean;
    x[i] = v < s.least ? s.least : v > s.most ? s.most : v;
  }
}

static bool channel_taken(const Change *c, int channel) {
  return of_channel(c, channel, 4) < c->step->a->value[2];
}

static void change_BLUR(const Change *c, float *x, int channel) {
  const double *range = c->step->a->value;
  double sigma[3];
  if (!channel_taken(c, channel)) return;
  for (int a = 0; a < 3; a++) sigma[a] = between(range[0], range[1], of_channel(c, channel, a));
  plane_blur(x, c->p->size, sigma, c->p->scratch);
}

static void change_LOWRES(const Change *c, float *x, int channel) {
  const double *range = c->step->a->value;
  if (!channel_taken(c, channel)) return;
  plane_coarsen(x, c->p->size, between(range[0], range[1], of_channel(c, channel, 0)), c->p->scratch);
}

/* Along an axis the box has a side and a place of its own; an axis of extent 1 it covers. */
static void cut_box(const Change *c, float *x, uint64_t box) {
  const int64_t *size = c->p->size;
  int64_t lo[3], hi[3];
  for (int a = 0; a < 3; a++) {
    uint64_t number = DRAW_VALUE + 6 * box + 2 * (uint64_t)a;
    double part =
        between(c->step->a->value[0], c->step->a->value[1], chance_step(c->chance, c->step, number));
    int64_t side = size[a] == 1 ? 1 : (int64_t)(part * (double)size[a] + 0.5);
    lo[a] = (int64_t)(chance_step(c->chance, c->step, number + 1) * (double)(size[a] - side + 1));
    hi[a] = lo[a] + side;
  }
  for (int64_t i = lo[0]; i < hi[0]; i++)
    for (int64_t j = lo[1]; j < hi[1]; j++)
      memset(x + (i * size[1] + j) * size[2] + lo[2], 0, (size_t)(hi[2] - lo[2]) * sizeof *x);
}

static void change_CUTOUT(const Change *c, float *x, int channel) {
  (void)channel;
  for (uint64_t box = 0; box < (uint64_t)c->step->a->value[2]; box++) cut_box(c, x, box);
}

/* PLACE: nothing to change. */
#define change_PLACE(name) NULL
#define change_VALUE(name) change_##name
static void (*const change[BATCH_AUGMENTS])(const Change *, float *, int) = {
#define AUGMENT(name, word, content, ...) [NETC_AUG_##name] = change_##content(name),
#include "ir/augment.def"
#undef AUGMENT
};

int64_t picture_scratch(const int64_t size[3]) {
  enum { RIM = 64 }; /* plane_blur's rim to both sides of a row */
  return size[0] * size[1] * size[2] + 2 * RIM + size[2];
}

void picture_change(const Picture *p, const Step *step, int steps, const Chance *d) {
  for (int s = 0; s < steps; s++) {
    Change c = {p, &step[s], d};
    if (!change[step[s].a->kind] || !step_taken(d, &step[s])) continue;
    for (int ch = 0; ch < p->channels; ch++) change[step[s].a->kind](&c, p->plane + ch * p->n, ch);
  }
}
