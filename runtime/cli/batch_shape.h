/* batch_shape.h - the images that a training function takes. */
#ifndef NETRUN_CLI_BATCH_SHAPE_H
#define NETRUN_CLI_BATCH_SHAPE_H
#include "runtime/data/data.h"
#include "runtime/session/module.h"

/* Images of all streams have one shape, which is the data set's; labels and distance maps its spatial part:
 * what a sample is written into is as large as the sample. */
bool batch_shape(const Module *m, const NetcFn *fn, DataShape *shape, char err[ERR_MAX]);
#endif
