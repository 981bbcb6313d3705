/* places.c - spaces of headers. */
#include "runtime/io/volume/places.h"
#include <math.h>

bool gives_places(const Grid *g) {
  double inverse[3][4];
  for (int r = 0; r < 3; r++)
    for (int c = 0; c < 4; c++)
      if (!isfinite(g->to_mm[r][c])) return false;
  return grid_inverse(g, inverse);
}

double step_of(double step, int axis, const char *path, Notes *notes) {
  double used = isfinite(step) && step != 0 ? fabs(step) : 1;
  if (step != used) note(notes, "%s: the step along axis %d is %g; %g is taken", path, axis, step, used);
  return used;
}

static const char positive[] = "RAS";

Grid grid_in_space(const int64_t dim[3], double vector[3][3], const double origin[3], const char *space,
                   const char *path, Notes *notes) {
  double step[3];
  Grid g = {.placed = true};
  for (int r = 0; r < 3; r++) {
    double sign = space[r] == positive[r] ? 1 : -1;
    for (int a = 0; a < 3; a++) g.to_mm[r][a] = sign * vector[a][r];
    g.to_mm[r][3] = sign * origin[r];
  }
  for (int a = 0; a < 3; a++) g.dim[a] = dim[a];
  if (gives_places(&g)) return g;
  note(notes, "%s: its directions give voxels no places of their own; their lengths alone are taken", path);
  for (int a = 0; a < 3; a++) step[a] = step_of(grid_spacing(&g, a), a, path, notes);
  return grid_plain(dim, step);
}

void grid_in_lps(const Grid *g, double direction[3][3], double step[3], double origin[3]) {
  for (int a = 0; a < 3; a++) step[a] = grid_spacing(g, a);
  for (int r = 0; r < 3; r++) {
    double sign = r < 2 ? -1 : 1;
    for (int a = 0; a < 3; a++) direction[a][r] = sign * g->to_mm[r][a] / step[a];
    origin[r] = sign * g->to_mm[r][3];
  }
}
