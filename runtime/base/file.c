/* file.c - whole files in and out: a file appears under its name only when it is complete (written beside it,
 * synced, renamed). */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "runtime/base/file.h"

bool file_map(const char *path, Bytes *out, char err[ERR_MAX]) {
  *out = (Bytes){NULL, 0};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return err_sys(err, "cannot open %s", path);
  struct stat st;
  bool ok = fstat(fd, &st) == 0;
  if (!ok) err_sys(err, "cannot read %s", path);
  else if (!S_ISREG(st.st_mode)) ok = err_set(err, "%s is not a regular file", path);
  else if (st.st_size > 0) {
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    ok = p != MAP_FAILED || err_sys(err, "cannot read %s", path);
    if (ok) *out = (Bytes){p, (size_t)st.st_size};
  }
  close(fd);
  return ok;
}

void file_unmap(Bytes *b) {
  if (b->data) munmap((void *)(uintptr_t)b->data, b->size);
  *b = (Bytes){NULL, 0};
}

bool atomic_open(AtomicFile *f, const char *path, char err[ERR_MAX]) {
  *f = (AtomicFile){NULL, strdup(path), malloc(strlen(path) + 5)};
  if (!f->path || !f->tmp) {
    free(f->path), free(f->tmp);
    return err_memory(err, "a file name", (int64_t)strlen(path));
  }
  strcat(strcpy(f->tmp, path), ".tmp");
  f->file = fopen(f->tmp, "wbe");
  if (f->file) return true;
  err_sys(err, "cannot write %s", f->tmp);
  free(f->path), free(f->tmp);
  return false;
}

static void forget(AtomicFile *f) {
  free(f->path), free(f->tmp);
  *f = (AtomicFile){NULL, NULL, NULL};
}

void atomic_abort(AtomicFile *f) {
  fclose(f->file);
  unlink(f->tmp);
  forget(f);
}

static bool sync_directory_of(const char *path) {
  char *copy = strdup(path);
  if (!copy) return false;
  int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  free(copy);
  if (fd < 0) return false;
  bool ok = fsync(fd) == 0 || errno == EINVAL; /* some file systems cannot sync a directory */
  close(fd);
  return ok;
}

bool atomic_commit(AtomicFile *f, char err[ERR_MAX]) {
  bool ok = !ferror(f->file) && fflush(f->file) == 0 && fsync(fileno(f->file)) == 0;
  int code = errno;
  ok = fclose(f->file) == 0 && ok;
  if (!ok) {
    errno = code;
    err_sys(err, "cannot write %s (%s is as it was)", f->tmp, f->path);
  } else if (rename(f->tmp, f->path) != 0 || !sync_directory_of(f->path)) {
    ok = err_sys(err, "cannot put %s in its place", f->path);
  }
  if (!ok) unlink(f->tmp);
  forget(f);
  return ok;
}

const char *temporary_directory(void) {
  const char *dir = getenv("TMPDIR");
  return dir && *dir ? dir : "/tmp";
}

int temporary_file(char err[ERR_MAX]) {
  char *path = path_join(temporary_directory(), "netrun.XXXXXX");
  if (!path) return err_memory(err, "a file name", 0), -1;
  int fd = mkostemp(path, O_CLOEXEC);
  if (fd < 0)
    err_sys(err, "cannot make a temporary file in %s (set TMPDIR to a directory that can be written)",
            temporary_directory());
  else unlink(path);
  free(path);
  return fd;
}

bool file_reserve(int fd, int64_t first, int64_t bytes) {
  int code;
  do code = bytes ? posix_fallocate(fd, first, bytes) : 0;
  while (code == EINTR);
  errno = code;
  return code == 0;
}

bool make_dirs(const char *path, char err[ERR_MAX]) {
  char *p = strdup(path);
  if (!p) return err_memory(err, "a file name", (int64_t)strlen(path));
  bool ok = *p != '\0';
  if (!ok) err_set(err, "the directory's name is empty");
  for (char *s = p + 1; ok; s++) {
    if (*s != '/' && *s != '\0') continue;
    char keep = *s;
    *s = '\0';
    struct stat st;
    if (mkdir(p, 0777) != 0) {
      if (errno != EEXIST) ok = err_sys(err, "cannot make directory %s", p);
      else if (stat(p, &st) != 0 || !S_ISDIR(st.st_mode)) ok = err_set(err, "%s is not a directory", p);
    }
    *s = keep;
    if (keep == '\0') break;
  }
  free(p);
  return ok;
}

bool file_exists(const char *path) { return access(path, F_OK) == 0; }

bool file_could_hold(const char *path, double bytes) {
  struct stat st;
  return stat(path, &st) == 0 && bytes <= 1032.0 * (double)st.st_size;
}

char *path_join(const char *dir, const char *name) {
  char *s = malloc(strlen(dir) + strlen(name) + 2);
  if (s) sprintf(s, "%s/%s", dir, name);
  return s;
}
