/* fuzz_file.h - bytes as a file, for readers that take a path. One file without a name per process, rewritten for every
 * input; libraries that go by a name's ending find it under a link in the temporary directory. */
#ifndef FUZZ_FILE_H
#define FUZZ_FILE_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The path of a file that holds the bytes and whose name ends in `ending`. */
static inline const char *fuzz_file(const uint8_t *data, size_t size, const char *ending) {
  static int fd = -1;
  static char link[64];
  if (fd < 0) {
    char target[64];
    fd = memfd_create("fuzz", 0);
    snprintf(target, sizeof target, "/proc/%d/fd/%d", (int)getpid(), fd);
    snprintf(link, sizeof link, "/tmp/netc_fuzz_%d%s", (int)getpid(), ending);
    unlink(link);
    if (fd < 0 || symlink(target, link)) abort();
  }
  if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size) abort();
  return link;
}
#endif
