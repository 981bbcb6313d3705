/* prepare.h - what a program says of its images' preparation (the statement `prepare`, docs/language.md). The
 * compiler does nothing with it but check it and hand it on to the module: codegen/abi.h, NetcPrepare. */
#ifndef NETC_PREPARE_H
#define NETC_PREPARE_H
#include <stdio.h>
#include "ir/ir.h"

typedef enum {
#define SPACING(name, word) SPACING_##name,
#include "ir/prepare.def"
  SPACING_KINDS
} SpacingKind;
typedef enum {
#define ORDER(name, word) ORDER_##name,
#include "ir/prepare.def"
  ORDER_KINDS
} OrderKind;
typedef enum {
#define PLANE(name, word) PLANE_##name,
#include "ir/prepare.def"
  PLANE_KINDS
} PlaneKind;
typedef enum {
#define CROP(name, word) CROP_##name,
#include "ir/prepare.def"
  CROP_KINDS
} CropKind;
typedef enum {
#define INTENSITY(name, word) INTENSITY_##name,
#include "ir/prepare.def"
  INTENSITY_KINDS
} IntensityKind;
typedef enum {
#define WEIGHT(name, word) WEIGHT_##name,
#include "ir/prepare.def"
  WEIGHT_KINDS
} WeightKind;
typedef enum {
#define POST(name, word) POST_##name,
#include "ir/prepare.def"
  POST_KINDS
} PostKind;
/* The words, by these numbers; a NULL ends each list. */
extern const char *const word_spacing[],
    *const word_order[], *const word_plane[], *const word_crop[], *const word_intensity[],
                                                                      *const word_weight[],
                                                                          *const word_post[];

/* 255 classes: a mask in memory has a byte for each element, and one value more for those ignored. */
enum { MAX_CLASSES = 255, NO_COLOUR = -1, CLASS_IGNORED = -1 };
/* What is predicted of an element is one byte, with a bit for each region. */
enum { MAX_REGIONS = 8 };

/* What is done to the values of a channel; values are those of the file. */
typedef struct {
  IntensityKind kind;
  bool clip;
  double lo, hi;                 /* clip: values are cut to lo..hi first */
  double mean, deviation, scale; /* FIXED: (x / scale - mean) / deviation; else 0, 1, 1 */
} Intensity;

/* One value of the mask files, or one colour, and its class. */
typedef struct {
  int64_t value;  /* where colour is NO_COLOUR */
  int32_t colour; /* 0xRRGGBB, or NO_COLOUR */
  int32_t cls;    /* index into Prepare.class_name, or CLASS_IGNORED */
} LabelRule;

/* The statement. Spatial lists follow the axes of the module's arrays, zero beyond. */
typedef struct Prepare {
  const char **channel; /* names; NULL where nchannel is 0: unnamed */
  int nchannel;
  SpacingKind spacing;
  double mm[MAX_SPATIAL]; /* FIXED: millimetres, 0 = as stored along this axis */
  OrderKind image_order, mask_order;
  const char *orientation; /* "RAS" and so on, or "": as stored */
  PlaneKind plane;
  CropKind crop;
  const Intensity *intensity;
  int nintensity; /* 1, for all channels, or one for each */
  const LabelRule *label;
  int nlabel; /* 0: docs/data.md's rules */
  const char **class_name;
  int nclass; /* 0 where nlabel is */
  const char **region;
  int nregion;                 /* unions of classes; 0: what is predicted is a class */
  const uint8_t *member;       /* by class: bit r says that it belongs to region r; NULL where nregion is 0 */
  double overlap;              /* of patches, a fraction of their extents, in [0, 1) */
  int64_t stride[MAX_SPATIAL]; /* elements between patches; 0: by overlap */
  WeightKind weight;
  unsigned post; /* bit POST_ */
  double drop;   /* components smaller than this many cubic millimetres are dropped */
} Prepare;

/* What an empty statement says. */
Prepare prepare_default(Arena *a);
Intensity intensity_of(IntensityKind kind);
/* A value of the mask files is mapped to "ignore": labels hold -1 there. p: NULL without a statement. */
bool prepare_ignores(const Prepare *p);
/* The class that region r stands for where masks hold classes: the first of its classes that belongs to no
 * later region, -1 if there is none. */
int region_class(const Prepare *p, int r);
/* The class of an element that lies in the regions of these bits: that of the last of them that has one;
 * 0 if there is none. */
int class_of_regions(const Prepare *p, uint8_t bits);
/* The first class whose regions stand for a class of other regions: masks would not give it back. 0: none. */
int class_lost(const Prepare *p);
/* Is it one of the 48 codes: one letter each of L R, P A, I S, in any order? */
bool orientation_ok(const char *code);
/* The images that the program's preparation makes: those of its first batch with images, or of predict. NULL:
 * it has none. */
const Type *program_image(const Program *p);
/* Numbers in range, and as many of each as the program's images and classes ask for. */
bool prepare_verify(const Program *prog, const Prepare *p, char err[IR_ERR]);

/* The text form (docs/ir.md); prepare_text.c. */
void prepare_print(FILE *out, const Program *prog);
#endif
