/* fuzz_npy.c - any bytes are a .npy file or an error; every element of what is accepted can be read. */
#include "runtime/io/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char err[ERR_MAX];
  Npy a;
  if (!npy_parse(data, size, "fuzz", &a, err)) return 0;
  volatile double sum = 0;
  for (int64_t i = 0; i < a.count; i++) sum = sum + npy_value(&a, i);
  npy_free(&a);
  return 0;
}
