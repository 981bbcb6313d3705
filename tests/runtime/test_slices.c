/* test_slices.c - the temporary file of prepared slices: where it lies, and a disk without room for it. */
#include <hdf5.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "runtime/data/data.h"
#include "tests/scratch.h"

enum { CASES = 3, SLICES = 7 };
static char err[ERR_MAX], spec[128];
static const DataShape flat = {.spatial = 2, .channels = 1, .size = {256, 256}, .classes = 2};

static void write_h5(const char *name) {
  static float image[9 * 8 * SLICES];
  static uint8_t label[9 * 8 * SLICES];
  hsize_t dim[3] = {9, 8, SLICES};
  for (int i = 0; i < 9 * 8 * SLICES; i++) label[i] = i % SLICES == 3, image[i] = label[i] ? 2.0f : -1.0f;
  hid_t f = H5Fcreate(in_root(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT),
        s = H5Screate_simple(3, dim, NULL),
        a = H5Dcreate2(f, "image", H5T_IEEE_F32LE, s, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
        b = H5Dcreate2(f, "label", H5T_STD_U8LE, s, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  assert_true(H5Dwrite(a, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, image) >= 0);
  assert_true(H5Dwrite(b, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, label) >= 0);
  H5Dclose(a), H5Dclose(b), H5Sclose(s), H5Fclose(f);
}

FIXTURE(set_up) {
  char name[32];
  if (scratch_set_up(state)) return -1;
  for (int k = 0; k < CASES; k++) snprintf(name, sizeof name, "case%d.h5", k), write_h5(name);
  snprintf(spec, sizeof spec, "folder:%s", root);
  return mkdir(in_root("disk"), 0777);
}

/* Loads slice z of case k. */
static bool load(const Dataset *d, int k, int z) {
  Sample s;
  if (!data_load(d, k * SLICES + z, &s, err)) return false;
  bool right = s.label[0] == (z == 3);
  sample_free(&s);
  return right || err_set(err, "case %d, slice %d has another label", k, z);
}

TEST(slices_go_where_TMPDIR_says) {
  setenv("TMPDIR", in_root("nowhere"), 1);
  assert_null(data_open(spec, &flat, err));
  assert_non_null(strstr(err, "/nowhere (set TMPDIR"));
  setenv("TMPDIR", in_root("disk"), 1);
  Dataset *d = data_open(spec, &flat, err);
  if (!d) fail_msg("%s", err);
  char link[64], path[256] = "";
  bool there = false;
  for (int fd = 3; fd < 64 && !there; fd++) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    there = strstr(path, in_root("disk/netrun.")) && strstr(path, "(deleted)");
  }
  assert_true(there);
  for (int k = 0; k < CASES; k++)
    if (!load(d, k, 2 + k)) fail_msg("%s", err);
  data_close(d);
}

TEST(a_file_that_may_not_grow_is_a_message) {
  struct rlimit before, small;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  small = before, small.rlim_cur = 100000;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  Dataset *d = data_open(spec, &flat, err);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_null(d);
  assert_non_null(strstr(err, "has no room for 4.1 MB of prepared slices"));
}

/* One volume's slices take 1.4 MB: those of the second do not fit, and those of the first stay good. */
TEST(a_full_disk_is_a_message) {
  if (mount("none", in_root("disk"), "tmpfs", 0, "size=2m") != 0) {
    print_message("a small disk cannot be mounted here: not tested\n");
    skip();
  }
  Dataset *d = data_open(spec, &flat, err);
  bool first = d && load(d, 0, 3), second = first && load(d, 1, 0);
  char told[ERR_MAX];
  strcpy(told, err);
  bool still = first && load(d, 0, 3) && load(d, 0, 1);
  data_close(d);
  assert_int_equal(umount(in_root("disk")), 0);
  if (!first) fail_msg("%s", told);
  assert_false(second);
  if (!strstr(told, "has no room for 1.4 MB")) fail_msg("%s", told);
  assert_non_null(strstr(told, "4.1 MB free"));
  assert_non_null(strstr(told, "No space left"));
  assert_true(still);
}

RUN_TESTS(set_up, scratch_tear_down)
