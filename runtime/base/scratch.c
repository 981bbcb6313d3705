/* scratch.c - arrays in an unlinked file. */
#include "runtime/base/scratch.h"
#include <sys/mman.h>
#include <unistd.h>
#include "runtime/base/file.h"

bool scratch_floats(int64_t n, float **out, char err[ERR_MAX]) {
  int64_t bytes = n * (int64_t)sizeof **out;
  *out = NULL;
  int file = temporary_file(err);
  if (file < 0) return false;
  void *map = MAP_FAILED;
  if (file_reserve(file, 0, bytes))
    map = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (map != MAP_FAILED) *out = map;
  else
    err_sys(err, "%.2f GiB of temporary space in %s (TMPDIR)", (double)bytes / 0x1p30, temporary_directory());
  close(file);
  return *out;
}

void scratch_free(float *v, int64_t n) {
  if (v) munmap(v, (size_t)n * sizeof *v);
}
