/* contractions.c - reference kernels of contractions.
 *
 * A convolution and its two adjoints are one trilinear form: the sum over all (n, o, c, output place, kernel
 * place) of x * w * y. The op says which of the three is the result. walk() visits the terms; a depthwise
 * convolution is N*C independent ones with one channel each and kernels of their own. */
#include "ir/interp/ref.h"

typedef struct {
  int64_t n, c, o;          /* samples, channels of x, channels of y */
  int64_t s[3], k[3], t[3]; /* extents of x, of the kernel, of y */
  ConvGeom geom;
  int64_t own; /* distance of the kernels of two samples; 0: all samples share */
} Form;

enum { X, W, Y };

static int64_t volume(const int64_t d[3]) { return d[0] * d[1] * d[2]; }

/* Place in x that kernel place j of output place q meets along axis d; false when it lies in the padding. */
static inline bool meets(const Form *f, int d, int64_t q, int64_t j, int64_t *i) {
  *i = q * f->geom.stride[d] - f->geom.pad[d] + j;
  return *i >= 0 && *i < f->s[d];
}

/* result[] += one * other for the terms of one (n, o, c); base: where its planes of x, w and y start. */
static void walk_plane(const Form *f, int result, int one, int other, double *out, const double *a,
                       const double *b, const int64_t base[3]) {
  int64_t at[3], i[3], j[3], q[3]; /* places in x, in the kernel, in y */
  at[Y] = base[Y];
  for (q[0] = 0; q[0] < f->t[0]; q[0]++)
    for (q[1] = 0; q[1] < f->t[1]; q[1]++)
      for (q[2] = 0; q[2] < f->t[2]; q[2]++, at[Y]++)
        for (j[0] = 0; j[0] < f->k[0]; j[0]++) {
          if (!meets(f, 0, q[0], j[0], &i[0])) continue;
          for (j[1] = 0; j[1] < f->k[1]; j[1]++) {
            if (!meets(f, 1, q[1], j[1], &i[1])) continue;
            for (j[2] = 0; j[2] < f->k[2]; j[2]++) {
              if (!meets(f, 2, q[2], j[2], &i[2])) continue;
              at[X] = base[X] + (i[0] * f->s[1] + i[1]) * f->s[2] + i[2];
              at[W] = base[W] + (j[0] * f->k[1] + j[1]) * f->k[2] + j[2];
              out[at[result]] += a[at[one]] * b[at[other]];
            }
          }
        }
}

static void walk(const Form *f, int result, int one, int other, double *out, const double *a,
                 const double *b) {
  for (int64_t n = 0; n < f->n; n++)
    for (int64_t o = 0; o < f->o; o++)
      for (int64_t c = 0; c < f->c; c++) {
        int64_t base[3];
        base[X] = (n * f->c + c) * volume(f->s);
        base[W] = n * f->own + (o * f->c + c) * volume(f->k);
        base[Y] = (n * f->o + o) * volume(f->t);
        walk_plane(f, result, one, other, out, a, b, base);
      }
}

/* From the types x(N,C,S), w(O,C,K), y(N,O,T); depthwise all three start with (N,C). */
static Form form(const Ref *r, Type x, Type w, Type y, bool depthwise) {
  Form f = {.n = x.dim[0], .c = x.dim[1], .o = y.dim[1]};
  int nsp = x.rank - 2;
  three(f.s, x.dim + 2, nsp, 1);
  three(f.k, w.dim + 2, nsp, 1);
  three(f.t, y.dim + 2, nsp, 1);
  f.geom = three_geom(&r->at->geom, nsp);
  if (depthwise) {
    f.n *= f.c;
    f.c = f.o = 1;
    f.own = volume(f.k);
  }
  return f;
}

static void forward(double *y, const Ref *r, bool depthwise) {
  Form f = form(r, r->in_type[0], r->in_type[1], r->type, depthwise);
  walk(&f, Y, X, W, y, r->in[0], r->in[1]);
}

static void backward_x(double *dx, const Ref *r, bool depthwise) {
  Form f = form(r, r->type, r->in_type[1], r->in_type[0], depthwise);
  walk(&f, X, Y, W, dx, r->in[0], r->in[1]);
}

static void backward_w(double *dw, const Ref *r, bool depthwise) {
  Form f = form(r, r->in_type[0], r->type, r->in_type[1], depthwise);
  walk(&f, W, X, Y, dw, r->in[0], r->in[1]);
}

void ref_conv(double *y, const Ref *r) { forward(y, r, false); }
void ref_conv_dx(double *dx, const Ref *r) { backward_x(dx, r, false); }
void ref_conv_dw(double *dw, const Ref *r) { backward_w(dw, r, false); }
void ref_dwconv(double *y, const Ref *r) { forward(y, r, true); }
void ref_dwconv_dx(double *dx, const Ref *r) { backward_x(dx, r, true); }
void ref_dwconv_dw(double *dw, const Ref *r) { backward_w(dw, r, true); }

void ref_matmul(double *out, const Ref *r) { /* (M,R) = a (M,K), or (K,M) in mode 1, times b (K,R) */
  const double *a = r->in[0], *b = r->in[1];
  int64_t m = r->type.dim[0], k = r->in_type[1].dim[0], n = type_count(r->type) / m;
  for (int64_t i = 0; i < m; i++)
    for (int64_t l = 0; l < k; l++)
      for (int64_t j = 0; j < n; j++)
        out[i * n + j] += (r->at->mode ? a[l * m + i] : a[i * k + l]) * b[l * n + j];
}

void ref_inner(double *out, const Ref *r) { /* (M,K) = a (M,R) times b (K,R) transposed */
  const double *a = r->in[0], *b = r->in[1];
  int64_t m = r->type.dim[0], k = r->type.dim[1], n = type_count(r->in_type[0]) / m;
  for (int64_t i = 0; i < m; i++)
    for (int64_t l = 0; l < k; l++)
      for (int64_t j = 0; j < n; j++) out[i * k + l] += a[i * n + j] * b[l * n + j];
}
