/* label.c - classes of a mask's values. Few values occur in a mask: the distinct ones are found first,
 * each is given its class once, and every voxel looks its own up. */
#include "runtime/prepare/label.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES_MAX = 512 }; /* more distinct ones than any label map has: an intensity image */

/* How far a label may be from a whole number: scl_slope and resampling leave 0.99998 of a 1. */
static const double nearly_whole = 1e-3;

typedef struct {
  double value; /* or a colour, 0xRRGGBB */
  int64_t count;
  uint8_t klass;
} Value;

typedef struct {
  Value v[VALUES_MAX];
  int n;
  bool many; /* there are more */
} Values;

bool recipe_has_colours(const Recipe *r) {
  for (int i = 0; i < r->nlabel; i++)
    if (r->label[i].colour >= 0) return true;
  return false;
}

/* The number of element i, whole if it is nearly so; a colour as 0xRRGGBB. */
static double element(const Image *mask, int64_t n, bool colours, int64_t i) {
  const float *v = mask->value + i;
  if (!colours)
    return fabs((double)v[0] - rint((double)v[0])) <= nearly_whole ? rint((double)v[0]) : (double)v[0];
  if (mask->channels < 3) return (double)v[0] * 0x010101;
  return (double)v[0] * 0x10000 + (double)v[n] * 0x100 + (double)v[2 * n];
}

static int find_value(const Values *s, double v) {
  for (int i = 0; i < s->n; i++)
    if (s->v[i].value == v || (isnan(v) && isnan(s->v[i].value))) return i;
  return -1;
}

/* The distinct values; neighbours are alike, so the last one found is tried first. */
static void collect(const Image *mask, bool colours, Values *s) {
  int64_t n = grid_count(&mask->grid);
  int last = -1;
  for (int64_t i = 0; i < n && !s->many; i++) {
    double v = element(mask, n, colours, i);
    if (last < 0 || s->v[last].value != v) last = find_value(s, v);
    if (last < 0 && s->n == VALUES_MAX) s->many = true;
    else if (last < 0) s->v[last = s->n++] = (Value){.value = v};
    if (last >= 0) s->v[last].count++;
  }
}

static int ascending(const void *a, const void *b) {
  double x = ((const Value *)a)->value, y = ((const Value *)b)->value;
  return (x > y) - (x < y);
}

/* ---- which class ---- */

/* Two classes without a label map: 0/1, or 0/255. */
static bool two_classes(Values *s, bool lossy) {
  double top = s->n ? s->v[s->n - 1].value : 0; /* they are sorted */
  for (int i = 0; i < s->n; i++) {
    double v = s->v[i].value;
    if (lossy && top > 128) s->v[i].klass = v >= 128;
    else if (v != 0 && v != top) return false;
    else s->v[i].klass = v != 0;
  }
  return top == 0 || top == 1 || top == 255 || (lossy && top > 128);
}

/* The first value that is neither 0, 1 nor 255. */
static int neither(const Values *s) {
  for (int i = 0; i < s->n; i++)
    if (s->v[i].value != 0 && s->v[i].value != 1 && s->v[i].value != 255) return i;
  return s->n - 1;
}

/* Among colours a number is the grey of that value. */
static const NetcLabelRule *rule_of(const Recipe *r, double v, bool colours) {
  for (int i = 0; i < r->nlabel; i++) {
    const NetcLabelRule *l = &r->label[i];
    double number = (double)l->value * (colours ? 0x010101 : 1);
    if (l->colour >= 0 ? colours && (double)l->colour == v : number == v) return l;
  }
  return NULL;
}

/* The class of every value; the first one without is returned, or -1. */
static int assign(Values *s, const Recipe *r, int64_t classes, bool colours) {
  for (int i = 0; i < s->n; i++) {
    double v = s->v[i].value;
    const NetcLabelRule *l = rule_of(r, v, colours);
    if (r->nlabel && !l) return i;
    if (!r->nlabel && !(v >= 0 && v < (double)classes)) return i;
    s->v[i].klass = (uint8_t)(l ? (l->cls == NETC_CLASS_IGNORED ? CLASS_IGNORE : l->cls) : (int)v);
  }
  return -1;
}

/* ---- what is wrong ---- */

static void name_value(const Value *v, bool colours, char out[32]) {
  if (colours) snprintf(out, 32, "\"#%06llx\"", (unsigned long long)v->value);
  else snprintf(out, 32, "%.9g", v->value);
}

/* `0: "background", 1: "a", ..` for the values found: a line to begin with. */
static void suggest(const Values *s, bool colours, char out[200]) {
  size_t at = 0;
  char name[32];
  for (int i = 0; i < s->n && i < 6 && at < 150; i++) {
    name_value(&s->v[i], colours, name);
    at += (size_t)snprintf(out + at, 200 - at, "%s%s: %s", i ? ", " : "", name,
                           i ? "\"..\"" : "\"background\"");
  }
  if (s->n > 6) snprintf(out + at, 200 - at, ", ..");
}

static void list_values(const Values *s, bool colours, char out[160]) {
  size_t at = 0;
  char name[32];
  *out = 0;
  for (int i = 0; i < s->n && i < 6 && at < 120; i++) {
    name_value(&s->v[i], colours, name);
    at += (size_t)snprintf(out + at, 160 - at, "%s%s", i ? ", " : "", name);
  }
  if (s->n > 6) snprintf(out + at, 160 - at, " and %d more", s->n - 6);
}

static bool refuse(const Values *s, int bad, const Recipe *r, int64_t classes, bool colours, const char *path,
                   char err[ERR_MAX]) {
  char name[32], all[160], line[200];
  const Value *v = &s->v[bad];
  name_value(v, colours, name), list_values(s, colours, all), suggest(s, colours, line);
  if (r->nlabel)
    return err_set(err,
                   "%s: mask value %s (%lld elements) is not among the module's labels; values found: %s. "
                   "Add `%s: \"..\"` to its `labels`",
                   path, name, (long long)v->count, all, name);
  if (classes <= 2)
    return err_set(err,
                   "%s: a mask of two classes holds 0 and 1, or 0 and 255; found %s (%s: %lld elements). "
                   "Say what they mean: prepare { labels = {%s} }",
                   path, all, name, (long long)v->count, line);
  return err_set(err,
                 "%s: mask value %s (%lld elements), but the module has classes 0..%lld (-D classes=N); "
                 "values found: %s. Or say what they mean: prepare { labels = {%s} }",
                 path, name, (long long)v->count, (long long)classes - 1, all, line);
}

static bool all_whole(const Values *s, const char *path, char err[ERR_MAX]) {
  for (int i = 0; i < s->n; i++) {
    double v = s->v[i].value;
    if (!isfinite(v) || v != rint(v))
      return err_set(
          err,
          "%s: mask value %.9g (%lld elements) is no whole number: was the mask interpolated, or is "
          "this an image? Masks are resampled with the nearest element",
          path, v, (long long)s->v[i].count);
  }
  return true;
}

static bool too_many(const Values *s, const char *path, char err[ERR_MAX]) {
  double lo = INFINITY, hi = -INFINITY;
  for (int i = 0; i < s->n; i++) lo = fmin(lo, s->v[i].value), hi = fmax(hi, s->v[i].value);
  return err_set(err, "%s: more than %d different values (%.6g .. %.6g): this is an image, not a mask", path,
                 VALUES_MAX, lo, hi);
}

bool labels_of(const Image *mask, const Recipe *r, int64_t classes, bool lossy, const char *path,
               uint8_t *out, char err[ERR_MAX]) {
  bool colours = recipe_has_colours(r);
  int64_t n = grid_count(&mask->grid);
  Values *s = calloc(1, sizeof *s);
  if (!s) return err_memory(err, path, (int64_t)sizeof *s);
  collect(mask, colours, s);
  bool ok = !s->many || too_many(s, path, err);
  ok = ok && (colours || all_whole(s, path, err));
  qsort(s->v, (size_t)s->n, sizeof *s->v, ascending);
  if (ok && lossy && (classes > 2 || r->nlabel) && s->n > 1)
    ok = err_set(err, "%s: JPEG changes a mask's numbers; save masks of several classes as PNG", path);
  if (ok && !r->nlabel && classes <= 2)
    ok = two_classes(s, lossy) || refuse(s, neither(s), r, classes, colours, path, err);
  else if (ok) {
    int bad = assign(s, r, classes, colours);
    ok = bad < 0 || refuse(s, bad, r, classes, colours, path, err);
  }
  int last = 0;
  for (int64_t i = 0; ok && i < n; i++) {
    double v = element(mask, n, colours, i);
    if (s->v[last].value != v) last = find_value(s, v);
    out[i] = s->v[last].klass;
  }
  free(s);
  return ok;
}
