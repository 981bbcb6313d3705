/* fuzz_file.h - bytes as a file, for readers that take a path: one temporary file per process, rewritten for
 * every input and removed at the end. (Not a file without a name: HDF5 follows links to the real one.) */
#ifndef FUZZ_FILE_H
#define FUZZ_FILE_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char fuzz_path[64];
static inline void fuzz_remove(void) { unlink(fuzz_path); }

/* The path of a file that holds the bytes and whose name ends in `ending`. */
static inline const char *fuzz_file(const uint8_t *data, size_t size, const char *ending) {
  static int fd = -1;
  if (fd < 0) {
    struct stat st;
    snprintf(fuzz_path, sizeof fuzz_path, "%s/netc_fuzz_XXXXXX%s",
             stat("/dev/shm", &st) ? "/tmp" : "/dev/shm", ending);
    fd = mkstemps(fuzz_path, (int)strlen(ending));
    if (fd < 0 || atexit(fuzz_remove)) abort();
  }
  if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size) abort();
  return fuzz_path;
}
#endif
