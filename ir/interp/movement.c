/* movement.c - reference kernels of data movement: reshaping, joining, pooling, resampling, turning. */
#include "ir/interp/ref.h"
#include <math.h>
#include <string.h>

void ref_reshape(double *out, const Ref *r) {
  memcpy(out, r->in[0], (size_t)type_count(r->type) * sizeof *out);
}

void ref_broadcast(double *out, const Ref *r) {
  for (int64_t i = 0; i < type_count(r->type); i++)
    out[i] = r->in[0][broadcast_at(r->in_type[0], r->type, i)];
}

void ref_concat(double *out, const Ref *r) {
  View to = view_along(r->type, r->at->axis);
  int64_t start = 0;
  for (int k = 0; k < r->nin; k++) {
    int64_t run = r->in_type[k].dim[r->at->axis] * to.inner;
    for (int64_t o = 0; o < to.outer; o++)
      memcpy(out + o * to.extent * to.inner + start, r->in[k] + o * run, (size_t)run * sizeof *out);
    start += run;
  }
}

void ref_slice(double *out, const Ref *r) {
  View from = view_along(r->in_type[0], r->at->axis);
  int64_t run = (r->at->hi - r->at->lo) * from.inner;
  for (int64_t o = 0; o < from.outer; o++)
    memcpy(out + o * run, r->in[0] + (o * from.extent + r->at->lo) * from.inner, (size_t)run * sizeof *out);
}

void ref_pad(double *out, const Ref *r) {
  View to = view_along(r->type, r->at->axis);
  int64_t run = r->in_type[0].dim[r->at->axis] * to.inner;
  for (int64_t o = 0; o < to.outer; o++)
    memcpy(out + (o * to.extent + r->at->lo) * to.inner, r->in[0] + o * run, (size_t)run * sizeof *out);
}

/* ---- blocks and windows; planes of three spatial axes ---- */

/* Element i of a fine array (.., f*S): where its block lies in the coarse array (.., S). */
static int64_t block_of(Type fine, Type coarse, const int64_t *factor, int64_t i) {
  int64_t at = 0, stride = 1;
  for (int axis = fine.rank - 1; axis >= 0; axis--) {
    int64_t coord = i % fine.dim[axis];
    i /= fine.dim[axis];
    at += (axis < 2 ? coord : coord / factor[axis - 2]) * stride;
    stride *= coarse.dim[axis];
  }
  return at;
}

void ref_upsample(double *out, const Ref *r) {
  for (int64_t i = 0; i < type_count(r->type); i++)
    out[i] = r->in[0][block_of(r->type, r->in_type[0], r->at->geom.stride, i)];
}

void ref_sumpool(double *out, const Ref *r) {
  for (int64_t i = 0; i < type_count(r->in_type[0]); i++)
    out[block_of(r->in_type[0], r->type, r->at->geom.stride, i)] += r->in[0][i];
}

/* Place, within the plane x of extents s, of the first maximum of the window that starts at `from`, and in
 * *first that of its first element; NaN is a maximum. */
static int64_t window_maximum(const double *x, const int64_t s[3], const int64_t from[3], const int64_t k[3],
                              int64_t *first) {
  int64_t best = -1;
  for (int64_t a = from[0]; a < from[0] + k[0]; a++)
    for (int64_t b = from[1]; b < from[1] + k[1]; b++)
      for (int64_t c = from[2]; c < from[2] + k[2]; c++) {
        if (a < 0 || b < 0 || c < 0 || a >= s[0] || b >= s[1] || c >= s[2]) continue;
        int64_t at = (a * s[1] + b) * s[2] + c;
        if (best < 0) *first = best = at;
        if (x[at] > x[best] || isnan(x[at])) best = at;
      }
  return best;
}

/* y(N,C,T) takes the maximum of each window of x(N,C,S); or, with dy, dx takes dy at the place of the
 * maximum, or of the window's first element where that is NaN. */
static void pool(double *y, double *dx, const double *x, const double *dy, Type xt, const Attrs *at,
                 Type yt) {
  int64_t s[3], t[3], k[3], q[3], from[3];
  int nsp = xt.rank - 2;
  three(s, xt.dim + 2, nsp, 1), three(t, yt.dim + 2, nsp, 1), three(k, at->size, nsp, 1);
  ConvGeom g = three_geom(&at->geom, nsp);
  int64_t i = 0;
  for (int64_t plane = 0; plane < xt.dim[0] * xt.dim[1]; plane++)
    for (q[0] = 0; q[0] < t[0]; q[0]++)
      for (q[1] = 0; q[1] < t[1]; q[1]++)
        for (q[2] = 0; q[2] < t[2]; q[2]++, i++) {
          int64_t base = plane * s[0] * s[1] * s[2];
          for (int d = 0; d < 3; d++) from[d] = q[d] * g.stride[d] - g.pad[d];
          int64_t first = 0, best = window_maximum(x + base, s, from, k, &first);
          if (y) y[i] = x[base + best];
          else dx[base + (isnan(x[base + best]) ? first : best)] += dy[i];
        }
}

void ref_maxpool(double *y, const Ref *r) { pool(y, NULL, r->in[0], NULL, r->in_type[0], r->at, r->type); }

void ref_maxpool_dx(double *dx, const Ref *r) {
  pool(NULL, dx, r->in[0], r->in[1], r->in_type[0], r->at, r->in_type[1]);
}

/* ---- linear interpolation ---- */

/* Element i of `fine` is (1-w) * coarse[lo] + w * coarse[hi]. */
typedef struct {
  int64_t lo, hi;
  double w;
} Tap;

static Tap tap(int64_t i, int64_t coarse, int64_t fine, int mode) {
  double at;
  if (mode) at = fine > 1 ? (double)i * (double)(coarse - 1) / (double)(fine - 1) : 0; /* corners aligned */
  else at = fmax(0, ((double)i + 0.5) * (double)coarse / (double)fine - 0.5);
  int64_t lo = (int64_t)at < coarse - 1 ? (int64_t)at : coarse - 1;
  return (Tap){lo, lo + 1 < coarse ? lo + 1 : lo, at - (double)lo};
}

/* Interpolation along every axis at once: a fine element is a weighted sum of 2^3 coarse ones. Forward `out`
 * is fine and gathers; the adjoint scatters into the coarse one. */
static void resample(double *out, const Ref *r, Type coarse, Type fine, bool adjoint) {
  int64_t s[3], t[3], q[3];
  Tap tp[3];
  three(s, coarse.dim + 2, coarse.rank - 2, 1), three(t, fine.dim + 2, fine.rank - 2, 1);
  int64_t i = 0;
  for (int64_t plane = 0; plane < fine.dim[0] * fine.dim[1]; plane++)
    for (q[0] = 0; q[0] < t[0]; q[0]++)
      for (q[1] = 0; q[1] < t[1]; q[1]++)
        for (q[2] = 0; q[2] < t[2]; q[2]++, i++) {
          for (int d = 0; d < 3; d++) tp[d] = tap(q[d], s[d], t[d], r->at->mode);
          for (int corner = 0; corner < 8; corner++) {
            int64_t at = plane;
            double w = 1;
            for (int d = 0; d < 3; d++) {
              bool high = corner >> d & 1;
              at = at * s[d] + (high ? tp[d].hi : tp[d].lo);
              w *= high ? tp[d].w : 1 - tp[d].w;
            }
            if (adjoint) out[at] += w * r->in[0][i];
            else out[i] += w * r->in[0][at];
          }
        }
}

void ref_resize(double *out, const Ref *r) { resample(out, r, r->in_type[0], r->type, false); }
void ref_resize_dx(double *out, const Ref *r) { resample(out, r, r->type, r->in_type[0], true); }

/* ---- flips and quarter turns ---- */

/* Place (i,j) of the turned square shows place (*si,*sj) of the original: out = rot90^k(flip(x)), and
 * rot90(m)[i,j] = m[j, e-1-i]. */
static void transposed_from(int code, int64_t e, int64_t i, int64_t j, int64_t *si, int64_t *sj) {
  for (int k = 0; k < (code & 3); k++) {
    int64_t was = i;
    i = j;
    j = e - 1 - was;
  }
  *si = code & 4 ? e - 1 - i : i;
  *sj = j;
}

void ref_orient(double *out, const Ref *r) {
  const double *x = r->in[0], *code = r->in[1];
  int64_t e = r->type.dim[2], inner = r->type.rank > 4 ? r->type.dim[4] : 1,
          planes = r->type.dim[0] * r->type.dim[1];
  for (int64_t p = 0; p < planes; p++)
    for (int64_t i = 0; i < e; i++)
      for (int64_t j = 0; j < e; j++) {
        int64_t si, sj;
        transposed_from((int)code[p / r->type.dim[1]], e, i, j, &si, &sj);
        int64_t there = ((p * e + i) * e + j) * inner, here = ((p * e + si) * e + sj) * inner;
        if (r->at->mode) memcpy(out + here, x + there, (size_t)inner * sizeof *out);
        else memcpy(out + there, x + here, (size_t)inner * sizeof *out);
      }
}
