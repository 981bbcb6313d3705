/* test_predict_options.c - what the options of netrun predict do, with networks whose answers are known. */
#include <math.h>
#include "tests/test.h"
#include "tests/end_to_end/shell.h"
#include "tests/known_net.h"
#include "tests/nifti_file.h"
#include "runtime/io/format.h"

static char err[ERR_MAX];

enum { SIDE = 16, VOXELS = SIDE * SIDE * SIDE };

static Image volume(void) {
  Image v = {.spatial = 3, .channels = 1, .grid = grid_plain((int64_t[]){SIDE, SIDE, SIDE}, NULL)};
  v.grid.placed = true;
  assert_true(image_room(&v));
  memset(v.value, 0, VOXELS * sizeof *v.value);
  return v;
}

static Image read_back(const char *path, ReadAs as) {
  Image v;
  if (!image_read(in_root(path), &(Wish){.as = as}, &v, err)) fail_msg("%s", err);
  return v;
}

/* ---- a network that looks to one side: class 1 where the element before, along the last axis, is 1 ---- */

/* Logit of class 1: 6 where that is 1, `low` where it is 0 or beyond the window. */
typedef struct {
  int spatial;
  float low;
} Sided;

static bool sided_fill(void *user, int i, void *dst, char message[ERR_MAX]) {
  const Sided *s = user;
  float *v = dst;
  int taps = s->spatial == 3 ? 27 : 9;
  (void)message;
  if (i == 0) v[0] = 0, v[1] = s->low;
  for (int k = 0; i == 1 && k < 2 * taps; k++) v[k] = k == taps + taps / 2 - 1 ? 6 - s->low : 0;
  return true;
}

static void sided(const char *name, const char *size, int spatial, float low) {
  char path[64];
  snprintf(path, sizeof path, "%s.net", name);
  FILE *f = fopen(in_root(path), "w");
  assert_non_null(f);
  fprintf(f,
          "prepare { intensity = none }\nnet lin(x) { return conv(x, 2, 3, pad = 1) }\nstudent = lin()\n"
          "predict(image: f32[2, 1, %s]) { return softmax(student(image)) }\n",
          size);
  fclose(f);
  runs(NETC_BINARY " %s.net -o %s.so", name, name);
  const StTensor t[2] = {
      {.name = (char *)(uintptr_t) "student.conv1.bias", .type = ST_F32, .rank = 1, .dim = {2}},
      {.name = (char *)(uintptr_t) "student.conv1.weight",
       .type = ST_F32,
       .rank = 2 + spatial,
       .dim = {2, 1, 3, 3, 3}}};
  snprintf(path, sizeof path, "%s.safetensors", name);
  if (!st_write(in_root(path), t, 2, NULL, 0, sided_fill, &(Sided){spatial, low}, err)) fail_msg("%s", err);
}

/* Planes z that are class 0 in a volume of ones, as a string of 0 and 1. */
static void planes_are(const char *options, const char *want) {
  runs(NETRUN_BINARY " predict side.so --weights side.safetensors --in ones.nii --out ones_out.nii %s",
       options);
  Image v = read_back("ones_out.nii", READ_NUMBERS);
  for (int i = 0; i < VOXELS; i++)
    if ((int)v.value[i] != want[i % SIDE] - '0')
      fail_msg("%s: plane %d is %d", options, i % SIDE, (int)v.value[i]);
  image_free(&v);
}

/* At a window's border the network sees nothing beyond and says 0; a window that has the place in its middle
 * says 1. Where both count alike, 0 wins by a little. */
TEST(windows_count_as_they_are_told_to) {
  Image ones = volume();
  for (int i = 0; i < VOXELS; i++) ones.value[i] = 1;
  assert_true(nifti_file(in_root("ones.nii"), &ones, NIFTI_I16));
  sided("side", "8, 8, 8", 3, -8);
  planes_are("--stride 8,8,8", "0111111101111111");
  planes_are("--overlap 0", "0111111101111111");
  planes_are("", "0111011101111111");
  planes_are("--stride 8,8,4", "0111011101111111");
  planes_are("--overlap 0.5 --window uniform", "0111011101111111");
  planes_are("--window gaussian", "0111111111111111");
  planes_are("--stride 8,8,2", "0101111111111111"); /* three windows and more outvote one */
  image_free(&ones);
}

/* The image flipped is seen from the other side: with doubt, one of the two neighbours is enough. */
TEST(flips_are_averaged) {
  Image line = {.spatial = 2, .channels = 1, .grid = grid_plain((int64_t[]){8, 8, 1}, NULL)};
  assert_true(image_room(&line));
  uint8_t gray[64] = {0};
  for (int y = 0; y < 8; y++) gray[y * 8 + 3] = 1;
  const Written picture = {.spatial = 2, .channels = 1, .grid = line.grid, .mask = gray, .classes = 3};
  assert_true(image_write(in_root("line.png"), NULL, &picture, err));
  sided("flat", "8, 8", 2, -1.4f);
  for (int flips = 0; flips < 2; flips++) {
    runs(NETRUN_BINARY " predict flat.so --weights flat.safetensors --in line.png --out line_out.png %s",
         flips ? "--flips" : "");
    Image v = read_back("line_out.png", READ_NUMBERS);
    for (int i = 0; i < 64; i++) assert_int_equal(v.value[i] > 0, i % 8 == 4 || (flips && i % 8 == 2));
    image_free(&v);
  }
  image_free(&line);
}

/* ---- the class of the nearest centre ---- */

/* Values rise along x: 0, 2, 4 ..; the class changes between two centres. */
static void write_ramp(const char *name) {
  Image ramp = volume();
  for (int i = 0; i < VOXELS; i++) ramp.value[i] = (float)(2 * (i / (SIDE * SIDE)));
  assert_true(nifti_file(in_root(name), &ramp, NIFTI_I16));
  image_free(&ramp);
}

static void changes_at(const char *options, int x) {
  runs(NETRUN_BINARY " predict near.so --in ramp.nii --out ramp_out.nii %s", options);
  Image v = read_back("ramp_out.nii", READ_NUMBERS);
  for (int i = 0; i < VOXELS; i++)
    if ((v.value[i] > 0) != (i / (SIDE * SIDE) >= x)) fail_msg("%s: voxel %d", options, i);
  image_free(&v);
}

TEST(several_weights_are_averaged) {
  static const float five[2] = {0, 10}, fifteen[2] = {10, 20}, nine[2] = {4, 14};
  write_ramp("ramp.nii");
  known_module("near", "8, 8, 8", 1, 2, "intensity = none");
  known_weights("five.safetensors", 3, (KnownNet){five, 2, 1, 0});
  known_weights("fifteen.safetensors", 3, (KnownNet){fifteen, 2, 1, 0});
  known_weights("a,b.safetensors", 3, (KnownNet){nine, 2, 1, 0});
  changes_at("--weights five.safetensors", 3);
  changes_at("--weights fifteen.safetensors", 8);
  changes_at("--weights five.safetensors,fifteen.safetensors,fifteen.safetensors", 8); /* two of three */
  changes_at("--weights five.safetensors --weights fifteen.safetensors --weights five.safetensors", 3);
  changes_at("--weights 'a,b.safetensors'", 5); /* a comma in a name */
  fails("nosuch.safetensors", NETRUN_BINARY
        " predict near.so --in ramp.nii --out x.nii --weights five.safetensors,nosuch.safetensors");
}

TEST(masks_are_cleaned) {
  static const float centre[3] = {0, 10, 20};
  Image v = volume();
  for (int i = 0; i < VOXELS; i++) {
    int x = i / (SIDE * SIDE), y = i / SIDE % SIDE, z = i % SIDE;
    bool block = x >= 2 && x < 8 && y >= 2 && y < 8 && z >= 2 && z < 8;
    bool hole = x == 4 && y == 4 && z == 5, speck = x == 12 && y == 3 && z == 3;
    v.value[i] = (block && !hole) || speck ? 10 : x >= 10 && y >= 10 && z > 3 ? 20 : 0;
  }
  assert_true(nifti_file(in_root("rough.nii"), &v, NIFTI_I16));
  known_module("clean", "8, 8, 8", 1, 3, "intensity = none");
  known_weights("clean.safetensors", 3, (KnownNet){centre, 3, 1, 0});
  for (int how = 0; how < 4; how++) {
    runs(NETRUN_BINARY " predict clean.so --weights clean.safetensors --in rough.nii --out clean.nii %s %s",
         how & 1 ? "--fill" : "", how & 2 ? "--largest" : "");
    Image is = read_back("clean.nii", READ_NUMBERS);
    for (int i = 0; i < VOXELS; i++) {
      bool hole = i == (4 * SIDE + 4) * SIDE + 5, speck = i == (12 * SIDE + 3) * SIDE + 3;
      int want = hole ? how & 1 : speck ? !(how & 2) : (int)v.value[i] / 10;
      if ((int)is.value[i] != want) fail_msg("options %d, voxel %d: %d", how, i, (int)is.value[i]);
    }
    image_free(&is);
  }
  image_free(&v);
}

/* ---- probabilities ---- */

/* The four axes of the file are the volume's and the classes; with two centres at 0 and 10 the probability of
 * class 1 is 1 / (1 + exp(50 - 10 x)). */
static void probabilities_are(const char *path, const Image *image) {
  Image p = read_back(path, READ_IMAGE);
  int64_t n = grid_count(&image->grid);
  assert_int_equal(p.channels, 2);
  assert_memory_equal(p.grid.dim, image->grid.dim, sizeof p.grid.dim);
  for (int i = 0; i < 12; i++)
    assert_true(fabs(p.grid.to_mm[i / 4][i % 4] - image->grid.to_mm[i / 4][i % 4]) < 1e-5);
  for (int64_t i = 0; i < n; i++) {
    double x = (double)image->value[i], want = 1 / (1 + exp(50 - 10 * x));
    if (fabs((double)p.value[n + i] - want) > 1e-4)
      fail_msg("%s: voxel %d is %g, not %g", path, (int)i, (double)p.value[n + i], want);
    assert_true(fabs((double)(p.value[i] + p.value[n + i]) - 1) < 1e-5);
  }
  image_free(&p);
}

/* A volume whose axes run to the back, the feet and the left. */
static Image turned_volume(void) {
  static const double column[3][4] = {{0, 0, -0.7, 9}, {-0.9, 0.1, 0, 4}, {0.05, -2, 0, -3}};
  Image v = {.spatial = 3, .channels = 1, .grid = grid_plain((int64_t[]){7, 5, 6}, NULL)};
  memcpy(v.grid.to_mm, column, sizeof column);
  v.grid.placed = true;
  assert_true(image_room(&v));
  for (int i = 0; i < 210; i++) v.value[i] = (float)(i * 37 % 101) / 20 + 2.5f;
  return v;
}

TEST(probabilities_lie_on_the_files_grid) {
  static const float centre[2] = {0, 10};
  Image v = turned_volume();
  runs("mkdir some");
  assert_true(nifti_file(in_root("some/a.nii"), &v, NIFTI_F32));
  known_module("prob3", "8, 8, 8", 1, 2, "intensity = none");
  known_weights("prob3.safetensors", 3, (KnownNet){centre, 2, 1, 0});
  runs(NETRUN_BINARY
       " predict prob3.so --weights prob3.safetensors --in some/a.nii --out m.nii --prob p.nii.gz");
  probabilities_are("p.nii.gz", &v);
  runs(NETRUN_BINARY
       " predict prob3.so --weights prob3.safetensors --in some/a.nii --out m.nii --prob p.nii.gz "
       "--flips --window gaussian --stride 2,3,4");
  probabilities_are("p.nii.gz", &v);
  for (int i = 0; i < 210; i++) v.value[i] += 0.1f;
  assert_true(nifti_file(in_root("some/b.nii"), &v, NIFTI_F32));
  runs(NETRUN_BINARY " predict prob3.so --weights prob3.safetensors --in some --out masks --prob probs");
  probabilities_are("probs/b.nii.gz", &v);
  image_free(&v);
}

TEST(probabilities_of_a_picture_are_rows_and_columns) {
  static const float centre[2] = {0, 10};
  uint8_t gray[40];
  for (int i = 0; i < 40; i++) gray[i] = (uint8_t)(3 + i % 5);
  const int64_t dim[3] = {5, 8, 1};
  const Written picture = {
      .spatial = 2, .channels = 1, .grid = grid_plain(dim, NULL), .mask = gray, .classes = 9};
  assert_true(image_write(in_root("gray.png"), NULL, &picture, err));
  known_module("prob2", "5, 8", 1, 2, "intensity = none");
  known_weights("prob2.safetensors", 2, (KnownNet){centre, 2, 1, 0});
  runs("mkdir gray && cp gray.png gray/a.png");
  runs(NETRUN_BINARY
       " predict prob2.so --weights prob2.safetensors --in gray --out gray_out --prob gray_prob");
  Image p = read_back("gray_prob/a.nii.gz", READ_IMAGE);
  assert_memory_equal(p.grid.dim, dim, sizeof dim);
  for (int i = 0; i < 40; i++)
    assert_true(fabs((double)p.value[40 + i] - 1 / (1 + exp(50 - 10 * (double)gray[i]))) < 1e-4);
  image_free(&p);
}

/* The mean of probabilities, not of classes. */
TEST(probabilities_of_several_weights_are_their_mean) {
  static const float low[2] = {0, 10}, high[2] = {0, 12};
  Image v = turned_volume();
  assert_true(nifti_file(in_root("mean.nii"), &v, NIFTI_F32));
  known_weights("low.safetensors", 3, (KnownNet){low, 2, 1, 0});
  known_weights("high.safetensors", 3, (KnownNet){high, 2, 1, 0});
  runs(NETRUN_BINARY " predict prob3.so --weights low.safetensors,high.safetensors --in mean.nii --out m.nii "
                     "--prob mean.nii.gz");
  Image p = read_back("mean.nii.gz", READ_IMAGE);
  for (int i = 0; i < 210; i++) {
    double x = (double)v.value[i], want = 0.5 / (1 + exp(50 - 10 * x)) + 0.5 / (1 + exp(72 - 12 * x));
    assert_true(fabs((double)p.value[210 + i] - want) < 1e-4);
  }
  image_free(&p), image_free(&v);
}

/* ---- channels ---- */

TEST(frames_of_a_file_are_channels) {
  static const float centre[2] = {0, 10};
  Image v = {.spatial = 3, .channels = 2, .grid = grid_plain((int64_t[]){6, 5, 4}, NULL)};
  v.grid.placed = true;
  v.grid.to_mm[1][1] = -2;
  assert_true(image_room(&v));
  for (int i = 0; i < 240; i++) v.value[i] = i < 120 ? 100 : i % 7 < 3 ? 10 : 0;
  assert_true(nifti_file(in_root("frames.nii"), &v, NIFTI_I16));
  known_module("two", "8, 8, 8", 2, 2, "intensity = none");
  known_weights("two.safetensors", 3, (KnownNet){centre, 2, 2, 1});
  runs(NETRUN_BINARY " predict two.so --weights two.safetensors --in frames.nii --out frames_out.nii");
  Image m = read_back("frames_out.nii", READ_NUMBERS);
  for (int i = 0; i < 120; i++) assert_int_equal((int)m.value[i], v.value[120 + i] > 5);
  fails("frames.nii: it has 2 channels, but the module wants 1 (-D channels=2)",
        NETRUN_BINARY " predict prob3.so --weights prob3.safetensors --in frames.nii --out no.nii");
  image_free(&m), image_free(&v);
}

TEST(options_that_make_no_sense_are_told) {
  static const char *const wrong[][2] = {
      {"--stride 4,4", "--stride is `4,4`; 3 whole numbers of 1 or more are expected, as 18,18,4"},
      {"--stride 4,4,0", "--stride is `4,4,0`; 3 whole numbers"},
      {"--stride 4,4,4,4", "--stride is `4,4,4,4`; 3 whole numbers"},
      {"--stride 4,4,4 --overlap 0.5", "--stride and --overlap say the same; give one of them"},
      {"--overlap 1", "--overlap is 1; a fraction from 0 to below 1 is expected"},
      {"--overlap -0.5", "--overlap is -0.5; a fraction from 0 to below 1 is expected"},
      {"--window round", "--window is `round`; it can be uniform or gaussian"},
      {"--prob ramp.nii", "--prob ramp.nii is the name of --in or --out"},
      {"--memory 1M", "GiB of memory are needed (--memory says 0.00)"}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    fails(wrong[i][1],
          NETRUN_BINARY " predict near.so --weights five.safetensors --in ramp.nii --out no.nii %s",
          wrong[i][0]);
  runs("test ! -e no.nii");
}

RUN_TESTS(shell_set_up, scratch_tear_down)
