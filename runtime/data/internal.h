/* internal.h - what the files behind data.h share. */
#ifndef NETRUN_DATA_IMPL_H
#define NETRUN_DATA_IMPL_H
#include <pthread.h>
#include "runtime/data/data.h"
#include "runtime/find/find.h"
#include "runtime/image/edt.h"
#include "runtime/image/image.h"
#include "runtime/io/format.h"

/* Where an item's data lie. A picture, a volume, or one slice of a volume along z. */
typedef struct {
  int nfile;        /* of the phantom 0 */
  char **file;      /* paths, one per channel */
  char *mask;       /* path, NULL: none. The same HDF5 file holds both. */
  int slice;        /* -1: not a slice */
  int volume;       /* number of its volume among those taken slice-wise */
  FoundPart part;   /* what its folders say */
  const char *axes; /* Wish.axes, NULL: as the format says */
} Source;

/* Volumes taken slice-wise: every slice at the module's size, 16 bits for each channel of the image and 8 for
 * the label, in a temporary file that the system may page out. A volume's slices are made when the first is
 * asked for. */
typedef struct {
  uint8_t *map;
  int file;
  int64_t slices, plane; /* total number; elements of one plane */
  int64_t bytes;         /* of one slice with its label */
  int nvolume;
  int64_t *first; /* per volume: its first slice in the map */
  bool *ready;
  float *range; /* per volume and channel: what 0 and 65535 stand for */
} SliceStore;

typedef struct DataImpl {
  Source *source; /* per item */
  char **patient; /* per case: name */
  int room;
  Found found; /* empty for the phantom */
  int *order;  /* cases of train.list in its order; NULL: there is none */
  int norder;
  bool skip_missing, shared; /* of the SplitPlan */
  SliceStore store;
  pthread_mutex_t lock;
  int own_volume; /* volume whose masks are in `own`, -1 = none */
  Prepared own;
} DataImpl;

/* While scanning: append an item; false when memory is lacking. Strings are copied. */
bool data_add(Dataset *d, const char *patient, const char *name, const Source *from);
void source_free(Source *s);

/* scan.c: finds the items of a directory. */
bool scan_directory(Dataset *d, const char *case_by, char err[ERR_MAX]);
/* Number of slices a volume file has for a 2-D module, told by its header; -1 and a message on failure.
 * axes: Wish.axes. */
int64_t volume_slices(const char *path, const char *axes, const DataShape *shape, char err[ERR_MAX]);
/* store.c: room for the slices of all volumes; nothing where there are none. */
bool store_open(Dataset *d, char err[ERR_MAX]);
/* Takes the disk's blocks for a volume's slices, to be called before they are written. */
bool store_reserve(const Dataset *d, int volume, char err[ERR_MAX]);
void store_close(SliceStore *s);

/* partial.c */
enum { ONLY_BYTES = 256 / 8 };
/* Items' `only`, by DIR/partial.list where there is one. */
bool partial_read(Dataset *d, bool any_class, char err[ERR_MAX]);

/* split.c */
bool split_cases(Dataset *d, const char *kind, const SplitPlan *plan, char err[ERR_MAX]);
uint64_t name_hash(const char *s);
typedef struct {
  uint64_t key;
  int patient;
} Ranked;
/* Cases in an order that depends on their names and the seed only; where use is given, those with use[case]
 * == 0 left out. To be freed; NULL without memory. */
Ranked *rank_cases(const Dataset *d, const uint8_t *use, uint64_t seed, int *n);
/* "10%" or "12" of n: how many those are, a positive fraction at least 1. False where `how` is neither. */
bool split_amount(const char *how, int n, int *want);
/* Cases with a training item, one byte per case; *n: how many. To be freed; NULL without memory. */
uint8_t *training_cases(const Dataset *d, int *n);

/* The recipe, the module's channels and so on, as preparation takes them. */
Ask ask_of(const DataShape *shape, bool own_label);
Files files_of(const Source *s);

/* slices.c */
bool load_slice(const Dataset *d, const Source *s, bool own, Sample *out, char err[ERR_MAX]);
bool load_stack(const Files *files, const DataShape *shape, Sample *out, char err[ERR_MAX]);

/* phantom.c */
bool phantom_items(Dataset *d);
bool phantom_load(const Dataset *d, int item, Sample *out, char err[ERR_MAX]);
#endif
