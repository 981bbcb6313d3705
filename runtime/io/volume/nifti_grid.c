/* nifti_grid.c - from NIfTI's two forms and pixdim to a grid, and back. */
#include <math.h>
#include <nifti2_io.h>
#include <string.h>
#include "runtime/io/volume/nifti_header.h"
#include "runtime/io/volume/places.h"

/* mm in the unit of the header's places; mm where it says none. */
static double unit_of(const NiftiHeader *h) {
  switch (XYZT_TO_SPACE(h->xyzt_units)) {
  case NIFTI_UNITS_METER: return 1000;
  case NIFTI_UNITS_MICRON: return 1e-3;
  default: return 1;
  }
}

/* The step along an axis that is there: positive. */
static double pixdim_of(const NiftiHeader *h, int axis, const char *path, Notes *notes) {
  return axis < h->dim[0] ? step_of(h->pixdim[axis + 1], axis, path, notes) : 1;
}

static double handedness(const NiftiHeader *h) { return h->pixdim[0] < 0 ? -1 : 1; }

static void quaternion_form(const NiftiHeader *h, double m[3][4]) {
  nifti_dmat44 q = nifti_quatern_to_dmat44(
      h->quatern[0], h->quatern[1], h->quatern[2], h->qoffset[0], h->qoffset[1], h->qoffset[2],
      pixdim_of(h, 0, NULL, NULL), pixdim_of(h, 1, NULL, NULL), pixdim_of(h, 2, NULL, NULL), handedness(h));
  for (int r = 0; r < 3; r++)
    for (int c = 0; c < 4; c++) m[r][c] = q.m[r][c];
}

/* The largest distance between the places that two grids give a corner, in steps of the finest axis. */
static double distance(const Grid *a, const Grid *b) {
  double most = 0, step = fmin(grid_spacing(a, 0), fmin(grid_spacing(a, 1), grid_spacing(a, 2)));
  for (int corner = 0; corner < 8; corner++) {
    double v[3], p[3], q[3];
    for (int k = 0; k < 3; k++) v[k] = corner >> k & 1 ? (double)(a->dim[k] - 1) : 0;
    grid_place(a, v, p), grid_place(b, v, q);
    most = fmax(most, hypot(hypot(p[0] - q[0], p[1] - q[1]), p[2] - q[2]));
  }
  return most / step;
}

static bool form_is_used(int code, const Grid *g, const char *name, const char *path, Notes *notes) {
  if (code <= 0) return false;
  if (gives_places(g)) return true;
  note(notes, "%s: its %s gives voxels no places of their own (zeros, or no numbers); it is left out", path,
       name);
  return false;
}

Grid nifti_grid(const NiftiHeader *h, const char *path, Notes *notes) {
  int64_t dim[3];
  double mm[3], unit = unit_of(h);
  for (int a = 0; a < 3; a++)
    dim[a] = a < h->dim[0] ? h->dim[a + 1] : 1, mm[a] = pixdim_of(h, a, path, notes);
  Grid plain = grid_plain(dim, mm), s = plain, q = plain, *used = &plain;
  memcpy(s.to_mm, h->srow, sizeof s.to_mm);
  quaternion_form(h, q.to_mm);
  bool by_s = form_is_used(h->sform_code, &s, "sform", path, notes),
       by_q = form_is_used(h->qform_code, &q, "qform", path, notes);
  if (by_s && by_q && distance(&s, &q) > 0.1)
    note(notes, "%s: sform and qform disagree, by up to %.3g voxels; sform is taken", path, distance(&s, &q));
  if (by_s || by_q) used = by_s ? &s : &q, used->placed = true;
  if (unit != 1)
    note(notes, "%s: its places are in %s; they are read as mm", path, unit > 1 ? "m" : "microns");
  for (int r = 0; r < 3; r++)
    for (int c = 0; c < 4; c++) used->to_mm[r][c] *= unit;
  return *used;
}

void nifti_set_grid(NiftiHeader *h, const Grid *g) {
  nifti_dmat44 m = {.m = {{0}}};
  double step[3], qfac = 1, *q = h->quatern, *o = h->qoffset;
  h->xyzt_units = NIFTI_UNITS_MM;
  h->pixdim[0] = 1;
  for (int a = 0; a < 3; a++) h->pixdim[a + 1] = grid_spacing(g, a);
  h->qform_code = h->sform_code = 0;
  if (!g->placed) return;
  for (int r = 0; r < 3; r++)
    for (int c = 0; c < 4; c++) m.m[r][c] = h->srow[r][c] = g->to_mm[r][c];
  h->sform_code = NIFTI_XFORM_SCANNER_ANAT;
  nifti_dmat44_to_quatern(m, &q[0], &q[1], &q[2], &o[0], &o[1], &o[2], &step[0], &step[1], &step[2], &qfac);
  h->pixdim[0] = qfac;
  Grid back = *g;
  quaternion_form(h, back.to_mm);
  if (distance(g, &back) < 1e-3) h->qform_code = NIFTI_XFORM_SCANNER_ANAT; /* else sheared: sform alone */
}

void nifti_copy_grid(NiftiHeader *h, const NiftiHeader *from) {
  h->pixdim[0] = handedness(from);
  for (int a = 0; a < 3; a++) h->pixdim[a + 1] = pixdim_of(from, a, NULL, NULL);
  h->xyzt_units = XYZT_TO_SPACE(from->xyzt_units);
  h->qform_code = from->qform_code, h->sform_code = from->sform_code;
  memcpy(h->quatern, from->quatern, sizeof h->quatern);
  memcpy(h->qoffset, from->qoffset, sizeof h->qoffset), memcpy(h->srow, from->srow, sizeof h->srow);
}
