/* test_resample.c - volumes on another grid, against SimpleITK's interpolators
 * (tests/fixtures/prepare.py), and classes. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "runtime/prepare/resample.h"
#include "tests/test.h"

enum { MOST = 1024 };

static int64_t count_of(const int64_t dim[3]) { return dim[0] * dim[1] * dim[2]; }

/* As `made` in the script has it. Values lie within -160..160. */
static void make(const int64_t dim[3], float *v) {
  for (int64_t e = 0; e < count_of(dim); e++) {
    double i = (double)(e / (dim[1] * dim[2])), j = (double)(e / dim[2] % dim[1]), k = (double)(e % dim[2]);
    v[e] = (float)(100 * sin(0.9 * i + 0.3 * j) + 60 * cos(1.1 * k - 0.4 * j * i));
  }
}

static bool inside(const Axis axis[3], const int64_t dim[3], const int64_t to[3], int64_t e) {
  const int64_t m[3] = {e / (to[1] * to[2]), e / to[2] % to[1], e % to[2]};
  for (int a = 0; a < 3; a++) {
    double x = axis[a].from + axis[a].step * (double)m[a];
    if (x < 0 || x > (double)(dim[a] - 1)) return false;
  }
  return true;
}

/* Beyond the outermost elements, where half a voxel of the border still lies, ITK's splines go on as they are
 * mirrored; ours stay what they are at the border, so that nothing overshoots there. Linear ones agree. */
static void compare(FILE *f, const int64_t dim[3], const Axis axis[3], const int64_t to[3], NetcOrder order) {
  static float in[MOST], out[MOST];
  char word[32];
  int compared = 0;
  make(dim, in);
  assert_true(count_of(to) <= MOST && resample_volume(in, dim, axis, order, out));
  for (int64_t e = 0; e < count_of(to); e++) {
    if (fscanf(f, "%31s", word) != 1) fail_msg("the fixture ends early");
    if (!strcmp(word, "none")) return;
    if (order == NETC_ORDER_CUBIC && !inside(axis, dim, to, e)) continue;
    double want = strtod(word, NULL), off = fabs((double)out[e] - want);
    if (off > 0.32) fail_msg("order %d, element %d: %g, not %g", order, (int)e, (double)out[e], want);
    compared++;
  }
  assert_true(compared > count_of(to) / 5);
}

TEST(interpolation_agrees_with_simpleitk) {
  FILE *f = fopen("tests/fixtures/resample.txt", "r");
  long long d[3], n;
  int cases = 0;
  assert_non_null(f);
  for (; fscanf(f, "%lld %lld %lld", &d[0], &d[1], &d[2]) == 3; cases++) {
    const int64_t dim[3] = {d[0], d[1], d[2]};
    Axis axis[3];
    int64_t to[3];
    for (int a = 0; a < 3; a++) {
      assert_int_equal(fscanf(f, "%lld %lf %lf", &n, &axis[a].from, &axis[a].step), 3);
      to[a] = axis[a].n = n;
    }
    compare(f, dim, axis, to, NETC_ORDER_LINEAR), compare(f, dim, axis, to, NETC_ORDER_CUBIC);
  }
  fclose(f);
  assert_int_equal(cases, 5);
}

static Axis respaced(int64_t n, double step) {
  int64_t to = (int64_t)fmax(1, rint((double)n / step));
  return (Axis){to, ((double)n - step * (double)to) / 2 + 0.5 * step - 0.5, step};
}

TEST(splines_pass_through_the_elements) {
  const int64_t dim[3] = {7, 6, 5}, to[3] = {13, 6, 9};
  const Axis half[3] = {{13, 0, 0.5}, {6, 0, 1}, {9, 0, 0.5}};
  float in[210], out[13 * 6 * 9];
  make(dim, in);
  assert_true(resample_volume(in, dim, half, NETC_ORDER_CUBIC, out));
  for (int64_t e = 0; e < 210; e++) {
    int64_t at = (e / 30 * 2 * to[1] + e / 5 % 6) * to[2] + e % 5 * 2;
    assert_true(fabs((double)out[at] - (double)in[e]) < 1e-3);
  }
}

TEST(axes_of_one_element_are_repeated) {
  const int64_t dim[3] = {1, 4, 1};
  const float in[4] = {3, 1, 4, 1};
  for (int order = NETC_ORDER_NEAREST; order <= NETC_ORDER_CUBIC; order++) {
    const Axis axis[3] = {respaced(1, 0.5), {4, 0, 1}, respaced(1, 0.3)};
    float out[2 * 4 * 3];
    assert_true(resample_volume(in, dim, axis, (NetcOrder)order, out));
    for (int e = 0; e < 24; e++) assert_true(fabs((double)(out[e] - in[e / 3 % 4])) < 1e-5);
  }
  const Axis one[3] = {{1, 0, 1}, respaced(4, 9), {1, 0, 1}}; /* and made one */
  float out[1];
  assert_int_equal(one[1].n, 1);
  assert_true(resample_volume(in, dim, one, NETC_ORDER_LINEAR, out));
  assert_true(fabs((double)out[0] - 2.5) < 1e-6);
}

TEST(what_is_left_as_it_is_keeps_its_bits) {
  const int64_t dim[3] = {7, 6, 5};
  const Axis same[3] = {{7, 0, 1}, {6, 0, 1}, {5, 0, 1}};
  float in[210], out[210];
  make(dim, in);
  for (int order = NETC_ORDER_NEAREST; order <= NETC_ORDER_CUBIC; order++) {
    assert_true(resample_volume(in, dim, same, (NetcOrder)order, out));
    assert_memory_equal(in, out, sizeof in);
  }
}

/* ---- classes ---- */

TEST(classes_take_the_nearest_element_or_the_heaviest_class) {
  const int64_t dim[3] = {1, 1, 4};
  const uint8_t in[4] = {0, 2, 1, 1};
  const Axis axis[3] = {{1, 0, 1}, {1, 0, 1}, {8, -0.25, 0.5}};
  uint8_t out[8];
  static const uint8_t nearest[8] = {0, 0, 2, 2, 1, 1, 1, 1};
  resample_classes(in, dim, axis, NETC_ORDER_NEAREST, out);
  assert_memory_equal(out, nearest, sizeof out);
  resample_classes(in, dim, axis, NETC_ORDER_LINEAR, out);
  assert_memory_equal(out, nearest, sizeof out);
  /* In the plane: 0.4 x 0.4 away from class 3, whose three neighbours are 5 and outweigh it. */
  const int64_t square[3] = {1, 2, 2};
  const uint8_t corner[4] = {3, 5, 5, 5};
  const Axis middle[3] = {{1, 0, 1}, {1, 0.4, 1}, {1, 0.4, 1}};
  resample_classes(corner, square, middle, NETC_ORDER_NEAREST, out);
  assert_int_equal(out[0], 3);
  resample_classes(corner, square, middle, NETC_ORDER_LINEAR, out);
  assert_int_equal(out[0], 5);
}

/* A ball to a third of its spacing and back is the same; to a coarser one and back nearly. */
TEST(masks_come_back) {
  enum { S = 12, V = S * S * S };
  static uint8_t mask[V], there[27 * V], back[V];
  const int64_t dim[3] = {S, S, S};
  for (int e = 0; e < V; e++) {
    double x = e / (S * S) - 5.3, y = e / S % S - 6, z = e % S - 5.6;
    mask[e] = x * x + y * y + z * z < 20 ? 2 : 0;
  }
  for (int order = NETC_ORDER_NEAREST; order <= NETC_ORDER_LINEAR; order++) {
    const Axis up = respaced(S, 1.0 / 3), down = respaced(3 * S, 3);
    const int64_t fine[3] = {3 * S, 3 * S, 3 * S};
    resample_classes(mask, dim, (Axis[]){up, up, up}, (NetcOrder)order, there);
    resample_classes(there, fine, (Axis[]){down, down, down}, (NetcOrder)order, back);
    assert_memory_equal(back, mask, V);
  }
}

TEST(the_room_that_is_promised_covers_every_step) {
  const int64_t dim[3] = {40, 10, 4};
  const Axis axis[3] = {
      {4, 4.5, 10}, {10, 0, 1}, {40, -0.45, 0.1}}; /* larger in between than at either end */
  assert_int_equal(resample_room(dim, axis), 40 * 10 * 40 + 4 * 10 * 40);
  const Axis same[3] = {{40, 0, 1}, {10, 0, 1}, {4, 0, 1}};
  assert_int_equal(resample_room(dim, same), 40 * 10 * 4);
}

RUN_TESTS(NULL, NULL)
