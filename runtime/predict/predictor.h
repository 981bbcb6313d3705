/* predictor.h - a module's `predict` function as a function from images to class masks.
 *
 *   Predictor p;
 *   if (!predictor_new(&p, session, err)) ...          // the session's variables are loaded already
 *   predictor_slices(&p, image, n, mask, err);         // 2-D: n images of the module's size
 *   predictor_volume(&p, image, dim, mask, err);       // 3-D: windows of the module's patch over a volume
 *   predictor_free(&p);
 *
 * What is said of an element is a byte: its class, or the bits of the regions it lies in (decide.h;
 * runtime/eval/regions.h scores them). */
#ifndef NETRUN_PREDICTOR_H
#define NETRUN_PREDICTOR_H
#include "runtime/data/data.h"
#include "runtime/predict/decide.h"
#include "runtime/predict/windows.h"
#include "runtime/session/session.h"

typedef struct {
  const Session *session;
  const NetcFn *fn;
  const NetcArray *in, *out;
  DataShape shape;            /* classes: of masks */
  const NetcPrepare *regions; /* the module's statement where it names regions, else NULL */
  Decision decision;          /* how many scores there are of an element, and what becomes of them */
  int64_t batch;              /* images per call of fn */
  int64_t patch;              /* elements of one channel */
  float *images, *scores;     /* a batch in and out, row-major */
  /* How; set between predictor_new and the first image. */
  WindowPlan plan;
  bool flips;                 /* mean over all flips of the image along its axes: 4 in 2-D, 8 in 3-D */
  int models;                 /* 1: the session's variables; more: the mean over those of these files */
  const char *const *weights; /* .safetensors */
  int64_t tiles;              /* volumes: 1, or more to take less memory (slide.h) */
  int64_t idle;               /* bytes of the process before its first image; 0: not looked at (memory.h) */
} Predictor;

/* What is wanted of a sample; NULL: not that. */
typedef struct {
  uint8_t *mask;  /* what is decided on the file's grid (Sample.own) */
  float *prob;    /* (scores, own): what predict says, averaged */
  uint8_t *small; /* what is decided at the sample's own size (predictor_elements) */
} Answer;

/* What images the module's predict function takes. Refuses functions that are not image (N,C,S) -> scores
 * (N,classes,S), or (N,regions,S) where the module names regions. */
bool predictor_shape(const Module *m, DataShape *shape, char err[ERR_MAX]);
bool predictor_new(Predictor *p, const Session *s, char err[ERR_MAX]);
void predictor_free(Predictor *p);
/* Elements of the classes of a sample at its own size: of a picture, of all slices of a stack, of a
 * volume. */
int64_t predictor_elements(const Sample *x);
/* A picture, a slice, a stack or a volume. */
bool predictor_answer(Predictor *p, const Sample *x, const Answer *out, char err[ERR_MAX]);
/* Scores of n images (C,S) at the module's size: score (n, scores, S), averaged over models and flips. */
bool predictor_scores(Predictor *p, const float *const *image, int64_t n, float *score, char err[ERR_MAX]);
/* The answer for a picture or a slice from its scores (scores, S). */
bool answer_of_scores(const Predictor *p, const Sample *x, const float *score, const Answer *out,
                      char err[ERR_MAX]);
/* Bytes of memory that predictor_answer takes beside the sample and the answer. */
int64_t predictor_bytes(const Predictor *p, int spatial_of_file, const int64_t dim[3]);
/* The most tiles that a prepared volume of those extents can be done in. */
int64_t predictor_tiles(const Predictor *p, const int64_t dim[3]);
/* What predictor_scores is made of. Makes the variables those of model m. */
bool predictor_choose(Predictor *p, int m, char err[ERR_MAX]);
/* Adds `weight` times the scores of n <= batch images by this model, their mean over all flips asked for. */
bool predictor_add(Predictor *p, const float *const *image, int64_t n, float weight, float *score,
                   char err[ERR_MAX]);
/* image: (n, C, S) row-major; mask: (n, S). */
bool predictor_slices(Predictor *p, const float *image, int64_t n, uint8_t *mask, char err[ERR_MAX]);
bool predictor_volume(Predictor *p, const float *image, const int64_t *dim, uint8_t *mask, char err[ERR_MAX]);
#endif
