/* read.h - the channels of an image and its mask, from one file or several, on one grid. */
#ifndef NETRUN_PREPARE_READ_H
#define NETRUN_PREPARE_READ_H
#include "runtime/prepare/prepare.h"

/* spatial 2 or 3: what the module wants; another file is an error. One channel where the module wants
 * three is repeated; colours where it wants one become grey (luminance). */
bool read_channels(const Files *files, const Ask *ask, int spatial, Image *out, char err[ERR_MAX]);
/* Can an image of `have` channels be read for a module that wants `want`? */
bool channels_suit(int have, int want);
/* Classes (grid) of the mask, in the image's own order. */
bool read_mask(const Files *files, const Ask *ask, const Grid *image, int spatial, uint8_t **out,
               char err[ERR_MAX]);
#endif
