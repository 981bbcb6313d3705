/* grid.h - where the elements of an image lie.
 *
 *   x to the right, y to the front, z upwards, in millimetres (RAS+, as NIfTI has it)
 *   place of voxel (i,j,k) = to_mm * (i,j,k,1)
 *
 * ITK's formats (NRRD, MHA, DICOM) count x to the left and y to the back: their readers turn the signs of the
 * first two rows. */
#ifndef NETRUN_GRID_H
#define NETRUN_GRID_H
#include <stdbool.h>
#include <stdint.h>

typedef struct {
  int64_t dim[3];     /* volumes (X,Y,Z) as stored, the fastest axis of the file first; pictures (H,W,1) */
  double to_mm[3][4]; /* columns: the step along each axis; the last: the place of voxel (0,0,0) */
  bool placed;        /* the file says where it lies; else the columns are its spacing alone (1 if unknown) */
} Grid;

/* An image in memory. */
typedef struct {
  int spatial;  /* 2: a picture (H,W); 3: a volume (X,Y,Z) */
  int channels; /* colours, frames of a 4-D file, or 1 */
  Grid grid;
  bool lossy;   /* its file packs it so that numbers near the meant ones come back (JPEG) */
  double full;  /* the value that means white: 255, 65535, 1, ..; 0: unknown (floats, volumes) */
  float *value; /* (C, dim) row-major: Z, or W, innermost; NULL where only the header was asked for */
} Image;

void image_free(Image *image); /* its values; fields are left */
bool image_room(Image *image); /* makes room for its values; false without memory */
int64_t grid_count(const Grid *g);

/* A grid of that size with spacing mm on the diagonal, placed false. */
Grid grid_plain(const int64_t dim[3], const double mm[3]);
double grid_spacing(const Grid *g, int axis); /* mm between neighbours along an axis */
/* mm = to_mm * (v,1). */
void grid_place(const Grid *g, const double v[3], double mm[3]);
/* The inverse: voxel coordinates of a place; false for a grid without volume (a zero or parallel column). The
 * zero column of an axis of one element is taken to be 1 mm at right angles to the others. */
bool grid_inverse(const Grid *g, double from_mm[3][4]);
void affine_apply(double m[3][4], const double v[3], double out[3]);
/* c = a after b. */
void affine_after(double a[3][4], double b[3][4], double c[3][4]);

/* ---- orientation: three letters, the direction in which each axis grows (R or L, A or P, S or I) ---- */

/* Which axis of the stored image each axis of the wanted orientation is, and whether it runs backwards. */
typedef struct {
  int axis[3];
  bool flip[3];
} Turn;

/* The nearest orientation of the axes, as nibabel's io_orientation has it: axes are made perpendicular (the
 * polar factor), and the one that lies closest to an axis of the body chooses first. */
void grid_orientation(const Grid *g, char code[4]);
bool orientation_valid(const char *code);
/* How a grid is brought to the orientation. */
bool grid_turn(const Grid *g, const char *code, Turn *out);
/* The grid after the turn: voxels stay where they are in space. */
Grid grid_turned(const Grid *g, const Turn *t);
#endif
