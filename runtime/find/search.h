/* search.h - what the files behind find.h share: the listing of a tree, and the parts that a layout makes of
 * it. */
#ifndef NETRUN_FIND_SEARCH_H
#define NETRUN_FIND_SEARCH_H
#include "runtime/find/find.h"
#include "runtime/io/format.h"

/* A file, or a folder that is one volume (DICOM). */
typedef struct {
  const char *path;     /* below the root */
  const char *dir;      /* its folder below the root, "" for the root itself */
  const char *name;     /* within its folder */
  const char *stem;     /* without its format's ending */
  const Format *format; /* NULL: none of ours */
  bool volume;          /* 3-D; where the format does not tell, by the first such file of its folder */
  bool series;
  bool labelled; /* its label is a data set of the file itself */
} TreeFile;

typedef struct {
  TreeFile *file; /* sorted by path, folder by folder */
  int n, room;
} Tree;

typedef enum { ROLE_NONE, ROLE_IMAGE, ROLE_MASK, ROLE_BOTH, ROLE_IGNORED } Role;

/* What a layout says of a file. Images and masks of one key belong together. */
typedef struct {
  int file;
  Role role;
  FoundPart part;
  const char *key;     /* compared without regard to case where nothing fits exactly */
  const char *other;   /* masks: the key without suffixes such as _mask, tried last; NULL: none */
  const char *base;    /* the item's name where no other has it */
  const char *patient; /* NULL: by the rules for names */
  const char *group;   /* sub-folders that may stand for a case; "" or NULL: none */
  const char *channel; /* name of the channel; NULL: the image is one file */
  int order;           /* place of the channel */
  bool slice;          /* a picture in a format of volumes */
  const char *axes;
} Part;

/* What is looked for: a data set, images to predict, or files whatever they are. */
typedef enum { LOOK_DATA, LOOK_INPUTS, LOOK_FILES } Look;

typedef struct {
  const FindOptions *options;
  Look look;
  const InputOptions *inputs; /* where inputs or files are looked for; else of nothing but options */
  Tree tree;
  bool pictures, volumes; /* which files count */
  Part *part;
  int npart, part_room;
  int channels;            /* files that every image has, where they are channels */
  int promised;            /* training cases that dataset.json promises, -1: it does not */
  const char *promised_in; /* its path; NULL: there is none */
  Found *found;
  Keep *keep; /* found's */
} Search;

/* ---- tree.c ---- */
bool tree_list(Search *s, char err[ERR_MAX]);
/* "12 .dcm, 3 .txt": endings of the files that are there, the most frequent first. Returns out. */
char *tree_endings(const Tree *t, char *out, size_t room);
const TreeFile *tree_at(const Tree *t, const char *path); /* NULL: no such file */

/* ---- names.c ---- */
typedef struct {
  Role role;
  FoundPart part;
} Word;
/* What a folder of this name holds: images/, GroundTruth, train, train_images, imagesTr ... */
Word folder_word(const char *name);
bool is_mask_word(const char *stem); /* the stem is nothing but such a word: label, seg ... */
/* Length of the stem without _image or _img; all of it where there is none. */
size_t image_stem(const char *stem);
/* Whether the folders above a file say that it is for training, validation or testing. */
FoundPart part_of(const char *dir);
const char *last_folder(const char *dir);
/* "DIR/STEM", of the stem n characters; the folder alone where n is 0. */
const char *below(Search *s, const char *dir, const char *stem, size_t n);
/* Length of what precedes "_WORD" or "-WORD"; 0 where the stem is the word alone; -1: it does not end so. */
int before_suffix(const char *stem, const char *word);
extern const char *const part_name[PART_COUNT]; /* "", "train", "val", "test" */

/* ---- parts, by the layouts ---- */
bool counts(const Search *s, const TreeFile *f); /* is the file of the kind that is looked for? */
/* Appends a part; what is not set is 0. NULL without memory. */
Part *part_add(Search *s, int file, Role role, const char *key, const char *base);
void oddity_add(Found *f, OddityKind kind, bool fatal, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Length of a stem before _0000; 0: it does not end in a channel's number. */
size_t before_channel(const char *stem);

/* ---- inputs.c ---- */
/* Are images of more than one part of a data set among the inputs? An error that names their folders. */
bool inputs_are_one_part(const Found *f, char err[ERR_MAX]);
bool in_mask_folder(const char *dir); /* by the name of a folder: masks/, labelsTr/ .. */
/* Does the layout that was tried last make a part of every image file that counts? */
bool all_are_parts(Search *s);

/* ---- pair.c ---- */
/* The parts to items, with names and cases. */
bool pair_parts(Search *s, char err[ERR_MAX]);
/* Cases by FindOptions.case_by. */
bool cases_by(Found *f, const char *pattern, char err[ERR_MAX]);

/* ---- the layouts ---- */
typedef struct Layout {
  const char *name, *looks;
  /* Makes parts of the files that it knows; false: the folder does not look like this. */
  bool (*match)(Search *s);
} Layout;
bool match_nnunet(Search *s);
bool match_decathlon(Search *s);
bool match_brats(Search *s);
bool match_acdc(Search *s);
bool match_acdc_slices(Search *s);
bool match_lits(Search *s);
bool match_isic(Search *s);
bool match_folders(Search *s);
bool match_la_raw(Search *s);
bool match_sets(Search *s);
bool match_beside(Search *s);
bool match_case_folders(Search *s);
bool match_numbered(Search *s);
bool match_images_alone(Search *s);

/* Where the module and the data set name their channels: of every image the module's files in its order,
 * others ignored. Part.order is an index into Found.channel before. */
void channels_by_name(Search *s);

/* dataset.json of nnU-Net and of the Decathlon, beside the folder of images: names of channels and classes,
 * numbers. `dir`: the folder that holds imagesTr. False: it is not there. dataset_json_check follows
 * pairing. */
bool dataset_json_read(Search *s, const char *dir);
void dataset_json_check(Search *s);
/* The names of channels alone, of a file that need not be in the tree. False: it is not there, or silent. */
bool dataset_json_channels(Search *s, const char *path);
#endif
