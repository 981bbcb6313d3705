/* prepare.c - the statement prepare: how images become the module's arrays. It is checked here and handed on
 * (ir/prepare.h); nothing is computed by it but what an ignored label changes in losses. */
#include <math.h>
#include <string.h>
#include "frontend/eval/eval.h"

typedef bool SetFn(Eval *c, const Ast *at, Value v, Prepare *p);

/* "a", "b" or "c" */
static const char *quoted(Eval *c, const char *const *words, int n) {
  const char *s = "";
  for (int i = 0; i < n; i++)
    s = arena_printf(c->arena, "%s%s\"%s\"", s, i == 0 ? "" : i + 1 < n ? ", " : " or ", words[i]);
  return s;
}

/* The number of the word that v is, of n. */
static bool one_of(Eval *c, const Ast *at, const char *what, Value v, const char *const *words, int n,
                   int *out) {
  for (int i = 0; i < n && v.kind == V_STR; i++)
    if (!strcmp(v.u.str, words[i])) return *out = i, true;
  return eval_error(c, at, "%s is %s, not %s", what, quoted(c, words, n), value_str(c, v));
}

/* ---- space ---- */

static bool set_channels(Eval *c, const Ast *at, Value v, Prepare *p) {
  if (v.kind == V_NONE) return true;
  if (v.kind != V_LIST || v.u.list->n == 0)
    return eval_error(c, at, "channels is a list of names, one for each channel, or none, not %s",
                      value_str(c, v));
  const char **name = arena_alloc(c->arena, (size_t)v.u.list->n * sizeof *name);
  for (int i = 0; i < v.u.list->n; i++) {
    if (!arg_str(c, at, "the name of a channel", v.u.list->v[i], &name[i])) return false;
    for (int k = 0; k < i; k++)
      if (!strcmp(name[k], name[i])) return eval_error(c, at, "two channels are called \"%s\"", name[i]);
  }
  p->channel = name, p->nchannel = v.u.list->n;
  return true;
}

/* Entries of a list with one for each axis; 0: one number for all of them. -1 after reporting. */
static int per_axis(Eval *c, const Ast *at, const char *what, Value v) {
  if (v.kind != V_LIST) return 0;
  int n = v.u.list->n;
  if (n > 0 && n <= MAX_SPATIAL) return n;
  eval_fail(c, at, "%s has an entry for each spatial axis of the images, two or three, not %d", what, n);
  return -1;
}

/* none, and a word for it where an option is of strings. */
static bool as_stored(Value v) { return v.kind == V_NONE || (v.kind == V_STR && !strcmp(v.u.str, "stored")); }

static bool set_spacing(Eval *c, const Ast *at, Value v, Prepare *p) {
  if (as_stored(v)) return p->spacing = SPACING_STORED, true;
  if (v.kind == V_STR && !strcmp(v.u.str, "median")) return p->spacing = SPACING_MEDIAN, true;
  if (v.kind != V_NUM && v.kind != V_LIST)
    return eval_error(
        c, at,
        "spacing is a list of millimetres, one for each axis, \"median\", or \"stored\" or none, not %s",
        value_str(c, v));
  int n = per_axis(c, at, "spacing", v);
  if (n < 0) return false;
  for (int i = 0; i < MAX_SPATIAL && (!n || i < n); i++) {
    Value x = n ? v.u.list->v[i] : v;
    if (as_stored(x) && n) continue;
    if (x.kind != V_NUM || !(x.u.num > 0))
      return eval_error(
          c, at,
          "spacing is in millimetres, above 0, or \"stored\" or none for an axis that stays as it is, not %s",
          value_str(c, x));
    p->mm[i] = x.u.num;
  }
  return p->spacing = SPACING_FIXED, true;
}

static bool set_image_order(Eval *c, const Ast *at, Value v, Prepare *p) {
  int i;
  return one_of(c, at, "image_order", v, word_order, ORDER_KINDS, &i) &&
         (p->image_order = (OrderKind)i, true);
}

static bool set_mask_order(Eval *c, const Ast *at, Value v, Prepare *p) {
  int i;
  return one_of(c, at, "mask_order", v, word_order, ORDER_CUBIC, &i) && (p->mask_order = (OrderKind)i, true);
}

static bool set_orientation(Eval *c, const Ast *at, Value v, Prepare *p) {
  if (as_stored(v)) return p->orientation = "", true;
  if (v.kind == V_STR && orientation_ok(v.u.str)) return p->orientation = v.u.str, true;
  return eval_error(c, at,
                    "orientation is \"stored\", none, or three letters, one each of L and R, P and A, I and "
                    "S, in any order: \"RAS\", "
                    "\"LPS\", \"SAL\"; not %s",
                    value_str(c, v));
}

static bool set_plane(Eval *c, const Ast *at, Value v, Prepare *p) {
  int i;
  return one_of(c, at, "plane", v, word_plane, PLANE_KINDS, &i) && (p->plane = (PlaneKind)i, true);
}

static bool set_crop(Eval *c, const Ast *at, Value v, Prepare *p) {
  int i = CROP_NONE;
  bool ok = v.kind == V_NONE || one_of(c, at, "crop", v, word_crop, CROP_KINDS, &i);
  return ok && (p->crop = (CropKind)i, true);
}

/* ---- values ---- */

static bool one_intensity(Eval *c, const Ast *at, Value v, Intensity *out) {
  if (v.kind == V_INTENSITY) return *out = *v.u.intensity, true;
  if (v.kind == V_NONE) return *out = intensity_of(INTENSITY_NONE), true;
  for (int i = 0; i < INTENSITY_FIXED && v.kind == V_STR; i++)
    if (!strcmp(v.u.str, word_intensity[i])) return *out = intensity_of((IntensityKind)i), true;
  return eval_error(
      c, at,
      "intensity is zscore(), nonzero(), foreground(), minmax(), window(lo, hi), fixed(mean, deviation), "
      "auto() or none, or a list of these, one for each channel; not %s",
      value_str(c, v));
}

static bool set_intensity(Eval *c, const Ast *at, Value v, Prepare *p) {
  bool list = v.kind == V_LIST && v.u.list->n > 0;
  int n = list ? v.u.list->n : 1;
  Intensity *each = arena_alloc(c->arena, (size_t)n * sizeof *each);
  for (int i = 0; i < n; i++)
    if (!one_intensity(c, at, list ? v.u.list->v[i] : v, &each[i])) return false;
  p->intensity = each, p->nintensity = n;
  return true;
}

/* ---- prediction ---- */

static bool set_stride(Eval *c, const Ast *at, Value v, Prepare *p) {
  if (v.kind == V_NONE) return true;
  int n = per_axis(c, at, "stride", v);
  if (n < 0) return false;
  for (int i = 0; i < MAX_SPATIAL && (!n || i < n); i++)
    if (!arg_int(c, at, "stride", n ? v.u.list->v[i] : v, 1, 1 << 24, &p->stride[i])) return false;
  return true;
}

static bool set_overlap(Eval *c, const Ast *at, Value v, Prepare *p) {
  if (v.kind == V_NONE) return true;
  if (!arg_num(c, at, "overlap", v, &p->overlap)) return false;
  return (p->overlap >= 0 && p->overlap < 1) ||
         eval_error(c, at, "overlap is a fraction of the patch, from 0 to less than 1, not %g", p->overlap);
}

static bool set_window(Eval *c, const Ast *at, Value v, Prepare *p) {
  int i;
  return one_of(c, at, "window", v, word_weight, WEIGHT_KINDS, &i) && (p->weight = (WeightKind)i, true);
}

static bool set_postprocess(Eval *c, const Ast *at, Value v, Prepare *p) {
  int bit;
  if (v.kind == V_NONE) return true;
  if (v.kind != V_LIST)
    return eval_error(c, at, "postprocess is a list of %s, or none, not %s", quoted(c, word_post, POST_KINDS),
                      value_str(c, v));
  for (int i = 0; i < v.u.list->n; i++) {
    if (!one_of(c, at, "an element of postprocess", v.u.list->v[i], word_post, POST_KINDS, &bit))
      return false;
    p->post |= 1u << bit;
  }
  return true;
}

static bool set_drop(Eval *c, const Ast *at, Value v, Prepare *p) {
  if (v.kind == V_NONE) return true;
  if (!arg_num(c, at, "drop", v, &p->drop)) return false;
  return p->drop >= 0 ||
         eval_error(c, at, "drop is a volume in cubic millimetres, 0 or more, not %s", value_str(c, v));
}

/* ---- the statement ---- */

enum {
  SET_CHANNELS,
  SET_SPACING,
  SET_INTENSITY,
  SET_LABELS,
  SET_REGIONS,
  SET_STRIDE,
  SET_OVERLAP,
  SETTINGS = 15
};
static const struct {
  const char *name;
  SetFn *set;
} settings[SETTINGS] = {[SET_CHANNELS] = {"channels", set_channels},
                        [SET_SPACING] = {"spacing", set_spacing},
                        [SET_INTENSITY] = {"intensity", set_intensity},
                        [SET_LABELS] = {"labels", set_labels},
                        [SET_REGIONS] = {"regions", set_regions},
                        [SET_STRIDE] = {"stride", set_stride},
                        [SET_OVERLAP] = {"overlap", set_overlap},
                        {"image_order", set_image_order},
                        {"mask_order", set_mask_order},
                        {"orientation", set_orientation},
                        {"plane", set_plane},
                        {"crop", set_crop},
                        {"window", set_window},
                        {"postprocess", set_postprocess},
                        {"drop", set_drop}};

const char *prepare_setting(int i) { return i < SETTINGS ? settings[i].name : NULL; }

/* The statement, and where it says what: the value of each setting. */
typedef struct Preparation {
  const Ast *at, *given[SETTINGS];
  Prepare p;
  int nspacing, nstride; /* entries of these lists; 0: one number for all axes */
} Preparation;

static const char *setting_names(Eval *c) {
  const char *s = "";
  for (int i = 0; i < SETTINGS; i++) s = arena_printf(c->arena, "%s%s%s", s, i ? ", " : "", settings[i].name);
  return s;
}

static void exec_setting(Eval *c, Preparation *s, const Ast *n) {
  int i = 0;
  while (i < SETTINGS && strcmp(settings[i].name, n->name)) i++;
  Value v = eval_expr(c, n->a);
  if (i == SETTINGS) {
    eval_fail(c, n, "prepare has no setting '%s'; it has: %s", n->name, setting_names(c));
    return;
  }
  if (s->given[i]) {
    eval_fail(c, n, "'%s' is given twice", n->name);
    return;
  }
  s->given[i] = n->a;
  if (v.kind == V_POISON || !settings[i].set(c, n->a, v, &s->p)) return;
  if (v.kind == V_NONE) s->given[i] = NULL; /* as if it were not there */
  if (v.kind == V_LIST && i == SET_SPACING) s->nspacing = v.u.list->n;
  if (v.kind == V_LIST && i == SET_STRIDE) s->nstride = v.u.list->n;
}

/* Regions are made of labels, wherever these stand. */
static bool of_regions(const Ast *setting) { return !strcmp(setting->name, settings[SET_REGIONS].name); }

void exec_prepare(Eval *c, const Ast *n) {
  if (c->frame) {
    eval_fail(c, n, "prepare stands at the top level of a file");
    return;
  }
  if (c->prepare) {
    eval_fail(c, n, "there is a prepare already, in %s:%d", c->prepare->at->at.file, c->prepare->at->at.line);
    return;
  }
  if (c->prog->nfn > 0) {
    eval_fail(c, n,
              "prepare stands above train, predict and forward: labels that it ignores change their losses");
    return;
  }
  Preparation *s = c->prepare = arena_alloc(c->arena, sizeof *s);
  s->at = n;
  s->p = prepare_default(c->arena);
  for (const Ast *e = n->list; e; e = e->next)
    if (!of_regions(e)) exec_setting(c, s, e);
  for (const Ast *e = n->list; e; e = e->next)
    if (of_regions(e)) exec_setting(c, s, e);
  if (s->given[SET_STRIDE] && s->given[SET_OVERLAP])
    eval_fail(c, s->given[SET_STRIDE],
              "stride and overlap both say how patches follow each other: give one of them");
  c->prog->prepare = &s->p;
}

/* ---- against the rest of the file ---- */

/* One number holds for the axes there are; a list has as many. */
static void check_axes(Eval *c, const Ast *at, const char *what, int n, int spatial, const Type *image) {
  char buf[96];
  if (n && n != spatial)
    eval_fail(c, at, "%s has %d entries, but the images are %s, with %d spatial axes", what, n,
              type_str(*image, buf), spatial);
}

static void check_image(Eval *c, Preparation *s, const Type *image) {
  Prepare *p = &s->p;
  char buf[96];
  int spatial = image->rank - 2;
  long long channels = (long long)image->dim[1];
  if (p->nchannel && p->nchannel != channels)
    eval_fail(c, s->given[SET_CHANNELS], "channels names %d, but the images are %s, with %lld", p->nchannel,
              type_str(*image, buf), channels);
  if (p->nintensity > 1 && p->nintensity != channels)
    eval_fail(c, s->given[SET_INTENSITY],
              "intensity is a list of %d, but the images are %s, with %lld channels", p->nintensity,
              type_str(*image, buf), channels);
  check_axes(c, s->given[SET_SPACING], "spacing", s->nspacing, spatial, image);
  check_axes(c, s->given[SET_STRIDE], "stride", s->nstride, spatial, image);
  for (int i = spatial; i < MAX_SPATIAL; i++) p->mm[i] = 0, p->stride[i] = 0;
  for (int i = 0; i < spatial; i++)
    if (p->stride[i] > image->dim[2 + i])
      eval_fail(c, s->given[SET_STRIDE],
                "stride is %lld along axis %d, where patches have %lld: parts would be left out",
                (long long)p->stride[i], i, (long long)image->dim[2 + i]);
}

static void check_classes(Eval *c, const Preparation *s) {
  int64_t classes = c->prog->classes == 1 ? 2 : c->prog->classes; /* one probability tells two classes */
  const Prepare *p = &s->p;
  if (!p->nclass) return;
  if (!classes) c->prog->classes = p->nclass;
  if (!classes || classes == p->nclass) return;
  const char *names = "";
  for (int i = 0; i < p->nclass; i++)
    names = arena_printf(c->arena, "%s%s%s", names, i ? ", " : "", p->class_name[i]);
  eval_fail(
      c, s->given[SET_LABELS],
      "labels has %d classes (%.200s), but the module %lld, by option classes or by what predict returns",
      p->nclass, names, (long long)classes);
}

void check_prepare(Eval *c) {
  if (!c->prepare || c->diag.errors) return;
  const Type *image = program_image(c->prog);
  if (image) check_image(c, c->prepare, image);
  check_classes(c, c->prepare);
}
