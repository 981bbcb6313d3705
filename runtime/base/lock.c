/* lock.c - a directory that belongs to one process at a time. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "runtime/base/file.h"
#include "runtime/base/lock.h"

enum { TRIES = 100 };

typedef struct {
  long pid; /* 0: the file does not say */
  char host[128], since[64];
} Holder;

static void host_name(char host[128]) {
  if (gethostname(host, 128) != 0) strcpy(host, "unknown");
  host[127] = '\0';
}

static Holder read_holder(int fd) {
  Holder h = {.pid = 0};
  char text[512];
  ssize_t n = pread(fd, text, sizeof text - 1, 0);
  text[n > 0 ? n : 0] = '\0';
  if (sscanf(text, "pid %ld\nhost %127s\nsince %63[^\n]", &h.pid, h.host, h.since) != 3) h.pid = 0;
  return h;
}

static bool write_holder(const DirLock *l, char err[ERR_MAX]) {
  char text[512], host[128], since[64];
  time_t now = time(NULL);
  struct tm utc;
  host_name(host);
  if (!gmtime_r(&now, &utc) || !strftime(since, sizeof since, "%Y-%m-%d %H:%M:%S UTC", &utc)) *since = '\0';
  int n = snprintf(text, sizeof text, "pid %ld\nhost %s\nsince %s\n", (long)getpid(), host, since);
  if (ftruncate(l->fd, 0) == 0 && pwrite(l->fd, text, (size_t)n, 0) == n) return true;
  return err_sys(err, "cannot write %s", l->path);
}

/* Where the file system has no locks: is who wrote the file still there? */
static bool may_be_alive(const Holder *h) {
  char host[128];
  host_name(host);
  if (h->pid <= 0) return false;
  return strcmp(h->host, host) != 0 || kill((pid_t)h->pid, 0) == 0 || errno != ESRCH;
}

typedef enum { TAKEN, HELD, GONE, FAILED } Outcome;

/* Is the file at l->path still the one that is open? Its last holder may have removed it meanwhile. */
static bool still_there(const DirLock *l) {
  struct stat a, b;
  return fstat(l->fd, &a) == 0 && stat(l->path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static bool has_no_locks(int code) { return code == ENOSYS || code == ENOLCK || code == EOPNOTSUPP; }

static Outcome try_lock(DirLock *l, Holder *by, char err[ERR_MAX]) {
  l->fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (l->fd < 0) return err_sys(err, "cannot write %s", l->path), FAILED;
  if (flock(l->fd, LOCK_EX | LOCK_NB) == 0) return still_there(l) ? TAKEN : GONE;
  int code = errno;
  *by = read_holder(l->fd);
  if (code == EWOULDBLOCK) return HELD;
  if (has_no_locks(code)) return may_be_alive(by) ? HELD : TAKEN;
  errno = code;
  return err_sys(err, "cannot lock %s", l->path), FAILED;
}

static bool held_by(const DirLock *l, const char *dir, const Holder *by, const char *advice,
                    char err[ERR_MAX]) {
  if (!by->pid) return err_set(err, "%s is in use by another process (%s): %s", dir, l->path, advice);
  return err_set(err, "%s is in use by process %ld on host %s since %s (%s): %s", dir, by->pid, by->host,
                 by->since, l->path, advice);
}

bool dir_lock(DirLock *l, const char *dir, const char *advice, char err[ERR_MAX]) {
  Holder by = {.pid = 0};
  Outcome outcome = GONE;
  *l = (DirLock){-1, path_join(dir, "lock")};
  if (!l->path) return err_memory(err, "a file name", 0);
  for (int i = 0; outcome == GONE && i < TRIES; i++) {
    outcome = try_lock(l, &by, err);
    if (outcome != TAKEN && l->fd >= 0) close(l->fd), l->fd = -1;
  }
  if (outcome == TAKEN && write_holder(l, err)) return true;
  if (outcome == HELD || outcome == GONE) held_by(l, dir, &by, advice, err);
  if (outcome == TAKEN) dir_unlock(l);
  free(l->path);
  *l = DIR_LOCK_NONE;
  return false;
}

/* The file is removed while it is locked: who opens it before that finds it gone after locking it. */
void dir_unlock(DirLock *l) {
  if (l->fd < 0) return;
  if (still_there(l)) unlink(l->path);
  close(l->fd);
  free(l->path);
  *l = DIR_LOCK_NONE;
}
