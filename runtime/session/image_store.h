/* image_store.h - images of a data set that a device keeps, so that it makes batches of them by itself. The
 * device offers the store (session_images), the sampler fills it (sampler_views); neither knows the other. */
#ifndef NETRUN_IMAGE_STORE_H
#define NETRUN_IMAGE_STORE_H
#include <stdbool.h>
#include <stdint.h>
#include "codegen/abi.h"
#include "runtime/base/err.h"

/* Items are numbered as in the data set; a NetcView says where in its image a sample lies. */
typedef struct {
  void *user;
  /* Is the item there? Its extents, and where its image and label begin (view->image, view->label; -1:
   * none). */
  bool (*find)(void *user, int item, int64_t dim[3], NetcView *view);
  /* Puts it there if there is room. label may be NULL. */
  bool (*keep)(void *user, int item, const float *image, int64_t floats, const uint8_t *label, int64_t bytes,
               const int64_t dim[3], char err[ERR_MAX]);
} ImageStore;
#endif
