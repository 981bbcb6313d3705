/* arrange.h - what readers do with values once they have them: order of the axes, channels of a mask. */
#ifndef NETRUN_ARRANGE_H
#define NETRUN_ARRANGE_H
#include "runtime/io/format.h"

/* Where an image's elements lie in a file's order. */
typedef struct {
  int64_t channel, axis[3]; /* elements from one to the next, along channels and the axes of the grid */
} Strides;

/* The strides of Image.value itself. */
Strides strides_of(const Image *image);
/* image->value from values in a file's order. */
void arrange(const float *from, Strides strides, Image *image);

/* Brings a mask's channels to what it is read for: READ_NUMBERS, one channel; READ_COLOURS, three.
 * READ_IMAGE leaves all as it is. The values may be missing (header). `what` begins the message: the file and
 * what in it. */
bool mask_channels(Image *image, ReadAs as, const char *what, char err[ERR_MAX]);
#endif
