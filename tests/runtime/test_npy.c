/* test_npy.c - arrays in .npy files: what is written reads back, the bytes are those of numpy, and what is
 * damaged, missing or too large for the disk is told. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/scratch.h"
#include "runtime/base/file.h"
#include "runtime/io/npy.h"

static char path[64];

FIXTURE(set_up) {
  if (scratch_set_up(state)) return -1;
  snprintf(path, sizeof path, "%s/a.npy", root);
  return 0;
}

FIXTURE(tear_down) {
  unlink(path);
  return rmdir(root); /* fails when a temporary file was left behind */
}

TEST(arrays_read_back_the_same) {
  char err[ERR_MAX];
  float f[6] = {1.5f, -2, 3, 4, 5, 1e30f};
  int32_t i[6] = {1, -2, 3, 4, 5, INT32_MAX};
  int64_t dim[3] = {2, 1, 3};
  Npy a;
  assert_true(npy_write(path, NPY_F4, 3, dim, f, err));
  assert_true(npy_read(path, &a, err));
  assert_int_equal(a.type, NPY_F4);
  assert_int_equal(a.rank, 3);
  assert_memory_equal(a.dim, dim, sizeof dim);
  assert_memory_equal(a.data, f, sizeof f);
  npy_free(&a);
  assert_true(npy_write(path, NPY_I4, 1, (int64_t[]){6}, i, err));
  assert_true(npy_read(path, &a, err));
  assert_int_equal(a.rank, 1);
  for (int k = 0; k < 6; k++) assert_true(npy_value(&a, k) == i[k]);
  npy_free(&a);
  assert_true(npy_write(path, NPY_F4, 0, NULL, f, err));
  assert_true(npy_read(path, &a, err));
  assert_int_equal(a.rank, 0);
  assert_int_equal(a.count, 1);
  assert_true(npy_value(&a, 0) == 1.5);
  npy_free(&a);
}

/* What numpy.save writes for int64 arange(3), with a version 1.0 header. */
TEST(the_bytes_of_numpy_are_read) {
  char err[ERR_MAX];
  uint8_t b[128 + 24] = "\x93NUMPY\x01\x00\x76\x00{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }";
  memset(b + strlen("\x93NUMPY") + 4 + 58, ' ', 128 - 10 - 58);
  b[127] = '\n';
  for (int i = 0; i < 3; i++) b[128 + 8 * i] = (uint8_t)i;
  Npy a;
  assert_true(npy_parse(b, sizeof b, "x.npy", &a, err));
  assert_int_equal(a.type, NPY_I8);
  assert_int_equal(a.count, 3);
  assert_true(npy_value(&a, 2) == 2);
  npy_free(&a);
}

static void expect_error(const void *bytes, size_t n, const char *what) {
  char err[ERR_MAX] = "";
  Npy a;
  assert_false(npy_parse(bytes, n, "x.npy", &a, err));
  npy_free(&a);
  if (!strstr(err, what) || !strstr(err, "x.npy")) fail_msg("`%s` lacks `%s`", err, what);
}

#define HEADER(text) "\x93NUMPY\x01\x00\x50\x00" text
TEST(a_damaged_file_is_explained) {
  uint8_t b[512] = {0};
  expect_error("", 0, "not a .npy file");
  expect_error("hello, this is text", 19, "not a .npy file");
  memcpy(b, HEADER("{'descr': '<f4'"), 25);
  expect_error(b, 40, "cut short");
  expect_error(b, 90, "cannot be understood");
  strcpy((char *)b + 10, "{'descr': '<f2', 'fortran_order': False, 'shape': (3,)}");
  expect_error(b, 96, "type '<f2'");
  strcpy((char *)b + 10, "{'descr': '<f4', 'fortran_order': True, 'shape': (3,)}");
  expect_error(b, 102, "Fortran");
  strcpy((char *)b + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}");
  expect_error(b, 101, "promises 12 bytes of data and 11 follow");
  strcpy((char *)b + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}");
  expect_error(b, 102, "cannot be understood");
}

TEST(a_missing_file_is_named) {
  char err[ERR_MAX];
  Npy a;
  assert_false(npy_read("/nonexistent/x.npy", &a, err));
  assert_non_null(strstr(err, "/nonexistent/x.npy"));
  assert_false(npy_write("/nonexistent/x.npy", NPY_F4, 0, NULL, &(float){0}, err));
  assert_non_null(strstr(err, "/nonexistent/x.npy"));
}

/* Nothing but the whole file ever stands under the name. */
TEST(a_full_disk_leaves_nothing_half_written) {
  char err[ERR_MAX];
  if (access("/dev/full", W_OK) != 0) skip();
  char tmp[80];
  snprintf(tmp, sizeof tmp, "%s.tmp", path);
  float f = 1;
  assert_true(npy_write(path, NPY_F4, 0, NULL, &f, err));
  assert_int_equal(symlink("/dev/full", tmp), 0);
  f = 2;
  assert_false(npy_write(path, NPY_F4, 0, NULL, &f, err));
  assert_non_null(strstr(err, "a.npy"));
  Npy a;
  assert_true(npy_read(path, &a, err));
  assert_true(npy_value(&a, 0) == 1);
  npy_free(&a);
}

RUN_TESTS(set_up, tear_down)
