/* test_pictures.c - pictures of every kind hold what tests/fixtures/pictures.py put into them; damaged ones
 * are an error or a picture, never a crash. */
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include "runtime/base/file.h"
#include "runtime/io/format.h"
#include "runtime/io/picture.h"
#include "runtime/io/picture/stored.h"
#include "runtime/prepare/intensity.h"
#include "runtime/prepare/prepare.h"
#include "tests/scratch.h"
#include "tests/test.h"

#define FIXTURES "tests/fixtures/pictures"

static char err[ERR_MAX];

static ReadAs read_as(const char *word) {
  return !strcmp(word, "image") ? READ_IMAGE : !strcmp(word, "numbers") ? READ_NUMBERS : READ_COLOURS;
}

/* ---- expected.txt ---- */

typedef struct {
  char name[64], as[16];
  int spatial, channels;
  long long dim[3];
  double full, tolerance;
  Image image;
  Notes notes;
} Reading;

static bool is_noted(const Notes *notes, const char *text) {
  for (int i = 0; i < notes->n; i++)
    if (strstr(notes->text[i], text)) return true;
  return false;
}

static void check_shape(const Reading *r, const Image *image) {
  const int64_t *dim = image->grid.dim;
  if (image->spatial != r->spatial || image->channels != r->channels || dim[0] != r->dim[0] ||
      dim[1] != r->dim[1] || dim[2] != r->dim[2])
    fail_msg("%s as %s: %d-D, %d of %lld x %lld x %lld", r->name, r->as, image->spatial, image->channels,
             (long long)dim[0], (long long)dim[1], (long long)dim[2]);
  if (image->full != r->full) fail_msg("%s as %s: white is %g, not %g", r->name, r->as, image->full, r->full);
}

static void begin_reading(Reading *r, const char *line) {
  char path[128];
  Image header;
  image_free(&r->image), notes_free(&r->notes), notes_init(&r->notes);
  int n = sscanf(line, "read %63s %15s %d %d %lld %lld %lld %lf %lf", r->name, r->as, &r->spatial,
                 &r->channels, &r->dim[0], &r->dim[1], &r->dim[2], &r->full, &r->tolerance);
  assert_int_equal(n, 9);
  snprintf(path, sizeof path, FIXTURES "/%s", r->name);
  Wish wish = {.as = read_as(r->as), .header = true};
  if (!image_read(path, &wish, &header, err)) fail_msg("%s as %s: %s", r->name, r->as, err);
  assert_null(header.value);
  check_shape(r, &header);
  wish.header = false, wish.notes = &r->notes;
  if (!image_read(path, &wish, &r->image, err)) fail_msg("%s as %s: %s", r->name, r->as, err);
  check_shape(r, &r->image);
}

static void check_values(const Reading *r, char *text) {
  int64_t n = grid_count(&r->image.grid) * r->image.channels;
  for (int64_t i = 0; i < n; i++) {
    char *end;
    double want = (double)strtof(text, &end), got = (double)r->image.value[i];
    if (end == text) fail_msg("%s as %s: %lld values expected", r->name, r->as, (long long)i);
    if (!(fabs(want - got) <= r->tolerance))
      fail_msg("%s as %s: value %lld is %.9g, not %.9g", r->name, r->as, (long long)i, got, want);
    text = end;
  }
  assert_int_equal(*text, '\n');
}

static void check_error(const char *line) {
  char name[64], as[16], path[128], text[256];
  Image image;
  assert_int_equal(sscanf(line, "error %63s %15s %255[^\n]", name, as, text), 3);
  snprintf(path, sizeof path, FIXTURES "/%s", name);
  if (image_read(path, &(Wish){.as = read_as(as)}, &image, err)) fail_msg("%s as %s is read", name, as);
  assert_null(image.value);
  if (!strstr(err, text) || !strstr(err, path)) fail_msg("%s as %s: %s; expected: %s", name, as, err, text);
}

TEST(pictures_of_every_kind_hold_what_was_put_into_them) {
  FILE *f = fopen(FIXTURES "/expected.txt", "r");
  char *line = NULL;
  size_t room = 0;
  int readings = 0;
  Reading r = {.spatial = 0};
  double mm[3];
  notes_init(&r.notes);
  assert_non_null(f);
  for (; getline(&line, &room, f) > 0; readings++) {
    if (!strncmp(line, "read ", 5)) begin_reading(&r, line);
    else if (!strncmp(line, "values ", 7)) check_values(&r, line + 7);
    else if (!strncmp(line, "error ", 6)) check_error(line);
    else if (!strncmp(line, "note ", 5)) {
      line[strlen(line) - 1] = 0;
      if (!is_noted(&r.notes, line + 5)) fail_msg("%s: no note of: %s", r.name, line + 5);
    } else if (sscanf(line, "spacing %lf %lf %lf", &mm[0], &mm[1], &mm[2]) == 3) {
      for (int a = 0; a < 3; a++) assert_true(fabs(grid_spacing(&r.image.grid, a) - mm[a]) < 1e-9 * mm[a]);
    } else fail_msg("expected.txt: %s", line);
  }
  assert_true(readings > 100);
  image_free(&r.image), notes_free(&r.notes), free(line), fclose(f);
}

/* ---- notes ---- */

TEST(pictures_without_oddities_are_read_without_notes) {
  static const char *const plain[] = {"grey1.png", "gamma.png", "rgb.png",
                                      "equal.png", "rgb.jpg",   "progressive.jpg"};
  Notes notes;
  Image image;
  char path[128];
  notes_init(&notes);
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
    snprintf(path, sizeof path, FIXTURES "/%s", plain[i]);
    if (!image_read(path, &(Wish){.notes = &notes}, &image, err)) fail_msg("%s", err);
    image_free(&image);
  }
  if (notes.n) fail_msg("%s", notes.text[0]);
  notes_free(&notes);
}

TEST(lossy_files_are_known_by_how_they_are_packed) {
  static const struct {
    const char *name;
    bool lossy;
  } files[] = {{"grey.jpg", true}, {"jpeg.tif", true}, {"png.jpg", false}, {"tiff_lzw.tif", false}};
  Image image;
  char path[128];
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    snprintf(path, sizeof path, FIXTURES "/%s", files[i].name);
    if (!image_read(path, &(Wish){.header = true}, &image, err)) fail_msg("%s", err);
    if (image.lossy != files[i].lossy) fail_msg("%s is %slossy", path, image.lossy ? "" : "not ");
  }
}

TEST(pictures_are_prepared_with_their_own_white) {
  static char name[] = FIXTURES "/rgb16.png";
  char *path = name;
  const Files files = {.image = &path, .nimage = 1};
  const Ask ask = {.recipe = &recipe_plain, .spatial = 2, .channels = 3, .classes = 2};
  PreparedPicture p;
  if (!prepare_picture(&files, &ask, &p, err)) fail_msg("%s", err);
  float v[1] = {65535};
  picture_intensities(v, 1, 0, 3, p.full, ask.recipe);
  assert_true(fabs((double)v[0] - (1 - 0.485) / 0.229) < 1e-5);
  image_free(&p.image);
}

/* ---- damaged files ---- */

static void write_bytes(const char *path, const void *data, size_t size) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(data, 1, size, f), size);
  assert_int_equal(fclose(f), 0);
}

/* Reads what may be read of it; true: it was a picture. */
static bool survives(const char *path) {
  bool read = false;
  for (ReadAs as = READ_IMAGE; as <= READ_COLOURS; as++) {
    Image image;
    *err = 0;
    if (image_read(path, &(Wish){.as = as}, &image, err)) {
      volatile float sum = 0;
      for (int64_t i = 0; i < grid_count(&image.grid) * image.channels; i++) sum = sum + image.value[i];
      read = true;
    } else {
      assert_true(strstr(err, path) != NULL);
      assert_null(image.value);
    }
    image_free(&image);
  }
  return read;
}

static const char *const victims[] = {"rgb.png",      "palette2.png",    "turned.png",  "rgb.jpg",
                                      "turned6.jpg",  "progressive.jpg", "pages.tif",   "rgb_tiles.tif",
                                      "palette.tif",  "imagej.tif",      "ome.tif",     "jpeg.tif",
                                      "group4.tif",   "tiff_lzw.tif",    "ycbcr.tif",   "zstd.tif",
                                      "palette4.bmp", "rgb24.bmp",       "masks32.bmp", "core.bmp"};

static bool equal(const char *a, const char *b) {
  Image x, y;
  if (!image_read(a, &(Wish){.as = READ_IMAGE}, &x, err) ||
      !image_read(b, &(Wish){.as = READ_IMAGE}, &y, err))
    fail_msg("%s", err);
  size_t size = (size_t)(grid_count(&x.grid) * x.channels) * sizeof *x.value;
  bool same = grid_count(&x.grid) == grid_count(&y.grid) && !memcmp(x.value, y.value, size);
  image_free(&x), image_free(&y);
  return same;
}

/* What lies behind the pixels may be missing. */
TEST(a_picture_that_is_cut_short_is_an_error_or_whole) {
  for (size_t k = 0; k < sizeof victims / sizeof *victims; k++) {
    char path[128];
    Bytes whole;
    snprintf(path, sizeof path, FIXTURES "/%s", victims[k]);
    if (!file_map(path, &whole, err)) fail_msg("%s", err);
    const char *cut = in_root(victims[k]);
    for (size_t size = 0; size + 10 < whole.size; size += 10) {
      write_bytes(cut, whole.data, size);
      if (survives(cut) && !equal(cut, path))
        fail_msg("%s: %zu of %zu bytes are read as another picture", victims[k], size, whole.size);
    }
    file_unmap(&whole);
  }
}

TEST(a_picture_with_a_wrong_byte_does_no_harm) {
  for (size_t k = 0; k < sizeof victims / sizeof *victims; k++) {
    char path[128];
    Bytes whole;
    snprintf(path, sizeof path, FIXTURES "/%s", victims[k]);
    if (!file_map(path, &whole, err)) fail_msg("%s", err);
    const char *damaged = in_root(victims[k]);
    uint8_t *copy = malloc(whole.size);
    for (size_t at = 0; at < whole.size; at += whole.size / 100 + 1)
      for (int bit = 0; bit < 8; bit += 3) {
        memcpy(copy, whole.data, whole.size);
        copy[at] ^= (uint8_t)(1 << bit);
        write_bytes(damaged, copy, whole.size);
        survives(damaged);
      }
    free(copy);
    file_unmap(&whole);
  }
}

/* ---- EXIF ---- */

TEST(a_damaged_exif_block_has_no_orientation) {
  static const uint8_t good[] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 8, 0, 0};
  uint8_t bad[sizeof good];
  assert_int_equal(exif_orientation(good, sizeof good), 8);
  for (size_t n = 0; n < sizeof good; n++) assert_int_equal(exif_orientation(good, n), 0);
  memcpy(bad, good, sizeof good), bad[19] = 9;
  assert_int_equal(exif_orientation(bad, sizeof bad), 0);
  memcpy(bad, good, sizeof good), bad[4] = 255; /* the directory lies outside */
  assert_int_equal(exif_orientation(bad, sizeof bad), 0);
  memcpy(bad, good, sizeof good), bad[10] = 2; /* another tag */
  assert_int_equal(exif_orientation(bad, sizeof bad), 1);
}

/* ---- masks ---- */

static void check_written(int64_t classes, const int32_t *value, const uint8_t *mask, const int32_t want[3],
                          double full) {
  static const char *const names[] = {"mask.png", "mask.tif"};
  Written what = {
      .spatial = 2, .grid = grid_plain((int64_t[]){2, 3, 1}, NULL), .mask = mask, .classes = classes};
  Image image;
  what.value = value;
  for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
    if (!image_write(in_root(names[k]), NULL, &what, err)) fail_msg("%s", err);
    if (!image_read(in_root(names[k]), &(Wish){.as = READ_NUMBERS}, &image, err)) fail_msg("%s", err);
    for (int i = 0; i < 6; i++) assert_int_equal((int)image.value[i], want[mask[i]]);
    assert_true(image.full == full);
    image_free(&image);
  }
}

TEST(masks_have_one_coding_for_one_module) {
  static const uint8_t two[6] = {0, 1, 1, 0, 1, 0}, three[6] = {0, 1, 2, 2, 1, 0}, none[6] = {0};
  check_written(2, NULL, two, (int32_t[]){0, 255, 0}, 255);
  check_written(3, NULL, two, (int32_t[]){0, 1, 2}, 255);
  check_written(3, (int32_t[]){0, 50, 100}, three, (int32_t[]){0, 50, 100}, 255);
  check_written(2, (int32_t[]){7, 1}, two, (int32_t[]){7, 1, 0}, 255);
  check_written(3, (int32_t[]){0, 300, 65535}, three, (int32_t[]){0, 300, 65535}, 65535);
  check_written(3, (int32_t[]){0, 300, 65535}, none, (int32_t[]){0, 300, 65535}, 65535);
}

TEST(a_volume_written_as_tiff_has_its_slices_and_spacing) {
  const double mm[3] = {0.5, 0.25, 3};
  uint8_t mask[24];
  Written what = {.spatial = 3, .grid = grid_plain((int64_t[]){2, 3, 4}, mm), .mask = mask, .classes = 2};
  Image image;
  for (int i = 0; i < 24; i++) mask[i] = i % 5 == 1 || i > 20;
  if (!image_write(in_root("volume.tif"), NULL, &what, err)) fail_msg("%s", err);
  if (!image_read(in_root("volume.tif"), &(Wish){.as = READ_NUMBERS}, &image, err)) fail_msg("%s", err);
  assert_int_equal(image_spatial(in_root("volume.tif"), err), 3);
  assert_memory_equal(image.grid.dim, what.grid.dim, sizeof what.grid.dim);
  for (int i = 0; i < 24; i++) assert_int_equal((int)image.value[i], mask[i]);
  for (int a = 0; a < 3; a++) assert_true(fabs(grid_spacing(&image.grid, a) - mm[a]) < 1e-6);
  image_free(&image);
  what.grid.placed = true;
  assert_false(image_write(in_root("placed.tif"), NULL, &what, err));
  assert_non_null(strstr(err, "does not hold where a volume lies"));
  assert_false(file_exists(in_root("placed.tif")));
}

TEST(values_that_png_does_not_hold_are_refused) {
  static const uint8_t mask[1] = {0};
  Written what = {.spatial = 2, .grid = grid_plain((int64_t[]){1, 1, 1}, NULL), .mask = mask, .classes = 2};
  what.value = (int32_t[]){0, 65536};
  assert_false(image_write(in_root("big.png"), NULL, &what, err));
  assert_non_null(strstr(err, "class 1 is to be written as 65536; PNG holds 0..65535"));
  what.value = (int32_t[]){-1, 1};
  assert_false(image_write(in_root("big.png"), NULL, &what, err));
  assert_false(file_exists(in_root("big.png")));
}

RUN_TESTS(scratch_set_up, scratch_tear_down)
