/* fuzz_nifti.c - any bytes are a NIfTI volume or an error, read as intensities and as a mask. gzip is told by
 * the first bytes: the same name holds what is compressed and what is not. */
#include "tests/fuzz/fuzz_file.h"
#include "runtime/io/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char err[ERR_MAX];
  const char *path = fuzz_file(data, size, ".nii.gz");
  for (ReadAs as = READ_IMAGE; as <= READ_NUMBERS; as++) {
    Image v;
    Notes notes;
    notes_init(&notes);
    bool ok = format_nifti.read(path, &(Wish){.as = as, .notes = &notes}, &v, err);
    notes_free(&notes);
    if (!ok) continue;
    volatile float sum = 0;
    for (int64_t i = 0; i < grid_count(&v.grid) * v.channels; i++) sum = sum + v.value[i];
    image_free(&v);
  }
  return 0;
}
