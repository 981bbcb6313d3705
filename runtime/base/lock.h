/* lock.h - a directory that belongs to one process at a time.
 *
 * The lock is a file `lock` in the directory, locked by flock and holding a line each for the holder's
 * process id, host and start time. The kernel frees it when the holder ends, however it ends: what a dead
 * process left is taken over. flock excludes the processes of all hosts on NFS too (Linux makes it a lock of
 * the server's there). On a file system that has no locks at all (Lustre without -o flock, some FUSE) the
 * lines decide: the holder is alive if its process is, or if it is on another host, where nobody can tell
 * from here. */
#ifndef NETRUN_LOCK_H
#define NETRUN_LOCK_H
#include "runtime/base/err.h"

typedef struct {
  int fd;     /* -1: none held */
  char *path; /* DIR/lock */
} DirLock;
#define DIR_LOCK_NONE ((DirLock){-1, NULL})

/* Takes the lock of an existing directory, waiting for nobody. An error says who holds it, with process id,
 * host and since when; `advice` ends the sentence: what to do then. */
bool dir_lock(DirLock *l, const char *dir, const char *advice, char err[ERR_MAX]);
/* Frees it; the file goes. Nothing happens where none is held. */
void dir_unlock(DirLock *l);
#endif
