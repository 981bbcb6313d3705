/* find.h - which files of a folder are images, which are their masks: the layouts in which data sets come
 * from the clinic, a challenge or another tool.
 *
 *   Found found;
 *   if (!find_images("/data/liver", &(FindOptions){.spatial = 3}, &found, err)) ..
 *   for (int i = 0; i < found.n; i++) use(found.item[i].file[0], found.item[i].mask);
 *   found_free(&found);
 *
 * The tree is listed once, sub-folders and symbolic links included; what operating systems leave in folders
 * is passed over. Then the rows of the table in runtime/find/layouts.c are tried in their order, and the
 * first whose images have masks is taken. Nothing is read but names, dataset.json, and headers of formats
 * that hold both pictures and volumes. */
#ifndef NETRUN_FIND_H
#define NETRUN_FIND_H
#include "runtime/base/err.h"
#include "runtime/find/keep.h"

/* Which part of the data set an image belongs to, where folders say so. */
typedef enum { PART_NONE, PART_TRAIN, PART_VAL, PART_TEST, PART_COUNT } FoundPart;

typedef struct {
  const char *name;    /* unique: the file's name without ending, with sub-folders where those are equal */
  const char *patient; /* its case */
  const char **file;   /* paths, one per channel */
  int nfile;
  const char *mask;    /* path, NULL: none. May be file[0]: a format whose files hold both */
  const char *missing; /* find_inputs: names of the channels that have no file; NULL: all are there */
  FoundPart part;      /* PART_NONE where the layout does not say */
  bool picture;        /* 2-D; else a volume */
  const char *axes;    /* as the layout stores them (Wish.axes): "zyx", "yx"; NULL: as the format says */
  bool held_out;       /* of a part that is published without masks: no item of the data set */
} FoundItem;

/* Something to tell of a file. `fatal` ones stop training: which file is meant is not clear. */
typedef enum {
#define ODDITY(name, text) ODD_##name,
#include "runtime/find/oddities.def"
#undef ODDITY
  ODDITIES
} OddityKind;
typedef struct {
  OddityKind kind;
  bool fatal;
  const char *text; /* a sentence that begins with the file, as a path below the root */
} Oddity;
extern const char *const oddity_name[ODDITIES];

enum { FOUND_LABELS = 256 };

typedef struct {
  const char *root;
  const char *layout; /* name of its row */
  const char *there;  /* what files there are: "12 .png, 3 .txt" */
  FoundItem *item;
  int n;
  int labeled, held_out; /* how many items have a mask; how many are held out (not among n) */
  bool parts;            /* the layout says which items train and which test */
  Oddity *oddity;
  int noddity;
  const char **channel; /* names of channels, as the files or dataset.json say; NULL: not said */
  int nchannel;
  const char *label[FOUND_LABELS]; /* names of classes, as dataset.json says; NULL: not said */
  int nlabel;                      /* one more than the largest value that has a name */
  Keep keep;
  int item_room, oddity_room;
} Found;

typedef struct {
  int spatial;         /* 2: pictures before volumes; 3: volumes alone; 0: volumes before pictures */
  const char *case_by; /* NULL, or a POSIX extended regular expression over the path below the root without
                        * its ending, whose first group is the case */
  const char *const *channel; /* the order that the module wants; NULL: as files say */
  int nchannel;
} FindOptions;

typedef struct {
  FindOptions find;
  int channels;        /* of the module */
  const char *beside;  /* NULL, or a file of the folder: nothing but it and the files beside it whose names
                        * differ from its own behind the last _ or - */
  const char *skip[2]; /* folders that do not belong to it, as results of an earlier run; NULL: none */
} InputOptions;

/* False and a message when the folder cannot be read, case_by is wrong, or no layout has an image there: what
 * was found instead, and what would have been. Ambiguities are no failure here: they are oddities. */
bool find_images(const char *root, const FindOptions *o, Found *out, char err[ERR_MAX]);
/* The images alone, to be predicted, as files of one channel each or of all: masks beside them are passed
 * over, and nothing is held out. Files X_0000, X_0001 .. are the channels of X wherever a file has not all
 * channels of the module itself; the names of channels are those of dataset.json in the folder or the one
 * above. Item names need not be unique: sub-folders are those of the files. An image whose channels are
 * incomplete says so itself (missing). A data set of several parts (imagesTr and imagesTs) is an error that
 * names the folders: which one is meant is not guessed. */
bool find_inputs(const char *root, const InputOptions *o, Found *out, char err[ERR_MAX]);
/* Every picture and volume as an item of its own, whatever its name says. */
bool find_files(const char *root, const InputOptions *o, Found *out, char err[ERR_MAX]);
void found_free(Found *f);
/* The first fatal oddity; NULL: none. */
const Oddity *found_fatal(const Found *f);
/* Every layout's name, one per line with what it looks like; for messages and help. */
const char *find_layout(int i, const char **looks); /* NULL after the last */
/* Length of the stem without a suffix that marks masks (_mask, -seg, _label_2 ...); 0: it has none. */
size_t mask_stem(const char *stem);
/* A picture's case from its name: what precedes _z031, _slice_3 or _s031. Returns out. */
char *case_in_name(const char *name, char *out, size_t room);
#endif
