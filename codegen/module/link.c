/* link.c - objects to the shared object, by the system's linker. They go to it as one archive: to make
 * thousands of files takes longer than to link them. The result is written beside its place and renamed, so
 * that a module is never half there. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "codegen/module/module.h"

extern char **environ;

static bool temporary_dir(char out[256], char err[IR_ERR]) {
  const char *base = getenv("TMPDIR");
  if (!base || !*base) base = "/tmp";
  if (snprintf(out, 256, "%s/netc-XXXXXX", base) >= 256)
    return ir_error(err, "$TMPDIR is too long a path: %s", base);
  if (mkdtemp(out)) return true;
  return ir_error(
      err, "cannot make a directory for temporary files in %.300s: %s; set TMPDIR to one that can be written",
      base, strerror(errno));
}

/* A file of the temporary directory. */
static const char *in_dir(char out[320], const char *dir, const char *name) {
  snprintf(out, 320, "%s/%s", dir, name);
  return out;
}

static const char archive_name[] = "kernels.a", log_name[] = "linker.log";

static void remove_dir(const char *dir) {
  char path[320];
  unlink(in_dir(path, dir, archive_name));
  unlink(in_dir(path, dir, log_name));
  rmdir(dir);
}

/* Runs argv with its messages going to `log`. Its exit status, or -1 when it cannot be started. */
static int run(char **argv, const char *log) {
  posix_spawn_file_actions_t actions;
  if (posix_spawn_file_actions_init(&actions)) return -1;
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t pid;
  int failed = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ), status = -1;
  posix_spawn_file_actions_destroy(&actions);
  if (failed) return -1;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* First line of the linker's messages. */
static void first_line(const char *log, char out[256]) {
  FILE *f = fopen(log, "r");
  out[0] = 0;
  if (!f) return;
  if (fgets(out, 256, f)) out[strcspn(out, "\n")] = 0;
  fclose(f);
}

/* Links with the compiler driver, or with the bare linker where there is none. */
static bool link_archive(const char *dir, const char *output, char err[IR_ERR]) {
  char log[320], archive[320], line[256] = "";
  in_dir(log, dir, log_name);
  in_dir(archive, dir, archive_name);
  char *driver[] = {"cc", "-shared",      "-nostdlib",           "-Wl,-z,relro", "-Wl,-z,noexecstack",
                    "-o", (char *)output, "-Wl,--whole-archive", archive,        "-Wl,--no-whole-archive",
                    NULL};
  char *bare[] = {"ld",           "-shared",         "-z",    "relro", "-z", "noexecstack", "-o",
                  (char *)output, "--whole-archive", archive, NULL};
  int status = -1;
  for (int attempt = 0; attempt < 2 && status != 0; attempt++) {
    int now = run(attempt == 0 ? driver : bare, log);
    if (now >= 0 && now != 127) status = now, first_line(log, line); /* 127: not found */
  }
  if (status == 0) return true;
  if (status < 0)
    ir_error(err,
             "cannot link the module: neither cc nor ld can be run; install a C compiler (gcc) or binutils");
  else ir_error(err, "cannot link the module: %s", line[0] ? line : "the linker failed without a message");
  return false;
}

/* A rename would put the module in the place of whatever stands there: of a device too, where root
 * compiles. */
static bool replaceable(const char *output, char err[IR_ERR]) {
  struct stat st;
  if (stat(output, &st) || S_ISREG(st.st_mode)) return true;
  if (S_ISDIR(st.st_mode)) ir_error(err, "cannot write %.300s: it is a directory; name a file", output);
  else ir_error(err, "%.300s is no regular file and is left as it is; give -o the name of a file", output);
  return false;
}

/* The objects as an archive (ar(5)): each behind a header of 60 characters, at even places. It has no index:
 * the linker is told to take all of it. */
static bool write_archive(const char *dir, const Bytes *const *object, int n, char err[IR_ERR]) {
  char path[320], header[64];
  int fd = open(in_dir(path, dir, archive_name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  Bytes all = {0};
  bytes_add(&all, "!<arch>\n", 8);
  for (int i = 0; i < n; i++) {
    snprintf(header, sizeof header, "%-16d%-12d%-6d%-6d%-8d%-10zu`\n", i, 0, 0, 0, 644, object[i]->n);
    bytes_add(&all, header, 60);
    bytes_add(&all, object[i]->data, object[i]->n);
    if (object[i]->n % 2) bytes_add(&all, "\n", 1);
  }
  bool good = fd >= 0 && bytes_write(&all, fd);
  if (fd >= 0 && close(fd)) good = false;
  bytes_free(&all);
  return good || ir_error(err, "cannot write %s: %s", path, strerror(errno));
}

/* Reads the module before it gets its name: under that another netc may put another one at any time. */
static bool read_image(const char *path, Bytes *image, char err[IR_ERR]) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  bool good = fd >= 0 && bytes_read(image, fd);
  if (!good) ir_error(err, "cannot read %.300s: %s", path, strerror(errno));
  if (fd >= 0) close(fd);
  return good;
}

/* Makes an empty file beside `output`. */
static bool reserve_place(const char *output, char temporary[4096], char err[IR_ERR]) {
  if (!replaceable(output, err)) return false;
  if (snprintf(temporary, 4096, "%s.%ld.tmp", output, (long)getpid()) >= 4096)
    return ir_error(err, "path too long: %s", output);
  int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0777); /* says why better than the linker does */
  if (fd < 0) return ir_error(err, "cannot write %.300s: %s", output, strerror(errno));
  close(fd);
  return true;
}

static bool put_in_place(const char *temporary, const char *output, bool good, char err[IR_ERR]) {
  if (good && rename(temporary, output)) {
    ir_error(err, "cannot write %.300s: %s", output, strerror(errno));
    good = false;
  }
  if (!good) unlink(temporary);
  return good;
}

bool link_module(const Bytes *const *object, int n, const CodegenOptions *opt, char err[IR_ERR]) {
  char temporary[4096], dir[256];
  if (!reserve_place(opt->output, temporary, err)) return false;
  bool good = temporary_dir(dir, err);
  if (good) {
    good = write_archive(dir, object, n, err) && link_archive(dir, temporary, err) &&
           (!opt->image || read_image(temporary, opt->image, err));
    remove_dir(dir);
  }
  return put_in_place(temporary, opt->output, good, err);
}

bool codegen_place(const Bytes *image, const char *output, char err[IR_ERR]) {
  char temporary[4096];
  if (!reserve_place(output, temporary, err)) return false;
  int fd = open(temporary, O_WRONLY | O_CLOEXEC);
  bool good = fd >= 0 && bytes_write(image, fd);
  if (fd >= 0 && close(fd)) good = false;
  if (!good) ir_error(err, "cannot write %.300s: %s", output, strerror(errno));
  return put_in_place(temporary, output, good, err);
}
