/* format.h - the file formats of images, as a table. A format is a file of this folder that describes itself,
 * and a line in formats.def: nobody else knows endings.
 *
 *   Image image;
 *   image_read("case7.nii.gz", &(Wish){.as = READ_IMAGE, .notes = &notes}, &image, err)  // .. image_free
 *   image_write("mask.nii.gz", "case7.nii.gz", &(Written){3, 1, grid, mask, ..}, err) */
#ifndef NETRUN_FORMAT_H
#define NETRUN_FORMAT_H
#include <stddef.h>
#include "runtime/base/err.h"
#include "runtime/base/notes.h"
#include "runtime/image/grid.h"
#include "runtime/io/series.h"

typedef enum {
  HOLDS_PICTURE, /* 2-D */
  HOLDS_VOLUME,  /* 3-D */
  HOLDS_EITHER   /* the file's header tells */
} Holds;

/* What a file is read for. */
typedef enum {
  READ_IMAGE,   /* intensities, linearly as stored; alpha is dropped, palettes become colours */
  READ_NUMBERS, /* of a mask: stored numbers (palette indices, no gamma, no alpha), one channel. A colour
                   picture is an error that says what was found, unless its channels are equal everywhere */
  READ_COLOURS  /* of a mask: three channels 0..255, for a colour table */
} ReadAs;

typedef struct {
  ReadAs as;
  bool header;      /* extents, channels and grid alone */
  const char *set;  /* where a file has data sets: "image", "label", or a name; NULL: "image" */
  const char *axes; /* where a file does not say: its axes from the slowest on, as "xyz", "zyx" or "yx"; NULL:
                       what is usual for the format */
  Notes *notes;     /* gets oddities; NULL: they are dropped */
} Wish;

/* What is written: a mask or class probabilities, on the grid of an input file. */
typedef struct {
  int spatial, channels;
  Grid grid;
  const uint8_t *mask;  /* (dim): classes; or NULL and .. */
  const float *prob;    /* .. (C, dim) */
  int64_t classes;      /* of the module: pictures of two classes are written as 0 and 255 */
  const int32_t *value; /* what stands in the file for each class; NULL: its number (pictures: as above) */
} Written;

typedef struct Format {
  const char *name;
  const char
      *ending[6]; /* with the dot, in lower case; the first is the one that is written; ends with NULL */
  Holds holds;
  /* The ending of files that hold the voxels of a header beside them: read by that name, too, but no images
   * of their own where a folder is looked through; or NULL. */
  const char *beside;
  bool sets; /* a file holds image and label as data sets; else a mask is a file of its own */
  /* Is there such a data set in a file ("label": one that a usual name tells)? True of a file that cannot be
   * read: who reads it will be told why. NULL where `sets` is false. */
  bool (*has)(const char *path, const char *set);
  bool prepared; /* intensities are taken as they are: who publishes such files has normalised them */
  /* The bytes a file begins with; NULL: not told by them. A file whose ending and content disagree is read by
   * its content where both formats hold pictures. */
  const char *magic;
  /* The same of formats that no fixed bytes tell: of the first CONTENT_HEAD bytes of a file. */
  bool (*is)(const uint8_t *head, size_t size);
  bool (*folder)(const char *path); /* is this folder read as one file of the format? NULL: none is */
  bool (*read)(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]);
  /* Writes atomically; NULL: not written in this format. like: NULL, or the file whose geometry and header it
   * takes over where it is of the same format (else what->grid). */
  bool (*write)(const char *path, const char *like, const Written *what, char err[ERR_MAX]);
} Format;

enum { CONTENT_HEAD = 512 };
/* What a file that begins so holds, where it is none of our formats: "a ZIP archive: ..", for messages; NULL:
 * nothing known. */
const char *content_says(const uint8_t *head, size_t size);

#define FORMAT(name) extern const Format format_##name;
#include "runtime/io/formats.def"
#undef FORMAT
extern const Format *const format_table[]; /* ends with NULL */

/* Reads a file in the format that its name (pictures: its content) asks for. A picture of another format than
 * its name says is read, with a note; a file that holds something else (a web page, an archive, a pointer of
 * Git LFS, nothing) is an error that says what. */
bool image_read(const char *path, const Wish *wish, Image *out, char err[ERR_MAX]);
/* Writes in the format that the name asks for; an error where that is none or holds other dimensions. */
bool image_write(const char *path, const char *like, const Written *what, char err[ERR_MAX]);
/* Would image_write take that name for a mask of so many axes? Else the message says which. */
bool image_writable(const char *path, int spatial, char err[ERR_MAX]);
/* 2 or 3 axes; 0 and a message when the header cannot be read. */
int image_spatial(const char *path, char err[ERR_MAX]);

/* By the name's ending; else the format that reads the folder; NULL: none of ours. */
const Format *format_of(const char *path);
const Format *format_by_ending(const char *name);     /* the path need not exist; NULL: none of ours */
const Format *format_with_ending(const char *ending); /* ".nii.gz"; NULL: it is none of ours */
/* As format_of, for a file of a folder that is looked through: NULL also where its header stands for it. */
const Format *format_of_image(const char *path);
/* Characters of the name before the ending of its format; all of them where there is none. */
size_t format_stem(const char *name);
/* The format in which masks of what `holds` says are written. */
const Format *format_of_masks(Holds holds);
/* Every ending, or those of what `holds` says, for messages: ".png .jpg .jpeg .nii.gz". Returns out. */
enum { ALL_ENDINGS = 256 };
char *format_endings(char out[ALL_ENDINGS]);
char *format_endings_of(Holds holds, char out[ALL_ENDINGS]);
bool is_volume(const char *path); /* it holds a volume, as far as its format, or else its header, says */

#define VOLUME_MAX_ELEMENTS ((int64_t)1 << 33)
/* Room for an image's values; false and a message naming the file. */
bool image_alloc(Image *image, const char *path, char err[ERR_MAX]);
#endif
