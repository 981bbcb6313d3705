/* slide.h - sliding-window inference, slab by slab: what windows say is summed only for the planes that
 * are not finished, and a plane is handed on as soon as no window will add to it. How many windows add to
 * an element, and in which order, does not depend on the memory there is: with less, the image is done in
 * tiles, and windows that reach into several of them are computed again. */
#ifndef NETRUN_SLIDE_H
#define NETRUN_SLIDE_H
#include "runtime/base/pool.h"
#include "runtime/predict/windows.h"

/* Finished planes from..to-1 along axis[0], of a tile of rows: probabilities. The plane before them is still
 * there. Element (a,b,c) along axis[0], axis[1], axis[2] of class k is at
 * value[((k * ring + a % ring) * rows + b - lo) * columns + c]. */
typedef struct {
  int axis[3];
  int64_t from, to;
  int64_t lo, hi; /* rows of the tile; row hi is there too, if the image has it */
  int64_t ring, rows, columns, classes;
  const float *value;
} Slab;

typedef struct {
  const float *image; /* (C, dim) row-major */
  const Windows *windows;
  int channels;
  int64_t classes, batch; /* batch: windows at once */
  int models;             /* what several say is averaged */
  int64_t tiles;          /* 1: all rows at once */
  Pool *pool;
  void *user;
  /* Makes model m the one that `run` asks; false to stop, with err set. */
  bool (*choose)(void *user, int m, char err[ERR_MAX]);
  /* n windows (n,C,S) to scores (n,classes,S). */
  bool (*run)(void *user, const float *window, int64_t n, float *score, char err[ERR_MAX]);
  void (*planes)(void *user, const Slab *slab);
} Slide;

bool slide(const Slide *s, char err[ERR_MAX]);
/* Bytes that `slide` takes. */
int64_t slide_bytes(const Slide *s);
/* The most tiles there can be. */
int64_t slide_tiles(const Windows *w);
#endif
