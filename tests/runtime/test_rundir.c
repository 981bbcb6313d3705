/* test_rundir.c - the directory of a run belongs to one process, and to the next one when that is gone. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

/* From here on flock is unknown to the kernel, as on a file system without locks. */
static bool without_flock(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_flock, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void write_lock(const char *name, long pid, const char *host) {
  FILE *f = fopen(in_root(name), "w");
  if (!f) _exit(20);
  fprintf(f, "pid %ld\nhost %s\nsince 2026-01-02 03:04:05 UTC\n", pid, host);
  fclose(f);
}

/* What a process without flock finds wrong; 0: nothing. */
static int by_the_lines(const char *dir, long dead) {
  char host[128];
  DirLock l;
  if (!without_flock()) return 77;
  if (gethostname(host, sizeof host)) return 1;
  if (!dir_lock(&l, dir, "", err)) return 2; /* nobody there */
  DirLock second;
  if (dir_lock(&second, dir, "", err) || !strstr(err, "in use by process")) return 3;
  dir_unlock(&l);
  write_lock("plain/lock", (long)getppid(), host);
  if (dir_lock(&l, dir, "", err)) return 4; /* alive, and here */
  write_lock("plain/lock", dead, "elsewhere");
  if (dir_lock(&l, dir, "", err) || !strstr(err, "on host elsewhere since 2026-01-02")) return 5;
  write_lock("plain/lock", dead, host);
  if (!dir_lock(&l, dir, "", err)) return 6; /* dead, and here */
  dir_unlock(&l);
  return file_exists(in_root("plain/lock")) ? 7 : 0;
}

TEST(without_locks_the_lines_of_the_file_decide) {
  int status;
  assert_int_equal(mkdir(in_root("plain"), 0777), 0);
  char dir[128];
  snprintf(dir, sizeof dir, "%s", in_root("plain"));
  pid_t gone = fork();
  if (gone == 0) _exit(0);
  assert_int_equal(waitpid(gone, &status, 0), gone);
  pid_t child = fork();
  if (child == 0) _exit(by_the_lines(dir, (long)gone));
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    print_message("system calls cannot be filtered here: not tested\n");
    skip();
  }
  assert_int_equal(WEXITSTATUS(status), 0);
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
