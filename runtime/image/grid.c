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

bool grid_inverse(const Grid *g, double inv[3][4]) {
  const double(*m)[4] = g->to_mm;
  double cofactor[3][3], det = 0, size = 1;
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++) {
      int p = (i + 1) % 3, q = (i + 2) % 3, r = (j + 1) % 3, s = (j + 2) % 3;
      cofactor[i][j] = m[p][r] * m[q][s] - m[p][s] * m[q][r];
    }
  for (int j = 0; j < 3; j++) det += m[0][j] * cofactor[0][j], size *= grid_spacing(g, j);
  if (!(fabs(det) > 1e-6 * size) || !isfinite(det)) return false;
  for (int i = 0; i < 3; i++) {
    for (int j = 0; j < 3; j++) inv[i][j] = cofactor[j][i] / det;
    inv[i][3] = 0;
    for (int j = 0; j < 3; j++) inv[i][3] -= inv[i][j] * m[j][3];
  }
  return true;
}

/* ---- orientation ---- */

static const char positive[] = "RAS", negative[] = "LPI";

/* The axis of the body (0: R, 1: A, 2: S) each stored axis runs along, and in which direction. */
static void nearest_axes(const Grid *g, int body[3], bool backwards[3]) {
  bool row_taken[3] = {false}, column_taken[3] = {false};
  for (int n = 0; n < 3; n++) {
    double best = -1;
    int row = 0, column = 0;
    for (int c = 0; c < 3; c++)
      for (int r = 0; r < 3; r++) {
        double length = grid_spacing(g, c), cosine = length > 0 ? fabs(g->to_mm[r][c]) / length : 0;
        if (!row_taken[r] && !column_taken[c] && cosine > best + 1e-9) best = cosine, row = r, column = c;
      }
    row_taken[row] = column_taken[column] = true;
    body[column] = row, backwards[column] = g->to_mm[row][column] < 0;
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
