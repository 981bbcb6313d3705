/* fuzz_hdf5.c - any bytes are an HDF5 file with a volume in it or an error. */
#include "tests/fuzz/fuzz_file.h"
#include "runtime/io/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The library asks for more memory than there can be on some damaged files, which it survives. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char err[ERR_MAX];
  Image v;
  const char *path = fuzz_file(data, size, ".h5");
  if (!format_hdf5.read(path, &(Wish){.as = READ_IMAGE}, &v, err)) return 0;
  volatile float sum = 0;
  for (int64_t i = 0; i < grid_count(&v.grid) * v.channels; i++) sum = sum + v.value[i];
  image_free(&v);
  return 0;
}
