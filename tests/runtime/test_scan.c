/* test_scan.c - the layouts of data sets, on made-up trees: which files are images, which are their masks. */
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "runtime/find/find.h"
#include "tests/scratch.h"
#include "tests/text.h"

static char err[ERR_MAX];

/* A fresh directory; the one before it goes. */
FIXTURE(fresh) {
  if (scratch_tear_down(state)) return -1;
  strcpy(root + strlen(root) - 6, "XXXXXX");
  return scratch_set_up(state);
}

static void file_with(const char *name, const char *bytes, size_t n) {
  char command[512], *slash;
  snprintf(command, sizeof command, "mkdir -p '%s'", in_root(name));
  if ((slash = strrchr(command, '/')) && strchr(name, '/')) {
    strcpy(slash, "'");
    assert_int_equal(system(command), 0);
  }
  FILE *f = fopen(in_root(name), "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, n, f), n);
  fclose(f);
}

/* Empty files, their names one per line: layouts are told by names. */
static void tree(const char *names) {
  char name[256];
  for (const char *at = names; *at; at += strcspn(at, "\n"), at += *at == '\n') {
    snprintf(name, sizeof name, "%.*s", (int)strcspn(at, "\n"), at);
    file_with(name, "", 0);
  }
}

static void text_file(const char *name, const char *text) { file_with(name, text, strlen(text)); }

/* An HDF5 file whose image and, where it has one, label have `rank` axes. */
static void h5_of(const char *name, int rank, bool labelled) {
  hsize_t dim[3] = {2, 3, 4};
  float value[24] = {0};
  file_with(name, "", 0);
  hid_t f = H5Fcreate(in_root(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  hid_t s = H5Screate_simple(rank, dim, NULL);
  const char *const set[2] = {"image", "label"};
  for (int i = 0; i < 1 + labelled; i++) {
    hid_t d = H5Dcreate2(f, set[i], H5T_IEEE_F32LE, s, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, value) >= 0);
    H5Dclose(d);
  }
  H5Sclose(s), H5Fclose(f);
}

static void h5(const char *name, int rank) { h5_of(name, rank, true); }

static const char *below(const char *path) { return path ? path + strlen(root) + 1 : "-"; }

/* What was found, as text:
 *
 *   LAYOUT
 *   NAME (CASE): FILE [+ FILE ..] | MASK [train] [axes]
 *   ? oddity      ! fatal one */
static char *told(const Found *f) {
  static const char *const part[] = {"", " train", " val", " test"};
  static char text[1 << 14];
  FILE *to = fmemopen(text, sizeof text, "w");
  fprintf(to, "%s\n", f->layout);
  for (int i = 0; i < f->n; i++) {
    const FoundItem *it = &f->item[i];
    fprintf(to, "%s (%s): ", it->name, it->patient);
    for (int k = 0; k < it->nfile; k++) fprintf(to, "%s%s", k ? " + " : "", below(it->file[k]));
    fprintf(to, " | %s%s%s%s\n", below(it->mask), part[it->part], it->axes ? " " : "",
            it->axes ? it->axes : "");
  }
  for (int i = 0; i < f->noddity; i++)
    fprintf(to, "%c %s\n", f->oddity[i].fatal ? '!' : '?', f->oddity[i].text);
  fclose(to);
  return text;
}

static void expect_as(const FindOptions *o, const char *text) {
  Found f;
  if (!find_images(root, o, &f, err)) fail_msg("%s", err);
  const char *is = told(&f);
  if (strcmp(is, text)) fail_msg("expected:\n%sfound:\n%s", text, is);
  found_free(&f);
}

static void expect(int spatial, const char *text) { expect_as(&(FindOptions){.spatial = spatial}, text); }

static void expect_error(const FindOptions *o, const char *part) {
  Found f;
  if (find_images(root, o, &f, err)) fail_msg("expected an error with '%s', found:\n%s", part, told(&f));
  if (!strstr(err, part)) fail_msg("'%s' does not mention '%s'", err, part);
}

/* ---- folders of images and of masks ---- */

TEST_WITH(fresh, NULL, a_header_and_its_voxels_are_one_image) {
  tree("images/a.hdr\nimages/a.img\nimages/b.mhd\nimages/b.zraw\nmasks/a.HDR\nmasks/a.IMG\nmasks/b.mha\n");
  expect(3, "folders of images and masks\n"
            "a (a): images/a.hdr | masks/a.HDR\n"
            "b (b): images/b.mhd | masks/b.mha\n");
}

TEST_WITH(fresh, NULL, images_and_masks_are_paired_by_name) {
  tree("images/b.png\nimages/a.JPG\nimages/c_z001.png\nimages/c_z002.png\nimages/X9.png\nimages/p_image.png\n"
       "masks/b_segmentation.png\nmasks/a.PNG\nmasks/c_z001.png\nmasks/x9-Mask.png\nmasks/p_mask.png\n");
  expect(2, "folders of images and masks\n"
            "a (a): images/a.JPG | masks/a.PNG\n"
            "b (b): images/b.png | masks/b_segmentation.png\n"
            "c_z001 (c): images/c_z001.png | masks/c_z001.png\n"
            "c_z002 (c): images/c_z002.png | -\n"
            "p_image (p_image): images/p_image.png | masks/p_mask.png\n"
            "X9 (X9): images/X9.png | masks/x9-Mask.png\n");
}

TEST_WITH(fresh, NULL, every_suffix_of_masks_is_known) {
  static const char *const suffix[] = {"",     "_segmentation", "_mask", "_label", "_labels",
                                       "_seg", "_gt",           "-seg",  ".mask",  "_GroundTruth"};
  static const char *const folder[] = {"masks",       "labels",       "label", "annotations",  "gt",
                                       "GroundTruth", "ground_truth", "seg",   "segmentations"};
  char name[128];
  for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++) {
    snprintf(name, sizeof name, "imgs/case%zu.nii.gz", i), tree(name);
    snprintf(name, sizeof name, "%s/case%zu%s.nii", folder[i % 9], i, suffix[i]), tree(name);
  }
  Found f;
  if (!find_images(root, &(FindOptions){.spatial = 3}, &f, err)) fail_msg("%s", err);
  if (f.n != 10 || f.labeled != 10 || f.noddity) fail_msg("%s", told(&f));
  found_free(&f);
}

TEST_WITH(fresh, NULL, folders_that_say_train_and_test_give_the_split) {
  tree("images/train/a.png\nimages/test/b.png\nmasks/train/a.png\nmasks/test/b.png\n");
  expect(2, "folders of images and masks\n"
            "b (b): images/test/b.png | masks/test/b.png test\n"
            "a (a): images/train/a.png | masks/train/a.png train\n");
  fresh(NULL);
  tree("train/images/a.png\nvalid/images/a.png\ntrain/masks/a.png\nvalid/masks/a.png\n");
  expect(2, "folders of images and masks\n"
            "train/a (train/a): train/images/a.png | train/masks/a.png train\n"
            "val/a (val/a): valid/images/a.png | valid/masks/a.png val\n");
  fresh(NULL);
  tree("train_images/a.png\ntrain_masks/a.png\n"); /* one part is no division */
  expect(2, "folders of images and masks\na (a): train_images/a.png | train_masks/a.png\n");
}

TEST_WITH(fresh, NULL, a_part_without_any_masks_is_left_out) {
  tree("train/images/a.png\ntrain/images/b.png\ntrain/masks/a.png\ntest/images/c.png\n");
  expect(2, "folders of images and masks\n"
            "a (a): train/images/a.png | train/masks/a.png\n"
            "b (b): train/images/b.png | -\n"
            "? test/images/c.png ..: the test part has no masks; its images, 1, are left out\n");
}

TEST_WITH(fresh, NULL, equal_names_in_sub_folders_are_told_apart) {
  tree(
      "images/benign/1.png\nimages/other/1.png\nimages/other/7.png\nmasks/benign/1.png\nmasks/other/1.png\n");
  expect(2,
         "folders of images and masks\n"
         "benign/1 (benign/1): images/benign/1.png | masks/benign/1.png\n"
         "other/1 (other/1): images/other/1.png | masks/other/1.png\n"
         "7 (7): images/other/7.png | -\n"
         "? images/benign/1.png: names repeat in 2 sub-folders; every image is a case (--case-by REGEX says "
         "otherwise)\n");
}

TEST_WITH(fresh, NULL, slices_numbered_anew_in_every_folder_are_one_case) {
  tree(
      "images/p1/1.png\nimages/p2/1.png\nimages/p3/1.png\nimages/p4/1.png\nimages/p5/1.png\nimages/p5/2.png\n"
      "masks/p1/1.png\n");
  expect(2,
         "folders of images and masks\n"
         "p1/1 (p1): images/p1/1.png | masks/p1/1.png\n"
         "p2/1 (p2): images/p2/1.png | -\n"
         "p3/1 (p3): images/p3/1.png | -\n"
         "p4/1 (p4): images/p4/1.png | -\n"
         "p5/1 (p5): images/p5/1.png | -\n"
         "2 (p5): images/p5/2.png | -\n"
         "? images/p1/1.png: names repeat in 5 sub-folders; every sub-folder is a case (--case-by REGEX says "
         "otherwise)\n");
}

TEST_WITH(fresh, NULL, litter_is_passed_over) {
  tree("images/a.png\nmasks/a.png\nimages/._a.png\nimages/.hidden.png\nimages/Thumbs.db\nimages/desktop.ini\n"
       "__MACOSX/images/b.png\nimages/@eaDir/c.png\nmasks/.DS_Store\n.git/images/d.png\n");
  expect(2, "folders of images and masks\na (a): images/a.png | masks/a.png\n");
}

TEST_WITH(fresh, NULL, links_are_followed_but_not_in_circles) {
  tree("real/a.png\nmasks/a.png\n");
  assert_int_equal(symlink("real", in_root("images")), 0);
  assert_int_equal(symlink("..", in_root("masks/up")), 0);
  assert_int_equal(symlink("nowhere", in_root("masks/b.png")), 0);
  expect(2, "folders of images and masks\n"
            "a (a): images/a.png | masks/a.png\n"
            "? masks/b.png: a link to nothing, or it cannot be read; passed over\n"
            "? masks/up: leads back to a folder above it; passed over\n"
            "? real/a.png: passed over, it fits no part of the layout\n");
}

TEST_WITH(fresh, NULL, what_is_ambiguous_is_an_error) {
  tree("images/a.png\nmasks/a_mask.png\nmasks/a_seg.png\nmasks/b.png\n");
  expect(2,
         "folders of images and masks\n"
         "a (a): images/a.png | masks/a_mask.png\n"
         "! masks/a_seg.png: a second mask of images/a.png beside masks/a_mask.png; which one is meant? Join "
         "them or remove one\n"
         "? masks/b.png: a mask without an image\n");
  fresh(NULL);
  tree("images/a.png\nimages/a.jpg\nmasks/a.png\n");
  expect(2,
         "folders of images and masks\n"
         "a (a): images/a.jpg | masks/a.png\n"
         "! images/a.png: has the name of another image, images/a.jpg; which one is meant? Rename or remove "
         "one\n");
}

TEST_WITH(fresh, NULL, cases_may_follow_an_expression) {
  tree("images/s12_p03.png\nimages/s13_p03.png\nimages/s12_p04.png\nmasks/s12_p03.png\n");
  expect_as(&(FindOptions){.spatial = 2, .case_by = "_(p[0-9]+)$"},
            "folders of images and masks\n"
            "s12_p03 (p03): images/s12_p03.png | masks/s12_p03.png\n"
            "s12_p04 (p04): images/s12_p04.png | -\n"
            "s13_p03 (p03): images/s13_p03.png | -\n");
  expect_error(&(FindOptions){.spatial = 2, .case_by = "_(p[0-9"}, "no regular expression");
  expect_error(&(FindOptions){.spatial = 2, .case_by = "p03"}, "no group");
  expect_error(&(FindOptions){.spatial = 2, .case_by = "_(p03)"}, "images/s12_p04");
}

/* ---- data sets of challenges ---- */

TEST_WITH(fresh, NULL, nnunet_has_a_file_for_every_channel) {
  tree("imagesTr/b_0000.nii.gz\nimagesTr/b_0001.nii.gz\nimagesTr/a_0001.nii.gz\nimagesTr/a_0000.nii.gz\n"
       "labelsTr/a.nii.gz\nlabelsTr/b.nii.gz\nimagesTs/c_0000.nii.gz\nimagesTs/c_0001.nii.gz\n");
  text_file("dataset.json", "{\"channel_names\": {\"0\": \"CT\", \"1\": \"PET\"}, \"numTraining\": 3,"
                            "\"labels\": {\"background\": 0, \"tumour\": 2}, \"file_ending\": \".nii\"}");
  expect(3, "nnU-Net\n"
            "a (a): imagesTr/a_0000.nii.gz + imagesTr/a_0001.nii.gz | labelsTr/a.nii.gz\n"
            "b (b): imagesTr/b_0000.nii.gz + imagesTr/b_0001.nii.gz | labelsTr/b.nii.gz\n"
            "? imagesTr/a_0000.nii.gz: ends in .nii.gz, but dataset.json says file_ending .nii\n"
            "? imagesTs/c_0000.nii.gz ..: the test part has no masks; its images, 1, are left out\n"
            "? dataset.json: says numTraining 3, but imagesTr has 2 cases\n");
  Found f;
  assert_true(find_images(root, &(FindOptions){.spatial = 3}, &f, err));
  assert_int_equal(f.nchannel, 2);
  assert_string_equal(f.channel[1], "PET");
  assert_int_equal(f.nlabel, 3);
  assert_string_equal(f.label[2], "tumour");
  assert_null(f.label[1]);
  found_free(&f);
  tree("labelsTs/c.nii.gz");
  assert_int_equal(unlink(in_root("imagesTr/b_0001.nii.gz")), 0);
  text_file("dataset.json", "{");
  expect(3, "nnU-Net\n"
            "c (c): imagesTs/c_0000.nii.gz + imagesTs/c_0001.nii.gz | labelsTs/c.nii.gz test\n"
            "a (a): imagesTr/a_0000.nii.gz + imagesTr/a_0001.nii.gz | labelsTr/a.nii.gz train\n"
            "b (b): imagesTr/b_0000.nii.gz | labelsTr/b.nii.gz train\n"
            "? dataset.json: not JSON; what it says is not known\n"
            "! imagesTr/b_0000.nii.gz: the image has 1 of 2 files, one for each channel; missing: _0001\n");
}

TEST_WITH(fresh, NULL, the_decathlon_has_one_file_for_an_image) {
  tree("Task04/imagesTr/hippocampus_001.nii.gz\nTask04/imagesTr/._hippocampus_001.nii.gz\n"
       "Task04/labelsTr/hippocampus_001.nii.gz\nTask04/imagesTs/hippocampus_002.nii.gz\n");
  text_file("Task04/dataset.json",
            "{\"modality\": {\"0\": \"MRI\"}, \"labels\": {\"0\": \"background\", \"1\": "
            "\"Anterior\"}, \"numTraining\": 1}");
  expect(3,
         "Medical Segmentation Decathlon\n"
         "hippocampus_001 (hippocampus_001): Task04/imagesTr/hippocampus_001.nii.gz | "
         "Task04/labelsTr/hippocampus_001.nii.gz\n"
         "? Task04/imagesTs/hippocampus_002.nii.gz ..: the test part has no masks; its images, 1, are left "
         "out\n");
  tree("Task09/imagesTr/spleen_1.nii.gz\nTask09/labelsTr/spleen_1.nii.gz\n");
  Found f;
  assert_true(find_images(root, &(FindOptions){.spatial = 3}, &f, err));
  assert_non_null(found_fatal(&f));
  assert_non_null(strstr(found_fatal(&f)->text, "Task04 and Task09: two data sets"));
  found_free(&f);
}

TEST_WITH(fresh, NULL, brats_has_a_folder_for_every_case) {
  tree("B1/B1_t2.nii.gz\nB1/B1_flair.nii.gz\nB1/B1_t1ce.nii.gz\nB1/B1_t1.nii.gz\nB1/B1_seg.nii.gz\n"
       "B2/B2_t2.nii.gz\nB2/B2_flair.nii.gz\nB2/B2_t1ce.nii.gz\nB2/B2_t1.nii.gz\n");
  expect(3, "BraTS\n"
            "B1 (B1): B1/B1_flair.nii.gz + B1/B1_t1.nii.gz + B1/B1_t1ce.nii.gz + B1/B1_t2.nii.gz | "
            "B1/B1_seg.nii.gz\n"
            "B2 (B2): B2/B2_flair.nii.gz + B2/B2_t1.nii.gz + B2/B2_t1ce.nii.gz + B2/B2_t2.nii.gz | -\n");
  const char *const order[] = {"t1", "t1ce", "t2", "flair"};
  Found f;
  assert_true(find_images(root, &(FindOptions){3, NULL, order, 4}, &f, err));
  assert_string_equal(below(f.item[0].file[0]), "B1/B1_t1.nii.gz");
  assert_string_equal(below(f.item[0].file[3]), "B1/B1_flair.nii.gz");
  assert_string_equal(f.channel[3], "flair");
  found_free(&f);
  assert_int_equal(unlink(in_root("B2/B2_t1.nii.gz")), 0);
  assert_true(find_images(root, &(FindOptions){.spatial = 3}, &f, err));
  assert_non_null(strstr(found_fatal(&f)->text, "B2/B2_flair.nii.gz: the image has 3 of 4 files"));
  found_free(&f);
  fresh(NULL);
  tree("G1/G1-t1n.nii.gz\nG1/G1-t1c.nii.gz\nG1/G1-t2w.nii.gz\nG1/G1-t2f.nii.gz\nG1/G1-seg.nii.gz\n");
  expect(3, "BraTS\n"
            "G1 (G1): G1/G1-t1c.nii.gz + G1/G1-t1n.nii.gz + G1/G1-t2f.nii.gz + G1/G1-t2w.nii.gz | "
            "G1/G1-seg.nii.gz\n");
}

TEST_WITH(fresh, NULL, a_module_that_names_channels_gets_those) {
  tree("B1/B1_t2.nii.gz\nB1/B1_flair.nii.gz\nB1/B1_t1ce.nii.gz\nB1/B1_t1.nii.gz\nB1/B1_seg.nii.gz\n");
  const char *const two[] = {"T1ce", "FLAIR"}, *const others[] = {"ct", "pet"};
  expect_as(&(FindOptions){3, NULL, two, 2},
            "BraTS\nB1 (B1): B1/B1_t1ce.nii.gz + B1/B1_flair.nii.gz | B1/B1_seg.nii.gz\n");
  expect_as(&(FindOptions){3, NULL, others, 2},
            "BraTS\n"
            "B1 (B1): B1/B1_flair.nii.gz + B1/B1_t1.nii.gz + B1/B1_t1ce.nii.gz + B1/B1_t2.nii.gz | "
            "B1/B1_seg.nii.gz\n"
            "? the channels are flair, t1, t1ce, t2, the module's ct, pet; they are taken in this order\n");
  fresh(NULL);
  tree("imagesTr/a_0000.nii.gz\nimagesTr/a_0001.nii.gz\nlabelsTr/a.nii.gz\n");
  text_file("dataset.json", "{\"channel_names\": {\"0\": \"PET\", \"1\": \"CT\"}}");
  expect_as(&(FindOptions){3, NULL, others, 2},
            "nnU-Net\na (a): imagesTr/a_0001.nii.gz + imagesTr/a_0000.nii.gz | labelsTr/a.nii.gz\n");
  fresh(NULL);
  tree("imagesTr/a.nii.gz\nlabelsTr/a.nii.gz\n"); /* both in one file */
  text_file("dataset.json", "{\"modality\": {\"0\": \"PET\", \"1\": \"CT\"}}");
  expect_as(&(FindOptions){3, NULL, others, 2},
            "Medical Segmentation Decathlon\n"
            "a (a): imagesTr/a.nii.gz | labelsTr/a.nii.gz\n"
            "? the channels are PET, CT, the module's ct, pet; they are taken in this order\n");
}

TEST_WITH(fresh, NULL, acdc_has_two_frames_of_a_patient) {
  tree("training/patient001/Info.cfg\ntraining/patient001/patient001_4d.nii.gz\n"
       "training/patient001/patient001_frame01.nii.gz\ntraining/patient001/patient001_frame01_gt.nii.gz\n"
       "training/patient001/patient001_frame12.nii.gz\ntraining/patient001/patient001_frame12_gt.nii.gz\n"
       "testing/patient101/patient101_frame01.nii.gz\ntesting/patient101/patient101_frame01_gt.nii.gz\n");
  expect(3, "ACDC\n"
            "patient001_frame01 (patient001): training/patient001/patient001_frame01.nii.gz | "
            "training/patient001/patient001_frame01_gt.nii.gz train\n"
            "patient001_frame12 (patient001): training/patient001/patient001_frame12.nii.gz | "
            "training/patient001/patient001_frame12_gt.nii.gz train\n"
            "patient101_frame01 (patient101): testing/patient101/patient101_frame01.nii.gz | "
            "testing/patient101/patient101_frame01_gt.nii.gz test\n");
}

TEST_WITH(fresh, NULL, acdc_of_ssl4mis_trains_slices_and_tests_volumes) {
  h5("data/slices/patient001_frame01_slice_1.h5", 2), h5("data/slices/patient001_frame01_slice_2.h5", 2);
  h5("data/patient001_frame01.h5", 3), h5("data/patient002_frame01.h5", 3);
  expect(2, "ACDC of SSL4MIS\n"
            "patient001_frame01_slice_1 (patient001): data/slices/patient001_frame01_slice_1.h5 | "
            "data/slices/patient001_frame01_slice_1.h5 yx\n"
            "patient001_frame01_slice_2 (patient001): data/slices/patient001_frame01_slice_2.h5 | "
            "data/slices/patient001_frame01_slice_2.h5 yx\n"
            "patient002_frame01 (patient002): data/patient002_frame01.h5 | data/patient002_frame01.h5 zyx\n");
  expect(3, "ACDC of SSL4MIS\n"
            "patient001_frame01 (patient001): data/patient001_frame01.h5 | data/patient001_frame01.h5 zyx\n"
            "patient002_frame01 (patient002): data/patient002_frame01.h5 | data/patient002_frame01.h5 zyx\n");
}

TEST_WITH(fresh, NULL, lits_lies_in_batches) {
  tree("Training Batch 1/volume-0.nii\nTraining Batch 1/segmentation-0.nii\n"
       "media/nas/01_Datasets/Training Batch 2/volume-28.nii\n"
       "media/nas/01_Datasets/Training Batch 2/segmentation-28.nii\nTest/test-volume-3.nii\n");
  expect(3, "LiTS\n"
            "volume-0 (volume-0): Training Batch 1/volume-0.nii | Training Batch 1/segmentation-0.nii\n"
            "volume-28 (volume-28): media/nas/01_Datasets/Training Batch 2/volume-28.nii | "
            "media/nas/01_Datasets/Training Batch 2/segmentation-28.nii\n");
}

TEST_WITH(fresh, NULL, isic_has_its_own_folder_names) {
  tree("ISIC2018_Task1-2_Training_Input/ISIC_1.jpg\nISIC2018_Task1-2_Training_Input/ISIC_1_superpixels.png\n"
       "ISIC2018_Task1-2_Training_Input/LICENSE.txt\n"
       "ISIC2018_Task1_Training_GroundTruth/ISIC_1_segmentation.png\n");
  expect(2, "ISIC\n"
            "ISIC_1 (ISIC_1): ISIC2018_Task1-2_Training_Input/ISIC_1.jpg | "
            "ISIC2018_Task1_Training_GroundTruth/ISIC_1_segmentation.png\n"
            "? *_superpixels: 1 files of ISIC that are no photographs; passed over\n");
  fresh(NULL);
  tree("ISIC-2017_Training_Data/ISIC_1.jpg\nISIC-2017_Training_Part1_GroundTruth/ISIC_1_segmentation.png\n"
       "ISIC-2017_Test_v2_Data/ISIC_2.jpg\nISIC-2017_Test_v2_Part1_GroundTruth/ISIC_2_segmentation.png\n");
  expect(2, "ISIC\n"
            "ISIC_2 (ISIC_2): ISIC-2017_Test_v2_Data/ISIC_2.jpg | "
            "ISIC-2017_Test_v2_Part1_GroundTruth/ISIC_2_segmentation.png test\n"
            "ISIC_1 (ISIC_1): ISIC-2017_Training_Data/ISIC_1.jpg | "
            "ISIC-2017_Training_Part1_GroundTruth/ISIC_1_segmentation.png train\n");
  fresh(NULL);
  tree("ISBI2016_ISIC_Part1_Training_Data/ISIC_1.jpg\n"
       "ISBI2016_ISIC_Part1_Training_GroundTruth/ISIC_1_Segmentation.png\n");
  expect(2, "ISIC\n"
            "ISIC_1 (ISIC_1): ISBI2016_ISIC_Part1_Training_Data/ISIC_1.jpg | "
            "ISBI2016_ISIC_Part1_Training_GroundTruth/ISIC_1_Segmentation.png\n");
}

/* ---- other layouts ---- */

TEST_WITH(fresh, NULL, one_file_may_hold_image_and_label) {
  h5("caseA/mri_norm2.h5", 3), h5("caseB/mri_norm2.h5", 3);
  expect(3, "image and label in one file\n"
            "caseA (caseA): caseA/mri_norm2.h5 | caseA/mri_norm2.h5\n"
            "caseB (caseB): caseB/mri_norm2.h5 | caseB/mri_norm2.h5\n");
  fresh(NULL);
  h5("b.h5", 3), h5("a.h5", 3);
  expect(3, "image and label in one file\na (a): a.h5 | a.h5\nb (b): b.h5 | b.h5\n");
  h5_of("c.h5", 3, false); /* an unlabelled case */
  expect(3, "image and label in one file\na (a): a.h5 | a.h5\nb (b): b.h5 | b.h5\nc (c): c.h5 | -\n");
}

TEST_WITH(fresh, NULL, masks_may_lie_beside_their_images) {
  tree("data/a.png\ndata/a_mask.png\ndata/b.png\ndata/b_mask.png\ndata/c.png\n");
  expect(2, "masks beside images\n"
            "a (a): data/a.png | data/a_mask.png\n"
            "b (b): data/b.png | data/b_mask.png\n"
            "c (c): data/c.png | -\n");
  tree("data/b_mask_1.png"); /* a second structure of b, in a mask of its own */
  Found f;
  assert_true(find_images(root, &(FindOptions){.spatial = 2}, &f, err));
  assert_non_null(strstr(found_fatal(&f)->text, "data/b_mask_1.png: a second mask of data/b.png"));
  found_free(&f);
}

TEST_WITH(fresh, NULL, a_case_may_be_a_folder) {
  tree(
      "case1/image.nii.gz\ncase1/label.nii.gz\ncase2/image.nii.gz\ncase2/label.nii.gz\ncase3/image.nii.gz\n");
  expect(3, "case folders\n"
            "case1 (case1): case1/image.nii.gz | case1/label.nii.gz\n"
            "case2 (case2): case2/image.nii.gz | case2/label.nii.gz\n"
            "case3 (case3): case3/image.nii.gz | -\n");
}

TEST_WITH(fresh, NULL, a_folder_of_dicom_files_is_a_volume) {
  char preamble[132] = {0};
  memcpy(preamble + 128, "DICM", 4);
  file_with("images/p1/IM0001", preamble, sizeof preamble),
      file_with("images/p1/IM0002", preamble, sizeof preamble);
  tree("images/p2/001.dcm\nimages/p2/002.DCM\nmasks/p1.nii.gz\nimages/DICOMDIR\n");
  expect(3, "folders of images and masks\n"
            "p1 (p1): images/p1 | masks/p1.nii.gz\n"
            "p2 (p2): images/p2 | -\n");
  fresh(NULL);
  tree("p1/001.dcm\np1/label.nii.gz\np2/ct/001.dcm\np2/seg.nii.gz\n");
  expect(3, "case folders\n"
            "p1 (p1): p1 | p1/label.nii.gz\n"
            "p2 (p2): p2/ct | p2/seg.nii.gz\n");
}

TEST_WITH(fresh, NULL, a_module_of_two_axes_takes_pictures_before_volumes) {
  tree("slices/images/a.png\nslices/masks/a.png\nvolumes/volume-0.nii\nvolumes/segmentation-0.nii\n");
  expect(2,
         "folders of images and masks\n"
         "a (a): slices/images/a.png | slices/masks/a.png\n"
         "? volumes/segmentation-0.nii .. volumes/volume-0.nii: 2 files are passed over, they fit no part of "
         "the layout\n");
  expect(3, "LiTS\n"
            "volume-0 (volume-0): volumes/volume-0.nii | volumes/segmentation-0.nii\n"
            "? slices/images/a.png .. slices/masks/a.png: 2 files are passed over, they fit no part of the "
            "layout\n");
}

TEST_WITH(fresh, NULL, images_without_masks_are_found) {
  tree("scans/a.nii.gz\nscans/sub/b.nii.gz\n");
  expect(0, "folders of images and masks\n"
            "a (a): scans/a.nii.gz | -\n"
            "b (b): scans/sub/b.nii.gz | -\n");
  fresh(NULL);
  tree("a.nii.gz\nother/b.nii.gz\n");
  expect(0, "images without masks\na (a): a.nii.gz | -\nb (b): other/b.nii.gz | -\n");
}

TEST_WITH(fresh, NULL, a_folder_without_images_says_what_is_there) {
  tree("notes/a.txt\nnotes/b.txt\nc.bvh\n");
  expect_error(&(FindOptions){.spatial = 3}, "no images found; there are 2 .txt, 1 .bvh. Formats: .png");
  tree("images/a.png\nmasks/a.png\n");
  expect_error(&(FindOptions){.spatial = 3}, "use a 2-D module");
  Found f;
  assert_false(find_images(in_root("nosuch"), &(FindOptions){.spatial = 3}, &f, err));
  assert_non_null(strstr(err, "nosuch"));
  assert_false(find_images(in_root("c.bvh"), &(FindOptions){.spatial = 3}, &f, err));
  assert_non_null(strstr(err, "not a directory"));
}

TEST(cases_of_slices_are_named_before_their_numbers) {
  static const char *const name[][2] = {
      {"p_z031", "p"},     {"p_slice_3", "p"},   {"p_slice031", "p"},        {"p_s031", "p"},
      {"p_s1_z2", "p_s1"}, {"p_size", "p_size"}, {"a_slice_b", "a_slice_b"}, {"_z1", "_z1"}};
  char out[64];
  for (size_t i = 0; i < sizeof name / sizeof *name; i++)
    assert_string_equal(case_in_name(name[i][0], out, sizeof out), name[i][1]);
}

/* docs/data.md has a row for every layout, as the table says. */
TEST(every_layout_is_described) {
  char *text = read_text("docs/data.md"), row[256];
  const char *name, *looks;
  assert_non_null(text);
  for (int i = 0; (name = find_layout(i, &looks)); i++) {
    snprintf(row, sizeof row, "| %s | `%s` |", name, looks);
    if (!strstr(text, row)) fail_msg("docs/data.md lacks the row %s", row);
  }
  free(text);
}

/* ---- the examples of docs/data.md ---- */

static int cases_of(const Found *f) {
  int n = 0;
  for (int i = 0; i < f->n; i++) {
    int k = 0;
    while (strcmp(f->item[k].patient, f->item[i].patient)) k++;
    n += k == i;
  }
  return n;
}

static bool is_told(const Found *f, const char *text) {
  for (int i = 0; i < f->noddity; i++)
    if (!strcmp(f->oddity[i].text, text)) return true;
  return false;
}

/* The lines below the command: rows `layout` and `images`, oddities. */
static void compare_example(char *lines) {
  Found f;
  char is[256];
  if (!find_images(root, &(FindOptions){.spatial = 0}, &f, err)) fail_msg("%s", err);
  for (char *line; (line = strsep(&lines, "\n")) && *line;) {
    line += 4;
    int at = snprintf(is, sizeof is, "images      %d %s%s, %d case%s, %d with masks", f.n,
                      f.item[0].picture ? "picture" : "volume", f.n == 1 ? "" : "s", cases_of(&f),
                      cases_of(&f) == 1 ? "" : "s", f.labeled);
    if (f.held_out) snprintf(is + at, sizeof is - (size_t)at, "; %d left out", f.held_out);
    if (!strncmp(line, "layout", 6)) snprintf(is, sizeof is, "layout      %s", f.layout);
    if (!strncmp(line, "  - ", 4) ? !is_told(&f, line + 4) : strcmp(line, is) != 0)
      fail_msg("the docs say `%s`; found:\n%s\n%s", line, is, told(&f));
  }
  int lines_of_oddities = f.noddity;
  found_free(&f);
  assert_true(lines_of_oddities <= 1);
}

static const char nrrd[] = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 1 1 1\nencoding: raw\n\n1";

TEST_WITH(fresh, NULL, the_atrium_challenge_names_its_files_alike) {
  text_file("A1/lgemri.nrrd", nrrd), text_file("A1/laendo.nrrd", nrrd), text_file("A1/lawall.nrrd", nrrd);
  text_file("Testing Set/B2/lgemri.nrrd", nrrd), text_file("Testing Set/B2/laendo.nrrd", nrrd);
  expect(3, "LA challenge\n"
            "A1 (A1): A1/lgemri.nrrd | A1/laendo.nrrd\n"
            "B2 (B2): Testing Set/B2/lgemri.nrrd | Testing Set/B2/laendo.nrrd\n"
            "? A1/lawall.nrrd: passed over, it fits no part of the layout\n");
}

TEST(examples_of_the_docs_are_found_as_they_say) {
  char *text = read_text("docs/data.md"), *rest = text ? strstr(text, "\n## Layouts by example\n") : NULL;
  int examples = 0;
  if (!rest) {
    fail_msg("docs/data.md has no examples");
    return;
  }
  char *next = strstr(rest + strlen("\n## "), "\n## ");
  if (next) *next = 0;
  for (char *block; (block = strstr(rest, "\n\n    ")); examples++) {
    fresh(NULL);
    char *line = block + 2;
    while (strncmp(line, "    $ ", 6)) {
      char *end = strchr(line, '\n'), name[256];
      snprintf(name, sizeof name, "%.*s", (int)(end - line - 4), line + 4);
      if (strstr(name, ".h5")) h5(name, strstr(name, "slice_") ? 2 : 3);
      else if (strstr(name, ".nrrd")) text_file(name, nrrd);
      else file_with(name, "", 0);
      line = end + 1;
    }
    rest = strstr(line, "\n\n") ? strstr(line, "\n\n") : line + strlen(line);
    char *copy = strndup(strchr(line, '\n') + 1, (size_t)(rest - strchr(line, '\n') - 1));
    compare_example(copy);
    free(copy);
  }
  assert_true(examples >= 12);
  free(text);
}

RUN_TESTS(scratch_set_up, scratch_tear_down)
