/* layouts.c - the table of layouts, and the search that tries them. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/find/search.h"

/* In the order in which they are tried: the more a layout asks of names, the earlier it comes. */
static const Layout layouts[] = {
    {"nnU-Net", "imagesTr/X_0000.nii.gz, X_0001.. + labelsTr/X.nii.gz + dataset.json", match_nnunet},
    {"Medical Segmentation Decathlon", "imagesTr/X.nii.gz + labelsTr/X.nii.gz + dataset.json",
     match_decathlon},
    {"ISIC", "ISIC2018_Task1-2_Training_Input/ + ISIC2018_Task1_Training_GroundTruth/; 2016, 2017",
     match_isic},
    {"BraTS", "CASE/CASE_flair.nii.gz, _t1, _t1ce, _t2 + CASE_seg.nii.gz", match_brats},
    {"ACDC", "patient001/patient001_frame01.nii.gz + patient001_frame01_gt.nii.gz", match_acdc},
    {"ACDC of SSL4MIS", "slices/patient001_frame01_slice_1.h5; patient001_frame01.h5", match_acdc_slices},
    {"LiTS", "volume-N.nii + segmentation-N.nii, in any sub-folders", match_lits},
    {"LA challenge", "CASE/lgemri.nrrd + CASE/laendo.nrrd", match_la_raw},
    {"folders of images and masks", "images/ + masks/ (labels/, gt/ ..); with train/, val/, test/",
     match_folders},
    {"image and label in one file", "CASE/mri_norm2.h5, or CASE.h5", match_sets},
    {"masks beside images", "X.png + X_mask.png in one folder", match_beside},
    {"case folders", "CASE/image.nii.gz + CASE/label.nii.gz", match_case_folders},
    {"numbered channels", "X_0000.nii.gz, X_0001.. without masks, to be predicted", match_numbered},
    {"images without masks", "images in any folders", match_images_alone}};
enum { LAYOUTS = sizeof layouts / sizeof *layouts };

const char *const oddity_name[ODDITIES] = {
#define ODDITY(name, text) text,
#include "runtime/find/oddities.def"
#undef ODDITY
};

const char *find_layout(int i, const char **looks) {
  if (i < 0 || i >= LAYOUTS) return NULL;
  if (looks) *looks = layouts[i].looks;
  return layouts[i].name;
}

bool counts(const Search *s, const TreeFile *f) {
  return (f->series || f->format) && (f->volume ? s->volumes : s->pictures);
}

Part *part_add(Search *s, int file, Role role, const char *key, const char *base) {
  if (!keep_grow(s->keep, &s->part, s->npart, &s->part_room, sizeof *s->part)) return NULL;
  s->part[s->npart] = (Part){.file = file, .role = role, .key = key, .base = base};
  return &s->part[s->npart++];
}

void oddity_add(Found *f, OddityKind kind, bool fatal, const char *fmt, ...) {
  char text[2 * ERR_MAX];
  va_list ap;
  if (!keep_grow(&f->keep, &f->oddity, f->noddity, &f->oddity_room, sizeof *f->oddity)) return;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  f->oddity[f->noddity++] = (Oddity){kind, fatal, keep_text(&f->keep, "%s", text)};
}

/* ---- one layout ---- */

static void forget(Search *s, int oddities) {
  Found *f = s->found;
  s->npart = 0, f->n = f->labeled = f->held_out = 0, f->noddity = oddities, f->parts = false;
  f->channel = NULL, f->nchannel = f->nlabel = 0;
  s->promised_in = NULL, s->channels = 0;
  memset(f->label, 0, sizeof f->label);
}

/* Image files that the layout does not know are told, a few by name. */
static void tell_passed_over(Search *s) {
  bool *known = keep_bytes(s->keep, (size_t)s->tree.n + 1);
  if (!known) return;
  for (int i = 0; i < s->npart; i++) known[s->part[i].file] = true;
  int n = 0;
  const TreeFile *first = NULL, *last = NULL;
  for (int i = 0; i < s->tree.n; i++) {
    const TreeFile *f = &s->tree.file[i];
    if (known[i] || !(f->series || f->format)) continue;
    if (!n++) first = f;
    last = f;
  }
  if (n == 1)
    oddity_add(s->found, ODD_passed_over, false, "%s: passed over, it fits no part of the layout",
               first->path);
  else if (n)
    oddity_add(s->found, ODD_passed_over, false,
               "%s .. %s: %d files are passed over, they fit no part of the layout", first->path, last->path,
               n);
}

static bool try_layout(Search *s, const Layout *l, int oddities, char err[ERR_MAX]) {
  forget(s, oddities);
  if (!l->match(s)) return s->npart = 0, true;
  s->found->layout = l->name;
  if (!pair_parts(s, err)) return false;
  dataset_json_check(s);
  tell_passed_over(s);
  return true;
}

/* ---- all layouts ---- */

typedef struct {
  bool pictures, volumes;
} Kind;

/* The first layout whose images have masks; else the first with images, which is tried again to be told. */
static bool try_all(Search *s, char err[ERR_MAX]) {
  const Kind kinds[4][3] = {
      {{false, true}, {true, false}}, {{true, false}, {false, true}}, {{false, true}}, {{true, true}}};
  int which = s->options->spatial == 3   ? 2
              : s->look != LOOK_DATA     ? 3 /* a 2-D module predicts pictures and slices of volumes */
              : s->options->spatial == 2 ? 1
                                         : 0;
  const Layout *without = NULL;
  Kind kind = {false, false};
  int oddities = s->found->noddity;
  for (int k = 0; k < 3 && (kinds[which][k].pictures || kinds[which][k].volumes); k++)
    for (int i = 0; i < LAYOUTS; i++) {
      s->pictures = kinds[which][k].pictures, s->volumes = kinds[which][k].volumes;
      if (!try_layout(s, &layouts[i], oddities, err)) return false;
      if (s->found->labeled) return true;
      bool good = s->look == LOOK_DATA || s->channels > 1 || all_are_parts(s);
      if (s->found->n && !without && good) without = &layouts[i], kind = kinds[which][k];
    }
  s->pictures = kind.pictures, s->volumes = kind.volumes;
  if (!without) return forget(s, oddities), true;
  return try_layout(s, without, oddities, err);
}

/* "nnU-Net, BraTS, ..". Returns out. */
static char *layout_names(char *out, size_t room) {
  *out = 0;
  for (int i = 0; i < LAYOUTS; i++) {
    size_t n = strlen(out);
    snprintf(out + n, room - n, "%s%s", i ? ", " : "", layouts[i].name);
  }
  return out;
}

static bool nothing_found(const Search *s, char err[ERR_MAX]) {
  char endings[ALL_ENDINGS], names[256];
  const Tree *t = &s->tree;
  bool pictures = false;
  for (int i = 0; i < t->n; i++) pictures = pictures || (t->file[i].format && !t->file[i].volume);
  if (s->options->spatial == 3 && pictures)
    return err_set(err, "%s: the module wants volumes (3-D), these are pictures (%s); use a 2-D module",
                   s->found->root, s->found->there);
  return err_set(err,
                 "%s: no images found; there are %s. Formats: %s, DICOM folders; layouts (docs/data.md): %s",
                 s->found->root, s->found->there, format_endings(endings), layout_names(names, sizeof names));
}

/* The layouts of what is looked for: files are taken as they are. */
static bool try_what(Search *s, char err[ERR_MAX]) {
  if (s->look != LOOK_FILES) return try_all(s, err);
  s->volumes = true, s->pictures = s->options->spatial != 3;
  return try_layout(s, &layouts[LAYOUTS - 1], s->found->noddity, err);
}

static bool find(Look look, const char *root, const InputOptions *inputs, Found *out, char err[ERR_MAX]) {
  const FindOptions *o = &inputs->find;
  Search s = {.options = o, .inputs = inputs, .look = look, .found = out, .keep = &out->keep};
  *out = (Found){.layout = ""};
  out->root = keep_text(&out->keep, "%s", root);
  char *end = out->keep.failed ? NULL : (char *)out->root + strlen(root);
  while (end && end > out->root + 1 && end[-1] == '/') *--end = 0;
  char there[160];
  bool ok = tree_list(&s, err);
  out->there = ok ? keep_text(&out->keep, "%s", tree_endings(&s.tree, there, sizeof there)) : "";
  ok = ok && try_what(&s, err) && (!o->case_by || cases_by(out, o->case_by, err));
  if (ok && out->keep.failed) ok = err_set(err, "%s: not enough memory for the list of its files", root);
  if (ok && !out->n && !found_fatal(out)) ok = nothing_found(&s, err);
  ok = ok && (look != LOOK_INPUTS || inputs_are_one_part(out, err));
  free(s.tree.file), free(s.part);
  if (!ok) found_free(out);
  return ok;
}

bool find_images(const char *root, const FindOptions *o, Found *out, char err[ERR_MAX]) {
  return find(LOOK_DATA, root, &(InputOptions){.find = *o}, out, err);
}

bool find_inputs(const char *root, const InputOptions *o, Found *out, char err[ERR_MAX]) {
  return find(LOOK_INPUTS, root, o, out, err);
}

bool find_files(const char *root, const InputOptions *o, Found *out, char err[ERR_MAX]) {
  return find(LOOK_FILES, root, o, out, err);
}

const Oddity *found_fatal(const Found *f) {
  for (int i = 0; i < f->noddity; i++)
    if (f->oddity[i].fatal) return &f->oddity[i];
  return NULL;
}

void found_free(Found *f) {
  free(f->item), free(f->oddity);
  keep_free(&f->keep);
  *f = (Found){.layout = ""};
}
