/* test_volumes.c - volumes of every format, against what nibabel and SimpleITK read (written down by
 * tests/fixtures/volumes.py); masks that are written; damaged files. */
#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "tests/scratch.h"
#include "tests/text.h"
#include "runtime/io/format.h"

static char err[ERR_MAX];

static void write_file(const char *name, const void *bytes, size_t n) {
  remove(in_root(name)); /* a new file: ext4 brings one that is cut and written again to the disk at once */
  FILE *f = fopen(in_root(name), "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, n, f), n);
  fclose(f);
}

static size_t read_file(const char *name, uint8_t *out, size_t room) {
  FILE *f = fopen(in_root(name), "rb");
  assert_non_null(f);
  size_t n = fread(out, 1, room, f);
  fclose(f);
  return n;
}

/* ---- what other libraries read ---- */

/* `NAME HEX`, zN; for N zeros, becomes a file. */
static void unpack(char *line) {
  static uint8_t bytes[1 << 16];
  char *name = strsep(&line, " ");
  size_t n = 0;
  unsigned value;
  while (*line) {
    assert_true(n < sizeof bytes);
    if (*line == 'z') {
      size_t zeros = strtoul(line + 1, &line, 10);
      assert_true(*line++ == ';' && zeros <= sizeof bytes - n);
      memset(bytes + n, 0, zeros), n += zeros;
    } else {
      assert_int_equal(sscanf(line, "%2x", &value), 1);
      bytes[n++] = (uint8_t)value, line += 2;
    }
  }
  write_file(name, bytes, n);
}

typedef struct {
  char file[64], error[128], note[128];
  Wish wish;
  Image image;
} Reading;

static void expect(Reading *r, char *line) {
  char *word = strsep(&line, " ");
  if (!strcmp(word, "file")) snprintf(r->file, sizeof r->file, "%s", line);
  else if (!strcmp(word, "read")) r->wish.as = strcmp(line, "numbers") ? READ_IMAGE : READ_NUMBERS;
  else if (!strcmp(word, "error")) snprintf(r->error, sizeof r->error, "%s", line);
  else if (!strcmp(word, "note")) snprintf(r->note, sizeof r->note, "%s", line);
  else if (!strcmp(word, "channels")) r->image.channels = atoi(line);
  else if (!strcmp(word, "placed")) r->image.grid.placed = atoi(line);
  else if (!strcmp(word, "dim"))
    for (int a = 0; a < 3; a++) r->image.grid.dim[a] = strtol(line, &line, 10);
  else if (!strcmp(word, "affine"))
    for (int i = 0; i < 12; i++) r->image.grid.to_mm[i / 4][i % 4] = strtod(line, &line);
  else if (!strcmp(word, "values")) {
    int64_t n = grid_count(&r->image.grid) * r->image.channels;
    r->image.value = malloc((size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++) r->image.value[i] = strtof(line, &line);
  } else fail_msg("expected file: %s", word);
}

static void compare(const Reading *r, const Image *got) {
  const Image *want = &r->image;
  assert_int_equal(got->spatial, 3);
  if (got->channels != want->channels) fail_msg("%s: %d channels", r->file, got->channels);
  if (got->grid.placed != want->grid.placed) fail_msg("%s: placed %d", r->file, got->grid.placed);
  for (int a = 0; a < 3; a++)
    if (got->grid.dim[a] != want->grid.dim[a]) fail_msg("%s: axis %d differs", r->file, a);
  for (int i = 0; i < 12; i++) {
    double a = got->grid.to_mm[i / 4][i % 4], b = want->grid.to_mm[i / 4][i % 4];
    if (!(fabs(a - b) <= 1e-4)) fail_msg("%s: to_mm[%d][%d] is %g, not %g", r->file, i / 4, i % 4, a, b);
  }
  int64_t n = grid_count(&want->grid) * want->channels;
  for (int64_t i = 0; got->value && i < n; i++)
    if (got->value[i] != want->value[i])
      fail_msg("%s: value %d is %.9g, not %.9g", r->file, (int)i, (double)got->value[i],
               (double)want->value[i]);
}

static bool has_note(const Notes *notes, const char *text) {
  for (int i = 0; i < notes->n; i++)
    if (strstr(notes->text[i], text)) return true;
  return false;
}

/* A file is read as the block says; its header alone gives the same but the values. */
static void check_reading(Reading *r) {
  Image got, header;
  Notes notes;
  notes_init(&notes);
  r->wish.notes = &notes;
  bool ok = image_read(in_root(r->file), &r->wish, &got, err);
  if (*r->error) {
    if (ok) fail_msg("%s is read", r->file);
    if (!strstr(err, r->error)) fail_msg("expected %s, found %s", r->error, err);
    assert_null(got.value);
  } else {
    if (!ok) fail_msg("%s", err);
    if (*r->note && !has_note(&notes, r->note)) fail_msg("%s: no note %s", r->file, r->note);
    if (!*r->note && notes.n) fail_msg("%s", notes.text[0]);
    compare(r, &got);
    image_free(&got);
    assert_true(image_read(in_root(r->file), &(Wish){.as = r->wish.as, .header = true}, &header, err));
    assert_null(header.value);
    compare(r, &header);
  }
  notes_free(&notes), image_free(&r->image);
  *r = (Reading){.file = ""};
}

TEST(files_of_other_libraries_hold_what_these_read_from_them) {
  char *text = read_text("tests/fixtures/volumes.txt"), *rest = text, *line;
  Reading r = {.file = ""};
  int readings = 0;
  assert_non_null(text);
  while ((line = strsep(&rest, "\n"))) {
    if (!strncmp(line, "bytes ", 6)) unpack(line + 6);
    else if (*line) expect(&r, line);
    else if (*r.file) check_reading(&r), readings++;
  }
  assert_true(readings > 130);
  free(text);
}

/* ---- masks ---- */

static const char *const written[] = {".nii", ".nii.gz", ".nrrd", ".mha"};
enum { WRITTEN = sizeof written / sizeof *written };

/* A grid with axes of different lengths that stands askew. */
static Grid askew(int64_t x, int64_t y, int64_t z) {
  return (Grid){
      .dim = {x, y, z}, .to_mm = {{0, 0.6, -1.6, 7}, {-0.7, 0, 0, -8}, {0, 0.8, 1.2, 9}}, .placed = true};
}

static void same_grid(const Grid *a, const Grid *b) {
  assert_int_equal(a->placed, b->placed);
  for (int i = 0; i < 3; i++) assert_int_equal(a->dim[i], b->dim[i]);
  for (int i = 0; i < 12; i++) assert_true(fabs(a->to_mm[i / 4][i % 4] - b->to_mm[i / 4][i % 4]) < 1e-4);
}

static void round_trip(const char *name, const Written *what) {
  Image back;
  Notes notes;
  notes_init(&notes);
  if (!image_write(in_root(name), NULL, what, err)) fail_msg("%s", err);
  ReadAs as = what->mask ? READ_NUMBERS : READ_IMAGE;
  if (!image_read(in_root(name), &(Wish){.as = as, .notes = &notes}, &back, err)) fail_msg("%s", err);
  if (notes.n) fail_msg("%s", notes.text[0]);
  same_grid(&back.grid, &what->grid);
  int64_t n = grid_count(&what->grid) * (what->mask ? 1 : what->channels);
  assert_int_equal(back.channels, what->mask ? 1 : what->channels);
  for (int64_t i = 0; i < n; i++) {
    float want =
        what->mask ? (float)(what->value ? what->value[what->mask[i]] : what->mask[i]) : what->prob[i];
    if (back.value[i] != want)
      fail_msg("%s: value %d is %g, not %g", name, (int)i, (double)back.value[i], (double)want);
  }
  image_free(&back), notes_free(&notes);
}

TEST(what_is_written_is_read_back) {
  static const int32_t small[] = {0, -1, 300}, large[] = {0, 70000, -5};
  static const int64_t extents[][3] = {{5, 4, 3}, {1, 1, 1}, {300, 3, 70}, {2, 9, 16}, {3, 2, 130}};
  for (int f = 0; f < WRITTEN; f++)
    for (int e = 0; e < 5; e++) {
      Grid g = askew(extents[e][0], extents[e][1], extents[e][2]);
      int64_t n = grid_count(&g);
      uint8_t *mask = malloc((size_t)n);
      float *prob = malloc((size_t)(3 * n) * sizeof *prob);
      char name[32];
      snprintf(name, sizeof name, "m%s", written[f]);
      for (int64_t i = 0; i < n; i++) mask[i] = (uint8_t)(i * 7 % 11 % 3);
      for (int64_t i = 0; i < 3 * n; i++) prob[i] = (float)(i % 1013) / 1013;
      round_trip(name, &(Written){3, 1, g, .mask = mask, .classes = 3});
      round_trip(name, &(Written){3, 1, g, .mask = mask, .classes = 3, .value = small});
      round_trip(name, &(Written){3, 1, g, .mask = mask, .classes = 3, .value = large});
      round_trip(name, &(Written){3, 3, g, .prob = prob, .classes = 3});
      g.placed = false;
      for (int i = 0; i < 12; i++) g.to_mm[i / 4][i % 4] = i % 5 ? 0 : 0.5 + i;
      round_trip(name, &(Written){3, 1, g, .mask = mask, .classes = 3});
      free(mask), free(prob);
    }
}

TEST(extents_beyond_those_of_the_first_version_are_written_in_the_second) {
  Grid g = askew(40000, 1, 2);
  uint8_t *mask = calloc(80000, 1), head[4];
  mask[79999] = 1;
  round_trip("long.nii", &(Written){3, 1, g, .mask = mask, .classes = 2});
  assert_int_equal(read_file("long.nii", head, 4), 4);
  assert_memory_equal(head, "\x1c\x02\0\0", 4);
  free(mask);
}

/* Masks on the grids of the volumes of a folder, for tests/fixtures/volumes.py: each with its input's header
 * (NAME.like.ENDING) and without (NAME.alone.ENDING), and two probabilities (NAME.prob.ENDING). */
static void write_masks(const char *source) {
  Image image;
  char name[600];
  if (!image_read(source, &(Wish){.as = READ_NUMBERS}, &image, err)) fail_msg("%s", err);
  int64_t n = grid_count(&image.grid);
  uint8_t *mask = malloc((size_t)n);
  for (int64_t i = 0; i < n; i++) mask[i] = (uint8_t)image.value[i];
  Written what = {3, 1, image.grid, .mask = mask, .classes = 256};
  float *prob = malloc((size_t)(2 * n) * sizeof *prob);
  for (int64_t i = 0; i < n; i++) prob[i] = (float)mask[i] / 8, prob[n + i] = 1 - prob[i];
  for (int f = 0; f < WRITTEN; f++) {
    snprintf(name, sizeof name, "%s.prob%s", source, written[f]);
    if (!image_write(name, NULL, &(Written){3, 2, image.grid, .prob = prob, .classes = 2}, err))
      fail_msg("%s", err);
    for (int like = 0; like < 2; like++) {
      snprintf(name, sizeof name, "%s.%s%s", source, like ? "like" : "alone", written[f]);
      if (!image_write(name, like ? source : NULL, &what, err)) fail_msg("%s", err);
    }
  }
  free(mask), free(prob), image_free(&image);
}

TEST(masks_of_a_folder_are_written) {
  const char *folder = getenv("VOLUMES_IN");
  if (!folder) skip();
  DIR *d = opendir(folder);
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d));) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    bool ours = strstr(path, ".like.") || strstr(path, ".alone.") || strstr(path, ".prob.");
    if (format_of(path) && !ours && !strstr(path, ".img")) write_masks(path);
  }
  closedir(d);
}

TEST(a_mask_that_cannot_be_written_leaves_nothing) {
  enum { N = 64 };
  uint8_t *mask = malloc(N * N * N), old[8];
  uint32_t state = 1;
  for (int i = 0; i < N * N * N; i++) mask[i] = (uint8_t)((state = state * 1664525 + 1013904223) >> 24);
  Written what = {3, 1, askew(N, N, N), .mask = mask, .classes = 256};
  struct rlimit limit, small;
  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &limit);
  small = limit, small.rlim_cur = 4096;
  for (int f = 0; f < WRITTEN; f++) {
    char name[32], temporary[40];
    snprintf(name, sizeof name, "full%s", written[f]), snprintf(temporary, sizeof temporary, "%s.tmp", name);
    write_file(name, "before", 6);
    setrlimit(RLIMIT_FSIZE, &small);
    bool ok = image_write(in_root(name), NULL, &what, err);
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_false(ok);
    assert_non_null(strstr(err, "File too large"));
    assert_int_equal(read_file(name, old, sizeof old), 6);
    assert_memory_equal(old, "before", 6);
    assert_int_not_equal(access(in_root(temporary), F_OK), 0);
  }
  assert_false(image_write(in_root("pair.hdr"), NULL, &what, err));
  assert_non_null(strstr(err, ".nii.gz"));
  assert_false(image_write(in_root("absent/m.nii"), NULL, &what, err));
  free(mask);
}

/* ---- damage ---- */

/* Every length of a file is read to the voxels' end, or is an error that names it. */
static void cut_everywhere(const char *name, size_t complete) {
  static uint8_t bytes[1 << 16];
  size_t n = read_file(name, bytes, sizeof bytes);
  const char *dot = strchr(name, '.');
  char cut[64];
  snprintf(cut, sizeof cut, "cut%s", dot);
  for (size_t k = 0; k < n; k++) {
    Image image;
    write_file(cut, bytes, k);
    bool ok = image_read(in_root(cut), &(Wish){.as = READ_IMAGE}, &image, err);
    if (ok && k < complete) fail_msg("%s: read though only %zu of %zu bytes are there", name, k, n);
    if (!ok && !strstr(err, cut)) fail_msg("%s", err);
    if (ok) image_free(&image);
  }
}

TEST(files_that_are_cut_short_are_errors_that_count_bytes) {
  Grid g = askew(7, 5, 3);
  uint8_t mask[105], bytes[700];
  Image image;
  for (int i = 0; i < 105; i++) mask[i] = (uint8_t)(i * i);
  Written what = {3, 1, g, .mask = mask, .classes = 256};
  for (int f = 0; f < WRITTEN; f++) {
    char name[32];
    snprintf(name, sizeof name, "whole%s", written[f]);
    assert_true(image_write(in_root(name), NULL, &what, err));
    cut_everywhere(name, read_file(name, bytes, sizeof bytes));
  }
  size_t n = read_file("whole.nii", bytes, sizeof bytes);
  write_file("cut.nii", bytes, n - 40);
  assert_false(image_read(in_root("cut.nii"), &(Wish){.as = READ_IMAGE}, &image, err));
  assert_non_null(strstr(err, "expected 105 bytes of voxels, the file has 65"));
}

TEST(a_wrong_checksum_is_damage) {
  uint8_t mask[105] = {1, 2, 3}, bytes[700];
  Image image;
  Written what = {3, 1, askew(7, 5, 3), .mask = mask, .classes = 256};
  assert_true(image_write(in_root("sum.nii.gz"), NULL, &what, err));
  size_t n = read_file("sum.nii.gz", bytes, sizeof bytes);
  bytes[n - 7] ^= 1;
  write_file("sum.nii.gz", bytes, n);
  assert_false(image_read(in_root("sum.nii.gz"), &(Wish){.as = READ_IMAGE}, &image, err));
  assert_non_null(strstr(err, "damaged"));
}

/* Any bytes in place of any of the header's end in a volume or an error, never in memory for what is not
 * there. */
static void spoil(const char *name, const char *spoilt) {
  static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff, '-', '9', ' '};
  uint8_t bytes[1000];
  Image image;
  size_t n = read_file(name, bytes, sizeof bytes);
  for (size_t k = 0; k + 1 < n && k < 400; k++)
    for (int v = 0; v < 16; v++) {
      uint8_t keep[2] = {bytes[k], bytes[k + 1]};
      bytes[k] = odd[v % 8];
      if (v >= 8) bytes[k + 1] = odd[v % 8];
      write_file(spoilt, bytes, n);
      if (image_read(in_root(spoilt), &(Wish){.as = READ_IMAGE}, &image, err)) image_free(&image);
      bytes[k] = keep[0], bytes[k + 1] = keep[1];
    }
}

TEST(absurd_headers_are_errors) {
  uint8_t mask[105] = {1, 2, 3}, bytes[700];
  Written what = {3, 1, askew(7, 5, 3), .mask = mask, .classes = 256};
  Image image;
  for (int f = 0; f < WRITTEN; f++) {
    char name[32], spoilt[32];
    snprintf(name, sizeof name, "odd%s", written[f]), snprintf(spoilt, sizeof spoilt, "absurd%s", written[f]);
    assert_true(image_write(in_root(name), NULL, &what, err));
    spoil(name, spoilt);
  }
  size_t n = read_file("odd.nii", bytes, sizeof bytes);
  for (int a = 0; a < 8; a++) bytes[40 + 2 * a] = a ? 0xff : 7, bytes[41 + 2 * a] = a ? 0x7f : 0;
  write_file("absurd.nii", bytes, n);
  assert_false(image_read(in_root("absurd.nii"), &(Wish){.as = READ_IMAGE}, &image, err));
}

TEST(a_header_and_its_voxels_are_one_image) {
  assert_ptr_equal(format_of("a.img"), &format_nifti);
  assert_null(format_of_image("a.img"));
  assert_null(format_of_image("a.IMG"));
  assert_ptr_equal(format_of_image("a.hdr"), &format_nifti);
  assert_ptr_equal(format_of_image("a.nii.gz"), &format_nifti);
}

RUN_TESTS(scratch_set_up, scratch_tear_down)
