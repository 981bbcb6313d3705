/* match.c - the voxels of one grid in terms of another's: the same, in another order of axes, or
 * elsewhere. */
#include "runtime/prepare/match.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/prepare/box.h"

static const double tolerance = 0.1; /* voxels */

static void corner_of(const int64_t dim[3], int corner, double v[3]) {
  for (int a = 0; a < 3; a++) v[a] = corner >> a & 1 ? (double)(dim[a] - 1) : 0;
}

/* Where the affine differs most from `whole` over the corners of the box, in voxels. */
static double deviation(double m[3][4], double whole[3][4], const int64_t dim[3]) {
  double most = 0, v[3], p[3], q[3];
  for (int c = 0; c < 8; c++) {
    corner_of(dim, c, v);
    affine_apply(m, v, p), affine_apply(whole, v, q);
    for (int a = 0; a < 3; a++) most = fmax(most, fabs(p[a] - q[a]));
  }
  return most;
}

/* The signed permutation nearest to m, with the offset that maps one box onto the other. Axes of one element
 * say little of their direction and take what the others leave. false: m is none. */
static bool permutation_of(double m[3][4], const int64_t from[3], const int64_t to[3], double whole[3][4]) {
  bool taken[3] = {false};
  memset(whole, 0, 12 * sizeof(double));
  for (int n = 0; n < 6; n++) {
    int best = -1, c = n % 3;
    if ((from[c] > 1) != (n < 3)) continue;
    for (int r = 0; r < 3; r++)
      if (!taken[r] && (best < 0 || fabs(m[r][c]) > fabs(m[best][c]))) best = r;
    if (from[c] != to[best]) return false;
    taken[best] = true;
    whole[best][c] = m[best][c] < 0 ? -1 : 1;
    whole[best][3] = m[best][c] < 0 ? (double)(to[best] - 1) : 0;
  }
  return true;
}

static bool gather(Image *mask, const Grid *image, const Box *b, const char *path, char err[ERR_MAX]) {
  Image out = {.spatial = mask->spatial, .channels = mask->channels, .full = mask->full, .grid = *image};
  if (!image_room(&out)) return err_memory(err, path, grid_count(image) * mask->channels * 4);
  for (int c = 0; c < mask->channels; c++)
    box_values(b, mask->value + c * grid_count(&mask->grid), out.value + c * grid_count(image));
  image_free(mask);
  *mask = out;
  return true;
}

/* Where the image's voxels lie in a mask of extents dim. */
static Box box_of(double whole[3][4], const Grid *image, const int64_t dim[3]) {
  const int64_t element[3] = {dim[1] * dim[2], dim[2], 1};
  Box b = {.n = {image->dim[0], image->dim[1], image->dim[2]}};
  for (int r = 0; r < 3; r++) {
    b.start += (int64_t)whole[r][3] * element[r];
    for (int c = 0; c < 3; c++) b.stride[c] += (int64_t)whole[r][c] * element[r];
  }
  return b;
}

/* One channel at a place in its voxels: of the nearest one, or linear between neighbours; 0 beyond them. */
static float value_at(const float *v, const int64_t d[3], const double at[3], bool linear) {
  int64_t low[3];
  double f[3], sum = 0;
  for (int a = 0; a < 3; a++) {
    double x = at[a];
    if (!(x >= -0.5 && x < (double)d[a] - 0.5)) return 0;
    x = x < 0 ? 0 : x > (double)(d[a] - 1) ? (double)(d[a] - 1) : x;
    low[a] = (int64_t)floor(linear ? x : x + 0.5), f[a] = linear ? x - floor(x) : 0;
  }
  for (int corner = 0; corner < 8; corner++) {
    double weight = 1;
    int64_t e = 0;
    for (int a = 0; a < 3; a++) {
      bool next = corner >> a & 1;
      weight *= next ? f[a] : 1 - f[a], e = e * d[a] + (next && f[a] > 0 ? low[a] + 1 : low[a]);
    }
    if (weight > 0) sum += weight * (double)v[e];
  }
  return (float)sum;
}

/* What the file has at each of the image's voxels. m: from the image's voxels to the file's. */
static bool resample(Image *mask, const Grid *image, double m[3][4], bool linear, const char *path,
                     char err[ERR_MAX]) {
  Image out = {.spatial = mask->spatial, .channels = mask->channels, .full = mask->full, .grid = *image};
  const int64_t *d = mask->grid.dim, before = grid_count(&mask->grid), n = grid_count(image);
  if (!image_room(&out)) return err_memory(err, path, n * mask->channels * 4);
  for (int64_t i = 0; i < n; i++) {
    double v[3] = {(double)(i / (image->dim[1] * image->dim[2])), (double)(i / image->dim[2] % image->dim[1]),
                   (double)(i % image->dim[2])},
           at[3];
    affine_apply(m, v, at);
    for (int c = 0; c < mask->channels; c++)
      out.value[c * n + i] = value_at(mask->value + c * before, d, at, linear);
  }
  image_free(mask);
  *mask = out;
  return true;
}

static bool same_extents(const Grid *a, const Grid *b) { return !memcmp(a->dim, b->dim, sizeof a->dim); }

static bool extents_differ(const Grid *image, const Image *mask, const char *image_path, const char *path,
                           const char *what, char err[ERR_MAX]) {
  const int64_t *m = mask->grid.dim, *i = image->dim;
  if (mask->spatial == 2)
    return err_set(err, "%s: the %s is %lld x %lld, its image %lld x %lld (%s)", path, what, (long long)m[0],
                   (long long)m[1], (long long)i[0], (long long)i[1], image_path);
  return err_set(err, "%s: the %s is %lld x %lld x %lld, its image %lld x %lld x %lld (%s)", path, what,
                 (long long)m[0], (long long)m[1], (long long)m[2], (long long)i[0], (long long)i[1],
                 (long long)i[2], image_path);
}

static bool elsewhere(const Grid *image, const Image *mask, const char *image_path, const char *path,
                      const char *what, char err[ERR_MAX]) {
  double mm = 0, v[3], p[3], q[3];
  char a[4], b[4];
  for (int c = 0; c < 8; c++) {
    corner_of(image->dim, c, v), grid_place(image, v, p);
    corner_of(mask->grid.dim, c, v), grid_place(&mask->grid, v, q);
    double square = 0;
    for (int r = 0; r < 3; r++) square += (p[r] - q[r]) * (p[r] - q[r]);
    mm = fmax(mm, sqrt(square));
  }
  grid_orientation(image, a), grid_orientation(&mask->grid, b);
  return err_set(
      err,
      "%s: the %s does not lie on its image %s: corners are up to %.4g mm apart (%s %lld x %lld x %lld,"
      " image %s %lld x %lld x %lld). --mask-grid resample takes the nearest voxels, --mask-grid trust "
      "the arrays as they are",
      path, what, image_path, mm, b, (long long)mask->grid.dim[0], (long long)mask->grid.dim[1],
      (long long)mask->grid.dim[2], a, (long long)image->dim[0], (long long)image->dim[1],
      (long long)image->dim[2]);
}

bool match_grids(const Grid *image, Image *mask, OtherGrid other, const char *image_path, const char *path,
                 Matched matched, Notes *notes, char err[ERR_MAX]) {
  const char *what = matched == MATCH_MASK ? "mask" : "channel";
  double from_mm[3][4], m[3][4], whole[3][4];
  Grid g = mask->grid, *at = &g;
  if (!image->placed || !at->placed || other == GRID_TRUST) {
    if (!same_extents(image, at)) return extents_differ(image, mask, image_path, path, what, err);
    mask->grid = *image;
    return true;
  }
  if (!grid_inverse(at, from_mm)) return err_set(err, "%s: its affine has no inverse", path);
  Grid image_copy = *image;
  affine_after(from_mm, image_copy.to_mm, m); /* voxels of the image in the mask's voxels */
  if (permutation_of(m, image->dim, at->dim, whole) && deviation(m, whole, image->dim) <= tolerance) {
    bool same = whole[0][0] > 0 && whole[1][1] > 0 && whole[2][2] > 0;
    if (same) return mask->grid = *image, true;
    char a[4], b[4];
    grid_orientation(image, a), grid_orientation(at, b);
    note(notes, "%s: stored as %s, its image as %s; brought to the image's order", path, b, a);
    Box box = box_of(whole, image, at->dim);
    return gather(mask, image, &box, path, err);
  }
  if (other == GRID_RESAMPLE) {
    note(notes, "%s: on another grid than its image; resampled to it", path);
    return resample(mask, image, m, matched == MATCH_CHANNEL, path, err);
  }
  return elsewhere(image, mask, image_path, path, what, err);
}
