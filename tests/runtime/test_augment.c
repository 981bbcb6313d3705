/* test_augment.c - every augmentation against a plain formula, and what holds of all of them: draws of the
 * range they are said to be of, and rows in docs/batches.md. */
#include <math.h>
#include <stdio.h>
#include "tests/test.h"
#include "tests/text.h"
#include "tests/runtime/streams.h"
#include "ir/gauss.h"
#include "runtime/batch/change.h"
#include "runtime/batch/take.h"

/* ---- places ---- */

static const int64_t flat[2] = {9, 9}, oblong[2] = {12, 17}, cube[3] = {9, 9, 9};

static View plain_view(int spatial, const int64_t *size) {
  Placing none = {.flip = {NULL, 0}};
  Chance d = {.seed = 1};
  return view_draw(&none, spatial, size, size, NULL, &d);
}

static float value_at(int64_t i) { return (float)((i * 37 + 11) % 101) / 50 - 1; }

static void take_from(const View *v, Elastic *e, const float *image, float *out) {
  Rows *r = rows_new(v->size[2]);
  assert_non_null(r);
  take_sample(v, e, r, image, 1, out, NULL, NULL);
  rows_free(r);
}

/* Element (y,x) of the first two axes of a quarter turn by hand: (h-1-x, y), as `rot90` turns three times. */
TEST(a_rotation_by_90_degrees_is_a_quarter_turn) {
  float image[729], out[729];
  for (int i = 0; i < 729; i++) image[i] = value_at(i);
  for (int spatial = 2; spatial <= 3; spatial++) {
    View v = plain_view(spatial, spatial == 2 ? flat : cube);
    view_turn(&v, (const double[3]){90, 0, 0}, 1);
    take_from(&v, NULL, image, out);
    int depth = spatial == 2 ? 1 : 9;
    for (int y = 0; y < 9; y++)
      for (int x = 0; x < 9; x++)
        for (int z = 0; z < depth; z++)
          assert_true(out[(y * 9 + x) * depth + z] == image[((8 - x) * 9 + y) * depth + z]);
  }
}

/* Each plane: a turn by 90 degrees in it moves along two axes and leaves the third. */
TEST(a_tilt_by_90_degrees_turns_in_its_plane) {
  float image[729], out[729];
  for (int i = 0; i < 729; i++) image[i] = value_at(i);
  static const double degrees[2][3] = {{0, 90, 0}, {0, 0, 90}};
  for (int k = 0; k < 2; k++) {
    View v = plain_view(3, cube);
    view_turn(&v, degrees[k], 1);
    take_from(&v, NULL, image, out);
    for (int a = 0; a < 9; a++)
      for (int b = 0; b < 9; b++)
        for (int c = 0; c < 9; c++)
          assert_true(out[(a * 9 + b) * 9 + c] ==
                      (k ? image[(a * 9 + 8 - c) * 9 + b] : image[((8 - c) * 9 + b) * 9 + a]));
  }
}

/* By trigonometry and the formula of bilinear interpolation, elements beyond the image being those of its rim
 * up to half an element out, and then 0. */
static double bilinear(const float *image, int h, int w, double y, double x) {
  if (y < -0.5 || x < -0.5 || y >= h - 0.5 || x >= w - 0.5) return 0;
  double sum = 0;
  for (int i = -1; i <= h; i++)
    for (int j = -1; j <= w; j++) {
      double wy = fmax(0, 1 - fabs(y - i)), wx = fmax(0, 1 - fabs(x - j));
      int ci = i < 0 ? 0 : i >= h ? h - 1 : i, cj = j < 0 ? 0 : j >= w ? w - 1 : j;
      sum += wy * wx * (double)image[ci * w + cj];
    }
  return sum;
}

TEST(a_rotated_and_scaled_image_is_what_trigonometry_says) {
  float image[12 * 17], out[12 * 17];
  for (int i = 0; i < 12 * 17; i++) image[i] = value_at(i);
  static const double degrees[] = {10, -33.5, 120, 177}, enlarge[] = {1, 1.3, 0.6, 2};
  for (int k = 0; k < 4; k++) {
    View v = plain_view(2, oblong);
    view_turn(&v, (const double[3]){degrees[k], 50, 60}, enlarge[k]); /* no tilt in 2-D */
    take_from(&v, NULL, image, out);
    double c = cos(degrees[k] * M_PI / 180) / enlarge[k], s = sin(degrees[k] * M_PI / 180) / enlarge[k];
    for (int y = 0; y < 12; y++)
      for (int x = 0; x < 17; x++) {
        double dy = y - 5.5, dx = x - 8;
        double want = bilinear(image, 12, 17, 5.5 + c * dy - s * dx, 8 + s * dy + c * dx);
        if (fabs((double)out[y * 17 + x] - want) > 1e-5)
          fail_msg("turn %d, (%d,%d): %g, not %g", k, y, x, (double)out[y * 17 + x], want);
      }
  }
}

/* A smooth picture that is turned and turned back is the same where nothing came from beyond its rim. */
TEST(a_rotation_there_and_back_is_none) {
  enum { SIDE = 33 };
  const int64_t size[2] = {SIDE, SIDE};
  static float image[SIDE * SIDE], turned[SIDE * SIDE], back[SIDE * SIDE];
  for (int i = 0; i < SIDE * SIDE; i++) image[i] = (float)(sin(0.2 * (i / SIDE)) * cos(0.15 * (i % SIDE)));
  View there = plain_view(2, size), home = plain_view(2, size);
  view_turn(&there, (const double[3]){27, 0, 0}, 1), view_turn(&home, (const double[3]){-27, 0, 0}, 1);
  take_from(&there, NULL, image, turned), take_from(&home, NULL, turned, back);
  double moved = 0;
  for (int y = 0; y < SIDE; y++)
    for (int x = 0; x < SIDE; x++) {
      if (hypot(y - 16, x - 16) > 14) continue;
      assert_true(fabs((double)(back[y * SIDE + x] - image[y * SIDE + x])) < 0.02);
      moved = fmax(moved, fabs((double)(turned[y * SIDE + x] - image[y * SIDE + x])));
    }
  assert_true(moved > 0.2);
}

/* ---- elastic ---- */

static double cubic(double t) { /* the cubic B-spline */
  t = fabs(t);
  return t < 1 ? (4 - 6 * t * t + 3 * t * t * t) / 6 : t < 2 ? pow(2 - t, 3) / 6 : 0;
}

/* The displacement at o: the sum over all control points, whose coordinates are drawn anew. */
static void displacement(const Step *s, const Chance *d, int first, const int64_t *size, const double o[3],
                         double u[3]) {
  double spacing = s->a->value[1], most = s->a->value[0] * spacing * chance_step(d, s, DRAW_VALUE);
  int64_t n[3], count = 1;
  for (int a = 0; a < 3; a++)
    n[a] = a < first ? 1 : (int64_t)((double)(size[a] - 1) / spacing) + 4, count *= n[a];
  for (int a = 0; a < 3; a++) u[a] = 0;
  for (int64_t p = 0; p < count; p++) {
    const int64_t at[3] = {p / n[2] / n[1], p / n[2] % n[1], p % n[2]};
    double w = 1;
    for (int a = first; a < 3; a++) w *= cubic(o[a] / spacing - (double)(at[a] - 1));
    for (int a = first; w > 0 && a < 3; a++) {
      uint64_t index = (d->sample * 3 + (uint64_t)a) * (uint64_t)count + (uint64_t)p;
      u[a] += w * (2 * chance_at(d, step_site(s) + 128, index) - 1) * most;
    }
  }
}

TEST(an_elastic_field_is_the_sum_of_its_splines) {
  const int64_t size[3] = {11, 14, 21};
  NetcAugment a = augment_always(NETC_AUG_ELASTIC, 0.4, 5);
  Step s = {&a, 0};
  for (int first = 0; first < 2; first++) {
    const int64_t here[3] = {first ? 1 : size[0], size[1], size[2]};
    Elastic *e = elastic_new(first, here, 5);
    Chance d = {.seed = 3, .stream = 1, .iteration = 12, .sample = 2};
    double largest = 0;
    assert_non_null(e);
    elastic_draw(e, &s, &d);
    for (int64_t row = 0; row < here[0] * here[1]; row++) {
      const double *u[3];
      elastic_row(e, row / here[1], row % here[1], u);
      for (int64_t x = 0; x < here[2]; x++) {
        const double o[3] = {(double)(row / here[1]), (double)(row % here[1]), (double)x};
        double want[3];
        displacement(&s, &d, first, here, o, want);
        for (int k = 0; k < 3; k++) {
          assert_true(fabs(u[k][x] - want[k]) < 1e-12 && fabs(u[k][x]) <= 2);
          largest = fmax(largest, fabs(u[k][x]));
        }
      }
    }
    assert_true(largest > 0.1);
    elastic_free(e);
  }
}

/* Of no amount it is none, to the bit, although every place is interpolated; of the largest, neighbours keep
 * their order. */
TEST(an_elastic_map_does_not_fold) {
  const int64_t size[2] = {30, 40}, here[3] = {1, 30, 40};
  float image[1200], out[1200];
  for (int i = 0; i < 1200; i++) image[i] = value_at(i);
  View v = plain_view(2, size);
  NetcAugment none = augment_always(NETC_AUG_ELASTIC, 0, 6), most = augment_always(NETC_AUG_ELASTIC, 0.4, 6);
  Step s = {&none, 0};
  Chance d = {.seed = 4};
  Elastic *e = elastic_new(1, here, 6);
  elastic_draw(e, &s, &d);
  take_from(&v, e, image, out);
  assert_memory_equal(image, out, sizeof image);
  s.a = &most;
  for (d.sample = 0; d.sample < 40; d.sample++) {
    elastic_draw(e, &s, &d);
    for (int64_t y = 0; y < 30; y++) {
      const double *u[3];
      elastic_row(e, 0, y, u);
      for (int64_t x = 1; x < 40; x++) assert_true(1 + u[2][x] - u[2][x - 1] > 0);
    }
  }
  elastic_free(e);
}

/* ---- numbers ---- */

enum { SIDES = 5 * 6 * 7, CHANNELS = 3 };
typedef struct {
  float was[CHANNELS * SIDES], is[CHANNELS * SIDES];
  float *scratch;
  Chance d;
} Changed;

/* What one augmentation makes of three channels of 5 x 6 x 7. */
static void change_by(Changed *c, const NetcAugment *a) {
  const int64_t size[3] = {5, 6, 7};
  Step s = {a, 0};
  for (int i = 0; i < CHANNELS * SIDES; i++) c->was[i] = c->is[i] = value_at(i);
  c->scratch = malloc((size_t)picture_scratch(size) * sizeof *c->scratch);
  c->d = (Chance){.seed = 5, .stream = 2, .iteration = 77, .sample = 3};
  Picture p = {c->is, CHANNELS, SIDES, {5, 6, 7}, c->scratch};
  picture_change(&p, &s, 1, &c->d);
  free(c->scratch);
}

static double number_of(const Changed *c, const NetcAugment *a, int channel, int number) {
  Step s = {a, 0};
  return chance_step(&c->d, &s, DRAW_CHANNEL + 8 * (uint64_t)channel + (uint64_t)number);
}

static double factor_of(const Changed *c, const NetcAugment *a, int channel) {
  return factor_between(a->value[0], a->value[1], number_of(c, a, channel, 0), number_of(c, a, channel, 1));
}

TEST(brightness_is_a_factor_of_each_channel) {
  Changed c;
  NetcAugment a = augment_always(NETC_AUG_BRIGHTNESS, 0.5, 1.5);
  change_by(&c, &a);
  for (int i = 0; i < CHANNELS * SIDES; i++)
    assert_true(c.is[i] == c.was[i] * (float)factor_of(&c, &a, i / SIDES));
  assert_true(factor_of(&c, &a, 0) != factor_of(&c, &a, 1));
}

static void statistics(const float *x, double *mean, double *deviation, double *least, double *most) {
  double square = 0;
  *mean = 0, *least = INFINITY, *most = -INFINITY;
  for (int i = 0; i < SIDES; i++) {
    *mean += (double)x[i] / SIDES, square += (double)x[i] * (double)x[i] / SIDES;
    *least = fmin(*least, (double)x[i]), *most = fmax(*most, (double)x[i]);
  }
  *deviation = sqrt(square - *mean * *mean);
}

TEST(contrast_is_a_factor_of_the_distance_to_the_mean) {
  Changed c;
  NetcAugment a = augment_always(NETC_AUG_CONTRAST, 1.2, 2);
  change_by(&c, &a);
  int cut = 0;
  for (int i = 0; i < CHANNELS * SIDES; i++) {
    double mean, deviation, least, most;
    statistics(c.was + i / SIDES * SIDES, &mean, &deviation, &least, &most);
    double want = ((double)c.was[i] - mean) * factor_of(&c, &a, i / SIDES) + mean;
    cut += want < least || want > most;
    assert_true(fabs((double)c.is[i] - fmin(fmax(want, least), most)) < 1e-5);
  }
  assert_true(cut > 0);
}

TEST(gamma_is_a_power_that_keeps_mean_and_deviation) {
  for (int invert = 0; invert < 2; invert++) {
    Changed c;
    NetcAugment a = augment_always(NETC_AUG_GAMMA, 0.7, 1.5, invert);
    change_by(&c, &a);
    for (int ch = 0; ch < CHANNELS; ch++) {
      double mean, deviation, least, most, m, s, lo, hi, sign = invert ? -1 : 1;
      const float *was = c.was + (ptrdiff_t)ch * SIDES, *is = c.is + (ptrdiff_t)ch * SIDES;
      float power[SIDES];
      statistics(was, &mean, &deviation, &least, &most);
      double from = invert ? -most : least;
      for (int i = 0; i < SIDES; i++)
        power[i] = (float)pow((sign * (double)was[i] - from) / (most - least), factor_of(&c, &a, ch));
      statistics(power, &m, &s, &lo, &hi);
      for (int i = 0; i < SIDES; i++) {
        double want = (((double)power[i] - m) / s * deviation + sign * mean) * sign;
        assert_true(fabs((double)is[i] - want) < 2e-5);
      }
      statistics(is, &m, &s, &lo, &hi);
      assert_true(fabs(m - mean) < 1e-5 && fabs(s - deviation) < 1e-5);
    }
  }
}

/* To the bit what codegen/abi.h says, element by element. */
TEST(noise_is_made_of_the_numbers_it_is_said_to_be) {
  Changed c;
  NetcAugment a = augment_always(NETC_AUG_NOISE, 0.2, 0.6);
  Step s = {&a, 0};
  change_by(&c, &a);
  double sigma = noise_deviation(&s, &c.d);
  for (uint64_t i = 0; i < CHANNELS * SIDES; i++) {
    uint64_t channel = i / SIDES, e = 2 * ((c.d.sample * SIDES + i % SIDES) * CHANNELS + channel);
    double u = 1 - chance_at(&c.d, NETC_SITE_NOISE, e), w = chance_at(&c.d, NETC_SITE_NOISE, e + 1);
    assert_true(c.is[i] == c.was[i] + (float)(sigma * gauss_of(u, w)));
  }
  assert_true(sigma > 0.2 && sigma < 0.6);
}

/* Each channel of its own, of the deviation that was drawn. */
TEST(noise_has_the_deviation_it_was_drawn) {
  enum { SIDE = 64 };
  static float image[SIDE * SIDE * 2];
  NetcAugment a = augment_always(NETC_AUG_NOISE, 0.2, 0.6);
  Step s = {&a, 0};
  for (uint64_t k = 0; k < 4; k++) {
    Chance d = {.seed = 8, .sample = k};
    Picture p = {image, 2, (int64_t)SIDE * SIDE, {1, SIDE, SIDE}, NULL};
    memset(image, 0, sizeof image);
    picture_change(&p, &s, 1, &d);
    double sum = 0, square = 0, both = 0, sigma = noise_deviation(&s, &d), n = 2.0 * SIDE * SIDE;
    for (int i = 0; i < SIDE * SIDE * 2; i++) {
      sum += (double)image[i], square += (double)image[i] * (double)image[i];
      if (i < SIDE * SIDE) both += (double)image[i] * (double)image[i + SIDE * SIDE];
    }
    assert_true(sigma >= 0.2 && sigma < 0.6);
    assert_true(fabs(sum / n) < 4 * sigma / sqrt(n) && fabs(sqrt(square / n) / sigma - 1) < 0.05);
    assert_true(fabs(both / (n / 2)) < 5 * sigma * sigma / sqrt(n / 2));
  }
}

static int reflected(int i, int n) { /* one reflection at a time */
  while (i < 0 || i >= n) i = i < 0 ? -1 - i : 2 * n - 1 - i;
  return i;
}

/* The sum over the whole kernel at once, in three dimensions. */
TEST(blur_is_a_sum_of_gaussians) {
  Changed c;
  static const int size[3] = {5, 6, 7};
  NetcAugment a = augment_always(NETC_AUG_BLUR, 0.6, 1.1, 1);
  change_by(&c, &a);
  for (int i = 0; i < CHANNELS * SIDES; i++) {
    const int ch = i / SIDES, o[3] = {i % SIDES / 42, i % 42 / 7, i % 7};
    double sigma[3], sum = 0, all = 0;
    int r[3];
    for (int k = 0; k < 3; k++)
      sigma[k] = 0.6 + 0.5 * number_of(&c, &a, ch, k), r[k] = (int)ceil(4 * sigma[k]);
    for (int z = -r[0]; z <= r[0]; z++)
      for (int y = -r[1]; y <= r[1]; y++)
        for (int x = -r[2]; x <= r[2]; x++) {
          double w = exp(-0.5 * (z * z / sigma[0] / sigma[0] + y * y / sigma[1] / sigma[1] +
                                 x * x / sigma[2] / sigma[2]));
          int p = reflected(o[0] + z, size[0]), q = reflected(o[1] + y, size[1]),
              t = reflected(o[2] + x, size[2]);
          sum += w * (double)c.was[ch * SIDES + (p * 6 + q) * 7 + t], all += w;
        }
    if (fabs((double)c.is[i] - sum / all) > 1e-5)
      fail_msg("element %d: %g, not %g", i, (double)c.is[i], sum / all);
  }
}

/* Of the coarse picture the nearest elements, between them linear, in three dimensions at once. */
TEST(low_resolution_is_nearest_there_and_linear_back) {
  Changed c;
  static const int size[3] = {5, 6, 7};
  NetcAugment a = augment_always(NETC_AUG_LOWRES, 0.4, 0.8, 1);
  change_by(&c, &a);
  for (int i = 0; i < CHANNELS * SIDES; i++) {
    const int ch = i / SIDES, o[3] = {i % SIDES / 42, i % 42 / 7, i % 7};
    double factor = 0.4 + 0.4 * number_of(&c, &a, ch, 0), part[3], sum = 0;
    int pick[3][2];
    for (int k = 0; k < 3; k++) {
      int coarse = (int)floor(factor * size[k] + 0.5);
      double at = fmin(fmax((o[k] + 0.5) * coarse / size[k] - 0.5, 0), coarse - 1);
      int p = (int)floor(at), q = p + 1 < coarse ? p + 1 : p;
      part[k] = at - p;
      pick[k][0] = (int)floor((p + 0.5) * size[k] / coarse),
      pick[k][1] = (int)floor((q + 0.5) * size[k] / coarse);
    }
    for (int corner = 0; corner < 8; corner++) {
      const int u = corner & 1, v = corner >> 1 & 1, w = corner >> 2;
      double weight = (u ? part[0] : 1 - part[0]) * (v ? part[1] : 1 - part[1]) * (w ? part[2] : 1 - part[2]);
      sum += weight * (double)c.was[ch * SIDES + (pick[0][u] * 6 + pick[1][v]) * 7 + pick[2][w]];
    }
    assert_true(fabs((double)c.is[i] - sum) < 1e-5);
  }
}

/* Boxes of zeros with the sides that were asked for, the same in all channels; the rest is as it was. */
TEST(cutout_leaves_zeros_in_boxes) {
  Changed c;
  NetcAugment a = augment_always(NETC_AUG_CUTOUT, 0.5, 0.5, 1);
  change_by(&c, &a);
  int zeros = 0;
  for (int i = 0; i < SIDES; i++) {
    bool cut = c.is[i] == 0 && c.is[SIDES + i] == 0 && c.is[2 * SIDES + i] == 0; /* 0 nowhere in all three */
    zeros += cut;
    for (int ch = 0; ch < CHANNELS; ch++)
      assert_true(c.is[ch * SIDES + i] == (cut ? 0 : c.was[ch * SIDES + i]));
  }
  assert_int_equal(zeros, 3 * 3 * 4); /* half of 5, 6 and 7, rounded */
}

/* ---- draws ---- */

/* Numbers lie in their range, evenly, and differ from sample to sample. */
TEST(factors_lie_in_their_range_on_both_sides_of_one) {
  enum { MANY = 20000 };
  NetcAugment a = augment_always(NETC_AUG_BRIGHTNESS, 0.5, 3);
  int below = 0;
  double sum = 0;
  for (uint64_t k = 0; k < MANY; k++) {
    Changed c = {.d = {.seed = 1, .iteration = k / 8, .sample = k % 8}};
    double f = factor_of(&c, &a, (int)(k % 3));
    assert_true(f >= 0.5 && f < 3);
    below += f < 1, sum += f;
  }
  assert_true(abs(below - MANY / 2) < 3 * 71); /* three standard deviations */
  assert_true(fabs(sum / MANY - (0.75 + 2) / 2) < 0.02);
}

TEST(a_sample_has_an_augmentation_with_its_probability) {
  enum { MANY = 20000 };
  for (int kind = 0; kind < BATCH_AUGMENTS; kind++) {
    NetcAugment a = augment_with(kind, 0, NULL);
    Step first = {&a, 0}, second = {&a, 2};
    int taken = 0, both = 0;
    a.p = 0.3;
    for (uint64_t k = 0; k < MANY; k++) {
      Chance d = {.seed = 1, .stream = 1, .iteration = k / 8, .sample = k % 8};
      taken += step_taken(&d, &first), both += step_taken(&d, &first) && step_taken(&d, &second);
    }
    assert_true(fabs(taken / (double)MANY - 0.3) < 3 * sqrt(0.3 * 0.7 / MANY));
    assert_true(fabs(both / (double)MANY - 0.09) < 4 * sqrt(0.09 * 0.91 / MANY)); /* independent */
  }
}

/* Angles of views: in 2-D evenly between the bounds, in 3-D the tilt in its own. */
TEST(angles_lie_in_their_range) {
  enum { MANY = 4000 };
  NetcAugment a = augment_always(NETC_AUG_ROTATE, 40, 0);
  Placing p = {.rotate = {&a, 0}};
  double sum = 0, square = 0, largest = 0;
  for (uint64_t k = 0; k < MANY; k++) {
    Chance d = {.seed = 2, .iteration = k};
    View v = view_draw(&p, 3, cube, cube, NULL, &d);
    double angle = atan2(v.of.axis[1].by[0], v.of.axis[0].by[0]) * 180 / M_PI;
    assert_true(v.of.axis[2].by[2] == 1 && v.of.axis[2].by[0] == 0); /* no tilt */
    sum += angle, square += angle * angle, largest = fmax(largest, fabs(angle));
  }
  assert_true(largest <= 40 + 1e-9 && largest > 39);
  assert_true(fabs(sum / MANY) < 1.5 && fabs(square / MANY - 1600.0 / 3) < 30);
}

/* ---- docs ---- */

static int signature(int kind, char *text, size_t room) {
  const BatchAugmentInfo *a = &batch_augment[kind];
  int n = snprintf(text, room, "`%s(", a->word);
  for (int i = 0; i < NETC_AUGMENT_VALUES && a->param[i].name; i++) {
    n += snprintf(text + n, room - (size_t)n, "%s = ", a->param[i].name);
    if (isnan(a->param[i].initial)) n += snprintf(text + n, room - (size_t)n, "%s, ", a->param[i - 1].name);
    else n += snprintf(text + n, room - (size_t)n, "%g, ", a->param[i].initial);
  }
  return n + snprintf(text + n, room - (size_t)n, "p = %g)`", a->p);
}

TEST(every_augmentation_is_described) {
  char *data = read_text("docs/batches.md"), *language = read_text("docs/language.md"), row[1024];
  assert_true(data && language);
  for (int k = 0; k < BATCH_AUGMENTS; k++) {
    const BatchAugmentInfo *a = &batch_augment[k];
    int n = 2 + signature(k, row + 2, sizeof row - 2);
    memcpy(row, "| ", 2);
    if (!strstr(language, row + 2)) fail_msg("docs/language.md lacks %s", row + 2);
    snprintf(row + n, sizeof row - (size_t)n, " | %s | %s | %s |\n", a->place ? "place" : "value",
             a->by_device ? "yes" : "no", a->meaning);
    if (!strstr(data, row)) fail_msg("docs/batches.md lacks the row %s", row);
  }
  free(data), free(language);
}

RUN_TESTS(NULL, NULL)
