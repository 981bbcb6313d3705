/* curves.c - the columns of a metrics.csv as a picture, drawn with cairo: one panel per column over the first
 * column. */
#include <cairo/cairo.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/train/curves.h"

enum {
  PANEL_W = 360,
  PANEL_H = 220,
  MARGIN_L = 58,
  MARGIN_R = 14,
  MARGIN_T = 28,
  MARGIN_B = 34,
  MAX_COLUMNS = 64
};

typedef struct {
  int ncol, nrow, cap;
  char *name[MAX_COLUMNS];
  double *cell; /* nrow x ncol; NaN where empty */
} Table;

static void table_free(Table *t) {
  for (int i = 0; i < t->ncol; i++) free(t->name[i]);
  free(t->cell);
}

static bool table_header(Table *t, char *line) {
  for (char *save, *c = strtok_r(line, ",\r\n", &save); c && t->ncol < MAX_COLUMNS;
       c = strtok_r(NULL, ",\r\n", &save))
    if (!(t->name[t->ncol++] = strdup(c))) return false;
  return t->ncol >= 2;
}

static bool table_row(Table *t, const char *line) {
  if (t->nrow == t->cap) {
    int cap = t->cap ? 2 * t->cap : 256;
    double *cell = realloc(t->cell, (size_t)cap * (size_t)t->ncol * sizeof *cell);
    if (!cell) return false;
    t->cell = cell, t->cap = cap;
  }
  for (int i = 0; i < t->ncol; i++) {
    char *end;
    double v = strtod(line, &end);
    t->cell[t->nrow * t->ncol + i] = end == line ? NAN : v;
    line = end + strcspn(end, ",");
    if (*line == ',') line++;
  }
  t->nrow++;
  return true;
}

static bool table_read(Table *t, const char *path, char err[ERR_MAX]) {
  FILE *f = fopen(path, "r");
  char *line = NULL;
  size_t room = 0;
  bool ok = false;
  if (!f) return err_sys(err, "%s", path);
  if (getline(&line, &room, f) < 0 || !table_header(t, line)) {
    err_set(err, "%s: expected a header line with at least two columns", path);
    goto out;
  }
  ok = true;
  while (ok && getline(&line, &room, f) >= 0) ok = table_row(t, line);
  if (!ok) err_set(err, "%s: not enough memory for its rows", path);
  else if (!t->nrow) ok = err_set(err, "%s: no rows to draw", path);
out:
  free(line);
  fclose(f);
  return ok;
}

/* Least and greatest finite value of a column, widened when they are equal; false when there is none. */
static bool range_of(const Table *t, int col, double *lo, double *hi) {
  *lo = INFINITY, *hi = -INFINITY;
  for (int r = 0; r < t->nrow; r++) {
    double v = t->cell[r * t->ncol + col];
    if (isfinite(v)) *lo = fmin(*lo, v), *hi = fmax(*hi, v);
  }
  if (*lo > *hi) return false;
  if (*hi - *lo < 1e-9 * fabs(*hi) || *hi == *lo) {
    double room = *hi != 0 ? 0.5 * fabs(*hi) : 0.5;
    *lo -= room, *hi += room;
  }
  return true;
}

/* A round step (1, 2 or 5 times a power of ten) that cuts the span into about four. */
static double tick_step(double span) {
  double raw = span / 4, p = pow(10, floor(log10(raw))), m = raw / p;
  return p * (m < 1.5 ? 1 : m < 3.5 ? 2 : m < 7.5 ? 5 : 10);
}

static void label(cairo_t *cr, double x, double y, double align, const char *text) {
  cairo_text_extents_t e;
  cairo_text_extents(cr, text, &e);
  cairo_move_to(cr, x - align * e.x_advance, y);
  cairo_show_text(cr, text);
}

typedef struct {
  double x0, y0, w, h, xlo, xhi, ylo, yhi;
} Axes;

static double px(const Axes *a, double x) { return a->x0 + (x - a->xlo) / (a->xhi - a->xlo) * a->w; }
static double py(const Axes *a, double y) { return a->y0 + a->h - (y - a->ylo) / (a->yhi - a->ylo) * a->h; }

static void draw_axes(cairo_t *cr, const Axes *a, const char *title, const char *xname) {
  char text[32];
  cairo_set_line_width(cr, 1);
  double step = tick_step(a->yhi - a->ylo);
  for (double v = ceil(a->ylo / step) * step; v <= a->yhi + 1e-9 * step; v += step) {
    snprintf(text, sizeof text, "%.4g", fabs(v) < 1e-9 * step ? 0 : v);
    cairo_set_source_rgb(cr, 0.9, 0.9, 0.9);
    cairo_move_to(cr, a->x0, py(a, v)), cairo_line_to(cr, a->x0 + a->w, py(a, v)), cairo_stroke(cr);
    cairo_set_source_rgb(cr, 0.3, 0.3, 0.3);
    label(cr, a->x0 - 6, py(a, v) + 4, 1, text);
  }
  step = tick_step(a->xhi - a->xlo);
  for (double v = ceil(a->xlo / step) * step; v <= a->xhi + 1e-9 * step; v += step) {
    snprintf(text, sizeof text, "%.6g", fabs(v) < 1e-9 * step ? 0 : v);
    label(cr, px(a, v), a->y0 + a->h + 14, 0.5, text);
  }
  label(cr, a->x0 + a->w / 2, a->y0 + a->h + 28, 0.5, xname);
  cairo_set_source_rgb(cr, 0, 0, 0);
  label(cr, a->x0, a->y0 - 10, 0, title);
  cairo_rectangle(cr, a->x0, a->y0, a->w, a->h);
  cairo_stroke(cr);
}

static void draw_curve(cairo_t *cr, const Axes *a, const Table *t, int col) {
  bool pen = false;
  cairo_set_source_rgb(cr, 0.12, 0.38, 0.75);
  cairo_set_line_width(cr, 1.4);
  for (int r = 0; r < t->nrow; r++) {
    double x = t->cell[r * t->ncol], y = t->cell[r * t->ncol + col];
    if (!isfinite(x) || !isfinite(y)) continue;
    if (pen) cairo_line_to(cr, px(a, x), py(a, y));
    else cairo_move_to(cr, px(a, x), py(a, y)), pen = true;
  }
  cairo_stroke(cr);
}

static void draw_table(cairo_t *cr, const Table *t, int across) {
  cairo_set_source_rgb(cr, 1, 1, 1);
  cairo_paint(cr);
  cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cr, 11);
  for (int col = 1; col < t->ncol; col++) {
    Axes a = {.x0 = (col - 1) % across * PANEL_W + MARGIN_L,
              .y0 = (col - 1) / across * PANEL_H + MARGIN_T,
              .w = PANEL_W - MARGIN_L - MARGIN_R,
              .h = PANEL_H - MARGIN_T - MARGIN_B};
    if (!range_of(t, 0, &a.xlo, &a.xhi) || !range_of(t, col, &a.ylo, &a.yhi)) continue;
    draw_axes(cr, &a, t->name[col], t->name[0]);
    draw_curve(cr, &a, t, col);
  }
}

#ifdef __SANITIZE_ADDRESS__
/* fontconfig, under cairo's text, keeps tables for the life of the process. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libfontconfig"; }
#endif

bool picture_curves(const char *csv_path, const char *png_path, char err[ERR_MAX]) {
  Table t = {0};
  char temp[4096];
  bool ok = table_read(&t, csv_path, err);
  if (ok && snprintf(temp, sizeof temp, "%s.part", png_path) >= (int)sizeof temp)
    ok = err_set(err, "%.200s...: path too long", png_path);
  if (ok) {
    int across = t.ncol - 1 < 3 ? t.ncol - 1 : 3, down = (t.ncol - 2) / across + 1;
    cairo_surface_t *s = cairo_image_surface_create(CAIRO_FORMAT_RGB24, across * PANEL_W, down * PANEL_H);
    cairo_t *cr = cairo_create(s);
    draw_table(cr, &t, across);
    cairo_status_t status = cairo_surface_write_to_png(s, temp);
    cairo_destroy(cr);
    cairo_surface_destroy(s);
    ok = status == CAIRO_STATUS_SUCCESS && !rename(temp, png_path);
    if (!ok) {
      err_set(err, "%s: cannot write picture: %s", png_path,
              status ? cairo_status_to_string(status) : strerror(errno));
      unlink(temp);
    }
  }
  table_free(&t);
  return ok;
}
