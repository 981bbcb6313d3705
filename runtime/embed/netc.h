/* netc.h - trained networks inside of another program: a module made by netc, and its weights, through
 * libnetc.so. C and C++.
 *
 *   char error[NETC_ERROR_MAX];
 *   NetcModel *m = netc_open("asenet.so", "last.safetensors", 0, NETC_CPU, error);
 *   if (!m || !netc_segment(m, image, (const int64_t[]){512, 512}, mask, error))
 *     fprintf(stderr, "%s\n", error);
 *   netc_close(m);
 *
 *   cc segment.c -lnetc
 *
 * The library needs libc and libcjson, a module nothing. It reads no image files: arrays are row-major in
 * their logical shape (N,C,H,W) or (N,C,D,H,W), float images normalised as in training (docs/data.md).
 * Results do not depend on the number of threads.
 *
 * Functions that can fail return false (NULL) and leave one sentence in `error`; they print nothing and never
 * exit. A model belongs to one thread at a time; several models, of one module or many, may be used side by
 * side. */
#ifndef NETC_H
#define NETC_H
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NETC_ERROR_MAX = 512, NETC_RANK_MAX = 6, NETC_CPU = -1 };

typedef struct NetcModel NetcModel;

/* An input or output of a function. */
typedef struct {
  const char *name; /* belongs to the model */
  bool integer;     /* elements are int32_t; else float */
  int rank;
  int64_t dim[NETC_RANK_MAX];
  int64_t count; /* elements */
} NetcValue;

/* module: a file made by netc. weights: a .safetensors file with the variables that its functions read (a
 * checkpoint of netrun; one of another network is refused), or NULL: initial values. threads: 0 = as many as
 * the process may use. device: NETC_CPU, or the number of an NVIDIA GPU (netc --target host,ptx). Takes the
 * memory of the module's plan (netrun info) at once. */
NetcModel *netc_open(const char *module, const char *weights, int threads, int device,
                     char error[NETC_ERROR_MAX]);
void netc_close(NetcModel *m); /* NULL is fine */

/* Inputs and outputs of `predict` or of a `forward NAME`. The first `most` are written to list; returns how
 * many there are, -1: there is no such function. */
int netc_inputs(const NetcModel *m, const char *function, NetcValue *list, int most);
int netc_outputs(const NetcModel *m, const char *function, NetcValue *list, int most);

/* Runs a function: in and out have as many arrays, of as many elements, as netc_inputs and netc_outputs say,
 * in that order. An output may be NULL: it is not wanted. Random numbers, where a function draws them, are
 * those of seed and iteration 0. */
bool netc_run(NetcModel *m, const char *function, const void *const *in, void *const *out,
              char error[NETC_ERROR_MAX]);

/* Number of classes and channels of `predict`, and the extents it was compiled for: size[0..spatial-1].
 * Returns the number of spatial axes, 2 or 3; -1: there is no `predict` from one image to scores of
 * classes. */
int netc_shape(const NetcModel *m, int *classes, int *channels, int64_t size[3]);

/* The class of every pixel or voxel, the first among equals; where the module predicts regions that overlap,
 * that of the last one whose probability is above 0.5 (docs/language.md). image: (channels, dim), mask:
 * (dim), as many extents as netc_shape returns, of any length. Where they are not those of `predict`, windows
 * of that size slide over the image, half a window at a time, and what they say is averaged; smaller images
 * are surrounded by zeros. */
bool netc_segment(NetcModel *m, const float *image, const int64_t *dim, uint8_t *mask,
                  char error[NETC_ERROR_MAX]);

#ifdef __cplusplus
}
#endif
#endif
