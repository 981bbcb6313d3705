/* nrrd_header.h - the header of an NRRD file, field by field. */
#ifndef NETRUN_NRRD_HEADER_H
#define NETRUN_NRRD_HEADER_H
#include "runtime/base/notes.h"
#include "runtime/io/volume/element.h"
#include "runtime/io/volume/text_header.h"

enum { NRRD_AXES = 8, NRRD_SPACE = 4 };

typedef struct {
  int64_t size;
  bool directed, undirected; /* has a direction; its direction is "none" */
  double direction[NRRD_SPACE];
  double spacing; /* NAN where not said */
  char kind[24];  /* "" where not said */
} NrrdAxis;

typedef struct {
  int axes;
  NrrdAxis axis[NRRD_AXES]; /* the fastest first */
  Element type;
  enum { NRRD_RAW, NRRD_TEXT, NRRD_GZIP, NRRD_ENCODINGS } encoding;
  bool big, endian_said;
  int space;     /* dimensions of the space; 0: none */
  char named[4]; /* letters towards which its components grow, as "LPS"; "": they have no names */
  double origin[NRRD_SPACE], unit; /* unit: mm in its units */
  bool origin_said;
  int lines;
  int64_t skip;   /* -1: the voxels are the last bytes */
  FileList files; /* none: the voxels follow the header .. */
  int64_t start;  /* .. from this byte on */
} NrrdHeader;

/* Errors name the field. The header's files are to be freed (file_list_free) after success. */
bool nrrd_header_read(const char *path, NrrdHeader *out, char err[ERR_MAX]);
#endif
