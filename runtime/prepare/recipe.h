/* recipe.h - how files become what a network sees: orientation, spacing, crop, intensities, labels. A module
 * states it (`prepare` in docs/language.md); what depends on the training set is measured (fingerprint). The
 * same recipe prepares images for training, evaluation and prediction. */
#ifndef NETRUN_RECIPE_H
#define NETRUN_RECIPE_H
#include "codegen/abi.h"
#include "runtime/base/err.h"

enum { RECIPE_CHANNELS = 16, CLASS_IGNORE = 255 }; /* CLASS_IGNORE: the byte of elements that are ignored */

/* A mask that does not lie on its image's grid. */
typedef enum {
  GRID_REFUSE,   /* an error that says how far it is off */
  GRID_RESAMPLE, /* the nearest voxel in space; of channels, linear between voxels */
  GRID_TRUST     /* the arrays are taken as they are; an error where extents differ */
} OtherGrid;

typedef struct {
  char orientation[4]; /* "": as stored */
  int plane;           /* NetcPlane */
  bool resample, median;
  double
      spacing[3]; /* mm along each axis after orientation, 0: as stored; with `median` from a fingerprint */
  NetcOrder image_order, mask_order;
  bool crop;                                /* to the box of voxels that are not 0 in some channel */
  NetcIntensity intensity[RECIPE_CHANNELS]; /* FOREGROUND: complete after recipe_resolve */
  int nlabel; /* 0: with two classes 0/1 or 0/255, else the number is the class */
  const NetcLabelRule *label;
  int nclass; /* of `labels`; 0: they have no names */
  const char *const *class_name;
  int nregion;                /* unions of classes, of which batches have maps */
  const uint8_t *member;      /* by class: bits of the regions that it belongs to */
  const char *const *channel; /* names; NULL: unnamed */
  OtherGrid other_grid;
  bool fill_nan; /* voxels that are not finite become nan_value; else they are an error */
  double nan_value;
  const char *axes; /* of files that do not say their axes (Wish.axes) */
} Recipe;

/* What is measured on the training set. */
typedef struct {
  int channels;
  double spacing[3]; /* median along each axis after orientation, mm */
  int plane;         /* NetcPlane of the slices of most volumes, 2-D modules; THICK: there were none */
  struct {
    double lo, hi, mean, deviation; /* percentiles 0.5 and 99.5 of foreground voxels, as files have them */
  } foreground[RECIPE_CHANNELS];
} Fingerprint;

/* RAS, as it is stored otherwise, intensities by docs/data.md's rules. */
extern const Recipe recipe_plain;
/* What a module's statement says; p NULL: recipe_plain. Refuses what cannot be done for its number of
 * axes. */
bool recipe_of(const NetcPrepare *p, int spatial, int channels, Recipe *out, char err[ERR_MAX]);
/* The statement, where it names regions; else NULL. */
const NetcPrepare *regions_of(const NetcPrepare *p);
/* Does it need a fingerprint? */
bool recipe_unresolved(const Recipe *r, int channels);
bool recipe_resolve(Recipe *r, int channels, const Fingerprint *f, char err[ERR_MAX]);
/* One line of text: "spacing 0.76 0.76 1.5 plane axial foreground -200 250 80 40 ..", and back. */
enum { FINGERPRINT_TEXT = 2048 }; /* as Progress.fingerprint */
void fingerprint_text(const Fingerprint *f, char out[FINGERPRINT_TEXT]);
bool fingerprint_parse(const char *text, Fingerprint *out);
#endif
