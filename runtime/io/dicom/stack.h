/* stack.h - slices of a DICOM series as a volume. */
#ifndef NETRUN_DICOM_STACK_H
#define NETRUN_DICOM_STACK_H
#include "runtime/io/dicom/dicom.h"
#include "runtime/io/format.h"

typedef struct {
  const char *name; /* of its file, without the folder */
  const DicomFile *file;
  const DicomFrame *frame;
  int source, number; /* its file, and its frame in it */
  double at;          /* mm along the normal of the slices */
} Slice;

/* Sorts slices by their places along the normal (those without places by instance number, or as they come)
 * and drops copies; n becomes how many are left. The grid they span: X from column to column, Y from row to
 * row, Z from slice to slice, sheared where slices are (a tilted gantry).
 * Errors, which name files: slices of several sizes, spacings or directions; several at one place; one
 * missing.
 * Notes: no places, copies, uneven distances, shear. `path` begins them. */
bool dicom_stack(Slice *slice, int *n, const char *path, Notes *notes, Grid *out, char err[ERR_MAX]);
#endif
