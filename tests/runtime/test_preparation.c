/* test_preparation.c - files to what a network sees: order of axes, crop, spacing, slices, values. */
#include <math.h>
#include <string.h>
#include "runtime/prepare/intensity.h"
#include "runtime/prepare/prepare.h"
#include "tests/nifti_file.h"
#include "tests/scratch.h"
#include "tests/test.h"

static char err[ERR_MAX];

/* ---- intensities against plain formulas ---- */

enum { N = 1000 };

static void noise(float *v, int64_t n) {
  for (int64_t i = 0; i < n; i++) v[i] = i % 5 == 0 ? 0 : (float)((i * 7919 + 13) % 1009) - 300;
}

typedef struct {
  double lo, hi, mean, deviation;
} Moments;

static Moments moments(const float *v, bool nonzero) {
  Moments m = {INFINITY, -INFINITY, 0, 0};
  int n = 0;
  for (int i = 0; i < N; i++) {
    if (nonzero && v[i] == 0) continue;
    m.lo = fmin(m.lo, (double)v[i]), m.hi = fmax(m.hi, (double)v[i]), m.mean += (double)v[i], n++;
  }
  m.mean /= n;
  for (int i = 0; i < N; i++)
    if (!nonzero || v[i] != 0) m.deviation += ((double)v[i] - m.mean) * ((double)v[i] - m.mean) / n;
  m.deviation = sqrt(m.deviation);
  return m;
}

static double formula(const NetcIntensity *how, double x, const Moments *all, const Moments *some) {
  switch (how->kind) {
  case NETC_INTENSITY_ZSCORE: return (x - all->mean) / all->deviation;
  case NETC_INTENSITY_NONZERO: return x == 0 ? 0 : (x - some->mean) / some->deviation;
  case NETC_INTENSITY_MINMAX: return (x - all->lo) / (all->hi - all->lo);
  case NETC_INTENSITY_FOREGROUND: return (x - how->mean) / how->deviation;
  case NETC_INTENSITY_FIXED: return (x / how->scale - how->mean) / how->deviation;
  default: return x;
  }
}

TEST(intensities_are_their_formulas) {
  static const NetcIntensity how[] = {
      {.kind = NETC_INTENSITY_NONE, .scale = 1},
      {.kind = NETC_INTENSITY_NONE, .clip = 1, .lo = -50, .hi = 60, .scale = 1},
      {.kind = NETC_INTENSITY_ZSCORE, .scale = 1},
      {.kind = NETC_INTENSITY_ZSCORE, .clip = 1, .lo = -200, .hi = 250, .scale = 1},
      {.kind = NETC_INTENSITY_NONZERO, .scale = 1},
      {.kind = NETC_INTENSITY_MINMAX, .scale = 1},
      {.kind = NETC_INTENSITY_MINMAX, .clip = 1, .lo = 0, .hi = 100, .scale = 1},
      {.kind = NETC_INTENSITY_FOREGROUND,
       .clip = 1,
       .lo = -99,
       .hi = 214,
       .mean = 77,
       .deviation = 40,
       .scale = 1},
      {.kind = NETC_INTENSITY_FIXED, .mean = 0.485, .deviation = 0.229, .scale = 255}};
  for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
    float v[N], clipped[N];
    noise(v, N), noise(clipped, N);
    for (int k = 0; k < N && how[i].clip; k++)
      clipped[k] = fminf(fmaxf(clipped[k], (float)how[i].lo), (float)how[i].hi);
    Moments all = moments(clipped, false), some = moments(clipped, true);
    intensity_apply(v, N, &how[i]);
    for (int k = 0; k < N; k++) {
      double want = formula(&how[i], (double)clipped[k], &all, &some);
      if (fabs((double)v[k] - want) > 1e-5 * fmax(1, fabs(want)))
        fail_msg("scheme %d, element %d: %g, not %g", (int)i, k, (double)v[k], want);
    }
  }
}

TEST(constant_images_become_zeros) {
  static const int kinds[] = {NETC_INTENSITY_ZSCORE, NETC_INTENSITY_NONZERO, NETC_INTENSITY_MINMAX};
  for (int k = 0; k < 3; k++)
    for (int level = 0; level < 2; level++) {
      float v[4] = {7.3f * (float)level, 7.3f * (float)level, 7.3f * (float)level, 7.3f * (float)level};
      intensity_apply(v, 4, &(NetcIntensity){.kind = kinds[k], .scale = 1});
      for (int i = 0; i < 4; i++) assert_true(v[i] == 0);
    }
}

TEST(what_auto_means_is_told_by_values_and_format) {
  float v[N];
  noise(v, N);
  NetcIntensity mr = intensity_of_volume(v, N, false), given = intensity_of_volume(v, N, true);
  v[17] = -1000;
  NetcIntensity ct = intensity_of_volume(v, N, false), green = intensity_of_picture(1, 3, 65535),
                gray = intensity_of_picture(0, 1, 255);
  assert_true(mr.kind == NETC_INTENSITY_ZSCORE && !mr.clip && given.kind == NETC_INTENSITY_NONE);
  assert_true(ct.kind == NETC_INTENSITY_ZSCORE && ct.clip && ct.lo == -200 && ct.hi == 250);
  assert_true(green.kind == NETC_INTENSITY_FIXED && green.mean == 0.456 && green.deviation == 0.224);
  assert_true(green.scale == 65535 && gray.kind == NETC_INTENSITY_ZSCORE);
}

/* ---- volumes ---- */

static Grid grid_as(const int64_t dim[3], const double mm[3], const char *code) {
  Grid g = grid_plain(dim, mm);
  Turn t;
  g.placed = true;
  g.to_mm[0][3] = -10, g.to_mm[1][3] = 20, g.to_mm[2][3] = 5;
  assert_true(grid_turn(&g, code, &t));
  return grid_turned(&g, &t);
}

/* A value that tells its place in space: 1 + R + 10 A + 100 S in voxels of the grid that code RAS has. */
static Image told(const Grid *ras, const char *code) {
  Turn t;
  assert_true(grid_turn(ras, code, &t));
  Image out = {.spatial = 3, .channels = 1, .grid = grid_turned(ras, &t)};
  assert_true(image_room(&out));
  const int64_t *d = out.grid.dim;
  for (int64_t i = 0; i < grid_count(ras); i++) {
    const int64_t v[3] = {i / (d[1] * d[2]), i / d[2] % d[1], i % d[2]};
    int64_t at[3];
    for (int a = 0; a < 3; a++) at[t.axis[a]] = t.flip[a] ? d[a] - 1 - v[a] : v[a];
    out.value[i] = (float)(1 + at[0] + 10 * at[1] + 100 * at[2]);
  }
  return out;
}

static Prepared prepared(const char *const *file, int n, const char *mask, const Ask *ask) {
  Files files = {.image = (char *const *)(uintptr_t)file, .nimage = n, .mask = mask};
  Prepared p;
  if (!prepare_volume(&files, ask, &p, err)) fail_msg("%s", err);
  return p;
}

static Ask ask_for(const Recipe *r, int spatial, int channels) {
  return (Ask){.recipe = r, .spatial = spatial, .channels = channels, .classes = 2};
}

static const int64_t box[3] = {5, 4, 3};

TEST(axes_come_in_the_recipes_order) {
  static const char *const codes[] = {"RAS", "LPS", "SAR", "PIL", "ASR"};
  Grid ras = grid_as(box, (double[]){1, 2, 3}, "RAS");
  for (size_t stored = 0; stored < 5; stored++)
    for (size_t wanted = 0; wanted < 5; wanted++) {
      Recipe r = recipe_plain;
      strcpy(r.orientation, codes[wanted]);
      Ask ask = ask_for(&r, 3, 1);
      Image file = told(&ras, codes[stored]), want = told(&ras, codes[wanted]);
      const char *path = in_root("turned.nii");
      assert_true(nifti_file(path, &file, NIFTI_F32));
      Prepared p = prepared(&path, 1, NULL, &ask);
      assert_memory_equal(p.place.dim, want.grid.dim, sizeof p.place.dim);
      assert_memory_equal(p.image, want.value, (size_t)grid_count(&ras) * sizeof *p.image);
      for (int a = 0; a < 3; a++) assert_true(fabs(p.spacing[a] - grid_spacing(&want.grid, a)) < 1e-6);
      prepared_free(&p), image_free(&file), image_free(&want);
    }
}

/* Place tells where each element of the file went. */
static void place_leads_there(const Prepared *p, const Image *file) {
  const int64_t *own = file->grid.dim, *d = p->place.dim;
  for (int64_t i = 0; i < grid_count(&file->grid); i++) {
    const int64_t v[3] = {i / (own[1] * own[2]), i / own[2] % own[1], i % own[2]};
    int64_t at = 0;
    bool inside = true;
    for (int a = 0; a < 3; a++) {
      int64_t x = (int64_t)rint(p->place.from[a] + p->place.step[a] * (double)v[p->place.axis[a]]);
      inside = inside && x >= 0 && x < d[a], at = at * d[a] + x;
    }
    if (inside) assert_true(p->image[at] == file->value[i]);
    else assert_true(file->value[i] == 0);
  }
}

TEST(what_is_zero_around_is_cropped) {
  Grid ras = grid_as((int64_t[]){7, 6, 5}, (double[]){1, 1, 1}, "RAS");
  Image file = told(&ras, "LSA"); /* R is axis 0 backwards, S axis 1, A axis 2 */
  const int64_t *d = file.grid.dim;
  for (int64_t i = 0; i < grid_count(&ras); i++) {
    int64_t x = i / (d[1] * d[2]), s = i / d[2] % d[1], a = i % d[2];
    if (x < 1 || x > 4 || s < 2 || s > 3 || a < 1 || a > 5) file.value[i] = 0;
  }
  const char *path = in_root("crop.nii");
  assert_true(nifti_file(path, &file, NIFTI_F32));
  Recipe r = recipe_plain;
  r.crop = true;
  for (int spatial = 2; spatial <= 3; spatial++) {
    Ask ask = ask_for(&r, spatial, 1);
    Prepared p = prepared(&path, 1, NULL, &ask);
    assert_int_equal(p.place.dim[0], 4), assert_int_equal(p.place.dim[1], 5);
    assert_int_equal(p.place.dim[2], spatial == 3 ? 2 : 5); /* no slice is lost */
    assert_int_equal(p.place.crop_from[0], 2);
    place_leads_there(&p, &file);
    prepared_free(&p);
  }
  memset(file.value, 0, (size_t)grid_count(&ras) * sizeof *file.value);
  assert_true(nifti_file(path, &file, NIFTI_F32));
  Ask ask = ask_for(&r, 3, 1);
  Prepared p = prepared(&path, 1, NULL, &ask); /* nothing to crop by */
  assert_int_equal(p.place.dim[0] * p.place.dim[1] * p.place.dim[2], grid_count(&ras));
  prepared_free(&p), image_free(&file);
}

TEST(the_spacing_is_the_recipes) {
  Grid ras = grid_as((int64_t[]){8, 6, 5}, (double[]){1, 1, 3}, "RAS");
  Image file = told(&ras, "PIR");
  const char *path = in_root("spacing.nii"), *mask_path = in_root("spacing_mask.nii");
  assert_true(nifti_file(path, &file, NIFTI_F32));
  for (int64_t i = 0; i < grid_count(&ras); i++) file.value[i] = file.value[i] >= 200;
  assert_true(nifti_file(mask_path, &file, NIFTI_U8));
  Recipe r = recipe_plain;
  r.resample = true, r.spacing[0] = 2, r.spacing[1] = 0, r.spacing[2] = 1; /* 0: as stored */
  Ask ask = ask_for(&r, 3, 1);
  ask.own_label = true;
  for (int order = NETC_ORDER_NEAREST; order <= NETC_ORDER_CUBIC; order++) {
    r.image_order = (NetcOrder)order;
    Prepared p = prepared(&path, 1, mask_path, &ask);
    const int64_t want[3] = {4, 6, 15};
    const double mm[3] = {2, 1, 1};
    assert_memory_equal(p.place.dim, want, sizeof want);
    for (int a = 0; a < 3; a++) assert_true(fabs(p.spacing[a] - mm[a]) < 1e-6);
    for (int64_t i = 0; i < 4 * 6 * 15; i++) { /* 1 + R + 10 A + 100 S is linear: so is what is between */
      double x = 0.5 + 2 * (double)(i / 90), z = ((double)(i % 15) - 1) / 3;
      double is = (double)p.image[i], plain = 1 + x + 10 * (double)(i / 15 % 6) + 100 * z;
      bool inside = z >= 1 && z <= 3 && x > 1 && x < 6; /* splines bend at a border that mirrors */
      if (order == NETC_ORDER_LINEAR && z >= 0 && z <= 4 && fabs(is - plain) > 1e-3)
        fail_msg("%g %g", is, plain);
      if (order == NETC_ORDER_CUBIC && inside && fabs(is - plain) > 12) fail_msg("%g %g", is, plain);
      if (order == NETC_ORDER_NEAREST) assert_true(is == rint(is) && fabs(is - plain) <= 50);
      assert_int_equal(p.label[i], i % 15 / 3 >= 2);
    }
    for (int64_t i = 0; i < grid_count(&ras); i++) assert_int_equal(p.own_label[i], (int)file.value[i]);
    prepared_free(&p);
  }
  image_free(&file);
}

/* ---- slices ---- */

static void slices_along(const char *code, const double mm[3], int plane, const char *orientation, int axis) {
  Grid ras = grid_as(box, mm, "RAS");
  Image file = told(&ras, code);
  const char *path = in_root("slices.nii");
  assert_true(nifti_file(path, &file, NIFTI_F32));
  Recipe r = recipe_plain;
  r.plane = plane;
  strcpy(r.orientation, orientation);
  Ask ask = ask_for(&r, 2, 1);
  Prepared p = prepared(&path, 1, NULL, &ask);
  if (p.place.slices != axis)
    fail_msg("%s, plane %d, %s: %d, not %d", code, plane, orientation, p.place.slices, axis);
  Slices s = slices_of(&p.place);
  assert_int_equal(s.n, slices_in(&file.grid, &r));
  assert_true(s.n == p.place.dim[axis] && s.h == p.place.dim[s.h_axis] && s.w == p.place.dim[s.w_axis]);
  assert_true(s.h_axis > s.w_axis && s.h_axis != axis && s.w_axis != axis);
  prepared_free(&p), image_free(&file);
}

TEST(slices_lie_in_the_plane_that_is_asked_for) {
  const double even[3] = {1, 1, 1.5}, sagittal[3] = {2, 1, 1}, coronal[3] = {1, 5, 2};
  static const char *const codes[] = {"RAS", "LPI", "ASR", "SLP", "IRA"};
  for (size_t i = 0; i < 5; i++) {
    slices_along(codes[i], even, NETC_PLANE_THICK, "RAS", 2);
    slices_along(codes[i], sagittal, NETC_PLANE_THICK, "RAS", 0);
    slices_along(codes[i], coronal, NETC_PLANE_THICK, "RAS", 1);
    slices_along(codes[i], sagittal, NETC_PLANE_AXIAL, "RAS", 2);
    slices_along(codes[i], even, NETC_PLANE_CORONAL, "RAS", 1);
    slices_along(codes[i], even, NETC_PLANE_SAGITTAL, "RAS", 0);
    slices_along(codes[i], even, NETC_PLANE_AXIAL, "SAL", 0);
    slices_along(codes[i], coronal, NETC_PLANE_STORED, "", 2);
  }
  slices_along("ASR", even, NETC_PLANE_STORED, "RAS", 0); /* the file's last axis runs to the right */
  slices_along("SLP", even, NETC_PLANE_STORED, "RAS", 1);
  slices_along("ASR", even, NETC_PLANE_AXIAL, "", 1);
}

/* ---- channels, values that are none ---- */

TEST(channels_of_several_files_are_brought_to_the_first) {
  Grid ras = grid_as(box, (double[]){1, 2, 3}, "RAS");
  Image a = told(&ras, "LPS"), b = told(&ras, "SRA");
  int64_t n = grid_count(&ras);
  for (int64_t i = 0; i < n; i++) b.value[i] += 1000;
  const char *path[2] = {in_root("x_0000.nii"), in_root("x_0001.nii")};
  assert_true(nifti_file(path[0], &a, NIFTI_F32) && nifti_file(path[1], &b, NIFTI_F32));
  Ask ask = ask_for(&recipe_plain, 3, 2);
  Prepared p = prepared(path, 2, NULL, &ask);
  for (int64_t i = 0; i < n; i++) assert_true(p.image[n + i] == 1000 + p.image[i]);
  prepared_free(&p);
  ask.channels = 1;
  Files files = {.image = (char *const *)(uintptr_t)path, .nimage = 2};
  assert_false(prepare_volume(&files, &ask, &p, err));
  assert_non_null(strstr(err, "it has 2 channels, but the module wants 1 (-D channels=2)"));
  b.grid.dim[0]--;
  assert_true(nifti_file(path[1], &b, NIFTI_F32));
  ask.channels = 2;
  assert_false(prepare_volume(&files, &ask, &p, err));
  assert_non_null(strstr(err, "x_0001.nii: the channel does not lie on its image"));
  image_free(&a), image_free(&b);
}

TEST(values_that_are_not_finite_are_counted_or_replaced) {
  Grid ras = grid_as(box, (double[]){1, 1, 1}, "RAS");
  Image file = told(&ras, "RAS");
  const char *path = in_root("nan.nii");
  file.value[7] = NAN, file.value[30] = -INFINITY;
  assert_true(nifti_file(path, &file, NIFTI_F32));
  Recipe r = recipe_plain;
  Notes notes;
  Prepared p;
  Ask ask = ask_for(&r, 3, 1);
  Files files = {.image = (char *const[]){(char *)(uintptr_t)path}, .nimage = 1};
  assert_false(prepare_volume(&files, &ask, &p, err));
  assert_non_null(strstr(err,
                         "nan.nii: 2 of 60 elements are not finite (the first: element 7); --nan 0 makes "
                         "them 0"));
  notes_init(&notes);
  r.fill_nan = true, r.nan_value = -5, ask.notes = &notes;
  p = prepared(&path, 1, NULL, &ask);
  assert_true(p.image[7] == -5 && p.image[30] == -5 && p.image[8] == file.value[8]);
  assert_int_equal(notes.n, 1);
  assert_non_null(strstr(notes.text[0], "nan.nii: 2 of 60 elements are not finite; they became -5"));
  prepared_free(&p), notes_free(&notes), image_free(&file);
}

RUN_TESTS(scratch_set_up, scratch_tear_down)
