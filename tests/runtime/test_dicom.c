/* test_dicom.c - DICOM files and series (tests/fixtures/dicom.py) against what SimpleITK reads of them, and
 * series with faults. Needs the plug-in, and skips all but its absence where it was not built. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "tests/scratch.h"
#include "runtime/base/plugin.h"
#include "runtime/io/format.h"

#define FIXTURES "tests/fixtures/dicom/"
static char err[ERR_MAX];
static Notes notes;

FIXTURE(before) { return notes_init(&notes), 0; }
FIXTURE(after) { return notes_free(&notes), 0; }
#define NOTED(name) TEST_WITH(before, after, name)

static void needs_plugin(void) {
#ifdef TEST_PLUGINS
  setenv("NETRUN_PLUGINS", TEST_PLUGINS, 1);
#else
  print_message("the plug-in for DICOM was not built (libgdcm-dev): not tested\n");
  skip();
#endif
}

static Image read_path(const char *path) {
  Image image;
  if (!image_read(path, &(Wish){.notes = &notes}, &image, err)) fail_msg("%s", err);
  return image;
}

static void fails(const char *path, ReadAs as, const char *part) {
  Image image;
  assert_false(image_read(path, &(Wish){.as = as, .notes = &notes}, &image, err));
  if (!strstr(err, part)) fail_msg("'%s' lacks '%s'", err, part);
}

static void noted(const char *part) {
  for (int i = 0; i < notes.n; i++)
    if (strstr(notes.text[i], part)) return;
  fail_msg("no note holds '%s'", part);
}

/* The fixture of that name is what NAME.nii.gz holds, value by value and place by place. */
static void as_expected(const char *name, const char *ending) {
  char path[256], nifti[256];
  snprintf(path, sizeof path, FIXTURES "%s%s", name, ending);
  snprintf(nifti, sizeof nifti, FIXTURES "%s.nii.gz", name);
  Image got = read_path(path), want = read_path(nifti);
  assert_true(got.spatial == 3 && got.channels == 1 && got.grid.placed);
  assert_memory_equal(got.grid.dim, want.grid.dim, sizeof got.grid.dim);
  for (int i = 0; i < 12; i++)
    if (!(fabs(got.grid.to_mm[i / 4][i % 4] - want.grid.to_mm[i / 4][i % 4]) < 1e-5))
      fail_msg("%s: to_mm[%d][%d] is %g, not %g", name, i / 4, i % 4, got.grid.to_mm[i / 4][i % 4],
               want.grid.to_mm[i / 4][i % 4]);
  assert_memory_equal(got.value, want.value, (size_t)grid_count(&got.grid) * sizeof(float));
  image_free(&got), image_free(&want);
}

/* A folder of copies; `files`: what follows cp. */
static const char *copies(const char *name, const char *files) {
  char command[1024];
  const char *folder = in_root(name);
  snprintf(command, sizeof command, "mkdir -p %s && cp %s %s/", folder, files, folder);
  assert_int_equal(system(command), 0);
  return folder;
}

NOTED(a_plugin_that_is_missing_or_broken_is_named) {
  setenv("NETRUN_PLUGINS", in_root("plugins"), 1);
  assert_null(plugin_symbol("netc_nosuch.so", "door", "a.dcm: DICOM", "apt-get install it", err));
  assert_non_null(strstr(err, "a.dcm: DICOM needs the plug-in netc_nosuch.so, which is neither in"));
  assert_non_null(strstr(err, "apt-get install it"));
  copies("plugins", FIXTURES "xray.dcm");
  assert_null(plugin_symbol("xray.dcm", "door", "a.dcm: DICOM", "apt-get install it", err));
  assert_non_null(strstr(err, "cannot be opened: "));
  unsetenv("NETRUN_PLUGINS");
}

NOTED(folders_and_files_are_told) {
  assert_true(is_series(FIXTURES "axial") && is_series(FIXTURES "captures"));
  assert_false(is_series("tests/fixtures")); /* the series are further down */
  assert_true(is_dicom(FIXTURES "axial/im3") && !is_dicom(FIXTURES "axial.nii.gz") && !is_dicom(FIXTURES));
  assert_false(is_series("tests/fixtures/hdf5") || is_series("tests/nosuch") ||
               is_series(FIXTURES "xray.dcm"));
  assert_ptr_equal(format_of(FIXTURES "axial"), &format_dicom);
  assert_ptr_equal(format_of(FIXTURES "xray.dcm"), &format_dicom);
  assert_null(format_of("tests/fixtures/hdf5"));
  assert_int_equal(format_stem("axial"), 5);
  assert_int_equal(format_stem("xray.dcm"), 4);
}

NOTED(series_are_what_simpleitk_reads) {
  static const char *const series[] = {"axial", "oblique", "pet", "coarse", "signed12", "rle", "jpeg2000"};
  needs_plugin();
  for (size_t i = 0; i < sizeof series / sizeof *series; i++) as_expected(series[i], "");
  assert_int_equal(notes.n, 0);
}

NOTED(frames_of_an_enhanced_file_lie_where_each_says) {
  needs_plugin();
  as_expected("enhanced", ".dcm");
  assert_int_equal(notes.n, 0);
}

NOTED(a_tilted_gantry_shears_the_grid) {
  needs_plugin();
  as_expected("tilt", "");
  noted("shifted against each other by 26.6 degrees");
}

NOTED(a_file_without_ending_is_read_by_its_content) {
  needs_plugin();
  Image m = read_path(FIXTURES "axial/im3");
  assert_true(m.spatial == 2 && m.grid.dim[0] == 5 && m.grid.dim[1] == 8); /* a slice: (H,W) */
  assert_true(m.grid.to_mm[0][0] == 0.5 && m.grid.to_mm[1][1] == 0.75);
  image_free(&m);
}

NOTED(a_header_alone_is_read) {
  Image m;
  needs_plugin();
  assert_true(image_read(FIXTURES "axial", &(Wish){.header = true}, &m, err));
  assert_true(m.spatial == 3 && m.grid.dim[2] == 5 && !m.value);
  assert_int_equal(image_spatial(FIXTURES "axial", err), 3);
  assert_int_equal(image_spatial(FIXTURES "xray.dcm", err), 2);
  assert_int_equal(image_spatial(FIXTURES "enhanced.dcm", err), 3);
}

NOTED(pictures_come_in_colour_and_grey) {
  needs_plugin();
  Image a = read_path(FIXTURES "colours.dcm"), b = read_path(FIXTURES "planes.dcm");
  assert_true(a.spatial == 2 && a.channels == 3 && b.channels == 3 && a.full == 255);
  for (int i = 0; i < 40; i++) {
    int y = i / 8, x = i % 8;
    assert_true(a.value[i] == (float)(10 * x) && a.value[40 + i] == (float)(20 * y));
    assert_true(a.value[80 + i] == (float)(100 + x + y));
  }
  assert_memory_equal(a.value, b.value, 120 * sizeof(float));
  image_free(&a), image_free(&b);
  a = read_path(FIXTURES "xray.dcm");
  assert_true(a.channels == 1 && a.value[9] == 71 && a.grid.to_mm[1][1] == 0.125);
  noted("MONOCHROME1");
  image_free(&a);
  a = read_path(FIXTURES "jpeg.dcm"); /* YBR_FULL_422: red with green above, blue below */
  noted("compressed with losses");
  static const float want[2][3] = {{200, 90, 0}, {0, 0, 220}};
  for (int c = 0; c < 3; c++)
    assert_true(fabsf(a.value[c * 256] - want[0][c]) < 4 && fabsf(a.value[c * 256 + 255] - want[1][c]) < 4);
  image_free(&a);
}

NOTED(a_missing_slice_is_named) {
  needs_plugin();
  const char *folder = copies("missing", FIXTURES "axial/im3 " FIXTURES "axial/im10 " FIXTURES
                                                  "axial/im2 " FIXTURES "axial/im9");
  fails(folder, READ_IMAGE, "slices are missing between im10 and im2: these lie 5 mm apart, others 2.5 mm");
}

NOTED(uneven_slices_are_told) {
  needs_plugin();
  Image m = read_path(FIXTURES "uneven");
  noted("lie 1.9 to 2.1 mm apart; 2 mm is taken");
  assert_true(m.grid.to_mm[2][2] == 2);
  image_free(&m);
}

NOTED(copies_are_left_out_and_other_images_of_a_slice_refused) {
  needs_plugin();
  const char *folder = copies("twice", FIXTURES "axial/*");
  assert_int_equal(system("cd /tmp/netc_test_*/twice && cp im3 copy"), 0);
  Image m = read_path(folder);
  assert_int_equal(m.grid.dim[2], 5);
  noted("is a copy of");
  image_free(&m);
  /* another instance, of the same series and place */
  assert_int_equal(system("cd /tmp/netc_test_*/twice && sed -i 's/8\\.498\\.10\\.1/8.498.10.9/g' copy"), 0);
  fails(folder, READ_IMAGE, "lie at the same place: the series holds several images of a slice");
}

NOTED(several_series_in_a_folder_are_listed) {
  needs_plugin();
  fails(copies("two", FIXTURES "axial/* " FIXTURES "captures/000.dcm"), READ_IMAGE, "holds 2 series: ");
  assert_non_null(strstr(err, "CT '' of 5 files (im10, ..)"));
  assert_non_null(strstr(err, "OT '' of 1 file (000.dcm)"));
}

NOTED(slices_that_do_not_belong_together_are_named) {
  needs_plugin();
  const char *folder = copies("mixed", FIXTURES "axial/*");
  char command[256];
  /* the same series by its number, but another direction */
  snprintf(command, sizeof command, "sed 's/8\\.498\\.20/8.498.10/g' " FIXTURES "oblique/im3 > %s/other",
           folder);
  assert_int_equal(system(command), 0);
  fails(folder, READ_IMAGE, "lie in different directions");
  assert_non_null(strstr(err, "other"));
}

NOTED(other_files_are_left_out_with_a_note) {
  needs_plugin();
  const char *folder = copies("report", FIXTURES "axial/* " FIXTURES "report docs/tour.svg");
  Image m = read_path(folder);
  assert_int_equal(m.grid.dim[2], 5);
  noted("2 files without a DICOM image left out (report, ..)");
  image_free(&m);
  fails(FIXTURES "report", READ_IMAGE, "holds no DICOM image");
}

NOTED(captures_written_one_by_one_are_one_volume) {
  needs_plugin();
  Image m = read_path(FIXTURES "captures");
  assert_true(m.grid.dim[2] == 3 && !m.grid.placed && m.value[0] == 0 && m.value[2] == 120);
  noted("each of its 3 files is a series of its own");
  noted("in the order of the files' names");
  noted("1 mm is taken");
  image_free(&m);
}

NOTED(segmentations_are_refused_and_numbers_of_masks_read) {
  needs_plugin();
  fails(FIXTURES "seg.dcm", READ_NUMBERS, "seg.dcm is a DICOM segmentation (SEG), which is not read");
  fails(FIXTURES "colours.dcm", READ_NUMBERS, "has 3 channels, which differ");
  Image m;
  assert_true(image_read(FIXTURES "pet", &(Wish){.as = READ_NUMBERS}, &m, err));
  image_free(&m);
}

NOTED(damaged_files_end_in_a_message) {
  needs_plugin();
  const char *folder = copies("cut", FIXTURES "axial/*");
  char command[256];
  for (int bytes = 700; bytes > 130; bytes -= 90) {
    snprintf(command, sizeof command, "truncate -s %d %s/im3", bytes, folder);
    assert_int_equal(system(command), 0);
    fails(folder, READ_IMAGE, "im3: ");
  }
}

RUN_TESTS(scratch_set_up, scratch_tear_down)
