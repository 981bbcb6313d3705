/* hdf5.h - what the files behind the HDF5 format share. All of it runs in a child process
 * (runtime/io/child.h) that ends soon: nothing of the library's is closed. */
#ifndef NETRUN_HDF5_H
#define NETRUN_HDF5_H
#include <hdf5.h>
#include "runtime/io/arrange.h"

/* A data set that is open. */
typedef struct {
  hid_t file, id;
  char name[128];
  int rank;
  hsize_t dim[H5S_MAX_RANK];
} DataSet;

enum { SHAPE_TEXT = 96 };
/* "(88, 190, 143)" */
char *shape_text(const DataSet *set, char out[SHAPE_TEXT]);

/* ---- sets.c ---- */

/* Opens a data set of an open file: of that name, "a/b" in a group; or what the roles "image" and "label"
 * stand for: a data set of a usual name (image, data, raw, ..; label, labels, mask, ..), at the root or in a
 * group; else, for an image, the only one that is not named as a label, and for a label the only one there
 * is. `named` true: usual names alone. The message of failure lists the file's data sets. */
bool hdf5_open_set(hid_t file, const char *path, const char *wanted, bool named, DataSet *out,
                   char err[ERR_MAX]);

/* ---- attributes.c ---- */

enum { TEXT_ROOM = 512, MANY_NUMBERS = 16 };
/* An attribute's text, of arrays of texts one after the other; false when there is none. */
bool hdf5_text(hid_t object, const char *name, char out[TEXT_ROOM]);
/* An attribute's numbers; how many, 0: none, or more than MANY_NUMBERS. */
int hdf5_numbers(hid_t object, const char *name, double out[MANY_NUMBERS]);

/* ---- axes.c ---- */

/* Dimensions, channels and grid of a data set, and where its values lie in it; rules: docs/formats.md. */
bool hdf5_layout(const DataSet *set, const char *path, const Wish *wish, Image *out, Strides *strides,
                 char err[ERR_MAX]);
#endif
