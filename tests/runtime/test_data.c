/* test_data.c - data sets, splits, loaders and batches on files this test writes, and on real images where
 * NETRUN_DATA is set. */
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/scratch.h"
#include "codegen/abi.h"
#include "tests/text.h"
#include "tests/runtime/streams.h"
#include "runtime/batch/sampler.h"
#include "runtime/io/picture.h"
#include "runtime/io/format.h"

static char err[ERR_MAX];

static void write_bytes(const char *name, const void *bytes, size_t n) {
  FILE *f = fopen(in_root(name), "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, n, f), n);
  fclose(f);
}

/* Pictures of 20 x 12 whose gray value tells their mask: 200 inside a box, 40 outside. */
static void write_pictures(int n) {
  uint8_t gray[240], mask[240];
  char name[64];
  mkdir(in_root("images"), 0777), mkdir(in_root("masks"), 0777);
  for (int k = 0; k < n; k++) {
    for (int i = 0; i < 240; i++)
      mask[i] = i / 12 >= 3 + k % 4 && i / 12 < 12 && i % 12 >= 2 && i % 12 < 9 ? 255 : 0,
      gray[i] = mask[i] ? 200 : 40;
    snprintf(name, sizeof name, "images/case%02d_z%03d.png", k / 2, k);
    assert_true(png_write_gray(in_root(name), gray, 20, 12, err));
    snprintf(name, sizeof name, "masks/case%02d_z%03d.png", k / 2, k);
    assert_true(png_write_gray(in_root(name), mask, 20, 12, err));
  }
}

/* A fresh directory; the one before it goes. */
FIXTURE(fresh) {
  if (scratch_tear_down(state)) return -1;
  strcpy(root + strlen(root) - 6, "XXXXXX");
  return scratch_set_up(state);
}

static char *spec_of(const char *kind) {
  static char spec[128];
  snprintf(spec, sizeof spec, "%s:%s", kind, root);
  return spec;
}

static Sampler *open_sampler(Dataset *d, int source, const char *augment, int stream, uint64_t seed) {
  NetcStream s = stream_of_words(source, augment);
  return sampler_new(d, &s, stream, seed, err);
}

static const DataShape plain = {.spatial = 2, .channels = 1, .size = {20, 12}, .classes = 2};

TEST(a_folder_is_split_by_cases) {
  write_pictures(20);
  Dataset *d = data_open(spec_of("folder"), &plain, err), *e;
  if (!d) fail_msg("%s", err);
  assert_int_equal(d->nitem, 20);
  assert_int_equal(d->ncase, 10);
  assert_int_equal(data_count(d, SPLIT_TEST, false), 4); /* every fifth case, two slices each */
  assert_true(data_split_labeled(d, "25%", 3, err));
  assert_int_equal(data_count(d, SPLIT_TRAIN, true), 4);
  uint8_t few[20];
  for (int i = 0; i < 20; i++) few[i] = d->item[i].labeled && d->item[i].split == SPLIT_TRAIN;
  assert_true(data_split_labeled(d, "50%", 3, err));
  for (int i = 0; i < 20; i++) assert_true(!few[i] || d->item[i].labeled); /* 25 % lies within 50 % */
  for (int i = 0; i < 20; i += 2) assert_int_equal(d->item[i].labeled, d->item[i + 1].labeled); /* by case */
  write_bytes("some.list", "case01\nimages/case02_z004.png\n", 30);
  assert_true(data_split_labeled(d, in_root("some.list"), 0, err) || strstr(err, "is a test case"));
  assert_false(data_split_labeled(d, "0%", 0, err));
  assert_false(data_split_labeled(d, "300%", 0, err));
  assert_false(data_split_labeled(d, "99", 0, err));
  assert_non_null(strstr(err, "8 training cases"));
  assert_false(data_split_labeled(d, "nosuch.list", 0, err));
  data_close(d);
  write_bytes("train.list", "case00\ncase01\n", 14), write_bytes("test.list", "case02_z004\n", 12);
  e = data_open(spec_of("folder"), &plain, err);
  assert_non_null(e);
  assert_int_equal(e->nitem, 5);
  assert_int_equal(data_count(e, SPLIT_TEST, false), 1);
  data_close(e);
  unlink(in_root("train.list")), unlink(in_root("test.list"));
}

TEST(a_sample_is_normalised_and_keeps_its_label) {
  Dataset *d = data_open(spec_of("lits"), &plain, err);
  Sample s;
  if (!d) fail_msg("%s", err);
  assert_true(data_load(d, 0, &s, err));
  assert_memory_equal(s.own.dim, plain.size, 2 * sizeof *s.own.dim);
  double sum = 0, square = 0;
  for (int i = 0; i < 240; i++) {
    sum += (double)s.image[i], square += (double)s.image[i] * (double)s.image[i];
    assert_int_equal(s.label[i], s.image[i] > 0);
  }
  assert_true(fabs(sum) < 1e-3 && fabs(square / 240 - 1) < 1e-4);
  sample_free(&s);
  data_close(d);
}

/* Image and label go through the same flips, turns and crops: the image's sign still tells the label. */
TEST(image_and_label_go_through_the_same_augmentation) {
  Dataset *d = data_open(spec_of("folder"), &plain, err);
  float image[4 * 240], again[4 * 240];
  int32_t label[4 * 240];
  BatchField f[2] = {{NETC_FIELD_IMAGE, 4, image}, {NETC_FIELD_LABEL, 4, label}},
             g = {NETC_FIELD_IMAGE, 4, again};
  assert_true(d && data_split_labeled(d, "50%", 1, err));
  Sampler *s = open_sampler(d, NETC_SRC_LABELED, "flip rot90", 0, 9);
  Sampler *u = open_sampler(d, NETC_SRC_UNLABELED, "flip", 1, 9);
  assert_true(s && u);
  assert_int_equal(sampler_epoch(s, 4), 2);
  int changed = 0;
  for (uint64_t t = 0; t < 20; t++) {
    assert_true(sampler_batch(s, t, f, 2, err));
    for (int i = 0; i < 4 * 240; i++) assert_int_equal(label[i], image[i] > 0);
    if (t == 7) memcpy(again, image, sizeof again);
    if (t == 8) changed = memcmp(again, image, sizeof again) != 0;
  }
  assert_true(changed);
  Sampler *fresh = open_sampler(d, NETC_SRC_LABELED, "flip rot90", 0, 9);
  assert_true(sampler_batch(fresh, 7, f, 2, err)); /* out of order, after a restart */
  assert_memory_equal(image, again, sizeof image);
  assert_true(sampler_batch(u, 0, &g, 1, err));
  sampler_free(s), sampler_free(u), sampler_free(fresh);
  data_close(d);
}

/* Which item an image of write_numbered is. */
static int numbered(const float *image, int64_t n) {
  int most = 0;
  for (int64_t i = 0; i < n; i++) most = image[i] > image[most] ? (int)i : most;
  return most;
}

/* Pictures of one bright pixel, whose place is the number of the item, and so their masks. */
static void write_numbered(int n) {
  uint8_t gray[240];
  char name[64];
  mkdir(in_root("images"), 0777), mkdir(in_root("masks"), 0777);
  for (int k = 0; k < n; k++) {
    memset(gray, 0, sizeof gray);
    gray[k] = 255;
    snprintf(name, sizeof name, "images/case%02d.png", k);
    assert_true(png_write_gray(in_root(name), gray, 20, 12, err));
    snprintf(name, sizeof name, "masks/case%02d.png", k);
    assert_true(png_write_gray(in_root(name), gray, 20, 12, err));
  }
}

/* Where every case is labelled, unlabelled batches bring each training image once a round. */
TEST_WITH(fresh, NULL, unlabelled_batches_bring_each_image_once_a_round) {
  write_numbered(20);
  Dataset *d = data_open(spec_of("folder"), &plain, err);
  if (!d) fail_msg("%s", err);
  int train = data_count(d, SPLIT_TRAIN, false), times[20] = {0};
  assert_int_equal(train, data_count(d, SPLIT_TRAIN, true));
  Sampler *u = open_sampler(d, NETC_SRC_UNLABELED, "", 1, 9);
  if (!u) fail_msg("%s", err);
  assert_int_equal(sampler_epoch(u, 4), train / 4);
  float image[4 * 240];
  BatchField f = {NETC_FIELD_IMAGE, 4, image};
  for (int t = 0; t < train; t++) { /* four rounds */
    assert_true(sampler_batch(u, (uint64_t)t, &f, 1, err));
    for (int k = 0; k < 4; k++) times[numbered(image + (ptrdiff_t)k * 240, 240)]++;
  }
  for (int i = 0; i < 20; i++) assert_int_equal(times[i], d->item[i].split == SPLIT_TRAIN ? 4 : 0);
  sampler_free(u), data_close(d);
}

/* A batch that needs the mask of an image without one says which image that is. */
TEST_WITH(fresh, NULL, an_image_without_a_mask_is_named) {
  float image[240];
  int32_t label[240];
  BatchField f[2] = {{NETC_FIELD_IMAGE, 1, image}, {NETC_FIELD_LABEL, 1, label}};
  write_numbered(20);
  Dataset *d = data_open(spec_of("folder"), &plain, err);
  int last = 19;
  assert_non_null(d);
  while (d->item[last].split != SPLIT_TRAIN) last--;
  char name[64], path[64];
  snprintf(name, sizeof name, "%s", d->item[last].name);
  snprintf(path, sizeof path, "masks/%s.png", name);
  data_close(d);
  assert_int_equal(unlink(in_root(path)), 0);
  assert_non_null(d = data_open(spec_of("folder"), &plain, err));
  Sampler *s = open_sampler(d, NETC_SRC_ALL, "", 0, 9);
  int train = data_count(d, SPLIT_TRAIN, false), t = 0;
  while (t < train && sampler_batch(s, (uint64_t)t, f, 2, err)) t++;
  assert_true(t < train);
  if (!strstr(err, name)) fail_msg("'%s' does not name %s", err, name);
  sampler_free(s), data_close(d);
}

TEST_WITH(fresh, NULL, a_crop_is_zoomed_with_its_label) {
  write_pictures(20);
  Dataset *d = data_open(spec_of("folder"), &plain, err);
  float image[8 * 240];
  int32_t label[8 * 240];
  BatchField f[2] = {{NETC_FIELD_IMAGE, 8, image}, {NETC_FIELD_LABEL, 8, label}};
  Sampler *s = open_sampler(d, NETC_SRC_ALL, "crop flip", 0, 2);
  assert_true(s && sampler_batch(s, 0, f, 2, err));
  int agree = 0;
  for (int i = 0; i < 8 * 240; i++) agree += label[i] == (image[i] > 0.4f), assert_true(isfinite(image[i]));
  assert_true(agree > 8 * 240 * 95 / 100); /* edges are interpolated */
  sampler_free(s), data_close(d);
}

static void expect_failure(const char *spec, const DataShape *shape, const char *part) {
  Dataset *d = data_open(spec, shape, err);
  bool ok = d;
  for (int i = 0; ok && i < d->nitem; i++) {
    Sample s;
    ok = data_load(d, i, &s, err);
    if (ok) sample_free(&s);
  }
  data_close(d);
  if (ok) fail_msg("expected a failure naming '%s'", part);
  if (!strstr(err, part)) fail_msg("'%s' does not mention '%s'", err, part);
}

TEST_WITH(fresh, NULL, what_is_wrong_with_a_file_is_told) {
  write_pictures(20);
  DataShape cube = {.spatial = 3, .channels = 1, .size = {8, 8, 8}, .classes = 2};
  uint8_t gray[240] = {0};
  unsetenv("NETRUN_DATA_UNUSED");
  expect_failure("cifar:/tmp", &plain, "unknown data set");
  expect_failure("lits:/nonexistent/dir", &plain, "/nonexistent/dir");
  expect_failure(spec_of("folder"), &cube, "2-D module");
  assert_true(png_write_gray(in_root("masks/case00_z000.png"), gray, 12, 20, err));
  expect_failure(spec_of("folder"), &plain, "the mask is 12 x 20");
  write_bytes("masks/case00_z000.png", "\x89PNG\r\n\x1a\n half", 13);
  expect_failure(spec_of("folder"), &plain, "case00_z000.png");
  write_bytes("images/case00_z000.png", "GIF89a", 6);
  expect_failure(spec_of("folder"), &plain, "named as PNG, but it holds a GIF picture");
}

static void write_h5(const char *name, const float *image, const uint8_t *label, const hsize_t *dim,
                     const hsize_t *label_dim) {
  hid_t f = H5Fcreate(in_root(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  hid_t s = H5Screate_simple(3, dim, NULL), t = H5Screate_simple(3, label_dim, NULL);
  hid_t a = H5Dcreate2(f, "image", H5T_IEEE_F32LE, s, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  hid_t b = H5Dcreate2(f, "label", H5T_STD_U8LE, t, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  assert_true(H5Dwrite(a, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, image) >= 0);
  assert_true(H5Dwrite(b, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, label) >= 0);
  H5Dclose(a), H5Dclose(b), H5Sclose(s), H5Sclose(t), H5Fclose(f);
}

/* Volumes in HDF5: whole for a 3-D module, slice-wise for a 2-D one, and their faults. */
TEST_WITH(fresh, NULL, volumes_are_read_whole_and_by_slices) {
  DataShape cube = {.spatial = 3, .channels = 1, .size = {8, 8, 8}, .classes = 2};
  hsize_t dim[3] = {10, 9, 7}, other[3] = {7, 9, 10};
  float image[630];
  uint8_t label[630];
  char path[128];
  for (int i = 0; i < 630; i++) label[i] = i % 7 == 3, image[i] = label[i] ? 2.0f : -1.0f;
  for (int k = 0; k < 5; k++) {
    snprintf(path, sizeof path, "case%d", k), mkdir(in_root(path), 0777);
    snprintf(path, sizeof path, "case%d/mri_norm2.h5", k), write_h5(path, image, label, dim, dim);
  }
  Dataset *d = data_open(spec_of("la"), &cube, err);
  Sample s;
  if (!d) fail_msg("%s", err);
  assert_int_equal(d->nitem, 5);
  assert_true(data_load(d, 2, &s, err));
  assert_int_equal(s.dim[0], 10), assert_int_equal(s.dim[2], 7);
  assert_memory_equal(s.image, image, sizeof image);
  assert_memory_equal(s.label, label, sizeof label);
  sample_free(&s);
  float patch[2 * 512];
  int32_t mask[2 * 512];
  BatchField f[2] = {{NETC_FIELD_IMAGE, 2, patch}, {NETC_FIELD_LABEL, 2, mask}};
  Sampler *sampler = open_sampler(d, NETC_SRC_LABELED, "crop flip rot90", 0, 4);
  assert_true(sampler && sampler_batch(sampler, 3, f, 2, err));
  for (int i = 0; i < 2 * 512; i++)
    assert_int_equal(mask[i], patch[i] > 0.5f); /* padding is 0 and background */
  sampler_free(sampler), data_close(d);
  DataShape flat = {.spatial = 2, .channels = 1, .size = {9, 10}, .classes = 2};
  d = data_open(spec_of("la"), &flat, err);
  if (!d) fail_msg("%s", err);
  assert_int_equal(d->nitem, 35);
  assert_true(data_load(d, 3, &s, err));
  assert_int_equal(s.own.dim[0], 9), assert_int_equal(s.own.dim[1], 10);
  for (int i = 0; i < 90; i++) assert_int_equal(s.own_label[i], 1), assert_int_equal(s.label[i], 1);
  sample_free(&s);
  data_close(d);
  write_h5("case1/mri_norm2.h5", image, label, dim, other);
  expect_failure(spec_of("la"), &cube, "the mask is 7 x 9 x 10");
  image[100] = NAN;
  write_h5("case1/mri_norm2.h5", image, label, dim, dim);
  expect_failure(spec_of("la"), &cube, "element 100");
  assert_int_equal(truncate(in_root("case1/mri_norm2.h5"), 900), 0);
  expect_failure(spec_of("la"), &cube, "case1/mri_norm2.h5");
}

static bool write_mask(const char *name, int spatial, const int64_t dim[3], const uint8_t *mask) {
  Written what = {.spatial = spatial, .grid = grid_plain(dim, NULL), .mask = mask, .classes = 2};
  return image_write(in_root(name), NULL, &what, err);
}

TEST_WITH(fresh, NULL, masks_that_are_written_read_back) {
  int64_t dim[3] = {5, 4, 3}, flat[3] = {5, 4, 1};
  uint8_t mask[60];
  Image v;
  const Wish wish = {.as = READ_NUMBERS};
  for (int i = 0; i < 60; i++) mask[i] = i % 3 == 1;
  if (!write_mask("out.nii.gz", 3, dim, mask)) fail_msg("%s", err);
  assert_true(image_read(in_root("out.nii.gz"), &wish, &v, err));
  assert_memory_equal(v.grid.dim, dim, sizeof dim);
  for (int i = 0; i < 60; i++) assert_int_equal((int)v.value[i], mask[i]);
  image_free(&v);
  assert_true(write_mask("out.png", 2, flat, mask));
  assert_true(image_read(in_root("out.png"), &wish, &v, err));
  assert_int_equal((int)v.value[1], 255), assert_int_equal((int)v.value[0], 0);
  image_free(&v);
  assert_false(write_mask("nodir/out.nii.gz", 3, dim, mask));
  assert_false(write_mask("out.gif", 2, flat, mask));
}

TEST(the_phantom_is_the_same_every_time) {
  for (int spatial = 2; spatial <= 3; spatial++) {
    DataShape shape = {.spatial = spatial, .channels = 1, .size = {32, 32, 16}, .classes = 2};
    Dataset *d = data_open("phantom", &shape, err);
    Sample a, b;
    assert_non_null(d);
    assert_int_equal(data_count(d, SPLIT_TEST, false), 16);
    for (int k = 0; k < 8; k++) {
      assert_true(data_load(d, k, &a, err) && data_load(d, k, &b, err));
      int64_t n = a.dim[0] * a.dim[1] * (spatial == 3 ? a.dim[2] : 1), fore = 0;
      assert_memory_equal(a.image, b.image, (size_t)n * sizeof *a.image);
      for (int64_t i = 0; i < n; i++) fore += a.label[i];
      assert_true(fore > n / 50 && fore < n / 3);
      sample_free(&a), sample_free(&b);
    }
    data_close(d);
  }
}

/* Every layout of the real data that is at hand. */
TEST(every_layout_of_real_data_is_read) {
  const char *base = getenv("NETRUN_DATA");
  static const struct {
    const char *spec, *sub;
    int spatial, channels;
  } set[] = {{"lits", "lits/slices", 2, 1},   {"lits", "lits/volumes", 2, 1},
             {"isic2018", "isic2018", 2, 3},  {"la", "la", 3, 1},
             {"folder", "hippocampus", 3, 1}, {"la", "la", 2, 1}};
  if (!base || !*base) {
    print_message("NETRUN_DATA is not set: real images not tested\n");
    skip();
  }
  for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
    char spec[512];
    DataShape shape = {.spatial = set[i].spatial,
                       .channels = set[i].channels,
                       .size = {64, 64, 32},
                       .classes = strcmp(set[i].sub, "hippocampus") ? 2 : 3};
    snprintf(spec, sizeof spec, "%s:%s/%s", set[i].spec, base, set[i].sub);
    if (access(strchr(spec, ':') + 1, F_OK)) {
      print_message("%s: not there, not tested\n", spec);
      continue;
    }
    Dataset *d = data_open(spec, &shape, err);
    Sample s;
    if (!d) fail_msg("%s", err);
    print_message("%s: %d items, %d cases, %d train, %d test\n", spec, d->nitem, d->ncase,
                  data_count(d, SPLIT_TRAIN, false), data_count(d, SPLIT_TEST, false));
    for (int k = 0; k < 3; k++) {
      if (!data_load(d, k * (d->nitem - 1) / 2, &s, err)) fail_msg("%s", err);
      assert_non_null(s.label);
      sample_free(&s);
    }
    assert_true(data_split_labeled(d, "10%", 1, err));
    data_close(d);
  }
}

/* docs/formats.md has a row for every format, as the table says. */
TEST(every_format_is_described) {
  static const char *const holds[] = {"pictures", "volumes", "pictures, volumes"};
  char *text = read_text("docs/formats.md"), row[256];
  assert_non_null(text);
  for (int i = 0; format_table[i]; i++) {
    const Format *f = format_table[i];
    int n = snprintf(row, sizeof row, "| %s | ", f->name);
    for (int e = 0; f->ending[e]; e++)
      n += snprintf(row + n, sizeof row - (size_t)n, "%s`%s`", e ? ", " : "", f->ending[e]);
    snprintf(row + n, sizeof row - (size_t)n, " | %s | %s |\n", holds[f->holds], f->write ? "yes" : "no");
    if (!strstr(text, row)) fail_msg("docs/formats.md lacks the row %s", row);
  }
  free(text);
}

RUN_TESTS(scratch_set_up, scratch_tear_down)
