/* truth.c - masks alone: the truth of an item on the grid of its file, and masks that others made of it.
 * Nothing is prepared, and of the image the header is read. */
#include <stdlib.h>
#include <string.h>
#include "runtime/data/internal.h"
#include "runtime/prepare/label.h"
#include "runtime/prepare/read.h"

Files data_files(const Dataset *d, int item) {
  const DataImpl *m = d->impl;
  return files_of(&m->source[item]);
}

bool data_load_truth(const Dataset *d, int item, Sample *out, char err[ERR_MAX]) {
  *out = (Sample){.image = NULL};
  if (!d->root) return data_load(d, item, out, err);
  const Files files = data_files(d, item);
  Ask ask = ask_of(&d->shape, true);
  const char *axes = ask.recipe->axes ? ask.recipe->axes : files.axes;
  Image header;
  if (!image_read(files.image[0], &(Wish){.header = true, .set = "image", .axes = axes}, &header, err))
    return false;
  out->own_spatial = header.spatial, out->own = header.grid;
  return !files.mask || read_mask(&files, &ask, &out->own, out->own_spatial, &out->own_label, err);
}

bool data_load_mask(const Dataset *d, int item, const char *path, const Sample *truth, uint8_t **mask,
                    char err[ERR_MAX]) {
  char *const unknown = (char *)(uintptr_t) "the truth";
  const Files image = data_files(d, item);
  const Files files = {.image = d->root ? image.image : &unknown, .nimage = 1, .mask = path};
  Ask ask = ask_of(&d->shape, true);
  Recipe numbers = *ask.recipe;
  Image header;
  if (!image_read(path, &(Wish){.header = true, .set = "label"}, &header, err)) return false;
  /* where the truth is in colours, predictions may have the numbers of classes, as predict writes them */
  if (recipe_has_colours(&numbers) && header.channels == 1) numbers.nlabel = 0;
  ask.recipe = &numbers;
  return read_mask(&files, &ask, &truth->own, truth->own_spatial, mask, err);
}
