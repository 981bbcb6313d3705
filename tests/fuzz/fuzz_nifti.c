/* fuzz_nifti.c - any bytes are a NIfTI volume or an error. gzip is told by the first bytes: the same name
 * holds what is compressed and what is not. */
#include "tests/fuzz/fuzz_volume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  return fuzz_volume(&format_nifti, fuzz_file(data, size, ".nii.gz"));
}
