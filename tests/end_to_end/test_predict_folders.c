/* test_predict_folders.c - how netrun predict finds images: folders of all kinds, channels in files of their
 * own, runs that go on. The network's answer is known: the class of the nearest centre in the second of two
 * channels, PET, of which every image holds other values. */
#include "tests/test.h"
#include "tests/end_to_end/shell.h"
#include "tests/known_net.h"
#include "tests/nifti_file.h"
#include "runtime/io/format.h"
#include "runtime/io/picture.h"

enum { SIDE = 8, VOXELS = SIDE * SIDE * SIDE };
#define PREDICT  NETRUN_BINARY " predict two.so --weights two.safetensors "
#define PREDICT1 NETRUN_BINARY " predict one.so --weights one.safetensors "

static char err[ERR_MAX];

/* 10 in the planes x < foreground, else 0. */
static void volume(const char *name, int foreground) {
  Image v = {.spatial = 3, .channels = 1, .grid = grid_plain((int64_t[]){SIDE, SIDE, SIDE}, NULL)};
  v.grid.placed = true;
  assert_true(image_room(&v));
  for (int i = 0; i < VOXELS; i++) v.value[i] = i / (SIDE * SIDE) < foreground ? 10 : 0;
  assert_true(nifti_file(in_root(name), &v, NIFTI_U8));
  image_free(&v);
}

/* The mask has so many planes of class 1. */
static void mask_is(const char *name, int foreground) {
  Image v;
  if (!image_read(in_root(name), &(Wish){.as = READ_NUMBERS}, &v, err)) fail_msg("%s", err);
  for (int i = 0; i < VOXELS; i++)
    if ((v.value[i] > 0) != (i / (SIDE * SIDE) < foreground)) fail_msg("%s: voxel %d", name, i);
  image_free(&v);
}

static int modules(void **state) {
  static const float centre[2] = {0, 10};
  if (shell_set_up(state)) return -1;
  known_module("two", "8, 8, 8", 2, 2, "intensity = none\nchannels = [\"CT\", \"PET\"]");
  known_module("one", "8, 8, 8", 1, 2, "intensity = none");
  known_weights("two.safetensors", 3, (KnownNet){centre, 2, 2, 1});
  known_weights("one.safetensors", 3, (KnownNet){centre, 2, 1, 0});
  return 0;
}

/* Numbers 0 and 1 of X: CT and PET where no dataset.json says otherwise. */
static void pair(const char *dir, const char *name, int first, int second) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s_0000.nii", dir, name);
  volume(path, first);
  snprintf(path, sizeof path, "%s/%s_0001.nii", dir, name);
  volume(path, second);
}

/* ---- channels in a folder ---- */

TEST(numbered_files_are_channels_of_one_image) {
  runs("mkdir -p ts/sub ts/__MACOSX");
  pair("ts", "b", 1, 5), pair("ts", "a_1", 2, 6), pair("ts/sub", "c", 3, 7);
  runs("cp ts/b_0000.nii ts/__MACOSX/z_0000.nii; cp ts/b_0000.nii ts/._b_0000.nii; mv ts/b_0000.nii "
       "ts/b_0000.NII");
  runs(PREDICT "--in ts --out ts_out");
  says("ts_out/a_1.nii.gz\nts_out/b.nii.gz\nts_out/sub/c.nii.gz\n");
  says("no dataset.json names the channels; _0000, _0001 .. are taken in the module's order, CT, PET");
  mask_is("ts_out/a_1.nii.gz", 6), mask_is("ts_out/b.nii.gz", 5), mask_is("ts_out/sub/c.nii.gz", 7);
  runs("test $(find ts_out -type f | wc -l) = 3");
}

TEST(dataset_json_above_the_folder_names_the_channels) {
  runs("mkdir -p set/imagesTs && printf '{\"channel_names\": {\"0\": \"PET\", \"1\": \"CT\"}}' > "
       "set/dataset.json");
  pair("set/imagesTs", "x", 3, 6);
  runs(PREDICT "--in set/imagesTs --out set_out --ending .nrrd");
  mask_is("set_out/x.nrrd", 3);
  runs(PREDICT "--in set/imagesTs/x_0000.nii --out set_x.nii"); /* the same of one of its files */
  mask_is("set_x.nii", 3);
  runs("cd set/imagesTs && " NETRUN_BINARY
       " predict ../../two.so --weights ../../two.safetensors --in x_0001.nii --out ../../set_y.nii");
  mask_is("set_y.nii", 3);
}

TEST(a_module_takes_the_channel_that_it_names) {
  known_module("ct", "8, 8, 8", 1, 2, "intensity = none\nchannels = [\"CT\"]");
  runs(NETRUN_BINARY " predict ct.so --weights one.safetensors --in set/imagesTs --out ct_out");
  mask_is("ct_out/x.nii.gz", 6);
  fails("set/imagesTs/x_0000.nii: it has 2 channels, but the module wants 1",
        PREDICT1 "--in set/imagesTs --out no");
}

TEST(names_of_modalities_are_channels) {
  runs("mkdir -p brats/P1 brats/P2");
  known_module("mod", "8, 8, 8", 2, 2, "intensity = none\nchannels = [\"t2\", \"flair\"]");
  static const char *const end[] = {"t1", "t1ce", "t2", "flair", "seg"};
  for (int p = 1; p <= 2; p++)
    for (int m = 0; m < 5; m++) {
      char path[64];
      snprintf(path, sizeof path, "brats/P%d/P%d_%s.nii", p, p, end[m]);
      volume(path, p + m);
    }
  runs(NETRUN_BINARY " predict mod.so --weights two.safetensors --in brats --out brats_out");
  says("2 of the 2 images have masks already, which are not looked at");
  mask_is("brats_out/P1/P1.nii.gz", 4), mask_is("brats_out/P2/P2.nii.gz", 5);
  runs(NETRUN_BINARY " predict mod.so --weights two.safetensors --in brats/P2/P2_t2.nii --out p2.nii");
  mask_is("p2.nii", 5);
}

TEST(an_image_without_one_of_its_channels_is_told_by_name) {
  runs("mkdir -p gap");
  pair("gap", "a", 1, 5), pair("gap", "b", 1, 6), pair("gap", "c", 1, 7);
  runs("rm gap/b_0001.nii");
  fails("gap/b_0000.nii: the module takes 2 channels, each in a file of its own here; there is none for PET",
        PREDICT "--in gap --out gap_out");
  runs("! test -e gap_out");
  fails("there is none for PET", PREDICT "--in gap/b_0000.nii --out b.nii");
  fails("1 of the 3 images of gap could not be predicted", PREDICT "--in gap --out gap_out --keep-going");
  says("failed:\n  gap/b_0000.nii\n");
  mask_is("gap_out/a.nii.gz", 5), mask_is("gap_out/c.nii.gz", 7);
}

TEST(numbered_files_of_all_channels_are_images) {
  runs("mkdir -p slices only");
  volume("slices/s_0000.nii", 2), volume("slices/s_0001.nii", 3), volume("only/s_0000.nii", 4);
  runs(PREDICT1 "--in slices --out slices_out");
  says("each of the numbered files has all the channels that the module takes (1): each is an image");
  mask_is("slices_out/s_0000.nii.gz", 2), mask_is("slices_out/s_0001.nii.gz", 3);
  runs(PREDICT1 "--in only --out only_out");
  mask_is("only_out/s.nii.gz", 4);
}

/* Grey and colours are turned into each other where that is what the module takes. */
TEST(numbered_pictures_of_any_colours_are_images) {
  static const float centre[2] = {0, 200};
  uint8_t value[3 * 64];
  memset(value, 200, sizeof value);
  runs("mkdir -p grey colour grey_channels");
  for (int k = 0; k < 4; k++) {
    char name[64];
    snprintf(name, sizeof name, "grey/s_%04d.png", k);
    assert_true(png_write_gray(in_root(name), value, 8, 8, err));
    snprintf(name, sizeof name, "colour/s_%04d.png", k);
    assert_true(png_write_rgb(in_root(name), value, 8, 8, err));
  }
  runs("cp grey/s_000[012].png grey_channels");
  known_module("flat1", "8, 8", 1, 2, "intensity = none");
  known_module("flat3", "8, 8", 3, 2, "intensity = none");
  known_weights("flat1.safetensors", 2, (KnownNet){centre, 2, 1, 0});
  known_weights("flat3.safetensors", 2, (KnownNet){centre, 2, 3, 0});
  static const struct {
    int channels, masks;
    const char *folder;
  } row[] = {{1, 4, "colour"}, {3, 4, "colour"}, {1, 4, "grey"}, {3, 4, "grey"}, {3, 1, "grey_channels"}};
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    runs("rm -rf flat_out");
    runs(NETRUN_BINARY " predict flat%d.so --weights flat%d.safetensors --in %s --out flat_out",
         row[i].channels, row[i].channels, row[i].folder);
    runs("test $(ls flat_out | wc -l) = %d", row[i].masks);
  }
  runs("test -e flat_out/s.png");
}

/* ---- channels by file names ---- */

TEST(files_of_channels_are_named_in_the_modules_order) {
  volume("ct.nii", 2), volume("pet.nii", 5), volume("odd,name_0000.nii", 1), volume("odd,name_0001.nii", 3);
  runs(PREDICT "--in ct.nii,pet.nii --out named.nii");
  mask_is("named.nii", 5);
  runs(PREDICT "--in pet.nii,ct.nii --out named.nii");
  mask_is("named.nii", 2);
  runs(PREDICT1 "--in odd,name_0000.nii --out odd.nii");
  mask_is("odd.nii", 1);
  runs(PREDICT "--in odd,name_0000.nii --out odd.nii");
  says("odd,name_0000.nii: one of 2 channels, odd,name_0000.nii .. odd,name_0001.nii");
  mask_is("odd.nii", 3);
  fails("--in ct.nii,: 1 file, but the module takes 2 channels; there is none for channel 1 (PET)",
        PREDICT "--in ct.nii, --out no.nii");
  fails("pet.nii is a channel of the image, and would be overwritten",
        PREDICT "--in ct.nii,pet.nii --out pet.nii");
  fails("odd,name_0001.nii is a channel of the image",
        PREDICT "--in odd,name_0000.nii --out odd,name_0001.nii");
  fails("3 files, but the module takes 2 channels", PREDICT "--in ct.nii,pet.nii,ct.nii --out no.nii");
  fails("--in ct.nii,nosuch.nii: nosuch.nii: No such file", PREDICT "--in ct.nii,nosuch.nii --out no.nii");
  fails("ct.nii: it has 1 channel, but the module wants 2", PREDICT "--in ct.nii --out no.nii");
}

/* ---- which images are meant ---- */

TEST(the_root_of_a_data_set_is_not_guessed) {
  runs("mkdir -p root/imagesTr root/labelsTr root/imagesTs one_part/images one_part/masks");
  volume("root/imagesTr/a_0000.nii", 1), volume("root/labelsTr/a.nii", 1);
  volume("root/imagesTs/b_0000.nii", 2), volume("root/imagesTs/c_0000.nii", 2);
  fails("root is a data set of several parts, and which one to predict is not guessed; name a folder: "
        "root/imagesTr/ (1), root/imagesTs/ (2)",
        PREDICT1 "--in root --out root_out");
  volume("one_part/images/a.nii", 3), volume("one_part/masks/a.nii", 1);
  runs(PREDICT1 "--in one_part --out one_part_out");
  says("1 of the 1 images have masks already, which are not looked at");
  mask_is("one_part_out/images/a.nii.gz", 3);
  runs("test $(find one_part_out -type f | wc -l) = 1");
}

TEST(a_folder_of_results_below_the_images_is_no_image) {
  runs("mkdir -p in");
  volume("in/a.nii", 3), volume("in/b.nii", 4);
  for (int again = 0; again < 2; again++) {
    runs(PREDICT1 "--in in --out in/masks --prob in/prob");
    if (again) says("masks: the folder of results; it is not searched");
    runs("test \"$(cd in/masks && ls)\" = \"$(printf 'a.nii.gz\\nb.nii.gz')\"");
  }
  mask_is("in/masks/b.nii.gz", 4);
}

TEST(folders_of_masks_hold_no_images) {
  runs("mkdir -p labelled/labels && cp in/a.nii labelled/a.nii && cp in/a.nii labelled/labels/b.nii");
  runs(PREDICT1 "--in labelled --out labelled_out");
  says("labels/b.nii ..: passed over, by its name the folder holds masks (1)");
  runs("test $(find labelled_out -type f | wc -l) = 1");
}

TEST(endings_choose_the_format_of_masks) {
  runs("rm -r in/masks in/prob");
  static const char *const good[] = {".nii", ".nrrd", ".mha"};
  for (int i = 0; i < 3; i++) {
    runs(PREDICT1 "--in in --out ended --ending %s", good[i]);
    char name[32];
    snprintf(name, sizeof name, "ended/a%s", good[i]);
    mask_is(name, 3);
  }
  fails("--ending .png: the mask of a.nii, a volume, is not written so; .nii.gz would do",
        PREDICT1 "--in in --out ended --ending .png");
  fails("--ending .jpg: masks are written as .png, .nii.gz", PREDICT1 "--in in --out e --ending .jpg");
  fails("--ending nrrd: masks are written as .png", PREDICT1 "--in in --out ended --ending nrrd");
  fails("--ending .nii: is for a directory", PREDICT1 "--in in/a.nii --out e.nii --ending .nii");
  runs("mkdir -p twins && cp in/a.nii twins/a.nii && gzip -c in/a.nii > twins/a.nii.gz");
  fails("twins: the masks of a.nii and a.nii.gz would both be a.nii.gz", PREDICT1 "--in twins --out e");
}

#ifdef DICOM_PLUGIN
TEST(series_of_a_folder_are_images_and_a_slice_alone_is_none) {
  char dicom[4096 + 64];
  snprintf(dicom, sizeof dicom, "%s/tests/fixtures/dicom/axial", source);
  runs("mkdir -p clinic/p1 && cp -r %s clinic/p1/CT && cp in/a.nii clinic/b.nii", dicom);
  runs(PREDICT1 "--in clinic --out clinic_out --nan 0");
  says("clinic_out/b.nii.gz\nclinic_out/p1/CT.nii.gz\n");
  runs("cp $(ls clinic/p1/CT/* | head -1) clinic/p1/CT/s.dcm");
  fails(
      "clinic/p1/CT/s.dcm: a single slice of a DICOM series, but the module wants a volume; give the folder "
      "that holds the whole series, clinic/p1/CT",
      PREDICT1 "--in clinic/p1/CT/s.dcm --out s.nii");
}
#endif

/* ---- long runs ---- */

TEST(masks_that_exist_are_left_as_they_are) {
  runs(PREDICT1 "--in in --out resumed");
  runs("rm resumed/b.nii.gz && echo mine > resumed/a.nii.gz");
  runs(PREDICT1 "--in in --out resumed --skip-existing");
  says("resumed/b.nii.gz\n");
  says("1 of 2 masks were there already (--skip-existing)");
  runs("test \"$(cat resumed/a.nii.gz)\" = mine");
  mask_is("resumed/b.nii.gz", 4);
  runs(PREDICT1 "--in in/a.nii --out resumed/a.nii.gz --skip-existing");
  says("resumed/a.nii.gz is there already");
  runs(PREDICT1 "--in in --out resumed --prob resumed_prob --skip-existing"); /* no probabilities yet */
  mask_is("resumed/a.nii.gz", 3);
}

TEST(a_file_that_fails_stops_or_is_listed) {
  runs("mkdir -p bad && cp in/a.nii bad/a.nii && head -c 400 in/a.nii > bad/b.nii && cp in/b.nii bad/c.nii");
  fails("bad/b.nii", PREDICT1 "--in bad --out bad_out");
  runs("test -e bad_out/a.nii.gz && ! test -e bad_out/c.nii.gz");
  fails("1 of the 3 images of bad could not be predicted", PREDICT1 "--in bad --out bad_out --keep-going");
  says("failed:\n  bad/b.nii\n");
  mask_is("bad_out/c.nii.gz", 4);
  runs("! test -e bad_out/b.nii.gz");
}

RUN_TESTS(modules, scratch_tear_down)
