/* nifti_header.h - the header of a NIfTI file, of either version and byte order, and the grid it
 * describes. */
#ifndef NETRUN_NIFTI_HEADER_H
#define NETRUN_NIFTI_HEADER_H
#include "runtime/base/notes.h"
#include "runtime/image/grid.h"
#include "runtime/io/volume/sink.h"

/* The fields that are used, in this machine's byte order; names are the standard's. */
typedef struct {
  int version;  /* 1 or 2 */
  bool swapped; /* of the other byte order in the file */
  bool pair;    /* the magic number says that the voxels are in a file of their own */
  int64_t dim[8];
  int datatype;
  double pixdim[8], vox_offset, scl_slope, scl_inter;
  int xyzt_units, qform_code, sform_code;
  double quatern[3], qoffset[3], srow[3][4];
} NiftiHeader;

/* Of the file of that very name, compressed by gzip or not. */
bool nifti_header_read(const char *path, NiftiHeader *out, char err[ERR_MAX]);
/* As version 1, or 2 where an extent is beyond version 1's; the voxels come next. Failures stay with the
 * sink. */
void nifti_header_write(Sink *sink, const NiftiHeader *h);

/* The first three axes in mm: by sform where its code is above 0, else by qform where its is, else pixdim as
 * spacing alone (placed false), as nibabel's get_best_affine chooses. Notes what is odd: forms that disagree,
 * that are no places (then the next is taken), steps of 0 or less, other units than mm. */
Grid nifti_grid(const NiftiHeader *h, const char *path, Notes *notes);
/* Sets pixdim and the forms to those of a grid: both (code 1) where it is placed and quaternions can say it,
 * the sform alone where the axes are not at right angles. */
void nifti_set_grid(NiftiHeader *h, const Grid *g);
/* Takes over pixdim, forms and units as they are stored. */
void nifti_copy_grid(NiftiHeader *h, const NiftiHeader *from);
#endif
