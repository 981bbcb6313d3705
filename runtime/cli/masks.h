/* masks.h - mask files of a folder, and the images of a data set that they are of. */
#ifndef NETRUN_CLI_MASKS_H
#define NETRUN_CLI_MASKS_H
#include "runtime/data/data.h"
#include "runtime/find/find.h"

typedef struct {
  const char **of; /* by item of the data set: path of its mask, NULL: none. Of slices the first one's is the
                    * volume's */
  Found found;     /* what the paths lie in */
} Masks;

/* The masks of the split's images in `dir`, its sub-folders included. A mask has its image's name, with the
 * sub-folders where those tell images apart, or the name of the truth's file, or either with a suffix such as
 * _mask or _seg. An image without a mask is an error that names it, unless `skip`: then it is left out, with
 * a note; two masks of an image are an error, masks of no image are a note (d's shape). */
bool masks_of_folder(const char *dir, const Dataset *d, Split split, bool skip, Masks *out,
                     char err[ERR_MAX]);
void masks_free(Masks *m);
#endif
