/* print.c - a survey as a table. */
#include <inttypes.h>
#include <string.h>
#include "runtime/survey/survey.h"

static const char row[] = "%-12s"; /* what a line is about */

static void print_images(const Survey *s, FILE *out) {
  const Found *f = &s->found;
  const char *what = f->n && f->item[0].picture ? "picture" : "volume";
  fprintf(out, row, "data set"), fprintf(out, "%s, %s\n", s->name, f->root);
  fprintf(out, row, "layout"), fprintf(out, "%s\n", f->layout);
  fprintf(out, row, "images"), fprintf(out, "%d %s%s, %d case%s, %d with masks", f->n, what,
                                       f->n == 1 ? "" : "s", s->cases, s->cases == 1 ? "" : "s", f->labeled);
  if (f->held_out) fprintf(out, "; %d left out", f->held_out);
  fputc('\n', out);
  if (s->partial)
    fprintf(out, row, "partial"),
        fprintf(out, "%d case%s, whose masks tell some classes only (partial.list)\n", s->partial,
                s->partial == 1 ? "" : "s");
}

static void print_splits(const Survey *s, FILE *out) {
  int n[SURVEY_SPLITS] = {0}, masks[SURVEY_SPLITS] = {0};
  const char *comma = "";
  if (!s->split) return;
  for (int i = 0; i < s->found.n; i++) n[s->split[i]]++, masks[s->split[i]] += s->found.item[i].mask != NULL;
  fprintf(out, row, "splits");
  for (int k = 0; k < SURVEY_SPLITS; k++) {
    if (!n[k]) continue;
    fprintf(out, "%s%s %d", comma, survey_split_name[k], n[k]);
    if (masks[k] != n[k]) fprintf(out, " (%d with masks)", masks[k]);
    comma = ", ";
  }
  fputc('\n', out);
}

static void print_channels(const Survey *s, FILE *out) {
  int lo = 0, hi = 0;
  for (int i = 0; i < s->found.n; i++) {
    if (!s->item[i].read) continue;
    int c = s->item[i].channels;
    lo = !lo || c < lo ? c : lo, hi = c > hi ? c : hi;
  }
  fprintf(out, row, "channels"), fprintf(out, lo == hi ? "%d" : "%d..%d", lo, hi);
  for (int i = 0; i < s->found.nchannel && s->found.channel; i++)
    fprintf(out, "%s%s", i ? ", " : ": ", s->found.channel[i] ? s->found.channel[i] : "?");
  fputc('\n', out);
}

static void print_spread(const Survey *s, const char *what, SurveyNumber of, int axis, const char *form,
                         FILE *out) {
  double spread[3];
  if (!survey_spread(s, of, axis, spread)) return;
  fprintf(out, row, what);
  for (int i = 0; i < 3; i++) fprintf(out, form, spread[i]);
  fputc('\n', out);
}

static void print_geometry(const Survey *s, FILE *out) {
  bool pictures = s->found.n && s->found.item[0].picture, placed = false;
  static const char *const size[2][3] = {{"size x", "size y", "size z"}, {"height", "width", ""}},
                           *const step[3] = {"spacing x", "spacing y", "spacing z"};
  char text[256];
  for (int i = 0; i < s->found.n; i++) placed = placed || s->item[i].placed;
  fprintf(out, row, ""), fprintf(out, "%10s%10s%10s\n", "min", "median", "max");
  for (int a = 0; a < (pictures ? 2 : 3); a++)
    print_spread(s, size[pictures][a], survey_extent, a, "%10.6g", out);
  for (int a = 0; a < (pictures ? 0 : 3); a++) print_spread(s, step[a], survey_spacing, a, "%10.4g", out);
  if (placed)
    fprintf(out, row, "orientation"), fprintf(out, "%s\n", survey_orientations(s, text, sizeof text));
}

static void print_values(const Survey *s, FILE *out) {
  double lo = 0, hi = 0;
  int64_t all = 0;
  bool any = false;
  if (!s->values) return;
  for (int i = 0; i < s->found.n; i++) {
    if (!s->item[i].read) continue;
    lo = !any || s->item[i].lo < lo ? s->item[i].lo : lo,
    hi = !any || s->item[i].hi > hi ? s->item[i].hi : hi;
    any = true;
  }
  fprintf(out, row, "values"), fprintf(out, "%.6g .. %.6g\n", lo, hi);
  for (int i = 0; i < s->nlabel; i++) all += s->label[i].elements;
  if (s->nlabel)
    fprintf(out, row, "labels"),
        fprintf(out, "%10s%10s%10s%s\n", "value", "masks", "elements", s->found.nlabel ? "  name" : "");
  for (int i = 0; i < s->nlabel; i++) {
    const LabelCount *l = &s->label[i];
    bool named = l->value >= 0 && l->value < s->found.nlabel && s->found.label[(int)l->value];
    fprintf(out, row, ""),
        fprintf(out, "%10.6g%10d%9.3f%%", l->value, l->images, 100 * (double)l->elements / (double)all);
    fprintf(out, "%s%s\n", named ? "  " : "", named ? s->found.label[(int)l->value] : "");
  }
}

static void print_module(const Survey *s, FILE *out) {
  if (!s->classes) return;
  fprintf(out, row, "module");
  fprintf(out, "%d-D, %d channel%s, %" PRId64 " classes: the data set %s\n", s->spatial, s->channels,
          s->channels == 1 ? "" : "s", s->classes, s->stops ? "does not fit (!)" : "fits");
}

static void print_complaints(const Survey *s, FILE *out) {
  const Complaints *c = &s->complaints;
  fprintf(out, row, "oddities");
  if (!c->n) fprintf(out, "none\n");
  else if (!s->stops) fprintf(out, "%d, none of which would stop a training\n", c->n);
  else fprintf(out, "%d, of which %d would stop a training (!)\n", c->n, s->stops);
  for (int stops = 1; stops >= 0; stops--)
    for (int i = 0; i < c->n; i++)
      if (c->list[i].stops == stops) fprintf(out, "  %c %s\n", stops ? '!' : '-', c->list[i].text);
}

static bool any_read(const Survey *s) {
  for (int i = 0; i < s->found.n; i++)
    if (s->item[i].read) return true;
  return false;
}

void survey_print(const Survey *s, FILE *out) {
  print_images(s, out);
  print_splits(s, out);
  if (any_read(s)) {
    print_channels(s, out);
    print_geometry(s, out);
    print_values(s, out);
  }
  print_module(s, out);
  print_complaints(s, out);
}
