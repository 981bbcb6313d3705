/* test_predict_memory.c - netrun predict takes no more memory than it says, and less of it changes no bit. */
#include <spawn.h>
#include <sys/resource.h>
#include "tests/test.h"
#include "tests/end_to_end/shell.h"
#include "tests/known_net.h"
#include "tests/nifti_file.h"

extern char **environ;

enum { CLASSES = 14 };

static void write_volume(const char *path, const int64_t dim[3]) {
  Image v = {.spatial = 3, .channels = 1, .grid = grid_plain(dim, (double[]){0.8, 0.8, 1})};
  v.grid.placed = true;
  v.grid.to_mm[0][0] = -0.8; /* has to be turned */
  assert_true(image_room(&v));
  for (int64_t i = 0; i < grid_count(&v.grid); i++) v.value[i] = (float)((i * 7919 + i / 1013) % 140);
  assert_true(nifti_file(in_root(path), &v, NIFTI_I16));
  image_free(&v);
}

/* Runs netrun predict and says the most memory it had, in bytes. What it prints is in log.txt. */
static int64_t peak_with(const char *in, const char *limit, const char *out, const char *more) {
  char command[512], *argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", command, NULL};
  struct rusage usage;
  pid_t pid;
  int status;
  snprintf(command, sizeof command,
           "cd %s && exec %s predict m.so --weights w.safetensors --in %s --out %s --overlap 0.1 %s %s %s "
           "2>log.txt >files.txt",
           root, NETRUN_BINARY, in, out, *limit ? "--memory" : "", limit, more);
  assert_int_equal(posix_spawnp(&pid, "sh", NULL, NULL, argv, environ), 0);
  assert_int_equal(wait4(pid, &status, 0, &usage), pid);
  runs("cat log.txt");
  if (!WIFEXITED(status) || WEXITSTATUS(status)) fail_msg("%s", said);
  return (int64_t)usage.ru_maxrss * 1024;
}

static int64_t peak_of(const char *limit, const char *out, const char *more) {
  return peak_with("big.nii", limit, out, more);
}

static double said_gib(void) {
  double gib = 0;
  const char *at = strstr(said, "big.nii: ");
  if (!at || sscanf(at, "big.nii: %lf GiB of memory at most", &gib) != 1) fail_msg("%s", said);
  return gib;
}

FIXTURE(set_up) {
  static float centre[CLASSES];
  if (shell_set_up(state)) return -1;
  for (int k = 0; k < CLASSES; k++) centre[k] = (float)k / 10;
  known_module("m", "40, 40, 40", 1, CLASSES, "intensity = fixed(0, 1, scale = 100)");
  known_weights("w.safetensors", 3, (KnownNet){centre, CLASSES, 1, 0});
  write_volume("big.nii", (int64_t[]){192, 160, 150});
  write_volume("small_big.nii", (int64_t[]){80, 90, 70});
  return 0;
}

/* Sanitizers take memory of their own. */
#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static void not_exceeded(int64_t peak, const char *what) {
  double is = (double)peak / 0x1p30, most = said_gib();
  if (SANITIZED) return;
  if (is > most + 0.005 /* two decimals are printed */) fail_msg("%s: %.4f GiB, not %.2f", what, is, most);
  if (is < 0.7 * most) fail_msg("%s: %.4f GiB alone of %.2f", what, is, most);
}

TEST(what_is_said_is_not_exceeded_but_nearly_reached) {
  not_exceeded(peak_of("4G", "whole.nii", ""), "mask");
  not_exceeded(peak_of("4G", "a.nii", "--overlay o.png"), "overlay");
  runs("cmp a.nii whole.nii");
}

TEST(one_image_leaves_nothing_to_the_next) {
  runs("mkdir two && for i in a b; do ln -s ../big.nii two/${i}_big.nii; done");
  not_exceeded(peak_with("two", "4G", "masks", ""), "directory");
  runs("cmp masks/a_big.nii.gz masks/b_big.nii.gz");
}

TEST(cleaning_is_counted) {
  int64_t peak = peak_with("small_big.nii", "4G", "a.nii", "--largest --fill");
  assert_true(SANITIZED || (double)peak < (said_gib() + 0.005) * 0x1p30);
}

TEST(less_memory_changes_no_bit) {
  static const char *const limits[] = {"140M", "110M", "100M"};
  peak_of("4G", "whole.nii", "");
  for (int i = 0; i < 3; i++) {
    not_exceeded(peak_of(limits[i], "a.nii", ""), limits[i]);
    assert_true(said_gib() < strtod(limits[i], NULL) / 1024 + 0.005);
    runs("cmp a.nii whole.nii");
  }
}

/* The voxels of the file are missing, which nobody sees. */
TEST(too_little_memory_is_an_error_before_anything_is_read) {
  runs("head -c 2000 big.nii >cut.nii");
  fails("cut.nii: at least 0.",
        NETRUN_BINARY " predict m.so --weights w.safetensors --in cut.nii --out b.nii --memory 72M");
  says("GiB of memory are needed (--memory says 0.07)");
  Image small = {.spatial = 3, .channels = 1, .grid = grid_plain((int64_t[]){8, 8, 8}, NULL)};
  assert_true(image_room(&small));
  memset(small.value, 0, 512 * sizeof *small.value);
  runs("mkdir dir && cp cut.nii dir/b.nii");
  assert_true(nifti_file(in_root("dir/a.nii"), &small, NIFTI_U8));
  image_free(&small);
  fails("dir/b.nii: at least 0.",
        NETRUN_BINARY " predict m.so --weights w.safetensors --in dir --out out --memory 72M");
  runs("test ! -e out");
}

RUN_TESTS(set_up, scratch_tear_down)
