/* fuzz_nrrd.c - any bytes are an NRRD volume or an error. */
#include "tests/fuzz/fuzz_volume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  return fuzz_volume(&format_nrrd, fuzz_file(data, size, ".nrrd"));
}
