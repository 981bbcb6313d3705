/* recipe.c - a module's statement as a recipe, and what the training set adds to it. */
#include "runtime/prepare/recipe.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const Recipe recipe_plain = {.orientation = "RAS",
                             .plane = NETC_PLANE_THICK,
                             .image_order = NETC_ORDER_CUBIC,
                             .mask_order = NETC_ORDER_NEAREST};

bool recipe_of(const NetcPrepare *p, int spatial, int channels, Recipe *out, char err[ERR_MAX]) {
  *out = recipe_plain;
  if (channels > RECIPE_CHANNELS)
    return err_set(err, "the module wants images of %d channels; at most %d are prepared", channels,
                   RECIPE_CHANNELS);
  if (!p) return true;
  if (p->spacing != NETC_SPACING_STORED && spatial == 2)
    return err_set(err, "prepare: a 2-D module's images are resized to its size; `spacing` is for 3-D ones");
  snprintf(out->orientation, sizeof out->orientation, "%.3s", p->orientation);
  out->plane = p->plane, out->crop = p->crop == NETC_CROP_NONZERO;
  out->resample = p->spacing != NETC_SPACING_STORED, out->median = p->spacing == NETC_SPACING_MEDIAN;
  memcpy(out->spacing, p->mm, sizeof out->spacing);
  out->image_order = (NetcOrder)p->image_order, out->mask_order = (NetcOrder)p->mask_order;
  for (int c = 0; c < channels && p->nintensities; c++)
    out->intensity[c] = p->intensities[p->nintensities == 1 ? 0 : c];
  out->nlabel = p->nlabels, out->label = p->labels;
  out->nclass = p->nclasses, out->class_name = p->classes;
  out->nregion = p->nregions, out->member = p->members;
  out->channel = p->nchannels == channels ? p->channels : NULL;
  return true;
}

const NetcPrepare *regions_of(const NetcPrepare *p) { return p && p->nregions ? p : NULL; }

bool recipe_unresolved(const Recipe *r, int channels) {
  for (int c = 0; c < channels; c++)
    if (r->intensity[c].kind == NETC_INTENSITY_FOREGROUND) return true;
  return r->median;
}

bool recipe_resolve(Recipe *r, int channels, const Fingerprint *f, char err[ERR_MAX]) {
  if (f->channels != channels)
    return err_set(err, "the fingerprint is of images of %d channels; the module takes %d", f->channels,
                   channels);
  if (r->plane == NETC_PLANE_THICK) r->plane = f->plane;
  if (r->median) memcpy(r->spacing, f->spacing, sizeof r->spacing);
  for (int c = 0; c < channels; c++) {
    NetcIntensity *i = &r->intensity[c];
    if (i->kind != NETC_INTENSITY_FOREGROUND) continue;
    if (!i->clip) i->lo = f->foreground[c].lo, i->hi = f->foreground[c].hi;
    i->clip = 1, i->mean = f->foreground[c].mean, i->deviation = f->foreground[c].deviation, i->scale = 1;
  }
  return true;
}

static const char *const plane_word[] = {
#define PLANE(name, word) [NETC_PLANE_##name] = word,
#include "ir/prepare.def"
};
enum { PLANES = sizeof plane_word / sizeof *plane_word };

void fingerprint_text(const Fingerprint *f, char out[FINGERPRINT_TEXT]) {
  int at = snprintf(out, FINGERPRINT_TEXT, "spacing %.9g %.9g %.9g plane %s", f->spacing[0], f->spacing[1],
                    f->spacing[2], plane_word[f->plane]);
  for (int c = 0; c < f->channels; c++)
    at +=
        snprintf(out + at, (size_t)(FINGERPRINT_TEXT - at), " foreground %.9g %.9g %.9g %.9g",
                 f->foreground[c].lo, f->foreground[c].hi, f->foreground[c].mean, f->foreground[c].deviation);
}

/* `word` and n numbers from *at on. */
static bool numbers(const char **at, const char *word, int n, double *out) {
  const char *p = *at + strspn(*at, " \n");
  if (strncmp(p, word, strlen(word)) != 0) return false;
  p += strlen(word);
  for (int i = 0; i < n; i++) {
    char *end;
    out[i] = strtod(p, &end);
    if (end == p || !isfinite(out[i])) return false;
    p = end;
  }
  return *at = p, true;
}

bool fingerprint_parse(const char *text, Fingerprint *out) {
  double v[4];
  *out = (Fingerprint){.channels = 0};
  if (!numbers(&text, "spacing", 3, out->spacing) || !numbers(&text, "plane", 0, NULL)) return false;
  size_t n = strcspn(text += strspn(text, " "), " \n");
  for (out->plane = 0; out->plane < PLANES; out->plane++)
    if (strlen(plane_word[out->plane]) == n && !strncmp(text, plane_word[out->plane], n)) break;
  if (out->plane == PLANES) return false;
  text += n;
  while (out->channels < RECIPE_CHANNELS && numbers(&text, "foreground", 4, v)) {
    int c = out->channels++;
    out->foreground[c].lo = v[0], out->foreground[c].hi = v[1];
    out->foreground[c].mean = v[2], out->foreground[c].deviation = v[3];
  }
  return out->channels > 0 && !text[strspn(text, " \n")];
}
