/* predictor.h - a module's `predict` function as a function from images to class masks.
 *
 *   Predictor p;
 *   if (!predictor_new(&p, session, err)) ...          // the session's variables are loaded already
 *   predictor_slices(&p, image, n, mask, err);         // 2-D: n images of the module's size
 *   predictor_volume(&p, image, dim, mask, err);       // 3-D: windows of the module's patch over a volume
 *   predictor_free(&p);
 *
 * The class of an element is the one with the largest output, the first among equals. */
#ifndef NETRUN_PREDICTOR_H
#define NETRUN_PREDICTOR_H
#include "runtime/data/data.h"
#include "runtime/session/session.h"

typedef struct {
  const Session *session;
  const NetcFn *fn;
  const NetcArray *in, *out;
  DataShape shape;
  int64_t batch;          /* images per call of fn */
  int64_t patch;          /* elements of one channel */
  float *images, *scores; /* a batch in and out, row-major */
} Predictor;

/* What images the module's predict function takes. Refuses functions that are not image (N,C,S) -> scores
 * (N,classes,S). */
bool predictor_shape(const Module *m, DataShape *shape, char err[ERR_MAX]);
bool predictor_new(Predictor *p, const Session *s, char err[ERR_MAX]);
void predictor_free(Predictor *p);
/* Elements of the classes of a sample at its own size: of a picture, of all slices of a stack, of a
 * volume. */
int64_t predictor_elements(const Sample *x);
/* A picture, a slice, a stack or a volume; classes: as many elements. */
bool predictor_sample(Predictor *p, const Sample *x, uint8_t *classes, char err[ERR_MAX]);
/* image: (n, C, S) row-major; mask: (n, S). */
bool predictor_slices(Predictor *p, const float *image, int64_t n, uint8_t *mask, char err[ERR_MAX]);
bool predictor_volume(Predictor *p, const float *image, const int64_t *dim, uint8_t *mask, char err[ERR_MAX]);
#endif
