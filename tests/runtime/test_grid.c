/* test_grid.c - places of voxels, and orientations of their axes, against nibabel's
 * (tests/fixtures/orientation.py). */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "runtime/image/grid.h"
#include "tests/test.h"

static const int64_t extents[3] = {5, 4, 3};
static const double origin[3] = {-31.5, 12.25, 7};

typedef struct {
  Grid grid;
  char code[4];
} Placed;

/* The next line of the fixture; false at its end. */
static bool next_placed(FILE *f, Placed *out) {
  out->grid = grid_plain(extents, NULL), out->grid.placed = true;
  for (int i = 0; i < 9; i++)
    if (fscanf(f, "%lf", &out->grid.to_mm[i / 3][i % 3]) != 1) return false;
  for (int r = 0; r < 3; r++) out->grid.to_mm[r][3] = origin[r];
  return fscanf(f, "%3s", out->code) == 1;
}

#define FOR_ALL_PLACED(p)                                                                                    \
  FILE *f = fopen("tests/fixtures/orientation.txt", "r");                                                    \
  assert_non_null(f);                                                                                        \
  int seen = 0;                                                                                              \
  for (Placed p; next_placed(f, &p); seen++)

static void all_seen(FILE *f, int seen) {
  fclose(f);
  assert_int_equal(seen, 48 * 4);
}

TEST(orientations_are_those_of_nibabel) {
  FOR_ALL_PLACED(p) {
    char code[4];
    grid_orientation(&p.grid, code);
    if (strcmp(code, p.code) != 0) fail_msg("line %d: %s, not %s", seen + 1, code, p.code);
  }
  all_seen(f, seen);
}

/* All 48 codes, in the order of their numbers. */
static void code_of(int n, char code[4]) {
  static const int order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (int a = 0; a < 3; a++) code[a] = (n >> a & 1 ? "LPI" : "RAS")[order[n / 8][a]];
  code[3] = 0;
}

/* Element v of the turned grid is that element of the stored one, and lies where that lies. */
static void check_turn(const Grid *g, const Turn *t, const char *code) {
  Grid to = grid_turned(g, t);
  double v[3], stored[3], p[3], q[3];
  for (int corner = 0; corner < 8; corner++) {
    for (int a = 0; a < 3; a++) {
      v[a] = corner >> a & 1 ? (double)(to.dim[a] - 1) : 0;
      stored[t->axis[a]] = t->flip[a] ? (double)(to.dim[a] - 1) - v[a] : v[a];
    }
    grid_place(&to, v, p), grid_place(g, stored, q);
    for (int r = 0; r < 3; r++)
      if (fabs(p[r] - q[r]) > 1e-9) fail_msg("corner %d is at %g, not %g", corner, p[r], q[r]);
  }
  char now[4];
  grid_orientation(&to, now);
  assert_string_equal(now, code);
  assert_true(to.placed);
}

TEST(turned_voxels_stay_where_they_are) {
  FOR_ALL_PLACED(p) for (int n = 0; n < 48; n++) {
    Turn t;
    char code[4];
    code_of(n, code);
    assert_true(grid_turn(&p.grid, code, &t));
    check_turn(&p.grid, &t, code);
  }
  all_seen(f, seen);
}

TEST(the_inverse_leads_back) {
  FOR_ALL_PLACED(p) {
    double inverse[3][4], v[3] = {3, -1.5, 40}, mm[3], back[3];
    assert_true(grid_inverse(&p.grid, inverse));
    grid_place(&p.grid, v, mm), affine_apply(inverse, mm, back);
    for (int a = 0; a < 3; a++) assert_true(fabs(back[a] - v[a]) < 1e-9);
    double both[3][4];
    affine_after(inverse, p.grid.to_mm, both);
    for (int i = 0; i < 12; i++) assert_true(fabs(both[i / 4][i % 4] - (i / 4 == i % 4)) < 1e-9);
  }
  all_seen(f, seen);
}

TEST(a_grid_without_volume_has_no_inverse) {
  double inverse[3][4];
  Grid g = grid_plain(extents, NULL);
  g.to_mm[2][2] = 0;
  assert_false(grid_inverse(&g, inverse));
  g = grid_plain(extents, (double[]){0.5, 2, 3});
  for (int r = 0; r < 3; r++) g.to_mm[r][1] = 4 * g.to_mm[r][0]; /* parallel */
  assert_false(grid_inverse(&g, inverse));
  g.to_mm[1][1] = NAN;
  assert_false(grid_inverse(&g, inverse));
  g = grid_plain(extents, (double[]){1e-4, 1e-4, 1e-4}); /* micrometres, small but sound */
  assert_true(grid_inverse(&g, inverse));
}

/* A column of zeros takes the axis of the body that is left. */
TEST(an_axis_without_length_has_an_orientation) {
  Grid g = grid_plain(extents, (double[]){1, 2, 3});
  char code[4];
  g.to_mm[2][2] = 0;
  grid_orientation(&g, code);
  assert_string_equal(code, "RAS");
  g = grid_plain(extents, (double[]){0, 2, 3});
  g.to_mm[1][1] = 0, g.to_mm[0][1] = -2;
  grid_orientation(&g, code);
  assert_string_equal(code, "ALS");
}

TEST(codes_are_checked) {
  static const char *const wrong[] = {"", "RA", "RASR", "RAL", "RRS", "XYZ", "ras"};
  Grid g = grid_plain(extents, NULL);
  Turn t;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_false(orientation_valid(wrong[i]));
    assert_false(grid_turn(&g, wrong[i], &t));
  }
  for (int n = 0; n < 48; n++) {
    char code[4];
    code_of(n, code);
    assert_true(orientation_valid(code));
  }
}

RUN_TESTS(NULL, NULL)
