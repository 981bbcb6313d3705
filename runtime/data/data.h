/* data.h - images with masks, in the layouts of the field, as samples a module can eat.
 *
 * A data set is a list of items. In 2-D an item is one image (a PNG/JPEG, or one slice of a volume); in 3-D
 * it is one volume. Items belong to a case (a patient): splits and labelled fractions are made by case, never
 * by item.
 *
 *   DataShape shape = {.spatial = 2, .channels = 1, .size = {256, 256}, .classes = 2};
 *   Dataset *d = data_open("lits:/data/lits/slices", &shape, err);
 *   data_split_labeled(d, "10%", seed, err);
 *   Sample s;  data_load(d, item, &s, err); ... sample_free(&s);
 *
 * Functions that can fail return false or NULL and put one sentence into err: what happened, the file, what
 * to do. */
#ifndef NETRUN_DATA_H
#define NETRUN_DATA_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "runtime/base/err.h"
#include "runtime/prepare/prepare.h"

/* What the module wants. size: (H,W) in 2-D, (D,H,W) axes in the module's order in 3-D: the patch. */
typedef struct {
  int spatial, channels;
  int64_t size[3];
  int64_t classes;
  const Recipe *recipe; /* NULL: recipe_plain */
  Notes *notes;         /* oddities of files; NULL: dropped */
} DataShape;

typedef enum { SPLIT_TRAIN, SPLIT_VAL, SPLIT_TEST, SPLIT_NONE } Split; /* NONE: in no list, left out */

typedef struct {
  char *name;  /* case00012_z031, ISIC_0000000, ... unique */
  int patient; /* index of its case */
  Split split;
  bool labeled;  /* training items: it has a mask, and data_split_labeled takes it; others always */
  int volume;    /* of a slice: the number of its volume, whose slices are neighbours in the list; else -1 */
  uint8_t *only; /* the classes that its mask tells (partial.list), for only_has; NULL: all */
} Item;

typedef struct Dataset {
  char *name; /* as given: lits, isic2018, la, folder, phantom */
  char *root; /* directory, NULL for the phantom */
  DataShape shape;
  int nitem;
  Item *item;
  int ncase;
  double spacing[3]; /* mm between neighbours along each axis, 1 where unknown */
  void *impl;
} Dataset;

/* One item, or one file.
 *
 *   a picture       image (C,H,W) at the module's size
 *   a slice         the same; own: its plane at the volume's resolution
 *   a stack         every slice of a volume, for a 2-D module: image (slices,C,H,W)
 *   a volume        image (C,X,Y,Z) at its own size, prepared (docs/data.md); windows slide over it
 *
 * label: a byte per element, or NULL where there is no mask. */
typedef struct {
  float *image;
  uint8_t *label;
  int64_t dim[3]; /* (H,W,0), or (X,Y,Z) */
  int64_t slices; /* of a stack; else 0 */
  /* As the file has it: where predictions are written, and scored. */
  int own_spatial; /* 2: (H,W,1); 3: (X,Y,Z) */
  Grid own;
  uint8_t *own_label;
  Place place; /* volumes and stacks */
} Sample;

/* How a data set is divided into training, validation and test cases, beyond what its lists say
 * (docs/data.md, Cases and splits). All depends on the names of the cases only, never on a seed. */
typedef struct {
  const char *fold;    /* "2/5": of five parts of the training cases the second validates; NULL: no folds */
  const char *val;     /* "20%" or "12" of the training cases validate; "none", NULL: those of val.list */
  bool skip_missing;   /* names in lists that fit nothing are left out with a note; else an error */
  bool shared;         /* a case in two lists belongs to the later one, with a note; else it is an error */
  const char *case_by; /* which images are one case: FindOptions.case_by */
  bool any_class;      /* what partial.list calls classes need be none of the module's */
} SplitPlan;

/* spec: NAME:DIR, or NAME to look for $NETRUN_DATA/NAME; names lits, isic2018 (isic), la, folder, phantom (no
 * directory needed). plan may be NULL. */
Dataset *data_open_split(const char *spec, const DataShape *shape, const SplitPlan *plan, char err[ERR_MAX]);
Dataset *data_open(const char *spec, const DataShape *shape, char err[ERR_MAX]);
/* The layout, how many images and masks, sizes; then what is odd about the files. Nothing for the phantom. */
void data_print_summary(const Dataset *d, FILE *out);
void data_close(Dataset *d);
/* The name of a spec and its directory (NULL for the phantom), both to be freed, after a failure, too. */
bool data_locate(const char *spec, char **name, char **root, char err[ERR_MAX]);
/* Makes part of the training cases the validation split, which must be empty. how: as SplitPlan.val. */
bool data_split_val(Dataset *d, const char *how, char err[ERR_MAX]);
/* Says which items are in which split: the same number for the same division, whatever the order. */
uint64_t data_split_hash(const Dataset *d);
/* Which training cases are labelled, of those that have masks. how: "10%" of the training cases, "12" of
 * them, both drawn by (seed, name) so that the 10 % cases are among the 20 % cases; "first:8" of train.list;
 * or the path of a list (list.h). */
bool data_split_labeled(Dataset *d, const char *how, uint64_t seed, char err[ERR_MAX]);
int data_count(const Dataset *d, Split split, bool labeled_only);
/* How many cases are in partial.list: their masks tell some of the classes only. */
int data_partial(const Dataset *d);
/* Of an item of such a case: background of x->label, which may be a class that nobody drew, becomes
 * CLASS_IGNORE. For training; own_label stays. Checks first. */
bool data_hide_untold(const Dataset *d, int item, Sample *x, char err[ERR_MAX]);
/* An error: the item's mask has a class that the list does not name for it. label: n of its classes. */
bool data_check_told(const Dataset *d, int item, const uint8_t *label, int64_t n, char err[ERR_MAX]);
/* Does the mask of an item tell class c? */
static inline bool only_has(const uint8_t *only, int c) { return !only || only[c / 8] >> c % 8 & 1; }
bool data_load(const Dataset *d, int item, Sample *out, char err[ERR_MAX]);
/* The same; own_label only when asked for. */
bool data_load_part(const Dataset *d, int item, bool own, Sample *out, char err[ERR_MAX]);
void sample_free(Sample *s);
/* The whole volume that a slice belongs to, as a stack; other items as data_load has them. */
bool data_load_whole(const Dataset *d, int item, Sample *out, char err[ERR_MAX]);
/* The paths of an item; nimage is 0 for the phantom's. They are d's. */
Files data_files(const Dataset *d, int item);
/* own_label, own and own_spatial alone, of a slice those of its whole volume; needs no fingerprint. own_label
 * is NULL where there is no mask. */
bool data_load_truth(const Dataset *d, int item, Sample *out, char err[ERR_MAX]);
/* Classes (truth->own) of a mask file of that item that is not the data set's own: read by the same labels,
 * and brought to the same grid. *mask is to be freed. */
bool data_load_mask(const Dataset *d, int item, const char *path, const Sample *truth, uint8_t **mask,
                    char err[ERR_MAX]);
/* Files that belong to no data set, prepared as its items are: a picture, a volume, or for a 2-D module and a
 * volume a stack. */
bool data_load_files(const Files *files, const DataShape *shape, Sample *out, char err[ERR_MAX]);
#endif
