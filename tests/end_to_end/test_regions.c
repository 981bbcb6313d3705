/* test_regions.c - regions that overlap, from files to scores and masks: with a network whose answer is
 * known, voxel by voxel. */
#include <math.h>
#include "tests/test.h"
#include "tests/end_to_end/shell.h"
#include "tests/nifti_file.h"
#include "tests/text.h"
#include "runtime/device/open.h"
#include "runtime/io/format.h"
#include "runtime/io/safetensors.h"

static char err[ERR_MAX];

/* ---- the network: region r where the value is above r + 0.5 ---- */

static bool fill(void *user, int i, void *dst, char message[ERR_MAX]) {
  float *v = dst;
  (void)user, (void)message;
  for (int r = 0; r < 3; r++) v[r] = i == 0 ? -8 * ((float)r + 0.5f) : 8; /* biases, then weights */
  return true;
}

static void module_of(const char *name, const char *size, int spatial, const char *more) {
  char path[64];
  snprintf(path, sizeof path, "%s.net", name);
  FILE *f = fopen(in_root(path), "w");
  assert_non_null(f);
  fprintf(f,
          "prepare {\n  intensity = none\n"
          "  labels = {0: \"background\", 1: \"core\", 2: \"oedema\", 4: \"enhancing\", 9: \"ignore\"}\n"
          "  regions = {\"whole\": [\"oedema\", \"core\", \"enhancing\"]\n"
          "    \"core\": [\"core\", \"enhancing\"], \"enhancing\": [\"enhancing\"]\n  }\n%s}\n"
          "net lin(x) { return conv(x, 3, 1) }\nstudent = lin()\n"
          "predict(image: f32[2, 1, %s]) { return sigmoid(student(image)) }\n",
          more, size);
  fclose(f);
  runs(NETC_BINARY " %s.net -o %s.so", name, name);
  const StTensor t[2] = {
      {.name = (char *)(uintptr_t) "student.conv1.bias", .type = ST_F32, .rank = 1, .dim = {3}},
      {.name = (char *)(uintptr_t) "student.conv1.weight",
       .type = ST_F32,
       .rank = 2 + spatial,
       .dim = {3, 1, 1, 1, 1}}};
  snprintf(path, sizeof path, "%s.safetensors", name);
  if (!st_write(in_root(path), t, 2, NULL, 0, fill, NULL, err)) fail_msg("%s", err);
}

/* ---- the volume: boxes inside each other, of values 1, 2, 3 ---- */

enum { SIDE = 12, VOXELS = SIDE * SIDE * SIDE };

static int value_at(int i) {
  int depth = SIDE;
  for (int k = 0, at = i; k < 3; k++, at /= SIDE) {
    int x = at % SIDE, d = x < SIDE - 1 - x ? x : SIDE - 1 - x;
    depth = d < depth ? d : depth;
  }
  return depth < 3 ? depth : 3;
}

/* What the mask file has for a value of the image. */
static const int mask_of[4] = {0, 2, 1, 4};

static void write_volume(const char *path, int (*of)(int i), int type) {
  Image v = {.spatial = 3, .channels = 1, .grid = grid_plain((int64_t[]){SIDE, SIDE, SIDE}, NULL)};
  v.grid.placed = true;
  assert_true(image_room(&v));
  for (int i = 0; i < VOXELS; i++) v.value[i] = (float)of(i);
  assert_true(nifti_file(in_root(path), &v, type));
  image_free(&v);
}

static Image read_back(const char *path, ReadAs as) {
  Image v;
  if (!image_read(in_root(path), &(Wish){.as = as}, &v, err)) fail_msg("%s", err);
  return v;
}

TEST(the_module_has_the_regions_and_info_tells_them) {
  module_of("cube", "8, 8, 8", 3, "");
  Module *m = module_open(in_root("cube.so"), err);
  if (!m) fail_msg("%s", err);
  const NetcPrepare *p = m->desc->prepare;
  assert_int_equal(m->desc->classes, 4);
  assert_int_equal(p->nregions, 3);
  assert_string_equal(p->regions[1].name, "core");
  static const int32_t cls[3] = {2, 1, 3};
  for (int r = 0; r < 3; r++) assert_int_equal(p->regions[r].cls, cls[r]);
  static const uint8_t members[4] = {0, 3, 1, 7};
  assert_memory_equal(p->members, members, 4);
  module_close(m);
  runs(NETRUN_BINARY " info cube.so");
  says(
      "  regions          whole: core oedema enhancing (written as oedema), core: core enhancing (written as "
      "core), enhancing: enhancing (written as enhancing)\n");
}

/* ---- predict ---- */

TEST(a_mask_has_the_class_of_the_last_region_and_prob_a_map_of_each) {
  write_volume("cube.nii", value_at, NIFTI_F32);
  runs(NETRUN_BINARY
       " predict cube.so --weights cube.safetensors --in cube.nii --out mask.nii --prob prob.nii "
       "--overlay seen.png --flips");
  Image mask = read_back("mask.nii", READ_NUMBERS), prob = read_back("prob.nii", READ_IMAGE);
  assert_int_equal(prob.channels, 3);
  for (int i = 0; i < VOXELS; i++) {
    int v = value_at(i);
    assert_int_equal((int)mask.value[i], mask_of[v]);
    for (int r = 0; r < 3; r++) {
      double want = 1 / (1 + exp(-8 * (v - r - 0.5)));
      assert_true(fabs((double)prob.value[r * VOXELS + i] - want) < 1e-4);
    }
  }
  image_free(&mask), image_free(&prob);
}

/* Values that a region keeps only its largest part of: a far voxel of the core is oedema then. */
static int far_part(int i) { return i == 0 ? 2 : i == VOXELS - 1 ? 3 : value_at(i); }

TEST(masks_are_cleaned_region_by_region) {
  write_volume("far.nii", far_part, NIFTI_F32);
  runs(NETRUN_BINARY " predict cube.so --weights cube.safetensors --in far.nii --out far_mask.nii --largest");
  Image mask = read_back("far_mask.nii", READ_NUMBERS);
  for (int i = 0; i < VOXELS; i++) {
    int v = i == 0 || i == VOXELS - 1 ? 1 : value_at(i); /* corners touch the whole, not the core */
    assert_int_equal((int)mask.value[i], mask_of[v]);
  }
  image_free(&mask);
}

/* ---- eval ---- */

/* The core is told to reach one voxel less far than it does; what lies at the border is not known. */
static int truth_at(int i) {
  int v = value_at(i);
  return v == 2 ? 2 : v == 0 ? 9 : mask_of[v];
}

/* Numbers of the row `name` of ev/eval.csv under `column`. */
static double score(const char *row, const char *column) {
  char *text = read_text(in_root("ev/eval.csv")), *line = strchr(text, '\n');
  assert_non_null(line);
  *line++ = 0;
  int at = 0;
  char *save, *word = strtok_r(text, ",", &save);
  for (; word && strcmp(word, column) != 0; word = strtok_r(NULL, ",", &save)) at++;
  if (!word) fail_msg("no column %s", column);
  line = strstr(line, row);
  assert_non_null(line);
  while (at--) line = strchr(line, ',') + 1;
  double v = strtod(line, NULL);
  free(text);
  return v;
}

static void scored_as(const char *module) {
  int truth[3] = {0}, pred[3] = {0}, both[3] = {0};
  static const int of_class[5] = {0, 2, 1, 0,
                                  4}; /* regions a mask's value lies in: as a value of the image */
  for (int i = 0; i < VOXELS; i++) {
    int t = truth_at(i), v = t == 4 ? 3 : t == 9 ? -1 : of_class[t];
    for (int r = 0; r < 3 && v >= 0; r++)
      truth[r] += v > r, pred[r] += value_at(i) > r, both[r] += v > r && value_at(i) > r;
  }
  runs("rm -rf ev; " NETRUN_BINARY
       " eval %s.so --weights %s.safetensors --data folder:set --split test --out ev --overlays 1",
       module, module);
  says("each value is the mean over the 3 regions\n");
  static const char *const column[3] = {"DI:whole", "DI:core", "DI:enhancing"};
  double mean = 0;
  for (int r = 0; r < 3; r++) {
    double want = 2.0 * both[r] / (truth[r] + pred[r]);
    if (fabs(score("a", column[r]) - want) > 1e-6) fail_msg("%s is %g", column[r], score("a", column[r]));
    mean += want / 3;
  }
  assert_true(fabs(score("a", "DI") - mean) < 1e-6);
  assert_true(pred[1] != truth[1] && pred[0] == truth[0]);
  char *json = read_text(in_root("ev/eval.json"));
  assert_non_null(strstr(json, "\"regions\": true,\n \"classes\": [\"whole\", \"core\", \"enhancing\"]"));
  free(json);
}

TEST(volumes_are_scored_region_by_region) {
  runs("mkdir -p set/images set/masks; cp cube.nii set/images/a.nii; echo a >set/test.list");
  write_volume("set/masks/a.nii", truth_at, NIFTI_U8);
  scored_as("cube");
}

/* Mask files that were predicted, as another program's would be: their classes say what lies in a region. */
TEST(mask_files_are_scored_region_by_region) {
  double core = score("a", "DI:core");
  runs(NETRUN_BINARY
       " predict cube.so --weights cube.safetensors --in set/images --out masks; rm -rf ev; " NETRUN_BINARY
       " eval cube.so --masks masks --data folder:set --split test --out ev");
  assert_true(core < 1 && fabs(score("a", "DI:core") - core) < 1e-9);
}

/* The same by a 2-D module: slices of its own size. */
TEST(slices_are_scored_region_by_region) {
  module_of("flat", "12, 12", 2, "  plane = \"stored\"\n");
  scored_as("flat");
}

/* ---- cases whose masks tell some classes only ---- */

static int truth_without_oedema(int i) { return truth_at(i) == 2 ? 0 : truth_at(i); }

TEST(partial_cases_are_told_and_left_out_of_scores) {
  runs("printf 'a core enhancing\n' >set/partial.list; " NETRUN_BINARY
       " check cube.so --data folder:set || true");
  says("partial     1 case, whose masks tell some classes only (partial.list)\n");
  fails("a: its mask has oedema, which set/partial.list does not name for it",
        NETRUN_BINARY " eval cube.so --weights cube.safetensors --data folder:set --split test");
  write_volume("set/masks/a.nii", truth_without_oedema, NIFTI_U8);
  runs("rm -rf ev; " NETRUN_BINARY " eval cube.so --weights cube.safetensors --data folder:set --split test "
       "--out ev --metrics di");
  says("region whole: not told by the masks of 1 of the 1 volumes, and left out there\n");
  assert_null(strstr(said, "region core: not told"));
  assert_true(isnan(score("a", "DI:whole")) && score("a", "DI:core") > 0);
  assert_true(fabs(score("a", "DI") - (score("a", "DI:core") + score("a", "DI:enhancing")) / 2) < 1e-6);
  char *json = read_text(in_root("ev/eval.json"));
  assert_non_null(strstr(json, "{\"without\": 0, \"left_out\": 0, \"untold\": 1,"));
  assert_non_null(strstr(json, "\"classes\": [{\"prediction\": null, \"truth\": null, \"DI\": null}"));
  free(json);
}

/* Losses of a module that was compiled without ignored labels would count them. */
TEST(training_on_partial_cases_needs_a_module_that_ignores) {
  FILE *f = fopen(in_root("plain.net"), "w");
  assert_non_null(f);
  fputs("prepare { labels = {0: \"background\", 1: \"core\", 2: \"oedema\", 4: \"enhancing\"} }\n"
        "net n(x) { return conv(x, 4, 1) }\ns = n()\ntrain t {\n"
        "  batch labeled { image: f32[1, 1, 8, 8, 8]; label: label[1, 8, 8, 8] }\n"
        "  update s with sgd(0.1) { minimize mean(s(labeled.image) * onehot(labeled.label, 4)) }\n}\n",
        f);
  fclose(f);
  runs(NETC_BINARY " plain.net -o plain.so; echo a >set/train.list; rm set/test.list");
  fails("set/partial.list: the masks of 1 case tell some classes only, so that their background is ignored",
        NETRUN_BINARY " train plain.so --data folder:set --out plain --iterations 1");
  runs("rm set/partial.list set/train.list; echo a >set/test.list");
}

TEST(a_data_set_with_values_that_no_class_has_is_refused) {
  write_volume("set/masks/a.nii", value_at, NIFTI_U8); /* 3 is no label */
  fails("3", NETRUN_BINARY " eval cube.so --weights cube.safetensors --data folder:set --split test");
}

RUN_TESTS(shell_set_up, scratch_tear_down)
