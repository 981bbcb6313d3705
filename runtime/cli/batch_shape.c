/* batch_shape.c - the images that a training function takes. */
#include <string.h>
#include "runtime/base/array.h"
#include "runtime/base/field.h"
#include "runtime/cli/batch_shape.h"

static const NetcArray *input_of(const NetcFn *fn, const NetcField *f) {
  return f->input < fn->ninputs ? &fn->inputs[f->input] : NULL;
}

static const NetcArray *first_image(const NetcModule *d, const NetcFn *fn) {
  for (int i = 0; i < d->nstreams; i++)
    for (int k = 0; k < d->streams[i].nfields; k++)
      if (!batch_field[d->streams[i].fields[k].kind].mask && input_of(fn, &d->streams[i].fields[k]))
        return input_of(fn, &d->streams[i].fields[k]);
  return NULL;
}

static int64_t channels_of(const NetcModule *d, int32_t kind, const NetcArray *image) {
  if (batch_field[kind].regions) return d->prepare ? d->prepare->nregions : 0;
  return batch_field[kind].mask ? 1 : image->dim[1];
}

bool batch_shape(const Module *m, const NetcFn *fn, DataShape *shape, char err[ERR_MAX]) {
  const NetcModule *d = m->desc;
  const NetcArray *first = first_image(d, fn);
  char a[128], b[128];
  for (int i = 0; i < d->nstreams && first; i++)
    for (int k = 0; k < d->streams[i].nfields; k++) {
      const NetcField *f = &d->streams[i].fields[k];
      const NetcArray *in = input_of(fn, f);
      if (!in) continue;
      if (in->rank != d->spatial + 2)
        return err_set(err, "%s: batch field %s is %s; an image has %d axes", m->path, in->name,
                       array_str(in, a), d->spatial + 2);
      int64_t channels = channels_of(d, f->kind, first);
      if (in->dim[1] != channels ||
          memcmp(first->dim + 2, in->dim + 2, sizeof *in->dim * (size_t)d->spatial) != 0)
        return err_set(err, "%s: %s is %s but %s is %s; images of one data set have one shape", m->path,
                       first->name, array_str(first, a), in->name, array_str(in, b));
    }
  if (!first) return err_set(err, "%s: none of its batches has an image", m->path);
  *shape = (DataShape){.spatial = d->spatial, .channels = (int)first->dim[1]};
  memcpy(shape->size, first->dim + 2, sizeof *shape->size * (size_t)d->spatial);
  shape->classes = d->classes > 1 ? d->classes : 2;
  return true;
}
