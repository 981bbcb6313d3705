/* fuzz_image.c - any bytes are a picture of the format that they tell, or an error. */
#include "tests/fuzz/fuzz_file.h"
#include "runtime/io/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char err[ERR_MAX];
  Image r;
  const ReadAs as = (ReadAs)(size ? data[size - 1] % 3 : 0);
  if (!image_read(fuzz_file(data, size, ".picture"), &(Wish){.as = as}, &r, err)) return 0;
  volatile float sum = 0;
  for (int64_t i = 0; i < grid_count(&r.grid) * r.channels; i++) sum = sum + r.value[i];
  image_free(&r);
  return 0;
}
