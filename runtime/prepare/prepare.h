/* prepare.h - files to what a network sees, and its masks back onto the files' grid.
 *
 *   Files files = {.image = {"x_0000.nii.gz", ..}, .nimage = 2, .mask = "x.nii.gz"};
 *   prepare_volume(&files, &ask, &prepared, err);      // oriented, cropped, resampled
 *
 *   file (own grid) -> nan -> mask onto it, labels -> orientation -> crop -> spacing -> intensities */
#ifndef NETRUN_PREPARE_H
#define NETRUN_PREPARE_H
#include "runtime/base/err.h"
#include "runtime/base/notes.h"
#include "runtime/image/grid.h"
#include "runtime/prepare/recipe.h"

/* Where the elements of a file lie among the prepared ones: element (i0,i1,i2) of the file is at from[a] +
 * step[a] * i[axis[a]] along axis a. */
typedef struct {
  int64_t own[3], dim[3]; /* extents of the file's grid and of the prepared one */
  int axis[3];
  double from[3], step[3];
  int64_t crop_from[3], crop_dim[3]; /* the box that was kept, after orientation */
  int slices;                        /* axis of the prepared grid along which slices lie; 2-D modules */
} Place;

typedef struct {
  float *image;       /* (C, place.dim) */
  uint8_t *label;     /* (place.dim); NULL: no mask */
  uint8_t *own_label; /* (own.dim) */
  Grid own;           /* of the file */
  double spacing[3];  /* mm along the prepared axes */
  Place place;
  bool as_stored; /* the format's files come normalised */
} Prepared;

typedef struct {
  char *const *image; /* one file with all channels, or one for each */
  int nimage;
  const char *mask; /* NULL: none */
  const char *axes; /* of files that do not say theirs, where the recipe does not: Wish.axes */
} Files;

typedef struct {
  const Recipe *recipe;
  int spatial;     /* 2: slices are wanted: the volume is cropped in their plane alone, and not resampled */
  int channels;    /* of the module */
  int64_t classes; /* of the module, at least 2 */
  bool own_label;  /* is Prepared.own_label wanted? */
  Notes *notes;
} Ask;

/* Volumes. Intensities are left as they are: for 3-D modules prepare_intensities comes next, for 2-D ones a
 * slice is an image. */
bool prepare_volume(const Files *files, const Ask *ask, Prepared *out, char err[ERR_MAX]);
/* In place, of a prepared volume as a whole. */
void prepare_intensities(Prepared *p, int channels, const Recipe *r);
void prepared_free(Prepared *p);

/* Pictures of all channels at their own size: (C,H,W), before intensities; label: (H,W), or NULL. `full`: the
 * value that means white. */
typedef struct {
  Image image;
  uint8_t *label;
  double full;
} PreparedPicture;
bool prepare_picture(const Files *files, const Ask *ask, PreparedPicture *out, char err[ERR_MAX]);
/* Intensities of channel c of n elements. */
void picture_intensities(float *v, int64_t n, int c, int channels, double full, const Recipe *r);

Place place_same(const Grid *g); /* nothing is changed */
/* The plane of one slice of a prepared volume: height and width, and the stride of its rows and columns in
 * elements. The later of the two axes is the height. */
typedef struct {
  int64_t n, h, w;                    /* slices */
  int64_t slice_step, h_step, w_step; /* in elements of the prepared volume */
  int h_axis, w_axis;
} Slices;
Slices slices_of(const Place *p);
/* The grid a file is brought to; crop is not known before it is read, and left out. */
Grid prepared_grid(const Grid *g, const Recipe *r, int spatial);
/* Elements of the copies that preparation makes of the channels beside the stored ones, at most at a time. */
int64_t prepare_copies(const Grid *g, const Recipe *r, int spatial, int channels);
/* The plane (NetcPlane) of the slices of a volume on that grid; STORED where its file does not say where
 * it lies. */
int plane_of(const Grid *g, const Recipe *r);
/* How many slices a volume on that grid has. */
int64_t slices_in(const Grid *g, const Recipe *r);
#endif
