/* inputs.h - the images that a command predicts, and the names of what it writes.
 *
 *   Inputs in;
 *   if (!inputs_of_folder("imagesTs", &shape, ".nrrd", skip, &in, err)) ..
 *   for (int i = 0; i < in.n; i++) predict(&in.list[i].files, in.list[i].mask);
 *   inputs_free(&in); */
#ifndef NETRUN_CLI_INPUTS_H
#define NETRUN_CLI_INPUTS_H
#include "runtime/data/data.h"
#include "runtime/find/find.h"

typedef struct {
  Files files;             /* one file, or one for each channel, in the module's order */
  const char *missing;     /* names of channels that have no file; NULL: all are there */
  const char *mask, *prob; /* of a folder's: paths below the folders where they go; else NULL */
} Input;

typedef struct {
  Input *list;
  int n;
  Found found; /* what the texts of the list lie in */
} Inputs;

/* The images of a folder as runtime/find finds them, sorted by their masks' names. ending: of masks, NULL:
 * .nii.gz for volumes, .png for pictures. skip: folders below it that hold none, or NULL. Two images whose
 * masks would have one name are an error, oddities are notes of the shape. */
bool inputs_of_folder(const char *dir, const DataShape *shape, const char *ending, const char *const skip[2],
                      Inputs *out, char err[ERR_MAX]);
/* An image that is given by the name of its file, of the files of its channels with commas between, or of one
 * of several that lie beside each other: X_0000 and X_0001, or CASE_flair and CASE_t1. */
bool inputs_of_file(const char *path, const DataShape *shape, Inputs *out, char err[ERR_MAX]);
void inputs_free(Inputs *in);
/* False and a message where the image's channels are incomplete. */
bool input_complete(const Input *in, const DataShape *shape, char err[ERR_MAX]);
#endif
