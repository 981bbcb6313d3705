/* stack.c - slices in their order, and the grid they span. */
#include "runtime/io/dicom/stack.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double same_place = 1e-3; /* mm */
static const double uneven = 0.01;     /* of the distance of slices */
static const double gap = 1.5;         /* of it: one is missing */
static const double tilted = 0.1;      /* degrees */

static double dot(const double a[3], const double b[3]) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

static void cross(const double a[3], const double b[3], double out[3]) {
  for (int i = 0; i < 3; i++) out[i] = a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3];
}

static double distance(const double a[3], const double b[3]) {
  double d[3] = {a[0] - b[0], a[1] - b[1], a[2] - b[2]};
  return sqrt(dot(d, d));
}

/* ---- do the slices belong together? ---- */

static bool same(double a, double b) { return fabs(a - b) <= 1e-4 * fmax(fabs(a), fabs(b)); }

static bool together(const Slice *a, const Slice *b, const char *path, char err[ERR_MAX]) {
  const DicomFile *p = a->file, *q = b->file;
  const DicomFrame *f = a->frame, *g = b->frame;
  if (p->rows != q->rows || p->columns != q->columns || p->samples != q->samples)
    return err_set(err, "%s: %s has %d x %d pixels (%d samples), %s %d x %d (%d): not slices of one volume",
                   path, a->name, p->columns, p->rows, p->samples, b->name, q->columns, q->rows, q->samples);
  if (!same(f->row_step, g->row_step) || !same(f->column_step, g->column_step))
    return err_set(err, "%s: pixels of %s are %g x %g mm, of %s %g x %g mm: not slices of one volume", path,
                   a->name, f->column_step, f->row_step, b->name, g->column_step, g->row_step);
  if (f->placed != g->placed || f->oriented != g->oriented)
    return err_set(err, "%s: %s says where it lies, %s does not: not slices of one volume", path,
                   f->placed && f->oriented ? a->name : b->name,
                   f->placed && f->oriented ? b->name : a->name);
  if (f->oriented && (distance(f->along_row, g->along_row) > 1e-3 || distance(f->down, g->down) > 1e-3))
    return err_set(err,
                   "%s: %s and %s lie in different directions (a localiser among them?): not slices of one "
                   "volume",
                   path, a->name, b->name);
  return true;
}

static bool finite3(const double v[3]) { return isfinite(v[0]) && isfinite(v[1]) && isfinite(v[2]); }

static bool finite_place(const Slice *s, const char *path, char err[ERR_MAX]) {
  const DicomFrame *f = s->frame;
  if (finite3(f->position) && finite3(f->along_row) && finite3(f->down) && isfinite(f->row_step) &&
      isfinite(f->column_step) && isfinite(s->file->thickness))
    return true;
  return err_set(err, "%s: %s: its place or its spacing is no number", path, s->name);
}

static bool right_angled(const Slice *s, const char *path, char err[ERR_MAX]) {
  const DicomFrame *f = s->frame;
  if (!f->oriented || (fabs(dot(f->along_row, f->along_row) - 1) < 1e-3 &&
                       fabs(dot(f->down, f->down) - 1) < 1e-3 && fabs(dot(f->along_row, f->down)) < 1e-3))
    return true;
  return err_set(err, "%s: %s: ImageOrientationPatient is not two unit vectors at a right angle", path,
                 s->name);
}

/* ---- order ---- */

static int by_place(const void *x, const void *y) {
  const Slice *a = x, *b = y;
  if (a->at < b->at || a->at > b->at) return a->at < b->at ? -1 : 1;
  return a->source != b->source ? a->source - b->source : a->number - b->number;
}

/* Slices without places: by instance number where all have one of their own, else as they come (frames of a
 * file, files by name). */
static void order_unplaced(Slice *s, int n, const char *path, Notes *notes) {
  bool numbered = s[0].source != s[n - 1].source;
  for (int i = 0; i < n; i++) s[i].at = s[i].file->instance;
  if (numbered) qsort(s, (size_t)n, sizeof *s, by_place);
  for (int i = 1; i < n; i++) numbered = numbered && s[i].at > s[i - 1].at;
  if (!numbered)
    for (int i = 0; i < n; i++) s[i].at = 0;
  qsort(s, (size_t)n, sizeof *s, by_place);
  if (n > 1)
    note(notes, "%s: its slices do not say where they lie; they are taken %s", path,
         numbered                         ? "in the order of their instance numbers"
         : s[0].source == s[n - 1].source ? "in the order of the frames"
                                          : "in the order of the files' names");
}

static bool same_instance(const Slice *a, const Slice *b) {
  return a->number == b->number && *a->file->sop_instance &&
         !strcmp(a->file->sop_instance, b->file->sop_instance);
}

/* Copies of a file go; others at one place are an error. */
static bool drop_copies(Slice *s, int *n, const char *path, Notes *notes, char err[ERR_MAX]) {
  int kept = 1;
  for (int i = 1; i < *n; i++) {
    const Slice *last = &s[kept - 1];
    if (s[i].at - last->at > same_place) s[kept++] = s[i];
    else if (same_instance(last, &s[i]))
      note(notes, "%s: %s is a copy of %s; it is left out", path, s[i].name, last->name);
    else
      return err_set(
          err,
          "%s: %s and %s lie at the same place: the series holds several images of a slice (phases, "
          "echoes, a reconstruction?); put one of each into a folder",
          path, last->name, s[i].name);
  }
  return *n = kept, true;
}

/* ---- distances ---- */

static int by_value(const void *a, const void *b) {
  const double *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

/* The middle of the distances between neighbours; 0 without memory. */
static double usual_distance(const Slice *s, int n) {
  double *d = malloc((size_t)n * sizeof *d), middle = 0;
  for (int i = 1; d && i < n; i++) d[i - 1] = s[i].at - s[i - 1].at;
  if (d) qsort(d, (size_t)n - 1, sizeof *d, by_value), middle = d[(n - 1) / 2];
  free(d);
  return middle;
}

static bool even(const Slice *s, int n, const char *path, Notes *notes, char err[ERR_MAX]) {
  double usual = n > 1 ? usual_distance(s, n) : 1, least = INFINITY, most = 0;
  if (!(usual > 0)) return err_memory(err, path, n * (int64_t)sizeof usual);
  for (int i = 1; i < n; i++) {
    double d = s[i].at - s[i - 1].at;
    if (d > gap * usual)
      return err_set(err, "%s: slices are missing between %s and %s: these lie %g mm apart, others %g mm",
                     path, s[i - 1].name, s[i].name, d, usual);
    least = fmin(least, d), most = fmax(most, d);
  }
  if (n > 1 && most - least > uneven * usual)
    note(notes, "%s: its slices lie %g to %g mm apart; %g mm is taken for all", path, least, most,
         (s[n - 1].at - s[0].at) / (n - 1));
  return true;
}

/* ---- the grid ---- */

/* From slice to slice, in the patient's coordinates. */
static void step_of(const Slice *s, int n, const double normal[3], const char *path, Notes *notes,
                    double step[3]) {
  const double *first = s[0].frame->position, *last = s[n - 1].frame->position;
  double apart = s[0].file->thickness > 0 ? s[0].file->thickness : 1, off = 0;
  for (int i = 0; i < 3; i++) step[i] = n > 1 ? (last[i] - first[i]) / (n - 1) : apart * normal[i];
  if (n < 2) return;
  double along = dot(step, normal), angle = acos(fmin(along / sqrt(dot(step, step)), 1)) * 180 / acos(-1);
  if (angle > tilted)
    note(notes,
         "%s: its slices are shifted against each other by %.1f degrees (a tilted gantry); the grid is "
         "sheared as they are",
         path, angle);
  for (int i = 1; i < n; i++) {
    double there[3], t = (s[i].at - s[0].at) / along;
    for (int k = 0; k < 3; k++) there[k] = first[k] + t * step[k];
    off = fmax(off, distance(there, s[i].frame->position));
  }
  if (off > fmax(uneven * along, same_place))
    note(notes, "%s: its slices do not lie on a line: one is %.3g mm off", path, off);
}

static void grid_of(const Slice *s, int n, const double step[3], const char *path, Notes *notes, Grid *out) {
  const DicomFrame *f = s[0].frame;
  bool sized = f->column_step > 0 && f->row_step > 0, placed = f->placed && f->oriented;
  double mm[3] = {sized ? f->column_step : 1, sized ? f->row_step : 1,
                  s[0].file->thickness > 0 ? s[0].file->thickness : 1};
  if (!sized && n > 1) note(notes, "%s: it does not say how large its pixels are; 1 mm is taken", path);
  *out = grid_plain((int64_t[]){s[0].file->columns, s[0].file->rows, n}, mm);
  out->placed = placed;
  for (int r = 0; placed && r < 3; r++) {
    double sign = r < 2 ? -1 : 1; /* DICOM counts to the left and to the back */
    out->to_mm[r][0] = sign * f->along_row[r] * mm[0], out->to_mm[r][1] = sign * f->down[r] * mm[1];
    out->to_mm[r][2] = sign * step[r], out->to_mm[r][3] = sign * f->position[r];
  }
}

bool dicom_stack(Slice *s, int *n, const char *path, Notes *notes, Grid *out, char err[ERR_MAX]) {
  double normal[3] = {0, 0, 1}, step[3] = {0, 0, 1};
  for (int i = 0; i < *n; i++)
    if (!finite_place(&s[i], path, err) || !together(&s[0], &s[i], path, err)) return false;
  if (!right_angled(&s[0], path, err)) return false;
  if (s[0].frame->placed && s[0].frame->oriented) {
    cross(s[0].frame->along_row, s[0].frame->down, normal);
    for (int i = 0; i < *n; i++) s[i].at = dot(normal, s[i].frame->position);
    qsort(s, (size_t)*n, sizeof *s, by_place);
    if (!drop_copies(s, n, path, notes, err) || !even(s, *n, path, notes, err)) return false;
    step_of(s, *n, normal, path, notes, step);
  } else order_unplaced(s, *n, path, notes);
  grid_of(s, *n, step, path, notes, out);
  return true;
}
