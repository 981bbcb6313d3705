/* test_match.c - masks on their images' grids: in any order of axes, a little or far off, elsewhere. */
#include <math.h>
#include <string.h>
#include "runtime/prepare/match.h"
#include "tests/test.h"

enum { MOST = 64 };

static char err[ERR_MAX];

/* An oblique grid with three spacings. */
static Grid oblique(int64_t x, int64_t y, int64_t z) {
  static const double column[3][4] = {{0.7, 0.1, -0.2, -20}, {-0.08, 0.9, 0.3, 5}, {0.15, -0.2, 2.4, 33}};
  Grid g = grid_plain((int64_t[]){x, y, z}, NULL);
  memcpy(g.to_mm, column, sizeof column);
  g.placed = true;
  return g;
}

static Image numbered(const Grid *g) {
  Image out = {.spatial = 3, .channels = 1, .grid = *g};
  assert_true(grid_count(g) <= MOST && image_room(&out));
  for (int64_t i = 0; i < grid_count(g); i++) out.value[i] = (float)i;
  return out;
}

/* The same voxels, each with its number in g, stored with axes that run as code says. */
static Image stored_as(const Grid *g, const char *code) {
  Turn t;
  assert_true(grid_turn(g, code, &t));
  Grid to = grid_turned(g, &t);
  Image out = numbered(&to);
  for (int64_t i = 0; i < grid_count(g); i++) {
    const int64_t v[3] = {i / (to.dim[1] * to.dim[2]), i / to.dim[2] % to.dim[1], i % to.dim[2]};
    int64_t at[3];
    for (int a = 0; a < 3; a++) at[t.axis[a]] = t.flip[a] ? to.dim[a] - 1 - v[a] : v[a];
    out.value[i] = (float)((at[0] * g->dim[1] + at[1]) * g->dim[2] + at[2]);
  }
  return out;
}

static bool matched(const Grid *image, Image *mask, OtherGrid other) {
  return match_grids(image, mask, other, "image.nii", "mask.nii", MATCH_MASK, NULL, err);
}

/* Moves a grid by so many of its voxels along an axis. */
static Grid moved(Grid g, int axis, double voxels) {
  for (int r = 0; r < 3; r++) g.to_mm[r][3] += voxels * g.to_mm[r][axis];
  return g;
}

static void in_order(const Grid *g, const Image *mask) {
  assert_memory_equal(mask->grid.dim, g->dim, sizeof g->dim);
  assert_memory_equal(mask->grid.to_mm, g->to_mm, sizeof g->to_mm);
  for (int64_t i = 0; i < grid_count(g); i++) assert_int_equal((int)mask->value[i], i);
}

TEST(axes_in_any_order_come_to_the_images_order) {
  static const int64_t dim[][3] = {{4, 3, 2}, {3, 3, 3}, {2, 5, 5}, {5, 1, 4},
                                   {1, 4, 3}, {1, 1, 3}, {1, 1, 1}};
  static const int order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (size_t d = 0; d < sizeof dim / sizeof *dim; d++)
    for (int n = 0; n < 48; n++) {
      char code[4] = "";
      for (int a = 0; a < 3; a++) code[a] = (n >> a & 1 ? "LPI" : "RAS")[order[n / 8][a]];
      Grid g = oblique(dim[d][0], dim[d][1], dim[d][2]);
      Image mask = stored_as(&g, code);
      mask.grid = moved(mask.grid, n % 3, 0.05); /* as float32 headers and other programs leave them */
      if (!matched(&g, &mask, GRID_REFUSE)) fail_msg("%s: %s", code, err);
      in_order(&g, &mask);
      image_free(&mask);
    }
}

TEST(what_is_reordered_is_noted) {
  Notes notes;
  notes_init(&notes);
  Grid g = oblique(4, 3, 2);
  Image mask = stored_as(&g, "LPS");
  assert_true(match_grids(&g, &mask, GRID_REFUSE, "image.nii", "mask.nii", MATCH_MASK, &notes, err));
  assert_int_equal(notes.n, 1);
  assert_string_equal(notes.text[0],
                      "mask.nii: stored as LPS, its image as RAS; brought to the image's order");
  notes_free(&notes), image_free(&mask);
}

/* One slice says nothing of its axis: thickness, direction and even its absence differ between programs. */
TEST(an_axis_of_one_element_may_have_any_direction) {
  static const double other[][3] = {{0.7, -0.08, 0.15}, {3, 0, 0}, {0, 0, 0}, {0.2, 0.9, 0.1}, {-1, 0, 0}};
  for (size_t i = 0; i < sizeof other / sizeof *other; i++)
    for (int both = 0; both < 2; both++) {
      Grid g = oblique(1, 4, 3), h = g;
      for (int r = 0; r < 3; r++) h.to_mm[r][0] = other[i][r];
      if (both) g = h; /* the image's as well */
      Image mask = numbered(&h);
      if (!matched(&g, &mask, GRID_REFUSE)) fail_msg("%d: %s", (int)i, err);
      in_order(&g, &mask);
      image_free(&mask);
    }
}

TEST(a_mask_off_its_image_is_refused) {
  Grid g = oblique(4, 3, 2), h = moved(g, 1, 0.2);
  Image mask = numbered(&h);
  assert_false(matched(&g, &mask, GRID_REFUSE));
  assert_string_equal(
      err,
      "mask.nii: the mask does not lie on its image image.nii: corners are up to 0.1855 mm apart (RAS 4 x 3 "
      "x "
      "2, image RAS 4 x 3 x 2). --mask-grid resample takes the nearest voxels, --mask-grid trust the arrays "
      "as they are");
  assert_true(matched(&g, &mask, GRID_TRUST));
  in_order(&g, &mask);
  image_free(&mask);
  h = g;
  for (int r = 0; r < 3; r++) h.to_mm[r][0] *= 1.1; /* another spacing: the far corner is off */
  mask = numbered(&h);
  assert_false(matched(&g, &mask, GRID_REFUSE));
  image_free(&mask);
  h = oblique(4, 3, 3);
  mask = numbered(&h);
  assert_false(matched(&g, &mask, GRID_REFUSE));
  assert_false(matched(&g, &mask, GRID_TRUST));
  assert_string_equal(err, "mask.nii: the mask is 4 x 3 x 3, its image 4 x 3 x 2 (image.nii)");
  image_free(&mask);
}

TEST(resampling_takes_the_nearest_voxel) {
  Grid g = oblique(4, 3, 2), h = moved(g, 0, 1.3);
  Image mask = numbered(&h);
  for (int64_t i = 0; i < 24; i++) mask.value[i] += 100;
  if (!matched(&g, &mask, GRID_RESAMPLE)) fail_msg("%s", err);
  for (int64_t i = 0; i < 24; i++) /* plane x of the image is plane x - 1.3 of the mask */
    assert_int_equal((int)mask.value[i], i < 6 ? 0 : 100 + i - 6);
  image_free(&mask);
}

TEST(channels_are_interpolated) {
  Grid g = oblique(4, 3, 2), h = moved(g, 0, 0.25);
  Image channel = numbered(&h);
  assert_true(match_grids(&g, &channel, GRID_RESAMPLE, "a.nii", "b.nii", MATCH_CHANNEL, NULL, err));
  for (int64_t i = 0; i < 24; i++) /* planes are 6 apart; the first lies within half a voxel of the border */
    assert_true(fabs((double)channel.value[i] - (i < 6 ? (double)i : (double)i - 1.5)) < 1e-4);
  image_free(&channel);
}

TEST(files_that_do_not_say_where_they_lie_are_taken_by_their_extents) {
  Grid placed = oblique(4, 3, 2), plain = grid_plain(placed.dim, NULL);
  const Grid *const pair[][2] = {{&placed, &plain}, {&plain, &placed}, {&plain, &plain}};
  for (int i = 0; i < 3; i++) {
    Image mask = numbered(pair[i][1]);
    assert_true(matched(pair[i][0], &mask, GRID_REFUSE));
    in_order(pair[i][0], &mask);
    image_free(&mask);
  }
  Grid turned = grid_plain((int64_t[]){2, 3, 4}, NULL);
  Image mask = numbered(&turned);
  assert_false(matched(&placed, &mask, GRID_RESAMPLE));
  assert_string_equal(err, "mask.nii: the mask is 2 x 3 x 4, its image 4 x 3 x 2 (image.nii)");
  image_free(&mask);
}

TEST(an_affine_without_volume_is_an_error) {
  Grid g = oblique(4, 3, 2), h = g;
  for (int r = 0; r < 3; r++) h.to_mm[r][2] = 0;
  Image mask = numbered(&h);
  assert_false(matched(&g, &mask, GRID_REFUSE));
  assert_string_equal(err, "mask.nii: its affine has no inverse");
  image_free(&mask);
}

TEST(all_channels_are_brought_along) {
  Grid g = oblique(4, 3, 2);
  Image one = stored_as(&g, "ASL"), two = {.spatial = 3, .channels = 2, .grid = one.grid};
  assert_true(image_room(&two));
  for (int i = 0; i < 24; i++) two.value[i] = one.value[i], two.value[24 + i] = 100 + one.value[i];
  assert_true(matched(&g, &two, GRID_REFUSE));
  for (int i = 0; i < 48; i++) assert_int_equal((int)two.value[i], i < 24 ? i : 100 + i - 24);
  image_free(&one), image_free(&two);
}

RUN_TESTS(NULL, NULL)
