/* prepare.c - what a module says of its images' preparation: checked and told. */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "runtime/session/prepare.h"

/* The enums' lengths come from the table that the compiler reads, too. */
#define SPACING(name, word) [NETC_SPACING_##name] = word,
static const char *const spacing_word[] = {
#include "ir/prepare.def"
};
#define ORDER(name, word) [NETC_ORDER_##name] = word,
static const char *const order_word[] = {
#include "ir/prepare.def"
};
#define PLANE(name, word) [NETC_PLANE_##name] = word,
static const char *const plane_word[] = {
#include "ir/prepare.def"
};
#define CROP(name, word) [NETC_CROP_##name] = word,
static const char *const crop_word[] = {
#include "ir/prepare.def"
};
#define INTENSITY(name, word) [NETC_INTENSITY_##name] = word,
static const char *const intensity_word[] = {
#include "ir/prepare.def"
};
#define WEIGHT(name, word) [NETC_WEIGHT_##name] = word,
static const char *const weight_word[] = {
#include "ir/prepare.def"
};
static const struct {
  uint32_t bit;
  const char *word;
} post_word[] = {
#define POST(name, word) {NETC_POST_##name, word},
#include "ir/prepare.def"
};

#define COUNT(list)   ((int)(sizeof(list) / sizeof *(list)))
#define WORD(list, i) ((i) >= 0 && (i) < COUNT(list) ? (list)[i] : "?")
const char *prepare_spacing_word(int32_t kind) { return WORD(spacing_word, kind); }
const char *prepare_order_word(int32_t kind) { return WORD(order_word, kind); }
const char *prepare_plane_word(int32_t kind) { return WORD(plane_word, kind); }
const char *prepare_crop_word(int32_t kind) { return WORD(crop_word, kind); }
const char *prepare_intensity_word(int32_t kind) { return WORD(intensity_word, kind); }
const char *prepare_weight_word(int32_t kind) { return WORD(weight_word, kind); }

const char *prepare_post_word(uint32_t bit) {
  for (int i = 0; i < COUNT(post_word); i++)
    if (post_word[i].bit == bit) return post_word[i].word;
  return "?";
}

/* ---- checks ---- */

static bool known(const NetcPrepare *p) {
  uint32_t post = 0;
  for (int i = 0; i < COUNT(post_word); i++) post |= post_word[i].bit;
  return *prepare_spacing_word(p->spacing) != '?' && *prepare_order_word(p->image_order) != '?' &&
         *prepare_order_word(p->mask_order) != '?' && p->mask_order != NETC_ORDER_CUBIC &&
         *prepare_plane_word(p->plane) != '?' && *prepare_crop_word(p->crop) != '?' &&
         *prepare_weight_word(p->weight) != '?' && !(p->post & ~post) && (p->ignore == 0 || p->ignore == 1);
}

/* "" or one letter each of L R, P A, I S. */
static bool orientation_ok(const char code[8]) {
  static const char letters[] = "LRPAIS";
  unsigned axes = 0;
  if (!code[0]) return true;
  for (int i = 0; i < 3; i++) {
    const char *at = code[i] ? strchr(letters, code[i]) : NULL;
    if (!at) return false;
    axes |= 1u << (at - letters) / 2;
  }
  return axes == 7 && !code[3];
}

static bool check_intensities(const NetcPrepare *p, char err[ERR_MAX]) {
  for (int i = 0; i < p->nintensities; i++) {
    const NetcIntensity *x = &p->intensities[i];
    bool finite = isfinite(x->lo) && isfinite(x->hi) && isfinite(x->mean) && isfinite(x->deviation) &&
                  isfinite(x->scale);
    if (*prepare_intensity_word(x->kind) == '?' || !finite || !(x->deviation > 0) || !(x->scale > 0) ||
        (x->clip && !(x->lo < x->hi)))
      return err_set(err, "intensity %d of prepare is broken", i);
  }
  return true;
}

static bool check_labels(const NetcPrepare *p, char err[ERR_MAX]) {
  if ((p->nlabels == 0) != (p->nclasses == 0) || p->nclasses > NETC_MAX_CLASSES)
    return err_set(err, "prepare has %d labels of %d classes", p->nlabels, p->nclasses);
  bool ignore = false;
  for (int i = 0; i < p->nlabels; i++) {
    const NetcLabelRule *r = &p->labels[i];
    if (r->cls < NETC_CLASS_IGNORED || r->cls >= p->nclasses || r->colour < NETC_NO_COLOUR ||
        r->colour > 0xFFFFFF)
      return err_set(err, "label %d of prepare is broken", i);
    ignore |= r->cls == NETC_CLASS_IGNORED;
  }
  return ignore == (p->ignore != 0) ||
         err_set(err, "prepare does not agree with its labels on those ignored");
}

static bool check_regions(const NetcPrepare *p, char err[ERR_MAX]) {
  for (int r = 0; r < p->nregions; r++)
    if (!p->regions[r].name || p->regions[r].cls < -1 || p->regions[r].cls >= p->nclasses)
      return err_set(err, "region %d of prepare is broken", r);
  for (int c = 0; p->nregions && c < p->nclasses; c++)
    if (p->members[c] >> p->nregions) return err_set(err, "class %d of prepare is in an unknown region", c);
  return true;
}

static bool check_names(const char *const *name, int n, const char *what, char err[ERR_MAX]) {
  for (int i = 0; i < n; i++)
    if (!name[i]) return err_set(err, "prepare has a %s without name", what);
  return true;
}

bool prepare_check(const NetcModule *d, char err[ERR_MAX]) {
  const NetcPrepare *p = d->prepare;
  if (!p) return true;
  if (p->nchannels < 0 || p->nintensities < 1 || p->nlabels < 0 || p->nclasses < 0 ||
      (p->nchannels && !p->channels) || !p->intensities || (p->nlabels && !p->labels) ||
      (p->nclasses && !p->classes) || p->nregions < 0 || p->nregions > NETC_MAX_REGIONS ||
      (p->nregions && (!p->regions || !p->members || !p->nclasses)))
    return err_set(err, "a table of prepare is missing");
  if (!known(p) || !orientation_ok(p->orientation))
    return err_set(err, "prepare has a setting that is unknown");
  if (!(p->overlap >= 0 && p->overlap < 1) || !(p->drop >= 0) || isinf(p->drop))
    return err_set(err, "prepare's overlap or drop makes no sense");
  for (int i = 0; i < 3; i++)
    if (!(p->mm[i] >= 0) || isinf(p->mm[i]) || p->stride[i] < 0)
      return err_set(err, "prepare's spacing or stride is below 0");
  return check_names(p->channels, p->nchannels, "channel", err) &&
         check_names(p->classes, p->nclasses, "class", err) && check_intensities(p, err) &&
         check_labels(p, err) && check_regions(p, err);
}

/* ---- in words ---- */

static void tell_spacing(const NetcPrepare *p, int spatial, FILE *out) {
  fprintf(out, "  spacing          ");
  if (p->spacing == NETC_SPACING_STORED) fprintf(out, "as stored");
  if (p->spacing == NETC_SPACING_MEDIAN) fprintf(out, "the median of the training set");
  for (int i = 0; p->spacing == NETC_SPACING_FIXED && i < spatial && i < 3; i++) {
    if (i) fprintf(out, " x ");
    if (p->mm[i] > 0) fprintf(out, "%g", p->mm[i]);
    else fprintf(out, "as stored");
  }
  fprintf(out, "%s, images %s, masks %s\n", p->spacing == NETC_SPACING_FIXED ? " mm" : "",
          prepare_order_word(p->image_order), prepare_order_word(p->mask_order));
  fprintf(out, "  orientation      %s\n", p->orientation[0] ? p->orientation : "as stored");
  if (spatial == 2) fprintf(out, "  plane            %s\n", prepare_plane_word(p->plane));
  fprintf(out, "  crop             %s\n", prepare_crop_word(p->crop));
}

static void tell_intensity(const NetcPrepare *p, int i, FILE *out) {
  const NetcIntensity *x = &p->intensities[i];
  fprintf(out, "%s%s", i ? ", " : "", prepare_intensity_word(x->kind));
  if (x->kind == NETC_INTENSITY_FIXED) fprintf(out, " mean %g deviation %g", x->mean, x->deviation);
  if (x->kind == NETC_INTENSITY_FIXED && x->scale != 1) fprintf(out, " of values / %g", x->scale);
  if (x->clip) fprintf(out, " clipped to [%g, %g]", x->lo, x->hi);
}

static void tell_labels(const NetcPrepare *p, FILE *out) {
  fprintf(out, "  labels          ");
  for (int i = 0; i < p->nlabels; i++) {
    const NetcLabelRule *r = &p->labels[i];
    if (r->colour == NETC_NO_COLOUR) fprintf(out, "%s %" PRId64, i ? "," : "", r->value);
    else fprintf(out, "%s #%06x", i ? "," : "", (unsigned)r->colour);
    if (r->cls == NETC_CLASS_IGNORED) fprintf(out, " ignored");
    else fprintf(out, " %s (%d)", p->classes[r->cls], r->cls);
  }
  fprintf(out, "%s\n", p->nlabels ? "" : " by the number of classes");
}

static void tell_regions(const NetcPrepare *p, FILE *out) {
  for (int r = 0; r < p->nregions; r++) {
    fprintf(out, "%s%s:", r ? ", " : "  regions          ", p->regions[r].name);
    for (int c = 0; c < p->nclasses; c++)
      if (p->members[c] >> r & 1) fprintf(out, " %s", p->classes[c]);
    if (p->regions[r].cls > 0) fprintf(out, " (written as %s)", p->classes[p->regions[r].cls]);
  }
  if (p->nregions) fprintf(out, "\n");
}

static void tell_prediction(const NetcPrepare *p, int spatial, FILE *out) {
  fprintf(out, "  patches          ");
  if (p->stride[0] == 0) fprintf(out, "overlap by %g", p->overlap);
  for (int i = 0; p->stride[0] && i < spatial && i < 3; i++)
    fprintf(out, "%s%" PRId64, i ? " x " : "every ", p->stride[i]);
  fprintf(out, ", %s\n", prepare_weight_word(p->weight));
  if (!p->post && p->drop == 0) return;
  fprintf(out, "  masks           ");
  for (int i = 0; i < COUNT(post_word); i++)
    if (p->post & post_word[i].bit) fprintf(out, " %s", post_word[i].word);
  if (p->drop > 0) fprintf(out, " without parts below %g mm3", p->drop);
  fprintf(out, "\n");
}

void prepare_tell(const NetcPrepare *p, int spatial, FILE *out) {
  if (!p) return;
  fprintf(out, "preparation\n");
  if (p->nchannels) fprintf(out, "  channels        ");
  for (int i = 0; i < p->nchannels; i++) fprintf(out, "%s %s", i ? "," : "", p->channels[i]);
  if (p->nchannels) fprintf(out, "\n");
  tell_spacing(p, spatial, out);
  fprintf(out, "  intensity        ");
  for (int i = 0; i < p->nintensities; i++) tell_intensity(p, i, out);
  fprintf(out, "\n");
  tell_labels(p, out);
  tell_regions(p, out);
  tell_prediction(p, spatial, out);
}
