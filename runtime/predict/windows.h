/* windows.h - where windows of the module's size lie over a larger image, and how much each of their elements
 * counts.
 *
 *   starts     0, stride, 2 stride .., the last one moved back to the border
 *   smaller    images are padded with zeros, the odd element after */
#ifndef NETRUN_WINDOWS_H
#define NETRUN_WINDOWS_H
#include "runtime/data/data.h"

typedef struct {
  double overlap;    /* of neighbouring windows, a fraction of the window: 0.5 is half a window */
  int64_t stride[3]; /* elements, per axis of the module; 0: by overlap */
  bool gaussian;     /* the middle counts more: a Gaussian of deviation 1/8 of the window along each axis
                        (nnU-Net's importance map, as a product of three), not below 1e-3 of the middle */
} WindowPlan;

/* What a module's statement says; NULL: plain. */
void window_plan_of(const NetcPrepare *p, WindowPlan *out);
extern const WindowPlan window_plan_plain; /* half a window, all elements alike */

/* Three axes; those that 2-D images lack come first, of extent 1. */
typedef struct {
  int spatial;
  int64_t dim[3], before[3], padded[3], patch[3], stride[3], count[3];
  float *weight[3]; /* along each axis: of a window's elements (patch) */
  float *total[3];  /* of the array's elements (dim): the sum over all windows */
} Windows;

/* dim: extents of the image, `spatial` of them. false without memory. */
bool windows_new(Windows *w, const DataShape *shape, const int64_t *dim, const WindowPlan *plan);
void windows_free(Windows *w);
/* The place of window i along axis a, in the padded image. */
int64_t window_start(const Windows *w, int a, int64_t i);
/* Copies the window at `at` (padded coordinates) of all channels; what lies outside becomes 0. */
void window_read(const Windows *w, const int64_t at[3], const float *image, int channels, float *window);
#endif
