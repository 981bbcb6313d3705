/* grid.c - places of voxels, and the axes they run along. */
#include "runtime/image/grid.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void image_free(Image *image) {
  free(image->value);
  image->value = NULL;
}

bool image_room(Image *image) {
  image->value = malloc((size_t)(grid_count(&image->grid) * image->channels) * sizeof *image->value);
  return image->value != NULL;
}

int64_t grid_count(const Grid *g) { return g->dim[0] * g->dim[1] * g->dim[2]; }

Grid grid_plain(const int64_t dim[3], const double mm[3]) {
  Grid g = {.placed = false};
  for (int a = 0; a < 3; a++) g.dim[a] = dim[a], g.to_mm[a][a] = mm ? mm[a] : 1;
  return g;
}

double grid_spacing(const Grid *g, int axis) {
  double square = 0;
  for (int r = 0; r < 3; r++) square += g->to_mm[r][axis] * g->to_mm[r][axis];
  return sqrt(square);
}

void affine_apply(double m[3][4], const double v[3], double out[3]) {
  double r[3];
  for (int i = 0; i < 3; i++) r[i] = m[i][0] * v[0] + m[i][1] * v[1] + m[i][2] * v[2] + m[i][3];
  memcpy(out, r, sizeof r);
}

void grid_place(const Grid *g, const double v[3], double mm[3]) {
  Grid copy = *g;
  affine_apply(copy.to_mm, v, mm);
}

void affine_after(double a[3][4], double b[3][4], double c[3][4]) {
  double r[3][4];
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 4; j++) {
      r[i][j] = j == 3 ? a[i][3] : 0;
      for (int k = 0; k < 3; k++) r[i][j] += a[i][k] * b[k][j];
    }
  memcpy(c, r, sizeof r);
}

/* det(m), and cofactors: inverse = transposed cofactors / det. */
static double cofactors(double m[3][3], double c[3][3]) {
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++) {
      int p = (i + 1) % 3, q = (i + 2) % 3, r = (j + 1) % 3, s = (j + 2) % 3;
      c[i][j] = m[p][r] * m[q][s] - m[p][s] * m[q][r];
    }
  return m[0][0] * c[0][0] + m[0][1] * c[0][1] + m[0][2] * c[0][2];
}

/* A file of one slice may leave the step along that axis out: it is taken to be 1 mm, across the slice. */
static void complete(const Grid *g, double m[3][3]) {
  for (int a = 0; a < 3; a++) {
    int b = (a + 1) % 3, c = (a + 2) % 3;
    double area = grid_spacing(g, b) * grid_spacing(g, c);
    if (g->dim[a] != 1 || grid_spacing(g, a) > 0 || !(area > 0)) continue;
    for (int i = 0; i < 3; i++) {
      int p = (i + 1) % 3, q = (i + 2) % 3;
      m[i][a] = (g->to_mm[p][b] * g->to_mm[q][c] - g->to_mm[q][b] * g->to_mm[p][c]) / area;
    }
  }
}

bool grid_inverse(const Grid *g, double inv[3][4]) {
  double m[3][3], c[3][3], size = 1;
  for (int i = 0; i < 9; i++) m[i / 3][i % 3] = g->to_mm[i / 3][i % 3];
  complete(g, m);
  for (int j = 0; j < 3; j++) size *= sqrt(m[0][j] * m[0][j] + m[1][j] * m[1][j] + m[2][j] * m[2][j]);
  double det = cofactors(m, c);
  if (!(fabs(det) > 1e-6 * size) || !isfinite(det)) return false;
  for (int i = 0; i < 3; i++) {
    inv[i][3] = 0;
    for (int j = 0; j < 3; j++) inv[i][j] = c[j][i] / det, inv[i][3] -= inv[i][j] * g->to_mm[j][3];
  }
  return true;
}

/* ---- orientation ---- */

static const char positive[] = "RAS", negative[] = "LPI";
static const double tie = 1e-9; /* cosines that differ by less are equal: the first one counts */

/* Unit columns become the nearest three at right angles, the polar factor, by Newton's iteration (Higham,
 * "Computing the polar decomposition", 1986): m becomes the mean of itself and its inverse transposed.
 * Columns without volume stay as they are. */
static void right_angles(double m[3][3]) {
  double c[3][3];
  for (int n = 0; n < 50; n++) {
    double det = cofactors(m, c), change = 0;
    if (!(fabs(det) > 1e-9)) return;
    for (int i = 0; i < 9; i++) {
      double before = m[i / 3][i % 3], after = (before + c[i / 3][i % 3] / det) / 2;
      m[i / 3][i % 3] = after, change = fmax(change, fabs(after - before));
    }
    if (change < 1e-14) return;
  }
}

/* The axis of the body (0: R, 1: A, 2: S) each stored axis runs along, and in which direction. The stored
 * axis that lies closest to one of the body chooses first. */
static void nearest_axes(const Grid *g, int body[3], bool backwards[3]) {
  double m[3][3], top[3] = {0};
  for (int c = 0; c < 3; c++) {
    double length = grid_spacing(g, c);
    for (int r = 0; r < 3; r++) m[r][c] = length > 0 ? g->to_mm[r][c] / length : 0;
  }
  right_angles(m);
  for (int i = 0; i < 9; i++) top[i % 3] = fmax(top[i % 3], fabs(m[i / 3][i % 3]));
  bool row_taken[3] = {false}, column_taken[3] = {false};
  for (int n = 0; n < 3; n++) {
    int row = -1, column = -1;
    for (int c = 0; c < 3; c++)
      if (!column_taken[c] && (column < 0 || top[c] > top[column] + tie)) column = c;
    for (int r = 0; r < 3; r++)
      if (!row_taken[r] && (row < 0 || fabs(m[r][column]) > fabs(m[row][column]) + tie)) row = r;
    row_taken[row] = column_taken[column] = true;
    body[column] = row, backwards[column] = m[row][column] < 0;
  }
}

void grid_orientation(const Grid *g, char code[4]) {
  int body[3];
  bool backwards[3];
  nearest_axes(g, body, backwards);
  for (int a = 0; a < 3; a++) code[a] = backwards[a] ? negative[body[a]] : positive[body[a]];
  code[3] = 0;
}

/* The axis of the body a letter stands for; -1: none. */
static int body_axis(char letter, bool *backwards) {
  for (int b = 0; b < 3; b++)
    if (letter == positive[b] || letter == negative[b]) return *backwards = letter == negative[b], b;
  return -1;
}

bool orientation_valid(const char *code) {
  bool seen[3] = {false}, backwards;
  if (strlen(code) != 3) return false;
  for (int a = 0; a < 3; a++) {
    int b = body_axis(code[a], &backwards);
    if (b < 0 || seen[b]) return false;
    seen[b] = true;
  }
  return true;
}

bool grid_turn(const Grid *g, const char *code, Turn *out) {
  int body[3];
  bool backwards[3], wanted = false;
  if (!orientation_valid(code)) return false;
  nearest_axes(g, body, backwards);
  for (int a = 0; a < 3; a++) {
    int b = body_axis(code[a], &wanted);
    for (int s = 0; s < 3; s++)
      if (body[s] == b) out->axis[a] = s, out->flip[a] = backwards[s] != wanted;
  }
  return true;
}

Grid grid_turned(const Grid *g, const Turn *t) {
  Grid out = {.placed = g->placed};
  for (int r = 0; r < 3; r++) out.to_mm[r][3] = g->to_mm[r][3];
  for (int a = 0; a < 3; a++) {
    int s = t->axis[a];
    out.dim[a] = g->dim[s];
    for (int r = 0; r < 3; r++) {
      out.to_mm[r][a] = t->flip[a] ? -g->to_mm[r][s] : g->to_mm[r][s];
      if (t->flip[a]) out.to_mm[r][3] += g->to_mm[r][s] * (double)(g->dim[s] - 1);
    }
  }
  return out;
}
