/* fuzz_list.c - any bytes are a list of labelled cases or an error; what is labelled trains. */
#include <stdlib.h>
#include "tests/fuzz/fuzz_file.h"
#include "runtime/data/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static Dataset *d;
  static const DataShape shape = {.spatial = 2, .channels = 1, .size = {8, 8}, .classes = 2};
  static const SplitPlan plan = {.val = "20%", .skip_missing = true};
  char err[ERR_MAX];
  if (!d && !(d = data_open_split("phantom", &shape, &plan, err))) abort();
  if (!data_split_labeled(d, fuzz_file(data, size, ".list"), 0, err)) return 0;
  if (data_count(d, SPLIT_TRAIN, true) < 1) abort();
  return 0;
}
