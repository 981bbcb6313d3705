/* test_hdf5.c - HDF5 files that h5py wrote (tests/fixtures/hdf5.py): which data set, which axes, which
 * numbers. */
#include <hdf5.h>
#include <math.h>
#include <string.h>
#include "tests/scratch.h"
#include "runtime/io/format.h"
#include "runtime/io/hdf5/lzf.h"

#define FIXTURES "tests/fixtures/hdf5/"
static const char many[] = FIXTURES "many.h5";
static char err[ERR_MAX];
static Notes notes;

FIXTURE(open_notes) { return notes_init(&notes), 0; }
FIXTURE(close_notes) { return notes_free(&notes), 0; }

static Image read_as(const char *path, Wish wish) {
  Image image;
  wish.notes = &notes;
  if (!image_read(path, &wish, &image, err)) fail_msg("%s", err);
  return image;
}

static Image read_set(const char *set) { return read_as(many, (Wish){.set = set}); }

static void fails(const char *path, Wish wish, const char *part) {
  Image image;
  assert_false(image_read(path, &wish, &image, err));
  if (!strstr(err, part)) fail_msg("'%s' lacks '%s'", err, part);
}

static void noted(int n, const char *part) {
  assert_int_equal(notes.n, n);
  if (!strstr(notes.text[n - 1], part)) fail_msg("'%s' lacks '%s'", notes.text[n - 1], part);
}

/* The fixtures' value at (x,y,z) of channel c, here by the grid's axes; pictures are (H,W) = (y,x). */
static float value_at(const Image *m, int c, int64_t i, int64_t j, int64_t k) {
  return (float)(m->spatial == 3 ? i + 10 * j + 40 * k : j + 10 * i) + 100.0f * (float)c;
}

static void check(Image m, int spatial, int channels) {
  const int64_t volume[3] = {5, 4, 3}, picture[3] = {4, 5, 1};
  int64_t at = 0;
  assert_int_equal(m.spatial, spatial), assert_int_equal(m.channels, channels);
  assert_memory_equal(m.grid.dim, spatial == 3 ? volume : picture, sizeof volume);
  for (int c = 0; c < channels; c++)
    for (int64_t i = 0; i < m.grid.dim[0]; i++)
      for (int64_t j = 0; j < m.grid.dim[1]; j++)
        for (int64_t k = 0; k < m.grid.dim[2]; k++, at++)
          if (m.value[at] != value_at(&m, c, i, j, k))
            fail_msg("(%d,%d,%d) of channel %d is %g", (int)i, (int)j, (int)k, c, (double)m.value[at]);
  image_free(&m);
}

TEST_WITH(open_notes, close_notes, numbers_of_every_type_are_read) {
  static const char *const type[] = {"i1",        "u1",     "little-i2", "big-i2", "little-u2", "big-u2",
                                     "little-i4", "big-i4", "u4",        "i8",     "big-u8",    "f2",
                                     "little-f4", "big-f4", "little-f8", "big-f8"};
  char set[32];
  for (size_t i = 0; i < sizeof type / sizeof *type; i++)
    snprintf(set, sizeof set, "type/%s", type[i]), check(read_set(set), 3, 1);
  Image m = read_set("type/bool");
  for (int i = 0; i < 60; i++) assert_true(m.value[i] == (float)(i / 12 % 2));
  image_free(&m);
  fails(many, (Wish){.set = "type/text"}, "no data set 'type/text' of numbers");
}

TEST_WITH(open_notes, close_notes, compressed_values_are_those_that_were_stored) {
  static const char *const filter[] = {"gzip",       "gzip-shuffle", "lzf", "lzf-shuffle",
                                       "fletcher32", "chunked",      "szip"};
  Image plain = read_set("filter/plain");
  char set[32];
  for (size_t i = 0; i < sizeof filter / sizeof *filter; i++) {
    snprintf(set, sizeof set, "filter/%s", filter[i]);
    Image m = read_set(set);
    assert_memory_equal(m.value, plain.value, 480 * sizeof(float));
    image_free(&m);
  }
  image_free(&plain);
  Image noise = read_set("filter/noise-plain"), m = read_set("filter/noise");
  assert_memory_equal(m.value, noise.value, 128 * sizeof(float));
  image_free(&noise), image_free(&m);
}

TEST_WITH(open_notes, close_notes, lzf_stays_within_its_room) {
  static const uint8_t abc[] = {2, 'a', 'b', 'c', 0xe0, 3, 2}; /* 3 literals, then 12 from 3 back */
  uint8_t out[16] = {0};
  assert_int_equal(lzf_decode(abc, sizeof abc, out, sizeof out), 15);
  assert_memory_equal(out, "abcabcabcabcabc", 16);
  assert_int_equal(lzf_decode(abc, sizeof abc, out, 14), 0);    /* no room */
  assert_int_equal(lzf_decode(abc, 6, out, sizeof out), 0);     /* a copy cut short */
  assert_int_equal(lzf_decode(abc, 3, out, sizeof out), 0);     /* literals cut short */
  assert_int_equal(lzf_decode(abc + 4, 3, out, sizeof out), 0); /* from before the beginning */
}

TEST_WITH(open_notes, close_notes, axes_that_the_file_names_are_honoured) {
  static const char *const volume[] = {"xyz", "zyx", "list", "labels", "scales"};
  static const char *const channels[] = {"czyx", "zyxc", "tzyx", "tags"};
  char set[32];
  for (size_t i = 0; i < sizeof volume / sizeof *volume; i++)
    snprintf(set, sizeof set, "told/%s", volume[i]), check(read_set(set), 3, 1);
  for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
    snprintf(set, sizeof set, "told/%s", channels[i]), check(read_set(set), 3, 2);
  check(read_set("told/yxc"), 2, 2), check(read_set("told/cyx"), 2, 2);
  assert_int_equal(notes.n, 0);
  check(read_as(many, (Wish){.set = "told/zyx", .axes = "xyz"}), 3, 1);
  noted(1, "'xyz' is not used");
  check(read_set("told/wrong"), 3, 1);
  noted(2, "'pqr' does not name its 3 axes");
}

TEST_WITH(open_notes, close_notes, axes_that_it_does_not_name_are_the_callers_or_the_usual_ones) {
  check(read_set("silent/xyz"), 3, 1), check(read_set("silent/yx"), 2, 1);
  check(read_set("silent/cxyz"), 3, 2), check(read_set("silent/xyzc"), 3, 2);
  check(read_set("silent/1cxyz"), 3, 2);
  check(read_set("silent/11xyz"), 3, 1);
  check(read_as(many, (Wish){.set = "silent/zyx", .axes = "zyx"}), 3, 1);
  check(read_as(many, (Wish){.set = "silent/zyx", .axes = "czyx"}), 3, 1); /* no channels here */
  check(read_as(many, (Wish){.set = "silent/yx", .axes = "zyx"}), 2, 1);
  check(read_as(many, (Wish){.set = "told/xyz", .axes = "xyz"}), 3, 1);
  fails(many, (Wish){.set = "silent/long"}, "(17, 2, 2, 17): axes 'xyz' do not fit");
  fails(many, (Wish){.set = "silent/xyz", .axes = "abc"}, "axes 'abc' do not fit");
  assert_int_equal(notes.n, 0);
  Image m = read_set("silent/colours");
  assert_int_equal(m.spatial, 3);
  noted(1, "axes = yxc");
  image_free(&m);
  m = read_set("silent/slices-first");
  noted(2, "if its slices come first, say --axes zyx");
  image_free(&m);
}

TEST_WITH(open_notes, close_notes, spacing_and_place_are_read) {
  Image m = read_set("grid/spacing");
  assert_true(m.grid.to_mm[0][0] == 0.25 && m.grid.to_mm[1][1] == 0.5 && m.grid.to_mm[2][2] == 5);
  assert_false(m.grid.placed);
  image_free(&m);
  m = read_set("grid/picture");
  assert_true(m.grid.to_mm[0][0] == 0.5 && m.grid.to_mm[1][1] == 0.25); /* along H, along W */
  image_free(&m);
  m = read_set("grid/um"); /* whose writers store z,y,x */
  assert_true(fabs(m.grid.to_mm[0][0] - 0.1) < 1e-12 && fabs(m.grid.to_mm[2][2] - 0.4) < 1e-12);
  check(m, 3, 1);
  m = read_set("grid/affine");
  assert_true(m.grid.placed && m.grid.to_mm[0][0] == -1 && m.grid.to_mm[2][3] == 30);
  image_free(&m);
  assert_int_equal(notes.n, 0);
  m = read_set("grid/flat");
  noted(1, "affine has no inverse");
  assert_false(m.grid.placed);
  image_free(&m);
  check(read_set("grid/none"), 3, 1);
  noted(2, "a spacing of 0; 1 mm is taken");
}

TEST_WITH(open_notes, close_notes, image_and_label_are_roles) {
  Image m = read_as(FIXTURES "slice.h5", (Wish){.set = NULL});
  check(m, 2, 1);
  m = read_as(FIXTURES "slice.h5", (Wish){.set = "label", .as = READ_NUMBERS});
  assert_true(m.full == 255);
  assert_true(m.value[5] == 10 % 4 && m.value[3] == 3);
  image_free(&m);
  m = read_as(FIXTURES "slice.h5", (Wish){.set = "scribble", .as = READ_NUMBERS});
  assert_true(m.value[5] == 10 % 5 && m.value[3] == 3);
  image_free(&m);
  check(read_as(FIXTURES "groups.h5", (Wish){.set = "image"}), 3, 1); /* scan/raw; x is no image */
  m = read_as(FIXTURES "groups.h5", (Wish){.set = "label"});
  assert_true(m.value[12] == 1 && m.value[0] == 0); /* x % 2 */
  image_free(&m);
  m = read_as(FIXTURES "groups.h5", (Wish){.set = "link"});
  image_free(&m);
  check(read_as(FIXTURES "single.h5", (Wish){.set = "image"}), 3, 1);
  check(read_as(FIXTURES "single.h5", (Wish){.set = "label"}), 3, 1);
  fails(FIXTURES "two.h5", (Wish){.set = "image"},
        "several data sets may be the image (by name: image, data, raw, volume, img, x); name it; the file "
        "holds: a/T1 (5, 4, 3), a/image (5, 4, 3)");
  fails(FIXTURES "two.h5", (Wish){.set = "label"}, "no data set is known to be the label");
  fails(FIXTURES "slice.h5", (Wish){.set = "contour"}, "scribble (4, 5)");
}

TEST_WITH(open_notes, close_notes, a_file_tells_whether_it_is_labelled) {
  assert_true(format_hdf5.has(FIXTURES "slice.h5", "label"));
  assert_true(format_hdf5.has(FIXTURES "groups.h5", "label"));
  assert_true(format_hdf5.has(FIXTURES "slice.h5", "scribble"));
  assert_true(format_hdf5.has(FIXTURES "unlabelled.h5", "image"));
  assert_false(format_hdf5.has(FIXTURES "unlabelled.h5", "label"));
  assert_false(format_hdf5.has(FIXTURES "single.h5", "label")); /* it may be an image */
  assert_false(format_hdf5.has(FIXTURES "slice.h5", "contour"));
  assert_true(format_hdf5.has("tests/fuzz/seeds/fuzz_hdf5/damaged.h5", "label")); /* reading it tells */
}

TEST_WITH(open_notes, close_notes, masks_are_numbers_of_one_channel_or_colours) {
  check(read_as(many, (Wish){.set = "mask/equal", .as = READ_NUMBERS}), 2, 1);
  check(read_as(many, (Wish){.set = "mask/colours", .as = READ_COLOURS}), 2, 3);
  fails(many, (Wish){.set = "mask/colours", .as = READ_NUMBERS}, "(3, 4, 5): has 3 channels, which differ");
  fails(many, (Wish){.set = "type/large", .as = READ_NUMBERS}, "must be below 16777216");
  Image m = read_as(many, (Wish){.set = "silent/yx", .as = READ_COLOURS});
  assert_int_equal(m.channels, 3);
  for (int i = 0; i < 20; i++) assert_true(m.value[i] == m.value[20 + i] && m.value[i] == m.value[40 + i]);
  image_free(&m);
}

TEST_WITH(open_notes, close_notes, a_header_tells_pictures_from_volumes) {
  Image m = read_as(many, (Wish){.set = "told/cyx", .header = true});
  assert_true(m.spatial == 2 && m.channels == 2 && !m.value);
  assert_int_equal(image_spatial(FIXTURES "slice.h5", err), 2);
  assert_int_equal(image_spatial(FIXTURES "unlabelled.h5", err), 3);
  assert_int_equal(image_spatial(FIXTURES "nosuch.h5", err), 0);
}

/* Compressed with a filter that nobody has: the message names it. */
TEST_WITH(open_notes, close_notes, a_missing_filter_is_named) {
  const hsize_t dim[3] = {4, 4, 4};
  float value[64] = {0};
  hid_t f = H5Fcreate(in_root("odd.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  hid_t s = H5Screate_simple(3, dim, NULL), made = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(made, 3, dim), H5Pset_filter(made, 333, H5Z_FLAG_OPTIONAL, 0, NULL);
  hid_t d = H5Dcreate2(f, "image", H5T_IEEE_F32LE, s, H5P_DEFAULT, made, H5P_DEFAULT);
  assert_true(H5Dwrite_chunk(d, H5P_DEFAULT, 0, (hsize_t[]){0, 0, 0}, sizeof value, value) >= 0);
  H5Dclose(d), H5Pclose(made), H5Sclose(s), H5Fclose(f);
  fails(in_root("odd.h5"), (Wish){.set = "image"}, "(filter 333), which the HDF5 library lacks");
}

RUN_TESTS(scratch_set_up, scratch_tear_down)
