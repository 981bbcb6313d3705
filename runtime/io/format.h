/* format.h - the file formats of images, as a table. A format is a file of this folder that describes itself,
 * and a line in format.c: nobody else knows endings.
 *
 *   const Format *f = format_of("case7.nii.gz");         // by the name's ending; NULL: none of ours
 *   f->read(path, "image", &volume, err) */
#ifndef NETRUN_FORMAT_H
#define NETRUN_FORMAT_H
#include <stddef.h>
#include <stdio.h>
#include "runtime/io/raster.h"

typedef enum {
  HOLDS_PICTURE, /* 2-D, 8 bits: Raster */
  HOLDS_VOLUME   /* 3-D: Volume */
} Holds;

typedef struct Format {
  const char *name;
  const char
      *ending[4]; /* with the dot, in lower case; the first is the one that is written; ends with NULL */
  Holds holds;
  bool sets; /* a file holds image and label as data sets of these names; else a mask is a file of its own */
  bool prepared; /* intensities are taken as they are: who publishes such files has normalised them */
  /* Pictures. They are told apart by content: the bytes a file begins with. */
  const char *magic;
  bool (*picture)(const char *path, FILE *f, Raster *out, char err[ERR_MAX]);
  /* Volumes. set: name of the data set, where the format has such. header: extents and spacing, no values. */
  bool (*header)(const char *path, const char *set, Volume *out, char err[ERR_MAX]);
  bool (*read)(const char *path, const char *set, Volume *out, char err[ERR_MAX]);
  /* Writes a mask, atomically; NULL: masks are not written in this format. Pictures: (H,W); volumes: (X,Y,Z)
   * row-major. like: NULL, or the file the mask belongs to, whose geometry it takes over where it is of the
   * same format. */
  bool (*write)(const char *path, const char *like, const uint8_t *mask, const int64_t *dim,
                char err[ERR_MAX]);
} Format;

extern const Format *const format_table[]; /* ends with NULL; the order in which masks are looked for */
extern const Format format_png, format_jpeg, format_nifti, format_hdf5;

const Format *format_of(const char *path);
/* Characters of the name before the ending of its format; all of them where there is none. */
size_t format_stem(const char *name);
/* The format in which masks of what `holds` says are written. */
const Format *format_of_masks(Holds holds);
/* Every ending, or those of what `holds` says, for messages: ".png .jpg .jpeg .nii.gz". Returns out. */
enum { ALL_ENDINGS = 128 };
char *format_endings(char out[ALL_ENDINGS]);
char *format_endings_of(Holds holds, char out[ALL_ENDINGS]);
bool is_volume(const char *path); /* its format holds volumes */

/* Writes a mask in the format that the name asks for; an error where that is none or has other dimensions. */
bool mask_write(const char *path, const char *like, const uint8_t *mask, int spatial, const int64_t *dim,
                char err[ERR_MAX]);
#endif
