/* test_rundir.c - the directory of a run belongs to one process, and to the next one when that is gone. */
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "runtime/base/file.h"
#include "runtime/train/rundir.h"
#include "tests/scratch.h"
#include "tests/text.h"

static char err[ERR_MAX];

/* A process that takes the lock of `dir`, says so through a pipe and sleeps until it is killed. */
static pid_t holder_of(const char *dir) {
  int told[2];
  char byte;
  assert_int_equal(pipe(told), 0);
  pid_t child = fork();
  if (child == 0) {
    DirLock l;
    if (!dir_lock(&l, dir, "wait", err) || write(told[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  assert_int_equal(read(told[0], &byte, 1), 1);
  close(told[0]), close(told[1]);
  return child;
}

static void end(pid_t child) {
  int status;
  kill(child, SIGKILL);
  assert_int_equal(waitpid(child, &status, 0), child);
}

TEST(a_lock_names_its_holder_and_goes_with_it) {
  char dir[128], want[64], host[128];
  snprintf(dir, sizeof dir, "%s", in_root("held"));
  assert_int_equal(mkdir(dir, 0777), 0);
  pid_t child = holder_of(dir);
  DirLock l;
  assert_false(dir_lock(&l, dir, "take another", err));
  assert_int_equal(l.fd, -1);
  snprintf(want, sizeof want, "in use by process %ld on host", (long)child);
  if (!strstr(err, want)) fail_msg("%s", err);
  assert_int_equal(gethostname(host, sizeof host), 0);
  assert_non_null(strstr(err, host));
  assert_non_null(strstr(err, "UTC"));
  assert_non_null(strstr(err, "take another"));
  end(child);
  assert_true(file_exists(in_root("held/lock"))); /* it could not tidy up */
  if (!dir_lock(&l, dir, "", err)) fail_msg("%s", err);
  char *text = read_text(in_root("held/lock"));
  snprintf(want, sizeof want, "pid %ld\n", (long)getpid());
  assert_memory_equal(text, want, strlen(want)); /* and the dead one's name is gone */
  free(text);
  dir_unlock(&l);
  assert_false(file_exists(in_root("held/lock")));
  dir_unlock(&l); /* twice is no harm */
}

TEST(a_lock_holds_within_one_process_too) {
  DirLock a, b;
  assert_int_equal(mkdir(in_root("twice"), 0777), 0);
  assert_true(dir_lock(&a, in_root("twice"), "", err));
  assert_false(dir_lock(&b, in_root("twice"), "", err));
  dir_unlock(&a);
  assert_true(dir_lock(&b, in_root("twice"), "", err));
  dir_unlock(&b);
}

/* Who has opened the file just before its holder removes it holds a lock on nothing, and must see that. */
TEST(a_file_that_was_removed_is_not_the_lock) {
  DirLock a, b;
  assert_int_equal(mkdir(in_root("moved"), 0777), 0);
  assert_true(dir_lock(&a, in_root("moved"), "", err));
  assert_int_equal(unlink(in_root("moved/lock")), 0); /* as on a file system that a person has tidied */
  assert_true(dir_lock(&b, in_root("moved"), "", err));
  dir_unlock(&b), dir_unlock(&a);
}

TEST(a_lock_that_cannot_be_written_is_told) {
  DirLock l;
  assert_false(dir_lock(&l, in_root("nowhere"), "", err));
  assert_non_null(strstr(err, "nowhere/lock: No such file"));
}

static const NetcFn no_outputs;

/* Whatever is asked for, nothing in a directory in use is removed or cut. */
TEST(nothing_is_touched_before_the_lock_is_held) {
  char dir[128];
  snprintf(dir, sizeof dir, "%s", in_root("busy"));
  RunDir r;
  if (!rundir_open(&r, dir, err) || !rundir_create(&r, &no_outputs, false, err)) fail_msg("%s", err);
  assert_true(rundir_log(&r, 1, NULL, 0, 0.5, err));
  rundir_close(&r);
  pid_t child = holder_of(dir);
  assert_false(rundir_open(&r, dir, err));
  assert_non_null(strstr(err, "--resume"));
  rundir_close(&r);
  char *text = read_text(in_root("busy/metrics.csv"));
  assert_string_equal(text, "iteration\n1\n");
  free(text);
  end(child);
}

TEST(force_removes_every_result_and_nothing_else) {
  static const char *const name[] = {"last.safetensors", "best.safetensors", "metrics.csv",
                                     "timing.csv",       "val.csv",          "curves.png"};
  char path[64];
  RunDir r;
  assert_int_equal(mkdir(in_root("old"), 0777), 0);
  for (int i = 0; i < 7; i++) {
    snprintf(path, sizeof path, "old/%s", i < 6 ? name[i] : "notes.txt");
    FILE *f = fopen(in_root(path), "w");
    assert_non_null(f);
    fclose(f);
  }
  assert_true(rundir_open(&r, in_root("old"), err));
  assert_false(rundir_create(&r, &no_outputs, false, err));
  assert_non_null(strstr(err, "--force"));
  rundir_close(&r);
  assert_true(file_exists(in_root("old/val.csv")));
  assert_true(rundir_open(&r, in_root("old"), err) && rundir_create(&r, &no_outputs, true, err));
  rundir_close(&r);
  for (int i = 0; i < 6; i++) {
    snprintf(path, sizeof path, "old/%s", name[i]);
    bool anew = i == 2 || i == 3;
    assert_int_equal(file_exists(in_root(path)), anew);
  }
  assert_true(file_exists(in_root("old/notes.txt")));
  assert_false(file_exists(in_root("old/lock")));
}

RUN_TESTS(scratch_set_up, scratch_tear_down)
