/* fuzz_nifti.c - any bytes are a NIfTI volume or an error. zlib reads files under a .gz name that are not
 * compressed, too. */
#include "tests/fuzz/fuzz_file.h"
#include "runtime/io/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char err[ERR_MAX];
  Image v;
  const char *path = fuzz_file(data, size, ".nii.gz");
  if (!format_nifti.read(path, &(Wish){.as = READ_IMAGE}, &v, err)) return 0;
  volatile float sum = 0;
  for (int64_t i = 0; i < grid_count(&v.grid) * v.channels; i++) sum = sum + v.value[i];
  image_free(&v);
  return 0;
}
