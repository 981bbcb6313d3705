/* item.c - one item of a survey: its channels, its mask, and whether they fit each other and the module. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/io/format.h"
#include "runtime/prepare/label.h"
#include "runtime/prepare/match.h"
#include "runtime/prepare/read.h"
#include "runtime/survey/item.h"

typedef struct {
  const FoundItem *it;
  const SurveyOptions *o;
  Surveyed *out;
  Notes notes;
} Work;

static bool read_file(Work *w, const char *path, const char *set, ReadAs as, Image *image) {
  char err[ERR_MAX];
  const Recipe *r = w->o->recipe;
  const Wish wish = {.as = as,
                     .header = w->o->fast,
                     .set = set,
                     .axes = r->axes ? r->axes : w->it->axes,
                     .notes = &w->notes};
  if (image_read(path, &wish, image, err)) return true;
  complain(&w->out->complaints, "unreadable", true, "%s", err);
  return false;
}

/* ---- images ---- */

/* FNV-1a over the values, eight bytes at a time. */
static uint64_t hash_of(uint64_t h, const void *data, size_t bytes) {
  const uint8_t *p = data;
  for (; bytes >= 8; bytes -= 8, p += 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    h = (h ^ word) * 0x100000001b3u, h ^= h >> 29;
  }
  for (size_t i = 0; i < bytes; i++) h = (h ^ p[i]) * 0x100000001b3u;
  return h;
}

static void take_values(Work *w, const Image *image, const char *path) {
  Surveyed *s = w->out;
  int64_t n = grid_count(&image->grid) * image->channels, bad = 0;
  double lo = INFINITY, hi = -INFINITY;
  for (int64_t i = 0; i < n; i++) {
    double v = (double)image->value[i];
    if (!isfinite(v)) bad++;
    else lo = v < lo ? v : lo, hi = v > hi ? v : hi;
  }
  if (bad)
    complain(&s->complaints, "not_finite", !w->o->recipe->fill_nan,
             "%s: %lld of %lld elements are not finite%s", path, (long long)bad, (long long)n,
             w->o->recipe->fill_nan ? "" : " (--nan 0 makes them 0)");
  if (lo == hi) complain(&s->complaints, "constant", false, "%s: every element is %g", path, lo);
  if (lo > hi) lo = hi = 0;
  bool first = !s->hash;
  s->lo = first || lo < s->lo ? lo : s->lo, s->hi = first || hi > s->hi ? hi : s->hi;
  s->hash = hash_of(first ? 0xcbf29ce484222325u : s->hash, image->grid.dim, sizeof image->grid.dim);
  s->hash = hash_of(s->hash, image->value, (size_t)n * sizeof *image->value) | 1;
}

static void take_grid(Surveyed *s, const Image *image) {
  s->read = true, s->spatial = image->spatial, s->placed = image->grid.placed;
  for (int a = 0; a < 3; a++) s->dim[a] = image->grid.dim[a], s->spacing[a] = grid_spacing(&image->grid, a);
  if (s->placed) grid_orientation(&image->grid, s->orientation);
}

/* Headers have no values to bring into another order: extents are compared where axes run alike. */
static bool extents_agree(const Grid *a, const Grid *b) {
  char x[4] = "", y[4] = "";
  if (a->placed && b->placed) grid_orientation(a, x), grid_orientation(b, y);
  return strcmp(x, y) != 0 || !memcmp(a->dim, b->dim, sizeof a->dim);
}

static void match(Work *w, const Grid *grid, Image *other, const char *path, Matched what) {
  char err[ERR_MAX];
  if (w->o->fast) {
    if (!extents_agree(grid, &other->grid))
      complain(&w->out->complaints, "grid", true, "%s: the %s has other extents than %s", path,
               what == MATCH_MASK ? "mask" : "channel", w->it->file[0]);
  } else if (!match_grids(grid, other, w->o->recipe->other_grid, w->it->file[0], path, what, &w->notes, err))
    complain(&w->out->complaints, "grid", true, "%s", err);
}

/* The grid of the first channel; false: it cannot be read. */
static bool survey_channels(Work *w, Grid *grid) {
  Surveyed *s = w->out;
  for (int i = 0; i < w->it->nfile; i++) {
    Image image;
    if (!read_file(w, w->it->file[i], "image", READ_IMAGE, &image)) {
      if (!i) return false;
      continue;
    }
    if (!i) take_grid(s, &image), *grid = image.grid;
    s->channels += image.channels;
    if (!w->o->fast) take_values(w, &image, w->it->file[i]);
    if (i) match(w, grid, &image, w->it->file[i], MATCH_CHANNEL);
    image_free(&image);
  }
  if (w->o->channels && !channels_suit(s->channels, w->o->channels))
    complain(&s->complaints, "channels", true,
             "%s: it has %d channel%s, but the module wants %d (-D channels=%d)", w->it->file[0], s->channels,
             s->channels == 1 ? "" : "s", w->o->channels, s->channels);
  return true;
}

/* ---- masks ---- */

static int find_label(const Surveyed *s, double v) {
  for (int i = 0; i < s->nlabel; i++)
    if (s->label[i].value == v) return i;
  return -1;
}

/* Values of the mask and how often they come. More than LABELS_COUNTED are not counted. */
static void count_labels(Surveyed *s, const Image *mask) {
  int64_t n = grid_count(&mask->grid);
  int last = -1;
  s->label = calloc(LABELS_COUNTED, sizeof *s->label);
  for (int64_t i = 0; s->label && i < n; i++) {
    double v = (double)mask->value[i];
    if (last < 0 || s->label[last].value != v) last = find_label(s, v);
    if (last < 0 && s->nlabel < LABELS_COUNTED) s->label[last = s->nlabel++] = (LabelCount){v, 0, 1};
    if (last >= 0) s->label[last].elements++;
  }
}

/* Whether training would take its values: with a module's classes, or as many as can be. */
static void check_labels(Work *w, const Image *mask) {
  const Surveyed *s = w->out;
  uint8_t *classes = malloc((size_t)grid_count(&mask->grid));
  char err[ERR_MAX];
  bool two = !w->o->classes; /* without a module 0 and 255 are taken for two classes */
  for (int i = 0; i < s->nlabel; i++) two = two && (s->label[i].value == 0 || s->label[i].value == 255);
  int64_t n = w->o->classes ? w->o->classes : two ? 2 : NETC_MAX_CLASSES;
  bool lossy = mask->lossy;
  if (!classes) complain(&w->out->complaints, "labels", true, "%s: not enough memory", w->it->mask);
  else if (!labels_of(mask, w->o->recipe, lossy && !w->o->classes ? 2 : n, lossy, w->it->mask, classes, err))
    complain(&w->out->complaints, "labels", true, "%s", err);
  free(classes);
}

static void survey_mask(Work *w, const Grid *grid) {
  Surveyed *s = w->out;
  Image mask;
  bool colours = recipe_has_colours(w->o->recipe);
  if (!read_file(w, w->it->mask, "label", colours ? READ_COLOURS : READ_NUMBERS, &mask)) return;
  s->has_mask = true;
  memcpy(s->mask_dim, mask.grid.dim, sizeof s->mask_dim);
  if (!w->o->fast && !colours) count_labels(s, &mask);
  if (!w->o->fast) check_labels(w, &mask);
  match(w, grid, &mask, w->it->mask, MATCH_MASK);
  image_free(&mask);
}

void survey_item(const FoundItem *it, const SurveyOptions *o, Surveyed *out) {
  Work w = {.it = it, .o = o, .out = out};
  Grid grid;
  *out = (Surveyed){.read = false};
  notes_init(&w.notes);
  if (survey_channels(&w, &grid) && it->mask) survey_mask(&w, &grid);
  for (int i = 0; i < w.notes.n; i++) complain(&out->complaints, "reading", false, "%s", w.notes.text[i]);
  notes_free(&w.notes);
}
