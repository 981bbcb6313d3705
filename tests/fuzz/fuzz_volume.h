/* fuzz_volume.h - reading a file of volumes in one format, as intensities and as a mask. */
#ifndef FUZZ_VOLUME_H
#define FUZZ_VOLUME_H
#include "tests/fuzz/fuzz_file.h"
#include "runtime/io/format.h"

/* Every value that is read is looked at. Always 0. */
static inline int fuzz_volume(const Format *format, const char *path) {
  char err[ERR_MAX];
  for (ReadAs as = READ_IMAGE; as <= READ_NUMBERS; as++) {
    Image v;
    Notes notes;
    notes_init(&notes);
    bool ok = format->read(path, &(Wish){.as = as, .notes = &notes}, &v, err);
    notes_free(&notes);
    if (!ok) continue;
    volatile float sum = 0;
    for (int64_t i = 0; i < grid_count(&v.grid) * v.channels; i++) sum = sum + v.value[i];
    image_free(&v);
  }
  return 0;
}
#endif
