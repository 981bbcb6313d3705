/* augment.h - augmentations of batches (ir/augment.def): what the host or the device does to an image and its
 * mask on their way into a batch. */
#ifndef NETC_AUGMENT_H
#define NETC_AUGMENT_H
#include <stdbool.h>
#include "ir/err.h"
#include "ir/mem.h"

typedef enum {
#define AUGMENT(name, ...) AUG_##name,
#include "ir/augment.def"
#undef AUGMENT
  AUGMENTS
} AugmentKind;

enum { AUGMENT_VALUES = 3, AUGMENT_MOST = 32 }; /* parameters of one, but for p; augmentations of a list */

typedef struct {
  const char *name; /* NULL: no parameter */
  double initial;   /* NAN: as the one before it */
  double least, most;
  bool upto; /* not below the one before it */
} AugmentParam;

typedef struct {
  const char *word;
  bool place;     /* where a sample is taken; else what its numbers become */
  bool by_device; /* a device can make it */
  double p;       /* where nothing is said */
  const char *meaning;
  AugmentParam param[AUGMENT_VALUES];
} AugmentInfo;
extern const AugmentInfo augment_info[AUGMENTS];

typedef struct {
  AugmentKind kind;
  double p, value[AUGMENT_VALUES]; /* in the order of the table's parameters, unused ones 0 */
} Augment;

int augment_by_name(const char *word); /* -1: there is none */
int augment_params(AugmentKind kind);
/* With the first `given` of value[]; those of NAN, and all behind them, as the table says. */
Augment augment_of(AugmentKind kind, int given, const double *value);
bool augment_plain(const Augment *a); /* all is as the table says */
/* Every parameter lies in its range. */
bool augment_check(const Augment *a, char err[IR_ERR]);
/* That, and what holds of lists: PLACE once at most, and in `strong` never. */
bool augment_list_check(const Augment *a, int n, bool strong, char err[IR_ERR]);
const char *augment_words(Arena *arena, bool strong); /* all that a list may hold: flip, rot90, .. */
#endif
