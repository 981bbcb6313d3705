/* fuzz_nifti.c - any bytes are a NIfTI volume or an error. zlib reads files under a .gz name that are not
 * compressed, too. */
#include "tests/fuzz/fuzz_file.h"
#include "runtime/io/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char err[ERR_MAX];
  Volume v;
  const char *path = fuzz_file(data, size, ".nii.gz");
  if (!format_nifti.read(path, "image", &v, err)) return 0;
  volatile float sum = 0;
  for (int64_t i = 0; i < v.dim[0] * v.dim[1] * v.dim[2]; i++) sum = sum + v.value[i];
  volume_free(&v);
  return 0;
}
