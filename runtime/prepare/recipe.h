/* recipe.h - how files become what a network sees: orientation, spacing, crop, intensities, labels. A module
 * states it (`prepare` in docs/language.md); what depends on the training set is measured (fingerprint). The
 * same recipe prepares images for training, evaluation and prediction. */
#ifndef NETRUN_RECIPE_H
#define NETRUN_RECIPE_H
#include <stdbool.h>
#include <stdint.h>

enum { RECIPE_CHANNELS = 16, CLASS_IGNORE = 255, CLASSES_MAX = 255 };

/* Interpolation between elements. CUBIC: cubic B-splines through the elements (Unser 1999), mirrored at the
 * border, as ITK's BSplineInterpolateImageFunction and scipy.ndimage have them. */
typedef enum { ORDER_NEAREST, ORDER_LINEAR, ORDER_CUBIC } Order;

/* Slices of volumes for a 2-D module. STORED: along the file's last axis. THICK: perpendicular to the axis
 * whose spacing is at least twice that of the others; AXIAL where there is none. */
typedef enum { PLANE_THICK, PLANE_AXIAL, PLANE_CORONAL, PLANE_SAGITTAL, PLANE_STORED } Plane;

typedef enum {
  INTENSITY_AUTO, /* the rules of docs/data.md, by what kind of file it is */
  INTENSITY_NONE,
  INTENSITY_ZSCORE,     /* zero mean and unit variance of the image (3-D: the volume) */
  INTENSITY_NONZERO,    /* the same over voxels that are not 0, which stay 0 */
  INTENSITY_FOREGROUND, /* clipped to percentiles 0.5 and 99.5 of the training set's foreground, less its
                           mean, by its deviation (nnU-Net, CT) */
  INTENSITY_MINMAX,     /* to 0..1 */
  INTENSITY_FIXED       /* (value / scale - mean) / deviation */
} IntensityKind;

typedef struct {
  IntensityKind kind;
  bool clip; /* to lo..hi first */
  double lo, hi, mean, deviation, scale;
} Intensity;

/* What a number or a colour of mask files means. */
typedef struct {
  int64_t value;  /* a number, where colour < 0 */
  int32_t colour; /* 0xRRGGBB, or -1 */
  int32_t klass;  /* or CLASS_IGNORE */
} LabelRule;

/* A mask that does not lie on its image's grid. */
typedef enum {
  GRID_REFUSE,   /* an error that says how far it is off */
  GRID_RESAMPLE, /* the nearest voxel in space */
  GRID_TRUST     /* the arrays are taken as they are; an error where extents differ */
} OtherGrid;

typedef struct {
  char orientation[4]; /* "": as stored */
  Plane plane;
  bool resample;
  double spacing[3]; /* mm along each axis after orientation */
  Order image_order, mask_order;
  bool crop; /* to the box of voxels that are not 0 in some channel */
  Intensity intensity[RECIPE_CHANNELS];
  int nlabel; /* 0: with two classes 0/1 or 0/255, else the number is the class */
  const LabelRule *label;
  OtherGrid other_grid;
  bool fill_nan; /* voxels that are not finite become nan_value; else they are an error */
  double nan_value;
  const char *axes; /* of files that do not say their axes (Wish.axes) */
} Recipe;

/* RAS, as it is stored otherwise, INTENSITY_AUTO. */
extern const Recipe recipe_plain;
#endif
