/* test_check.c - netrun check: the table, the exit status, and what a training says of the same folders. */
#include <sys/stat.h>
#include "runtime/io/picture.h"
#include "tests/end_to_end/shell.h"
#include "tests/nifti.h"

static char err[ERR_MAX];

/* Slices of four cases; the mask of the last is left out. */
static void write_slices(void) {
  char name[64];
  uint8_t gray[64], mask[64];
  runs("mkdir -p set/train_images set/train_masks");
  for (int k = 0; k < 8; k++) {
    for (int i = 0; i < 64; i++) gray[i] = (uint8_t)(i * (k + 1) % 200), mask[i] = i < 16 ? 255 : 0;
    snprintf(name, sizeof name, "set/train_images/p%d_z%03d.png", k / 2, k % 2);
    assert_true(png_write_gray(in_root(name), gray, 8, 8, err));
    snprintf(name, sizeof name, "set/train_masks/p%d_z%03d_seg.png", k / 2, k % 2);
    if (k < 7) assert_true(png_write_gray(in_root(name), mask, 8, 8, err));
  }
}

static void write_volumes(void) {
  uint8_t value[512], label[512] = {0};
  char name[64];
  runs("mkdir -p ct/imagesTr ct/labelsTr");
  for (int i = 0; i < 64; i++) label[i] = 1;
  for (int k = 0; k < 5; k++) {
    for (int i = 0; i < 512; i++) value[i] = (uint8_t)(i * (k + 1) % 250);
    snprintf(name, sizeof name, "ct/imagesTr/liver_%d.nii", k);
    nifti_file(in_root(name), (int[]){8, 8, 8}, (float[]){1, 1, 1}, 0, value);
    snprintf(name, sizeof name, "ct/labelsTr/liver_%d.nii", k);
    nifti_file(in_root(name), (int[]){8, 8, 8}, (float[]){1, 1, 1}, 0, label);
  }
}

FIXTURE(set_up) {
  if (shell_set_up(state)) return -1;
  if (sh(NETC_BINARY " %s/models/unet.net -o flat.so -D size=[8,8] -D widths=[4,6] -D batch=1", source) ||
      sh("test -f flat.so"))
    return fprintf(stderr, "%s", said), -1;
  write_slices(), write_volumes();
  return 0;
}

TEST(a_data_set_is_described) {
  runs(NETRUN_BINARY " check --data folder:set");
  says("data set    folder, set\n"
       "layout      folders of images and masks\n"
       "images      8 pictures, 4 cases, 7 with masks\n"
       "splits      train 6 (5 with masks), test 2\n"
       "channels    1\n"
       "                   min    median       max\n"
       "height               8         8         8\n"
       "width                8         8         8\n"
       "values      0 .. 199\n"
       "labels           value     masks  elements\n"
       "                     0         7   75.000%\n"
       "                   255         7   25.000%\n"
       "oddities    1, none of which would stop a training\n"
       "  - p3_z001: 1 image without a mask\n");
}

TEST(a_module_is_held_against_it) {
  runs(NETRUN_BINARY " check flat.so --data folder:set");
  says("module      2-D, 1 channel, 2 classes: the data set fits\n");
  runs(NETRUN_BINARY " check flat.so --data folder:ct"); /* slices of volumes */
  says("Medical Segmentation Decathlon");
  fails("of the oddities above would stop a training",
        "printf x > set/train_images/p1_z000.png; " NETRUN_BINARY " check flat.so --data folder:set");
  says("  ! train_images/p1_z000.png: ");
  write_slices();
  runs(NETRUN_BINARY " check --data folder:ct --fast --json ct.json");
  runs("grep -q '\"layout\":.*Decathlon' ct.json");
}

TEST(what_cannot_be_checked_is_told) {
  fails("no images found; there are 1 .txt",
        "mkdir none; touch none/a.txt; " NETRUN_BINARY " check --data folder:none");
  fails("is made up", NETRUN_BINARY " check --data phantom");
  fails("--data is missing", NETRUN_BINARY " check");
  fails("no group", NETRUN_BINARY " check --data folder:set --case-by p1");
}

TEST(training_tells_what_it_found) {
  runs(NETRUN_BINARY " train flat.so --data folder:ct --iterations 1 --out run1 --case-by '_([0-9])$'");
  says("ct: Medical Segmentation Decathlon; 5 volumes, 5 with masks; sizes 8 x 8 x 8\n");
  fails("none has a mask", "mkdir -p bare/images; cp set/train_images/*.png bare/images/; " NETRUN_BINARY
                           " train flat.so --data folder:bare --iterations 1 --out run2");
  runs(NETRUN_BINARY " check --data folder:bare"); /* to be predicted, perhaps */
  fails("8 images without a mask", NETRUN_BINARY " check flat.so --data folder:bare");
  fails("a second mask of train_images/p0_z000.png",
        "cp set/train_masks/p0_z000_seg.png set/train_masks/p0_z000_mask.png; " NETRUN_BINARY
        " train flat.so --data folder:set --iterations 1 --out run3");
}

/* Cases decide which images are for testing: a run remembers what its cases are. */
TEST(an_expression_for_cases_is_remembered) {
  runs("rm -f set/train_masks/*_mask.png; rm -f set/train_images/p3*");
  runs(NETRUN_BINARY " train flat.so --data folder:set --iterations 1 --out run4 --case-by 'z00([0-9])'");
  runs(NETRUN_BINARY " train flat.so --data folder:set --iterations 2 --out run4 --resume");
  fails("was trained with --case-by z00([0-9]), not with --case-by (p)",
        NETRUN_BINARY " train flat.so --data folder:set --iterations 3 --out run4 --resume --case-by '(p)'");
  runs(NETRUN_BINARY " eval flat.so --data folder:set --weights run4/last.safetensors --out scores");
  runs("test $(cut -d, -f1 scores/eval.csv | grep -c '^p[012]_z000\\|^p[012]_z001') -eq 3");
}

RUN_TESTS(set_up, scratch_tear_down)
