/* tiff_page.h - one directory of a TIFF file: a picture, or a slice of a volume; how pages are stacked. */
#ifndef NETRUN_TIFF_PAGE_H
#define NETRUN_TIFF_PAGE_H
#include <tiffio.h>
#include "runtime/io/picture/stored.h"

/* An open file. libtiff's messages come here, never to stderr. */
typedef struct {
  TIFF *tiff;
  const char *path;
  const Wish *wish;
  char *err;
  char reason[200]; /* libtiff's first error */
  bool lost;        /* a warning that means missing pixels came */
} TiffFile;

bool tiff_open(TiffFile *f, const char *path, const Wish *wish, char err[ERR_MAX]);
/* A new file, for pages of `bytes` together. */
bool tiff_create(TiffFile *f, const char *path, const Wish *wish, double bytes, char err[ERR_MAX]);
/* The message for what libtiff failed on; always false. */
bool tiff_damaged(const TiffFile *f);

typedef struct {
  int64_t h, w;
  int samples, channels; /* of a pixel, as stored; of them those that are read: the first ones */
  int bits, format;      /* of a sample; SAMPLEFORMAT_.. */
  int photometric, compression, orientation;
  bool planes; /* each sample has a plane of its own */
  double full; /* the value that means white; 0: unknown */
  int colours;
  uint8_t colour[PALETTE_MOST][3];
} TiffPage;

/* The current directory. An error: a kind of numbers or colours that is not read. */
bool tiff_page(TiffFile *f, TiffPage *out);
/* Its numbers: (channels,h,w). As stored, but JPEG's and other YCbCr as RGB. */
bool tiff_page_values(TiffFile *f, const TiffPage *page, float *value);

/* How the pages of a file are arranged, and their spacing, from what ImageJ or OME wrote into the first one's
 * description. Other files: {1, pages, {1,1,1}}. */
typedef struct {
  int channels, slices; /* page = slice * channels + channel */
  double mm[3];         /* along X, Y, Z; 1: unknown */
} TiffStack;
bool tiff_stack(TiffFile *f, int pages, TiffStack *out);
/* The description, as ImageJ writes it, of a volume with that grid. Returns text. */
enum { TIFF_TEXT = 128 };
char *tiff_stack_text(const Grid *g, char text[TIFF_TEXT]);

/* A picture's mask, or a volume's as pages: Format.write. */
bool tiff_write(const char *path, const char *like, const Written *what, char err[ERR_MAX]);
#endif
