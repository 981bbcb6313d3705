/* test_survey.c - what is said of a data set that was read: the table, number by number, and every kind of
 * complaint. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "runtime/io/format.h"
#include "runtime/io/picture.h"
#include "runtime/survey/survey.h"
#include "tests/scratch.h"
#include "tests/nifti.h"
#include "tests/text.h"

static char err[ERR_MAX];

FIXTURE(fresh) {
  if (scratch_tear_down(state)) return -1;
  strcpy(root + strlen(root) - 6, "XXXXXX");
  return scratch_set_up(state);
}

static void folders(const char *a, const char *b) {
  assert_int_equal(mkdir(in_root(a), 0777), 0);
  assert_int_equal(mkdir(in_root(b), 0777), 0);
}

/* A volume of 4 x 3 x 2 whose voxel i is `scale * i`, or where scale < 0 is -scale everywhere. */
static void volume(const char *name, int scale, float mm, float shift) {
  uint8_t value[24];
  for (int i = 0; i < 24; i++) value[i] = (uint8_t)(scale < 0 ? -scale : scale * i);
  nifti_file(in_root(name), (int[]){4, 3, 2}, (float[]){mm, mm, 2 * mm}, shift, value);
}

/* A mask of the same grid: `value` in the first n voxels. */
static void mask(const char *name, int value, int n, float mm, float shift) {
  uint8_t label[24] = {0};
  for (int i = 0; i < n; i++) label[i] = (uint8_t)value;
  nifti_file(in_root(name), (int[]){4, 3, 2}, (float[]){mm, mm, 2 * mm}, shift, label);
}

static void text_file(const char *name, const char *text) {
  FILE *f = fopen(in_root(name), "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

/* The table, with the root's name replaced. */
static char *printed(const Survey *s) {
  static char text[1 << 14];
  memset(text, 0, sizeof text);
  FILE *to = fmemopen(text, sizeof text, "w");
  survey_print(s, to);
  fclose(to);
  for (char *at; (at = strstr(text, root));) {
    memcpy(at, "ROOT", 4);
    memmove(at + 4, at + strlen(root), strlen(at + strlen(root)) + 1);
  }
  return text;
}

/* cmocka cuts long messages: the first line that differs is what counts. */
static void same_text(const char *expected, const char *is) {
  size_t same = 0;
  while (expected[same] && expected[same] == is[same]) same++;
  if (!expected[same] && !is[same]) return;
  while (same && expected[same - 1] != '\n') same--;
  fail_msg("expected:\n%.400s\nbut it is:\n%.400s", expected + same, is + same);
}

static void expect(SurveyOptions o, int stops, const char *table) {
  Survey s;
  if (!o.recipe) o.recipe = &recipe_plain;
  if (!survey_run("folder", root, &o, &s, err)) fail_msg("%s", err);
  const char *is = printed(&s);
  same_text(table, is);
  assert_int_equal(s.stops, stops);
  survey_free(&s);
}

static void write_nnunet(void) {
  folders("imagesTr", "labelsTr");
  for (int k = 0; k < 5; k++) {
    char name[64];
    snprintf(name, sizeof name, "imagesTr/p%d_0000.nii", k), volume(name, k + 1, k == 3 ? 0.5f : 1, 0);
    snprintf(name, sizeof name, "imagesTr/p%d_0001.nii", k), volume(name, k + 2, k == 3 ? 0.5f : 1, 0);
    snprintf(name, sizeof name, "labelsTr/p%d.nii", k), mask(name, 1 + k % 2, 6, k == 3 ? 0.5f : 1, 0);
  }
  text_file("dataset.json",
            "{\"channel_names\": {\"0\": \"T1\", \"1\": \"T2\"}, \"numTraining\": 5, \"labels\": "
            "{\"background\": 0, \"core\": 1, \"edge\": 2}, \"file_ending\": \".nii\"}");
}

TEST_WITH(fresh, NULL, a_sound_data_set_is_described) {
  write_nnunet();
  expect((SurveyOptions){.spatial = 0}, 0,
         "data set    folder, ROOT\n"
         "layout      nnU-Net\n"
         "images      5 volumes, 5 cases, 5 with masks\n"
         "splits      train 4, test 1\n"
         "channels    2: T1, T2\n"
         "                   min    median       max\n"
         "size x               4         4         4\n"
         "size y               3         3         3\n"
         "size z               2         2         2\n"
         "spacing x          0.5         1         1\n"
         "spacing y          0.5         1         1\n"
         "spacing z            1         2         2\n"
         "orientation RAS 5\n"
         "values      0 .. 138\n"
         "labels           value     masks  elements  name\n"
         "                     0         5   75.000%  background\n"
         "                     1         3   15.000%  core\n"
         "                     2         2   10.000%  edge\n"
         "oddities    none\n");
  expect((SurveyOptions){.fast = true}, 0,
         "data set    folder, ROOT\n"
         "layout      nnU-Net\n"
         "images      5 volumes, 5 cases, 5 with masks\n"
         "splits      train 4, test 1\n"
         "channels    2: T1, T2\n"
         "                   min    median       max\n"
         "size x               4         4         4\n"
         "size y               3         3         3\n"
         "size z               2         2         2\n"
         "spacing x          0.5         1         1\n"
         "spacing y          0.5         1         1\n"
         "spacing z            1         2         2\n"
         "orientation RAS 5\n"
         "oddities    none\n");
}

/* The complaints alone. */
static void expect_complaints(SurveyOptions o, const char *list) {
  Survey s;
  char text[1 << 13] = "";
  if (!o.recipe) o.recipe = &recipe_plain;
  if (!survey_run("folder", root, &o, &s, err)) fail_msg("%s", err);
  for (int i = 0; i < s.complaints.n; i++) {
    size_t at = strlen(text);
    const Complaint *c = &s.complaints.list[i];
    snprintf(text + at, sizeof text - at, "%s%s: %s\n", c->stops ? "! " : "", c->kind, c->text);
  }
  same_text(list, text);
  survey_free(&s);
}

TEST_WITH(fresh, NULL, every_oddity_of_volumes_is_told_with_its_file) {
  write_nnunet();
  volume("imagesTr/p0_0000.nii", -7, 1, 0); /* constant */
  mask("labelsTr/p1.nii", 9, 6, 1, 0);      /* no name in dataset.json */
  mask("labelsTr/p2.nii", 1, 6, 1, 3);      /* 3 mm off */
  volume("imagesTr/p4_0000.nii", 2, 1, 0), volume("imagesTr/p4_0001.nii", 3, 1, 0); /* p1 again */
  text_file("labelsTr/p3.nii", "<html>");
  expect_complaints(
      (SurveyOptions){.classes = 3, .channels = 2, .spatial = 3},
      "constant: imagesTr/p0_0000.nii: every element is 7\n"
      "! labels: labelsTr/p1.nii: mask value 9 (6 elements), but the module has classes 0..2 (-D "
      "classes=N); values found: 0, 9. Or say what they mean: prepare { labels = {0: \"background\", "
      "9: \"..\"} }\n"
      "! grid: labelsTr/p2.nii: the mask does not lie on its image imagesTr/p2_0000.nii: "
      "corners are up to 3 mm apart (RAS 4 x 3 x 2, image RAS 4 x 3 x 2). --mask-grid resample "
      "takes the nearest voxels, --mask-grid trust the arrays as they are\n"
      "! unreadable: labelsTr/p3.nii: named as NIfTI, but it holds a web page (HTML): the download failed, "
      "or asked for a login\n"
      "labels: dataset.json: value 9 (1 mask) has no name among its labels\n"
      "duplicate: imagesTr/p4_0000.nii: the same content as imagesTr/p1_0000.nii\n");
}

static void picture(const char *name, int step, int64_t h, int top) {
  uint8_t gray[200];
  for (int i = 0; i < 200; i++) gray[i] = (uint8_t)(top ? (i % 7 == 0) * top : i * step);
  if (!png_write_gray(in_root(name), gray, h, 10, err)) fail_msg("%s", err);
}

TEST_WITH(fresh, NULL, pictures_are_described_and_their_oddities_told) {
  char name[64];
  folders("images", "masks");
  for (int k = 0; k < 6; k++) {
    snprintf(name, sizeof name, "images/c%d.png", k), picture(name, k + 1, k == 5 ? 12 : 20, 0);
    snprintf(name, sizeof name, "masks/c%d.png", k), picture(name, 0, 20, k == 1 ? 128 : 255);
    if (k == 2) assert_int_equal(unlink(in_root(name)), 0);
  }
  picture("masks/stray.png", 0, 20, 255);
  expect((SurveyOptions){.classes = 2, .channels = 3, .spatial = 2}, 2,
         "data set    folder, ROOT\n"
         "layout      folders of images and masks\n"
         "images      6 pictures, 6 cases, 5 with masks\n"
         "splits      train 5 (4 with masks), test 1\n"
         "channels    1\n"
         "                   min    median       max\n"
         "height              12        20        20\n"
         "width               10        10        10\n"
         "values      0 .. 255\n"
         "labels           value     masks  elements\n"
         "                     0         5   85.500%\n"
         "                   128         1    2.900%\n"
         "                   255         4   11.600%\n"
         "module      2-D, 3 channels, 2 classes: the data set does not fit (!)\n"
         "oddities    4, of which 2 would stop a training (!)\n"
         "  ! masks/c1.png: a mask of two classes holds 0 and 1, or 0 and 255; found 0, 128 (128: 29 "
         "elements). Say "
         "what they mean: prepare { labels = {0: \"background\", 128: \"..\"} }\n"
         "  ! masks/c5.png: the mask is 20 x 10, its image 12 x 10 (images/c5.png)\n"
         "  - masks/stray.png: a mask without an image\n"
         "  - c2: 1 image without a mask\n");
  for (int k = 0; k < 6; k++) {
    snprintf(name, sizeof name, "masks/c%d.png", k);
    if (k != 2) assert_int_equal(unlink(in_root(name)), 0);
  }
  expect_complaints((SurveyOptions){.channels = 4},
                    "alone: masks/stray.png: a mask without an image\n"
                    "! channels: images/c0.png: it has 1 channel, but the module wants 4 (-D channels=1)\n"
                    "! channels: images/c1.png: it has 1 channel, but the module wants 4 (-D channels=1)\n"
                    "! channels: images/c2.png: it has 1 channel, but the module wants 4 (-D channels=1)\n"
                    "! channels: images/c3.png: it has 1 channel, but the module wants 4 (-D channels=1)\n"
                    "! channels: images/c4.png: it has 1 channel, but the module wants 4 (-D channels=1)\n"
                    "! channels: images/c5.png: it has 1 channel, but the module wants 4 (-D channels=1)\n"
                    "unlabelled: c0, c1, c2, c3, c4, c5: 6 images without a mask\n");
}

TEST_WITH(fresh, NULL, json_says_the_same) {
  Survey s;
  write_nnunet();
  const SurveyOptions o = {.recipe = &recipe_plain};
  if (!survey_run("folder", root, &o, &s, err)) fail_msg("%s", err);
  assert_true(survey_json(&s, in_root("out.json"), err));
  assert_false(survey_json(&s, in_root("no/such.json"), err));
  survey_free(&s);
  char *text = read_text(in_root("out.json"));
  cJSON *j = cJSON_Parse(text);
  assert_non_null(j);
  assert_string_equal(cJSON_GetObjectItem(j, "layout")->valuestring, "nnU-Net");
  assert_int_equal(cJSON_GetObjectItem(j, "masks")->valueint, 5);
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(j, "items")), 5);
  const cJSON *label = cJSON_GetArrayItem(cJSON_GetObjectItem(j, "labels"), 2);
  assert_string_equal(cJSON_GetObjectItem(label, "name")->valuestring, "edge");
  assert_int_equal(cJSON_GetObjectItem(label, "elements")->valueint, 12);
  const cJSON *item = cJSON_GetArrayItem(cJSON_GetObjectItem(j, "items"), 3);
  assert_string_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(item, "files"), 1)->valuestring,
                      "imagesTr/p3_0001.nii");
  assert_true(cJSON_GetArrayItem(cJSON_GetObjectItem(item, "spacing"), 2)->valuedouble == 1);
  assert_int_equal(cJSON_GetObjectItem(j, "stops")->valueint, 0);
  cJSON_Delete(j), free(text);
}

TEST_WITH(fresh, NULL, the_number_of_threads_changes_nothing) {
  Survey s;
  char one[1 << 14];
  write_nnunet();
  for (int threads = 1; threads <= 3; threads++) {
    const SurveyOptions o = {.recipe = &recipe_plain, .threads = threads};
    if (!survey_run("folder", root, &o, &s, err)) fail_msg("%s", err);
    if (threads == 1) strcpy(one, printed(&s));
    else assert_string_equal(one, printed(&s));
    survey_free(&s);
  }
}

RUN_TESTS(scratch_set_up, scratch_tear_down)
