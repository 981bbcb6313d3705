/* slide.h - sliding-window inference: windows of the module's patch over a volume or an image
 * larger than it, class probabilities summed and divided by their count. */
#ifndef NETRUN_SLIDE_H
#define NETRUN_SLIDE_H
#include "runtime/data/data.h"

/* Runs the network on one window: image (C,S) row-major -> prob (classes,S) row-major; false to stop, with
 * err set. */
typedef bool (*WindowFn)(void *user, const float *image, float *prob, char err[ERR_MAX]);
/* stride NULL: half the patch. image (C, dim); prob_mask out: argmax class per element of dim. */
bool slide_predict(const float *image, const DataShape *shape, const int64_t *dim, const int64_t *stride,
                   WindowFn fn, void *user, uint8_t *mask, char err[ERR_MAX]);
#endif
