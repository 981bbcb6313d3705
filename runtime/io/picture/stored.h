/* stored.h - a picture as its file stores it, and what becomes of it for a wish. A reader of pictures decodes
 * numbers; palettes, colours in masks and pictures that lie turned are the same for all of them.
 *
 *   Stored s = {.image = .., .colours = .., .orientation = ..};
 *   return stored_deliver(&s, path, wish, out, err);
 */
#ifndef NETRUN_STORED_H
#define NETRUN_STORED_H
#include <stddef.h>
#include "runtime/io/format.h"

enum { PALETTE_MOST = 256 };

typedef struct {
  Image image;     /* the file's numbers: grey or palette indices (1 channel), or colours (3); `full` is set.
                      image.value is NULL where only the header was asked for */
  int bits;        /* of a sample, for messages */
  int colours;     /* of the palette; 0: there is none */
  int orientation; /* of a picture, 1..8 as EXIF and TIFF number them; 0: upright */
  uint8_t colour[PALETTE_MOST][3];
} Stored;

/* Turns the picture upright and makes of it what wish->as says; header: the shape that this would have.
 * Takes over s->image. An error: colours where numbers are wanted (it lists them), an index beyond the
 * palette, floats or negative numbers where colours are wanted. */
bool stored_deliver(Stored *s, const char *path, const Wish *wish, Image *out, char err[ERR_MAX]);

/* Turns a picture (H,W) of the orientation upright, in place: rows and columns change places for 5..8. */
bool picture_turn(Image *image, int orientation, const char *path, char err[ERR_MAX]);

/* The orientation, 1..8, that an EXIF block (from its byte order mark on) states; 1: it states none;
 * 0: it is damaged. */
int exif_orientation(const uint8_t *exif, size_t size);

/* ---- masks that are written as pictures, or as pages of one ---- */

/* What stands in the file for a class. Pictures of two classes are 0 and 255, so that people see them. */
int32_t mask_value(const Written *what, int64_t class);
/* Bytes of a sample, 1 or 2: the same for every mask of a module, whatever classes are in it. 0 and
 * a message: a value that `format` does not hold, or no mask. */
int mask_bytes(const Written *what, const char *path, const char *format, char err[ERR_MAX]);

enum { PICTURE_MAX_SIDE = 1 << 16 };
#endif
