/* augment.h - what augmentations of batches are (ir/augment.def), for who makes, checks and shows them. */
#ifndef NETRUN_AUGMENT_H
#define NETRUN_AUGMENT_H
#include <stdbool.h>
#include <stdio.h>
#include "codegen/abi.h"

enum {
#define AUGMENT(name, ...) BATCH_AUGMENT_##name,
#include "ir/augment.def"
#undef AUGMENT
  BATCH_AUGMENTS
};

typedef struct {
  const char *name; /* NULL: no parameter */
  double initial;   /* NAN: as the one before it */
  double least, most;
  bool upto; /* not below the one before it */
} BatchAugmentParam;

typedef struct {
  const char *word;
  bool place;     /* where a sample is taken; else what its numbers become */
  bool by_device; /* a device can make it of images it keeps; else only the host */
  double p;       /* probability, where nothing is said */
  const char *meaning;
  BatchAugmentParam param[NETC_AUGMENT_VALUES];
} BatchAugmentInfo;
extern const BatchAugmentInfo batch_augment[BATCH_AUGMENTS]; /* by NetcAugmentKind */

/* Kinds and values are those that the table allows. */
bool augments_valid(const NetcAugment *a, int n);
/* One as the language writes it, with parameters where they are not those of the table: rotate(15, 15, p =
 * 1). */
void augment_show(FILE *out, const NetcAugment *a);
#endif
