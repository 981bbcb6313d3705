/* fuzz_image.c - any bytes are a PNG or JPEG picture or an error. */
#include "tests/fuzz/fuzz_file.h"
#include "runtime/io/raster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char err[ERR_MAX];
  Raster r;
  if (!raster_read(fuzz_file(data, size, ".png"), &r, err)) return 0;
  volatile unsigned sum = 0;
  for (int64_t i = 0; i < r.h * r.w * r.c; i++) sum = sum + r.byte[i];
  raster_free(&r);
  return 0;
}
