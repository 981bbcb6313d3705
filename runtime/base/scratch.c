/* scratch.c - arrays in an unlinked file. */
#include "runtime/base/scratch.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

bool scratch_floats(int64_t n, float **out, char err[ERR_MAX]) {
  const char *dir = getenv("TMPDIR");
  char path[4096];
  int64_t bytes = n * (int64_t)sizeof **out;
  *out = NULL;
  snprintf(path, sizeof path, "%s/netrun-XXXXXX", dir && *dir ? dir : "/tmp");
  int file = mkostemp(path, O_CLOEXEC);
  if (file < 0)
    return err_sys(err, "cannot make a temporary file in %s (TMPDIR)", dir && *dir ? dir : "/tmp");
  unlink(path);
  int failed = posix_fallocate(file, 0, bytes);
  void *map = failed ? MAP_FAILED : mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (map != MAP_FAILED) return *out = map, true;
  errno = failed ? failed : errno;
  return err_sys(err, "%.2f GiB of temporary space in %s (TMPDIR)", (double)bytes / 0x1p30,
                 dir && *dir ? dir : "/tmp");
}

void scratch_free(float *v, int64_t n) {
  if (v) munmap(v, (size_t)n * sizeof *v);
}
