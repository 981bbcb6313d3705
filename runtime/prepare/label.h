/* label.h - numbers and colours of mask files as classes. */
#ifndef NETRUN_LABEL_H
#define NETRUN_LABEL_H
#include "runtime/base/err.h"
#include "runtime/image/grid.h"
#include "runtime/prepare/recipe.h"

/* Do masks of the recipe have to be read as colours? */
bool recipe_has_colours(const Recipe *r);
/* Classes of a mask (READ_NUMBERS, or READ_COLOURS where the recipe has colours): out has an element for
 * each; CLASS_IGNORE where the recipe says so. lossy: numbers are near the meant ones (JPEG): with two
 * classes cut in the middle, with more refused. A value without a meaning is an error that names the file,
 * the value, how often it comes and the line to write. */
bool labels_of(const Image *mask, const Recipe *r, int64_t classes, bool lossy, const char *path,
               uint8_t *out, char err[ERR_MAX]);
#endif
