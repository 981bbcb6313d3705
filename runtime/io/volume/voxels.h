/* voxels.h - arrays of voxels in files: x the fastest axis, channels before, between or behind the three; and
 * their way from and to an Image, whose innermost axis is z. What formats of volumes have in common. */
#ifndef NETRUN_VOXELS_H
#define NETRUN_VOXELS_H
#include "runtime/io/volume/element.h"
#include "runtime/io/format.h"
#include "runtime/io/volume/sink.h"
#include "runtime/io/volume/stream.h"

/* Where the voxels of a volume are, and how they are stored. */
typedef struct {
  char *const *file; /* one after the other: .. */
  int files;         /* .. each holds the same number of them */
  /* In each file: bytes that are left out, then lines; then the coding begins; then bytes of what is decoded.
   * from_end: instead, the voxels are the file's last bytes. */
  int64_t start, skip;
  int lines;
  bool from_end;
  StreamCoding coding;
  bool text; /* in decimals, apart by blanks */
  Element type;
  bool swap;          /* of the other byte order than this machine's */
  int64_t channel[4]; /* channels before x (fastest), between x and y, between y and z, behind z (slowest) */
  int64_t kept;       /* the first so many of channel[0] are read: 3 of RGBA */
  Scale scale;
} Voxels;

/* Channels of the image. */
int64_t voxels_channels(const Voxels *v);
/* Fills in out->channels and, unless wish asks for the header alone, out->value; out->grid.dim says how many
 * voxels there are. A mask that is read for its numbers becomes one channel where all are equal, and its
 * numbers are exact. Errors: the file is cut short (with the count of bytes), damaged, or beyond memory; the
 * values are no mask of the kind that wish names. Bytes behind the voxels are noted. out->value is NULL then.
 * Takes memory for the values and for 16 planes as stored. */
bool voxels_read(const char *path, const Voxels *v, const Wish *wish, Image *out, char err[ERR_MAX]);

/* The smallest of uint8, int16, int32 in which the numbers of what's classes are stored; float32 where it is
 * probabilities. */
Element voxels_type(const Written *what);
/* Writes them in this machine's byte order, as one array (x,y,z) or (x,y,z,channels); `interleaved`:
 * (channels,x,y,z). Failures to write stay with the sink. false: out of memory. */
bool voxels_write(Sink *sink, const Written *what, Element type, bool interleaved, char err[ERR_MAX]);
#endif
