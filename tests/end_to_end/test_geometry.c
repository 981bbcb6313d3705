/* test_geometry.c - predictions lie on what was predicted: an object in files whose axes run in all 48 ways,
 * obliquely and with three spacings, its mask stored another way than its image. */
#include <math.h>
#include <sys/stat.h>
#include "tests/test.h"
#include "tests/end_to_end/shell.h"
#include "tests/known_net.h"
#include "tests/nifti_file.h"
#include "runtime/io/format.h"

static char err[ERR_MAX];
static const float centres[3] = {0, 10, 20};

static void code_of(int n, char code[4]) {
  static const int order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (int a = 0; a < 3; a++) code[a] = (n >> a & 1 ? "LPI" : "RAS")[order[n / 8][a]];
  code[3] = 0;
}

static Grid oblique(const int64_t dim[3]) {
  static const double column[3][4] = {{0.7, 0.1, -0.2, -20}, {-0.08, 0.9, 0.3, 5}, {0.15, -0.2, 2.4, 33}};
  Grid g = grid_plain(dim, NULL);
  memcpy(g.to_mm, column, sizeof column);
  g.placed = true;
  return g;
}

/* The same voxels with axes that run as code says. */
static Image stored_as(const Image *ras, const char *code) {
  Turn t;
  assert_true(grid_turn(&ras->grid, code, &t));
  Image out = {.spatial = 3, .channels = ras->channels, .grid = grid_turned(&ras->grid, &t)};
  assert_true(image_room(&out));
  const int64_t *d = out.grid.dim, *own = ras->grid.dim, n = grid_count(&ras->grid);
  for (int64_t i = 0; i < n * out.channels; i++) {
    const int64_t e = i % n, v[3] = {e / (d[1] * d[2]), e / d[2] % d[1], e % d[2]};
    int64_t at[3];
    for (int a = 0; a < 3; a++) at[t.axis[a]] = t.flip[a] ? d[a] - 1 - v[a] : v[a];
    out.value[i] = ras->value[i / n * n + (at[0] * own[1] + at[1]) * own[2] + at[2]];
  }
  return out;
}

/* Boxes and a slope that no turn and no flip maps onto themselves; classes 0, 1, 2. */
static Image object(const int64_t dim[3]) {
  Image out = {.spatial = 3, .channels = 1, .grid = oblique(dim)};
  assert_true(image_room(&out));
  for (int64_t i = 0; i < grid_count(&out.grid); i++) {
    int64_t x = i / (dim[1] * dim[2]), y = i / dim[2] % dim[1], z = i % dim[2];
    bool body = x >= 2 && x < 8 && y >= 1 && y < 7 && z >= 1 && z < 6 && x + y + z > 6;
    out.value[i] = body ? (float)(1 + (z < 3 && x > 4)) : 0;
  }
  return out;
}

static Image read_back_as(const char *path, ReadAs as) {
  Image v;
  if (!image_read(in_root(path), &(Wish){.as = as}, &v, err)) fail_msg("%s", err);
  return v;
}

static Image read_back(const char *path) { return read_back_as(path, READ_NUMBERS); }

/* Images (10 times the class, a little less or more) and masks in folder/images and folder/masks; each mask
 * is stored in another order than its image. */
static void write_all(const char *folder, const Image *ras) {
  runs("mkdir -p %s/images %s/masks", folder, folder);
  FILE *list = NULL;
  for (int n = 0; n < 48; n++) {
    char code[4], other[4], path[64];
    code_of(n, code), code_of((n + 17) % 48, other);
    Image image = stored_as(ras, code), mask = stored_as(ras, other);
    for (int64_t i = 0; i < grid_count(&ras->grid); i++)
      image.value[i] = 10 * image.value[i] + (float)(i % 7 - 3);
    snprintf(path, sizeof path, "%s/images/%s.nii", folder, code);
    assert_true(nifti_file(in_root(path), &image, NIFTI_I16));
    snprintf(path, sizeof path, "%s/masks/%s.nii", folder, code);
    assert_true(nifti_file(in_root(path), &mask, NIFTI_U8));
    snprintf(path, sizeof path, "%s/test.list", folder);
    if (!list) list = fopen(in_root(path), "w");
    assert_non_null(list);
    fprintf(list, "%s\n", code);
    image_free(&image), image_free(&mask);
  }
  fclose(list);
}

/* Every prediction has its image's grid, and each voxel's class. */
static void lie_on_the_object(const char *folder, const char *out, const Image *ras) {
  for (int n = 0; n < 48; n++) {
    char code[4], path[64];
    code_of(n, code);
    snprintf(path, sizeof path, "%s/%s.nii.gz", out, code);
    Image is = read_back(path), want = stored_as(ras, code);
    assert_memory_equal(is.grid.dim, want.grid.dim, sizeof is.grid.dim);
    for (int i = 0; i < 12; i++)
      assert_true(fabs(is.grid.to_mm[i / 4][i % 4] - want.grid.to_mm[i / 4][i % 4]) < 1e-5);
    for (int64_t i = 0; i < grid_count(&want.grid); i++)
      if (is.value[i] != want.value[i])
        fail_msg("%s/%s: voxel %d is %g, not %g", folder, code, (int)i, (double)is.value[i],
                 (double)want.value[i]);
    image_free(&is), image_free(&want);
  }
}

static void check_all(const char *module, int spatial, const Image *ras) {
  known_weights("w.safetensors", spatial, (KnownNet){centres, 3, 1, 0});
  runs(NETRUN_BINARY " predict %s.so --weights w.safetensors --in all/images --out %s_out", module, module);
  lie_on_the_object("all", module[0] == 'v' ? "volume_out" : "slice_out", ras);
  runs(NETRUN_BINARY " eval %s.so --weights w.safetensors --data folder:all --out %s_eval --metrics di",
       module, module);
  runs("awk -F, 'NR > 1 { n++; if ($2 != 1) exit 1 } END { exit n != 48 }' %s_eval/eval.csv", module);
}

TEST(volumes_in_all_orders_of_axes) {
  const int64_t dim[3] = {11, 9, 7};
  Image ras = object(dim);
  write_all("all", &ras);
  known_module("volume", "8, 8, 8", 1, 3, "intensity = none");
  check_all("volume", 3, &ras);
  image_free(&ras);
}

TEST(slices_in_all_orders_of_axes) {
  const int64_t dim[3] = {11, 9, 7};
  Image ras = object(dim);
  known_module("slice", "9, 11", 1, 3, "intensity = none; plane = \"axial\"");
  check_all("slice", 2, &ras);
  image_free(&ras);
}

TEST(a_module_may_want_any_order_and_a_crop) {
  const int64_t dim[3] = {11, 9, 7};
  Image ras = object(dim);
  known_weights("w.safetensors", 3, (KnownNet){centres, 3, 1, 0});
  known_module("other", "8, 4, 6", 1, 3, "intensity = none; orientation = \"SPL\"; crop = \"nonzero\"");
  runs(NETRUN_BINARY " predict other.so --weights w.safetensors --in all/images --out other_out");
  lie_on_the_object("all", "other_out", &ras);
  image_free(&ras);
}

/* A slice of the box that is left has the module's size; what was cut away is class 0. The picture shows the
 * slice with most of the object, with the truth's outline in green. */
TEST(slices_may_be_cropped) {
  const int64_t dim[3] = {11, 9, 7};
  Image ras = object(dim);
  runs("mkdir -p crop/images crop/masks");
  for (int n = 1; n < 48; n += 6) {
    char code[4], path[64];
    code_of(n, code);
    Image image = stored_as(&ras, code);
    snprintf(path, sizeof path, "crop/masks/%s.nii", code);
    assert_true(nifti_file(in_root(path), &image, NIFTI_U8));
    for (int64_t i = 0; i < grid_count(&ras.grid); i++) image.value[i] *= 10;
    snprintf(path, sizeof path, "crop/images/%s.nii", code);
    assert_true(nifti_file(in_root(path), &image, NIFTI_I16));
    image_free(&image);
  }
  known_module("crop", "6, 6", 1, 3, "intensity = none; plane = \"axial\"; crop = \"nonzero\"");
  known_weights("w.safetensors", 2, (KnownNet){centres, 3, 1, 0});
  runs(NETRUN_BINARY " eval crop.so --weights w.safetensors --data folder:crop --split test --out crop_eval "
                     "--metrics di --overlays 1");
  runs("awk -F, 'NR > 1 { n++; if ($2 != 1) exit 1 } END { exit n < 1 }' crop_eval/eval.csv");
  runs("ls crop_eval/*.png && mv crop_eval/*.png crop.png");
  Image p = read_back_as("crop.png", READ_COLOURS);
  int64_t pixels = grid_count(&p.grid), green = 0;
  for (int64_t i = 0; i < pixels; i++)
    green += p.value[i] == 60 && p.value[pixels + i] == 220 && p.value[2 * pixels + i] == 60;
  assert_true(green > 0);
  image_free(&p), image_free(&ras);
}

/* ---- at another spacing ---- */

/* Does a voxel of another class touch voxel i? */
static bool at_the_border(const Image *mask, int64_t i) {
  const int64_t *d = mask->grid.dim, step[3] = {d[1] * d[2], d[2], 1};
  for (int a = 0; a < 3; a++) {
    int64_t at = i / step[a] % d[a];
    if (at > 0 && mask->value[i - step[a]] != mask->value[i]) return true;
    if (at + 1 < d[a] && mask->value[i + step[a]] != mask->value[i]) return true;
  }
  return false;
}

/* An ellipsoid's surface is found to half a voxel: a voxel that differs touches the surface, and the centre
 * of mass stays where it was. */
static void nearly_on_the_object(const char *path, const Image *want) {
  Image is = read_back(path);
  double centre[2][3] = {{0}}, count[2] = {0};
  const int64_t *d = want->grid.dim;
  int64_t differ = 0;
  for (int64_t i = 0; i < grid_count(&want->grid); i++) {
    const double v[3] = {(double)(i / (d[1] * d[2])), (double)(i / d[2] % d[1]), (double)(i % d[2])};
    for (int k = 0; k < 2; k++) {
      double weight = (double)(k ? is.value[i] : want->value[i]);
      count[k] += weight;
      for (int a = 0; a < 3; a++) centre[k][a] += weight * v[a];
    }
    if (is.value[i] == want->value[i]) continue;
    differ++;
    if (!at_the_border(want, i)) fail_msg("%s: voxel %d is not at the border", path, (int)i);
  }
  for (int a = 0; a < 3; a++)
    if (fabs(centre[0][a] / count[0] - centre[1][a] / count[1]) > 0.2)
      fail_msg("%s: axis %d: off by %g voxels", path, a, centre[1][a] / count[1] - centre[0][a] / count[0]);
  if ((double)differ > 0.2 * count[0]) fail_msg("%s: %d voxels of %g differ", path, (int)differ, count[0]);
  image_free(&is);
}

TEST(predictions_at_another_spacing_lie_on_the_object) {
  static const int64_t dim[3] = {26, 22, 12};
  static const char *const spacings[] = {"[1, 1, 1]", "[1.3, 1.1, 2]", "[0.5, none, 3]"};
  Image ras = {.spatial = 3, .channels = 1, .grid = oblique(dim)};
  assert_true(image_room(&ras));
  for (int64_t i = 0; i < grid_count(&ras.grid); i++) {
    double x = (double)(i / (dim[1] * dim[2])) - 14.3, y = (double)(i / dim[2] % dim[1]) - 9.2,
           z = (double)(i % dim[2]) - 5.1, r = sqrt(x * x / 81 + y * y / 49 + z * z / 16);
    ras.value[i] = r < 1;
  }
  runs("mkdir moved");
  for (int n = 0; n < 48; n += 5) {
    char code[4], path[64];
    code_of(n, code);
    Image image = stored_as(&ras, code);
    for (int64_t i = 0; i < grid_count(&ras.grid); i++) image.value[i] *= 10;
    snprintf(path, sizeof path, "moved/%s.nii", code);
    assert_true(nifti_file(in_root(path), &image, NIFTI_I16));
    image_free(&image);
  }
  known_weights("w2.safetensors", 3, (KnownNet){centres, 2, 1, 0});
  for (int s = 0; s < 3; s++) {
    char prepare[128];
    snprintf(prepare, sizeof prepare, "intensity = none; image_order = \"%s\"; crop = \"%s\"; spacing = %s",
             s ? "cubic" : "linear", s == 2 ? "nonzero" : "none", spacings[s]);
    known_module("spaced", "16, 16, 8", 1, 2, prepare);
    runs(NETRUN_BINARY " predict spaced.so --weights w2.safetensors --in moved --out moved_out");
    for (int n = 0; n < 48; n += 5) {
      char code[4], path[64];
      code_of(n, code);
      Image want = stored_as(&ras, code);
      snprintf(path, sizeof path, "moved_out/%s.nii.gz", code);
      nearly_on_the_object(path, &want);
      image_free(&want);
    }
  }
  image_free(&ras);
}

RUN_TESTS(shell_set_up, scratch_tear_down)
