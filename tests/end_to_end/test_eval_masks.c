/* test_eval_masks.c - netrun eval --masks scores mask files that are there as it scores predictions, whoever
 * made them: the same numbers, matched by name, label and place. */
#include "tests/test.h"
#include "tests/end_to_end/shell.h"
#include "tests/known_net.h"
#include "tests/nifti_file.h"
#include "runtime/io/format.h"
#include "runtime/io/picture.h"

enum { SIDE = 8, PLANE = SIDE * SIDE, VOXELS = SIDE * SIDE * SIDE };
#define EVAL NETRUN_BINARY " eval liver.so --data folder:nn --out ev "

static char err[ERR_MAX];

/* `value` in the first planes along x in space, 0 elsewhere; stored from the left to the right, or back. */
static void volume(const char *name, int planes, int value, bool back, double shift) {
  Image v = {.spatial = 3, .channels = 1, .grid = grid_plain((int64_t[]){SIDE, SIDE, SIDE}, NULL)};
  v.grid.placed = true, v.grid.to_mm[1][1] = 2;
  v.grid.to_mm[0][3] = shift;
  if (back) v.grid.to_mm[0][0] = -1, v.grid.to_mm[0][3] = shift + SIDE - 1;
  assert_true(image_room(&v));
  for (int i = 0; i < VOXELS; i++) {
    int x = back ? SIDE - 1 - i / PLANE : i / PLANE;
    v.value[i] = x < planes ? (float)value : 0;
  }
  assert_true(nifti_file(in_root(name), &v, NIFTI_U8));
  image_free(&v);
}

/* Test cases a, b, c of which 2, 3 and 4 planes are liver, and the network sees 3, 3 and 6. */
static int data_set(void **state) {
  static const float centre[2] = {0, 10};
  if (shell_set_up(state)) return -1;
  known_module("liver", "8, 8, 8", 1, 2, "intensity = none\nlabels = {0: \"background\", 5: \"liver\"}");
  known_module("measured", "8, 8, 8", 1, 2,
               "intensity = foreground()\nspacing = \"median\"\nlabels = {0: \"background\", 5: \"liver\"}");
  known_weights("w.safetensors", 3, (KnownNet){centre, 2, 1, 0});
  runs("mkdir -p nn/imagesTr nn/labelsTr nn/imagesTs nn/labelsTs others");
  for (int i = 0; i < 4; i++) {
    char name[64];
    const char *part = i < 3 ? "Ts" : "Tr";
    snprintf(name, sizeof name, "nn/images%s/%c_0000.nii", part, 'a' + i);
    volume(name, i < 2 ? 3 : 6, 10, false, 0);
    snprintf(name, sizeof name, "nn/labels%s/%c.nii", part, 'a' + i);
    volume(name, 2 + i, 5, i == 1, 0);
  }
  return 0;
}

TEST(masks_that_predict_wrote_have_the_scores_of_its_weights) {
  runs(EVAL "--weights w.safetensors");
  says("DI           0.8667");
  runs("mv ev/eval.csv weights.csv");
  runs(NETRUN_BINARY " predict liver.so --weights w.safetensors --in nn/imagesTs --out masks");
  runs(EVAL "--masks masks");
  says("folder, test split, 3 volumes, masks of masks\n");
  says("DI           0.8667");
  runs("cmp ev/eval.csv weights.csv && grep -q '\"masks\": \"masks\"' ev/eval.json && grep -q '\"weights\": "
       "null' "
       "ev/eval.json");
}

TEST(no_weights_and_no_fingerprint_are_needed) {
  runs(NETRUN_BINARY " eval measured.so --data folder:nn --masks masks --out ev2");
  runs("cmp ev2/eval.csv weights.csv");
  fails("--weights is missing, or --masks DIR", NETRUN_BINARY " eval measured.so --data folder:nn");
  fails("does not say what the module's preparation takes from the training set",
        NETRUN_BINARY " eval measured.so --data folder:nn --weights w.safetensors");
}

/* Another tool's: other formats and axes, in sub-folders, with a suffix. */
TEST(masks_of_other_tools_are_matched_by_name_and_place) {
  runs("mkdir -p others/one others/two");
  volume("others/one/a_seg.nii", 3, 5, true, 0), volume("others/two/b.nii", 3, 5, false, 0);
  volume("others/c.nii", 6, 5, true, 0), volume("others/z.nii", 1, 5, false, 0);
  runs(EVAL "--masks others");
  says("others: 1 of its 4 files have the name of no image of the test split, the first z.nii");
  runs("cmp ev/eval.csv weights.csv");
  volume("others/c.nii", 6, 5, false, 3);
  fails("others/c.nii: the mask does not lie on its image nn/imagesTs/c_0000.nii", EVAL "--masks others");
  volume("others/c.nii", 6, 1, false, 0);
  fails("others/c.nii", EVAL "--masks others"); /* 1 is no label of the module */
}

TEST(images_without_a_mask_are_named) {
  runs("mkdir -p some twice && cp masks/b.nii.gz some/ && cp masks/*.gz twice && cp masks/b.nii.gz "
       "twice/b_mask.nii.gz");
  fails("some: no masks of 2 of the 3 images of the test split: a, c (--missing skip leaves them out)",
        EVAL "--masks some");
  runs(EVAL "--masks some --missing skip");
  says("test split, 1 volumes");
  says("no masks of 2 of the 3 images of the test split, which are left out: a, c");
  runs("test \"$(sed -n 2p ev/eval.csv)\" = \"$(sed -n 3p weights.csv)\"");
  runs(EVAL "--masks twice"); /* the name itself is nearer than one with a suffix */
  runs("cmp ev/eval.csv weights.csv");
  runs("mkdir twice/again && cp masks/b.nii.gz twice/again && rm twice/b.nii.gz && mkdir twice/first && "
       "cp masks/b.nii.gz twice/first");
  fails("which of them is the mask of b?", EVAL "--masks twice");
  fails("nn/imagesTr: none of its 1 files has the name of an image of the test split (a, b, c)",
        EVAL "--masks nn/imagesTr");
  fails("nosuch", EVAL "--masks nosuch");
}

TEST(options_of_prediction_are_refused) {
  fails("--weights is for predicting; --masks masks scores masks that are there",
        EVAL "--masks masks --weights w.safetensors");
  fails("--flips is for predicting", EVAL "--masks masks --flips");
  fails("--by slice: --masks masks scores the masks of whole volumes", EVAL "--masks masks --by slice");
  runs(EVAL "--masks masks --largest");
}

/* ---- pictures, and slices of volumes ---- */

TEST(a_module_of_slices_scores_whole_volumes) {
  known_module("flat", "8, 8", 1, 2, "intensity = none\nlabels = {0: \"background\", 5: \"liver\"}");
  runs(NETRUN_BINARY " eval flat.so --data folder:nn --masks masks --out ev3");
  says("test split, 3 volumes");
  runs("cmp ev3/eval.csv weights.csv");
}

TEST(pictures_are_scored) {
  static const float centre[2] = {0, 200};
  runs("mkdir -p pic/test/images pic/test/masks pic/train/images pic/train/masks");
  for (int k = 0; k < 3; k++) {
    char name[64];
    uint8_t image[PLANE], mask[PLANE];
    for (int i = 0; i < PLANE; i++) image[i] = i / SIDE < 2 + k ? 200 : 0, mask[i] = i / SIDE < 3 ? 255 : 0;
    snprintf(name, sizeof name, "pic/%s/images/p%d.png", k < 2 ? "test" : "train", k);
    assert_true(png_write_gray(in_root(name), image, SIDE, SIDE, err));
    snprintf(name, sizeof name, "pic/%s/masks/p%d_segmentation.png", k < 2 ? "test" : "train", k);
    assert_true(png_write_gray(in_root(name), mask, SIDE, SIDE, err));
  }
  known_module("photo", "8, 8", 1, 2, "intensity = none");
  known_weights("photo.safetensors", 2, (KnownNet){centre, 2, 1, 0});
  runs(NETRUN_BINARY " eval photo.so --data folder:pic --weights photo.safetensors --out ev4");
  runs(NETRUN_BINARY " predict photo.so --weights photo.safetensors --in pic/test/images --out photo_masks");
  runs(NETRUN_BINARY " eval photo.so --data folder:pic --masks photo_masks --out ev5");
  says("DI           0.9000");
  runs("cmp ev4/eval.csv ev5/eval.csv");
  runs("cd photo_masks && mv p0.png p0_segmentation.png && mv p1.png p1_segmentation.png");
  runs(NETRUN_BINARY " eval photo.so --data folder:pic --masks photo_masks --out ev5");
  runs("cmp ev4/eval.csv ev5/eval.csv");
}

/* The truth is red; predict writes numbers, others may write colours. */
TEST(classes_that_are_colours_may_be_numbers) {
  static const float centre[2] = {0, 200};
  uint8_t colours[3 * PLANE];
  runs("mkdir -p red/images red/masks red_masks");
  for (int k = 0; k < 2; k++) {
    char name[64];
    uint8_t image[PLANE];
    for (int i = 0; i < PLANE; i++) {
      image[i] = i / SIDE < 2 ? 200 : 0;
      for (int c = 0; c < 3; c++) colours[3 * i + c] = i / SIDE < 3 && !c ? 255 : 0;
    }
    snprintf(name, sizeof name, "red/images/p%d.png", k);
    assert_true(png_write_gray(in_root(name), image, SIDE, SIDE, err));
    snprintf(name, sizeof name, "red/masks/p%d.png", k);
    assert_true(png_write_rgb(in_root(name), colours, SIDE, SIDE, err));
  }
  known_module("red", "8, 8", 1, 2,
               "intensity = none\nlabels = {\"#000000\": \"background\", \"#ff0000\": \"red\"}");
  known_weights("red.safetensors", 2, (KnownNet){centre, 2, 1, 0});
  runs(NETRUN_BINARY " predict red.so --weights red.safetensors --in red/images --out red_masks");
  runs(NETRUN_BINARY " eval red.so --data folder:red --split train --masks red_masks");
  says("DI           0.8000");
  runs(NETRUN_BINARY " eval red.so --data folder:red --split train --masks red/masks");
  says("DI           1.0000");
}

RUN_TESTS(data_set, scratch_tear_down)
