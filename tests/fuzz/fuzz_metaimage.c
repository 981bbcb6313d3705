/* fuzz_metaimage.c - any bytes are a MetaImage volume or an error. */
#include "tests/fuzz/fuzz_volume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  return fuzz_volume(&format_metaimage, fuzz_file(data, size, ".mha"));
}
