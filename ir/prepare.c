/* prepare.c - the statement `prepare`: its words, its defaults, what must hold of it. */
#include <math.h>
#include <string.h>
#include "ir/prepare.h"

const char *const word_spacing[] = {
#define SPACING(name, word) word,
#include "ir/prepare.def"
    NULL};
const char *const word_order[] = {
#define ORDER(name, word) word,
#include "ir/prepare.def"
    NULL};
const char *const word_plane[] = {
#define PLANE(name, word) word,
#include "ir/prepare.def"
    NULL};
const char *const word_crop[] = {
#define CROP(name, word) word,
#include "ir/prepare.def"
    NULL};
const char *const word_intensity[] = {
#define INTENSITY(name, word) word,
#include "ir/prepare.def"
    NULL};
const char *const word_weight[] = {
#define WEIGHT(name, word) word,
#include "ir/prepare.def"
    NULL};
const char *const word_post[] = {
#define POST(name, word) word,
#include "ir/prepare.def"
    NULL};

Intensity intensity_of(IntensityKind kind) { return (Intensity){.kind = kind, .deviation = 1, .scale = 1}; }

Prepare prepare_default(Arena *a) {
  Intensity *automatic = arena_alloc(a, sizeof *automatic);
  *automatic = intensity_of(INTENSITY_AUTO);
  return (Prepare){.image_order = ORDER_CUBIC,
                   .mask_order = ORDER_NEAREST,
                   .orientation = "RAS",
                   .intensity = automatic,
                   .nintensity = 1,
                   .overlap = 0.5};
}

bool prepare_ignores(const Prepare *p) {
  for (int i = 0; p && i < p->nlabel; i++)
    if (p->label[i].cls == CLASS_IGNORED) return true;
  return false;
}

int region_class(const Prepare *p, int r) {
  for (int c = 1; c < p->nclass; c++)
    if (p->member[c] >> r == 1) return c;
  return -1;
}

int class_of_regions(const Prepare *p, uint8_t bits) {
  for (int r = p->nregion - 1; r >= 0; r--)
    if (bits >> r & 1 && region_class(p, r) > 0) return region_class(p, r);
  return 0;
}

int class_lost(const Prepare *p) {
  for (int c = 1; c < p->nclass; c++)
    if (p->member[class_of_regions(p, p->member[c])] != p->member[c]) return c;
  return 0;
}

bool orientation_ok(const char *code) {
  static const char letters[] = "LRPAIS"; /* letters 2 i and 2 i + 1 are the ends of one axis of the body */
  unsigned axes = 0;
  if (strlen(code) != 3) return false;
  for (int i = 0; i < 3; i++) {
    const char *at = strchr(letters, code[i]);
    if (!at) return false;
    axes |= 1u << (at - letters) / 2;
  }
  return axes == 7;
}

const Type *program_image(const Program *p) {
  for (int s = 0; s < p->nstream; s++)
    for (int i = 0; i < p->stream[s].nfield; i++)
      if (!field_info[p->stream[s].field[i].kind].mask) return &p->stream[s].field[i].type;
  for (int i = 0; i < p->nfn; i++)
    for (int k = 0; p->fn[i]->kind == FN_PREDICT && k < p->fn[i]->n; k++)
      if (p->fn[i]->node[k].op == OP_input) return &p->fn[i]->node[k].type;
  return NULL;
}

/* ---- verifier ---- */

static bool words_ok(const Prepare *p) {
  return (unsigned)p->spacing < SPACING_KINDS && (unsigned)p->image_order < ORDER_KINDS &&
         (unsigned)p->mask_order < ORDER_CUBIC && (unsigned)p->plane < PLANE_KINDS &&
         (unsigned)p->crop < CROP_KINDS && (unsigned)p->weight < WEIGHT_KINDS && p->post >> POST_KINDS == 0;
}

static bool intensity_ok(const Intensity *i) {
  return (unsigned)i->kind < INTENSITY_KINDS && isfinite(i->lo) && isfinite(i->hi) && isfinite(i->mean) &&
         isfinite(i->deviation) && isfinite(i->scale) && i->deviation > 0 && i->scale > 0 &&
         (!i->clip || i->lo < i->hi);
}

static bool labels_ok(const Prepare *p, char *err) {
  if (p->nlabel == 0) return p->nclass == 0 || ir_error(err, "prepare: classes without labels");
  if (p->nclass < 2 || p->nclass > MAX_CLASSES) return ir_error(err, "prepare: %d classes", p->nclass);
  for (int i = 0; i < p->nlabel; i++) {
    const LabelRule *r = &p->label[i];
    if (r->cls < CLASS_IGNORED || r->cls >= p->nclass)
      return ir_error(err, "prepare: label %d is of class %d, there are %d", i, r->cls, p->nclass);
    if (r->colour < NO_COLOUR || r->colour > 0xFFFFFF)
      return ir_error(err, "prepare: label %d has the colour %d", i, r->colour);
    for (int k = 0; k < i; k++)
      if (p->label[k].colour == r->colour && p->label[k].value == r->value)
        return ir_error(err, "prepare: labels %d and %d are of one value", k, i);
  }
  return true;
}

static bool regions_ok(const Program *prog, const Prepare *p, char *err) {
  if (p->nregion < 0 || p->nregion > MAX_REGIONS || (p->nregion && !p->nclass))
    return ir_error(err, "prepare: %d regions of %d classes", p->nregion, p->nclass);
  for (int s = 0; s < prog->nstream; s++)
    for (int i = 0; i < prog->stream[s].nfield; i++) {
      const Field *f = &prog->stream[s].field[i];
      if (field_info[f->kind].regions && f->type.dim[1] != p->nregion)
        return ir_error(err, "prepare: %d regions, %.80s.%.80s has %lld", p->nregion, prog->stream[s].name,
                        f->name, (long long)f->type.dim[1]);
    }
  if (!p->nregion) return true;
  for (int c = 0; c < p->nclass; c++)
    if (p->member[c] >> p->nregion || (c == 0 && p->member[c]))
      return ir_error(err, "prepare: class %d belongs to a region that it cannot belong to", c);
  return !class_lost(p) || ir_error(err, "prepare: regions do not give class %d back", class_lost(p));
}

/* What the images' shape asks for. */
static bool shape_ok(const Prepare *p, const Type *image, char *err) {
  int spatial = image ? image->rank - 2 : MAX_SPATIAL;
  int64_t channels = image ? image->dim[1] : 0;
  if (channels && p->nchannel && p->nchannel != channels)
    return ir_error(err, "prepare: %d channels are named, images have %lld", p->nchannel,
                    (long long)channels);
  if (p->nintensity < 1 || (channels && p->nintensity > 1 && p->nintensity != channels))
    return ir_error(err, "prepare: %d intensities for %lld channels", p->nintensity, (long long)channels);
  for (int i = 0; i < MAX_SPATIAL; i++) {
    if (!(p->mm[i] >= 0) || isinf(p->mm[i]) || p->stride[i] < 0)
      return ir_error(err, "prepare: a spacing or stride along axis %d below 0", i);
    if (i >= spatial && (p->mm[i] != 0 || p->stride[i] != 0))
      return ir_error(err, "prepare: a spacing or stride along axis %d, images have %d", i, spatial);
  }
  return true;
}

bool prepare_verify(const Program *prog, const Prepare *p, char err[IR_ERR]) {
  if (!words_ok(p)) return ir_error(err, "prepare: a choice that is none of ir/prepare.def's");
  if (*p->orientation && !orientation_ok(p->orientation))
    return ir_error(err, "prepare: the orientation %.20s is none", p->orientation);
  if (!(p->overlap >= 0 && p->overlap < 1)) return ir_error(err, "prepare: an overlap of %g", p->overlap);
  if (!(p->drop >= 0) || isinf(p->drop)) return ir_error(err, "prepare: parts below %g mm3", p->drop);
  for (int i = 0; i < p->nintensity; i++)
    if (!intensity_ok(&p->intensity[i])) return ir_error(err, "prepare: intensity %d is broken", i);
  int64_t classes = prog->classes == 1 ? 2 : prog->classes; /* one probability tells two classes */
  if (classes && p->nclass && p->nclass != classes)
    return ir_error(err, "prepare: %d classes of labels, the program has %lld", p->nclass,
                    (long long)classes);
  return labels_ok(p, err) && regions_ok(prog, p, err) && shape_ok(p, program_image(prog), err);
}
