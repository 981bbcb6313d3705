/* overlay.h - a picture of a volume: the plane along z that holds most of the truth, or of the prediction
 * where there is no truth. */
#ifndef NETRUN_OVERLAY_H
#define NETRUN_OVERLAY_H
#include <stdint.h>
#include "runtime/base/err.h"

/* image, truth (may be NULL) and pred: (X,Y,Z) row-major, one channel. */
bool overlay_volume(const char *path, const float *image, const int64_t *dim, const uint8_t *truth,
                    const uint8_t *pred, char err[ERR_MAX]);
/* Of n masks of `plane` elements the one with most foreground; the middle one where none has any. */
int64_t fullest_slice(const uint8_t *mask, int64_t n, int64_t plane);
#endif
