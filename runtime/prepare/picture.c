/* picture.c - pictures of one file or several, and their masks. */
#include "runtime/prepare/intensity.h"
#include "runtime/prepare/prepare.h"
#include "runtime/prepare/read.h"

bool prepare_picture(const Files *files, const Ask *ask, PreparedPicture *out, char err[ERR_MAX]) {
  *out = (PreparedPicture){.full = 0};
  if (!read_channels(files, ask, 2, &out->image, err)) return false;
  out->full = out->image.full;
  bool ok = !files->mask || read_mask(files, ask, &out->image.grid, 2, &out->label, err);
  if (!ok) image_free(&out->image);
  return ok;
}

void picture_intensities(float *v, int64_t n, int c, int channels, double full, const Recipe *r) {
  NetcIntensity how = r->intensity[c];
  if (how.kind == NETC_INTENSITY_AUTO) how = intensity_of_picture(c, channels, full);
  intensity_apply(v, n, &how);
}
